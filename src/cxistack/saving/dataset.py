"""Changing one dataset of a file that is open for writing: overwrite, append, insert.

What is there survives as far as it can: the object's names and links, its HDF5 attributes, its
filters and its stored type, also when its shape changes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import FrameIndexError, LayoutError
from ..hdf5.filters import BITSHUFFLE
from ..hdf5.links import Place
from .chunks import Run, is_encoded_here, write_rows
from .commit.replace import METADATA
from .compression import Storage, frame_chunks
from .references import copy_attributes, refuse_references
from .request import Growth, SaveMode
from .values import Encoder

__all__ = ["refuse_strange", "write"]


_AS_IT_IS = Storage()


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
    storage: Storage = _AS_IT_IS,
    num_threads: int | None = None,
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
    storage : Storage
        How a dataset is stored that is new or overwritten.
    num_threads : int, optional
        How many threads encode chunks; None is all cores.

    Raises
    ------
    LayoutError
        The dataset is one that cannot be changed, or its frames are of another shape, or frames
        would be added to one that is stored otherwise than `storage` says.
    FrameIndexError
        An insertion would leave frames between that nobody wrote.
    CastError
        A value does not fit the stored type.
    """
    old = h5.get(place.path)
    if old is not None:
        refuse_strange(old, place)
    by_frame = growth in ("rows", "frames")
    how = _How(encoder, by_frame, storage, num_threads, reserve)
    reserve(_bytes_to_write(old, data, mode, how))
    if old is None and not by_frame:
        mode = "overwrite"
    if mode == "overwrite" or growth == "none":
        _overwrite(h5, place, old, data, how)
        return
    if old is not None:
        storage.check_kept(old, place)
    if old is not None and (growth == "static" or (growth == "frames" and old.ndim < data.ndim)):
        _keep_static(place, old, data, encoder)
        return
    there = 0 if old is None else (old.shape[0] if old.ndim == data.ndim else 1)
    frame = old.shape[old.ndim - data.ndim + 1 :] if old is not None else data.shape[1:]
    if frame != data.shape[1:] or (old is not None and old.ndim > data.ndim):
        raise LayoutError(
            f"{place} has shape {old.shape}, to which no frames of shape {data.shape[1:]} can be "
            "added; mode='overwrite' replaces it"
        )
    if mode == "append":
        rows = np.arange(there, there + len(data))
    assert rows is not None
    _insert(h5, place, old, data, rows, there, how)


@dataclass(frozen=True)
class _How:
    """What the parts of a save share."""

    encoder: Encoder
    by_frame: bool
    storage: Storage
    num_threads: int | None
    reserve: Callable[[int], None]

    def values(
        self, data: NDArray[Any], dtype: np.dtype[Any], stored: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Return what `put` takes: stored values, or `data` when it only has to be cast.

        Raises
        ------
        CastError
            A value does not fit `dtype`; nothing is written yet.
        """
        if self.encoder.only_casts(data, dtype):
            self.encoder.check(data, dtype)
            return data
        return self.encoder.over(data, dtype, stored)

    def put(
        self, dataset: Any, values: NDArray[Any], runs: Iterable[Run], is_new: bool = False
    ) -> None:
        """Write what `values` returned."""
        if values.size == 0:
            return
        is_cast = self.encoder.only_casts(values, dataset.dtype)
        if values.ndim == 0:
            dataset[...] = self.encoder.over(values, dataset.dtype, None) if is_cast else values
            return
        write_rows(
            dataset,
            values,
            runs,
            self.encoder if is_cast and values.dtype != dataset.dtype else None,
            reserve=self.reserve,
            num_threads=self.num_threads,
            is_new=is_new,
        )


def _overwrite(h5: h5py.File, place: Place, old: Any, data: NDArray[Any], how: _How) -> None:
    if old is None:
        _create(h5, place.path, data, how)
        return
    stored = None
    if how.encoder.looks_at_stored and old.shape in (data.shape, data.shape[1:]):
        stored = np.broadcast_to(old[()], data.shape)  # one frame stood for all
    values = how.values(data, old.dtype, stored)
    is_kept = not how.storage.is_given or how.storage.is_that_of(old)
    if is_kept and (old.shape == values.shape or _resize(old, values.shape)):
        how.put(old, values, _all(values))
    else:
        _replace(h5, place, old, values, how)


def _keep_static(place: Place, old: Any, data: NDArray[Any], encoder: Encoder) -> None:
    """Add to one frame that stands for all: only right when what is added is the same frame."""
    if data.ndim < old.ndim:
        raise LayoutError(
            f"{place} has shape {old.shape}, frames of its own, and one array of shape "
            f"{data.shape} does not say for how many more it is to stand: give the frames that are "
            "added, one by one along a first axis; mode='overwrite' lets it stand for all"
        )
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
    how: _How,
) -> None:
    length = max(there, int(rows.max(initial=-1)) + 1)
    gaps = np.setdiff1d(np.arange(there, length), rows)
    if len(gaps):
        raise FrameIndexError(
            f"inserting frames up to {length - 1} into {place}, which has {there}, "
            f"would leave frame {gaps[0]} without values; write it first or in the same call"
        )
    if old is None:
        _create(h5, place.path, data if _is_ascending(rows) else data[np.argsort(rows)], how)
        return
    stored = None
    if how.encoder.looks_at_stored:
        stored = np.zeros(data.shape, old.dtype)
        for k in np.flatnonzero(rows < there):
            stored[k] = old[rows[k]] if old.ndim == data.ndim else old[()]
    values = how.values(data, old.dtype, stored)
    if old.ndim == data.ndim and (length == there or _resize(old, (length, *old.shape[1:]))):
        how.put(old, values, _runs(rows))
        return
    if how.encoder.only_casts(data, old.dtype):
        values = how.encoder.over(data, old.dtype, None)
    whole = np.empty((length, *data.shape[1:]), values.dtype)
    whole[:there] = old[()]
    whole[rows] = values
    _replace(h5, place, old, whole, how)


def _all(values: NDArray[Any]) -> list[Run]:
    return [Run(0, 0, len(values))] if values.ndim else []


def _is_ascending(rows: NDArray[np.int64]) -> bool:
    return bool((np.diff(rows) > 0).all())


def _runs(rows: NDArray[np.int64]) -> Iterator[Run]:
    """Cut into pieces in which each row follows the one before."""
    edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
    for first, last in itertools.pairwise(edges):
        if last > first:
            yield Run(int(rows[first]), first, last - first)


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
        raise LayoutError(f"{place} is of a type of reduced precision, to which HDF5 would clip")


def _bytes_to_write(old: Any, data: NDArray[Any], mode: SaveMode, how: _How) -> int:
    """Return what a save may write at most: the values as they are stored, and all about them.

    Encoded chunks are mostly much smaller: room for those is made sure of as they come.
    """
    dtype = how.encoder.new_dtype if old is None else old.dtype
    if old is None and how.storage.keywords(data.shape, dtype, how.by_frame).get("compression"):
        return METADATA
    if old is not None and is_encoded_here(old) and (mode == "overwrite" or not _is_fixed(old)):
        return METADATA
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


def _create(h5: h5py.File, path: str, data: NDArray[Any], how: _How) -> None:
    dtype = how.encoder.new_dtype
    words = how.storage.keywords(data.shape, dtype, how.by_frame)
    if dtype.kind in "OSU":
        values = how.encoder.new(data)
        dataset = h5.create_dataset(path, data=values, dtype=h5py.string_dtype(), **words)
    else:
        values = how.values(data, dtype)
        dataset = h5.create_dataset(path, data.shape, dtype, **words)
        how.put(dataset, values, _all(values), is_new=True)
    if how.encoder.new_unit:
        dataset.attrs["units"] = how.encoder.new_unit


def _replace(h5: h5py.File, place: Place, old: Any, values: NDArray[Any], how: _How) -> None:
    """Put an object of another shape or storage in the place of `old`, under all of its names."""
    refuse_references(h5, place, old.id)
    if how.storage.filters is None or values.ndim == 0:
        new = _like(h5, old, values, how)
    else:
        new = _stored_anew(h5, old, values, how)
    if not is_encoded_here(new):
        how.reserve(values.nbytes + values.nbytes // 16 + METADATA)
    how.put(new, values, _all(values), is_new=how.storage.filters is not None)
    copy_attributes(old.id, new.id)
    for group, name in _names_of(h5, h5py.h5o.get_info(old.id).addr):
        del group[name]
        group[name] = new


def _like(h5: h5py.File, old: Any, values: NDArray[Any], how: _How) -> Any:
    """Return a dataset without a name, of another shape, that is stored as `old` is."""
    plist = _as_it_was_asked_for(old.id.get_create_plist().copy())
    by_frame = how.by_frame and values.ndim > 0
    maxshape = (h5py.h5s.UNLIMITED, *values.shape[1:]) if by_frame else values.shape
    chunks = old.chunks if how.storage.chunks is None else how.storage.chunks
    if values.ndim == 0 or not (by_frame or chunks):
        plist.remove_filter(h5py.h5z.FILTER_ALL)
        plist.set_layout(h5py.h5d.CONTIGUOUS)
    elif chunks and len(chunks) == values.ndim and not by_frame:
        _set_chunks(plist, chunks, values.shape)
    elif chunks and (how.storage.chunks or chunks[1:] == values.shape[1:]):
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
    if any(code == BITSHUFFLE for code, *_ in filters):
        plist.remove_filter(h5py.h5z.FILTER_ALL)
        for code, flags, values, _ in filters:
            plist.set_filter(code, flags, values[3:] if code == BITSHUFFLE else values)
    return plist


def _set_chunks(plist: Any, chunks: tuple[int, ...], most: tuple[int, ...] | None) -> None:
    if most is not None:
        chunks = tuple(max(1, min(c, n)) for c, n in zip(chunks, most, strict=True))
    plist.set_layout(h5py.h5d.CHUNKED)
    plist.set_chunk(chunks)


def _stored_anew(h5: h5py.File, old: Any, values: NDArray[Any], how: _How) -> Any:
    """Return a dataset without a name, of the type of `old`, stored as the user says."""
    words = dict(how.storage.keywords(values.shape, old.dtype, how.by_frame))
    if how.storage.chunks is None and old.chunks and old.chunks[1:] == values.shape[1:]:
        words["chunks"] = (
            old.chunks
            if how.by_frame
            else (min(old.chunks[0], max(1, len(values))), *old.chunks[1:])
        )
    plist = old.id.get_create_plist()
    if plist.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED:
        words["fillvalue"] = old.fillvalue
    return h5.create_dataset(None, values.shape, h5py.Datatype(old.id.get_type()), **words)


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
