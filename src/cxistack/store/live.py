"""A store whose files are being written: what came to them, and the frames as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from numpy.typing import DTypeLike

from ..catalogue.catalogue import Catalogue
from ..catalogue.locate import Found
from ..errors import CXIError
from ..hdf5.files import Files
from ..hdf5.growth import refreshed
from ..hdf5.names import Given
from ..kernels import Casting
from ..loading.request import LoadRequest
from ..saving.session import SaveSession
from ..streaming.follow import Follow, Run
from ..transforms.transforms import TransformLike, transform_of
from .contents import Contents

__all__ = ["Live"]


class Live(Contents):
    """The part of :class:`CXIStore` that is about files which somebody writes to meanwhile."""

    _given: Given
    _session: SaveSession

    @property
    def _files(self) -> Files:
        return self._session.files

    @property
    def _catalogue(self) -> Catalogue:
        return self._session.catalogue

    def _names(self) -> tuple[str, ...] | None:
        """Return the files that the given names mean now; None where they stay what they are.

        A store that may save keeps its files: its first is the one that it saves to.
        """
        return self._given.files() if self.mode == "r" and self._given.has_globs else None

    def update_indices(self) -> None:
        """Look at the files anew: forget what was found and reopen what has changed on disk.

        In mode "r" globs are expanded again. Then the store is what a new one would be: frames keep
        their numbers but for those behind files that came, or frames that came to a file.
        """
        self._session.look(self._names())

    def refresh(self) -> None:
        """See what was appended, and which files came, and look at nothing else again.

        A file that has not changed is not looked at, and of one that an SWMR writer appends to
        (``swmr=True``) only how long its datasets are now: such a writer can change nothing else.
        Numbers of frames are those of :meth:`update_indices`.
        """
        names = self._names()
        self._session.look_again(self._files.names if names is None else names, self._kept_of)

    def _kept_of(self, path: str, found: Sequence[Found]) -> Sequence[Found] | None:
        """Return what was found in a file as it is now; None: it is to be looked at anew."""
        kept: list[Found] = []
        files = self._files
        for one in found:
            if one.error is not None or one.modules or one.also or not one.datasets:
                return None
            datasets = []
            for stored in one.datasets:
                if stored.place.filename != path or stored.assembly is not None:
                    return None  # by a link, which may lead elsewhere now
                now = stored if files.now(path) == stored.stamp else None
                if files.swmr:
                    try:
                        now = refreshed(files, stored)
                    except (CXIError, OSError, KeyError, RuntimeError):
                        now = None
                if now is None:
                    return None
                datasets.append(now)
            same = all(a is b for a, b in zip(datasets, one.datasets, strict=True))
            kept.append(one if same else Found(one.file, one.path, tuple(datasets)))
        return kept or None

    def follow(
        self,
        attr: str = "data",
        *,
        timeout: float | None = 60.0,
        until: int | None = None,
        batch: int | None = None,
        transform: TransformLike = None,
        dtype: DTypeLike | None = None,
        casting: Casting = "checked",
        on_error: Literal["raise", "skip"] = "raise",
    ) -> Follow:
        """Give the frames of a stack as they are written: those that are there, then the next ones.

        Each frame comes once, whole, and in order: by file as the store has them, and by row. What
        lies behind a file that cannot be read yet waits for it. Files may grow under SWMR
        (``CXIStore(..., swmr=True)``), or by being opened, appended to and closed, or be replaced
        by longer ones, as our own saves do; and new ones may come that a glob matches.

        A frame is whole under SWMR when its chunks are stored; of a chunk of several frames, when
        the writer is at the next chunk or has closed the file. (A writer that fills one frame's
        chunk by several writes, with flushes between them, gives it away before it is whole.)
        Without SWMR, a file is read while no HDF5 writer has it locked or marked; writers are never
        locked out meanwhile, where the system tells of locks (Linux).

        It ends when `timeout` seconds are over without a new frame; or with `until` frames; or,
        with ``swmr=True`` and files named without a glob, when their writers have closed them.

        Parameters
        ----------
        attr : str
            A stack, or a sequence.
        timeout : float or None
            Seconds that the next frame is waited for; None waits without end.
        until : int, optional
            How many frames to give at most.
        batch : int, optional
            How many frames come together at most; 16 MiB of them when None. What is there comes at
            once: a batch is not waited for until it is full.
        transform, dtype, casting
            As in :meth:`load_attribute`.
        on_error : {"raise", "skip"}
            What becomes of a file that cannot be read: its error is raised when the timeout is
            over, or the file is left out when the store's `wait` is, and told of in ``problems``.

        Returns
        -------
        Follow
            An iterator of batches, each a pair ``frames, idxs``, in arrays of its own. It counts
            what it gave (``count``), and ``close()`` ends it.

            `idxs` are the numbers that frames have in the store at that moment. Where files grow
            or come that lie before others, those others' numbers move on. Frames are known by
            their file and row: none is left out or given twice for that. A RuntimeWarning says so
            when frames that were given have other numbers.

        Raises
        ------
        AttributeMissingError, LayoutError, LinkError, StorageError
            What is there cannot be read, and that lasted until the timeout. A file that is written
            under SWMR, and a store that does not read so.
        FileChangedError
            A file has fewer frames than were given of it.
        CastError
            A value does not fit.
        ValueError
            `attr` has no frames, a number is negative, or files are on a server.

        Examples
        --------
        >>> store = CXIStore(example_run)
        >>> for frames, idxs in store.follow("data", timeout=0, batch=4):
        ...     print(frames.shape, idxs)
        (4, 16, 20) [0 1 2 3]
        (2, 16, 20) [4 5]
        """
        self._check_open()
        if self._files.remotes is not None:
            raise ValueError(
                "files on a server cannot be followed: what is written there is seen in files only "
                "that are whole; update_indices() looks at them anew"
            )
        wanted = self.protocol.attribute(attr)
        if wanted.kind not in ("stack", "sequence") or wanted.is_text:
            raise ValueError(f"{attr!r} is a {wanted.kind}: only frames and rows can be followed")
        for name, number in (("timeout", timeout), ("until", until), ("batch", batch)):
            if number is not None and (number < 0 or (name == "batch" and number < 1)):
                raise ValueError(f"{name} must not be {number}")
        request = LoadRequest(
            wanted, transform=transform_of(transform), dtype=dtype, casting=casting
        )
        skips = self._skips(attr, on_error)
        run = Run(
            lambda: self._files,
            lambda: self._names() or self._files.names,
            self._renewed,
            self._given.has_globs,
        )
        return Follow(run, request, timeout=timeout, until=until, batch=batch, skips=skips)

    def _renewed(self) -> Catalogue:
        self._check_open()
        self.refresh()
        return self._catalogue
