"""Which bytes to read for which pixels: a task for each chunk, or piece of one. Pure.

A frame is cut into cells: the part of a view that lies in one place of the chunk grid (or, where
chunks are not filtered, in a piece of one that is short enough for the cache). A task is one cell
of all wanted frames that share a chunk.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..hdf5.boxes import pairs
from ..transforms.steps import Axis, FrameView

__all__ = [
    "TASK",
    "Cell",
    "Column",
    "Geometry",
    "Window",
    "cells",
    "leads",
    "split_cells",
    "split_tasks",
    "tasks",
]


PIECE_BYTES = 256 << 10  # of unfiltered bytes read in one task: they stay in L2 until they are used

_LEAP_BYTES = 64 << 10  # a gap that costs less to read than to read around

TASK = np.dtype(
    [
        ("address", "i8"),  # in the file; -1: never written, the fill value stands for it
        ("size", "i8"),  # stored bytes
        ("shift", "i8"),  # bytes of the chunk that lie before those read
        ("place", "i8"),  # the first of its entries in the table of frames
        ("count", "i4"),  # how many entries
        ("file", "i4"),
        ("cell", "i4"),
        ("mask", "u4"),  # filters that were skipped
        ("cells", "i4"),  # how many cells it fills, from `cell` on: decoded once for all of them
    ],
    align=True,
)


class Column(Protocol):
    """A column of a chunk table."""

    def __getitem__(self, where: NDArray[np.int64], /) -> NDArray[Any]:
        """Return the entries of some chunks."""


@dataclass(frozen=True)
class Geometry:
    """How the frames of a dataset lie in its chunks.

    Attributes
    ----------
    frame : tuple of int
        Shape of a frame.
    chunk : tuple of int
        Frames in a chunk, and the part of a frame's shape that lies in it.
    itemsize : int
        Bytes of a stored pixel.
    is_filtered : bool
        Whether a chunk can only be used as a whole.
    """

    frame: tuple[int, ...]
    chunk: tuple[int, ...]
    itemsize: int
    is_filtered: bool

    @property
    def inner_grid(self) -> tuple[int, ...]:
        """How many chunks there are along each axis of a frame."""
        return tuple(-(-n // c) for n, c in zip(self.frame, self.chunk[1:], strict=True))

    @property
    def chunk_frame_bytes(self) -> int:
        """Bytes from one frame to the next in a chunk."""
        return math.prod(self.chunk[1:]) * self.itemsize


@dataclass(frozen=True)
class Cell:
    """A part of each frame that comes from one place in the chunk grid.

    Attributes
    ----------
    number : int
        The place, counted through the grid of one frame.
    first, last : int
        The bytes that it spans in a chunk's frame.
    src, dst : int
        Byte offset of its first pixel in a chunk's frame, and in the result's frame.
    shape : tuple of int
        Its pixels along each axis of a frame.
    src_steps, dst_steps : tuple of int
        Bytes from pixel to pixel along each axis.
    """

    number: int
    first: int
    last: int
    src: int
    dst: int
    shape: tuple[int, ...]
    src_steps: tuple[int, ...]
    dst_steps: tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """What is taken of each stored frame, and where it goes in the result's frame.

    Attributes
    ----------
    axes : tuple of Axis
        The pixels, along each axis of the stored frame.
    places : tuple of Axis
        Their places, along each axis of the result's frame. Axes of more than one pixel go with
        those of `axes`, in order.
    """

    axes: tuple[Axis, ...]
    places: tuple[Axis, ...]

    @classmethod
    def of(cls, view: FrameView, frame: tuple[int, ...]) -> Window:
        """Return the window that is a view of the last two axes."""
        axes = (*(Axis(0, 1, length) for length in frame[:-2]), view.ss, view.fs)
        return cls(axes, tuple(Axis(0, 1, axis.count) for axis in axes))

    @property
    def shape(self) -> tuple[int, ...]:
        """How many pixels it has along each axis of the stored frame."""
        return tuple(axis.count for axis in self.axes)

    @property
    def size(self) -> int:
        """How many pixels it has."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class _Span:
    """Pixels of one axis that lie in one chunk: its number there, and which of the view's."""

    chunk: int
    start: int
    step: int
    first: int
    count: int


def cells(
    geometry: Geometry, windows: FrameView | Sequence[Window], dst_steps: Sequence[int]
) -> list[Cell]:
    """Cut what is wanted of a frame into cells; those of one filtered chunk are neighbours.

    Parameters
    ----------
    geometry : Geometry
        How frames lie in chunks.
    windows : FrameView or sequence of Window
        What is wanted: a view of the last two axes, or several windows.
    dst_steps : sequence of int
        Strides of the result's frames, in bytes.
    """
    if isinstance(windows, FrameView):
        windows = [Window.of(windows, geometry.frame)]
    found = [cell for window in windows for cell in _cells(geometry, window, dst_steps)]
    if geometry.is_filtered and len(windows) > 1:
        found.sort(key=lambda cell: cell.number)
    return found


def _cells(geometry: Geometry, window: Window, dst_steps: Sequence[int]) -> Iterator[Cell]:
    inner, axes = geometry.chunk[1:], window.axes
    src_steps = tuple(
        math.prod(inner[axis + 1 :]) * geometry.itemsize for axis in range(len(inner))
    )
    origin = sum(axis.start * step for axis, step in zip(window.places, dst_steps, strict=True))
    along = tuple(
        0 if number is None else window.places[number].step * dst_steps[number]
        for number in pairs(window.places, axes)
    )
    spans = [list(_split(axis, width)) for axis, width in zip(axes, inner, strict=True)]
    if not geometry.is_filtered and geometry.chunk_frame_bytes > PIECE_BYTES:
        # From the outermost axis on, until what one index of it spans is short enough.
        for number, axis in enumerate(axes[:-1]):
            most = PIECE_BYTES // (src_steps[number] * abs(axis.step))
            spans[number] = list(_cut(spans[number], max(1, most)))
            if most:
                break
    for combination in itertools.product(*spans):
        yield _cell(combination, geometry, src_steps, along, origin)


def _cell(
    spans: Sequence[_Span],
    geometry: Geometry,
    src_steps: tuple[int, ...],
    dst_steps: tuple[int, ...],
    origin: int,
) -> Cell:
    number = 0
    for span, length in zip(spans, geometry.inner_grid, strict=True):
        number = number * length + span.chunk
    ends = [
        sorted((span.start * step, (span.start + (span.count - 1) * span.step) * step))
        for span, step in zip(spans, src_steps, strict=True)
    ]
    return Cell(
        number=number,
        first=sum(low for low, _ in ends),
        last=sum(high for _, high in ends) + geometry.itemsize,
        src=sum(span.start * step for span, step in zip(spans, src_steps, strict=True)),
        dst=origin + sum(span.first * step for span, step in zip(spans, dst_steps, strict=True)),
        shape=tuple(span.count for span in spans),
        src_steps=tuple(span.step * step for span, step in zip(spans, src_steps, strict=True)),
        dst_steps=dst_steps,
    )


def _split(axis: Axis, width: int) -> Iterator[_Span]:
    """Cut an axis where it goes from one chunk to the next."""
    i = 0
    while i < axis.count:
        position = axis.start + i * axis.step
        chunk = position // width
        if axis.step > 0:
            here = ((chunk + 1) * width - position + axis.step - 1) // axis.step
        else:
            here = (position - chunk * width) // -axis.step + 1
        count = min(here, axis.count - i)
        yield _Span(chunk, position - chunk * width, axis.step, i, count)
        i += count


def _cut(spans: Sequence[_Span], most: int) -> Iterator[_Span]:
    """Cut spans into pieces of at most so many pixels."""
    for span in spans:
        for i in range(0, span.count, most):
            yield _Span(
                span.chunk,
                span.start + i * span.step,
                span.step,
                span.first + i,
                min(most, span.count - i),
            )


def _is_first(geometry: Geometry, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell of each row whether a task begins with it.

    Of filtered chunks that is the first of a chunk. Of others a task takes few bytes, and none of a
    gap that it is faster to leap.
    """
    frames = geometry.chunk[0]
    first = np.ones(len(rows), np.bool_)
    step = np.diff(rows)
    if geometry.is_filtered:
        first[1:] = np.diff(rows // frames) != 0
    else:
        together = max(1, PIECE_BYTES // max(1, geometry.chunk_frame_bytes))
        pieces = rows // frames * -(-frames // together) + rows % frames // together
        first[1:] = (np.diff(pieces) != 0) | (step * geometry.chunk_frame_bytes > _LEAP_BYTES)
    return first


def leads(geometry: Geometry, pieces: Sequence[Cell]) -> NDArray[np.intp]:
    """Return with which cells tasks begin: those of a chunk that is used as a whole share one."""
    if not geometry.is_filtered:
        return np.arange(len(pieces))
    return np.flatnonzero(np.diff([cell.number for cell in pieces], prepend=-1))


def split_cells(pieces: Sequence[Cell], parts: int) -> tuple[list[Cell], NDArray[np.intp] | None]:
    """Cut cells into parts of their rows; return them, and how many each cell becomes.

    None where they stay as they are: only of frames of two axes, blocks of a chunk without a pixel
    of some rows are stepped over.
    """
    if any(len(piece.shape) != 2 for piece in pieces):
        return list(pieces), None
    cut: list[Cell] = []
    counts = []
    for piece in pieces:
        rows = piece.shape[0]
        counts.append(min(parts, rows))
        edges = [rows * k // counts[-1] for k in range(counts[-1] + 1)]
        cut += [_rows_of(piece, begin, end) for begin, end in itertools.pairwise(edges)]
    return cut, np.array(counts, np.intp)


def split_tasks(table: NDArray[np.void], counts: NDArray[np.intp]) -> NDArray[np.void]:
    """Return tasks of cells that were cut: one for each part of a cell.

    What is in several cells is decoded once for all of them: it stays in one task.
    """
    begins = np.concatenate([[0], np.cumsum(counts)])
    cell, alone = table["cell"], table["cells"] == 1
    ends = begins[cell + table["cells"]]
    repeats = np.where(alone, counts[cell], 1)
    split = np.repeat(table, repeats)
    within = np.arange(len(split)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    split["cell"] = np.repeat(begins[cell], repeats) + within
    split["cells"] = np.repeat(np.where(alone, 1, ends - begins[cell]), repeats)
    return split


def _rows_of(piece: Cell, begin: int, end: int) -> Cell:
    """Return some rows of a cell, counted as in the result."""
    step, rows = piece.src_steps[-2], piece.shape[-2]
    span = piece.last - piece.first - (rows - 1) * abs(step)
    first = piece.first + (begin if step >= 0 else rows - end) * abs(step)
    return replace(
        piece,
        first=first,
        last=first + (end - begin - 1) * abs(step) + span,
        src=piece.src + begin * step,
        dst=piece.dst + begin * piece.dst_steps[-2],
        shape=(*piece.shape[:-2], end - begin, piece.shape[-1]),
    )


def tasks(
    geometry: Geometry,
    pieces: Sequence[Cell],
    rows: NDArray[np.int64],
    address: Column,
    size: Column,
    mask: Column,
) -> NDArray[np.void]:
    """Return the tasks that read `rows` of a dataset.

    Parameters
    ----------
    geometry : Geometry
        How frames lie in chunks.
    pieces : sequence of Cell
        What is wanted of each frame.
    rows : ndarray of int64
        The wanted rows, in ascending order, perhaps repeated.
    address, size, mask : ndarray, or what is indexed like one
        The dataset's chunk table, flat over the whole grid.
    """
    frames = geometry.chunk[0]
    chunk_of = rows // frames
    begins = np.flatnonzero(_is_first(geometry, rows))
    counts = np.diff(begins, append=len(rows))
    first_cells = leads(geometry, pieces)
    numbers = np.array([cell.number for cell in pieces], np.int64)[first_cells]
    where = chunk_of[begins, None] * math.prod(geometry.inner_grid) + numbers
    table = np.zeros(where.shape, TASK)
    table["cell"] = first_cells
    table["cells"] = np.diff(first_cells, append=len(pieces))
    table["place"] = begins[:, None]
    table["count"] = counts[:, None]
    table["address"] = address[where]
    table["size"] = size[where]
    table["mask"] = mask[where]
    if not geometry.is_filtered:
        # Of a chunk that can be used in parts, only the bytes from the first wanted to the last.
        first = np.array([cell.first for cell in pieces], np.int64)
        last = np.array([cell.last for cell in pieces], np.int64)
        in_chunk = rows % frames * geometry.chunk_frame_bytes
        table["shift"] = in_chunk[begins, None] + first
        table["size"] = in_chunk[begins + counts - 1, None] + last - table["shift"]
        table["address"] = np.where(table["address"] < 0, -1, table["address"] + table["shift"])
    return table.ravel()
