"""Rows of an array into a dataset, whole chunks as we encode them on all cores.

What fills no whole chunk, and what we cannot encode, goes through h5py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import StorageError
from ..kernels._encode import EncodePipeline
from ..kernels.threads import count_threads, run
from ._encode_chunks import EncodeJob
from .commit.replace import METADATA
from .values import PIXELS, Encoder

__all__ = ["Run", "is_encoded_here", "write_rows"]


_CAST = 32 << 20  # bytes that are cast before HDF5 gets them
_RESERVED = 32 << 20  # bytes: disk space is made sure of in such steps


@dataclass(frozen=True)
class Run:
    """Frames `first` to `first + count - 1` of an array, for a dataset's frames from `row` on."""

    row: int
    first: int
    count: int


def is_encoded_here(dataset: Any) -> bool:
    """Tell whether whole chunks of a dataset are encoded here and not by HDF5."""
    return _pipeline(dataset) is not None


def write_rows(
    dataset: Any,
    data: NDArray[Any],
    runs: Iterable[Run],
    encoder: Encoder | None,
    *,
    reserve: Callable[[int], None],
    num_threads: int | None = None,
    is_new: bool = False,
) -> None:
    """Write frames of `data` to a dataset that is large enough for them.

    Parameters
    ----------
    dataset : h5py.Dataset
        In a file open for writing.
    data : ndarray
        The values; frames along the first axis.
    runs : iterable of Run
        Which of them go where.
    encoder : Encoder or None
        Casts them to the stored type, after its `check`; None when they are of that type.
    reserve : callable
        Told how many bytes more may be written: raises when the disk is full, which HDF5 does not
        survive when it writes.
    num_threads : int, optional
        How many threads encode; None is all cores.
    is_new : bool
        Whether the dataset was made by us, so that partial chunks are known to be filtered.

    Raises
    ------
    OSError
        There is no room left on the disk.
    """
    pipeline = _pipeline(dataset) if _is_castable(data.dtype, dataset.dtype) else None
    runs = [one for one in runs if one.count]
    whole: list[Run] = []
    if pipeline is not None:
        filters_edges = is_new or _filters_edges(dataset)
        if filters_edges or not _has_edges(dataset):
            whole, runs = _divide(runs, dataset.chunks[0], len(dataset), filters_edges)
    if whole and pipeline is not None:
        _write_chunks(dataset, data, whole, pipeline, count_threads(num_threads), reserve)
    for one in _in_blocks(runs, dataset, encoder):
        part = data[one.first : one.first + one.count]
        if encoder is not None:
            part = encoder.over(part, dataset.dtype, None)
        if pipeline is not None:
            reserve(part.nbytes + part.nbytes // 16 + _chunk_bytes(dataset) + METADATA)
        dataset[one.row : one.row + one.count] = part


def _in_blocks(runs: list[Run], dataset: Any, encoder: Encoder | None) -> Iterator[Run]:
    """Cut what is cast into blocks of whole chunks, for not all of it to be in memory twice."""
    if encoder is None:
        yield from runs
        return
    frame = math.prod(dataset.shape[1:]) * dataset.dtype.itemsize
    depth = dataset.chunks[0] if dataset.chunks else 1
    step = max(1, _CAST // max(1, frame * depth)) * depth
    for one in runs:
        done = 0
        while done < one.count:
            count = min(step - (one.row + done) % depth, one.count - done)
            yield Run(one.row + done, one.first + done, count)
            done += count


def _write_chunks(
    dataset: Any,
    data: NDArray[Any],
    runs: list[Run],
    pipeline: EncodePipeline,
    threads: int,
    reserve: Callable[[int], None],
) -> None:
    depth = dataset.chunks[0]
    begins = [np.arange(0, one.count, depth) for one in runs]
    rows = np.concatenate([one.row + b for one, b in zip(runs, begins, strict=True)])
    job = EncodeJob(
        data,
        np.concatenate([one.first + b for one, b in zip(runs, begins, strict=True)]),
        np.concatenate(
            [np.minimum(depth, one.count - b) for one, b in zip(runs, begins, strict=True)]
        ),
        dataset.chunks,
        pipeline,
        dataset.dtype,
        _fill(dataset),
        threads,
    )
    grid = [-(-n // c) for n, c in zip(dataset.shape[1:], dataset.chunks[1:], strict=True)]
    cells = [
        tuple(int(k) * c for k, c in zip(cell, dataset.chunks[1:], strict=True))
        for cell in np.ndindex(*grid)
    ]
    starts = rows.tolist()
    room = 0

    def write(number: int, chunk: memoryview) -> None:
        nonlocal room
        row, cell = divmod(number, len(cells))
        room -= len(chunk)
        if room < 0:
            room = max(_RESERVED, len(chunk))
            reserve(room + METADATA)
            room -= len(chunk)
        dataset.id.write_direct_chunk((starts[row], *cells[cell]), chunk)

    run(job, threads, lambda: job.drain(write))
    if job.failure is None and job.drain(write):
        return
    raise StorageError(f"a chunk of {dataset.file.filename}:{dataset.name} {job.failure}")


def _pipeline(dataset: Any) -> EncodePipeline | None:
    """Return what makes chunks of a dataset, where we can."""
    dtype = dataset.dtype
    if dataset.chunks is None or dtype.kind not in "biufc" or 0 in dataset.shape[1:]:
        return None
    if not dataset.id.get_type().equal(h5py.h5t.py_create(dtype)):
        return None  # enumerations
    plist = dataset.id.get_create_plist()
    found = [plist.get_filter(number) for number in range(plist.get_nfilters())]
    if not found:
        return None  # nothing to do that HDF5 does not do as fast
    try:
        return EncodePipeline(
            [(code, values) for code, _, values, _ in found], _chunk_bytes(dataset)
        )
    except ValueError:
        return None


def _is_castable(source: np.dtype[Any], stored: np.dtype[Any]) -> bool:
    return source == stored or {source.char, stored.char} <= PIXELS


def _chunk_bytes(dataset: Any) -> int:
    return int(math.prod(dataset.chunks or (0,)) * dataset.dtype.itemsize)


def _fill(dataset: Any) -> NDArray[Any]:
    """Return what becomes visible of a partial chunk when the dataset grows."""
    defined = dataset.id.get_create_plist().fill_value_defined()
    value = 0 if defined == h5py.h5d.FILL_VALUE_UNDEFINED else dataset.fillvalue
    return np.asarray(value, dataset.dtype)


def _has_edges(dataset: Any) -> bool:
    """Tell whether chunks reach over the borders of a frame."""
    return any(n % c for n, c in zip(dataset.shape[1:], dataset.chunks[1:], strict=True))


def _filters_edges(dataset: Any) -> bool:
    """Tell whether a chunk that reaches over the border of a frame is seen to be filtered.

    HDF5 may have been told to leave such chunks as they are (see hdf5/partial.py), and would not
    decode ours.
    """
    for axis, (n, c) in enumerate(zip(dataset.shape[1:], dataset.chunks[1:], strict=True), 1):
        if n % c and len(dataset):
            corner = [0] * dataset.ndim
            corner[axis] = n // c * c
            info = dataset.id.get_chunk_info_by_coord(tuple(corner))
            if info.byte_offset is not None and info.filter_mask == 0:
                return bool(info.size != _chunk_bytes(dataset))
    return False


def _divide(
    runs: list[Run], depth: int, length: int, with_last: bool
) -> tuple[list[Run], list[Run]]:
    """Divide runs into what covers whole chunks along the first axis, and what does not.

    The last chunk may hold fewer frames than it has room for; it counts as whole `with_last`.
    """
    whole, rest = [], []
    for one in runs:
        stop = one.row + one.count
        begin = -(-one.row // depth) * depth
        end = stop if with_last and stop == length else stop // depth * depth
        if begin >= end:
            rest.append(one)
            continue
        whole.append(Run(begin, one.first + begin - one.row, end - begin))
        rest.append(Run(one.row, one.first, begin - one.row))
        rest.append(Run(end, one.first + end - one.row, stop - end))
    return whole, [one for one in rest if one.count]
