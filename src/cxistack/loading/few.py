"""Which frames are read without the engine, and what is made for that once a dataset, or a kind."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ..catalogue.index import FrameIndex, Part
from ..errors import FileChangedError, LayoutError
from ..hdf5.addresses import Chunked, Contiguous, ThroughH5py, Unlisted
from ..hdf5.files import Files, changed
from ..hdf5.open_writers import written_here
from ..hdf5.remote.urls import is_url
from ._few import ChunkCache, FewFrames, Kind, Way
from .direct import Wanted, alike, geometry_of
from .recipe import Recipe
from .route import is_long, route_of
from .tasks import Cell, Window, cells, leads

__all__ = ["few_frames", "whole_ways"]

_NO_ROWS = np.empty(0, np.int64)
_ALL = 1 << 62  # asks: then every table of chunks is listed


def few_frames(
    files: Files,
    index: FrameIndex,
    recipes: Sequence[Recipe],
    frame: tuple[tuple[int, ...], np.dtype[Any]],
    cache: ChunkCache | None,
) -> FewFrames:
    """Return what reads frames that lie in few chunks; `frame` is their shape and type."""
    finder = _Finder(files, index, recipes, frame[1])
    is_written = partial(_is_written, files)
    return FewFrames(index.offsets, finder.way, is_written, files, frame, cache)


def whole_ways(
    files: Files, index: FrameIndex, recipes: Sequence[Recipe], dtype: np.dtype[Any]
) -> list[Way]:
    """Return how all parts of a load are read without the engine and without HDF5.

    Raises
    ------
    LayoutError
        One of them is not; it says which, and why.
    FileChangedError, FileNotFoundError
        A file is not what it was.
    """
    finder = _Finder(files, index, recipes, dtype)
    ways = []
    for number, part in enumerate(index.parts):
        way = finder.whole(number)
        if isinstance(way, str):
            raise LayoutError(f"{part.stored.place} cannot be read without HDF5: {way}")
        ways.append(way)
    return ways


def _is_written(files: Files, path: str) -> bool:
    """Tell whether this process has a file open for writing: HDF5 may have more of it in memory."""
    if files.is_held(path):
        return False
    written = written_here()
    return bool(written) and os.path.realpath(path) in written


class _Finder:
    """Finds where the rows of each part of a load lie."""

    def __init__(
        self, files: Files, index: FrameIndex, recipes: Sequence[Recipe], dtype: np.dtype[Any]
    ) -> None:
        self._files, self._index, self._recipes, self._dtype = files, index, recipes, dtype
        self._kinds: dict[object, Kind] = {}
        self._asked: dict[int, int] = {}

    def way(self, number: int) -> Way | None:
        """Return how frames of a part are read; None where the engine is to read these."""
        if self._obstacle(number) is not None:
            return None
        # A long table of chunks is listed when that would have taken less time than all calls did.
        part = self._index.parts[number]
        asked = self._asked[number] = self._asked.get(number, 0) + 1
        is_listed = not is_long(part.stored, part.has_frame_axis, asked)
        if not is_listed and not self._files.recall(part.stored.address):
            return None
        try:
            found = self._located(number, asked)
        except (FileChangedError, FileNotFoundError):  # the engine says so, or looks again
            return None
        return found if isinstance(found, Way) else None

    def whole(self, number: int) -> Way | str:
        """Return how any frames of a part are read, or why they are not read so.

        Raises
        ------
        FileChangedError, FileNotFoundError
            The file is not what it was.
        """
        return self._obstacle(number) or self._located(number, _ALL)

    def _obstacle(self, number: int) -> str | None:
        part, recipe = self._index.parts[number], self._recipes[number]
        if part.stored.assembly is not None:
            return "its frames are put together of several datasets"
        if not recipe.is_one_pass or recipe.ranges is not None:
            return (
                "its pixels take more than one cast and one view (bins, flags or limits of a mask)"
            )
        if is_url(part.stored.place.filename):
            return "its file is on a server"
        if _is_written(self._files, part.stored.place.filename):
            return "this process has the file open for writing"
        return None

    def _located(self, number: int, asked: int) -> Way | str:
        part, recipe = self._index.parts[number], self._recipes[number]
        stored = part.stored
        where = route_of(self._files, stored, part.has_frame_axis, asked, self._dtype)
        if isinstance(where, ThroughH5py):
            return where.reason
        if isinstance(where, Unlisted):
            return "its chunks are not listed"
        if where.stamp != stored.stamp:
            raise changed(stored.place.filename)
        window = Window.of(recipe.view(part.frame_shape), part.frame_shape)
        wanted = Wanted(stored, where, _NO_ROWS, _NO_ROWS, (window,), part.has_frame_axis)
        if not window.size:
            return "no pixel of it is wanted"
        return self._made(part, wanted, int(self._index.offsets[number]), recipe)

    def _made(self, part: Part, wanted: Wanted, offset: int, recipe: Recipe) -> Way:
        kind = (*alike(wanted), wanted.windows, recipe.casting)
        if kind not in self._kinds:
            self._kinds[kind] = self._kind(wanted, recipe)
        where, first, step, table = wanted.where, -1, 0, None
        if isinstance(where, Contiguous):
            geometry = geometry_of(wanted)
            first = -1 if where.offset is None else where.offset
            step = geometry.chunk[0] * geometry.chunk_frame_bytes
        else:
            table = (where.address, where.size, where.mask)
        stored, rows = part.stored, (offset, part.row, part.is_static)
        found = stored.place, where.stamp, stored.address
        return Way(self._kinds[kind], *found, first, step, table, rows)

    def _kind(self, wanted: Wanted, recipe: Recipe) -> Kind:
        """Make what all datasets share that are stored like one."""
        geometry, where, dtype = geometry_of(wanted), wanted.where, wanted.stored.dtype
        pipeline = where.pipeline if isinstance(where, Chunked) else None
        fill = where.fill.reshape(1).view(np.uint8)
        is_checked = recipe.casting == "checked"
        how = (pipeline, fill, geometry.chunk_frame_bytes, dtype, self._dtype, is_checked)

        inner = math.prod(geometry.inner_grid)
        axes = len(wanted.windows[0].places)

        def pieces(steps: tuple[int, ...] | None) -> list[Cell]:
            return cells(geometry, wanted.windows, (0,) * axes if steps is None else steps)

        begins = leads(geometry, pieces(None)).tolist()
        return Kind(pieces, begins, (geometry.chunk[0], inner), how)
