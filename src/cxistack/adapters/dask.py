"""Dask arrays of what a run holds: a graph of blocks, each read when it is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..catalogue.index import FrameIndex, Part
from ..errors import FileChangedError
from ..hdf5.remote.urls import is_url
from ..hdf5.stored import leaves
from ..loading.load import Load

__all__ = ["Blocks", "Readable", "frame_blocks", "seen_files", "to_dask"]

Cut: TypeAlias = tuple[tuple[int, ...], ...]
Key: TypeAlias = "range | int | NDArray[np.int64]"


class Readable(Protocol):
    """A :class:`cxistack.LazyArray`: it is read when it is indexed, and goes about by pickle."""

    @property
    def _load(self) -> Load: ...
    def _now(self) -> Load: ...
    def __getitem__(self, key: Any) -> Any: ...


class Blocks:
    """What Dask takes blocks of: an array in files, or a part of it, as these were at first.

    Parameters
    ----------
    array : Readable
        The array.
    seen : mapping
        What its files were, as :func:`seen_files` gives it.
    keys : tuple
        Which part: an index of each axis, a :class:`range` or an int; of frames also an array.

    Attributes
    ----------
    shape, dtype, ndim
        As those of an array.
    """

    def __init__(self, array: Readable, seen: Mapping[str, Any], keys: tuple[Key, ...]) -> None:
        self._array, self._seen, self._keys = array, seen, keys
        self.shape = tuple(len(one) for one in keys if not isinstance(one, int))
        self.dtype, self.ndim = array._load.dtype, len(self.shape)
        self._checked: Load | None = None

    @classmethod
    def of(cls, array: Readable) -> Blocks:
        """Return all of an array."""
        load = array._load
        return cls(array, seen_files(load), tuple(map(range, load.shape)))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_checked": None}

    def __dask_tokenize__(self) -> object:
        import hashlib

        # Dask would look at each file's words by themselves.
        seen = repr(sorted(self._seen.items())).encode("utf-8", "surrogateescape")
        return self._array, hashlib.blake2b(seen).hexdigest(), self._keys

    def part(self, index: tuple[Any, ...]) -> Blocks:
        """Return a part by an index of each axis: a slice, an int, or an array of frames."""
        left = iter(index)
        keys = [one if isinstance(one, int) else _narrowed(one, next(left)) for one in self._keys]
        return Blocks(self._array, self._seen, tuple(keys))

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Read a block, or what Dask found to be wanted of it.

        Raises
        ------
        FileChangedError
            A file is not what it was: other blocks would be of other data, and a result that Dask
            has kept by the array's name would be wrong.
        """
        keys = self.part(index)._keys
        block = np.asarray(
            self._array[tuple(_slice(one) if isinstance(one, range) else one for one in keys)]
        )
        now = self._array._now()
        if now is not self._checked:
            files = seen_files(now)
            if files != self._seen:
                both = {**self._seen, **files}
                others = [name for name in both if self._seen.get(name) != files.get(name)]
                raise FileChangedError(
                    f"{others[0]} was changed since the Dask array of {now.attr!r} was made: make "
                    "the array anew, store.update_indices() and store[...].to_dask()"
                )
            self._checked = now
        return block


def _narrowed(key: range | NDArray[np.int64], index: Any) -> Key:
    """Return what an index of an axis means, of which `key` is taken already."""
    if isinstance(index, slice):
        return key[index]
    numbers = np.asarray(key)[index]
    return numbers if numbers.ndim else int(numbers)


def _slice(key: range) -> slice:
    if not key:
        return slice(0, 0)
    return slice(key.start, None if key.stop < 0 else key.stop, key.step)


def seen_files(load: Load) -> dict[str, tuple[int, ...]]:
    """Return what the files of a load were when they were looked at: their sizes and times.

    It is the same on all machines that have the files: what numbers a disk or a file there is not
    in it. Of a file on a server that number is made of its tag, and is in it.
    """
    return {
        one.place.filename: (one.stamp.size, one.stamp.mtime_ns)
        + ((one.stamp.inode,) if is_url(one.place.filename) else ())
        for part in load.all_parts()
        for one in leaves(part.stored)
    }


def to_dask(array: Readable, chunks: Any = "auto") -> Any:
    """Return a Dask array of an array in files; see :meth:`cxistack.LazyArray.to_dask`.

    Raises
    ------
    ImportError
        Dask is not installed.
    ValueError
        It is text, or `chunks` does not fit.
    LayoutError
        Its frames are not those of `data`, so that no block of them can be named.
    """
    try:
        import dask.array as da
    except ImportError as error:
        raise ImportError(
            f"Dask arrays need Dask: pip install 'cxistack[dask]' ({error})"
        ) from error
    load = array._load
    if load.is_text:
        raise ValueError(f"{load.attr!r} is text: load it, load_attribute({load.attr!r})")
    load.numbers(slice(0))  # raises where its frames are not those of `data`
    cut, blocks = _chunks(load, chunks), Blocks.of(array)
    if load.is_static and load.count:
        # One frame stands for all: it is read once, and takes the memory of one.
        whole = (slice(None),) * (blocks.ndim - 1)
        return da.broadcast_to(
            _array(load.attr, blocks.part((0, *whole)), cut[1:]), load.shape, cut
        )
    return _array(load.attr, blocks, cut)


def _array(attr: str, blocks: Blocks, cut: Cut) -> Any:
    """Return a Dask array of blocks, which hands slices and crops on to who reads them."""
    import dask.array as da
    from dask.base import tokenize

    plain = da.from_array(
        blocks,
        cut,
        name=f"{attr}-{tokenize(blocks, cut)}",
        meta=np.empty((0,) * blocks.ndim, blocks.dtype),
        # The array is one node of the graph, which goes to each worker once.
        **{"lock": False, "asarray": False, "fancy": False, "inline_array": False},
    )
    kind = _stored_array()
    if type(plain) is not kind.__base__:  # of another Dask, which rewrites what is asked of arrays
        return plain
    made = kind(plain.dask, plain.name, plain.chunks, meta=plain._meta)
    made._part_of = attr, blocks
    return made


@cache
def _stored_array() -> Any:
    """Return the class of Dask arrays whose parts are read as parts.

    Dask hands a slice on to what reads a block only where nothing else is made of the slice: of
    ``roi / roi.mean(axis=0)`` it would read whole frames. So the slice is taken here.
    """
    from dask.array.core import Array

    class StoredArray(Array):
        """A Dask array of what lies in files."""

        _part_of: tuple[str, Blocks]

        def __getitem__(self, index: Any) -> Any:
            wanted = _index_of(index, self.shape)
            if wanted is None:
                return super().__getitem__(index)
            if all(isinstance(one, slice) and one == slice(None) for one in wanted):
                return self
            attr, blocks = self._part_of
            part = blocks.part(wanted)
            axes = zip(wanted, self.chunks, strict=True)
            cut = tuple(_kept(one, lengths) for one, lengths in axes if not isinstance(one, int))
            return _array(attr, part, cut)

    return StoredArray


def _index_of(index: Any, shape: tuple[int, ...]) -> tuple[Any, ...] | None:
    """Return an index of each axis: a slice, an int, of the first also an array of int.

    None for what else Dask or NumPy may take, or refuse.
    """
    keys = index if isinstance(index, tuple) else (index,)
    dots = [n for n, one in enumerate(keys) if one is Ellipsis]
    missing = len(shape) - (len(keys) - len(dots))
    if missing < 0 or len(dots) > 1 or not shape:
        return None
    at = dots[0] if dots else len(keys)
    full = (*keys[:at], *[slice(None)] * missing, *keys[at + len(dots) :])
    found: list[Any] = []
    for axis, (one, size) in enumerate(zip(full, shape, strict=True)):
        if isinstance(one, slice):
            found.append(one)
        elif isinstance(one, int | np.integer) and not isinstance(one, bool):
            if not -size <= one < size:
                return None
            found.append(int(one))
        elif axis == 0 and isinstance(one, list | np.ndarray):
            numbers = _frames_of(np.asarray(one), size)
            if numbers is None:
                return None
            found.append(numbers)
        else:
            return None
    return tuple(found)


def _frames_of(key: NDArray[Any], size: int) -> NDArray[np.int64] | None:
    """Return the numbers that a list or a boolean mask means; None where NumPy is to refuse it."""
    if key.ndim != 1:
        return None
    if key.dtype == np.bool_ and len(key) == size:
        return np.flatnonzero(key)
    is_inside = key.dtype.kind in "iu" and len(key) > 0 and -size <= key.min() <= key.max() < size
    return key.astype(np.int64) if is_inside else None


def _kept(key: slice | NDArray[np.int64], lengths: tuple[int, ...]) -> tuple[int, ...]:
    """Return the lengths of blocks when some of an axis, which was cut into `lengths`, is left."""
    if isinstance(key, np.ndarray):
        count, most = len(key), max(lengths)
        pieces = max(1, -(-count // max(1, most)))
        return tuple(np.diff(np.arange(pieces + 1) * count // pieces).tolist())
    edges = np.cumsum((0, *lengths))
    places = np.searchsorted(edges, np.arange(edges[-1])[key], side="right")
    left = np.diff(np.flatnonzero(np.diff(places, prepend=-1, append=-1))).tolist()
    return tuple(left) or (0,)


def _chunks(load: Load, chunks: Any) -> Cut:
    """Return the lengths of blocks along each axis."""
    import dask.config
    from dask.array.core import normalize_chunks
    from dask.utils import parse_bytes

    shape, dtype = load.shape, load.dtype
    most_bytes = parse_bytes(dask.config.get("array.chunk-size"))
    if isinstance(chunks, str) and chunks != "auto":
        most_bytes, chunks = parse_bytes(chunks), "auto"
    if load.is_single:
        whole = chunks == "auto" if isinstance(chunks, str) else chunks is None
        return _as_cut(normalize_chunks(-1 if whole else chunks, shape, dtype=dtype))
    axes: list[Any] = ["auto"] * len(shape)
    if isinstance(chunks, Mapping):
        for axis, length in chunks.items():
            axes[axis] = length
    elif isinstance(chunks, tuple | list):
        if len(chunks) != len(shape):
            raise ValueError(
                f"chunks has {len(chunks)} entries, and {load.attr!r} has {len(shape)} axes"
            )
        axes = list(chunks)
    else:
        axes[0] = chunks
    pixels = tuple(-1 if one in ("auto", None) else one for one in axes[1:])
    cut = _as_cut(normalize_chunks(pixels, shape[1:], dtype=dtype))
    frames = axes[0]
    if isinstance(frames, tuple | list):
        return _as_cut(normalize_chunks((tuple(frames), *cut), shape, dtype=dtype))
    if frames in (None, -1):
        return (shape[0],), *cut
    if frames == "auto":
        largest = dtype.itemsize * math.prod(max(one, default=0) for one in cut)
        return frame_blocks(load.index, max(1, most_bytes // max(1, largest))), *cut
    if frames < 1:
        raise ValueError(f"a block has one frame or more, not {frames}")
    return frame_blocks(load.index, int(frames), cuts_chunks=True), *cut


def _as_cut(chunks: Any) -> Cut:
    return tuple(tuple(map(int, lengths)) for lengths in chunks)


def frame_blocks(index: FrameIndex, most: int, *, cuts_chunks: bool = False) -> tuple[int, ...]:
    """Cut frames into blocks that end where files do, or else where chunks do.

    Parameters
    ----------
    index : FrameIndex
        Where the frames lie.
    most : int
        How many frames a block has at most. Files that are shorter share a block.
    cuts_chunks : bool
        Whether a chunk that has more frames is cut, or makes a block that is longer.

    Returns
    -------
    tuple of int
        How many frames each block has.
    """
    blocks: list[int] = []
    joined = 0  # frames of whole files, which the next one may join
    for part in index.parts:
        if part.count <= most:
            if joined + part.count > most:
                blocks.append(joined)
                joined = 0
            joined += part.count
            continue
        if joined:
            blocks.append(joined)
            joined = 0
        chunk, before = _chunks_of(part)
        if chunk > most and cuts_chunks:
            chunk, before = 1, 0
        blocks += _cut_file(part.count, most, chunk, before)
    if joined or not blocks:
        blocks.append(joined)
    return tuple(blocks)


def _chunks_of(part: Part) -> tuple[int, int]:
    """Return how many frames a chunk has, and how many of the first one are before this part."""
    length = 1 if part.is_static else part.chunk_frames
    return length, part.row % length


def _cut_file(count: int, most: int, chunk: int, before: int) -> list[int]:
    """Cut the frames of one file into blocks of about one length."""
    chunks = -(-(count + before) // chunk)
    pieces = -(-chunks // max(1, most // chunk))
    # As many whole chunks in each, or one more in some.
    edges = np.arange(1, pieces) * chunks // pieces * chunk - before
    return [int(length) for length in np.diff([0, *edges, count])]
