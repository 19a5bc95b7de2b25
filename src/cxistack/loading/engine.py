"""Doing a load: every part by its route, beside libhdf5 where that can be."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue.index import FrameIndex
from ..hdf5.files import Stamp
from ..hdf5.open_writers import written_here
from . import assembled, blockwise, direct
from .assembled import datasets, why_blockwise
from .reading import Output, Reading

__all__ = ["read_frames"]


def read_frames(
    reading: Reading,
    numbers: NDArray[np.int64],
    output: Output,
    places: NDArray[np.intp] | None = None,
) -> None:
    """Read frames `numbers` into the output, each part by its recipe.

    They go to `places`, all different, or, when None, to 0, 1, ....

    Raises
    ------
    CastError
        A value does not fit; names the first frame of the result with such a value, its first
        pixel and how many of its pixels do not fit. The output is undefined.
    StorageError
        Bytes cannot be read or decoded; names file, dataset and rows or chunk.
    FileChangedError
        A file was changed since it was looked at, or while it was read.
    """
    files = reading.files
    stamps = _stamps(reading.index, numbers)
    for path, stamp in stamps.items():
        files.verify(path, stamp)
    if places is None:
        places = np.arange(len(numbers))
    fits = True
    fills, wanted, rest = _sort_out(reading, numbers, places)
    if wanted or fills:
        first = reading.recipes[0]
        how: Any = {"checked": first.casting == "checked", "both": first.is_narrowing}
        fits = direct.read(files, fills, replace(output, tick=lambda frames: None), **how)
        frames = len(numbers) - len(rest)
        fits = fits and direct.read(files, wanted, output, frames=frames, **how)
        if not wanted:  # all of it is fill values
            output.tick(frames)
    if not fits:
        rest = np.arange(len(numbers))  # the slower way finds out which value is the first
    blockwise.read(reading, numbers[rest], places[rest], output)
    for path, stamp in stamps.items():
        files.verify(path, stamp)


def _stamps(index: FrameIndex, numbers: NDArray[np.int64]) -> dict[str, Stamp]:
    """Return the files that are read, and what they were when they were looked at."""
    stamps = {}
    for _, part, rows, _ in index.by_part(numbers):
        for stored in datasets(part, rows):
            stamps[stored.place.filename] = stored.stamp
    # What this process writes itself, HDF5 reads from the same buffers.
    written = written_here()
    if not written:
        return stamps
    return {path: stamp for path, stamp in stamps.items() if os.path.realpath(path) not in written}


def _sort_out(
    reading: Reading, numbers: NDArray[np.int64], places: NDArray[np.intp]
) -> tuple[list[direct.Wanted], list[direct.Wanted], NDArray[np.intp]]:
    """Return what is done beside libhdf5 in one pass, and which of `numbers` are not.

    First come fill values, then what is read over them.
    """
    fills, read = [], []
    rest = [np.empty(0, np.intp)]
    for k, part, rows, which in reading.index.by_part(numbers):
        recipe, route = reading.recipes[k], reading.routes[k]
        if not recipe.is_one_pass or why_blockwise(part, route) is not None:
            rest.append(which)
            continue
        view = recipe.view(part.frame_shape)
        first, then = assembled.wanted(part, route, rows, places[which], view)
        if first and recipe.is_narrowing:
            rest.append(which)  # where fill values are bad, what is read over them stayed so
            continue
        fills += [replace(one, ranges=recipe.ranges) for one in first]
        read += [replace(one, ranges=recipe.ranges) for one in then]
    # What is left is read in the order asked for, so that the first error is the result's first.
    return fills, read, np.sort(np.concatenate(rest))
