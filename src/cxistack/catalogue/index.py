"""Which frame lies where: the frames of an attribute in all files as one, in O(files) memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import FileChangedError, LayoutError
from ..hdf5.stored import Stored
from ..protocol.attribute import Attribute
from .locate import Found

__all__ = [
    "FrameIndex",
    "Part",
    "align",
    "check_rank",
    "own_frames",
    "refuse_twice",
]


@dataclass(frozen=True)
class Part:
    """A run of frames that come from one dataset.

    Attributes
    ----------
    file : int
        Number of the file in the store.
    stored : Stored
        The dataset.
    count : int
        How many frames of the store it provides.
    has_frame_axis : bool
        False for a 2-D dataset: one frame, which stands for all `count`.
    row : int
        The dataset's row that is the first of these frames.
    repeats : bool
        Whether that row alone stands for all `count`, as the only one of a mask of shape
        (1, ss, fs) does.
    """

    file: int
    stored: Stored
    count: int
    has_frame_axis: bool
    row: int = 0
    repeats: bool = False

    @property
    def is_static(self) -> bool:
        """Whether one frame stands for all."""
        return self.repeats or not self.has_frame_axis

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of one frame."""
        return self.stored.shape[1:] if self.has_frame_axis else self.stored.shape

    @property
    def chunk_frames(self) -> int:
        """How many frames lie in a chunk, and are best read together."""
        if self.stored.assembly is not None:
            return self.stored.assembly.chunk_frames
        return self.stored.chunks[0] if self.stored.chunks else 1


@dataclass(frozen=True)
class FrameIndex:
    """The parts of an attribute in the order of their frames.

    Attributes
    ----------
    parts : tuple of Part
        The runs of frames.
    offsets : ndarray of int64, shape (parts + 1,)
        Number of the first frame of each part, and the total.
    mismatch : str or None
        Why frame numbers of `data` do not number this attribute's frames.
    """

    parts: tuple[Part, ...]
    offsets: NDArray[np.int64]
    mismatch: str | None = None

    @classmethod
    def of(cls, parts: Sequence[Part], mismatch: str | None = None) -> FrameIndex:
        """Make the index of `parts`, whose frames follow one another."""
        counts = np.array([0, *(part.count for part in parts)], dtype=np.int64)
        return cls(tuple(parts), np.cumsum(counts), mismatch)

    @property
    def total(self) -> int:
        """Number of frames in all parts."""
        return int(self.offsets[-1])

    def moved(self, now: FrameIndex) -> Part | None:
        """Return the first part whose frames have other numbers in a later index; None: none has.

        The last part may have more frames than it had, and others may follow it.
        """
        if now is self:
            return None
        last = len(self.parts) - 1
        for k, (before, after) in enumerate(zip(self.parts, now.parts, strict=False)):
            same = (before.stored.place, before.row) == (after.stored.place, after.row)
            fits = after.count >= before.count if k == last else after.count == before.count
            if not (same and fits):
                return before
        return self.parts[len(now.parts)] if len(now.parts) <= last else None

    def refuse_moved(self, now: FrameIndex, attr: str) -> None:
        """Raise where frames of an attribute have other numbers in a later index.

        Raises
        ------
        FileChangedError
            Files came, went, or have more or fewer frames, and others lie behind.
        """
        moved = self.moved(now)
        if moved is not None:
            raise FileChangedError(
                f"the frames of {attr!r} have other numbers than when they were begun with: "
                f"{moved.stored.place.filename} has more or fewer of them now, or another file "
                "came or went before it. Begin again, or follow() a run that is still written"
            )

    @cached_property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of one frame, the same in all parts.

        Raises
        ------
        LayoutError
            The parts differ; names two of them.
        """
        if not self.parts:
            return ()
        first = self.parts[0]
        for part in self.parts[1:]:
            if part.frame_shape != first.frame_shape:
                raise LayoutError(
                    f"frames differ in shape: {first.frame_shape} in {first.stored.place}, "
                    f"{part.frame_shape} in {part.stored.place}; load the files apart"
                )
        return first.frame_shape

    def by_part(
        self, numbers: NDArray[np.int64]
    ) -> Iterator[tuple[int, Part, NDArray[np.int64], NDArray[np.intp]]]:
        """Return the parts that have some of the frames `numbers`, in their order.

        With each come its number, which of its rows they are (ascending; 0 where it is one frame),
        and their places in `numbers`.
        """
        order = (
            np.argsort(numbers, kind="stable")
            if (np.diff(numbers) < 0).any()
            else np.arange(len(numbers))
        )
        ordered = numbers[order]
        edges = np.searchsorted(ordered, self.offsets)
        for k in np.flatnonzero(np.diff(edges)):
            part, first, last = self.parts[k], edges[k], edges[k + 1]
            if part.is_static:
                rows = np.full(last - first, part.row, np.int64)
            else:
                rows = ordered[first:last] - self.offsets[k] + part.row
            yield int(k), part, rows, order[first:last]


def check_rank(wanted: Attribute, found: Found) -> None:
    """Raise :class:`LayoutError` where a dataset's rank does not fit the attribute's kind."""
    for stored in found.datasets:
        if not wanted.fits(stored.ndim):
            raise LayoutError(
                f"{stored.place} has shape {stored.shape}; {wanted.name!r} is a {wanted.kind}, of "
                f"{wanted.axes} axes; if the file is right, give the store a protocol that gives "
                f"{wanted.name!r} another kind"
            )
    if wanted.kind in ("scalar", "frame") and len(found.datasets) > 1:
        raise LayoutError(
            f"{found.datasets[0].place.filename}:{found.path} is a group of "
            f"{len(found.datasets)} datasets, and {wanted.name!r} is a {wanted.kind}, which is one "
            "dataset: use a protocol that names the one you mean"
        )


def own_frames(wanted: Attribute, found: Found, frame_ndim: int = 2) -> list[Part]:
    """Return the frames that one file has of a stack or sequence, as it lies there.

    A dataset of a stack with no more axes than a frame of `data` has is one frame, and
    :func:`align` lets it stand for many.
    """
    parts = []
    for stored in found.datasets:
        pieces = None
        has_frame_axis = not (wanted.kind == "stack" and stored.ndim <= frame_ndim)
        if stored.assembly is not None and has_frame_axis and stored.ndim > 2:
            pieces = stored.assembly.in_a_row(stored.shape)
        if pieces:  # whole frames of others, one after the other
            parts += [
                # The unit is that of the virtual dataset: it is what was asked for.
                Part(found.file, _in_units(piece.stored, stored), axis.count, True, axis.start)
                for piece in pieces
                for axis in piece.source[:1]
            ]
            continue
        count = stored.shape[0] if has_frame_axis else 1
        parts.append(Part(found.file, stored, count, has_frame_axis))
    return parts


def _in_units(source: Stored, virtual: Stored) -> Stored:
    return source if virtual.units is None else replace(source, units=virtual.units)


def refuse_twice(parts: Sequence[Part], names: Sequence[str]) -> None:
    """Raise :class:`LayoutError` where two of the store's files have the same frames.

    So it is where a master of links is named together with the files that it links.
    """
    seen: dict[tuple[int, int, int], list[Part]] = {}
    for part in (part for part in parts if part.count):
        stamp = part.stored.stamp
        seen.setdefault((stamp.device, stamp.inode, part.stored.address[1]), []).append(part)
    for alike in seen.values():
        alike.sort(key=lambda part: part.row)
        for one, other in itertools.pairwise(alike):
            if one.file != other.file and one.row + one.count > other.row:
                raise LayoutError(
                    f"the frames of {one.stored.place} are in {names[one.file]} and in "
                    f"{names[other.file]}, so that each would count twice; name one of the two"
                )


def align(
    wanted: Attribute, own: Mapping[int, list[Part]], data: Mapping[int, int], names: Sequence[str]
) -> FrameIndex:
    """Make an index whose frames are numbered as those of the store's `data` are.

    Parameters
    ----------
    wanted : Attribute
        What the frames are of.
    own : mapping of int to list of Part
        The attribute's own frames in each file that has it.
    data : mapping of int to int
        How many frames of `data` each file has; files without `data` are absent.
    names : sequence of str
        The files' names, for messages.
    """
    if not data:
        return FrameIndex.of([part for number in sorted(own) for part in own[number]])
    static = {number for number, parts in own.items() if _is_static(wanted, parts)}
    attr = wanted.name
    lacking = sorted(data.keys() - own.keys())
    spare = sorted(static - data.keys())  # frames that may stand for those of files that lack them
    lent = own[spare[0]][0] if len(spare) == 1 and lacking else None
    mismatches: list[str] = []
    if len(spare) > 1 and lacking:
        mismatches.append(
            f"{attr!r} in {names[spare[0]]} and in {names[spare[1]]} are both single frames "
            f"without data, and either could stand for the frames of {names[lacking[0]]}"
        )
    drops_spare = not mismatches
    parts: list[Part] = []
    for number in sorted({*own, *data}):
        frames, mine = data.get(number, 0), own.get(number, [])
        if number in lacking and lent is not None:
            parts.append(replace(lent, count=frames, repeats=lent.has_frame_axis))
        elif number in static and frames:
            parts.append(replace(mine[0], count=frames, repeats=mine[0].has_frame_axis))
        elif not (number in spare and drops_spare):
            parts += mine
            count = sum(part.count for part in mine)
            if count != frames:
                mismatches.append(
                    f"{names[number]} has {frames} frames of 'data' and {count} of {attr!r}, so "
                    "that a frame number does not mean the same frame of both"
                )
    return FrameIndex.of(parts, next(iter(mismatches), None))


def _is_static(wanted: Attribute, parts: Sequence[Part]) -> bool:
    """Tell whether all that a file has is one frame for all; a mask's may have an axis of one."""
    if len(parts) != 1:
        return False
    return not parts[0].has_frame_axis or (wanted.is_mask and parts[0].count == 1)
