"""Frames to the pixels above a threshold: as chunks decode where that can be, else after a load."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LayoutError
from ..kernels import above, threads
from ..kernels.threshold import least_above
from ._sparse import AboveChunks
from .load import Load
from .many import Run
from .whole_chunks import Chunks, batches, runs_of

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
    runs = runs_of(load, wanted, "iu")
    if not isinstance(runs, str):
        found = _read_chunks(load, runs, wanted, (least, good), num_threads)
        if found is not None:
            return found
    pieces = list(_dense(load, threshold, numbers, good, num_threads))
    return _joined(pieces, load)


def sparse_way(load: Load, numbers: NDArray[np.int64] | None = None) -> str:
    """Return in a sentence how :func:`read_above` finds pixels of frames, and why."""
    count = 1 if load.is_single else load.count
    wanted = np.arange(count) if numbers is None else np.ascontiguousarray(numbers)
    runs = runs_of(load, wanted, "iu")
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


def _read_chunks(
    load: Load,
    runs: Sequence[Run],
    numbers: NDArray[np.int64],
    wanted: tuple[np.generic, NDArray[np.bool_] | None],
    num_threads: int | None,
) -> Sparse | None:
    """Find pixels as chunks decode; None where a file is not what it was, or chunks are missing."""
    pieces = []
    for batch in batches(runs):
        found = _read(load, batch, numbers, wanted, num_threads)
        if found is None:
            return None
        pieces.append(found)
    return _joined(pieces, load)


def _read(
    load: Load,
    runs: list[Run],
    numbers: NDArray[np.int64],
    wanted: tuple[np.generic, NDArray[np.bool_] | None],
    num_threads: int | None,
) -> Sparse | None:
    least, good = wanted
    chunks = Chunks.of(load, runs, numbers)
    if chunks is None:
        return None
    if good is not None and good.ndim > 1:
        chunks.split()  # each frame has a mask of its own
        good = good[chunks.first : chunks.last]
    tasks, stored = chunks.tasks, chunks.stored
    if (tasks["address"] < 0).any() and chunks.fill.view(stored)[0] >= least:
        return None  # pixels that were never written are found, too
    how = chunks.descriptors, chunks.pipeline, chunks.fill, stored
    job = AboveChunks(tasks, np.arange(chunks.last - chunks.first), *how, least, good)
    threads.run(job, num_threads)
    if not chunks.are_as_they_were():
        return None
    if not job.has_memory:
        raise MemoryError(
            f"{load.attr!r} has too many pixels above the threshold: raise it, or take fewer frames"
        )
    if job.failure is not None:
        raise chunks.failure(*job.failure)
    counts = tasks["count"]
    order = np.repeat(np.arange(len(tasks)), counts)
    within = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return job.found(order, chunks.first + tasks["place"][order] + within, num_threads)


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
