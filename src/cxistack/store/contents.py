"""What the files of a store hold under its protocol: a mapping of attributes, and what is wrong."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..catalogue.catalogue import Catalogue
from ..catalogue.frames import FrameSelection
from ..checking import agreement, check
from ..checking.findings import Finding, Problem
from ..checking.problems import misfits
from ..errors import AttributeMissingError, ClosedStoreError
from ..hdf5.files import Files
from ..hdf5.patience import read_again
from ..kernels import Casting
from ..loading.explain import Explanation, explanation, masked_explanation
from ..loading.load import Load
from ..loading.masked import check_masked, read_masked
from ..loading.prepare import prepare, viewed
from ..loading.prepared import PreparedLoad
from ..loading.request import LoadRequest
from ..loading.sparse import sparse_way
from ..protocol.protocol import CXIProtocol
from ..saving import units
from ..streaming.skipping import OnError, Skips, check_on_error
from ..transforms.transforms import TransformLike
from . import table
from .kept import KeptLoads, key_of
from .lazy import LazyArray

__all__ = ["Contents", "one_of_two"]

_PIXELS = ("ss_idxs", "fs_idxs", "transform")  # words of a load that say which pixels


class Contents(Mapping[str, LazyArray]):
    """What a run's files hold; :class:`CXIStore` also loads and saves it."""

    protocol: CXIProtocol
    mode: str
    _kept: KeptLoads

    @property
    @abstractmethod
    def _files(self) -> Files:
        """The files, and what is open of them."""

    @property
    @abstractmethod
    def _catalogue(self) -> Catalogue:
        """What the files have, as they were when they were last looked at."""

    @abstractmethod
    def update_indices(self) -> None:
        """Look at the files anew."""

    def open(self) -> None:
        """Open the store again after :meth:`close`; what changed on disk meanwhile is seen."""
        if not self:
            self._files.closed = False
            self.update_indices()

    def close(self) -> None:
        """Close every file. Nothing waits for it: each save is on disk when it returns."""
        self._files.closed = True  # first: who is reading lets go of the file that it reads
        self._files.release()
        if self._files.remotes is not None:
            self._files.remotes.forget_bytes()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

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
        self._check_open()
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
        transform: TransformLike = None,
        dtype: DTypeLike | None = None,
        casting: Casting = "checked",
    ) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return the shape and dtype that :meth:`load_attribute` would give, without reading."""
        self._check_open()
        load = self._prepare(attr, transform=transform, dtype=dtype, casting=casting)
        return load.shape, load.dtype

    def _prepare(self, attr: str, source: int | str | None = None, **words: Any) -> Load:
        """Decide a load by the words of a :class:`LoadRequest`; a source may be a name."""
        catalogue, key = self._catalogue, key_of(attr, source, words)
        load = self._kept.get(catalogue, key)
        if load is None:
            number = None if source is None else self._number_of(source)
            request = LoadRequest(self.protocol.attribute(attr), source=number, **words)
            whole = {name: word for name, word in words.items() if name not in _PIXELS}
            load = self._kept.get(catalogue, key_of(attr, source, whole))
            if load is not None and load.attribute.has_pixels:
                load = viewed(load, request)
            load = load or replace(prepare(catalogue, request), cache=self._kept.chunks)
            self._kept.keep(catalogue, key, load)
        return load

    def _present(self, attr: str, key: object, words: Mapping[str, Any]) -> Load:
        """Return what the files have of an attribute now, as far as they were looked at."""
        if self._files.closed:
            self._check_open()
        # By a key that is made once: this is asked for each frame of a loop.
        return self._kept.get(self._catalogue, key) or self._prepare(attr, **words)

    def _number_of(self, source: int | str) -> int:
        """Return the number of a file that is named, or numbered."""
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

    def _read(
        self,
        attr: str,
        idxs: FrameSelection = None,
        out: NDArray[Any] | None = None,
        *,
        masked: Any = None,
        num_threads: int | None = None,
        verbose: bool = False,
        **words: Any,
    ) -> Any:
        """Load what :meth:`_prepare` decides; once more where a file changed meanwhile.

        Frames must have the numbers that they have in a load that `words` may have as `begun`.
        """
        begun: Load | None = words.pop("begun", None)

        def read() -> Any:
            self._check_open()
            load = self._prepare(attr, **words)
            if begun is not None:
                begun.refuse_moved(load)
            how: dict[str, Any] = {"num_threads": num_threads, "verbose": verbose}
            if masked is None:
                return load.read(load.numbers(idxs), out, **how)
            value = check_masked(load, masked)
            same = {name: words[name] for name in ("ss_idxs", "fs_idxs", "transform")}
            mask = self._prepare("mask", **same)

            def plain() -> Load:
                return self._prepare(attr, **{**words, "dtype": None})

            return read_masked(load, mask, idxs, out, value, plain, **how)

        return read_again(read, self.update_indices)

    def _skips(self, attr: str, on_error: OnError) -> Skips | None:
        """Return what leaves out bad files; None where they are to raise."""
        if not check_on_error(on_error):
            return None
        return Skips(attr, lambda name, file, why: Problem("", name, file, why))

    def is_static(self, attr: str) -> bool:
        """Tell whether one frame, of one dataset, stands for all frames of a stack."""
        self._check_open()
        return self._prepare(attr).is_static

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
            if self.protocol.attribute(attr).has_pixels:
                for found in self._catalogue.found(attr).values():
                    if found.error is None:
                        slow, fast = found.datasets[0].shape[-2:]
                        return slow, fast
        return 0, 0

    def find_dataset(self, attr: str) -> str:
        """Return where the first file has the attribute, or the protocol's first path for it."""
        self._check_open()
        found = self._catalogue.found(attr).get(0)
        return found.path if found is not None else self.protocol.attribute(attr).paths[0]

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
        and scalars agree, a plain mask has two values, a unit is known, and every chunk of
        `attributes` (all that are found when None) decodes, in bounded memory. Each is read once.
        After a failure the check goes on; see :class:`Finding`. Raises
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
        transform: TransformLike = None,
        dtype: DTypeLike | None = None,
        casting: Casting = "checked",
        source: int | str | None = None,
        raw: bool = False,
        masked: Any = None,
        sparse: bool = False,
    ) -> Explanation:
        """Tell how a load would be done: from which datasets, through which links and filters.

        The arguments are those of :meth:`load_attribute`; no pixel is read. What is kept of earlier
        loads is told, too; and with `sparse` how a sparse stream finds its pixels. The result is a
        str, which a notebook shows line by line.
        """
        self._check_open()
        pixels = {"ss_idxs": ss_idxs, "fs_idxs": fs_idxs, "transform": transform}
        how: dict[str, Any] = {"dtype": dtype, "casting": casting, "source": source, "raw": raw}
        load = self._prepare(attr, **how, **pixels)
        told = explanation(load, load.numbers(idxs))
        if sparse:
            told += f"\n{sparse_way(load, load.numbers(idxs))}"
        if masked is None:
            return Explanation(told)
        value, mask = check_masked(load, masked), self._prepare("mask", **pixels)
        return Explanation(f"{told}\n{masked_explanation(load, mask, mask.numbers(idxs), value)}")

    def prepared(
        self,
        attr: str,
        *,
        ss_idxs: Any = slice(None),
        fs_idxs: Any = slice(None),
        transform: TransformLike = None,
        dtype: DTypeLike | None = None,
        casting: Casting = "checked",
        source: int | str | None = None,
        raw: bool = False,
    ) -> PreparedLoad:
        """Prepare a load for C or Cython code, which reads it on its own threads without Python.

        Parameters
        ----------
        attr : str
            The attribute's name.
        ss_idxs, fs_idxs, transform, dtype, casting, source, raw
            As for :meth:`load_attribute`.

        Returns
        -------
        PreparedLoad
            Its capsule is what `open` of ``cxistack/capi.h`` takes. That looks up where all frames
            lie, and refuses, with the reason, what only HDF5 can read, or takes more than one cast
            and one view (:meth:`explain` tells of both).

        Raises
        ------
        AttributeMissingError, LayoutError, CastError
            As for :meth:`load_attribute`.

        Examples
        --------
        >>> load = CXIStore(example_run).prepared("data", transform=Crop([0, 4, 0, 8]))
        >>> load
        <PreparedLoad of 'data': (6, 4, 8) uint16>
        >>> capsule = load.capsule()
        """
        self._check_open()
        pixels = {"ss_idxs": ss_idxs, "fs_idxs": fs_idxs, "transform": transform}
        how: dict[str, Any] = {"dtype": dtype, "casting": casting, "source": source, "raw": raw}
        return PreparedLoad(self._prepare(attr, **how, **pixels))


def one_of_two(processes: int | None, num_threads: int | None) -> int | None:
    """Return how many threads work, which has two names."""
    if processes is not None and num_threads is not None and processes != num_threads:
        raise ValueError(
            f"processes={processes} and num_threads={num_threads} are two names of one thing: give "
            "one"
        )
    return processes if num_threads is None else num_threads
