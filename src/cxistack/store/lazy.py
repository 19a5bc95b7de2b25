"""An attribute that is not read yet: shape and dtype at once, pixels when it is indexed."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..catalogue.catalogue import Catalogue
from ..errors import ClosedStoreError, FileChangedError
from ..kernels import Casting, cast
from ..loading.load import Load
from ..markup import notebook, table
from ..pictures.thumbnail import of_load
from ..transforms.base import Transform
from ..transforms.transforms import ComposeTransforms, TransformLike, transform_of
from .as_stored import SourceDataset, chunks_of, sources_of, unit_of
from .kept import key_of
from .picking import keys_of, picked
from .token import token_of

__all__ = ["LazyArray"]

Pixel = TypeVar("Pixel", bound=np.generic)


class OwnStore(Protocol):
    """What a lazy array asks of its store."""

    @property
    def _catalogue(self) -> Catalogue: ...
    def _prepare(self, attr: str, source: int | str | None = None, **words: Any) -> Load: ...
    def _present(self, attr: str, key: object, words: Mapping[str, Any]) -> Load: ...
    def _read(self, attr: str, idxs: Any = None, **words: Any) -> Any: ...


class LazyArray:
    """What ``store[attr]`` is: an array in the files, indexed as NumPy indexes, read when it is.

    It is pickled as words (names, protocol, what is asked for), never as open files or pixels: in
    another process it opens its own. It reads the files as they are when it is indexed, and raises
    FileChangedError where they have fewer frames, or others in shape or type, by then.

    ``np.asarray`` and DLPack (``np.from_dlpack``, ``torch.from_dlpack``) read all of it; what an
    index gives is a NumPy array, which other libraries take by DLPack without a copy.

    Parameters
    ----------
    run : CXIStore
        Whose it is.
    attr : str
        Which attribute it is.
    words : mapping, optional
        How it is loaded: `transform`, `dtype` and `casting` of :meth:`CXIStore.load_attribute`.

    Attributes
    ----------
    shape : tuple of int
        Its shape; the frame axis comes first for stacks and sequences.
    dtype : numpy.dtype
        The type that its values come in.

    Examples
    --------
    >>> data = CXIStore(example_run)["data"]
    >>> data.shape, data.dtype, data[1:, 0, [3, 1]].tolist()
    ((6, 16, 20), dtype('uint16'), [[203, 201], [303, 301], [403, 401], [503, 501], [603, 601]])
    >>> small = data.transform([Crop([0, 4, 0, 8]), Downscale(2)]).astype("float32")
    >>> small
    <data: float32 (6, 2, 4), not read>
    >>> small[5, 1]
    array([640., 642., 644., 646.], dtype=float32)
    """

    _threads: int | None = None  # that read; every core when None

    def __init__(self, run: OwnStore, attr: str, words: Mapping[str, Any] | None = None) -> None:
        self._run, self._attr, self._words = run, attr, dict(words or {})
        load = run._prepare(attr, **self._words)
        self.shape, self.dtype = load.shape, load.dtype
        self._begin(load)

    def _begin(self, load: Load) -> None:
        """Have a load of what this is; it is made again in another process."""
        self._attr = load.attr
        self._load = load
        self._key = key_of(self._attr, None, self._words)
        self._has_frames = not load.is_single
        self._reader = partial(self._run._read, num_threads=self._threads)

    def __getstate__(self) -> dict[str, Any]:
        names = ("_run", "_attr", "_words", "_threads", "shape", "dtype")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __getattr__(self, name: str) -> Any:
        """Prepare the load of what was unpickled when it is first used."""
        if name not in ("_load", "_key", "_has_frames", "_reader") or "_run" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._begin(self._run._prepare(self._attr, **self._words))
        self._refuse_other(self._load)
        return self.__dict__[name]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes that all of it takes once it is read."""
        return self.size * self.dtype.itemsize

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of a chunk as it is stored, along the axes of this array, or None.

        As h5py's ``dataset.chunks``, cut to the array. Of frames that a transform changes, or that
        are put together of modules, a chunk has whole frames. None where datasets are contiguous,
        or have chunks of different shapes, and where one frame stands for all.
        """
        return chunks_of(self._load)

    @property
    def source(self) -> tuple[SourceDataset, ...]:
        """The datasets that the values come from, in the order of their frames.

        Each is (filename, path, frames); `frames` is the range of this array's frames that it has,
        or None where there is no frame axis. Of a virtual dataset of whole frames, these are its
        sources; of modules that lie in a file each, the first file and the pattern of their paths.
        A mask that is made of limits comes from the stack that they are about.
        """
        return sources_of(self._load)

    @property
    def units(self) -> str | None:
        """The unit that values come in, or None where nothing states one.

        It is the protocol's; where that states none, the one that datasets state by their HDF5
        attribute ``units``, if it is the same in all files. Of a stack only the first file is
        asked (:meth:`CXIStore.stated_unit` looks at all).
        """
        return unit_of(self._load.attribute, self._run._catalogue)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        """Return the frames one after the other; they are read ahead, in batches.

        Frames of one batch, of 16 MiB or of whole chunks, are views of one array.
        """
        if not self.shape:
            raise TypeError(f"iteration over {self._attr!r}, which is a scalar")
        return self._frame_by_frame()

    def _frame_by_frame(self) -> Iterator[Any]:
        batch = self._load.batch if self._has_frames else len(self)
        for first in range(0, len(self), batch):
            yield from self[first : first + batch]

    def __repr__(self) -> str:
        return f"<{self._attr}: {self.dtype} {self.shape}, not read>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: what it is, where it lies, and its first frame."""
        words = {name: word for name, word in self._words.items() if name == "casting"}
        read = partial(self._run._read, **words)
        try:
            datasets, units = self.source, self.units
            small = of_load(self._load, read, self._words.get("transform"))
        except ClosedStoreError:
            return notebook(f"{repr(self)[1:-1]}; its store is closed")
        rows = [
            ("bytes", f"{self.nbytes:,}"),
            ("chunks, as stored", self.chunks or "none, or not all alike"),
            ("units", units or "none stated"),
            ("from", f"{datasets[0].filename}:{datasets[0].path}" if datasets else "nothing"),
        ]
        if datasets[1:]:
            rows.append(("", f"and {len(datasets) - 1} more datasets"))
        return notebook(repr(self)[1:-1], table((), rows), small)

    def plot(self, frame: int = 0, **words: Any) -> Any:
        """Draw one frame by Matplotlib, as it is transformed and cast here; return its Axes.

        Parameters
        ----------
        frame : int
            Which frame of a stack; -1 is the last.
        **words
            Those of :meth:`CXIStore.plot`: `ax`, `log`, `mm`, `mask`, `vmin`, `vmax` and others.
            A `transform` acts on what comes here.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> small = CXIStore(example_run)["data"].transform(Downscale(2, mode="sum"))
        >>> small.plot(3, ax=Figure().subplots()).get_title()
        'run.cxi: data, frame 3 of 6, 8 × 10 uint64'
        """
        store: Any = self._run
        words["transform"] = self._also(transform_of(words.get("transform"))).get("transform")
        return store.plot(self._attr, frame, **{"dtype": self._words.get("dtype"), **words})

    def __dask_tokenize__(self) -> tuple[str, str]:
        """Return what is the same in every process for as long as the files are what they are.

        It tells of each file's path, size, inode and time of change, of the protocol, and of how
        this is loaded. A transform of one's own is known by its pickle.
        """
        return ("cxistack.LazyArray", token_of(self._load))

    # ---------------------------------------------------------------- as it is loaded

    def astype(self, dtype: DTypeLike, casting: Casting = "checked") -> LazyArray:
        """Return the array that loads as another type; nothing is read.

        Parameters
        ----------
        dtype : dtype
            The type, as `dtype` of :meth:`CXIStore.load_attribute`.
        casting : {"checked", "unsafe"}
            Whether a value that would change raises when it is read.

        Raises
        ------
        TypeError
            Nothing is cast to such a type.
        ValueError
            It was given a type before that does not hold all values, so that they would be cast
            twice.

        Examples
        --------
        >>> CXIStore(example_run)["data"].astype("float32")[0, 0, :3]
        array([100., 101., 102.], dtype=float32)
        """
        if "dtype" in self._words:
            rest = {name: self._words[name] for name in self._words.keys() - {"dtype", "casting"}}
            before = self._run._prepare(self._attr, **rest).dtype
            if not np.can_cast(before, self.dtype, "safe"):
                raise ValueError(
                    f"{self._attr!r} is {before}, was made {self.dtype}, and would now be made "
                    f"{np.dtype(dtype)}: one astype() is enough, of store[{self._attr!r}]"
                )
        return LazyArray(
            self._run, self._attr, {**self._words, "dtype": np.dtype(dtype), "casting": casting}
        )

    def transform(self, transform: TransformLike) -> LazyArray:
        """Return the array of transformed frames; nothing is read.

        Of an array that is transformed already, it acts on what comes then. A type that
        :meth:`astype` gave stays.

        Parameters
        ----------
        transform : Transform or list of them
            As for :meth:`CXIStore.load_attribute`.

        Raises
        ------
        LayoutError
            It does not act on frames of this shape.
        ValueError
            The attribute has no pixels.

        Examples
        --------
        >>> data = CXIStore(example_run)["data"].transform(Crop([2, 10, 0, 20]))
        >>> data.transform(Downscale(2, mode="sum"))[0, 0, :2]
        array([602, 610], dtype=uint64)
        """
        if not self._load.attribute.has_pixels:
            raise ValueError(
                f"a transform acts on frames, and {self._attr!r} is a {self._load.attribute.kind}, "
                "which has none"
            )
        return LazyArray(self._run, self._attr, self._also(transform_of(transform)))

    def _also(self, transform: Transform | None) -> dict[str, Any]:
        """Return the words of this with one more transform."""
        before = self._words.get("transform")
        if transform is None:
            return self._words
        both = transform if before is None else ComposeTransforms([before, transform])
        return {**self._words, "transform": both}

    def to_dask(self, chunks: Any = "auto", *, num_threads: int = 1) -> Any:
        """Return a Dask array of it, whose blocks are read when they are computed.

        Blocks end where files do, or else where stored chunks do; several short files share one.
        Slices and crops of the Dask array go down to the reader: of a block only those pixels are
        read. It reads the files as they are now, and raises FileChangedError where a block comes
        from one that was changed since. It goes to other processes by pickle, as words; they reach
        the files by the same paths.

        Parameters
        ----------
        chunks : "auto", str, int, tuple or dict
            * "auto": whole frames, as many as fit Dask's ``array.chunk-size`` (128 MiB), or a
              number of bytes: "64 MiB"
            * an int: at most so many whole frames
            * what Dask takes: a length or "auto" for each axis, or lengths of all blocks. "auto" is
              as above for the frames, and all of an axis of pixels
        num_threads : int
            How many threads read a block. Dask computes as many blocks at a time as its scheduler
            has threads: these are the parallelism, and more threads in each would share the cores
            with them. Say more where a worker has fewer threads than cores.

        Returns
        -------
        dask.array.Array
            Of this shape and dtype. A mask of one frame that stands for all is read once.

        Raises
        ------
        ImportError
            Dask is not installed.
        ValueError
            It is text, or `chunks` does not fit.
        LayoutError
            Its frames are not those of `data`.

        Examples
        --------
        >>> data = CXIStore(example_run)["data"].to_dask(chunks=4)
        >>> data.chunks
        ((3, 3), (16,), (20,))
        >>> int(data[:, 2:4, 5].max().compute())
        665
        """
        from ..adapters.dask import to_dask

        array = copy.copy(self)
        array._threads = num_threads
        array._begin(self._load)
        return to_dask(array, chunks)

    def _now(self) -> Load:
        """Return the load of this as the files are now, as far as they were looked at."""
        return self._run._present(self._attr, self._key, self._words)

    # ---------------------------------------------------------------- what is read

    @overload
    def __array__(
        self, dtype: type[Pixel] | np.dtype[Pixel], copy: bool | None = None
    ) -> NDArray[Pixel]: ...
    @overload
    def __array__(self, dtype: None = None, copy: bool | None = None) -> NDArray[Any]: ...
    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("an attribute in a file cannot become an array without a copy")
        if dtype is None or "dtype" in self._words:
            values = self._read(slice(None) if self._has_frames else None, None)
            return values if dtype is None else np.asarray(cast(values, np.dtype(dtype)))
        # The dtype is the load's, so that a value which does not fit raises.
        values = np.asarray(self._reader(self._attr, **{**self._words, "dtype": dtype}))
        return values[: len(self)] if self._has_frames else values

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[Any, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Read all of it, and give that by DLPack: ``np.from_dlpack``, ``torch.from_dlpack``."""
        if copy is False:
            raise BufferError("an attribute in a file cannot be exported without a copy")
        values = np.require(np.asarray(self), requirements="W")
        words = {"stream": stream, "max_version": max_version, "dl_device": dl_device}
        # NumPy before 2.1 knows the first alone.
        return values.__dlpack__(**{name: word for name, word in words.items() if word is not None})

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return what says that values come into the CPU's memory."""
        return np.empty(0).__dlpack_device__()

    @overload
    def __getitem__(self, key: slice | list[int] | list[bool] | NDArray[Any]) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, key: Any) -> Any: ...
    def __getitem__(self, key: Any) -> Any:
        if type(key) is int and self._has_frames:
            load = self._now()
            frame = load.frame(key) if load is self._load else None
            if frame is not None:
                return frame
        full = keys_of(key, self.shape, self._attr)
        if full is None:
            return self._read(slice(None) if self._has_frames else None, None)[key]
        wanted = picked(full, self.shape, self._has_frames, self._load.attribute.has_pixels)
        return self._read(wanted.frames, wanted.pixels)[wanted.left]

    def _read(self, frames: Any, pixels: Transform | None) -> NDArray[Any]:
        """Read frames as the files have them now; those of an int keep their axis."""
        is_whole = isinstance(frames, slice) and frames == slice(None)
        idxs = None if is_whole else frames  # all are not listed, for there may be very many
        values = np.asarray(self._reader(self._attr, idxs, **self._also(pixels)))
        now = self._now()
        if now is not self._load:
            self._refuse_other(now)
            if now.count == self._load.count:
                self._load = now
        return values[: len(self)] if is_whole else values

    def _refuse_other(self, now: Load) -> None:
        """Raise where the files have something else by now; more frames do no harm."""
        is_same = (now.frame_shape, now.dtype) == (self.shape[self._has_frames :], self.dtype)
        if not is_same or (self._has_frames and now.count < len(self)):
            raise FileChangedError(
                f"{self._attr!r} was {self.dtype} {self.shape}, and is {now.dtype} {now.shape} in "
                "the files now: make it again from its store"
            )
