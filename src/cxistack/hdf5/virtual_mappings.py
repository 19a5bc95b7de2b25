"""What one mapping of a virtual dataset says, in arithmetic progressions along each axis. Pure.

HDF5 lets a mapping take blocks at a stride along each axis, without end along one of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import h5py

from ..transforms.steps import Axis
from .boxes import Box

__all__ = ["UNLIMITED", "Slab", "boxes", "slabs"]


UNLIMITED = h5py.h5s.UNLIMITED
_MOST_BOXES = 256  # that one mapping is cut into


class Slab(NamedTuple):
    """Along one axis: so many blocks of `width` pixels, from `start` on, `stride` apart."""

    start: int
    stride: int
    blocks: int
    width: int

    @property
    def has_no_end(self) -> bool:
        """Whether it goes as far as there is anything."""
        return UNLIMITED in (self.blocks, self.width)

    def pixels(self, extent: int) -> int:
        """Return how many pixels it has along an axis of `extent`."""
        if not self.has_no_end:
            return self.blocks * self.width
        rest = max(0, extent - self.start)
        if self.width == UNLIMITED or self.stride == self.width:
            return rest
        whole, part = divmod(rest, self.stride)
        return whole * self.width + min(part, self.width)

    def reach(self) -> int:
        """Return how long an axis must be for it; one without end asks for nothing."""
        return 0 if self.has_no_end else self.start + (self.blocks - 1) * self.stride + self.width


def slabs(space: Any, shape: tuple[int, ...]) -> tuple[Slab, ...] | None:
    """Return a selection as a slab along each axis; None where it is nothing so regular."""
    kind = space.get_select_type()
    if kind == h5py.h5s.SEL_ALL:
        return tuple(Slab(0, 1, 1, length) for length in shape)
    if kind != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        return None
    found = tuple(Slab(*one) for one in zip(*space.get_regular_hyperslab(), strict=True))
    return found if len(found) == len(shape) else None


def boxes(
    target: Sequence[Slab],
    source: Sequence[Slab],
    target_shape: tuple[int, ...],
    source_shape: tuple[int, ...],
) -> list[tuple[Box, Box]] | None:
    """Return which boxes of the virtual dataset are which of the source.

    None where the pixels of the one do not follow those of the other axis by axis.
    """
    here = [(slab, slab.pixels(extent)) for slab, extent in zip(target, target_shape, strict=True)]
    there = [(slab, slab.pixels(extent)) for slab, extent in zip(source, source_shape, strict=True)]
    wide_here = [k for k, (slab, n) in enumerate(here) if n != 1 or slab.has_no_end]
    wide_there = [k for k, (slab, n) in enumerate(there) if n != 1 or slab.has_no_end]
    if len(wide_here) != len(wide_there):
        return None
    choices: list[list[tuple[Axis, Axis]]] = []
    for k, m in zip(wide_here, wide_there, strict=True):
        count = here[k][1]
        if here[k][0].has_no_end and there[m][0].has_no_end:
            count = min(count, there[m][1])  # whoever ends first; the rest is in no piece
        elif here[k][0].has_no_end or there[m][0].has_no_end or count != there[m][1]:
            return None
        runs = _runs(here[k][0], there[m][0], count)
        if runs is None:
            return None
        choices.append(runs)
    if any(not runs for runs in choices):
        return []
    found = []
    for combination in itertools.islice(itertools.product(*choices), _MOST_BOXES + 1):
        one = [Axis(slab.start, 1, 1) for slab, _ in here]
        other = [Axis(slab.start, 1, 1) for slab, _ in there]
        for k, m, (mine, theirs) in zip(wide_here, wide_there, combination, strict=True):
            one[k], other[m] = mine, theirs
        found.append((tuple(one), tuple(other)))
    return found if len(found) <= _MOST_BOXES else None


def _runs(target: Slab, source: Slab, count: int) -> list[tuple[Axis, Axis]] | None:
    """Return the first `count` pixels of two slabs as pairs of progressions, as few as will do."""
    if not count:
        return []
    mine, theirs = _progression(target, count), _progression(source, count)
    if mine is not None and theirs is not None:
        return [(mine, theirs)]
    if mine is None and theirs is None and target.width != source.width:
        return None
    block = target.width if mine is None else source.width
    blocks = -(-count // block)

    def part(slab: Slab, line: Axis | None, places: Axis) -> Axis:
        if line is not None:
            return line.then(places)
        first = slab.start + places.start // block * slab.stride + places.start % block
        return Axis(first, slab.stride if places.step > 1 else 1, places.count)

    if blocks <= block:
        parts = [Axis(k, 1, min(block, count - k)) for k in range(0, count, block)]
    elif block > _MOST_BOXES:
        return None
    else:
        parts = [Axis(k, block, -(-(count - k) // block)) for k in range(block)]
    return [(part(target, mine, places), part(source, theirs, places)) for places in parts]


def _progression(slab: Slab, count: int) -> Axis | None:
    """Return the first pixels of a slab as one progression, if they are one."""
    if slab.blocks == 1 or slab.width in (UNLIMITED, slab.stride):
        return Axis(slab.start, 1, count)
    if count <= slab.width:
        return Axis(slab.start, 1, count)
    return Axis(slab.start, slab.stride, count) if slab.width == 1 else None
