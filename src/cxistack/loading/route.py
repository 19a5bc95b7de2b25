"""By which way each part of a load is read: beside libhdf5, or through it, and why."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue.index import FrameIndex, Part
from ..hdf5.addresses import Assembled, Bytes, Single, ThroughH5py, locate_bytes, locate_few
from ..hdf5.files import Files
from ..hdf5.open_writers import written_here
from ..hdf5.remote.urls import is_url
from ..hdf5.stored import Stored
from .assembled import pieces_near

__all__ = ["is_long", "route_of", "routes"]


# Listing a chunk costs about 3 us, finding one in HDF5's index about 70 us.
_LISTED_FOR_ONE = 23
_MOST_CELLS = 4096  # chunks of a frame: each takes some KiB to plan
_SMALL_TABLE = 4096  # chunks: listed in no time
_SMALL_AWAY = 256  # chunks of a file on a server: about as many as one request brings the list of


def routes(
    files: Files,
    index: FrameIndex,
    numbers: NDArray[np.int64],
    dtype: np.dtype[Any],
    *,
    has_pixels: bool = True,
) -> list[Bytes]:
    """Choose the way of each part of `index` when frames `numbers` are loaded as `dtype`.

    Rows of what has no pixels are few, and left to h5py.
    """
    if not has_pixels:
        return [ThroughH5py("it is small")] * len(index.parts)
    written = written_here()
    found: list[Bytes] = [ThroughH5py("none of it is wanted")] * len(index.parts)
    for number, part, rows, _ in index.by_part(numbers):
        if part.stored.assembly is None:
            found[number] = route_of(
                files, part.stored, part.has_frame_axis, len(rows), dtype, written
            )
        else:
            found[number] = _assembled(files, part, rows, dtype, written)
    return found


def _assembled(
    files: Files,
    part: Part,
    rows: NDArray[np.int64],
    dtype: np.dtype[Any],
    written: frozenset[str],
) -> Assembled:
    """Choose the way of each piece that frames are wanted of; once for each dataset."""
    assembly = part.stored.assembly
    assert assembly is not None
    frames: dict[tuple[object, ...], int] = {}
    pieces: dict[int, tuple[object, ...]] = {}
    stored: dict[tuple[object, ...], tuple[Stored, bool]] = {}
    for piece, number, first, last in pieces_near(part, rows):
        has_rows = part.has_frame_axis and piece.has_rows
        key = (*piece.stored.address, has_rows)
        pieces[number] = key
        stored[key] = (piece.stored, has_rows)
        frames[key] = frames.get(key, 0) + -(-(last - first) // piece.target[0].step)
    routes = {
        key: route_of(files, *one, frames[key], dtype, written) for key, one in stored.items()
    }
    obstacles = (one.reason for one in routes.values() if isinstance(one, ThroughH5py))
    reason = _unknown(dtype) or _unknown(part.stored.dtype) or next(obstacles, None)
    return Assembled({number: routes[key] for number, key in pieces.items()}, reason)


def _unknown(dtype: np.dtype[Any]) -> str | None:
    """Return why our kernels do not take pixels of a type; None where they do."""
    if dtype.kind not in "biuf" or dtype.str[1:] == "f2" or dtype.itemsize > 8:
        return f"{dtype} is no type of our kernels"
    return None


def is_long(stored: Stored, has_frame_axis: bool, frames: int) -> bool:
    """Tell whether to list a dataset's chunks takes longer than to find those of some frames."""
    if stored.chunks is None:
        return False
    grid = stored.chunk_grid
    chunks, of_frame = math.prod(grid), math.prod(grid[has_frame_axis:])
    small = _SMALL_AWAY if is_url(stored.place.filename) else _SMALL_TABLE
    return chunks > small and chunks > _LISTED_FOR_ONE * frames * of_frame


def route_of(
    files: Files,
    stored: Stored,
    has_frame_axis: bool,
    frames: int,
    dtype: np.dtype[Any],
    written: frozenset[str] = frozenset(),
) -> Single:
    """Choose the way of a dataset of which so many frames are loaded as `dtype`."""
    if written and os.path.realpath(stored.place.filename) in written:
        return ThroughH5py("this process has the file open for writing")
    unknown = _unknown(dtype)
    if unknown is not None:
        return ThroughH5py(unknown)
    if stored.chunks is not None:
        grid = stored.chunk_grid
        of_frame = math.prod(grid[has_frame_axis:])
        if of_frame > _MOST_CELLS:
            return ThroughH5py(f"each of its frames lies in {of_frame} chunks")
        if is_long(stored, has_frame_axis, frames):
            return locate_few(files, stored, f"few of its {math.prod(grid)} chunks are wanted")
    return locate_bytes(files, stored)
