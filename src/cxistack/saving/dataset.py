"""Changing one dataset of a file that is open for writing: overwrite, append, insert.

What is there survives as far as it can: the object's names and links, its HDF5 attributes, its
filters and its stored type, also when its shape changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import FrameIndexError, LayoutError
from ..hdf5.links import Place
from .change import Change
from .chunks import is_encoded_here, most_stored, write_rows
from .compression import asked_for, frame_chunks
from .references import copy_attributes, names_of, refuse_references

__all__ = ["refuse_strange", "write"]


def write(h5: h5py.File, change: Change, reserve: Callable[[int], None]) -> None:
    """Do a change to the dataset that it names, which lies in `h5` itself.

    Parameters
    ----------
    h5 : h5py.File
        The file, open for writing.
    change : Change
        What is done; its values are whole frames, whatever its region.
    reserve : callable
        Is told how many bytes of values may be written, before any is. It raises where the disk has
        no room for them.

    Raises
    ------
    LayoutError
        The dataset is one that cannot be changed, or its frames are of another shape, or frames
        would be added to one that is stored otherwise than was asked for.
    FrameIndexError
        An insertion would leave frames without values.
    CastError
        A value does not fit the stored type.
    """
    old, place = h5.get(change.place.path), change.place
    if old is not None:
        refuse_strange(old, place)
    if change.growth == "none" or (old is None and not change.by_frame):
        change = replace(change, mode="overwrite")
    reserve(_bytes_to_write(old, change))
    if change.mode == "overwrite":
        _overwrite(h5, old, change, reserve)
        return
    if old is not None:
        change.storage.check_kept(old, place)
        is_for_all = change.growth == "frames" and old.ndim < change.data.ndim
        if change.growth == "static" or is_for_all:
            _refuse_another(old, change)
            return
    there = _frames_there(old, change)
    if change.mode == "append":
        change = replace(change, rows=np.arange(there, there + len(change.data)))
    _insert(h5, old, change, there, reserve)


def _overwrite(h5: h5py.File, old: Any, change: Change, reserve: Callable[[int], None]) -> None:
    data = change.data
    if old is None:
        _create(h5, change, data, reserve)
        return
    stored = None
    if change.encoder.looks_at_stored and old.shape in (data.shape, data.shape[1:]):
        stored = np.broadcast_to(old[()], data.shape)  # one frame stood for all
    values = change.encoder.ready(data, old.dtype, stored)
    if change.keeps(old) and (old.shape == values.shape or _resize(old, values.shape)):
        write_rows(old, values, reserve, None, change.num_threads)
    else:
        _replace(h5, old, change, values, reserve)


def _refuse_another(old: Any, change: Change) -> None:
    """Refuse to add frames to one that stands for all, unless they are the same frame."""
    data, place = change.data, change.place
    if data.ndim < old.ndim:
        raise LayoutError(
            f"{place} has shape {old.shape}, a frame for each of data's; an array of shape "
            f"{data.shape} is one frame, and does not say for how many more it is to stand: give "
            "as many frames as are added, along a first axis; mode='overwrite' lets it stand for "
            "all"
        )
    frames = data if data.ndim > old.ndim else data[None]
    if data.strides[0] == 0:
        frames = frames[:1]  # one frame, repeated without taking memory
    stored = old[()]
    for frame in frames:
        is_alike = frame.shape == stored.shape
        if not is_alike or (change.encoder.over(frame, old.dtype, stored) != stored).any():
            raise LayoutError(
                f"{place} has shape {old.shape} and stands for all frames, and what is to be added "
                "has other values; mode='overwrite' replaces it"
            )


def _frames_there(old: Any, change: Change) -> int:
    """Return how many frames there are, to which those of a change can be added."""
    if old is None:
        return 0
    data = change.data
    if old.ndim > data.ndim or old.shape[old.ndim - data.ndim + 1 :] != data.shape[1:]:
        raise LayoutError(
            f"{change.place} has shape {old.shape}, to which no frames of shape {data.shape[1:]} "
            "can be added; mode='overwrite' replaces it"
        )
    return int(old.shape[0]) if old.ndim == data.ndim else 1


def _insert(
    h5: h5py.File, old: Any, change: Change, there: int, reserve: Callable[[int], None]
) -> None:
    data, rows, encoder = change.data, change.rows, change.encoder
    assert rows is not None
    length = max(there, int(rows.max(initial=-1)) + 1)
    gaps = np.setdiff1d(np.arange(there, length), rows)
    if len(gaps):
        raise FrameIndexError(
            f"inserting frames up to {length - 1} into {change.place}, which has {there}, would "
            f"leave frame {gaps[0]} without values: write that first, or in the same call"
        )
    if old is None:
        is_ascending = bool((np.diff(rows) > 0).all())
        _create(h5, change, data if is_ascending else data[np.argsort(rows)], reserve)
        return
    stored = None
    if encoder.looks_at_stored:
        stored = np.zeros(data.shape, old.dtype)
        for k in np.flatnonzero(rows < there):
            stored[k] = old[rows[k]] if old.ndim == data.ndim else old[()]
    values = encoder.ready(data, old.dtype, stored)
    if old.ndim == data.ndim and (length == there or _resize(old, (length, *old.shape[1:]))):
        write_rows(old, values, reserve, rows, change.num_threads)
        return
    values = encoder.over(data, old.dtype, stored)
    whole = np.empty((length, *data.shape[1:]), values.dtype)
    whole[:there] = old[()]
    whole[rows] = values
    _replace(h5, old, change, whole, reserve)


def refuse_strange(old: Any, place: Place) -> None:
    """Raise :class:`LayoutError` for what is no dataset, or one that cannot be changed here."""
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
        raise LayoutError(
            f"{place} has a type of reduced precision, to which HDF5 would clip values"
        )


def _bytes_to_write(old: Any, change: Change) -> int:
    """Return how many bytes of values a save may write at most.

    Encoded chunks are mostly much smaller: room for those is made sure of as they come.
    """
    data, is_kept = change.data, change.mode != "overwrite" and _is_fixed(old)
    if old is None:
        dtype = change.encoder.new_dtype
        if change.storage.keywords(data.shape, dtype, change.by_frame).get("compression"):
            return 0
    else:
        dtype = old.dtype
        if is_encoded_here(old) and not is_kept:
            return 0
    size = data.size * max(data.dtype.itemsize, dtype.itemsize)
    if old is not None and old.chunks:
        size += math.prod(old.chunks) * dtype.itemsize
    if is_kept:
        size += old.nbytes  # written again, beside what is added
    return most_stored(size)


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


def _create(
    h5: h5py.File, change: Change, data: NDArray[Any], reserve: Callable[[int], None]
) -> None:
    path, dtype = change.place.path, change.encoder.new_dtype
    words = change.storage.keywords(data.shape, dtype, change.by_frame)
    values = change.encoder.ready(data, dtype)
    if dtype.kind in "OSU":
        dataset = h5.create_dataset(path, data=values, dtype=h5py.string_dtype(), **words)
    else:
        dataset = h5.create_dataset(path, data.shape, dtype, **words)
        write_rows(dataset, values, reserve, None, change.num_threads, is_new=True)
    if change.encoder.new_unit:
        dataset.attrs["units"] = change.encoder.new_unit


def _replace(
    h5: h5py.File, old: Any, change: Change, values: NDArray[Any], reserve: Callable[[int], None]
) -> None:
    """Put an object of another shape or storage in the place of `old`, under all of its names."""
    refuse_references(h5, change.place, old.id)
    is_anew = change.storage.filters is not None
    if is_anew and values.ndim:
        new = _stored_anew(h5, old, values, change)
    else:
        new = _like(h5, old, values, change)
    if not is_encoded_here(new):
        reserve(most_stored(values.nbytes))
    write_rows(new, values, reserve, None, change.num_threads, is_new=is_anew)
    copy_attributes(old.id, new.id)
    for group, name in names_of(h5, h5py.h5o.get_info(old.id).addr):
        del group[name]
        group[name] = new


def _like(h5: h5py.File, old: Any, values: NDArray[Any], change: Change) -> Any:
    """Return a dataset without a name, of another shape, that is stored as `old` is."""
    plist = _as_it_was_asked_for(old.id.get_create_plist().copy())
    by_frame = change.by_frame and values.ndim > 0
    maxshape = (h5py.h5s.UNLIMITED, *values.shape[1:]) if by_frame else values.shape
    chunks = old.chunks if change.storage.chunks is None else change.storage.chunks
    if values.ndim == 0 or not (by_frame or chunks):
        plist.remove_filter(h5py.h5z.FILTER_ALL)
        plist.set_layout(h5py.h5d.CONTIGUOUS)
    elif chunks and len(chunks) == values.ndim and not by_frame:
        _set_chunks(plist, chunks, values.shape)
    elif chunks and (change.storage.chunks or chunks[1:] == values.shape[1:]):
        _set_chunks(plist, chunks, (chunks[0], *values.shape[1:]))
    else:
        _set_chunks(plist, frame_chunks(values.shape, old.dtype), None)
    space = h5py.h5s.create_simple(values.shape, maxshape) if values.ndim else h5py.h5s.create(0)
    return h5py.Dataset(h5py.h5d.create(h5.id, None, old.id.get_type(), space, plist))


def _as_it_was_asked_for(plist: Any) -> Any:
    """Undo what bitshuffle does to its own parameters when a dataset is made.

    It puts three numbers before them, and would again: the codec would become another number.
    """
    filters = [plist.get_filter(number) for number in range(plist.get_nfilters())]
    if any(asked_for(code, values) != values for code, _, values, _ in filters):
        plist.remove_filter(h5py.h5z.FILTER_ALL)
        for code, flags, values, _ in filters:
            plist.set_filter(code, flags, asked_for(code, values))
    return plist


def _set_chunks(plist: Any, chunks: tuple[int, ...], most: tuple[int, ...] | None) -> None:
    if most is not None:
        chunks = tuple(max(1, min(c, n)) for c, n in zip(chunks, most, strict=True))
    plist.set_layout(h5py.h5d.CHUNKED)
    plist.set_chunk(chunks)


def _stored_anew(h5: h5py.File, old: Any, values: NDArray[Any], change: Change) -> Any:
    """Return a dataset without a name, of the type of `old`, stored as the user says."""
    words = dict(change.storage.keywords(values.shape, old.dtype, change.by_frame))
    if change.storage.chunks is None and old.chunks and old.chunks[1:] == values.shape[1:]:
        words["chunks"] = (
            old.chunks
            if change.by_frame
            else (min(old.chunks[0], max(1, len(values))), *old.chunks[1:])
        )
    plist = old.id.get_create_plist()
    if plist.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED:
        words["fillvalue"] = old.fillvalue
    return h5.create_dataset(None, values.shape, h5py.Datatype(old.id.get_type()), **words)
