"""What to read, in which order: each chunk once, in file order, in blocks of bounded size. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..catalogue.index import FrameIndex

__all__ = ["BLOCK_BYTES", "Block", "blocks"]


_LEAP_BYTES = 64 << 10  # a gap that costs less to read than to read around
BLOCK_BYTES = 16 << 20  # most bytes read in one go; a single frame may be larger


@dataclass(frozen=True)
class Block:
    """Rows of one dataset to be read in one go, and where their frames belong.

    Attributes
    ----------
    part : int
        Number of the part in the frame index.
    start, stop : int
        Rows of the dataset's first axis.
    src : ndarray of int64, shape (n,)
        Wanted rows, counted from `start`.
    dst : ndarray of int64, shape (n,)
        Their places in the result.
    """

    part: int
    start: int
    stop: int
    src: NDArray[np.int64]
    dst: NDArray[np.int64]

    def before(self, limit: int) -> Block:
        """Return the block without the frames whose places are `limit` or later."""
        keep = self.dst < limit
        return self if keep.all() else replace(self, src=self.src[keep], dst=self.dst[keep])

    def only(self, k: int) -> Block:
        """Return the block with its frame number `k` alone."""
        return replace(self, src=self.src[k : k + 1], dst=self.dst[k : k + 1])

    @property
    def is_run(self) -> bool:
        """Whether all rows are wanted, in order, at consecutive places of the result."""
        n = self.stop - self.start
        return (
            len(self.src) == n
            and bool((self.src == np.arange(n)).all())
            and bool((np.diff(self.dst) == 1).all())
        )


def blocks(
    index: FrameIndex, numbers: NDArray[np.int64], frame_bytes: int, limit: int = BLOCK_BYTES
) -> Iterator[Block]:
    """Plan the reading of frames `numbers`, given the bytes read for one frame."""
    if not len(numbers):
        return
    ordered = len(numbers) < 2 or bool((np.diff(numbers) >= 0).all())
    order = np.arange(len(numbers)) if ordered else np.argsort(numbers, kind="stable")
    wanted = numbers[order]
    part_of = np.searchsorted(index.offsets, wanted, side="right") - 1
    most_rows = max(1, limit // max(1, frame_bytes))
    for first, last in _runs(np.flatnonzero(np.diff(part_of))):
        last = len(wanted) if last is None else last
        number = int(part_of[first])
        part = index.parts[number]
        places = order[first:last]
        if part.is_static:
            yield Block(number, part.row, part.row + 1, np.zeros(len(places), np.int64), places)
            continue
        rows = wanted[first:last] - index.offsets[number] + part.row
        # Rows that are read together although not all are wanted: a chunk's, or a few bytes'.
        chunk = part.chunk_frames
        chunk = max(chunk, _LEAP_BYTES // max(1, frame_bytes))
        chunk_of = rows // chunk
        # A gap of whole chunks ends a block: what nobody wants is not read.
        for a, b in _runs(np.flatnonzero(np.diff(chunk_of) > 1)):
            b = len(rows) if b is None else b
            yield from _bounded(number, rows[a:b], places[a:b], chunk, most_rows)


def _runs(cuts: NDArray[np.intp]) -> Iterator[tuple[int, int | None]]:
    """Turn positions after which to cut into (first, past the last) pairs."""
    edges: list[int | None] = [0, *(int(cut) + 1 for cut in cuts), None]
    for first, last in itertools.pairwise(edges):
        assert first is not None
        yield first, last


def _bounded(
    part: int, rows: NDArray[np.int64], places: NDArray[np.int64], chunk: int, most: int
) -> Iterator[Block]:
    """Cut one run of rows where a block would grow too large, between chunks where it can be."""
    first = 0
    while first < len(rows):
        start = int(rows[first])
        end = start + most
        if end // chunk * chunk > start:
            end = end // chunk * chunk
        last = int(np.searchsorted(rows, end, side="left"))
        yield Block(
            part, start, int(rows[last - 1]) + 1, rows[first:last] - start, places[first:last]
        )
        first = last
