"""Frames to sums over them, as their blocks decode, where that can be: no frame is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import FileChangedError
from ..kernels import Moments, threads
from ..kernels._decode import Pipeline
from ..kernels.moments import begin_frames
from ..kernels.results import empty
from ._sums import StoredChunks, SumChunks
from .load import Load
from .whole_chunks import Chunks, batches, runs_of

__all__ = ["add_frames"]

_BATCH_BYTES = (64 << 20) - 4096  # of stored chunks: memory of a batch is kept for the next sums
_LARGEST_BLOCK = 64 << 10  # of which several stay in the cache
_PARTS = 8  # of frames, that each thread has to do


def add_frames(
    load: Load,
    numbers: NDArray[np.int64],
    moments: Sequence[Moments],
    mask: NDArray[np.bool_] | None = None,
    *,
    num_threads: int | None = None,
    tick: Callable[[int], object] = lambda n: None,
) -> bool:
    """Add frames to sums as their chunks decode.

    Parameters
    ----------
    load : Load
        What is loaded.
    numbers : ndarray of int64
        Which frames.
    moments : sequence of Moments
        What they are added to.
    mask : ndarray of bool, optional
        Good pixels of all frames; of `load.frame_shape`.
    num_threads : int, optional
        How many threads work; every core when None.
    tick : callable
        Is told how many frames were added.

    Returns
    -------
    bool
        Whether all were. If not, something is unusual or wrong, which who loads the frames finds
        out; `moments` are then of no use.
    """
    workers = threads.count_threads(num_threads)
    numbers = np.ascontiguousarray(numbers)
    runs = runs_of(load, numbers, "biuf")
    if isinstance(runs, str):
        return False
    if not all(_has_parts(kind.how[0], workers) for kind in {run[0].kind for run in runs}):
        return False
    good = None if mask is None else np.ascontiguousarray(mask).reshape(-1)
    for batch in batches(runs):
        try:
            chunks = Chunks.of(load, batch, numbers)
        except (FileChangedError, FileNotFoundError):
            return False
        if chunks is None or not _are_usual(chunks):
            return False
        chunks.split()
        if not _add(chunks, moments, good, workers, tick):
            return False
        if not chunks.are_as_they_were():
            return False
    return True


def _has_parts(pipeline: Pipeline, workers: int) -> bool:
    """Tell whether chunks are of small blocks; of one for two threads it is still faster."""
    blocks = -(-pipeline.nbytes // pipeline.block_bytes)
    return pipeline.block_bytes <= _LARGEST_BLOCK and 2 * blocks >= workers


def _are_usual(chunks: Chunks) -> bool:
    """Tell whether all chunks are there, filtered, and of a size that they may have."""
    tasks = chunks.tasks
    return (
        bool(((tasks["address"] >= 0) & (tasks["mask"] == 0)).all())
        and int(tasks["size"].max()) <= 2 * chunks.pipeline.nbytes + _LARGEST_BLOCK
    )


def _in_memory(tasks: NDArray[np.void]) -> Iterator[NDArray[np.void]]:
    """Cut tasks into those whose chunks are in memory together."""
    ends = np.cumsum(tasks["size"])
    begin = 0
    while begin < len(tasks):
        room = _BATCH_BYTES + (ends[begin - 1] if begin else 0)
        end = max(begin + 1, int(np.searchsorted(ends, room, side="right")))
        yield tasks[begin:end]
        begin = end


def _add(
    chunks: Chunks,
    moments: Sequence[Moments],
    good: NDArray[np.bool_] | None,
    workers: int,
    tick: Callable[[int], object],
) -> bool:
    pipeline, stored = chunks.pipeline, chunks.stored
    part = max(1, pipeline.nbytes // pipeline.block_bytes // (_PARTS * workers))
    for there, following in _in_turn(chunks, part, workers):
        if there.failure is not None:
            return False
        states = [begin_frames(one, there.tasks, masked=good is not None) for one in moments]
        job = SumChunks(there, stored, stored.newbyteorder("="), states, good, following)
        threads.run(job, workers)
        if job.failure is not None:
            return False
        for one in moments:
            one.frames += there.tasks
        tick(there.tasks)
    return True


def _in_turn(
    chunks: Chunks, part: int, workers: int
) -> Iterator[tuple[StoredChunks, StoredChunks | None]]:
    """Yield chunks that are in memory, and those that come into it while these are added."""
    cut = list(_in_memory(chunks.tasks))
    most = max(int(tasks["size"].sum()) for tasks in cut)
    # One thread has nobody who adds while it waits for a disk.
    places = 1 if workers == 1 else 2
    memory = [empty((most,), np.dtype(np.uint8)) for _ in cut[:places]]
    there: StoredChunks | None = None
    for number, tasks in enumerate(cut):
        how = chunks.descriptors, chunks.pipeline, part, memory[number % places]
        following = StoredChunks(tasks, *how)
        if there is not None:
            yield there, following if places > 1 else None
        if there is None or places == 1:
            threads.run(following, workers)
        there = following
    assert there is not None
    yield there, None
