"""Reads frames block by block: a run of rows into a buffer, then step by step into its place.

This is the way of all that takes more than one pass (masks of flags, bins, picked pixels), of what
only HDF5 can read, and of finding out which value does not fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from ..catalogue.index import Part
from ..errors import CastError, CXIError, Offence, StorageError
from ..hdf5.addresses import Assembled, Bytes, Chunked, Contiguous, ThroughH5py
from ..hdf5.files import Files, changed
from ..hdf5.messages import blamed, unreadable
from ..hdf5.stored import Stored
from ..transforms.steps import Axis, Bin, FrameView, Step, sum_dtype
from . import assembled, direct
from .assembled import is_assembled
from .blocks import BLOCK_BYTES, Block, blocks
from .ranges import within
from .reading import Output, Reading
from .recipe import Recipe

__all__ = ["box_view", "read", "read_text"]


Box = tuple[slice, slice] | None

_MOST_CHUNKS = 4096  # that HDF5 is made to touch at a time


def read(
    reading: Reading, chosen: NDArray[np.int64], places: NDArray[np.int64], output: Output
) -> None:
    """Read frames number `chosen` to `places` of the output, each part by its recipe.

    Raises
    ------
    CastError
        A value does not fit; names the first frame of the result with such a value, its first
        pixel and how many of its pixels do not fit. The output is undefined.
    StorageError
        A block cannot be read; names file, dataset and rows.
    """
    index, out = reading.index, output.array
    shape = index.frame_shape
    boxes = [_box(recipe, shape) for recipe in reading.recipes]
    frame_bytes = max(
        (
            _box_pixels(box, shape) * part.stored.dtype.itemsize
            for (box, _), part in zip(boxes, index.parts, strict=True)
        ),
        default=0,
    )
    reader = _Reader(reading.files, output.num_threads)
    worst: CastError | None = None
    limit = len(out)  # places from here on do not matter any more
    for block in blocks(index, chosen, frame_bytes, BLOCK_BYTES):
        block = replace(block, dst=places[block.dst]).before(limit)
        if not len(block.dst):
            continue
        part, route = index.parts[block.part], reading.routes[block.part]
        recipe = reading.recipes[block.part]
        box, steps = boxes[block.part]
        inner = replace(recipe, steps=steps)
        if _is_plain(inner, part, block, out):
            first = int(block.dst[0])
            reader.read(part, route, block, box, out[first : first + len(block.dst)])
        else:
            raw = reader.read(part, route, block, box, dtype=_read_type(part, route, out.dtype))
            try:
                _place(raw, block, inner, output)
            except CastError as error:
                if error.offence is None:
                    raise
                # Blocks come in the order of the files; the error names the result's first frame.
                limit, offence = _first_offence(raw, block, inner, out)
                number = int(chosen[places == limit][0])
                worst = _does_not_fit(part, block, limit, number, offence, out.dtype)
        output.tick(len(block.dst))
    if worst is not None:
        raise worst


def read_text(files: Files, stored: Stored) -> Any:
    """Read a whole dataset of strings: a ``str``, or an object array of them."""
    with files.reading(stored.place.filename) as h5:
        try:
            # ASCII, too: many programs say so of what is UTF-8.
            return h5[stored.place.path].asstr("utf-8")[()]
        except UnicodeDecodeError as cause:
            raise StorageError(
                f"{stored.place} holds text that is not {_character_set(h5, stored)}, although it "
                f"says so: {cause.object[:40].decode('utf-8', 'backslashreplace')}"
            ) from cause
        except (OSError, RuntimeError, ValueError) as cause:
            raise StorageError(f"{stored.place}, text, cannot be read: {blamed(cause)}") from cause


def _character_set(h5: Any, stored: Stored) -> str:
    return ("ASCII", "UTF-8")[h5[stored.place.path].id.get_type().get_cset()]


def _place(raw: NDArray[Any], block: Block, recipe: Recipe, output: Output) -> None:
    """Turn the stored pixels of a block into those of the result, at their places in it."""
    out, num_threads = output.array, output.num_threads
    if recipe.is_one_pass and recipe.ranges is None:
        pixels = recipe.steps[0].apply(raw) if recipe.steps else raw
        kernels.gather(
            pixels,
            block.src,
            at=block.dst,
            out=out,
            casting=recipe.casting,
            num_threads=num_threads,
        )
        return
    values = _values(raw, block.src, recipe, num_threads)
    if recipe.is_narrowing:
        values = np.logical_and(values, out[block.dst])
    kernels.gather(
        values,
        np.arange(len(values)),
        at=block.dst,
        out=out,
        casting=recipe.casting,
        num_threads=num_threads,
    )


def _first_offence(
    raw: NDArray[Any], block: Block, recipe: Recipe, out: NDArray[Any]
) -> tuple[int, Offence]:
    """Return the first place of the result whose pixels do not fit, and the offence there."""
    for k in np.argsort(block.dst):
        try:
            _place(raw, block.only(int(k)), recipe, Output(out, 1))
        except CastError as error:
            if error.offence is not None:
                return int(block.dst[k]), error.offence
    raise AssertionError("a cast failed for all frames together and for none of them alone")


def _values(
    raw: NDArray[Any], src: NDArray[np.int64], recipe: Recipe, num_threads: int | None
) -> NDArray[Any]:
    """Do with frames `src` what has to be done before the last cast, a pass for each step."""
    if recipe.ranges is None:
        pixels = kernels.gather(raw, src, num_threads=num_threads)
    elif raw.dtype.itemsize <= 8:
        pixels = kernels.within(raw, recipe.ranges, index=src, num_threads=num_threads)
    else:  # of a size that the kernels do not know
        pixels = within(raw[src], recipe.ranges)
    if recipe.bad_bits is not None:
        pixels = kernels.good_pixels(pixels, recipe.bad_bits, num_threads=num_threads)
    elif recipe.via is not None:
        pixels = kernels.cast(pixels, recipe.via, casting=recipe.casting, num_threads=num_threads)
    for step in recipe.steps:
        if isinstance(step, Bin):
            pixels = kernels.bin(pixels, step.n, step.mode, num_threads=num_threads)
        else:
            pixels = step.apply(pixels)
    return pixels


def _box(recipe: Recipe, shape: tuple[int, ...]) -> tuple[Box, tuple[Step, ...]]:
    """Return the part of each frame that must be read, and the steps left to do on it."""
    if not recipe.steps:
        return None, ()
    first, *rest = recipe.steps
    if isinstance(first, Bin):
        return None, recipe.steps
    box = first.bounds()
    inner = first.within_bounds()
    read_shape = tuple(axis.stop - axis.start for axis in box)
    if isinstance(inner, FrameView) and inner.is_full(read_shape):
        return box, tuple(rest)
    return box, (inner, *rest)


def _box_pixels(box: Box, shape: tuple[int, ...]) -> int:
    if box is not None:
        shape = (*shape[:-2], *(axis.stop - axis.start for axis in box))
    return math.prod(shape)


def _is_plain(recipe: Recipe, part: Part, block: Block, out: NDArray[Any]) -> bool:
    """Tell whether HDF5 can put the block's pixels straight where they belong."""
    return (
        not recipe.steps
        and recipe.bad_bits is None
        and part.stored.dtype == out.dtype
        and out.dtype.kind != "b"  # a byte other than 0 and 1 must become True
        and out.flags.c_contiguous
        and block.is_run
    )


def box_view(recipe: Recipe, shape: tuple[int, ...]) -> FrameView:
    """Return the part of each frame that a recipe of several steps makes necessary to read."""
    return _view_of(_box(recipe, shape)[0], shape)


def _view_of(box: Box, shape: tuple[int, ...]) -> FrameView:
    if box is None:
        return FrameView.full((shape[-2], shape[-1]))
    return FrameView(*(Axis(axis.start, 1, axis.stop - axis.start) for axis in box))


def _read_type(part: Part, route: Bytes, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type to read in: the stored one, which our kernels swap and cast themselves.

    They know no half floats; HDF5 widens these on the way, which changes no value.
    """
    stored = part.stored.dtype
    native = stored.newbyteorder("=")
    if native.str[1:] == "f2":
        return native if dtype == native else np.dtype(np.float32)
    by_hdf5 = isinstance(route, ThroughH5py) and not is_assembled(part)
    return stored if by_hdf5 else native


def _selections(
    part: Part, start: int, stop: int, box: Box, shape: tuple[int, ...]
) -> Iterator[tuple[Any, Any]]:
    """Return what to read, and where it goes in what is read: bands of rows, of not many chunks.

    HDF5 takes some KiB for each chunk that a reading touches.
    """
    lead = (slice(start, stop),) if part.has_frame_axis else ()
    if box is None and len(shape) < 3:
        yield lead or None, None
        return
    ss, fs = box if box is not None else (slice(0, shape[-2]), slice(0, shape[-1]))
    band = ss.stop - ss.start
    if part.stored.chunks is not None:
        counts = [
            -(-n // c)
            for n, c in zip(shape[1:-2], part.stored.chunks[-len(shape) + 1 : -2], strict=True)
        ]
        across = math.prod(counts) * -(-(fs.stop - fs.start) // part.stored.chunks[-1])
        across *= -(-(stop - start) // part.stored.chunks[0]) if part.has_frame_axis else 1
        band = part.stored.chunks[-2] * max(1, _MOST_CHUNKS // across)
    first = ss.start
    while first < ss.stop:
        # Bands end where chunks do, so that none is decoded twice.
        last = min(ss.stop, (first // band + 1) * band)
        yield (
            (*lead, Ellipsis, slice(first, last), fs),
            (Ellipsis, slice(first - ss.start, last - ss.start), slice(None)),
        )
        first = last


class _Reader:
    """Reads blocks of rows into one buffer that is used again."""

    def __init__(self, files: Files, num_threads: int | None) -> None:
        self._files = files
        self._num_threads = num_threads
        self._buffer: NDArray[np.uint8] = np.empty(0, np.uint8)

    def read(
        self,
        part: Part,
        route: Bytes,
        block: Block,
        box: Box,
        into: NDArray[Any] | None = None,
        dtype: np.dtype[Any] | None = None,
    ) -> NDArray[Any]:
        """Read the `box` of each frame of a block; the result has a frame axis always.

        Of an assembled part only the wanted frames are read, and the others undefined.
        """
        stored, start, stop = part.stored, block.start, block.stop
        frame = (
            part.frame_shape
            if box is None
            else (*part.frame_shape[:-2], *(axis.stop - axis.start for axis in box))
        )
        if into is None:
            into = self._array((stop - start, *frame), dtype or stored.dtype)
        if not into.size:
            return into
        if stored.storage == "columns":
            self._read_columns(part, start, stop, into)
        elif is_assembled(part):
            self._read_pieces(part, route, block, _view_of(box, part.frame_shape), into)
        elif isinstance(route, ThroughH5py):
            self._read_by_h5py(part, start, stop, box, into)
        else:
            rows = np.arange(start, stop, dtype=np.int64)
            view = _view_of(box, part.frame_shape)
            _, wanted = assembled.wanted(part, route, rows, rows - start, view)
            self._read_directly(wanted, into)
        return into

    def _read_pieces(
        self, part: Part, route: Bytes, block: Block, view: FrameView, into: NDArray[Any]
    ) -> None:
        """Read the pieces of an assembled part in the order in which they count."""
        assembly = part.stored.assembly
        assert assembly is not None
        # Not by np.unique: its first call imports a module, and a process that another thread forks
        # meanwhile waits for ever for that import.
        places = np.flatnonzero(np.bincount(block.src))
        rows = places + block.start
        selected = list(assembled.select(part, rows, places, view))
        into[places[assembled.uncovered(part, places, view, selected)]] = assembly.fill
        ways = route.pieces if isinstance(route, Assembled) else {}
        if isinstance(route, Assembled) and assembled.why_blockwise(part, route) is None:
            self._read_directly(assembled.wanted(part, route, rows, places, view)[1], into)
            return
        for one in selected:
            way = ways.get(one.number)
            if isinstance(way, Contiguous | Chunked):
                wanted = direct.Wanted(
                    one.stored, way, one.rows, one.places, (one.window,), one.has_rows
                )
                self._read_directly([wanted], into)
                continue
            axes = one.window.axes
            box = (slice(*axes[-2].bounds), slice(*axes[-1].bounds))
            first, last = int(one.rows[0]), int(one.rows[-1]) + 1
            frame = one.stored.shape[1:] if one.has_rows else one.stored.shape
            shape = (*frame[:-2], *(axis.stop - axis.start for axis in box))
            raw = np.empty((last - first, *shape), into.dtype)
            source = Part(part.file, one.stored, len(raw), one.has_rows)
            self._read_by_h5py(source, first, last, box, raw)
            inner = FrameView(axes[-2], axes[-1]).within_bounds()
            taken = raw[one.rows - first][(slice(None), *(axis.slice for axis in axes[:-2]))]
            target = into[(slice(None), *(axis.slice for axis in one.window.places))]
            target[one.places] = inner.of(taken).reshape(len(one.rows), *target.shape[1:])

    def _read_columns(self, part: Part, start: int, stop: int, into: NDArray[Any]) -> None:
        """Read rows of datasets that are a column each."""
        assembly = part.stored.assembly
        assert assembly is not None
        for number, piece in enumerate(assembly.pieces):
            column = np.empty(stop - start, piece.stored.dtype)
            source = Part(part.file, piece.stored, len(column), True)
            self._read_by_h5py(source, start, stop, None, column)
            into[:, number] = column

    def _read_directly(self, wanted: Sequence[direct.Wanted], into: NDArray[Any]) -> None:
        direct.read(self._files, wanted, Output(into, self._num_threads))

    def _read_by_h5py(
        self, part: Part, start: int, stop: int, box: Box, into: NDArray[Any]
    ) -> None:
        place = part.stored.place
        try:
            with self._files.reading(place.filename) as h5:
                if h5[place.path].shape != part.stored.shape:  # this process writes to it
                    raise changed(place.filename)
                if part.stored.storage == "virtual":
                    # HDF5 leaves pixels in no source as they are where other sources overlap.
                    into[...] = h5[place.path].fillvalue
                for source, target in _selections(part, start, stop, box, into.shape):
                    whole = into if part.has_frame_axis else into.reshape(into.shape[1:])
                    h5[place.path].read_direct(whole, source, target)
        except CXIError:
            raise
        except (OSError, RuntimeError, ValueError, TypeError) as cause:
            why = blamed(cause)
            with (
                suppress(KeyError, OSError, RuntimeError, ValueError),
                self._files.reading(place.filename) as h5,
            ):
                why = unreadable(h5[place.path], cause)
            raise StorageError(
                f"{place}, rows {start} to {stop - 1}, cannot be read: {why}"
            ) from cause

    def _array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        needed = math.prod(shape) * dtype.itemsize
        if self._buffer.nbytes < needed:
            self._buffer = np.empty(needed, np.uint8)
        return self._buffer[:needed].view(dtype).reshape(shape)


def _does_not_fit(
    part: Part, block: Block, place: int, number: int, offence: Offence, dtype: np.dtype[Any]
) -> CastError:
    where = str(part.stored.place)
    if part.has_frame_axis:
        row = block.start + int(block.src[np.flatnonzero(block.dst == place)[0]])
        where = f"frame {number} (row {row} of {where})"
    what = "pixel" if len(offence.pixel) > 1 else "value"
    what = f"{what} does" if offence.count == 1 else f"{what}s do"
    pixel = f" at {list(offence.pixel)} of the result's frame" if offence.pixel else ""
    advice = f"Say dtype={part.stored.dtype.name!r} to keep the stored values"
    if part.stored.dtype == dtype:  # a sum of pixels
        advice = f"Say dtype={sum_dtype(dtype).name!r}, in which sums are made"
    return CastError(
        f"{where}: {offence.count} {what} not fit {dtype}; the first is {offence.value}{pixel}. "
        f"{advice}, or casting='unsafe' to cast as NumPy does",
        replace(offence, frame=number),
    )
