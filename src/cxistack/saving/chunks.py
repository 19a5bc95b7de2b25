"""Rows of an array into a dataset: whole chunks are encoded here, on all cores.

Rows that fill no whole chunk, and chunks that only HDF5 can encode, go through h5py.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .. import kernels
from ..errors import StorageError
from ..hdf5.chunk_index import why_misplaced
from ..kernels._encode import EncodePipeline
from ..kernels.threads import count_threads, run
from ._encode_chunks import EncodeJob
from .compression import stored_filters
from .values import is_castable

__all__ = ["is_encoded_here", "most_stored", "write_rows"]


_CAST = 32 << 20  # bytes that are cast before HDF5 gets them


@dataclass(frozen=True)
class RowRun:
    """Rows `first` to `first + count - 1` of an array, for a dataset's rows from `row` on."""

    row: int
    first: int
    count: int


def is_encoded_here(dataset: Any) -> bool:
    """Tell whether whole chunks of a dataset are encoded here and not by HDF5."""
    return _pipeline(dataset) is not None


def most_stored(nbytes: int) -> int:
    """Return how many bytes values may take as they are stored: filters may make them longer."""
    return nbytes + nbytes // 16


def write_rows(
    dataset: Any,
    data: NDArray[Any],
    reserve: Callable[[int], None],
    rows: NDArray[np.int64] | None = None,
    num_threads: int | None = None,
    is_new: bool = False,
) -> None:
    """Write an array, or the rows of one, to a dataset that is large enough for them.

    Parameters
    ----------
    data : ndarray
        Stored values, or values that the kernels cast to the stored type: they have been checked.
    reserve : callable
        Is told how many bytes more are to be written, before they are. It raises when the disk is
        full, which HDF5 does not survive when it writes.
    rows : ndarray of int64, optional
        Where each row of the array goes; from the first row on when None.
    num_threads : int, optional
        How many threads encode; None is all cores.
    is_new : bool
        Whether the dataset was made by us, so that partial chunks are known to be filtered.

    Raises
    ------
    OSError
        There is no room left on the disk.
    """
    if data.size == 0:
        return
    if data.ndim == 0:
        dataset[...] = data
        return
    pipeline = _pipeline(dataset) if is_castable(data.dtype, dataset.dtype) else None
    runs = list(_runs(np.arange(len(data)) if rows is None else rows))
    whole: list[RowRun] = []
    if pipeline is not None:
        filters_edges = is_new or _filters_edges(dataset)
        if filters_edges or not _has_edges(dataset):
            whole, runs = _divide(runs, dataset.chunks[0], len(dataset), filters_edges)
    if whole and pipeline is not None:
        _write_chunks(dataset, data, whole, pipeline, count_threads(num_threads), reserve)
    native = dataset.dtype.newbyteorder("=")
    is_cast = data.dtype.newbyteorder("=") != native and is_castable(data.dtype, native)
    for one in _in_blocks(runs, dataset) if is_cast else runs:
        part = data[one.first : one.first + one.count]
        if is_cast:
            part = kernels.cast(part, native, casting="unsafe")
        if pipeline is not None:
            reserve(most_stored(part.nbytes) + _chunk_bytes(dataset))
        dataset[one.row : one.row + one.count] = part


def _runs(rows: NDArray[np.int64]) -> Iterator[RowRun]:
    """Cut rows into pieces in which each follows the one before."""
    edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
    for first, last in itertools.pairwise(edges):
        yield RowRun(int(rows[first]), first, last - first)


def _in_blocks(runs: list[RowRun], dataset: Any) -> Iterator[RowRun]:
    """Cut what is cast into blocks of whole chunks, for not all of it to be in memory twice."""
    frame = math.prod(dataset.shape[1:]) * dataset.dtype.itemsize
    depth = dataset.chunks[0] if dataset.chunks else 1
    step = max(1, _CAST // max(1, frame * depth)) * depth
    for one in runs:
        done = 0
        while done < one.count:
            count = min(step - (one.row + done) % depth, one.count - done)
            yield RowRun(one.row + done, one.first + done, count)
            done += count


def _write_chunks(
    dataset: Any,
    data: NDArray[Any],
    runs: list[RowRun],
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

    def write(number: int, chunk: memoryview) -> None:
        row, cell = divmod(number, len(cells))
        reserve(len(chunk))
        dataset.id.write_direct_chunk((starts[row], *cells[cell]), chunk)

    run(job, threads, lambda: job.drain(write))
    if job.failure is None and job.drain(write):
        return
    raise StorageError(f"a chunk of {dataset.file.filename}:{dataset.name} {job.failure}")


def _pipeline(dataset: Any) -> EncodePipeline | None:
    """Return the filters that encode chunks of a dataset here; None where only HDF5 can."""
    dtype = dataset.dtype
    if dataset.chunks is None or dtype.kind not in "biufc" or 0 in dataset.shape[1:]:
        return None
    if not dataset.id.get_type().equal(h5py.h5t.py_create(dtype)):
        return None  # enumerations
    filters = stored_filters(dataset)
    if not filters:
        return None  # HDF5 writes plain chunks as fast
    try:
        return EncodePipeline(filters, _chunk_bytes(dataset))
    except ValueError:
        return None


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

    HDF5 may have been told to leave such chunks as they are, and would not decode ours then; see
    :mod:`cxistack.hdf5.edge_chunks`.
    """
    if why_misplaced(dataset.id):
        return False
    for axis, (n, c) in enumerate(zip(dataset.shape[1:], dataset.chunks[1:], strict=True), 1):
        if n % c and len(dataset):
            corner = [0] * dataset.ndim
            corner[axis] = n // c * c
            info = dataset.id.get_chunk_info_by_coord(tuple(corner))
            if info.byte_offset is not None and info.filter_mask == 0:
                return bool(info.size != _chunk_bytes(dataset))
    return False


def _divide(
    runs: list[RowRun], depth: int, length: int, with_last: bool
) -> tuple[list[RowRun], list[RowRun]]:
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
        whole.append(RowRun(begin, one.first + begin - one.row, end - begin))
        rest.append(RowRun(one.row, one.first, begin - one.row))
        rest.append(RowRun(end, one.first + end - one.row, stop - end))
    return whole, [one for one in rest if one.count]
