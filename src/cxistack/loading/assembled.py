"""What to read of which dataset for wanted frames of a part: its own rows, or its pieces'. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..catalogue.index import Part
from ..hdf5.addresses import Assembled, Bytes, Contiguous, ThroughH5py
from ..hdf5.boxes import Box, cut
from ..hdf5.stored import Piece, Stored
from ..transforms.steps import Axis, FrameView
from .direct import Wanted
from .tasks import Window

__all__ = [
    "Selected",
    "datasets",
    "gaps",
    "is_assembled",
    "pieces_near",
    "select",
    "uncovered",
    "wanted",
    "why_blockwise",
]


_MOST_BOXES = 256  # between which gaps are found, and gaps


@dataclass(frozen=True)
class Selected:
    """What is wanted of one piece.

    Attributes
    ----------
    number : int
        The piece's number in the assembly.
    stored : Stored
        Its source.
    rows, places : ndarray of int64
        Rows of the source, in ascending order, and each one's place in the result.
    window : Window
        What is taken of each row.
    has_rows : bool
        False where the source counts as one frame, and every row is 0.
    """

    number: int
    stored: Stored
    rows: NDArray[np.int64]
    places: NDArray[np.int64]
    window: Window
    has_rows: bool


def pieces_near(part: Part, rows: NDArray[np.int64]) -> Iterator[tuple[Piece, int, int, int]]:
    """Return the pieces of an assembled part that may have some of its `rows`, which ascend.

    With each come its number, and from where to where among the rows.
    """
    assembly = part.stored.assembly
    assert assembly is not None
    if part.has_frame_axis:
        yield from assembly.near(rows)
    else:
        yield from ((piece, number, 0, len(rows)) for number, piece in enumerate(assembly.pieces))


def datasets(part: Part, rows: NDArray[np.int64]) -> Iterator[Stored]:
    """Return a part's dataset, and those that hold its `rows`, which ascend; some perhaps again."""
    yield part.stored
    if part.stored.assembly is not None:
        yield from (piece.stored for piece, _, _, _ in pieces_near(part, rows))


def is_assembled(part: Part) -> bool:
    """Tell whether a part is read as its pieces; rows of single values are left to libhdf5."""
    return part.stored.assembly is not None and len(part.frame_shape) > 1


def why_blockwise(part: Part, route: Bytes) -> str | None:
    """Return why a part is not read beside libhdf5 at once, whatever is asked; None where it is."""
    if isinstance(route, ThroughH5py):
        return route.reason
    assembly = part.stored.assembly
    if assembly is None or not isinstance(route, Assembled):
        return None
    return "its pieces overlap" if assembly.overlaps else route.reason


def select(
    part: Part, rows: NDArray[np.int64], places: NDArray[np.int64], view: FrameView
) -> Iterator[Selected]:
    """Return what is wanted of each piece of an assembled part, for its `rows`, which ascend."""
    assembly = part.stored.assembly
    assert assembly is not None
    window = Window.of(view, part.frame_shape)
    known: dict[tuple[Box, Box], Window | None] = {}
    for piece, number, first, last in pieces_near(part, rows):
        frames, its_rows, its_places = piece.target[0], rows[first:last], places[first:last]
        has_rows = part.has_frame_axis and piece.has_rows
        mine = _window(piece.target[part.has_frame_axis :], piece.source[has_rows:], window, known)
        if mine is None:
            continue
        if part.has_frame_axis and frames.step > 1:
            keep = (its_rows - frames.start) % frames.step == 0
            its_rows, its_places = its_rows[keep], its_places[keep]
        if has_rows:
            begin, step, _ = piece.source[0]
            its_rows = begin + (its_rows - frames.start) // frames.step * step
        else:
            its_rows = np.zeros_like(its_rows)
        if len(its_rows):
            yield Selected(number, piece.stored, its_rows, its_places, mine, has_rows)


def _window(
    target: Box, source: Box, wanted: Window, known: dict[tuple[Box, Box], Window | None]
) -> Window | None:
    """Return the part of a piece's frames that is wanted; None where that is nothing."""
    if (target, source) not in known:
        found = cut(target, source, wanted.axes)
        known[target, source] = None if found is None else Window(found[1], found[0])
    return known[target, source]


def uncovered(
    part: Part, places: NDArray[np.int64], view: FrameView, selected: Sequence[Selected]
) -> NDArray[np.bool_]:
    """Tell of each of the wanted frames whether some wanted pixel of it may be in no piece."""
    assembly = part.stored.assembly
    assert assembly is not None
    if assembly.is_complete or assembly.overlaps or not len(places):
        return np.full(len(places), assembly.overlaps)
    pixels = np.zeros(int(places.max()) + 1, np.int64)
    for one in selected:
        pixels[one.places] += one.window.size
    return pixels[places] < Window.of(view, part.frame_shape).size


def wanted(
    part: Part,
    route: Bytes,
    rows: NDArray[np.int64],
    places: NDArray[np.int64],
    view: FrameView,
) -> tuple[list[Wanted], list[Wanted]]:
    """Return what is read beside libhdf5 for a part's `rows`, which ascend.

    Pieces that libhdf5 reads are left out. The first list is of fill values, which come before what
    the second is of: stored pixels.
    """
    assert not isinstance(route, ThroughH5py)
    if not isinstance(route, Assembled):
        rows = rows if part.has_frame_axis else np.zeros_like(rows)
        window = Window.of(view, part.frame_shape)
        return [], [Wanted(part.stored, route, rows, places, (window,), part.has_frame_axis)]
    selected = list(select(part, rows, places, view))
    bare = uncovered(part, places, view, selected)
    fills = list(_fills(part, rows, places, view, selected, bare)) if bare.any() else []
    return fills, list(_merged(selected, route))


def _fills(
    part: Part,
    rows: NDArray[np.int64],
    places: NDArray[np.int64],
    view: FrameView,
    selected: Sequence[Selected],
    bare: NDArray[np.bool_],
) -> Iterator[Wanted]:
    """Return where fill values go: the gaps between the pieces of the frames that are `bare`."""
    assembly = part.stored.assembly
    assert assembly is not None
    where = Contiguous(part.stored.stamp, None, assembly.fill)
    whole = Window.of(view, part.frame_shape)
    if not part.has_frame_axis:
        rows = np.zeros_like(rows)
    # Frames in which the same parts are covered have the same gaps.
    numbers: dict[Box, int] = {}
    frame_of = np.zeros(int(places.max()) + 1, np.int64)
    frame_of[places] = np.arange(len(places))
    frames, boxes = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for one in selected:
        number = numbers.setdefault(one.window.places, len(numbers))
        frames.append(frame_of[one.places])
        boxes.append(np.full(len(one.places), number))
    frame, box = np.concatenate(frames), np.concatenate(boxes)
    order = np.lexsort((box, frame))
    edges = np.searchsorted(frame[order], np.arange(len(places) + 1))
    alike: dict[bytes, list[int]] = {}
    for k in np.flatnonzero(bare):
        alike.setdefault(box[order[edges[k] : edges[k + 1]]].tobytes(), []).append(int(k))
    known = list(numbers)
    for key, members in alike.items():
        covered = [known[number] for number in np.frombuffer(key, np.int64)]
        windows = tuple(_gaps(whole, covered))
        yield Wanted(
            part.stored, where, rows[members], places[members], windows, part.has_frame_axis
        )


def _gaps(whole: Window, covered: Sequence[Box]) -> list[Window]:
    """Return windows on what is not covered of a frame; on all where they would be very many."""
    if len(covered) > _MOST_BOXES or any(axis.step > 1 for box in covered for axis in box):
        return [whole]
    found = gaps([tuple(axis.bounds for axis in box) for box in covered], whole.shape)
    if len(found) > _MOST_BOXES:
        return [whole]
    # Of a fill value it does not matter which pixel it is that is taken.
    return [
        Window(
            tuple(Axis(0, 1, stop - start) for start, stop in box),
            tuple(Axis(start, 1, stop - start) for start, stop in box),
        )
        for box in found
    ]


def gaps(
    boxes: Sequence[tuple[tuple[int, int], ...]], shape: tuple[int, ...]
) -> list[tuple[tuple[int, int], ...]]:
    """Return boxes that cover what `boxes` leave of a frame, each pixel once.

    Examples
    --------
    >>> gaps([((0, 2), (0, 3)), ((0, 2), (4, 6))], (3, 6))
    [((0, 2), (3, 4)), ((2, 3), (0, 6))]
    """
    if not shape:
        return [] if boxes else [()]
    edges = sorted({0, shape[0], *(edge for box in boxes for edge in box[0])})
    slabs: list[tuple[tuple[int, int], list[tuple[tuple[int, int], ...]]]] = []
    for start, stop in itertools.pairwise(edges):
        here = [box[1:] for box in boxes if box[0][0] <= start and stop <= box[0][1]]
        rest = gaps(here, shape[1:])
        if slabs and slabs[-1][1] == rest:
            slabs[-1] = (slabs[-1][0][0], stop), rest
        else:
            slabs.append(((start, stop), rest))
    return [(slab, *box) for slab, rest in slabs for box in rest]


def _merged(selected: Sequence[Selected], route: Assembled) -> Iterator[Wanted]:
    """Bring together what lies in the same chunks, so that each is decoded once."""
    alike: dict[tuple[object, ...], list[Selected]] = {}
    for one in selected:
        if not isinstance(route.pieces[one.number], ThroughH5py):
            alike.setdefault((one.stored.address, one.has_rows, one.window), []).append(one)
    found: dict[tuple[object, ...], Wanted] = {}
    for group in alike.values():
        first = group[0]
        where = route.pieces[first.number]
        assert not isinstance(where, ThroughH5py)
        rows, places = first.rows, first.places
        if len(group) > 1:
            rows = np.concatenate([one.rows for one in group])
            places = np.concatenate([one.places for one in group])
            order = np.argsort(rows, kind="stable")
            rows, places = rows[order], places[order]
        key = (first.stored.address, first.has_rows, rows.tobytes(), places.tobytes())
        windows = (*found[key].windows, first.window) if key in found else (first.window,)
        found[key] = Wanted(first.stored, where, rows, places, windows, first.has_rows)
    yield from found.values()
