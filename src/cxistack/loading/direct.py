"""Reads frames beside libhdf5: makes the tasks of datasets that are stored alike, and runs them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StorageError
from ..hdf5.addresses import Chunked, Contiguous, Unlisted
from ..hdf5.files import Files, Stamp, most_open
from ..hdf5.remote.urls import is_url
from ..hdf5.single_chunks import fetched
from ..hdf5.stored import Stored
from ..kernels import threads
from ._read_chunks import ChunkJob
from .failure import chunk_failure
from .fetched import IN_MEMORY, AtHand, heads_of, remote_files
from .ranges import Range
from .reading import Output
from .tasks import PIECE_BYTES, TASK, Cell, Geometry, Window, cells, tasks

__all__ = ["MOST_TASKS", "Count", "Wanted", "alike", "chunk_end", "geometry_of", "plan", "read"]


MOST_TASKS = 1 << 18  # of one job: their table takes some MiB
_FETCHED = 64 << 20  # bytes of frames whose chunks are in memory, still encoded, at a time
_AHEAD = 3  # batches that are on their way from servers beside the one that is decoded


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
    windows : tuple of Window
        What is taken of each row, and where it goes in the result's frame.
    has_frame_axis : bool
        False where the dataset is one frame, and every row 0.
    descriptor : int or None
        On what holds its chunks where that is not its file.
    ranges : tuple of Range or None
        Pixels become whether they lie in all of these.
    """

    stored: Stored
    where: Contiguous | Chunked
    rows: NDArray[np.int64]
    places: NDArray[np.int64]
    windows: tuple[Window, ...]
    has_frame_axis: bool = True
    descriptor: int | None = None
    ranges: tuple[Range, ...] | None = None

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
    output: Output,
    *,
    checked: bool = True,
    frames: int | None = None,
    both: bool = False,
) -> bool:
    """Read what is wanted into the output; return whether every value fits.

    With `both`, pixels of wanted ranges that are False in the output stay so.
    The output is told of `frames` frames in all, of as many as there are rows when None.

    Raises
    ------
    StorageError
        Bytes cannot be read or decoded, or a file was changed; names file, dataset and chunk.
    """
    wanted = [one for one in wanted if len(one.rows)]
    if not output.array.size or not wanted:
        return True
    rows = sum(len(one.rows) for one in wanted)
    count = Count(rows if frames is None else frames, rows, output.tick)
    for group in _groups(wanted):
        geometry = geometry_of(group[0])
        pieces = _Cells(geometry, output.array.strides[1:])
        batches = _batches(group, geometry, pieces)
        with closing(_made_ready(files, batches, geometry, pieces)) as ready:
            for one in ready:
                with one.stack:
                    job = one.job((output.array, checked, both))
                    count.begin(job, sum(len(wanted.rows) for wanted in one.batch))
                    threads.run(job, output.num_threads, count.look)
                    if job.failure is not None and one.has_rest:  # a head was too short
                        job = one.job((output.array, checked, both), whole=True)
                        count.again(job)
                        threads.run(job, output.num_threads, count.look)
                if job.failure is not None:
                    raise _failure(one.batch, one.entries, *job.failure)
                if job.first_bad is not None:
                    return False
                count.look()
    return True


def _fetched(files: Files, one: Wanted, stack: ExitStack) -> Wanted:
    """Return what is wanted with its chunks at hand, where HDF5 has to find them one by one."""
    if not isinstance(one.where, Unlisted):
        return one
    found = plan(one)
    numbers = np.sort(found["address"] - found["shift"])
    numbers = numbers[np.diff(numbers, prepend=-1) != 0]
    table, descriptor = stack.enter_context(fetched(files, one.stored, one.where, numbers))
    return replace(one, where=table, descriptor=descriptor)


class Count:
    """Reports progress: how many frames are read, counted from a job's tasks."""

    def __init__(self, frames: int, rows: int, tick: Callable[[int], object]) -> None:
        self._frames, self._rows, self._tick = frames, rows, tick
        self._before = self._here = self._told = 0
        self._job: ChunkJob | None = None

    def begin(self, job: ChunkJob, rows: int) -> None:
        """Count the rows of the next job."""
        self._before += self._here
        self._job, self._here = job, rows

    def again(self, job: ChunkJob) -> None:
        """Count the rows of a job that does the last one's work anew."""
        self._job = job

    def look(self) -> None:
        """Report the frames that were read since the last look."""
        assert self._job is not None
        rows = self._before + self._here * self._job.done // self._job.tasks
        frames = self._frames * rows // self._rows
        if frames > self._told:
            self._tick(frames - self._told)
            self._told = frames


class _Cells:
    """The cells of all windows that a job has to do with; those of the same windows once."""

    def __init__(self, geometry: Geometry, dst_steps: tuple[int, ...]) -> None:
        self._geometry, self._dst_steps = geometry, dst_steps
        self._known: dict[tuple[Window, ...], tuple[int, list[Cell]]] = {}
        self.all: list[Cell] = []

    def of(self, windows: tuple[Window, ...]) -> tuple[int, list[Cell]]:
        """Return the windows' cells, and the number of the first among all."""
        if windows not in self._known:
            found = cells(self._geometry, windows, self._dst_steps)
            self._known[windows] = len(self.all), found
            self.all += found
        return self._known[windows]


def plan(one: Wanted) -> NDArray[np.void]:
    """Return the tasks that read what is wanted (the result's strides left out)."""
    if not len(one.rows) or 0 in one.shape or not any(window.size for window in one.windows):
        return np.zeros(0, TASK)
    geometry = geometry_of(one)
    pieces = cells(geometry, one.windows, (0,) * len(one.windows[0].places))
    return tasks(geometry, pieces, one.rows, *_chunk_table(one, geometry))


@dataclass(frozen=True)
class _Entries:
    """The tables of a job."""

    geometry: Geometry
    pieces: list[Cell]
    tasks: NDArray[np.void]
    sources: NDArray[np.int64]
    places: NDArray[np.int64]
    files: list[tuple[str, Stamp] | int]


@dataclass(frozen=True)
class _Ready:
    """What one job reads; of files on servers, on its way."""

    files: Files
    batch: list[Wanted]
    entries: _Entries
    here: AtHand | None
    stack: ExitStack

    @property
    def has_rest(self) -> bool:
        """Whether of some chunks only the head is here."""
        return self.here is not None and self.here.has_rest

    def job(self, how: tuple[NDArray[Any], bool, bool], whole: bool = False) -> ChunkJob:
        """Return the job, when its bytes are here; with `whole`, all of each chunk."""
        if self.here is not None:
            self.here.wait()
            if whole:
                self.here.bring_rest()
        descriptors = [self._descriptor(file) for file in self.entries.files]
        tasks = self.entries.tasks if self.here is None else self.here.tasks
        job = _job(self.batch[0], self.entries, tasks, np.array(descriptors, np.int32), how)
        if self.here is not None:
            job.read_memory(self.here.memory)
        return job

    def _descriptor(self, file: tuple[str, Stamp] | int) -> int:
        if isinstance(file, int):
            return file
        if self.here is not None and is_url(file[0]):
            return IN_MEMORY
        return self.stack.enter_context(closing(self.files.open_descriptor(*file))).fileno()


def _made_ready(
    files: Files, batches: Iterable[list[Wanted]], geometry: Geometry, pieces: _Cells
) -> Generator[_Ready]:
    """Make what jobs read ready; of files on servers, the next ones' bytes are on their way."""
    waiting: deque[_Ready] = deque()
    try:
        for batch in batches:
            with ExitStack() as stack:
                batch = [_fetched(files, one, stack) for one in batch]
                entries = _entries(batch, geometry, pieces)
                here = None
                if remote_files(entries.files):
                    told, heads = partial(_failure, batch, entries), _heads(batch[0], entries)
                    here = AtHand(files, entries.files, entries.tasks, heads, told, stack)
                waiting.append(_Ready(files, batch, entries, here, stack.pop_all()))
            if here is None or len(waiting) > _AHEAD:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        for one in waiting:
            one.stack.close()


def _groups(wanted: Sequence[Wanted]) -> Iterable[list[Wanted]]:
    """Gather what is stored alike."""
    groups: dict[tuple[object, ...], list[Wanted]] = {}
    for one in wanted:
        groups.setdefault(alike(one), []).append(one)
    return groups.values()


def _batches(group: Sequence[Wanted], geometry: Geometry, pieces: _Cells) -> Iterator[list[Wanted]]:
    """Cut a group into what one job does: no more files than may be open, nor tasks than memory."""
    most_files = most_open()
    batch: list[Wanted] = []
    files: set[str] = set()
    room = MOST_TASKS
    for one in group:
        per_row = max(1, len(pieces.of(one.windows)[1]))
        if is_url(one.stored.place.filename):
            per_row = max(
                per_row, int(MOST_TASKS * min(1.0, _stored_bytes(one) * (_AHEAD + 1) / _FETCHED))
            )
        elif isinstance(one.where, Unlisted):
            share = math.prod(one.shape[1:]) * one.stored.dtype.itemsize / _FETCHED
            per_row = max(per_row, int(MOST_TASKS * min(1.0, share)))
        begin = 0
        while begin < len(one.rows):
            files.add(one.stored.place.filename)
            if batch and (len(files) > most_files or room < per_row):
                yield batch
                batch, room = [], MOST_TASKS
                files = {one.stored.place.filename}
            end = chunk_end(one.rows, begin + max(1, room // per_row), geometry.chunk[0])
            batch.append(replace(one, rows=one.rows[begin:end], places=one.places[begin:end]))
            room -= (end - begin) * per_row
            begin = end
    if batch:
        yield batch


def _stored_bytes(one: Wanted) -> float:
    """Return how many bytes are fetched for a row, about."""
    inner = math.prod(one.shape[1:]) * one.stored.dtype.itemsize
    if not isinstance(one.where, Chunked) or isinstance(one.where, Unlisted):
        return inner
    sizes = np.asarray(one.where.size[:])
    return float(sizes.sum() / max(1, one.shape[0])) if one.where.pipeline is not None else inner


def chunk_end(rows: NDArray[np.int64], end: int, frames: int) -> int:
    """Return a place to cut at or after `end`, so that no chunk is decoded on both sides."""
    if end >= len(rows):
        return len(rows)
    return int(np.searchsorted(rows, (rows[end - 1] // frames + 1) * frames))


def alike(one: Wanted) -> tuple[object, ...]:
    """Return what two datasets must share to be read by one job."""
    where = one.where
    filters = None
    if isinstance(where, Chunked):
        filters = where.pipeline.filters if where.pipeline is not None else ()
    stored = (one.stored.dtype.str, one.shape[1:], one.chunk, filters, where.fill.tobytes())
    return (*stored, one.ranges)


def geometry_of(one: Wanted) -> Geometry:
    """Return how a dataset's frames lie in its chunks."""
    frame, itemsize = one.shape[1:], one.stored.dtype.itemsize
    if isinstance(one.where, Chunked):
        assert one.chunk is not None
        return Geometry(frame, one.chunk, itemsize, one.where.pipeline is not None)
    # Bytes in one piece are read as if in chunks: of several small frames, or of one.
    together = max(1, PIECE_BYTES // max(1, math.prod(frame) * itemsize))
    return Geometry(frame, (together, *frame), itemsize, False)


def _entries(batch: Sequence[Wanted], geometry: Geometry, pieces: _Cells) -> _Entries:
    tables = []
    files: dict[tuple[str, Stamp] | int, int] = {}
    place = 0
    for one in batch:
        first, mine = pieces.of(one.windows)
        table = tasks(geometry, mine, one.rows, *_chunk_table(one, geometry))
        table["place"] += place
        file = (
            (one.stored.place.filename, one.where.stamp)
            if one.descriptor is None
            else one.descriptor
        )
        table["file"] = files.setdefault(file, len(files))
        table["cell"] += first
        tables.append(table)
        place += len(one.rows)
    return _Entries(
        geometry,
        pieces.all,
        np.concatenate(tables),
        np.concatenate([one.rows for one in batch]) % geometry.chunk[0],
        np.concatenate([one.places for one in batch]),
        list(files),
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


def _heads(first: Wanted, entries: _Entries) -> NDArray[np.int64]:
    """Return how many bytes tasks need: of bitshuffled chunks, up to the last wanted block."""
    tasks, where = entries.tasks, first.where
    heads: NDArray[np.int64] = tasks["size"]
    if not isinstance(where, Chunked) or where.pipeline is None or not where.pipeline.splits:
        return heads
    ends = np.array([cell.last if len(cell.shape) == 2 else -1 for cell in entries.pieces])
    row = entries.sources[tasks["place"] + tasks["count"] - 1]
    last = row * entries.geometry.chunk_frame_bytes + ends[tasks["cell"]]
    in_parts = (tasks["mask"] == 0) & (tasks["cells"] == 1) & (ends[tasks["cell"]] >= 0)
    return np.where(in_parts, heads_of(tasks, last, where.pipeline.nbytes), heads)


def _job(
    first: Wanted,
    entries: _Entries,
    tasks: NDArray[np.void],
    descriptors: NDArray[np.int32],
    how: tuple[NDArray[Any], bool, bool],
) -> ChunkJob:
    out, checked, both = how
    return ChunkJob(
        tasks,
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
        first.ranges,
        both,
    )


def _failure(batch: Sequence[Wanted], entries: _Entries, number: int, why: str) -> StorageError:
    task = entries.tasks[number]
    begin = 0
    for one in batch:
        if task["place"] < begin + len(one.rows):
            break
        begin += len(one.rows)
    rows = one.rows[task["place"] - begin :][: task["count"]]
    at = task["address"] if one.descriptor is None else None
    return chunk_failure(f"{one.stored.place}", rows.tolist(), task["size"], at, why)
