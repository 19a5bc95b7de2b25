"""Frames to the pixels above a threshold: as chunks decode where that can be, else after a load."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LayoutError
from ..hdf5.files import most_open
from ..kernels import above, threads
from ..kernels.threshold import least_above
from ._few import Kind, tasks_of
from ._sparse import AboveChunks
from .direct import MOST_TASKS
from .load import Load
from .many import Run, are_written
from .tasks import TASK

__all__ = ["Sparse", "read_above", "sparse_way"]

#: Of each pixel: the place of its frame among those asked for, its place in the frame, its value.
Sparse = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]

_BATCH_BYTES = 16 << 20  # of dense frames at a time


def read_above(
    load: Load,
    threshold: float,
    numbers: NDArray[np.int64] | None = None,
    *,
    mask: NDArray[Any] | None = None,
    num_threads: int | None = None,
) -> Sparse:
    """Find the pixels of frames that are above a threshold.

    Parameters
    ----------
    load : Load
        What is loaded; its pixels are numbers.
    threshold : float
        Values greater than this are found, as by :func:`cxistack.kernels.above`.
    numbers : ndarray of int64, optional
        Which frames, as :meth:`Load.numbers` returns them. All when None.
    mask : ndarray of bool, optional
        True for a good pixel, others are not found; of `load.frame_shape`, or one for each frame.
    num_threads : int, optional
        How many threads work; every core when None.

    Returns
    -------
    place : ndarray of int64
        Of each pixel found, in the order of frames and pixels, the place of its frame in `numbers`.
    pixel : ndarray of int64
        Its place in the flattened frame.
    value : ndarray
        Its value, of the type that is loaded.

    Raises
    ------
    LayoutError
        The mask has other pixels.
    StorageError
        Bytes cannot be read or decoded; names file, dataset and chunk.
    """
    if load.is_text:
        raise LayoutError(f"{load.attr!r} holds text: no pixels to compare with a threshold")
    count = load.count if numbers is None else len(numbers)
    count = 1 if load.is_single else count
    good = None if mask is None else _flat_mask(load, mask, count)
    least = least_above(threshold, load.dtype)
    if least is None or not count or 0 in load.frame_shape:
        return _none(load)
    wanted = np.arange(count) if numbers is None else np.ascontiguousarray(numbers)
    runs = _runs(load, wanted)
    if not isinstance(runs, str):
        found = _read_chunks(load, runs, wanted, (least, good), num_threads)
        if found is not None:
            return found
    pieces = list(_dense(load, threshold, numbers, good, num_threads))
    return _joined(pieces, load)


def sparse_way(load: Load, numbers: NDArray[np.int64] | None = None) -> str:
    """Return in a sentence how :func:`read_above` finds pixels of frames, and why."""
    count = 1 if load.is_single else load.count
    runs = _runs(load, np.arange(count) if numbers is None else np.ascontiguousarray(numbers))
    if isinstance(runs, str):
        return f"above a threshold: frames are loaded, then compared: {runs}"
    return "above a threshold: blocks are compared as they are decoded, no frame is made"


def _none(load: Load) -> Sparse:
    none = np.empty(0, np.int64)
    return none, none.copy(), np.empty(0, load.dtype.newbyteorder("="))


def _joined(pieces: Sequence[Sparse], load: Load) -> Sparse:
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        return _none(load)
    place, pixel, value = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return place, pixel, value


def _flat_mask(load: Load, mask: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """Return a mask as flat frames: one, or one for each."""
    mask = np.asarray(mask)
    if mask.dtype != np.bool_:
        raise TypeError(f"mask holds {mask.dtype}; it is boolean, True for a good pixel")
    if mask.shape == load.frame_shape:
        return mask.reshape(-1)
    if mask.shape == (count, *load.frame_shape):
        return mask.reshape(count, math.prod(load.frame_shape))
    raise LayoutError(
        f"the mask has shape {mask.shape}; {count} frames of {load.attr!r} need one of "
        f"{load.frame_shape}, or one for each"
    )


def _runs(load: Load, numbers: NDArray[np.int64]) -> list[Run] | str:
    """Return where frames lie in chunks that can be compared as they decode, or why they do not."""
    if load.dtype.kind not in "iu":
        return f"pixels are {load.dtype}, no integers"
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
    """Return why chunks of a kind are not compared as they decode; None where they are."""
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


def _read_chunks(
    load: Load,
    runs: Sequence[Run],
    numbers: NDArray[np.int64],
    wanted: tuple[np.generic, NDArray[np.bool_] | None],
    num_threads: int | None,
) -> Sparse | None:
    """Find pixels as chunks decode; None where a file is not what it was, or chunks are missing."""
    pieces = []
    for batch in _batches(runs):
        found = _read(load, batch, numbers, wanted, num_threads)
        if found is None:
            return None
        pieces.append(found)
    return _joined(pieces, load)


def _batches(runs: Sequence[Run]) -> Iterator[list[Run]]:
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


def _read(
    load: Load,
    runs: list[Run],
    numbers: NDArray[np.int64],
    wanted: tuple[np.generic, NDArray[np.bool_] | None],
    num_threads: int | None,
) -> Sparse | None:
    least, good = wanted
    kind = runs[0][0].kind
    pipeline, fill, _, stored, _, _ = kind.how
    ways = {way.path: way for way, _, _ in runs}
    if not all(way.is_as_it_was() for way in ways.values()):
        return None
    first, last = runs[0][1], runs[-1][2]
    tasks = np.empty(last - first, TASK)
    made, _ = tasks_of(kind, runs, numbers, tasks)
    tasks = tasks[:made]
    if good is not None and good.ndim > 1:
        tasks = np.repeat(tasks, tasks["count"])  # each frame has a mask of its own
        tasks["place"], tasks["count"] = np.arange(len(tasks)), 1
        good = good[first:last]
    if (tasks["address"] < 0).any() and fill.view(stored)[0] >= least:
        return None  # pixels that were never written are found, too
    descriptors = {path: load.files.open_descriptor(path, way.stamp) for path, way in ways.items()}
    numbers_of = np.array([descriptors[way.path].number for way, _, _ in runs], np.int32)
    places = np.arange(last - first)
    job = AboveChunks(tasks, places, numbers_of, pipeline, fill, stored, least, good)
    threads.run(job, num_threads)
    del descriptors  # not before all is read
    if not all(way.is_as_it_was() for way in ways.values()):
        return None
    if not job.has_memory:
        raise MemoryError(
            f"{load.attr!r} has too many pixels above the threshold: raise it, or take fewer frames"
        )
    if job.failure is not None:
        number, why = job.failure
        task = tasks[number]
        way = runs[task["file"]][0]
        rows = numbers[first + task["place"] :][: task["count"]]
        raise way.failure(rows.tolist(), task["size"], task["address"], why)
    counts = tasks["count"]
    order = np.repeat(np.arange(len(tasks)), counts)
    within = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return job.found(order, first + tasks["place"][order] + within, num_threads)


def _dense(
    load: Load,
    threshold: float,
    numbers: NDArray[np.int64] | None,
    good: NDArray[np.bool_] | None,
    num_threads: int | None,
) -> Iterator[Sparse]:
    """Load frames, some at a time, and find the pixels in them."""
    if load.is_single:
        frame = load.read(None, num_threads=num_threads).reshape(1, -1)
        mask = None if good is None else good.reshape(1, -1)
        yield above(frame, threshold, mask=mask, num_threads=num_threads)
        return
    count = load.count if numbers is None else len(numbers)
    size = max(1, load.dtype.itemsize * math.prod(load.frame_shape))
    batch = max(1, _BATCH_BYTES // size)
    buffer = np.empty((min(batch, count), *load.frame_shape), load.dtype)
    for begin in range(0, count, batch):
        stop = min(count, begin + batch)
        some = np.arange(begin, stop) if numbers is None else numbers[begin:stop]
        frames = load.read(some, buffer[: stop - begin], num_threads=num_threads)
        mask = good
        if mask is not None:
            mask = mask[None] if mask.ndim == 1 else mask[begin:stop, None]
        place, pixel, value = above(
            frames.reshape(len(some), 1, -1), threshold, mask=mask, num_threads=num_threads
        )
        place += begin
        yield place, pixel, value
