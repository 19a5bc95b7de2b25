"""Frames that are one chunk each, of blocks that are used as they decode: no frame is made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..errors import StorageError
from ..hdf5.files import most_open
from ._few import Kind, tasks_of
from .direct import MOST_TASKS
from .load import Load
from .many import Run, are_written
from .tasks import TASK

__all__ = ["Chunks", "batches", "runs_of"]


def runs_of(load: Load, numbers: NDArray[np.int64], kinds: str) -> list[Run] | str:
    """Return where frames lie that are one chunk each, or why they are not.

    Parameters
    ----------
    load : Load
        What is loaded.
    numbers : ndarray of int64
        Which frames.
    kinds : str
        Kinds of NumPy's types that pixels may have.
    """
    if load.dtype.kind not in kinds:
        what = "integers" if kinds == "iu" else "numbers"
        return f"pixels are {load.dtype}, no {what}"
    few = load.few
    if few is None:
        return "pixels are not as they are stored"
    runs = few.runs(numbers) if len(numbers) else []
    if runs is None or are_written(runs):
        return "not all frames are read beside libhdf5, in one pass"
    for kind in {run[0].kind for run in runs}:
        obstacle = _obstacle(kind, load)
        if obstacle is not None:
            return obstacle
    return runs


def _obstacle(kind: Kind, load: Load) -> str | None:
    """Return why blocks of a kind's chunks are not used as they decode; None where they are."""
    pipeline, _, _, stored, _, _ = kind.how
    if pipeline is None or not pipeline.splits:
        return "chunks are not those of bitshuffle with a codec alone"
    if stored.newbyteorder("=") != load.dtype:
        return f"pixels are stored as {stored}"
    if pipeline.filters[0][1][2] != stored.itemsize:
        return "bitshuffle was told another size of pixels"
    size = stored.itemsize
    steps = tuple(size * math.prod(load.grid[axis + 1 :]) for axis in range(len(load.grid)))
    pieces = kind.cells(steps)
    whole = (
        kind.frames == kind.tasks == len(pieces) == 1
        and pieces[0].src == pieces[0].dst == 0
        and pipeline.nbytes == size * math.prod(load.grid) == size * math.prod(pieces[0].shape)
        and all(
            one == other
            for length, one, other in zip(
                pieces[0].shape, pieces[0].src_steps, pieces[0].dst_steps, strict=True
            )
            if length > 1
        )
    )
    return None if whole else "a chunk is not one whole frame"


def batches(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Cut runs, in order, into what one job does: one kind, few files, a bounded table."""
    batch: list[Run] = []
    room = MOST_TASKS
    for way, begin, end in runs:
        while begin < end:
            if batch and (
                not room or len(batch) >= most_open() or batch[0][0].kind is not way.kind
            ):
                yield batch
                batch, room = [], MOST_TASKS
            stop = min(end, begin + room)
            batch.append((way, begin, stop))
            room -= stop - begin
            begin = stop
    if batch:
        yield batch


class Chunks:
    """The chunks of a batch of runs, in files that stay open as long as this is there.

    Parameters
    ----------
    load : Load
        What is loaded.
    runs : list of Run
        As :func:`batches` gives them.
    numbers : ndarray of int64
        The frames, of which runs tell.

    Attributes
    ----------
    pipeline, fill, stored
        How pixels are stored: the filters, the bytes of one that was never written, the type.
    first, last : int
        Which of the frames these are.
    tasks : ndarray of TASK
        A chunk each, in the order of the frames; `place` counts from the first of them.
    descriptors : ndarray of int32
        The files' descriptors, by the number that tasks have.
    """

    def __init__(self, load: Load, runs: list[Run], numbers: NDArray[np.int64]) -> None:
        kind = runs[0][0].kind
        self.pipeline, self.fill, _, self.stored, _, _ = kind.how
        self.first, self.last = runs[0][1], runs[-1][2]
        self._runs, self._numbers = runs, numbers
        tasks = np.empty(self.last - self.first, TASK)
        made, _ = tasks_of(kind, runs, numbers, tasks)
        self.tasks = tasks[:made]
        stamps = {way.path: way.stamp for way, _, _ in runs}
        # They are closed when nobody knows them any more.
        self._open = {path: load.files.open_descriptor(path, one) for path, one in stamps.items()}
        numbers_of = [self._open[way.path].number for way, _, _ in runs]
        self.descriptors = np.array(numbers_of, np.int32)

    @classmethod
    def of(cls, load: Load, runs: list[Run], numbers: NDArray[np.int64]) -> Self | None:
        """Return the chunks; None where a file is not what it was."""
        return cls(load, runs, numbers) if _are_as_they_were(runs) else None

    def are_as_they_were(self) -> bool:
        """Tell whether all files are still those that were looked at."""
        return _are_as_they_were(self._runs)

    def split(self) -> None:
        """Give each frame a task of its own, also where neighbours are one chunk."""
        self.tasks = np.repeat(self.tasks, self.tasks["count"])
        self.tasks["place"], self.tasks["count"] = np.arange(len(self.tasks)), 1

    def failure(self, number: int, why: str) -> StorageError:
        """Return the error that tells of a task."""
        task = self.tasks[number]
        rows = self._numbers[self.first + task["place"] :][: task["count"]]
        way = self._runs[task["file"]][0]
        error: StorageError = way.failure(rows.tolist(), task["size"], task["address"], why)
        return error


def _are_as_they_were(runs: Sequence[Run]) -> bool:
    ways = {way.path: way for way, _, _ in runs}
    return all(way.is_as_it_was() for way in ways.values())
