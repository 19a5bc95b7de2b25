"""Decodes every chunk once, in bounded memory, and narrows a failure down to the chunk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from ..catalogue.catalogue import Catalogue
from ..catalogue.index import Part, own_frames
from ..errors import CXIError, FileChangedError
from ..hdf5.addresses import locate_bytes
from ..hdf5.files import Files
from ..hdf5.stored import Stored, leaves
from ..loading.prepare import prepare_stored
from ..progress import progress_bar
from ..transforms.steps import Axis, FrameView
from .findings import Finding
from .meaning import PlainMask
from .request import CheckRequest

__all__ = ["decodes"]

_BLOCK_BYTES = 64 << 20  # of pixels that are decoded at a time
_MOST_FINDINGS = 1000  # of one dataset; where all is lost, not every chunk is tried

Block = tuple[range, ...]  # rows, and pixels along the last two axes; each a range of step 1


@dataclass(frozen=True)
class _Rows:
    """Rows of a dataset that hold something of an attribute."""

    attr: str
    part: Part
    first: int | None  # its number as a frame of the store; None where rows are not numbered so


def decodes(catalogue: Catalogue, request: CheckRequest) -> Iterator[Finding]:
    """Find chunks that do not decode, all else that cannot be read, and masks that are none."""
    chosen: dict[tuple[object, int], _Rows] = {}  # each once, whatever leads to it
    masks: dict[object, PlainMask] = {}
    for attr in request.attributes:
        wanted, found = catalogue.protocol.attribute(attr), catalogue.found(attr)
        for piece in _pieces(catalogue, attr) if found else ():
            stored = piece.part.stored
            chosen.setdefault((stored.address, piece.part.row), piece)
            mask = PlainMask.of(wanted, found[piece.part.file].path, stored)
            if mask is not None:
                masks.setdefault(stored.address, mask)
    total = sum(_nbytes(_whole(piece.part), piece.part) for piece in chosen.values())
    with progress_bar(total, "Checking", "byte") if request.verbose else nullcontext() as bar:
        tick: Callable[[int], object] = bar.update if bar is not None else lambda nbytes: None
        for piece in chosen.values():
            mask = masks.get(piece.part.stored.address)

            def read(part: Part, box: Block, mask: PlainMask | None = mask) -> None:
                values = _read(catalogue.files, part, box, request.num_threads)
                if mask is not None:
                    mask.look(values if part.has_frame_axis else values[0], _start(part, box))

            yield from _merged(list(_failures(piece, read, tick)), piece)
    for mask in masks.values():
        yield from mask.findings()


def _pieces(catalogue: Catalogue, attr: str) -> Iterator[_Rows]:
    """Return what there is of an attribute in all files, as far as it can be used."""
    found = {n: one for n, one in catalogue.found(attr).items() if one.error is None}
    if not catalogue.is_indexed(attr):
        for one in found.values():
            yield from (_Rows(attr, part, None) for part in _wholes(one.file, one.datasets))
        return
    try:
        index = catalogue.index(attr)
        parts, offsets = index.parts, index.offsets.tolist()
    except (CXIError, OSError):  # something is wrong with one file: the others are read
        wanted = catalogue.protocol.attribute(attr)
        parts = tuple(part for one in found.values() for part in own_frames(wanted, one))
        offsets = None
    for number, part in enumerate(parts):
        if part.stored.assembly is None:
            first = offsets[number] if offsets is not None and part.has_frame_axis else None
            yield _Rows(attr, part, first)
            continue
        for leaf in leaves(part.stored):
            has_rows = leaf.ndim > (2 if len(part.frame_shape) > 1 else 0)
            rows = leaf.shape[0] if has_rows else 1
            yield _Rows(attr, Part(part.file, leaf, rows, has_rows), None)
    for one in found.values():
        yield from (_Rows(attr, part, None) for part in _wholes(one.file, one.also))


def _wholes(file: int, datasets: Sequence[Stored]) -> Iterator[Part]:
    for stored in datasets:
        for leaf in leaves(stored):
            yield Part(file, leaf, 1, False)


def _whole(part: Part) -> Block:
    """Return all rows of a part, and all pixels of each."""
    ss, fs = _grid(part)
    count = 1 if part.is_static else part.count
    rows = range(part.row, part.row + count)
    return rows, range(ss), range(fs)


def _grid(part: Part) -> tuple[int, int]:
    shape = part.frame_shape
    return (shape[-2], shape[-1]) if len(shape) > 1 else (1, math.prod(shape))


def _nbytes(box: Block, part: Part) -> int:
    if part.stored.is_text:
        return 0
    others = math.prod(part.frame_shape[:-2]) if len(part.frame_shape) > 1 else 1
    return math.prod(map(len, box)) * others * part.stored.dtype.itemsize


def _units(part: Part) -> tuple[int, int, int]:
    """Return the rows and the pixels along two axes that a chunk has: they are read together."""
    chunks, (ss, fs) = part.stored.chunks, _grid(part)
    if chunks is None:
        return 1, max(1, ss), max(1, fs)
    rows = chunks[0] if part.has_frame_axis else 1
    return (rows, chunks[-2], chunks[-1]) if len(part.frame_shape) > 1 else (rows, 1, max(1, fs))


def _halves(box: Block, part: Part) -> tuple[Block, Block] | None:
    """Cut a box in two where chunks end, its rows first; None where it is one chunk."""
    for axis, unit in enumerate(_units(part)):
        span = box[axis]
        middle = -(-(span.start + span.stop) // 2 // unit) * unit
        for cut in (middle, middle - unit):
            if span.start < cut < span.stop:
                parts = (range(span.start, cut), range(cut, span.stop))
                one, other = ((*box[:axis], half, *box[axis + 1 :]) for half in parts)
                return one, other
    return None


def _failures(
    piece: _Rows, read: Callable[[Part, Block], None], tick: Callable[[int], object]
) -> Iterator[Finding]:
    part = piece.part
    if not part.stored.is_text and not part.stored.nbytes:
        return
    count = 0
    todo = [_whole(part)]
    while todo:
        box = todo.pop()
        size = _nbytes(box, part)
        halves = None if part.stored.is_text else _halves(box, part)
        if size > _BLOCK_BYTES and halves is not None:
            todo += reversed(halves)
            continue
        try:
            read(part, box)
        except FileChangedError as error:
            yield _finding(piece, None, str(error))
            return
        except (CXIError, OSError, MemoryError) as error:
            if halves is not None:
                todo += reversed(halves)
                continue
            yield _finding(piece, box, str(error))
            count += 1
            if count == _MOST_FINDINGS and todo:
                yield _finding(
                    piece, None, f"{count} chunks do not decode; the rest of it was not tried"
                )
                return
        tick(size)


def _read(files: Files, part: Part, box: Block, num_threads: int | None) -> Any:
    """Read and decode all of a box, as it is stored."""
    rows, ss, fs = box
    view = None
    if len(part.frame_shape) > 1:
        view = FrameView(Axis(ss.start, 1, len(ss)), Axis(fs.start, 1, len(fs)))
        locate_bytes(files, part.stored)  # its chunks are all wanted, though not in this block
    some = replace(part, row=rows.start if part.has_frame_axis else part.row, count=len(rows))
    return prepare_stored(files, some, view).read(num_threads=num_threads)


def _finding(piece: _Rows, box: Block | None, why: str) -> Finding:
    part, place = piece.part, piece.part.stored.place
    cause = why.removeprefix(f"{place}, ")
    finding = Finding("decodes", piece.attr, place.filename, cause, place.path)
    if box is None or not part.has_frame_axis:
        return finding
    rows = box[0]
    shift = None if piece.first is None else piece.first - part.row
    return replace(
        finding,
        rows=(rows.start, rows.stop - 1),
        frames=None if shift is None else (rows.start + shift, rows.stop - 1 + shift),
        chunk=_corner(part, box),
    )


def _corner(part: Part, box: Block) -> tuple[int, ...] | None:
    chunks = part.stored.chunks
    if chunks is None:
        return None
    row, *pixel = _start(part, box)
    return (row // chunks[0] * chunks[0], *pixel)


def _start(part: Part, box: Block) -> tuple[int, ...]:
    """Return where in its dataset a box begins."""
    rows, ss, fs = box
    start = [0] * part.stored.ndim
    if part.has_frame_axis:
        start[0] = rows.start
    if len(part.frame_shape) > 1:
        start[-2], start[-1] = ss.start, fs.start
    return tuple(start)


def _merged(findings: list[Finding], piece: _Rows) -> Iterator[Finding]:
    """Make one finding of neighbouring rows that have no chunks: a cut file is one cause."""
    if piece.part.stored.chunks is not None:
        yield from findings
        return
    merged: list[Finding] = []
    for one in findings:
        last = merged[-1] if merged else one
        if last.rows and one.rows and last.rows[1] + 1 == one.rows[0]:
            frames = (last.frames[0], one.frames[1]) if last.frames and one.frames else None
            merged[-1] = replace(last, rows=(last.rows[0], one.rows[1]), frames=frames)
        else:
            merged.append(one)
    yield from merged
