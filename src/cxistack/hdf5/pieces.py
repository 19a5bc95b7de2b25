"""A dataset put together of rectangular pieces of others: which pixel comes from where. Pure.

Virtual datasets are such, and the modules of a detector that lie in a file each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..view import Axis

if TYPE_CHECKING:
    from .layout import Stored

__all__ = ["Assembly", "Box", "Piece", "cut", "may_overlap", "meet", "nested", "pairs", "size_of"]

Box = tuple[Axis, ...]

_MOST_BOXES = 2048  # that are held against one another, two by two
_MOST_FRAMES = 1 << 24  # that are marked one by one


@dataclass(frozen=True)
class Piece:
    """Pixels of a dataset that are pixels of another one.

    Attributes
    ----------
    stored : Stored
        The other dataset: the source.
    target : tuple of Axis
        Which pixels they are, along each axis of the dataset.
    source : tuple of Axis
        Which pixels of the source. Axes of more than one pixel go with those of `target`, in order.
    """

    stored: Stored
    target: Box
    source: Box

    @property
    def has_rows(self) -> bool:
        """Whether the first axis of the source is that of frames, and not a part of one."""
        return len(self.source) > 2 and self.source[0].count == self.target[0].count


@dataclass(frozen=True, eq=False)
class Assembly:
    """The pieces of a dataset.

    Attributes
    ----------
    pieces : tuple of Piece
        In the order in which they count: of pieces that overlap, a pixel is the last one's.
    fill : numpy.ndarray, 0-D
        The value of pixels in no piece.
    is_complete : bool
        Whether each pixel is known to be in a piece.
    overlaps : bool
        Whether a pixel may be in two.
    """

    pieces: tuple[Piece, ...]
    fill: NDArray[Any]
    is_complete: bool
    overlaps: bool

    @classmethod
    def of(
        cls, pieces: Sequence[Piece], shape: tuple[int, ...], fill: NDArray[Any], whole: bool = True
    ) -> Assembly:
        """Look at how pieces lie in a dataset of `shape`.

        Without `whole` a piece's source itself may have had pixels in no piece.
        """
        overlaps = may_overlap([piece.target for piece in pieces])
        size = sum(size_of(piece.target) for piece in pieces)
        is_complete = whole and not overlaps and size == math.prod(shape)
        return cls(tuple(pieces), fill, is_complete, overlaps)

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """The first frame of each piece."""
        return np.array([piece.target[0].start for piece in self.pieces], np.int64)

    @cached_property
    def stop(self) -> NDArray[np.int64]:
        """One past the last frame of each piece."""
        return np.array([piece.target[0].bounds[1] for piece in self.pieces], np.int64)

    @cached_property
    def chunk_frames(self) -> int:
        """How many frames the frames of a source's chunk are spread over, at most."""
        return max(
            (
                -(-piece.stored.chunks[0] // piece.source[0].step) * piece.target[0].step
                for piece in self.pieces
                if piece.has_rows and piece.stored.chunks
            ),
            default=1,
        )

    def in_a_row(self, shape: tuple[int, ...]) -> list[Piece] | None:
        """Return the pieces in the order of the frames, if each is whole frames in a row."""
        if not self.is_complete:
            return None
        whole = tuple(Axis(0, 1, length) for length in shape[1:])
        for piece in self.pieces:
            if not (
                len(piece.source) == len(shape)
                and piece.target[0].step == piece.source[0].step == 1
                and piece.target[1:] == piece.source[1:] == whole
                and piece.stored.shape[1:] == shape[1:]
                and piece.stored.dtype == self.fill.dtype
            ):
                return None
        return sorted(self.pieces, key=lambda piece: piece.target[0].start)

    def near(self, frames: NDArray[np.int64]) -> Iterator[tuple[Piece, int, int, int]]:
        """Return the pieces that may have some of `frames`, which ascend.

        With each come its number, and from where to where among the frames.
        """
        low, high = np.searchsorted(frames, self.first), np.searchsorted(frames, self.stop)
        for number in np.flatnonzero(low < high):
            yield self.pieces[number], int(number), int(low[number]), int(high[number])


def size_of(box: Box) -> int:
    """Return how many pixels a box has."""
    return math.prod(axis.count for axis in box)


def pairs(target: Box, source: Box) -> list[int | None]:
    """Return the axis of `target` that each one of `source` goes with; None for a single pixel."""
    if len(target) == len(source) and all(
        one.count == other.count for one, other in zip(target, source, strict=True)
    ):
        return list(range(len(source)))
    wide = iter([number for number, axis in enumerate(target) if axis.count != 1])
    return [next(wide) if axis.count != 1 else None for axis in source]


def meet(one: Axis, other: Axis) -> tuple[Axis, Axis] | None:
    """Return where two axes have the same indices: as places along the one, and along the other.

    Examples
    --------
    >>> meet(Axis(0, 2, 6), Axis(4, 3, 9))
    (Axis(start=2, step=3, count=2), Axis(start=0, step=2, count=2))
    """
    if not one.count or not other.count:
        return None
    common = math.gcd(one.step, other.step)
    apart = other.start - one.start
    if apart % common:
        return None
    # one.start + i * one.step == other.start + j * other.step, for i = first, first + step, ...
    step, along = abs(other.step) // common, one.step // common
    first = apart // common * pow(along, -1, step) % step if step > 1 else 0
    along = along * (1 if other.step > 0 else -1)
    j = (one.start + first * one.step - other.start) // other.step
    # Those of i whose j lies in 0 to other.count.
    skip = max(0, -(j // along)) if along > 0 else max(0, -((other.count - 1 - j) // -along))
    first, j = first + skip * step, j + skip * along
    room = (other.count - 1 - j) // along if along > 0 else j // -along
    count = min((one.count - 1 - first) // step, room) + 1
    if count <= 0:
        return None
    return Axis(first, step, count), Axis(j, along, count)


def cut(target: Box, source: Box, wanted: Box) -> tuple[Box, Box] | None:
    """Return the part of a piece that is wanted: its places among the wanted, and in the source.

    None where nothing of it is wanted.
    """
    places, kept = [], []
    for mine, theirs in zip(target, wanted, strict=True):
        both = meet(theirs, mine)
        if both is None:
            return None
        places.append(both[0])
        kept.append(both[1])
    taken = [
        axis if along is None else axis.then(kept[along])
        for axis, along in zip(source, pairs(target, source), strict=True)
    ]
    return tuple(places), tuple(taken)


def nested(outer: Piece, inner: Assembly) -> Iterator[Piece]:
    """Return the pieces of a piece whose source is itself put together."""
    along = pairs(outer.target, outer.source)
    frames = outer.source[0]
    reach = np.flatnonzero((inner.first < frames.bounds[1]) & (inner.stop > frames.start))
    for number in reach:
        piece = inner.pieces[number]
        found = cut(piece.target, piece.source, outer.source)
        if found is None:
            continue
        places, source = found
        target = list(outer.target)
        for axis, place in zip(along, places, strict=True):
            if axis is not None:
                target[axis] = target[axis].then(place)
        yield Piece(piece.stored, tuple(target), source)


def may_overlap(boxes: Sequence[Box]) -> bool:
    """Tell whether two boxes may have a pixel in common."""
    order = sorted(range(len(boxes)), key=lambda k: boxes[k][0].start)
    group: list[Box] = []
    end = 0
    for number in order:
        box = boxes[number]
        if group and box[0].start >= end:
            if _overlap_in(group):
                return True
            group = []
        group.append(box)
        end = max(end, box[0].bounds[1])
    return _overlap_in(group)


def _overlap_in(group: Sequence[Box]) -> bool:
    """Tell the same of boxes whose frames are not far apart."""
    if len(group) < 2:
        return False
    frames: dict[Box, list[Axis]] = {}
    for box in group:
        frames.setdefault(box[1:], []).append(box[0])
    areas = list(frames)
    if len(areas) > _MOST_BOXES:
        return True
    edges = np.array([[axis.bounds for axis in area] for area in areas], np.int64)
    edges = edges.reshape(len(areas), -1, 2)
    low, high = edges[..., 0], edges[..., 1]
    touch = np.ones((len(areas), len(areas)), bool)
    for axis in range(low.shape[1]):
        touch &= low[:, None, axis] < high[None, :, axis]
        touch &= low[None, :, axis] < high[:, None, axis]
    for one, other in zip(*np.nonzero(np.triu(touch)), strict=True):
        if one == other:
            both = frames[areas[one]]
        elif any(meet(a, b) is None for a, b in zip(areas[one], areas[other], strict=True)):
            continue
        else:
            both = frames[areas[one]] + frames[areas[other]]
        if _share_a_frame(both):
            return True
    return False


def _share_a_frame(runs: Sequence[Axis]) -> bool:
    runs = sorted(runs, key=lambda run: run.start)
    if all(run.step == 1 for run in runs):
        return any(b.start < a.start + a.count for a, b in itertools.pairwise(runs))
    begin, end = runs[0].start, max(run.bounds[1] for run in runs)
    if end - begin > _MOST_FRAMES:
        return True
    seen = np.zeros(end - begin, bool)
    for run in runs:
        mine = seen[run.start - begin : run.bounds[1] - begin : run.step]
        if mine.any():
            return True
        mine[...] = True
    return False
