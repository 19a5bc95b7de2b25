"""The reading half of a store: what a run's files hold under a protocol, and loading it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..catalogue.catalogue import Catalogue
from ..catalogue.frames import FrameSelection
from ..checking import agreement, check
from ..checking.findings import Finding, Problem
from ..checking.problems import misfits
from ..errors import AttributeMissingError, ClosedStoreError, FileChangedError
from ..hdf5.files import Files
from ..kernels import Casting
from ..loading import explain, read
from ..loading.load import prepare
from ..protocol.protocol import CXIProtocol
from ..saving import units
from ..transforms.base import Transform
from . import table
from .lazy import LazyArray

__all__ = ["Run"]


class Run(Mapping[str, LazyArray]):
    """A run's files, open for reading; :class:`CXIStore` is one that also saves."""

    protocol: CXIProtocol
    mode: str
    _files: Files
    _catalogue: Catalogue

    @abstractmethod
    def update_indices(self) -> None:
        """Look at the files anew."""

    def __bool__(self) -> bool:
        return not self._files.closed

    def _check_open(self) -> None:
        if not self:
            raise ClosedStoreError("the store is closed: call open() or use it in a with block")

    # ---------------------------------------------------------------- files

    def filenames(self) -> list[str]:
        """Return the files' names, as given or as the glob found them."""
        return list(self._files.names)

    def paths(self) -> list[str]:
        """Return the files' absolute paths."""
        return list(self._files.paths)

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
        load = prepare(self._catalogue, attr, transform=transform, dtype=dtype, casting=casting)
        return load.shape, load.dtype

    def is_static(self, attr: str) -> bool:
        """Tell whether one frame, of one dataset, stands for all frames of a stack."""
        self._check_open()
        return prepare(self._catalogue, attr).is_static

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

    def stated_unit(self, attr: str) -> str | None:
        """Return the unit that the files' datasets of an attribute state, or None: they state none.

        Values come in this unit where the protocol states none for the attribute. Raises
        LayoutError where datasets state different ones.
        """
        self._check_open()
        return units.stated_unit(self._catalogue, attr)

    @property
    def problems(self) -> list[Problem]:
        """What in the files does not fit the protocol; each is an error when it is asked for.

        Scalars and frames that several files have are read and compared: only the first file's
        are loaded (see `source` of :meth:`load_attribute`).
        """
        self._check_open()
        problems = misfits(self._catalogue)
        told = set(problems)
        return problems + [one for one in agreement.differences(self._catalogue) if one not in told]

    def check(
        self,
        attributes: Sequence[str] | None = None,
        *,
        conformance: bool = False,
        num_threads: int | None = None,
        verbose: bool = True,
    ) -> list[Finding]:
        """Check that the run is whole, and return all that is wrong with it.

        Every file opens, every link and virtual source is there, shapes, types, numbers of frames
        and scalars agree, and every chunk of `attributes` (all that are found when None) decodes:
        once, in bounded memory. After a failure the check goes on; see :class:`Finding`. Raises
        AttributeMissingError where the protocol does not know one of `attributes`. With
        `conformance`, files that say they are CXI are held against CXI 1.6: version, entries,
        links, axes, units, processes.

        Examples
        --------
        >>> CXIStore(example_run).check(verbose=False)
        []
        """
        self._check_open()
        return check.check(
            self._catalogue,
            attributes,
            conformance=conformance,
            num_threads=num_threads,
            verbose=verbose,
        )

    def __repr__(self) -> str:
        if not self:
            return f"<closed CXIStore of {len(self._files.names)} files>"
        return table.table(self._catalogue, self.mode)

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
        load = prepare(
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
        return explain.explanation(self._catalogue, load)

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
            load = prepare(
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
            return read.run(self._catalogue, load, out=out, num_threads=threads, verbose=verbose)

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


def _threads(processes: int | None, num_threads: int | None) -> int | None:
    if processes is not None and num_threads is not None and processes != num_threads:
        raise ValueError(
            f"processes={processes} and num_threads={num_threads} are two names of one thing"
        )
    return processes if num_threads is None else num_threads
