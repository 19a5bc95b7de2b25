"""Boxes of evenly spaced pixels: how two meet, and what is left of one. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from ..transforms.steps import Axis

__all__ = ["Box", "cut", "may_overlap", "meet", "pairs", "size_of"]


Box = tuple[Axis, ...]

_MOST_BOXES = 2048  # that are compared two by two
_MOST_FRAMES = 1 << 24  # that are marked one by one


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
    common = math.gcd(one.step, other.step)
    apart = other.start - one.start
    if not one.count or not other.count or apart % common:
        return None
    # Indices of both are `step` apart (the Chinese remainder theorem); `some` is one of them, and
    # `first` the first that lies within both.
    turns = abs(other.step) // common
    step = turns * abs(one.step)
    inverse = pow(one.step // common, -1, turns) if turns > 1 else 0
    some = one.start + apart // common * inverse % turns * one.step
    (low, stop), (low_other, stop_other) = one.bounds, other.bounds
    low, stop = max(low, low_other), min(stop, stop_other)
    first = low + (some - low) % step
    count = -(-(stop - first) // step)
    if count <= 0:
        return None
    if one.step < 0:
        first, step = first + (count - 1) * step, -step
    return (
        Axis((first - one.start) // one.step, step // one.step, count),
        Axis((first - other.start) // other.step, step // other.step, count),
    )


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
    """Tell whether two boxes of a group, whose frames are not far apart, may have one in common."""
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
