"""What the saves of one store share: its first file, its mode, and the transaction that is open."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any, Protocol

from numpy.typing import NDArray

from ..catalogue.catalogue import Catalogue
from ..catalogue.detectors import Chosen
from ..catalogue.locate import Found
from ..errors import ClosedStoreError, FileChangedError, ReadOnlyStoreError
from ..hdf5.files import Files, forget
from ..hdf5.links import LinkPolicy
from ..protocol.protocol import CXIProtocol
from . import photons, save
from .change import Change, Growing
from .commit.interrupts import Interrupts
from .commit.lock import Locking, refuse_if_written
from .commit.patience import check_timeout, waited
from .commit.replace import after_all
from .commit.transaction import Transaction
from .frame_counts import Saved, refuse_unfit
from .memory import memory_told
from .modes import make_ready
from .request import SaveRequest
from .target import dataset_there
from .virtual import VirtualDataset

__all__ = ["SaveSession", "Writer"]

Keep = Callable[[str, Sequence[Found]], Sequence[Found] | None]


class Writer(Protocol):
    """What takes frames of an attribute and holds some of them back."""

    @property
    def attr(self) -> str:
        """Name of the attribute."""

    def settle(self) -> None:
        """Save what is held back; the caller holds `working` of the session."""

    def committed(self) -> None:
        """Note that what was saved so far is in the file for good."""


class SaveSession:
    """The files of a store as its saves see them; the arguments are those of :class:`CXIStore`.

    Attributes
    ----------
    files : Files
        The store's files.
    catalogue : Catalogue
        What the files have, as they were when they were last looked at.
    """

    def __init__(
        self,
        files: Files,
        mode: str,
        protocol: CXIProtocol,
        links: LinkPolicy,
        safe: bool,
        locking: Locking,
        chosen: Chosen,
        timeout: float | None,
    ) -> None:
        self.files = files
        self._path = files.paths[0]
        self._mode = mode
        self._protocol = protocol
        self._links: LinkPolicy = links
        self._chosen = chosen
        self._safe = safe
        self._locking: Locking = locking
        self._timeout = check_timeout(timeout)
        self._begin_anew()
        make_ready(files, mode, locking, self._timeout)
        # Whether the first file is still to come (or to be replaced) by a commit of this store.
        self._is_to_come = mode in ("w", "w-", "x")
        # What the first file was when it was looked at; of one to be replaced, when it was opened.
        self._seen = files.now(self._path)
        self.look()

    def _begin_anew(self) -> None:
        """Have no block open, as in another process."""
        self._working = threading.RLock()
        self._pid = os.getpid()
        self._commits = ExitStack()  # the commit that is open
        self._transaction: Transaction | None = None
        self._stands_together = False  # whether what is being saved was looked at as a whole
        self._groups = 0  # how many transactions of the user's are open, one in the other
        self._writers: list[Writer] = []  # whose blocks are open
        self._forget_saves()

    def _forget_saves(self) -> None:
        # What the saves of the transaction say, and the units that they are in.
        self._said: dict[str, photons.Said] = {}
        self._made_in: dict[str, str | None] = {}
        self._after: dict[str, Saved] = {}  # what the file has after them

    def __getstate__(self) -> dict[str, Any]:
        others = SaveSession.__new__(SaveSession)
        others._begin_anew()
        return {name: value for name, value in vars(self).items() if name not in vars(others)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin_anew()

    @property
    def working(self) -> threading.RLock:
        """Return what is held for each step within a block; a block holds `Files.saving`."""
        if self._pid != os.getpid():  # a thread of the parent may hold it
            self._working, self._pid = threading.RLock(), os.getpid()
        return self._working

    def look(self, names: tuple[str, ...] | None = None) -> None:
        """Look at the files anew: forget what was found and reopen what has changed on disk.

        With `names`, the store's files are these from now on; only a store that never saves may be
        given others.
        """
        numbers = self._look_at(names)
        if self.files.swmr:
            self.files.release()  # what HDF5 remembers of open files is as old as they are
        self.catalogue = Catalogue(self.files, numbers, self._protocol, self._links, self._chosen)

    def look_again(self, names: tuple[str, ...], keep: Keep) -> None:
        """Do the same, but for what `keep` knows of files; see :meth:`Catalogue.renewed`."""
        numbers = self._look_at(names)
        self.catalogue = self.catalogue.renewed(self.files, numbers, keep)

    def _look_at(self, names: tuple[str, ...] | None) -> range:
        """Return the numbers of the files that are there to be looked at."""
        if names is not None and names != self.files.names:
            self.files = self.files.succeeded(names)
            self._path = self.files.paths[0]
        if not self._is_to_come:
            self._seen = self.files.now(self._path)
        self.files.refresh()
        return range(1 if self._is_to_come else 0, len(self.files.names))

    def save(self, request: SaveRequest) -> None:
        """Save an attribute to the first file; see :meth:`CXIStore.save_attribute`."""
        self._check_open()
        self._check_mode_of_saves()
        with self.files.saving, self.working:
            self._settle(request.attribute.name)
            with self._memory_told(request):
                prepared = self._prepared(request)
            with self.transaction(), self._memory_told(request):
                self._carry_out(request, prepared)

    def save_together(self, requests: Sequence[SaveRequest]) -> None:
        """Save several attributes in one commit; nothing is written where they cannot stand so."""
        self._check_open()
        self._check_mode_of_saves()
        with self.files.saving, self.working:
            if self._transaction is None or not self._transaction.changed:
                changes = {}
                for request in requests:
                    with self._memory_told(request):
                        changes[request.attribute.name] = self._change_of(request)
                self._refuse_unfit(changes)
            with self.transaction():
                self._stands_together = True
                try:
                    # `data` first: it may be ahead of what goes with it, should the rest fail.
                    for request in sorted(requests, key=lambda one: not one.attribute.is_data):
                        self.save(request)
                finally:
                    self._stands_together = False

    def save_virtual(self, request: SaveRequest, virtual: VirtualDataset) -> None:
        """Save an attribute as a virtual dataset; the request has none of its frames.

        The caller is in a transaction, and has looked at what goes with it.
        """
        assert self._transaction is not None
        change = self._change_of(request)
        self._begin(self._transaction)
        save.run(self._transaction, change, virtual)
        self._transaction.changed.add(request.attribute.name)
        self._after[request.attribute.name] = Saved(virtual.shape)

    def save_batch(self, request: SaveRequest) -> Growing:
        """Save what a writer has, in its block: as :meth:`save` does, from any thread.

        The caller holds `working`, here and in :meth:`extend` and :meth:`settle`.
        """
        self._check_open()
        self._check_mode_of_saves()
        with self._memory_told(request):
            return self._carry_out(request, self._prepared(request, of_batch=True), of_batch=True)

    def extend(self, growing: Growing, frames: NDArray[Any]) -> bool:
        """Add frames to what :meth:`save_batch` has saved, and do nothing else again.

        False, and nothing is done, where each save is a commit of its own.
        """
        attr, transaction = growing.change.attribute.name, self._transaction
        assert transaction is not None
        if self._saves_at_once:
            return False
        change = growing.by(frames)
        after = self._saved_by(change)
        with Interrupts(), memory_told(lambda: change.place, attr, frames.shape, frames.dtype):
            save.extend(transaction, change)
        self._after[attr] = after
        return True

    def complete(self, growing: Growing) -> None:
        """Make the file tell of all that was added to it."""
        assert self._transaction is not None
        if not self._saves_at_once:
            save.complete(self._transaction, growing.change)

    def refuse_part_of_group(self) -> None:
        """Raise :class:`ValueError` where a commit would be a part of a transaction."""
        if self._groups:
            raise ValueError(
                "flush() would commit a part of a transaction(), which is one commit: leave out "
                "the one or the other"
            )

    def flush(self) -> None:
        """Commit what was saved in a writer's block so far; the block goes on with another commit.

        The caller holds `working`.
        """
        self._settle()
        made = self._transaction
        try:
            self._commits.pop_all().close()
        finally:
            if made is not None and made.done:
                for writer in self._writers:
                    writer.committed()
            # Also after an error, for what is saved in the rest of the block: it is not committed.
            self._commits.enter_context(self._commit())

    @contextmanager
    def transaction(self, writer: Writer | None = None) -> Iterator[Transaction]:
        """Group saves into one commit, or those of a writer's block into one for each flush.

        See :meth:`CXIStore.transaction`.
        """
        self._check_open()
        with self.files.saving:  # one thread at a time
            around = self._transaction
            self._groups += writer is None
            self._writers += [] if writer is None else [writer]
            try:
                if around is None:
                    with self._commits:
                        yield self._commits.enter_context(self._commit())
                    return
                try:
                    yield around
                except BaseException as error:
                    (self._transaction or around).fail(error)
                    raise
            finally:
                self._groups -= writer is None
                if writer is not None:
                    self._writers.remove(writer)
                if around is None and self._transaction is not None:
                    # An interrupt came where the commit was to end. It ends with its last name,
                    # undone; what is saved next must not be taken for a part of it.
                    self._transaction, self._commits = None, ExitStack()
                    self._forget_saves()

    @contextmanager
    def _commit(self) -> Iterator[Transaction]:
        is_there = self._seen is not None and self.files.now(self._path) is not None
        made = Transaction(
            self._path,
            fresh=self._is_to_come,
            new=self._is_to_come and not is_there,
            safe=self._safe,
            locking=self._locking,
        )
        is_saved = False
        try:
            with Interrupts() as interrupts, made as self._transaction:
                yield made
                interrupts.raise_swallowed()  # now that nothing is committed
                photons.refuse_contradictions(self.catalogue, self._said)
                refuse_unfit(self.catalogue, self._after, is_begun=False)
            is_saved = made.done
        finally:
            self._transaction = None
            self._forget_saves()
            if made.done:
                self._is_to_come = False
                self._look_after(is_saved)

    def _look_after(self, is_saved: bool) -> None:
        """Look at the files after a transaction; say so where that fails and all is saved."""
        try:
            self.look()
        except (OSError, RuntimeError) as cause:
            if not is_saved:
                raise
            what = "it could not be looked at again", "open another store to go on"
            raise after_all(self._path, cause, *what) from cause

    @property
    def _saves_at_once(self) -> bool:
        """Whether each save is made in the file itself, and none waits for a commit."""
        return not self._safe and not self._is_to_come

    def _settle(self, attr: str | None = None) -> None:
        """Have writers write what they hold (of one attribute), which comes before what follows."""
        for writer in self._writers:
            if attr in (None, writer.attr):
                writer.settle()

    def _prepared(self, request: SaveRequest, *, of_batch: bool = False) -> list[Change]:
        """Return the change of a save: nothing is touched, and who saves to the file waited for."""
        is_new = self._is_to_come or self._transaction is not None
        if not is_new and self.files.now(self._path) != self._seen:
            self.look()  # what is checked is what is there
        with Interrupts():
            return [self._waited(partial(self._prepare, request, of_batch=of_batch))]

    def _carry_out(
        self, request: SaveRequest, prepared: list[Change], *, of_batch: bool = False
    ) -> Growing:
        """Do a save in the transaction that is open."""
        transaction = self._transaction
        assert transaction is not None

        def begin() -> Change:
            # Prepared anew where somebody saved to the file since it was looked at.
            change = prepared.pop() if prepared else self._prepare(request, of_batch=of_batch)
            self._begin(transaction)
            return change

        change = self._waited(begin)
        attr = request.attribute.name
        after = self._saved_by(change)
        if not self._saves_at_once and photons.has_other(self._protocol, attr):
            self._said[attr] = photons.Said(change.path, change.data)
        growing = save.run(transaction, change)
        transaction.changed.add(attr)
        self._made_in[attr] = change.encoder.new_unit
        self._after[attr] = after
        if not self._safe:
            self.look()
        return growing

    def _waited(self, action: Callable[[], Change]) -> Change:
        """Return what `action` does, when nobody else saves to the file any more."""
        # What somebody saves while we wait for him is what a file to come must not replace.
        timeout = 0 if self._is_to_come else self._timeout
        return waited(action, self.look, timeout, partial(forget, self._path))

    def _memory_told(self, request: SaveRequest) -> AbstractContextManager[None]:
        attr, values = request.attribute.name, request.values

        def place() -> str:
            found = self.catalogue.found(attr).get(0)
            path = request.attribute.paths[0] if found is None else found.path
            return f"{self.files.names[0]}:{path}"

        return memory_told(place, attr, values.shape, values.dtype)

    def _prepare(self, request: SaveRequest, *, of_batch: bool = False) -> Change:
        """Return the change of a save; refuse one that cannot stand where it will at once.

        What a batch of a writer has too few of, the next may bring.
        """
        change, around = self._change_of(request), self._transaction
        if around is None or (self._saves_at_once and not self._stands_together):
            self._refuse_unfit({change.attribute.name: change}, is_begun=of_batch)
        return change

    def _change_of(self, request: SaveRequest) -> Change:
        self._check_readable()
        attr, around = request.attribute.name, self._transaction
        is_changed = around is not None and attr in around.changed
        return save.prepare(self.catalogue, request, self._made_in.get(attr), is_changed)

    def _refuse_unfit(self, changes: Mapping[str, Change], *, is_begun: bool = False) -> None:
        """Raise :class:`LayoutError` for changes that cannot stand together with what is there."""
        said = {
            attr: photons.Said(change.path, change.data)
            for attr, change in changes.items()
            if self._saves_at_once and photons.has_other(self._protocol, attr)
        }
        photons.refuse_contradictions(self.catalogue, said)
        after = {attr: self._saved_by(change) for attr, change in changes.items()}
        refuse_unfit(self.catalogue, after, is_begun=is_begun)

    def _saved_by(self, change: Change) -> Saved:
        """Return what the file has of an attribute after a change."""
        attr = change.attribute.name
        if attr in self._after:
            return Saved.by(change, self._after[attr])
        stored = dataset_there(self.catalogue, attr)
        return Saved.by(change, None if stored is None else Saved(stored.shape))

    def _begin(self, transaction: Transaction) -> None:
        try:
            transaction.begin(self._seen)
        except (FileChangedError, FileExistsError) as error:
            if not self._is_to_come or self._mode != "w":
                raise
            raise FileChangedError(
                f"{self._path} was saved to by somebody else since this store was opened, and "
                'stays as it is: open a new store with mode="w" to replace it all the same, or '
                'with "a" to add to it'
            ) from error

    def _check_open(self) -> None:
        if self.files.closed:
            raise ClosedStoreError("the store is closed: call open() or use it in a with block")

    def _check_mode_of_saves(self) -> None:
        if self._mode == "r":
            raise ReadOnlyStoreError(
                f"{self.files.names[0]} is open in read-only mode: open the store with "
                'mode="r+" or "a" to save'
            )

    def _check_readable(self) -> None:
        """Raise what keeps the first file from being opened: what it has cannot be known then."""
        try:
            self.catalogue.opened(0)
        except OSError:
            refuse_if_written(self._path)
            self.catalogue.opened(0)  # again: who had it open may just have closed it
