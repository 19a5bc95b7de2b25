"""Doing a load: every part by its route, beside libhdf5 where that can be."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..hdf5.files import Files, Stamp, written_here
from ..hdf5.storage import Bytes, ThroughH5py
from ..view import FrameView
from . import blockwise, direct
from .blockwise import read_text
from .index import FrameIndex
from .recipe import Recipe

__all__ = ["read_frames", "read_text"]


def read_frames(
    files: Files,
    index: FrameIndex,
    recipes: Sequence[Recipe],
    routes: Sequence[Bytes],
    numbers: NDArray[np.int64],
    out: NDArray[Any],
    num_threads: int | None,
    tick: Callable[[int], object],
) -> None:
    """Read frames `numbers` of `index` into `out`, part ``k`` by ``recipes[k]``.

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
    places = np.arange(len(numbers))
    fits = True
    wanted, rest = _sort_out(index, recipes, routes, numbers)
    if wanted:
        fits = direct.read(
            files,
            wanted,
            _view(recipes[0], index.frame_shape),
            out,
            checked=recipes[0].casting == "checked",
            num_threads=num_threads,
            tick=tick,
        )
    if not fits:
        rest = places  # the slower way finds out which value is the first
    blockwise.read(files, index, recipes, routes, numbers[rest], rest, out, num_threads, tick)
    for path, stamp in stamps.items():
        files.verify(path, stamp)


def _stamps(index: FrameIndex, numbers: NDArray[np.int64]) -> dict[str, Stamp]:
    """Return the files that are read, and what they were when they were looked at."""
    # Not by np.unique: its first call imports a module, and a process that is forked meanwhile by
    # another thread waits for ever for that import.
    used = np.flatnonzero(np.bincount(np.searchsorted(index.offsets, numbers, side="right") - 1))
    stored = [index.parts[k].stored for k in used]
    stamps = {one.place.filename: one.stamp for one in stored}
    # What this process writes itself, HDF5 reads from the same buffers.
    written = written_here()
    return {path: stamp for path, stamp in stamps.items() if os.path.realpath(path) not in written}


def _sort_out(
    index: FrameIndex,
    recipes: Sequence[Recipe],
    routes: Sequence[Bytes],
    numbers: NDArray[np.int64],
) -> tuple[list[direct.Wanted], NDArray[np.intp]]:
    """Return what is read beside libhdf5 in one pass, and the places of what is not."""
    order = (
        np.argsort(numbers, kind="stable")
        if (np.diff(numbers) < 0).any()
        else (np.arange(len(numbers)))
    )
    ordered = numbers[order]
    edges = np.searchsorted(ordered, index.offsets)
    wanted, rest = [], []
    for k, (first, last) in enumerate(itertools.pairwise(edges)):
        if first == last:
            continue
        part, route = index.parts[k], routes[k]
        if isinstance(route, ThroughH5py) or not recipes[k].is_one_pass:
            rest.append(order[first:last])
            continue
        rows = ordered[first:last] - index.offsets[k] + part.row
        if not part.has_frame_axis:
            rows = np.zeros_like(rows)
        wanted.append(
            direct.Wanted(part.stored, route, rows, order[first:last], part.has_frame_axis)
        )
    # What is left is read in the order asked for, so that the first error is the result's first.
    return wanted, np.sort(np.concatenate(rest)) if rest else np.empty(0, np.intp)


def _view(recipe: Recipe, shape: tuple[int, ...]) -> FrameView:
    if recipe.steps:
        step = recipe.steps[0]
        assert isinstance(step, FrameView)
        return step
    return FrameView.full((shape[-2], shape[-1]))
