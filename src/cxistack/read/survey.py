"""What a load will read: how many chunks and bytes of each part, by which way, and why. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..hdf5.storage import Bytes, Chunked, ThroughH5py
from ..view import FrameView
from . import blockwise, direct
from .index import FrameIndex, Part
from .recipe import Recipe

__all__ = ["PartSurvey", "survey"]


@dataclass(frozen=True)
class PartSurvey:
    """What will be read of one part.

    Attributes
    ----------
    frames : int
        How many of its frames.
    obstacle : str or None
        Why it is read through h5py; None where it is read beside libhdf5.
    chunks, chunks_stored : int
        Chunks (or pieces of what is in one piece) that are read, and that there are.
    bytes_read, bytes_stored : int
        The same in bytes of the file.
    is_one_pass : bool
        Whether pixels go from the chunk to the result in one pass, or block by block.
    """

    frames: int
    obstacle: str | None
    chunks: int = 0
    chunks_stored: int = 0
    bytes_read: int = 0
    bytes_stored: int = 0
    is_one_pass: bool = True


def survey(
    index: FrameIndex,
    recipes: Sequence[Recipe],
    routes: Sequence[Bytes],
    numbers: NDArray[np.int64],
) -> list[PartSurvey]:
    """Tell of each part what reading frames `numbers` of `index` takes."""
    ordered = np.sort(numbers)
    edges = np.searchsorted(ordered, index.offsets)
    return [
        _one(part, recipe, route, ordered[edges[k] : edges[k + 1]] - index.offsets[k] + part.row)
        for k, (part, recipe, route) in enumerate(zip(index.parts, recipes, routes, strict=True))
    ]


def _one(part: Part, recipe: Recipe, route: Bytes, rows: NDArray[np.int64]) -> PartSurvey:
    if isinstance(route, ThroughH5py):
        return PartSurvey(len(rows), route.reason, is_one_pass=recipe.is_one_pass)
    if not part.has_frame_axis:
        rows = np.zeros_like(rows)
    wanted = direct.Wanted(part.stored, route, rows, rows, part.has_frame_axis)
    first = recipe.steps[0] if recipe.steps else None
    view = first if isinstance(first, FrameView) else blockwise.box_view(recipe, part.frame_shape)
    tasks = direct.plan(wanted, view)
    there = tasks[tasks["address"] >= 0]
    # Not by np.unique, which is ten times slower on a million of them.
    begins = np.sort(there["address"] - there["shift"])
    chunks = int(np.count_nonzero(np.diff(begins))) + (len(begins) > 0)
    if isinstance(route, Chunked):
        is_stored = route.address >= 0
        chunks_stored, bytes_stored = int(is_stored.sum()), int(route.size[is_stored].sum())
    else:
        chunks_stored, bytes_stored = chunks, part.stored.nbytes
    return PartSurvey(
        frames=len(rows),
        obstacle=None,
        chunks=chunks,
        chunks_stored=chunks_stored,
        bytes_read=int(there["size"].sum()),
        bytes_stored=bytes_stored,
        is_one_pass=recipe.is_one_pass,
    )
