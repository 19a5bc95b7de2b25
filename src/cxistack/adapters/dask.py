"""Dask arrays of what a run holds: a graph of blocks, each read when it is computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..catalogue.index import FrameIndex, Part
from ..errors import FileChangedError
from ..hdf5.stored import Stored, leaves
from ..loading.load import Load

__all__ = ["Blocks", "Readable", "frame_blocks", "stamp_of", "to_dask"]


class Readable(Protocol):
    """An array in files, read when it is indexed."""

    def __getitem__(self, key: Any) -> Any:
        """Read what NumPy's index means."""


class Blocks:
    """What Dask takes blocks of: an array in files, as these were when the graph was made.

    Parameters
    ----------
    array : Readable
        Reads it. It goes to other processes by pickle.
    load : Load
        What it is.
    present : callable
        Returns the load of the same name as the files are now.

    Attributes
    ----------
    shape, dtype, ndim
        As those of an array.
    """

    def __init__(self, array: Readable, load: Load, present: Callable[[], Load]) -> None:
        self.shape, self.dtype, self.ndim = load.shape, load.dtype, len(load.shape)
        self._attr, self._request = load.attr, load.request
        self._array, self._present = array, present
        self._stamp = stamp_of(load)
        self._checked: Load | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_checked": None}

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return type(self).__qualname__, self._stamp, self._request, self.shape, self.dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a block, or what Dask found to be wanted of it.

        Raises
        ------
        FileChangedError
            A file is not what it was: other blocks would be of other data, and a result that Dask
            has kept by the array's name would be wrong.
        """
        block = np.asarray(self._array[key])
        now = self._present()
        if now is not self._checked:
            if stamp_of(now) != self._stamp:
                names = ", ".join(dict.fromkeys(p.stored.place.filename for p in now.index.parts))
                raise FileChangedError(
                    f"{self._attr!r} was changed since its Dask array was made, in {names:.200}: "
                    "make the array anew, store.update_indices() and to_dask()"
                )
            self._checked = now
        return block


def stamp_of(load: Load) -> str:
    """Return what is another string when a file of a load was changed: of names, sizes and times.

    It is the same on all machines that have the files: what numbers a disk or a file there is not
    in it.
    """
    import hashlib

    seen = {
        (one.place.filename, one.place.path, one.stamp.size, one.stamp.mtime_ns)
        for stored in _all_stored(load)
        for one in leaves(stored)
    }
    return hashlib.blake2b(repr(sorted(seen)).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _all_stored(load: Load) -> Iterator[Stored]:
    """Return all datasets that values of a load are made of."""
    yield from (part.stored for part in load.index.parts)
    for layer in load.layers:
        yield from _all_stored(layer)
    for check in load.checks:
        yield from (part.stored for part in check.index.parts)


def to_dask(
    array: Readable, load: Load, present: Callable[[], Load], chunks: Any = "auto"
) -> Any:
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
        from dask.base import tokenize
    except ImportError as error:
        raise ImportError(f"Dask arrays need Dask: pip install 'cxistack[dask]' ({error})") from error
    if load.is_text:
        raise ValueError(f"{load.attr!r} is text: load it, load_attribute({load.attr!r})")
    load.numbers(slice(0))  # raises where its frames are not those of `data`
    cut = _chunks(load, chunks)
    blocks = Blocks(array, load, present)
    made: dict[str, Any] = {"lock": False, "asarray": False, "inline_array": False}
    if load.is_static and load.count:
        # One frame stands for all: it is read once, and takes the memory of one.
        first = _FirstFrame(blocks)
        name = f"{load.attr}-{tokenize(blocks, cut[1:])}"
        frame = da.from_array(first, cut[1:], name, meta=_nothing(first), **made)
        return da.broadcast_to(frame, load.shape, cut)
    name = f"{load.attr}-{tokenize(blocks, cut)}"
    return da.from_array(blocks, cut, name, meta=_nothing(blocks), **made)


class _FirstFrame:
    """The frame that stands for all."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self.shape, self.dtype, self.ndim = blocks.shape[1:], blocks.dtype, blocks.ndim - 1

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return self._blocks[(0, *(key if isinstance(key, tuple) else (key,)))]


def _nothing(blocks: Any) -> NDArray[Any]:
    """Return an array of no values, which tells Dask of their type."""
    return np.empty((0,) * blocks.ndim, blocks.dtype)


def _chunks(load: Load, chunks: Any) -> tuple[tuple[int, ...], ...]:
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


def _as_cut(chunks: Any) -> tuple[tuple[int, ...], ...]:
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
    return np.diff(np.concatenate([[0], edges, [count]])).tolist()
