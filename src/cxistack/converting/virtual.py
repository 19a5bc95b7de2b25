"""From a prepared load to a virtual dataset of the same values, or the reason why there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue.index import Part
from ..errors import LayoutError
from ..hdf5.boxes import Box
from ..hdf5.remote.urls import is_url
from ..hdf5.stored import Piece, nested
from ..loading.load import Load
from ..saving.virtual import VirtualDataset
from ..transforms.steps import Axis, FrameView

__all__ = ["virtual_of"]


def virtual_of(load: Load, numbers: NDArray[np.int64], filename: str) -> VirtualDataset:
    """Return the virtual dataset, in the file `filename`, whose values a load of frames gives.

    Raises
    ------
    LayoutError
        The load changes values, or puts pixels in an order in which HDF5 does not map them; or a
        source is the very file.
    """
    view = _view(load)
    _refuse_changes(load)
    target = os.path.realpath(filename)
    pieces: list[Piece] = []
    fill: NDArray[Any] | None = None
    for _, part, rows, places in load.index.by_part(numbers):
        if not part.stored.is_in_file:
            assert part.stored.assembly is not None
            fill = part.stored.assembly.fill  # of modules that have not all frames
        pieces += _pieces(part, rows, places, view)
    virtual = VirtualDataset(
        (len(numbers), *load.frame_shape),
        load.dtype,
        np.asarray(_visible(load.dtype) if fill is None else fill, load.dtype),
        tuple(pieces),
    )
    away = next((one for one in virtual.filenames if is_url(one)), None)
    if away is not None:
        raise LayoutError(
            f"{away} is on a server, and HDF5 has no virtual datasets over files there: convert "
            "without virtual=, or copy the files here"
        )
    if any(os.path.realpath(one) == target for one in virtual.filenames):
        raise LayoutError(f"{filename} would be virtual over itself: name another new file")
    return virtual


def _visible(dtype: np.dtype[Any]) -> object:
    """Return what no good pixel is likely to be: NaN, or the largest integer."""
    return np.iinfo(dtype).max if dtype.kind in "iu" else np.nan if dtype.kind in "fc" else 0


def _view(load: Load) -> FrameView | None:
    """Return which pixels of a frame are wanted; None: all."""
    transform, steps = load.request.transform, load.recipes[0].steps if load.recipes else ()
    for step in steps:
        if not isinstance(step, FrameView):
            raise LayoutError(f"transform={transform!r} makes other pixels than those of the files")
        if min(step.ss.step, step.fs.step) < 0:
            raise LayoutError(
                f"transform={transform!r} turns frames round, and HDF5 maps pixels in the order in "
                "which they are"
            )
    return next((step for step in steps if isinstance(step, FrameView)), None)


def _refuse_changes(load: Load) -> None:
    """Raise where values are not those that are stored."""
    if load.layers or load.checks or not load.recipes:
        raise LayoutError("it is what several datasets say together")
    if any(one is not None for one in load.conversions):
        raise LayoutError("its values come in another unit than in the files")
    for part, recipe in zip(load.index.parts, load.recipes, strict=True):
        stored = part.stored
        if stored.dtype.newbyteorder("=") != load.dtype.newbyteorder("="):
            raise LayoutError(f"it comes as {load.dtype}, and {stored.place} has {stored.dtype}")
        if recipe.bad_bits is not None or recipe.via is not None or recipe.ranges is not None:
            raise LayoutError(f"its values are other ones than those of {stored.place}")


def _pieces(
    part: Part, rows: NDArray[np.int64], places: NDArray[np.intp], view: FrameView | None
) -> Iterator[Piece]:
    """Return the pieces that some rows of a part are."""
    stored, shape = part.stored, part.frame_shape
    whole = tuple(Axis(0, 1, length) for length in shape)
    taken: Box = whole if view is None else (*whole[:-2], view.ss, view.fs)
    frame: Box = tuple(Axis(0, 1, axis.count) for axis in taken)
    for place, row in _runs(places, rows):
        source = (row, *taken) if part.has_frame_axis else taken
        piece = Piece(stored, (place, *frame), source)
        if stored.is_in_file:
            yield piece
        else:
            assert stored.assembly is not None
            yield from nested(piece, stored.assembly)


def _runs(places: NDArray[np.intp], rows: NDArray[np.int64]) -> Iterator[tuple[Axis, Axis]]:
    """Return places and rows as pairs of ascending progressions, as few as go one after another."""
    count = len(rows)
    steps = np.stack([np.diff(places), np.diff(rows)])
    # Of each step, how far it goes on: steps that do not ascend end at once.
    is_last = np.ones(max(0, count - 1), bool)
    is_last[:-1] = (steps[:, 1:] != steps[:, :-1]).any(0)
    is_last |= (steps <= 0).any(0)
    ends = np.flatnonzero(is_last)
    first = 0
    while first < count:
        last = first
        if first < count - 1 and (steps[:, first] > 0).all():
            last = int(ends[np.searchsorted(ends, first)]) + 1
        pair = (
            Axis(int(line[first]), int(line[min(first + 1, last)] - line[first]) or 1, number)
            for line, number in ((places, last - first + 1), (rows, last - first + 1))
        )
        yield next(pair), next(pair)
        first = last + 1
