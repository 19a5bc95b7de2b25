"""What a load will read: how many chunks and bytes of each part, by which way, and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..catalogue.index import Part
from ..hdf5.addresses import Assembled, Bytes, Chunked, ThroughH5py, Unlisted
from ..hdf5.stored import Stored
from ..transforms.steps import FrameView
from . import assembled, blockwise, direct
from .reading import Reading
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
    is_listed : bool
        False where HDF5 finds some of the chunks one by one, and their bytes are not known before.
    detour : str or None
        Why the pieces of an assembled dataset go block by block all the same.
    sources : tuple of (Stored, str or None)
        The datasets that an assembled one is read from, and why one is read through h5py.
    """

    frames: int
    obstacle: str | None
    chunks: int = 0
    chunks_stored: int = 0
    bytes_read: int = 0
    bytes_stored: int = 0
    is_one_pass: bool = True
    is_listed: bool = True
    detour: str | None = None
    sources: tuple[tuple[Stored, str | None], ...] = ()


def survey(reading: Reading, numbers: NDArray[np.int64]) -> list[PartSurvey]:
    """Tell of each part what reading frames `numbers` takes."""
    found = [PartSurvey(0, "none of it is wanted")] * len(reading.index.parts)
    for k, part, rows, _ in reading.index.by_part(numbers):
        found[k] = _one(part, reading.recipes[k], reading.routes[k], rows)
    return found


def _one(part: Part, recipe: Recipe, route: Bytes, rows: NDArray[np.int64]) -> PartSurvey:
    if isinstance(route, ThroughH5py):
        return PartSurvey(len(rows), route.reason, is_one_pass=recipe.is_one_pass)
    first = recipe.steps[0] if recipe.steps else None
    view = first if isinstance(first, FrameView) else blockwise.box_view(recipe, part.frame_shape)
    _, wanted = assembled.wanted(part, route, rows, np.arange(len(rows)), view)
    tables: dict[tuple[str, int], list[NDArray[np.int64]]] = {}
    bytes_read = bytes_stored = chunks_stored = 0
    is_listed = True
    for one in wanted:
        tasks = direct.plan(one)
        there = tasks[tasks["address"] >= 0]
        bytes_read += int(there["size"].sum())
        if one.stored.address not in tables:
            tables[one.stored.address] = []
            if isinstance(one.where, Unlisted):
                is_listed = False
                chunks_stored += one.where.chunks
            elif isinstance(one.where, Chunked):
                is_stored = np.asarray(one.where.address) >= 0
                chunks_stored += int(is_stored.sum())
                bytes_stored += int(one.where.size[is_stored].sum())
            else:
                bytes_stored += one.stored.nbytes
        tables[one.stored.address].append(there["address"] - there["shift"])
        if not isinstance(one.where, Chunked):
            chunks_stored += _distinct(tables[one.stored.address][-1])
    return PartSurvey(
        frames=len(rows),
        obstacle=None,
        chunks=sum(_distinct(np.concatenate(found)) for found in tables.values()),
        chunks_stored=chunks_stored,
        bytes_read=bytes_read,
        bytes_stored=bytes_stored,
        is_one_pass=recipe.is_one_pass,
        is_listed=is_listed,
        sources=_sources(part, route, rows) if isinstance(route, Assembled) else (),
        detour=assembled.why_blockwise(part, route),
    )


def _distinct(numbers: NDArray[np.int64]) -> int:
    """Return how many different ones there are; np.unique takes ten times as long for a million."""
    return int(np.count_nonzero(np.diff(np.sort(numbers)))) + (len(numbers) > 0)


def _sources(
    part: Part, route: Assembled, rows: NDArray[np.int64]
) -> tuple[tuple[Stored, str | None], ...]:
    """Return the datasets that pieces come from, each once, and why libhdf5 reads it."""
    found: dict[tuple[str, int], tuple[Stored, str | None]] = {}
    for piece, number, _, _ in assembled.pieces_near(part, rows):
        way = route.pieces[number]
        why = way.reason if isinstance(way, ThroughH5py) else None
        found.setdefault(piece.stored.address, (piece.stored, why))
    return tuple(found.values())
