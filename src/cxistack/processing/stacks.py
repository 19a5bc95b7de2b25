"""Stacks of frames that need not be in memory, and the order in which their frames are taken.

All of this room takes a stack as it comes: an array, or an object that is indexed like one and
reads or computes the frames that it is asked for. Every result is defined by blocks of frames and
bands of rows whose bounds follow from shapes alone, so that it does not matter where frames lie.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import FrameIndexError

__all__ = [
    "ComputedStack",
    "Rule",
    "Stack",
    "bands",
    "block_length",
    "blocks",
    "frames_of",
    "is_computed",
    "made",
    "picked",
    "stack_of",
]

BLOCK_BYTES = 16 << 20  # of frames that are taken at a time
BAND_BYTES = 256 << 20  # of the rows of all frames that are taken at a time

Numbers = NDArray[np.intp]
Rule = Callable[[Numbers, slice], NDArray[Any]]


class Stack(Protocol):
    """Frames by their numbers: a NumPy array of three axes or more, or what is indexed like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(frames, ..., ss, fs)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""

    def __getitem__(self, key: Any) -> Any:
        """Return frames, or pixels of them, as NumPy indexes."""

    def __len__(self) -> int:
        """Return how many frames there are."""


class ComputedStack:
    """A stack whose frames are computed when they are asked for, and not kept.

    Parameters
    ----------
    shape : tuple of int
        (frames, ..., ss, fs).
    dtype : dtype
        Type of the pixels.
    rule : callable
        Takes the numbers of frames and a slice of rows, both within bounds, and returns those rows
        of those frames.
    block : int, optional
        How many frames are made at a time; 16 MiB of them when None.

    Notes
    -----
    It is indexed as a NumPy array: by frames first. Of a slice of rows (the axis before the last)
    only these rows are computed. Iteration gives frame after frame, and computes them in blocks.

    Examples
    --------
    >>> from cxistack.processing.stacks import ComputedStack
    >>> def number(frames, rows):
    ...     return frames[:, None, None] * np.ones((4, 6))[rows]
    >>> stack = ComputedStack((1000, 4, 6), np.float64, number)
    >>> stack
    <float64 (1000, 4, 6), computed when it is indexed>
    >>> stack[[7, 999], 1:3].shape, stack[-1, 0, 0]
    ((2, 2, 6), np.float64(999.0))
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: DTypeLike, rule: Rule, block: int | None = None
    ) -> None:
        self.shape = tuple(map(int, shape))
        self.dtype = np.dtype(dtype)
        self._rule = rule
        self.block = block or block_length(self)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that all of it would take."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<{self.dtype} {self.shape}, computed when it is indexed>"

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for some in blocks(len(self), self.block):
            yield from self[some]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a stack that is computed cannot become an array without a copy")
        out = np.empty(self.shape, self.dtype if dtype is None else dtype)
        for some in blocks(len(self), self.block):
            out[some] = self[some]
        return out

    def __getitem__(self, key: Any) -> Any:
        keys = self._keys(key)
        first: Any
        numbers = np.arange(len(self))[keys[0]]  # NumPy's rules and NumPy's errors
        if isinstance(keys[0], slice):
            frames, first = numbers, slice(None)
        else:  # an array may go with others in the index: they are left to NumPy
            frames, places = np.unique(numbers, return_inverse=True)
            first = places.reshape(numbers.shape)[()]
        rows, left = slice(0, self.shape[-2]), keys[-2]
        if isinstance(left, slice) and left.step in (None, 1):
            start, stop, _ = left.indices(self.shape[-2])
            if start < stop:
                rows, left = slice(start, stop), slice(None)
        part = np.asarray(self._rule(frames, rows), self.dtype)
        return part[(first, *keys[1:-2], left, keys[-1])]

    def _keys(self, key: Any) -> tuple[Any, ...]:
        """Return an index for each axis."""
        keys = key if isinstance(key, tuple) else (key,)
        if any(one is None or np.ndim(one) > 1 or isinstance(one, bool) for one in keys):
            raise FrameIndexError(
                "a stack that is computed is indexed by numbers, slices and lists of them, an axis "
                "each: take its frames first"
            )
        dots = [n for n, one in enumerate(keys) if one is Ellipsis]
        missing = self.ndim - (len(keys) - len(dots))
        if len(dots) > 1 or missing < 0:
            raise FrameIndexError(f"{key!r} has too many indices for an array of {self.ndim} axes")
        at = dots[0] if dots else len(keys)
        return (*keys[:at], *[slice(None)] * missing, *keys[at + len(dots) :])


def is_computed(value: Any) -> bool:
    """Tell whether a value is a stack that is computed when it is indexed: ours, or Dask's."""
    return isinstance(value, ComputedStack) or hasattr(value, "__dask_graph__")


def stack_of(value: Any) -> Any:
    """Return an array, or a computed stack, of what a user has; Dask's arrays become the latter."""
    if isinstance(value, ComputedStack):
        return value
    if is_computed(value) and value.ndim > 2:
        return ComputedStack(value.shape, value.dtype, partial(_by_dask, value))
    return np.asarray(value)


def _by_dask(array: Any, numbers: Numbers, rows: slice) -> NDArray[Any]:
    return np.asarray(frames_of(array, numbers, rows))


def picked(stack: ComputedStack, numbers: NDArray[Any]) -> ComputedStack:
    """Return some frames of a computed stack, computed when they are indexed."""
    rule = partial(_picked, stack, numbers)
    return ComputedStack((len(numbers), *stack.shape[1:]), stack.dtype, rule, stack.block)


def _picked(
    stack: ComputedStack, chosen: NDArray[Any], numbers: Numbers, rows: slice
) -> NDArray[Any]:
    return frames_of(stack, chosen[numbers], rows)


def made(stack: ComputedStack, *sources: Any) -> Any:
    """Return a stack in memory where all that it is computed from is; otherwise as it is."""
    if any(isinstance(one, ComputedStack) for one in sources):
        return stack
    return np.asarray(stack)


def block_length(stack: Stack) -> int:
    """Return how many frames a block has: as many as fit 16 MiB as 64-bit numbers, at least one."""
    return max(1, BLOCK_BYTES // max(1, 8 * math.prod(stack.shape[1:])))


def blocks(count: int, length: int) -> Iterator[slice]:
    """Cut `count` frames into blocks, the first frames first."""
    for first in range(0, count, length):
        yield slice(first, min(first + length, count))


def bands(shape: tuple[int, ...], itemsize: int) -> Iterator[slice]:
    """Cut the rows of a stack into bands; a band of all frames fits 256 MiB, or is one row."""
    row = shape[0] * math.prod(shape[1:-2]) * shape[-1] * itemsize
    return blocks(shape[-2], max(1, BAND_BYTES // max(1, row)))


def frames_of(stack: Stack, numbers: NDArray[Any], rows: slice = slice(None)) -> NDArray[Any]:
    """Return frames by their numbers, of each the same rows; a view where they lie in one piece."""
    key: Any = numbers
    if len(numbers) and (np.diff(numbers) == 1).all():
        key = slice(int(numbers[0]), int(numbers[-1]) + 1)
    return np.asarray(stack[key, ..., rows, :])
