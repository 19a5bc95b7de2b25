"""A run as an xarray Dataset: its attributes with dimensions, coordinates and units, read lazily.

Importing this imports xarray; what a store offers (:meth:`cxistack.CXIStore.to_xarray`) does so
when it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import AttributeMissingError, CXIError
from ..loading.load import Load
from ..protocol.attribute import Attribute, Trait
from ..transforms.base import Transform
from ..transforms.transforms import TransformLike, transform_of
from .missing import missing

try:
    import xarray as xr
    from xarray.backends import BackendArray, BackendEntrypoint
    from xarray.core import indexing
except ModuleNotFoundError as error:
    raise missing("xarray", "Datasets") from error

__all__ = ["StackArray", "StoreBackend", "dataset_of", "opened"]

_LITTLE = 16 << 20  # bytes


class Lazy(Protocol):
    """An attribute that is read when it is indexed, as NumPy indexes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of a stored chunk."""

    @property
    def source(self) -> Iterable[tuple[str, str, range | None]]:
        """The datasets that frames come from."""

    @property
    def units(self) -> str | None:
        """The unit that values come in."""

    def __getitem__(self, key: Any) -> Any:
        """Read what an index means."""


class Run(Protocol):
    """What is asked of a store."""

    protocol: Any

    @property
    def found(self) -> list[str]:
        """The attributes that are there."""

    @property
    def frame_count(self) -> int:
        """How many frames of `data` there are."""

    def _prepare(self, attr: str, **words: Any) -> Load:
        """Decide how an attribute is loaded."""

    def is_indexed(self, attr: str) -> bool:
        """Tell whether there is a frame axis."""

    def _identifiers(self, name: str) -> NDArray[Any]:
        """Return what identifies each frame."""

    def filenames(self) -> list[str]:
        """Return the files' names."""

    def _lazy(self, attr: str, **words: Any) -> Lazy:
        """Return an attribute that is not read yet."""


class StackArray(BackendArray):
    """What xarray reads an attribute through: no more than what an index needs.

    Parameters
    ----------
    lazy : LazyArray
        The attribute.
    is_one_for_all : bool
        Whether its frames are all the same one, which alone this is then.
    is_whole : bool
        Whether it has no frames that are numbered as those of `data` are: all of it is read.
    """

    def __init__(self, lazy: Lazy, *, is_one_for_all: bool = False, is_whole: bool = False) -> None:
        self._lazy, self._is_one_for_all, self._is_whole = lazy, is_one_for_all, is_whole
        self.shape = lazy.shape[1:] if is_one_for_all else lazy.shape
        self.dtype = lazy.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> NDArray[Any]:
        """Read what an index of xarray's means."""
        # Of what supports all indices, xarray takes none apart; some of its versions do so wrongly.
        support = indexing.IndexingSupport.VECTORIZED
        read = self._points if isinstance(key, indexing.VectorizedIndexer) else self._outer
        return np.asarray(indexing.explicit_indexing_adapter(key, self.shape, support, read))

    async def async_getitem(self, key: indexing.ExplicitIndexer) -> NDArray[Any]:
        """Read it in a thread: it is decoded without the GIL, and an event loop goes on."""
        import asyncio

        return await asyncio.to_thread(self.__getitem__, key)

    def _outer(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Read by an index in which each axis stands for itself: an int, a slice, or an array."""
        pushed, left = list(key), []
        # A list of frames is the engine's; of other axes what lies between the outermost is read.
        for axis, one in enumerate(key):
            if isinstance(one, np.ndarray) and (axis or self._is_one_for_all):
                if not one.size:
                    pushed[axis] = slice(0, 0)
                    continue
                one = np.where(one < 0, one + self.shape[axis], one)
                first = int(one.min())
                pushed[axis] = slice(first, int(one.max()) + 1)
                kept = sum(not isinstance(before, int | np.integer) for before in key[:axis])
                left.append((kept, one - first))
        values = self._read(tuple(pushed))
        for axis, picked in left:
            values = values.take(picked, axis)
        return values

    def _points(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Read points: arrays go together, as in NumPy, and their axes come first."""
        at = [axis for axis, one in enumerate(key) if isinstance(one, np.ndarray)]
        values = self._read(key)
        if at and at[-1] - at[0] + 1 == len(at):  # NumPy leaves them where they are
            ndim = key[at[0]].ndim
            values = np.moveaxis(values, range(at[0], at[0] + ndim), range(ndim))
        return values

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        if self._is_whole:
            return np.asarray(self._lazy[...][key])
        return np.asarray(self._lazy[(0, *key) if self._is_one_for_all else key])


class StoreBackend(BackendEntrypoint):
    """What xarray opens a store by that is open already; it stays so."""

    description = "A CXIStore of detector frames"
    open_dataset_parameters = (
        "filename_or_obj",
        "transform",
        "dtype",
        "drop_variables",
        "identifiers",
    )

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        transform: TransformLike = None,
        dtype: Any = None,
        identifiers: str | Iterable[str] = (),
    ) -> xr.Dataset:
        """Return the Dataset of a store."""
        return dataset_of(filename_or_obj, transform, dtype, drop_variables, identifiers)


def opened(run: Run, chunks: Any, words: Mapping[str, Any]) -> xr.Dataset:
    """Return the Dataset of a store as xarray opens files: what was read is kept, chunks are made.

    Parameters
    ----------
    run : CXIStore
        The store.
    chunks : int, dict, "auto" or None
        As for :func:`xarray.open_dataset`.
    words : mapping
        What :func:`dataset_of` takes.
    """
    return xr.open_dataset(run, engine=StoreBackend, chunks=chunks, **words)


def dataset_of(
    run: Run,
    transform: TransformLike = None,
    dtype: DTypeLike | Mapping[str, DTypeLike] | None = None,
    drop_variables: str | Iterable[str] | None = None,
    identifiers: str | Iterable[str] = (),
) -> xr.Dataset:
    """Return a Dataset of all attributes that a store finds; see :meth:`CXIStore.to_xarray`.

    Parameters
    ----------
    run : CXIStore
        The store, which must stay open for as long as the Dataset is read.
    transform, dtype, drop_variables, identifiers
        As there.

    Raises
    ------
    AttributeMissingError
        Nothing of the protocol is there.
    CXIError
        An attribute does not fit the protocol; a note to the error says how to do without.
    """
    dropped = {drop_variables} if isinstance(drop_variables, str) else set(drop_variables or ())
    made = _Made(run, transform_of(transform), dtype)
    if not run.found:
        raise AttributeMissingError(
            f"{', '.join(run.filenames()[:3])}: none of the protocol's attributes is there; "
            "protocol= says where else to look"
        )
    # The grid is that of the frames: what has another comes by dimensions of its own.
    for name in sorted(set(run.found) - dropped, key=lambda name: (name != "data", name)):
        try:
            made.add(name)
        except (CXIError, OSError) as error:
            error.add_note(f"drop_variables={name!r} leaves it out")
            raise
    made.add_pixels(dropped)
    for name in [identifiers] if isinstance(identifiers, str) else identifiers:
        values = run._identifiers(name)
        text = values.dtype.kind == "O"
        made.coords[name] = xr.Variable("frame", values.astype(np.str_) if text else values)
    coords = {**made.coords}
    if "frame" in made.sizes:
        coords["frame"] = xr.Variable("frame", np.arange(made.sizes["frame"]))
    return xr.Dataset(made.variables, coords)


class _Made:
    """Variables and coordinates as they are made, and how long the dimensions are by now."""

    def __init__(self, run: Run, transform: Transform | None, dtype: Any) -> None:
        self._run, self._transform, self._dtype = run, transform, dtype
        self.sizes: dict[str, int] = {}
        self.variables: dict[Hashable, xr.Variable] = {}
        self.coords: dict[Hashable, xr.Variable] = {}

    def add(self, name: str) -> None:
        """Add an attribute."""
        attribute: Attribute = self._run.protocol.attribute(name)
        words = self._words(attribute)
        lazy, load = self._run._lazy(name, **words), self._run._prepare(name, **words)
        may_have_frames = attribute.kind in ("stack", "sequence")
        is_one = may_have_frames and load.is_static
        has_frames = may_have_frames and not is_one and self._run.is_indexed(name)
        has_frames = has_frames and load.count == self._run.frame_count
        is_whole = may_have_frames and not is_one and not has_frames
        array = StackArray(lazy, is_one_for_all=is_one, is_whole=is_whole)
        dims = self._dims(attribute, array.shape, has_frames)
        # Text is read at once: Dask cannot cut objects, of which nobody knows the size.
        is_text = attribute.is_text
        lazily = indexing.LazilyIndexedArray(array)
        data = np.asarray(np.asarray(lazy), np.str_) if is_text else lazily
        variable = xr.Variable(dims, data, _told(attribute, lazy))
        if has_frames and not is_text:
            variable.encoding["preferred_chunks"] = _chunk_frames(lazy)
        is_coordinate = has_frames and (name == "translations" or _identifies(array))
        (self.coords if is_coordinate else self.variables)[name] = variable
        if "xyz" in dims:
            self.coords["xyz"] = xr.Variable("xyz", ["x", "y", "z"])

    def _words(self, attribute: Attribute) -> dict[str, Any]:
        """Return how an attribute is loaded."""
        words: dict[str, Any] = {}
        if attribute.has_pixels and self._transform is not None:
            words["transform"] = self._transform
        dtype = self._dtype
        if isinstance(dtype, Mapping):
            dtype = dtype.get(attribute.name)
        elif not attribute.has_pixels or attribute.is_mask:
            dtype = None
        return words if dtype is None else {**words, "dtype": np.dtype(dtype)}

    def _dims(self, attribute: Attribute, shape: tuple[int, ...], has_frames: bool) -> list[str]:
        """Return names for axes; those of another length than before get the attribute's name."""
        names = [f"{attribute.name}_{axis}" for axis in range(len(shape))]
        if has_frames:
            names[0] = "frame"
        if attribute.has_pixels and Trait.OWN_GRID not in attribute.traits and len(shape) > 1:
            names[-2:] = ["ss", "fs"]
            if has_frames and len(shape) > 3:
                names[1] = "module"
        if attribute.name == "translations" and has_frames and shape[1:] == (3,):
            names[1] = "xyz"
        for axis, (name, size) in enumerate(zip(names, shape, strict=True)):
            if self.sizes.setdefault(name, size) != size:
                names[axis] = f"{attribute.name}_{name}"
                self.sizes[names[axis]] = size
        return names

    def add_pixels(self, dropped: set[str]) -> None:
        """Add which pixels of a whole frame the pixels are, and where these lie in units."""
        if "ss" not in self.sizes:
            return
        places = _places(self._transform, self.sizes["ss"], self.sizes["fs"])
        if places is None:
            return
        for dim, place, along, pitch in zip(
            ("ss", "fs"), places, ("y", "x"), ("y_pixel_size", "x_pixel_size"), strict=True
        ):
            self.coords[dim] = xr.Variable(
                dim, place, {"long_name": f"pixel of a whole frame along its {dim} axis"}
            )
            if pitch in self.variables and along not in (*self.variables, *dropped):
                size = self.variables[pitch]
                if size.size == 1:
                    told = {"long_name": "from the first pixel's centre", **size.attrs}
                    self.coords[along] = xr.Variable(dim, place * size.values.item(), told)


def _identifies(array: StackArray) -> bool:
    """Tell whether values are a number or a name for each frame, as train and event numbers are."""
    return len(array.shape) == 1 and array.dtype.kind in "iuO"


def _told(attribute: Attribute, lazy: Lazy) -> dict[str, str]:
    """Return what is said of a variable."""
    told = {}
    if attribute.is_number and lazy.units is not None:
        told["units"] = lazy.units
    if attribute.is_mask:
        told["long_name"] = "True where a pixel is good"
    return told


def _chunk_frames(lazy: Lazy) -> dict[str, int | tuple[int, ...]]:
    """Return how many frames a stored chunk has, of which xarray makes Dask chunks.

    Of a little array nothing is said: it may be one Dask chunk, or be cut anywhere.
    """
    frames = lazy.chunks[0] if lazy.chunks else 1
    if lazy.dtype.itemsize * math.prod(lazy.shape) <= _LITTLE:
        return {}
    lengths = [len(one[2]) for one in lazy.source if one[2] is not None]
    if not any(length % frames for length in lengths[:-1]):
        return {"frame": frames}
    cuts: list[int] = []
    for length in lengths:
        cuts += [frames] * (length // frames) + [length % frames] * bool(length % frames)
    return {"frame": tuple(cuts)}


def _places(
    transform: Transform | None, rows: int, columns: int
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return which pixels of a whole frame rows and columns are; None where that is not by axis."""
    ss, fs = np.arange(rows), np.arange(columns)
    if transform is None:
        return ss, fs
    try:
        below = transform.backward_points(*np.broadcast_arrays(fs[:1], ss))[1]
        left = transform.backward_points(*np.broadcast_arrays(fs, ss[:1]))[0]
        far = transform.backward_points(*np.broadcast_arrays(fs, ss[-1:]))
        end = transform.backward_points(*np.broadcast_arrays(fs[-1:], ss))
    except NotImplementedError:  # one of the user's own, that says nothing of points
        return None
    if not (np.array_equal(far[0], left) and np.array_equal(end[1], below)):
        return None
    return _as_numbers(below), _as_numbers(left)


def _as_numbers(places: Any) -> NDArray[Any]:
    """Return places as integers where all are."""
    array = np.asarray(places, np.float64)
    whole = array.astype(np.int64)
    return whole if np.array_equal(whole, array) else array
