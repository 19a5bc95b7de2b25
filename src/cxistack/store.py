"""CXIStore: the files of a run under a protocol; attributes by name, from all files as one."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import checking, loading, report, saving
from .catalogue import Catalogue, Problem
from .checking import Finding
from .errors import AttributeMissingError, ClosedStoreError, FileChangedError
from .hdf5.files import Files
from .hdf5.links import LinkPolicy
from .hdf5.names import Names, expand
from .protocol import CXIProtocol
from .read.frames import FrameSelection
from .read.recipe import Casting
from .regions import whole_frames
from .stack import LazyArray
from .streaming import FrameWriter, writing
from .transform import Transform
from .write.lock import Locking
from .write.transaction import Transaction
from .write.writer import SaveMode

__all__ = ["CXIStore"]

FileMode = Literal["r", "r+", "w", "w-", "x", "a"]
_MODES = ("r", "r+", "w", "w-", "x", "a")


class CXIStore(Mapping[str, LazyArray]):
    """The files of a run: finds the protocol's attributes in them, loads and saves them by name.

    Parameters
    ----------
    names : str, path, or sequence of them
        A file, a list of files, or a glob. Frames count in this order; a glob's in natural order.
        Saves go to the first file.
    mode : {"r", "r+", "w", "w-", "x", "a"}
        How the first file is opened; the others open for reading.

        * "r": it must exist, and is not written.
        * "r+": it must exist.
        * "w": it is replaced at the first save; until then it stands as it is.
        * "w-" or "x": it must not exist, and appears at the first save.
        * "a": it is created when it does not exist.
    protocol : CXIProtocol or str, optional
        What is looked for, and where: a protocol, or the name of a built-in one ("cxi", "nxmx"; see
        :meth:`CXIProtocol.names`). The default protocol when None.
    links : {"follow", "tree"}
        Links to other HDF5 files are followed wherever they lead, or only to files in or below the
        given files' folders.
    safe : bool
        Save by changing a copy of the file, which then takes its name: whatever happens meanwhile,
        the file is what it was or what it is to be. False changes the file in place, without the
        time and the room that a copy takes, and keeps hard links and owners. A kill, a power cut, a
        full or failing disk during a save may then lose the whole file, also what the save does not
        touch; readers must have closed it; a :meth:`transaction` groups nothing. New files are made
        safely in any case.
    locking : {True, "best-effort"}
        Other programs are kept from saving to the file meanwhile by locks (flock). Where the file
        system keeps none, True refuses to save, and "best-effort" saves: then see to it that
        nobody else does. What locks tell between machines is up to a network file system.

    Raises
    ------
    FileNotFoundError, FileExistsError
        As `mode` says.
    ProtocolError
        There is no built-in protocol of this name.

    Notes
    -----
    A store is a mapping from attribute names to arrays that are read when they are indexed. It is
    open when made; files are opened as they are needed. ``bool(store)`` tells whether it is open.

    Examples
    --------
    >>> store = CXIStore(example_run)
    >>> store["data"].shape, store["data"].dtype
    ((6, 16, 20), dtype('uint16'))
    >>> store["data"][0, :2, :3]
    array([[100, 101, 102],
           [120, 121, 122]], dtype=uint16)
    """

    def __init__(
        self,
        names: Names,
        mode: FileMode = "r",
        protocol: CXIProtocol | str | None = None,
        *,
        links: LinkPolicy = "follow",
        safe: bool = True,
        locking: Locking = True,
    ) -> None:
        if mode not in _MODES:
            raise ValueError(f"mode must be one of {', '.join(_MODES)}, not {mode!r}")
        if links not in ("follow", "tree"):
            raise ValueError(f'links must be "follow" or "tree", not {links!r}')
        if locking not in (True, "best-effort"):
            raise ValueError(f'locking must be True or "best-effort", not {locking!r}')
        if protocol is None or isinstance(protocol, str):
            name = "default" if protocol is None else protocol
            protocol = CXIProtocol.import_named(name)
        self.protocol = protocol
        self.mode: FileMode = mode
        self._links: LinkPolicy = links
        self._files = Files(expand(names, may_be_new=mode not in ("r", "r+")))
        self._transaction: Transaction | None = None
        # Whether the first file is still to come (or to be replaced) by a commit of this store.
        self._safe = safe
        self._locking: Locking = locking
        self._to_come = saving.check_mode(self._files, mode, locking)
        self.update_indices()

    # ---------------------------------------------------------------- open and closed

    def __bool__(self) -> bool:
        return not self._files.closed

    def open(self) -> None:
        """Open the store again after :meth:`close`; what changed on disk meanwhile is seen."""
        if not self:
            self._files.closed = False
            self.update_indices()

    def close(self) -> None:
        """Close every file. Nothing waits for it: each save is on disk when it returns."""
        self._files.release()
        self._files.closed = True

    def __enter__(self) -> CXIStore:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def update_indices(self) -> None:
        """Look at the files anew: forget what was found and reopen what has changed on disk."""
        self._seen = None if self._to_come else self._files.now(self._files.paths[0])
        self._files.refresh()
        numbers = range(1 if self._to_come else 0, len(self._files.names))
        self._catalogue = Catalogue(self._files, numbers, self.protocol, self._links)

    def _check_open(self) -> None:
        if not self:
            raise ClosedStoreError("the store is closed: call open() or use it in a with block")

    # ---------------------------------------------------------------- files

    def filenames(self) -> list[str]:
        """Return the files' names, as given or as the glob found them."""
        return list(self._files.names)

    def files(self) -> list[Any]:
        """Return a read-only :class:`h5py.File` for each file; all are opened."""
        return list(self.file_dict.values())

    @property
    def file(self) -> Any:
        """Read-only :class:`h5py.File` of the first file, valid until the next save or close."""
        self._check_open()
        return self._files.handle(self._files.paths[0])

    @property
    def file_dict(self) -> Mapping[str, Any]:
        """Read-only :class:`h5py.File` by file name, each opened when it is asked for."""
        self._check_open()
        return self._files.by_name()

    # ---------------------------------------------------------------- what is there

    @property
    def found(self) -> list[str]:
        """Names of the attributes that at least one file has, in the protocol's order.

        A mask that no file has is among them where the protocol's limits make one.
        """
        self._check_open()
        return [attr for attr in self._catalogue.found_all() if self._catalogue.has(attr)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def __contains__(self, attr: object) -> bool:
        self._check_open()
        return isinstance(attr, str) and attr in self.protocol and self._catalogue.has(attr)

    def __getitem__(self, attr: str) -> LazyArray:
        return LazyArray(self, attr)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def keys(self) -> KeysView[str]:
        """Return the names of the attributes found."""
        return super().keys()

    def values(self) -> ValuesView[LazyArray]:
        """Return the attributes found, each an array that is read when it is indexed."""
        return super().values()

    def items(self) -> ItemsView[str, LazyArray]:
        """Return (name, array) pairs of the attributes found."""
        return super().items()

    def describe(
        self,
        attr: str,
        *,
        transform: Transform | None = None,
        dtype: DTypeLike | None = None,
        casting: Casting = "checked",
    ) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return the shape and dtype that :meth:`load_attribute` would give, without reading."""
        self._check_open()
        load = loading.prepare(
            self._catalogue, attr, transform=transform, dtype=dtype, casting=casting
        )
        return load.shape, load.dtype

    def is_static(self, attr: str) -> bool:
        """Tell whether one frame, of one dataset, stands for all frames of a stack."""
        self._check_open()
        return loading.prepare(self._catalogue, attr).is_static

    def is_indexed(self, attr: str) -> bool:
        """Tell whether the attribute has a frame axis that `idxs` picks from."""
        self._check_open()
        return self._catalogue.is_indexed(attr)

    def indices(self) -> NDArray[np.int64]:
        """Return the numbers of all `data` frames: 0, 1, ..."""
        return np.arange(self.frame_count)

    @property
    def frame_count(self) -> int:
        """How many frames of `data` there are in all files."""
        self._check_open()
        return self._catalogue.index("data").total if self._catalogue.has_data() else 0

    def read_shape(self) -> tuple[int, int]:
        """Return the detector grid (slow, fast) of the first stack or frame found, or (0, 0)."""
        self._check_open()
        for attr in self.found:
            if self.protocol.get_kind(attr) in ("stack", "frame"):
                for found in self._catalogue.found(attr).values():
                    if found.error is None:
                        slow, fast = found.datasets[0].shape[-2:]
                        return slow, fast
        return 0, 0

    def find_dataset(self, attr: str) -> str:
        """Return where the first file has the attribute, or the protocol's first path for it."""
        self._check_open()
        found = self._catalogue.found(attr).get(0)
        return found.path if found is not None else self.protocol.load_paths[attr][0]

    @property
    def problems(self) -> list[Problem]:
        """What in the files does not fit the protocol; each is an error when it is asked for.

        Scalars and frames that several files have are read and compared: only the first file's
        are loaded (see `source` of :meth:`load_attribute`).
        """
        self._check_open()
        problems = self._catalogue.problems()
        told = set(problems)
        return problems + [one for one in report.differences(self._catalogue) if one not in told]

    def check(
        self,
        attributes: Sequence[str] | None = None,
        *,
        num_threads: int | None = None,
        verbose: bool = True,
    ) -> list[Finding]:
        """Check that the run is whole, and return all that is wrong with it.

        Every file opens, every link and virtual source is there, shapes, types, numbers of frames
        and scalars agree, and every chunk of `attributes` (all that are found when None) decodes:
        once, in bounded memory. After a failure the check goes on; see :class:`Finding`. Raises
        AttributeMissingError where the protocol does not know one of `attributes`.

        Examples
        --------
        >>> CXIStore(example_run).check(verbose=False)
        []
        """
        self._check_open()
        return checking.check(self._catalogue, attributes, num_threads=num_threads, verbose=verbose)

    def __repr__(self) -> str:
        if not self:
            return f"<closed CXIStore of {len(self._files.names)} files>"
        return report.table(self._catalogue, self.mode)

    def explain(
        self,
        attr: str,
        idxs: FrameSelection = None,
        *,
        ss_idxs: Any = slice(None),
        fs_idxs: Any = slice(None),
        transform: Transform | None = None,
        dtype: DTypeLike | None = None,
        casting: Casting = "checked",
        source: int | str | None = None,
        raw: bool = False,
    ) -> str:
        """Tell how a load would be done: from which datasets, through which links and filters.

        The arguments are those of :meth:`load_attribute`; no pixel is read.
        """
        self._check_open()
        load = loading.prepare(
            self._catalogue,
            attr,
            idxs,
            ss_idxs=ss_idxs,
            fs_idxs=fs_idxs,
            transform=transform,
            dtype=dtype,
            casting=casting,
            source=self._source(source),
            raw=raw,
        )
        return report.explanation(self._catalogue, load)

    # ---------------------------------------------------------------- loading

    def load_attribute(
        self,
        attr: str,
        idxs: FrameSelection = None,
        processes: int | None = None,
        ss_idxs: Any = slice(None),
        fs_idxs: Any = slice(None),
        verbose: bool = True,
        *,
        transform: Transform | None = None,
        dtype: DTypeLike | None = None,
        casting: Casting = "checked",
        out: NDArray[Any] | None = None,
        source: int | str | None = None,
        num_threads: int | None = None,
        raw: bool = False,
    ) -> Any:
        """Load an attribute from all files as one array.

        Parameters
        ----------
        attr : str
            The attribute's name.
        idxs : None, int, slice, sequence or array of int, or boolean mask
            Frames of a stack or rows of a sequence, numbered through all files as the frames of
            `data` are; in any order, repeated or negative as in NumPy. All when None. An int keeps
            the frame axis.
        processes, num_threads : int, optional
            How many threads work; two names of one thing. Every core of this process when None.
        ss_idxs, fs_idxs : index
            Pixels of frames and stacks: what ``frame[..., ss_idxs, fs_idxs]`` means in NumPy.
        verbose : bool
            Show a progress bar while frames are loaded.
        transform : Transform, optional
            What is done to frames, instead of `ss_idxs` and `fs_idxs`.
        dtype : dtype, optional
            Type of the result. When None, a type of the protocol's family is kept, int and uint
            change into one another at the same width, integers become float64 under float, and
            float to int or uint raises.
        casting : {"checked", "unsafe"}
            "checked" raises where a value would change (but for rounding to a float); "unsafe"
            casts as NumPy does.
        out : ndarray, optional
            Where the result goes. Its dtype counts as `dtype`. Undefined when this raises.
        source : int or str, optional
            The file (number or name) that a scalar or a frame comes from; the first that has it
            when None.
        raw : bool
            Load a mask as it is stored: its bits, not whether pixels are good.

        Returns
        -------
        ndarray or scalar
            A stack is (frames, ..., ss, fs), a sequence (frames, ...), a frame (..., ss, fs), a
            scalar as it is stored. One 2-D dataset that stands for all frames comes back as a
            read-only broadcast. Masks are True for a good pixel.

        Raises
        ------
        AttributeMissingError
            The protocol does not know it, or no file has it.
        LayoutError, LinkError, StorageError
            What is there does not fit, leads nowhere, or cannot be read.
        FileChangedError
            Somebody goes on writing to a file while it is read.
        FrameIndexError
            An index is out of bounds.
        CastError
            A value does not fit, or the stored type has no default in the protocol's family.
        ValueError
            Arguments do not fit one another, or `raw` is asked of what is no mask.

        Examples
        --------
        >>> store = CXIStore(example_run)
        >>> store.load_attribute("data", idxs=[-1, 0], transform=Crop([0, 1, 0, 2]))
        array([[[600, 601]],
        <BLANKLINE>
               [[100, 101]]], dtype=uint16)
        """
        self._check_open()
        threads = _threads(processes, num_threads)

        def load_once() -> Any:
            load = loading.prepare(
                self._catalogue,
                attr,
                idxs,
                ss_idxs=ss_idxs,
                fs_idxs=fs_idxs,
                transform=transform,
                dtype=dtype if dtype is not None or not isinstance(out, np.ndarray) else out.dtype,
                casting=casting,
                source=self._source(source),
                raw=raw,
            )
            return loading.run(self._catalogue, load, out=out, num_threads=threads, verbose=verbose)

        with suppress(FileChangedError):
            return load_once()
        # Somebody saved to a file meanwhile: no trouble once, and an error twice.
        self.update_indices()
        return load_once()

    def _source(self, source: int | str | None) -> int | None:
        if source is None:
            return None
        names = self._files.names
        if isinstance(source, str):
            matches = [n for n, name in enumerate(names) if source in (name, Path(name).name)]
            if len(matches) != 1:
                raise AttributeMissingError(
                    f"source {source!r} names {len(matches)} of the {len(names)} files"
                )
            return matches[0]
        if not -len(names) <= source < len(names):
            raise AttributeMissingError(f"source {source} is not one of the {len(names)} files")
        return source % len(names)

    # ---------------------------------------------------------------- saving

    def save_attribute(
        self,
        attr: str,
        data: ArrayLike,
        mode: SaveMode = "overwrite",
        idxs: FrameSelection = None,
        *,
        casting: Casting = "checked",
        compression: str | Mapping[str, Any] | None = None,
        chunks: Sequence[int] | None = None,
        num_threads: int | None = None,
        transform: Transform | None = None,
        frame_shape: tuple[int, int] | None = None,
        fill_value: Any = None,
    ) -> None:
        """Save an attribute to the first file, where it was found or at the protocol's first path.

        The object's names, links, HDF5 attributes, filters and stored type survive. The file is
        changed in a copy that takes its name when all is written: until then, and after any error,
        the old file stands. Inside a :meth:`transaction` that happens once at its end.

        A file that this makes is a CXI 1.6 file: what CXI has a name for is found by it too. A CXI
        file gets a process, once a run of the program: which program saved to it, by which command,
        and when.

        Parameters
        ----------
        attr : str
            The attribute's name.
        data : array_like
            The values, of the attribute's kind.
        mode : {"overwrite", "append", "insert"}
            For stacks and sequences: replace all frames, add frames at the end, or put frames in
            at `idxs`. Scalars and frames are always replaced.
        idxs : sequence of int, optional
            Where each frame of `data` goes, with "insert"; an error with another mode.
        casting : {"checked", "unsafe"}
            Whether a value that does not fit the stored type is refused.
        compression : str or mapping, optional
            "bitshuffle" (with LZ4), "bitshuffle-zstd", "zstd", "deflate" (or "gzip"), "lz4" (these
            three after HDF5's byte shuffle), or "none"; with a level after a colon where there are
            levels: "deflate:6". Or h5py's keywords, or a filter of hdf5plugin. When None, a dataset
            that is there keeps its filters, and of new ones stacks are bitshuffled. Scalars and
            text are never compressed.
        chunks : sequence of int, optional
            Shape of a chunk. When None, a dataset that is there keeps its chunks, and a new stack
            has one a frame; small frames share one.
        num_threads : int, optional
            How many threads compress; None is all cores.
        transform : Transform, optional
            What made `data` of whole frames: its pixels go back to their places. Of frames that are
            there all other pixels stay as they are; of new ones they are `fill_value`.
        frame_shape : tuple of int, optional
            Shape (slow, fast) of whole frames, for `transform`; that of the frames that are there
            when None.
        fill_value : scalar, optional
            With `transform`, what is outside where there is nothing yet. When None, 0 for integers,
            `data` and whitefields, NaN for other floats. A mask is bad there in any case.

        Raises
        ------
        NotImplementedError
            `transform` bins: the pixels of a bin are lost.
        ReadOnlyStoreError
            The store's mode is "r".
        AttributeMissingError, LayoutError, FrameIndexError, CastError
            It cannot be saved so; the file is as it was.
        FileInUseError
            Somebody else writes to the file, and is named as far as that can be known.
        FileChangedError
            Somebody else changed it meanwhile, and theirs stays.
        StorageError
            The system failed or refused: a full disk, for one. The file is as it was.
        """
        self._check_open()
        whole = whole_frames(transform, frame_shape, fill_value)

        def prepare() -> saving.Change:
            if self.mode != "r":
                saving.check_readable(self._catalogue)
            return saving.prepare(
                self._catalogue,
                self.mode,
                attr,
                data,
                mode,
                idxs,
                self.find_dataset(attr),
                casting,
                compression,
                chunks,
                num_threads,
                whole,
            )

        change = prepare()
        with self.transaction() as transaction:
            try:
                transaction.begin(self._seen)
            except FileChangedError:  # somebody saved to it since it was looked at
                self.update_indices()
                change = prepare()
                transaction.begin(self._seen)
            saving.run(transaction, change)
            if not self._safe:
                self.update_indices()

    def writer(
        self,
        attr: str,
        shape: Sequence[int] | None = None,
        dtype: DTypeLike | None = None,
        mode: Literal["overwrite", "append"] = "overwrite",
        *,
        casting: Casting = "checked",
        compression: str | Mapping[str, Any] | None = None,
        chunks: Sequence[int] | None = None,
        num_threads: int | None = None,
    ) -> AbstractContextManager[FrameWriter]:
        """Lend a writer that takes the frames of an attribute batch by batch.

        Memory holds one batch at a time. What was appended is in the file, by one commit, when the
        block ends well; nothing of it is when the block ends by an error. Saves of other attributes
        within the block belong to the same commit.

        Parameters
        ----------
        attr : str
            A stack or a sequence.
        shape : sequence of int, optional
            Shape of one frame (or row); that of the first ones when None.
        dtype : dtype, optional
            Type to cast the frames to; that of the first ones when None.
        mode : {"overwrite", "append"}
            Whether the frames replace those that are there, or come after them.
        casting, compression, chunks, num_threads
            As in :meth:`save_attribute`.

        Examples
        --------
        >>> store = CXIStore("new.cxi", "w")
        >>> with store.writer("data", shape=(4, 6), dtype="uint16") as writer:
        ...     for number in range(10):
        ...         writer.append(np.full((4, 6), number))
        >>> store["data"].shape
        (10, 4, 6)
        """
        self._check_open()
        return writing(
            self,
            attr,
            shape,
            dtype,
            mode,
            casting=casting,
            compression=compression,
            chunks=chunks,
            num_threads=num_threads,
        )

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Group saves into one commit: all of them appear in the file, or none does.

        Loads within the block still see the file as it was. Other threads' saves wait. A save that
        fails within the block fails the block, also when its error is caught. In a store with
        ``safe=False`` each save is made at once and stays.
        """
        self._check_open()
        with self._files.saving:  # one thread at a time
            if self._transaction is not None:
                yield self._transaction
                return
            made = Transaction(
                self._files.paths[0],
                fresh=self._to_come,
                new=self._to_come and self.mode in ("x", "w-"),
                safe=self._safe,
                locking=self._locking,
            )
            try:
                with made as self._transaction:
                    yield made
            finally:
                self._transaction = None
                if made.done:
                    self._to_come = False
                    self.update_indices()


def _threads(processes: int | None, num_threads: int | None) -> int | None:
    if processes is not None and num_threads is not None and processes != num_threads:
        raise ValueError(
            f"processes={processes} and num_threads={num_threads} are two names of one thing"
        )
    return processes if num_threads is None else num_threads
