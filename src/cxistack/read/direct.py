"""Reads frames beside libhdf5: makes the tasks of datasets that are stored alike, and runs them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StorageError
from ..hdf5.files import Files, most_open
from ..hdf5.layout import Stored
from ..hdf5.storage import Chunked, Contiguous
from ..kernels import threads
from ..view import FrameView
from ._chunks import ChunkJob
from .tasks import PIECE_BYTES, TASK, Cell, Geometry, cells, tasks

__all__ = ["Wanted", "plan", "read"]

_MOST_TASKS = 1 << 18  # of one job: their table takes some MiB


@dataclass(frozen=True)
class Wanted:
    """Rows of a dataset, and where they go.

    Attributes
    ----------
    stored : Stored
        The dataset; each row of its first axis is a frame of two axes or more.
    where : Contiguous or Chunked
        Where its bytes lie.
    rows, places : ndarray of int64
        The rows, in ascending order, and each one's place in the result.
    has_frame_axis : bool
        False where the dataset is one frame, and every row 0.
    """

    stored: Stored
    where: Contiguous | Chunked
    rows: NDArray[np.int64]
    places: NDArray[np.int64]
    has_frame_axis: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape with a frame axis."""
        return self.stored.shape if self.has_frame_axis else (1, *self.stored.shape)

    @property
    def chunk(self) -> tuple[int, ...] | None:
        """Shape of a chunk with a frame axis; None where there are none."""
        if isinstance(self.where, Contiguous):
            return None
        return self.where.chunk if self.has_frame_axis else (1, *self.where.chunk)


def read(
    files: Files,
    wanted: Sequence[Wanted],
    view: FrameView,
    out: NDArray[Any],
    *,
    checked: bool,
    num_threads: int | None,
    tick: Callable[[int], object],
) -> bool:
    """Read the view of frames into `out`; return whether every value fits.

    Raises
    ------
    StorageError
        Bytes cannot be read or decoded, or a file was changed; names file, dataset and chunk.
    """
    if not out.size:
        return True
    for group in _alike([one for one in wanted if len(one.rows)]):
        geometry = _geometry(group[0])
        pieces = cells(geometry, view, out.strides[1:])
        for batch in _batches(group, geometry, len(pieces)):
            entries = _entries(batch, geometry, pieces)
            with ExitStack() as stack:
                descriptors = [
                    stack.enter_context(
                        files.descriptor(one.stored.place.filename, one.where.stamp)
                    )
                    for one in batch
                ]
                job = _job(batch[0], entries, np.array(descriptors, np.int32), out, checked)
                count = _Count(job, sum(len(one.rows) for one in batch), tick)
                threads.run(job, num_threads, count.look)
            if job.failure is not None:
                raise _failure(batch, entries, *job.failure)
            if job.first_bad is not None:
                return False
            count.look()
    return True


class _Count:
    """Tells how many more frames of a job are read, whenever it is asked to look."""

    def __init__(self, job: ChunkJob, frames: int, tick: Callable[[int], object]) -> None:
        self._job, self._frames, self._tick = job, frames, tick
        self._told = 0

    def look(self) -> None:
        """Tell."""
        frames = self._frames * self._job.done // self._job.tasks
        self._tick(frames - self._told)
        self._told = frames


def plan(one: Wanted, view: FrameView) -> NDArray[np.void]:
    """Return the tasks that read the view of a dataset's rows (the result's strides left out)."""
    if not len(one.rows) or 0 in view.shape or 0 in one.shape:
        return np.zeros(0, TASK)
    geometry = _geometry(one)
    pieces = cells(geometry, view, (0,) * len(geometry.frame))
    return tasks(geometry, pieces, one.rows, 0, *_chunk_table(one, geometry))


@dataclass(frozen=True)
class _Entries:
    """The tables of a job."""

    geometry: Geometry
    pieces: list[Cell]
    tasks: NDArray[np.void]
    sources: NDArray[np.int64]
    places: NDArray[np.int64]


def _alike(wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """Gather neighbours that are stored alike."""
    for _, group in itertools.groupby(wanted, _kind):
        yield list(group)


def _batches(group: Sequence[Wanted], geometry: Geometry, pieces: int) -> Iterator[list[Wanted]]:
    """Cut a group into what one job does: no more files than may be open, nor tasks than memory."""
    most_files, most_rows = most_open(), max(1, _MOST_TASKS // pieces)
    batch: list[Wanted] = []
    rows = 0
    for one in group:
        begin = 0
        while begin < len(one.rows):
            if batch and (len(batch) == most_files or rows >= most_rows):
                yield batch
                batch, rows = [], 0
            end = _chunk_end(one.rows, begin + most_rows - rows, geometry.chunk[0])
            batch.append(replace(one, rows=one.rows[begin:end], places=one.places[begin:end]))
            rows += end - begin
            begin = end
    if batch:
        yield batch


def _chunk_end(rows: NDArray[np.int64], end: int, frames: int) -> int:
    """Return a place to cut at or after `end`, so that no chunk is decoded on both sides."""
    if end >= len(rows):
        return len(rows)
    return int(np.searchsorted(rows, (rows[end - 1] // frames + 1) * frames))


def _kind(one: Wanted) -> tuple[object, ...]:
    """Return what two datasets must share to be read by one job."""
    where = one.where
    filters = None
    if isinstance(where, Chunked):
        filters = where.pipeline.filters if where.pipeline is not None else ()
    return (one.stored.dtype.str, one.shape[1:], one.chunk, filters, where.fill.tobytes())


def _geometry(one: Wanted) -> Geometry:
    frame, itemsize = one.shape[1:], one.stored.dtype.itemsize
    if isinstance(one.where, Chunked):
        assert one.chunk is not None
        return Geometry(frame, one.chunk, itemsize, one.where.pipeline is not None)
    # Bytes in one piece are read as if in chunks: of several small frames, or of one.
    together = max(1, PIECE_BYTES // max(1, math.prod(frame) * itemsize))
    return Geometry(frame, (together, *frame), itemsize, False)


def _entries(batch: Sequence[Wanted], geometry: Geometry, pieces: list[Cell]) -> _Entries:
    tables = []
    place = 0
    for number, one in enumerate(batch):
        table = tasks(geometry, pieces, one.rows, place, *_chunk_table(one, geometry))
        table["file"] = number
        tables.append(table)
        place += len(one.rows)
    return _Entries(
        geometry,
        pieces,
        np.concatenate(tables),
        np.concatenate([one.rows for one in batch]) % geometry.chunk[0],
        np.concatenate([one.places for one in batch]),
    )


class _InARow:
    """The chunk table of bytes in one piece, worked out for the entries that are asked for."""

    def __init__(self, first: int | None, step: int, dtype: type[np.generic]) -> None:
        self._first, self._step, self._dtype = first, step, dtype

    def __getitem__(self, where: NDArray[np.int64]) -> NDArray[Any]:
        if self._first is None:
            return np.full(where.shape, -1, self._dtype)
        return (self._first + self._step * where).astype(self._dtype)


def _chunk_table(one: Wanted, geometry: Geometry) -> tuple[Any, Any, Any]:
    where = one.where
    if isinstance(where, Chunked):
        return where.address, where.size, where.mask
    step = geometry.chunk[0] * geometry.chunk_frame_bytes
    zero = _InARow(0, 0, np.int64), _InARow(0, 0, np.uint32)
    return _InARow(where.offset, step, np.int64), *zero


def _job(
    first: Wanted,
    entries: _Entries,
    descriptors: NDArray[np.int32],
    out: NDArray[Any],
    checked: bool,
) -> ChunkJob:
    return ChunkJob(
        entries.tasks,
        entries.sources,
        entries.places,
        descriptors,
        entries.pieces,
        first.where.pipeline if isinstance(first.where, Chunked) else None,
        first.where.fill.reshape(1).view(np.uint8),
        entries.geometry.chunk_frame_bytes,
        first.stored.dtype,
        out,
        checked,
    )


def _failure(batch: Sequence[Wanted], entries: _Entries, number: int, why: str) -> StorageError:
    task = entries.tasks[number]
    one = batch[task["file"]]
    before = sum(len(other.rows) for other in batch[: task["file"]])
    rows = one.rows[task["place"] - before :][: task["count"]]
    which = f"row {rows[0]}" if len(rows) == 1 else f"rows {rows[0]} to {rows[-1]}"
    return StorageError(
        f"{one.stored.place}, {which}: the chunk of {task['size']} bytes at {task['address']} {why}"
    )
