"""Many frames of many datasets, on threads: tasks are made in compiled code from kept ways.

It is for what one pass over each chunk does. What does not go this way is left to the engine, which
also finds out which value does not fit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..hdf5.files import Files, most_open
from ..hdf5.open_writers import written_here
from ..kernels import threads
from ._few import FewFrames, Kind, PlannedJob, Way, tasks_of
from .direct import MOST_TASKS, Count, chunk_end
from .reading import Output
from .tasks import TASK, split_tasks

__all__ = ["Run", "are_written", "read_many"]

_LARGE = 1 << 20  # bytes of a chunk that one thread decodes for as long as others take to start

Run = tuple[Way, int, int]


def read_many(files: Files, few: FewFrames, numbers: NDArray[np.int64], output: Output) -> bool:
    """Read frames into the output; return whether that is done.

    The output may have been written to where it is not.
    """
    if not len(numbers) or not output.array.size:
        return False
    places = np.arange(len(numbers))
    if (np.diff(numbers) < 0).any():
        places = np.argsort(numbers, kind="stable")
        numbers = numbers[places]
    runs = few.runs(numbers)
    if runs is None or are_written(runs):
        return False
    count = Count(len(numbers), len(numbers), output.tick)
    kinds: dict[Kind, list[Run]] = {}
    for run in runs:
        kinds.setdefault(run[0].kind, []).append(run)
    return all(
        _read(files, batch, numbers, places, output, count)
        for kind, group in kinds.items()
        for batch in _batches(kind, group, numbers)
    )


def are_written(runs: Sequence[Run]) -> bool:
    """Tell whether this process has one of the files open for writing."""
    written = written_here()  # once: to ask for each file takes longer
    return bool(written) and any(os.path.realpath(run[0].path) in written for run in runs)


def _batches(kind: Kind, runs: Sequence[Run], numbers: NDArray[np.int64]) -> Iterator[list[Run]]:
    """Cut runs into what one job does: no more files than may be open, nor tasks than memory."""
    most_files, most_frames = most_open(), max(1, MOST_TASKS // kind.tasks)
    batch: list[Run] = []
    room = most_frames
    for way, begin, end in runs:
        while begin < end:
            if batch and (len(batch) >= most_files or not room):
                yield batch
                batch, room = [], most_frames
            stop = end
            if end - begin > room:
                rows = numbers[begin:end] - way.offset
                stop = begin + chunk_end(rows, room, kind.frames)
            batch.append((way, begin, stop))
            room -= min(room, stop - begin)
            begin = stop
    if batch:
        yield batch


def _read(
    files: Files,
    runs: list[Run],
    numbers: NDArray[np.int64],
    places: NDArray[np.int64],
    output: Output,
    count: Count,
) -> bool:
    """Read frames that are stored alike, of files that are all open meanwhile."""
    kind = runs[0][0].kind
    if not all(way.is_as_it_was() for way, _, _ in runs):
        return False
    frames = sum(end - begin for _, begin, end in runs)
    tasks = np.empty(frames * kind.tasks, TASK)
    made, sources = tasks_of(kind, runs, numbers, tasks)
    tasks = tasks[:made]
    workers, parts = threads.count_threads(output.num_threads), 1
    if kind.splits and made % workers and made < 4 * workers and kind.how[0].nbytes >= _LARGE:
        parts = workers
    plan, counts = kind.plan_of(output.array.strides[1:], output.array.nbytes, parts)
    if counts is not None:
        tasks = split_tasks(tasks, counts)
    open_files = [files.open_descriptor(way.path, way.stamp) for way, _, _ in runs]
    job = PlannedJob(
        plan,
        tasks,
        sources,
        np.concatenate([places[begin:end] for _, begin, end in runs]),
        np.array([one.number for one in open_files], np.int32),
        output.array,
    )
    count.begin(job, frames)
    threads.run(job, output.num_threads, count.look)
    del open_files  # not before all is read
    if not all(way.is_as_it_was() for way, _, _ in runs):
        return False
    if job.failure is not None:
        number, why = job.failure
        task = tasks[number]
        way, begin, _ = runs[task["file"]]
        first = begin + task["place"] - sum(stop - start for _, start, stop in runs[: task["file"]])
        wanted = numbers[first : first + task["count"]]
        raise way.failure(wanted.tolist(), task["size"], task["address"], why)
    count.look()
    return job.first_bad is None
