"""Changing one dataset of a file that is open for writing: overwrite, append, insert.

What is there survives as far as it can: the object's names and links, its HDF5 attributes, its
filters and its stored type, also when its shape changes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import FrameIndexError, LayoutError
from ..hdf5.links import Place
from .encode import Encoder
from .references import copy_attributes, refuse_references
from .replace import METADATA

__all__ = ["Growth", "SaveMode", "write"]

SaveMode = Literal["overwrite", "append", "insert"]
Growth = Literal["rows", "frames", "static", "none"]
_ALL_FILTERS = 0  # H5Z_FILTER_ALL
_SMALL_CHUNK = 1 << 16  # bytes: short rows share a chunk up to this size


def write(
    h5: h5py.File,
    place: Place,
    data: NDArray[Any],
    mode: SaveMode,
    rows: NDArray[np.int64] | None,
    encoder: Encoder,
    *,
    growth: Growth,
    reserve: Callable[[int], None],
) -> None:
    """Write `data` to the dataset at `path`, which lies in `h5` itself.

    Parameters
    ----------
    h5 : h5py.File
        The file, open for writing.
    place : Place
        Where the dataset is, or is to be: the path in `h5`, and the name that the file will have.
    data : ndarray
        The values.
    mode : {"overwrite", "append", "insert"}
        What becomes of the frames that are there; where there are none, all is overwritten.
    rows : ndarray of int64, optional
        Where the frames of `data` go, with "insert".
    encoder : Encoder
        Makes of values what is stored.
    growth : {"rows", "frames", "static", "none"}
        Whether the first axis counts frames. A dataset of one axis less is one of "rows", but of
        "frames" it stands for all, as a new one does that is "static".
    reserve : callable
        Told how many bytes may be written, before any is.

    Raises
    ------
    LayoutError
        The dataset is one that cannot be changed, or its frames are of another shape.
    FrameIndexError
        An insertion would leave frames between that nobody wrote.
    CastError
        A value does not fit the stored type.
    """
    old = h5.get(place.path)
    if old is not None:
        _refuse_strange(old, place)
    reserve(_bytes_to_write(old, data, mode, encoder))
    by_frame = growth in ("rows", "frames")
    if old is None and not by_frame:
        mode = "overwrite"
    if mode == "overwrite" or growth == "none":
        _overwrite(h5, place, old, data, encoder, by_frame)
        return
    if old is not None and (growth == "static" or (growth == "frames" and old.ndim < data.ndim)):
        _keep_static(place, old, data, encoder)
        return
    there = 0 if old is None else (old.shape[0] if old.ndim == data.ndim else 1)
    frame = old.shape[old.ndim - data.ndim + 1 :] if old is not None else data.shape[1:]
    if frame != data.shape[1:]:
        raise LayoutError(
            f"{place} has shape {old.shape}, to which no frames of shape {data.shape[1:]} can be "
            "added; mode='overwrite' replaces it"
        )
    if mode == "append":
        rows = np.arange(there, there + len(data))
    assert rows is not None
    _insert(h5, place, old, data, rows, there, encoder)


def _overwrite(
    h5: h5py.File, place: Place, old: Any, data: NDArray[Any], encoder: Encoder, by_frame: bool
) -> None:
    if old is None:
        _create(h5, place.path, encoder.new(data), by_frame)
        return
    stored = None
    if encoder.looks_at_stored and old.shape in (data.shape, data.shape[1:]):
        stored = np.broadcast_to(old[()], data.shape)  # one frame stood for all
    values = encoder.over(data, old.dtype, stored)
    if old.shape == values.shape or _resize(old, values.shape):
        old[...] = values
    else:
        _replace(h5, place, old, values, by_frame)


def _keep_static(place: Place, old: Any, data: NDArray[Any], encoder: Encoder) -> None:
    """Add to one frame that stands for all: only right when what is added is the same frame."""
    frames = data if data.ndim > old.ndim else data[None]
    if data.strides[0] == 0:
        frames = frames[:1]  # one frame, repeated without taking memory
    stored = old[()]
    for frame in frames:
        if frame.shape != stored.shape or (encoder.over(frame, old.dtype, stored) != stored).any():
            raise LayoutError(
                f"{place} has shape {old.shape} and stands for all frames, and what is to be added "
                "has other values; mode='overwrite' replaces it"
            )


def _insert(
    h5: h5py.File,
    place: Place,
    old: Any,
    data: NDArray[Any],
    rows: NDArray[np.int64],
    there: int,
    encoder: Encoder,
) -> None:
    length = max(there, int(rows.max(initial=-1)) + 1)
    gaps = np.setdiff1d(np.arange(there, length), rows)
    if len(gaps):
        raise FrameIndexError(
            f"inserting frames up to {length - 1} into {place}, which has {there}, "
            f"would leave frame {gaps[0]} without values; write it first or in the same call"
        )
    if old is None:
        values = encoder.new(data)
        _create(h5, place.path, values[np.argsort(rows)], by_frame=True)
        return
    stored = None
    if encoder.looks_at_stored:
        stored = np.zeros(data.shape, old.dtype)
        for k in np.flatnonzero(rows < there):
            stored[k] = old[rows[k]] if old.ndim == data.ndim else old[()]
    values = encoder.over(data, old.dtype, stored)
    if old.ndim == data.ndim and (length == there or _resize(old, (length, *old.shape[1:]))):
        for first, last in _runs(rows):
            old[rows[first] : rows[first] + last - first] = values[first:last]
        return
    whole = np.empty((length, *data.shape[1:]), values.dtype)
    whole[:there] = old[()]
    whole[rows] = values
    _replace(h5, place, old, whole, by_frame=True)


def _runs(rows: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Cut into pieces in which each row follows the one before."""
    edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
    for first, last in itertools.pairwise(edges):
        if last > first:
            yield first, last


def _refuse_strange(old: Any, place: Place) -> None:
    if not isinstance(old, h5py.Dataset):
        raise LayoutError(f"{place} is a group; a save needs a dataset or a free name")
    if old.is_virtual:
        raise LayoutError(f"{place} is a virtual dataset; save to one of its sources")
    plist = old.id.get_create_plist()
    if plist.get_layout() == h5py.h5d.CONTIGUOUS and plist.get_external_count():
        raise LayoutError(f"{place} keeps its values in external raw files, which are not written")
    kind = old.id.get_type()
    is_plain = old.dtype.kind in "OSU" or h5py.check_enum_dtype(old.dtype) is not None
    if not is_plain and not kind.equal(h5py.h5t.py_create(old.dtype)):
        raise LayoutError(f"{place} is of a type of reduced precision, to which HDF5 would clip")


def _bytes_to_write(old: Any, data: NDArray[Any], mode: SaveMode, encoder: Encoder) -> int:
    """Return what a save may write at most: the values as they are stored, and all about them."""
    dtype = encoder.new_dtype if old is None else old.dtype
    size = data.size * max(data.dtype.itemsize, dtype.itemsize)
    if old is not None and old.chunks:
        size += math.prod(old.chunks) * dtype.itemsize
    if mode != "overwrite" and _is_fixed(old):
        size += old.nbytes  # written again, beside what is added
    return size + size // 16 + METADATA


def _is_fixed(old: Any) -> bool:
    """Tell whether a dataset cannot grow, so that a larger one must take its place."""
    return old is not None and (old.chunks is None or old.maxshape[0] is not None)


def _resize(old: Any, shape: tuple[int, ...]) -> bool:
    """Give the dataset another shape where its chunks and limits allow it."""
    if old.chunks is None or len(shape) != old.ndim:
        return False
    if any(m is not None and n > m for n, m in zip(shape, old.maxshape, strict=True)):
        return False
    old.resize(shape)
    return True


def _create(h5: h5py.File, path: str, values: NDArray[Any], by_frame: bool) -> Any:
    text = values.dtype.kind in "OSU"
    layout: dict[str, Any] = {}
    if by_frame:
        layout = {"chunks": _chunks(values), "maxshape": (None, *values.shape[1:])}
    return h5.create_dataset(
        path, data=values, dtype=h5py.string_dtype() if text else values.dtype, **layout
    )


def _chunks(values: NDArray[Any]) -> tuple[int, ...]:
    """One frame a chunk; short rows share one."""
    row = [max(1, length) for length in values.shape[1:]]
    size = int(np.prod(row, dtype=np.int64)) * values.dtype.itemsize
    return (max(1, min(_SMALL_CHUNK // size, max(1, len(values)))), *row)


def _replace(h5: h5py.File, place: Place, old: Any, values: NDArray[Any], by_frame: bool) -> None:
    """Put an object of another shape in the place of `old`, under all of its names."""
    refuse_references(h5, place, old.id)
    plist = old.id.get_create_plist().copy()
    by_frame = by_frame and values.ndim > 0
    maxshape = (h5py.h5s.UNLIMITED, *values.shape[1:]) if by_frame else values.shape
    if values.ndim == 0 or not (by_frame or old.chunks):
        plist.remove_filter(_ALL_FILTERS)
        plist.set_layout(h5py.h5d.CONTIGUOUS)
    elif old.chunks and len(old.chunks) == values.ndim and not by_frame:
        plist.set_chunk(
            tuple(max(1, min(c, n)) for c, n in zip(old.chunks, values.shape, strict=True))
        )
    elif old.chunks and old.chunks[1:] == values.shape[1:]:
        plist.set_chunk(old.chunks)
    else:
        plist.set_layout(h5py.h5d.CHUNKED)
        plist.set_chunk(_chunks(values))
    space = h5py.h5s.create_simple(values.shape, maxshape) if values.ndim else h5py.h5s.create(0)
    new = h5py.Dataset(h5py.h5d.create(h5.id, None, old.id.get_type(), space, plist))
    if values.size:
        new[...] = values
    copy_attributes(old.id, new.id)
    for group, name in _names_of(h5, h5py.h5o.get_info(old.id).addr):
        del group[name]
        group[name] = new


def _names_of(h5: h5py.File, address: int) -> list[tuple[Any, str]]:
    """Return every (group, name) that is a hard link to the object at `address`."""
    found: list[tuple[Any, str]] = []
    seen: set[int] = set()
    todo: list[Any] = [h5["/"]]
    while todo:
        group = todo.pop()
        for name in group:
            link = group.id.links.get_info(name.encode(errors="surrogateescape"))
            if link.type != h5py.h5l.TYPE_HARD:
                continue
            child = group[name]
            where = h5py.h5o.get_info(child.id).addr
            if where == address:
                found.append((group, name))
            elif isinstance(child, h5py.Group) and where not in seen:
                seen.add(where)
                todo.append(child)
    return found
