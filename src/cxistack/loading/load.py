"""Load: a prepared load, which knows where every frame lies and what happens to its pixels.

It does not know which frames will be asked for: it is made once, and read many times.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue.frames import FrameSelection, frame_numbers
from ..catalogue.index import FrameIndex, Part
from ..errors import CastError, FileChangedError, LayoutError
from ..hdf5.files import Files
from ..kernels import cast
from ..kernels.results import empty
from ..kernels.threads import count_threads
from ..progress import progress_bar
from ..protocol.attribute import Attribute
from ..protocol.units import UnitConversion, apply_by_row
from . import blockwise, engine, limit_masks
from ._few import ChunkCache, FewFrames
from .few import few_frames
from .limit_masks import Check
from .many import read_many
from .reading import Output, Reading
from .recipe import Recipe
from .request import LoadRequest
from .route import routes

__all__ = ["Load"]

_BATCH_BYTES = 16 << 20  # of frames that are read at a time, ahead of who takes one by one
_LARGEST_BATCH = 256 << 20  # where a chunk, which is decoded once for a batch, has more frames


@dataclass(frozen=True)
class Load:
    """A load that has been checked and decided.

    Attributes
    ----------
    request : LoadRequest
        What was asked for.
    files : Files
        Lends the files.
    index : FrameIndex
        Where the frames lie.
    recipes : tuple of Recipe
        What happens to the pixels of each part of the index.
    grid : tuple of int
        Shape of a frame as the recipes leave it, with two axes last.
    frame_shape : tuple of int
        Shape of a frame of the result.
    dtype : numpy.dtype
        Type of the result.
    is_single : bool
        Whether the result is a scalar or a frame, without a frame axis.
    layers : tuple of Load
        Other masks: a pixel is good where it is good by all of them, too.
    checks : tuple of Check
        What values of other stacks a mask's good pixels have. Without recipes, the mask is made of
        these alone, and `index` is that of the first.
    conversions : tuple of UnitConversion or None
        What happens to the values of each part when they are read, as float64; none where no value
        changes its unit.
    cache : ChunkCache or None
        Keeps what is decoded of a chunk beyond what a read of few chunks asked for.
    """

    request: LoadRequest
    files: Files
    index: FrameIndex
    recipes: tuple[Recipe, ...]
    grid: tuple[int, ...]
    frame_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_single: bool = False
    layers: tuple[Load, ...] = ()
    checks: tuple[Check, ...] = ()
    conversions: tuple[UnitConversion | None, ...] = ()
    cache: ChunkCache | None = None

    def __getstate__(self) -> dict[str, Any]:
        # What is made at first need is made again where it is unpickled.
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"cache": None}

    @property
    def attribute(self) -> Attribute:
        """What is loaded."""
        return self.request.attribute

    @property
    def attr(self) -> str:
        """The name of what is loaded."""
        return self.request.attribute.name

    @cached_property
    def count(self) -> int:
        """How many frames there are."""
        return self.index.total

    def refuse_moved(self, now: Load) -> None:
        """Raise where frames have other numbers in a later load of the same.

        Raises
        ------
        FileChangedError
            Files came, went, or have more or fewer frames, and others lie behind.
        """
        self.index.refuse_moved(now.index, self.attr)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all of it."""
        return self.shape_of(self.count)

    @property
    def is_text(self) -> bool:
        """Whether strings are loaded."""
        return self.dtype.kind == "O"

    @cached_property
    def few(self) -> FewFrames | None:
        """What reads frames that lie in few chunks, without the engine; None where all go to it."""
        is_made = self.checks or self.layers or self.conversions or not self.recipes
        if is_made or not self.attribute.has_pixels or not self.dtype.isnative:
            return None
        frame = self.grid, self.dtype
        return few_frames(self.files, self.index, self.recipes, frame, self.cache)

    @cached_property
    def is_static(self) -> bool:
        """Whether one 2-D dataset stands for every frame."""
        return (
            not self.attribute.is_data
            and not self.is_single
            and not self.checks
            and all(part.is_static for part in self.index.parts)
            and len({part.stored.address for part in self.index.parts}) == 1
            and all(layer.is_static for layer in self.layers)
        )

    def with_layers(self) -> Iterator[Load]:
        """Yield this and the loads that it is made with."""
        yield self
        for layer in self.layers:
            yield from layer.with_layers()

    def all_parts(self) -> Iterator[Part]:
        """Yield the parts of all that values are made of, also of what limits are about."""
        for one in self.with_layers():
            yield from one.index.parts
            for check in one.checks:
                yield from check.index.parts

    def shape_of(self, count: int) -> tuple[int, ...]:
        """Return the shape of so many frames."""
        return self.frame_shape if self.is_single else (count, *self.frame_shape)

    def numbers(self, idxs: FrameSelection) -> NDArray[np.int64] | None:
        """Return the numbers of the frames that a user's index means; None where it is None: all.

        Raises
        ------
        LayoutError
            The attribute's frames are not those of `data`, whose numbers `idxs` are.
        FrameIndexError
            A frame is out of bounds, or `idxs` is nothing that indexes frames.
        """
        if idxs is None or self.is_single:
            return None
        if self.index.mismatch is not None:
            raise LayoutError(
                f"{self.attr!r} cannot be indexed by frame: {self.index.mismatch}; it loads whole, "
                "without idxs="
            )
        return frame_numbers(idxs, self.count, repr(self.attr))

    def read(
        self,
        numbers: NDArray[np.int64] | None = None,
        out: NDArray[Any] | None = None,
        *,
        num_threads: int | None = None,
        verbose: bool = False,
    ) -> Any:
        """Read frames into `out` or a new array.

        Parameters
        ----------
        numbers : ndarray of int64, optional
            Which, in the order wanted. All when None: they are not listed before they are read, for
            there may be very many.
        out : ndarray, optional
            Where they go.
        num_threads : int, optional
            How many threads work; every core when None.
        verbose : bool
            Whether a progress bar is shown.
        """
        shape = self.shape_of(self.count if numbers is None else len(numbers))
        if out is not None:
            self._check_out(out, shape)
        if self.is_text:
            return self._text(numbers, out)
        if self.is_static and out is None and shape[0]:
            once = self.read(np.zeros(1, np.int64), self.new((1, *shape[1:])))
            return np.broadcast_to(once, shape)
        result = self.new(shape) if out is None else out
        count = self.count if numbers is None else len(numbers)
        threads = count_threads(num_threads)
        if self.few is not None and self._read_few(count, numbers, result):
            return result
        output = Output(result, threads)
        is_shown = verbose and not self.is_single and len(self.grid) >= 2
        shown = progress_bar(count, f"Loading {self.attr}") if is_shown else nullcontext()
        with shown as bar, self._memory_told(shape):
            if numbers is None:
                numbers = np.arange(count)
            if bar is not None:
                output = replace(output, tick=bar.update)
            if self.conversions:
                self._convert(numbers, output)
            else:
                self._fill(numbers, output)
        return result[()] if out is None and not result.ndim else result

    @property
    def chunk_frames(self) -> int:
        """How many frames a chunk has; of the first part, which stands for all."""
        return max((part.chunk_frames for part in self.index.parts[:1]), default=1)

    @property
    def batch(self) -> int:
        """How many frames are best read together by who takes them one by one."""
        size = max(1, self.dtype.itemsize * math.prod(self.frame_shape))
        chunk = self.chunk_frames
        batch = max(1, _BATCH_BYTES // size)
        whole_chunks = -(-batch // chunk) * chunk
        return whole_chunks if whole_chunks * size <= _LARGEST_BATCH else batch

    def frame(self, number: int, out: NDArray[Any] | None = None) -> NDArray[Any] | None:
        """Return one frame, in an array of its own or in `out`, if it lies in few chunks.

        None: :meth:`read` is to read it, or to say what is wrong.
        """
        few, count = self.few, self.count
        if few is None or not -count <= number < count or self.frame_shape != self.grid:
            return None
        try:
            if out is None:
                return few.frame(number % count)
            fits = isinstance(out, np.ndarray) and (out.shape, out.dtype) == (self.grid, self.dtype)
            if fits and out.flags.writeable and few.read_one(number % count, out):
                return out
        except (FileChangedError, MemoryError):  # the engine says of what, or looks again
            return None
        return None

    def _read_few(
        self, count: int, numbers: NDArray[np.int64] | None, result: NDArray[Any]
    ) -> bool:
        """Read frames that lie in few chunks; return whether they do, and all went well."""
        assert self.few is not None
        if count > self.few.most:
            return False
        frames = _as_frames(result, (count, *self.grid))
        if not np.may_share_memory(frames, result):
            return False
        wanted = np.arange(count) if numbers is None else np.ascontiguousarray(numbers)
        try:
            return self.few.read(wanted, frames)
        except MemoryError:  # as in frame()
            return False

    def reading(self, numbers: NDArray[np.int64], dtype: np.dtype[Any] | None = None) -> Reading:
        """Return by which way frames are read as the result's type, or as another."""
        ways = routes(
            self.files,
            self.index,
            numbers,
            self.dtype if dtype is None else dtype,
            has_pixels=self.attribute.has_pixels,
        )
        return Reading(self.files, self.index, self.recipes, ways)

    def _convert(self, numbers: NDArray[np.int64], output: Output) -> None:
        """Read values as they are stored, as float64; change their unit, then their type."""
        result = output.array
        is_direct = result.dtype == np.float64
        values = result if is_direct else np.empty(result.shape, np.float64)
        self._fill(numbers, replace(output, array=values))
        parts = np.searchsorted(self.index.offsets, numbers, side="right") - 1
        casting = self.request.casting
        rows = values[None] if self.is_single else values
        try:
            apply_by_row(rows, self.conversions, parts, checked=casting == "checked")
            if not is_direct:
                result[...] = cast(values, result.dtype.newbyteorder("="), casting=casting)
        except CastError as error:
            place = self.index.parts[int(parts[0])].stored.place if len(parts) else "nowhere"
            more = " and others" if len(set(parts.tolist())) > 1 else ""
            raise CastError(f"{self.attr!r} of {place}{more}: {error}", error.offence) from error

    def _fill(self, numbers: NDArray[np.int64], output: Output) -> None:
        """Read frames as the recipes make them."""
        result = output.array
        frames = _as_frames(result, (len(numbers), *self.grid))
        output = replace(output, array=frames)
        if self.checks:
            own = self._own(numbers, output) if self.recipes else None
            limit_masks.run(self.files, self.checks, numbers, own, output)
        elif self.few is None or not read_many(self.files, self.few, numbers, output):
            engine.read_frames(self.reading(numbers, frames.dtype), numbers, output)
            self._add_layers(numbers, output)
        if not np.may_share_memory(frames, result):
            result[...] = frames.reshape(result.shape)

    @cached_property
    def _without_checks(self) -> Load:
        """What a mask's own datasets say; kept, for where their rows lie is known to it."""
        return replace(self, checks=())

    def _own(self, numbers: NDArray[np.int64], output: Output) -> NDArray[Any]:
        """Return what a mask's own datasets say: in the output, or of one frame for all, that."""
        plain = self._without_checks
        if not plain.is_static or not len(numbers):
            plain._fill(numbers, Output(output.array, output.num_threads))
            return output.array
        frame = np.empty((1, *self.grid), self.dtype.newbyteorder("="))
        plain._fill(np.zeros(1, np.int64), Output(frame, output.num_threads))
        return np.broadcast_to(frame, output.array.shape)

    def _add_layers(self, numbers: NDArray[np.int64], output: Output) -> None:
        """Leave pixels good that are so by all layers, too; of raw flags, set what any sets."""
        frames = output.array
        combine: Any = np.bitwise_or if self.request.raw else np.logical_and
        for layer in self.layers:
            size = max(1, _BATCH_BYTES // max(1, math.prod(layer.grid)))
            count = len(numbers) or 1
            for first in range(0, len(numbers), count if layer.is_static else size):
                some = slice(first, None if layer.is_static else first + size)
                wanted = np.zeros(1, np.int64) if layer.is_static else numbers[some]
                flags = layer.read(wanted, num_threads=output.num_threads)
                combine(frames[some], flags, out=frames[some], casting="unsafe")

    def _text(self, numbers: NDArray[np.int64] | None, out: NDArray[Any] | None) -> Any:
        """Read strings, whole datasets at a time: they are few."""
        pieces = [blockwise.read_text(self.files, part.stored) for part in self.index.parts]
        if self.is_single:
            return pieces[0] if np.ndim(pieces[0]) or isinstance(pieces[0], str) else pieces[0][()]
        result = np.concatenate([np.atleast_1d(piece) for piece in pieces])
        if numbers is not None:
            result = result[numbers]
        if out is None:
            return result
        out[...] = result
        return out

    def new(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return an array for what is read; MemoryError says of what there is too little."""
        with self._memory_told(shape):
            try:
                return empty(shape, self.dtype)
            except ValueError as cause:  # more than there are addresses for
                raise MemoryError from cause

    @contextmanager
    def _memory_told(self, shape: tuple[int, ...]) -> Iterator[None]:
        """Say of what there was too much, where the block gets no memory."""
        try:
            yield
        except MemoryError as cause:
            size = self.dtype.itemsize * math.prod(shape)
            more = f", beside {cause}" if cause.args else ""
            raise MemoryError(
                f"{self.index.parts[0].stored.place}: {self.attr!r} of shape {shape} as "
                f"{self.dtype} takes {size} bytes{more}, which this machine does not give; load "
                "fewer frames, a region (transform=), or a smaller dtype="
            ) from cause

    def _check_out(self, out: NDArray[Any], shape: tuple[int, ...]) -> None:
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out must be a NumPy array, not {type(out).__name__}")
        if out.shape != shape:
            raise ValueError(f"out has shape {out.shape}; {self.attr!r} needs {shape}")
        if out.dtype != self.dtype:
            raise ValueError(f"out has dtype {out.dtype}; {self.attr!r} comes as {self.dtype}")
        if not out.flags.writeable:
            raise ValueError("out is read-only")


def _as_frames(result: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return `result` in another shape, or where that takes a copy, an array to be copied to it."""
    if result.dtype.isnative:
        frames = result.view()
        try:
            frames.shape = shape
        except AttributeError:  # its strides do not allow it
            pass
        else:
            return frames
    return np.empty(shape, result.dtype.newbyteorder("="))
