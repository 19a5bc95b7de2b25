"""What an SWMR writer has appended: a dataset's shape as it is now, and which rows are written.

HDF5's guarantee is that what a reader finds in a dataset's index lies whole in the file: chunks are
written before the index that leads to them, and the index before the dataset's shape. But a shape
may be ahead of the chunks, where a writer enlarges a dataset by more than it writes at a time, and
then rows read as the fill value that nobody wrote yet.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import Any

import h5py
import numpy as np

from .files import Files
from .stored import Stored

__all__ = ["refreshed", "written_rows"]


def refreshed(files: Files, stored: Stored) -> Stored | None:
    """Return a dataset as its writer has left it; None where that is to be looked at anew."""
    if stored.assembly is not None or stored.storage == "virtual":
        return None
    path = stored.place.filename
    if files.now(path) != stored.stamp:
        return None
    if stored.storage != "chunked":
        return stored
    with files.reading(path) as h5:
        dataset = h5py.h5d.open(h5.id, os.fsencode(stored.place.path))
        dataset.refresh()
        shape = tuple(dataset.shape)
    return stored if shape == stored.shape else replace(stored, shape=shape)


def written_rows(files: Files, stored: Stored, begin: int) -> int:
    """Return up to which row a dataset in an SWMR writer's file is wholly written.

    A chunk of one row is written when it is there. Which rows of a chunk of several are written,
    nobody can see; but they all are when the writer is at the next one. Rows before `begin` are
    known to be written. What is not chunked cannot grow, and counts as written.
    """
    if stored.chunks is None or begin >= stored.shape[0]:
        return stored.shape[0]
    grid, frames = stored.chunk_grid, stored.chunks[0]
    inner = math.prod(grid[1:])
    with files.reading(stored.place.filename) as h5:
        dataset = h5py.h5d.open(h5.id, os.fsencode(stored.place.path))
        whole = _whole_in_a_row(dataset, stored, grid, inner)
        if whole is None:
            whole = _whole_of_list(dataset, stored, grid, inner)
    if frames > 1:
        # One chunk less: its rows may still come. A shape that ends within it says no more.
        whole -= 1
    return min(stored.shape[0], max(begin, whole * frames))


def _whole_in_a_row(dataset: Any, stored: Stored, grid: tuple[int, ...], inner: int) -> int | None:
    """Return how many rows of chunks are whole, if none is missing before the last that is there.

    That takes HDF5 as long as to walk twice through its index, and no list.
    """
    count = dataset.get_num_chunks()
    if not count:
        return 0
    corner = dataset.get_chunk_info(count - 1).chunk_offset
    assert stored.chunks is not None
    cell = tuple(n // c for n, c in zip(corner, stored.chunks, strict=True))
    if any(n >= end for n, end in zip(cell, grid, strict=True)):
        return None
    last = int(np.ravel_multi_index(cell, grid))
    return count // inner if last + 1 == count else None


def _whole_of_list(dataset: Any, stored: Stored, grid: tuple[int, ...], inner: int) -> int:
    assert stored.chunks is not None
    frames = stored.chunks[0]
    there = np.zeros(grid[0], np.int64)

    def note(info: Any) -> None:
        row = info[0][0] // frames
        if row < len(there):  # another may have come since the shape was looked at
            there[row] += 1

    dataset.chunk_iter(note)
    missing = np.flatnonzero(there < inner)
    return int(missing[0]) if len(missing) else grid[0]
