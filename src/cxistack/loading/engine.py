"""Doing a load: every part by its route, beside libhdf5 where that can be."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue.index import FrameIndex
from ..hdf5.addresses import Bytes
from ..hdf5.files import Files, Stamp
from ..hdf5.open_writers import written_here
from ..transforms.steps import FrameView
from . import assembled, blockwise, direct
from .assembled import datasets, why_blockwise
from .recipe import Recipe

__all__ = ["read_frames"]


def read_frames(
    files: Files,
    index: FrameIndex,
    recipes: Sequence[Recipe],
    routes: Sequence[Bytes],
    numbers: NDArray[np.int64],
    out: NDArray[Any],
    num_threads: int | None,
    tick: Callable[[int], object],
    places: NDArray[np.intp] | None = None,
) -> None:
    """Read frames `numbers` of `index` into `out`, part ``k`` by ``recipes[k]``.

    They go to `places`, all different, or, when None, to 0, 1, ....

    Raises
    ------
    CastError
        A value does not fit; names the first frame of the result with such a value, its first
        pixel and how many of its pixels do not fit. `out` is undefined.
    StorageError
        Bytes cannot be read or decoded; names file, dataset and rows or chunk.
    FileChangedError
        A file was changed since it was looked at, or while it was read.
    """
    stamps = _stamps(index, numbers)
    for path, stamp in stamps.items():
        files.verify(path, stamp)
    if places is None:
        places = np.arange(len(numbers))
    fits = True
    fills, wanted, rest = _sort_out(index, recipes, routes, numbers, places)
    if wanted or fills:
        how: Any = {
            "checked": recipes[0].casting == "checked",
            "num_threads": num_threads,
            "both": recipes[0].is_narrowing,
        }
        fits = direct.read(files, fills, out, tick=lambda frames: None, **how)
        frames = len(numbers) - len(rest)
        fits = fits and direct.read(files, wanted, out, tick=tick, frames=frames, **how)
        if not wanted:  # all of it is fill values
            tick(frames)
    if not fits:
        rest = np.arange(len(numbers))  # the slower way finds out which value is the first
    blockwise.read(
        files, index, recipes, routes, numbers[rest], places[rest], out, num_threads, tick
    )
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
    return {path: stamp for path, stamp in stamps.items() if os.path.realpath(path) not in written}


def _sort_out(
    index: FrameIndex,
    recipes: Sequence[Recipe],
    routes: Sequence[Bytes],
    numbers: NDArray[np.int64],
    places: NDArray[np.intp],
) -> tuple[list[direct.Wanted], list[direct.Wanted], NDArray[np.intp]]:
    """Return what is done beside libhdf5 in one pass, and which of `numbers` are not.

    First come fill values, then what is read over them.
    """
    fills, read = [], []
    rest = [np.empty(0, np.intp)]
    for k, part, rows, which in index.by_part(numbers):
        recipe = recipes[k]
        if not recipe.is_one_pass or why_blockwise(part, routes[k]) is not None:
            rest.append(which)
            continue
        first, then = assembled.wanted(part, routes[k], rows, places[which], _view(recipe, index))
        if first and recipe.is_narrowing:
            rest.append(which)  # where fill values are bad, what is read over them stayed so
            continue
        fills += [replace(one, ranges=recipe.ranges) for one in first]
        read += [replace(one, ranges=recipe.ranges) for one in then]
    # What is left is read in the order asked for, so that the first error is the result's first.
    return fills, read, np.sort(np.concatenate(rest))


def _view(recipe: Recipe, index: FrameIndex) -> FrameView:
    if recipe.steps:
        step = recipe.steps[0]
        assert isinstance(step, FrameView)
        return step
    ss, fs = index.frame_shape[-2:]
    return FrameView.full((ss, fs))
