"""Doing what limits say: a mask's good pixels are those whose values in another stack fulfil them.

A mask's load has a check for each stack that its limits are about. The stack's pixels are compared
as they are stored, when they leave the chunk that they lie in; what fulfils the limits comes to the
mask's place and shape by the same steps as the mask, and both must be good.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from ..catalogue.index import FrameIndex
from ..errors import LayoutError
from ..hdf5.files import Files
from ..hdf5.links import Place
from ..protocol.limits import LARGEST, Limit
from . import engine
from .ranges import ranges
from .reading import Output, Reading
from .recipe import Recipe
from .route import routes
from .survey import PartSurvey, survey

__all__ = ["Check", "Scalars", "conditions", "look", "run"]

BATCH_BYTES = 16 << 20  # of truth at a time where the result is of another type


class Scalars(Protocol):
    """The numbers that a limit's bound is in each file, read when they are asked for."""

    def of(self, files: Sequence[int]) -> Sequence[tuple[Place, Any]]:
        """Return what each file has, or the first where it has none, and where that lies."""


@dataclass(frozen=True)
class Check:
    """The limits on the values of one stack.

    Attributes
    ----------
    attr : str
        The stack.
    limits : tuple of Limit
        What its pixels must fulfil.
    index : FrameIndex
        Where its frames lie, numbered as the mask's.
    recipes : tuple of Recipe
        How each part becomes a mask, but for the numbers that its pixels are compared with.
    scalars : mapping of str to Scalars
        The numbers that limits compare with, by the names of their attributes.
    """

    attr: str
    limits: tuple[Limit, ...]
    index: FrameIndex
    recipes: tuple[Recipe, ...]
    scalars: Mapping[str, Scalars]


def conditions(
    check: Check, parts: Sequence[int]
) -> dict[int, tuple[list[tuple[Limit, float]], list[str]]]:
    """Return, for each part, the limits that count with their bounds, and why others do not."""
    files = [check.index.parts[k].file for k in parts]
    named = {
        limit: _numbers(limit, files, check.scalars[limit.bound])
        for limit in check.limits
        if isinstance(limit.bound, str) and limit.bound != LARGEST
    }
    rules = {}
    for k in parts:
        part = check.index.parts[k]
        dtype = part.stored.dtype
        count, idle = [], []
        for limit in check.limits:
            if isinstance(limit.bound, float):
                bound: float = limit.bound
            elif limit in named:
                bound = named[limit][part.file]
            elif dtype.kind in "iu":
                bound = int(np.iinfo(dtype).max)
            else:
                idle.append(f"{limit} does not count: {dtype} is no integer type")
                continue
            if math.isnan(bound):
                idle.append(f"{limit} does not count: it is NaN")
            else:
                count.append((limit, bound))
        rules[k] = count, idle
    return rules


def _numbers(limit: Limit, files: Sequence[int], scalars: Scalars) -> dict[int, float]:
    """Return the number that each file has."""
    values = {}
    for file, (place, value) in zip(files, scalars.of(files), strict=True):
        array = np.asarray(value)
        if array.size != 1:
            raise LayoutError(
                f"{place} has shape {array.shape}, and the limit {str(limit)!r} needs one number"
            )
        values[file] = array.reshape(-1)[0].item()
    return values


def look(files: Files, check: Check, numbers: NDArray[np.int64]) -> list[PartSurvey]:
    """Tell what will be read of each part of the stack; reads no pixel."""
    ways = routes(files, check.index, numbers, np.dtype(np.bool_))
    return survey(Reading(files, check.index, check.recipes, ways), numbers)


def run(
    files: Files,
    checks: Sequence[Check],
    numbers: NDArray[np.int64],
    own: NDArray[Any] | None,
    output: Output,
) -> None:
    """Write to the output where pixels of frames `numbers` are good.

    Parameters
    ----------
    files : Files
        Lends the files.
    checks : sequence of Check
        What they must fulfil.
    numbers : ndarray of int64
        The frames.
    own : ndarray, optional
        What the mask's own dataset says, of the output's shape (it may be the output); good
        everywhere when None.
    output : Output
        Where it goes.

    Raises
    ------
    StorageError, FileChangedError
        As where the stack itself is loaded.
    """
    out = output.array
    good = own
    for check in checks:
        is_last = check is checks[-1]
        step = output if is_last else replace(output, tick=lambda frames: None)
        if out.dtype == np.bool_:
            if good is not None and good is not out:
                kernels.cast(good, out=out, num_threads=output.num_threads)
            frames = _Frames(files, check, numbers, is_narrowing=good is not None)
            frames.mark(np.arange(len(numbers)), step)
        else:
            _in_batches(_Frames(files, check, numbers, is_narrowing=False), numbers, good, step)
        good = out


def _in_batches(
    frames: _Frames, numbers: NDArray[np.int64], good: NDArray[Any] | None, output: Output
) -> None:
    """Mark frames as booleans, a batch at a time, and write them as the output's type."""
    out = output.array
    order = np.argsort(numbers, kind="stable")
    size = max(1, BATCH_BYTES // max(1, math.prod(out.shape[1:])))
    for first in range(0, len(numbers), size):
        some = order[first : first + size]
        marked = np.empty((len(some), *out.shape[1:]), np.bool_)
        frames.mark(some, replace(output, array=marked))
        out[some] = marked if good is None else np.logical_and(good[some], marked)


class _Frames:
    """The frames of a stack, and what is asked of the pixels of each."""

    def __init__(
        self, files: Files, check: Check, numbers: NDArray[np.int64], *, is_narrowing: bool
    ) -> None:
        index = check.index
        part_of = np.searchsorted(index.offsets, numbers, side="right") - 1
        parts = np.flatnonzero(np.bincount(part_of)).tolist()  # see blockwise.py: no np.unique
        recipes = [replace(one, is_narrowing=is_narrowing) for one in check.recipes]
        is_limited = np.zeros(len(recipes), np.bool_)
        for k, (rules, _) in conditions(check, parts).items():
            dtype = index.parts[k].stored.dtype
            if dtype.str[1:] == "f2":  # which HDF5 widens
                dtype = np.dtype(np.float32)
            found = ranges(dtype, [(limit.comparison, bound) for limit, bound in rules])
            recipes[k] = replace(recipes[k], ranges=found)
            is_limited[k] = bool(rules)
        self._numbers = numbers
        self._is_limited = is_limited[part_of]
        self._is_narrowing = is_narrowing
        ways = routes(files, index, numbers[self._is_limited], np.dtype(np.bool_))
        self._reading = Reading(files, index, recipes, ways)

    def mark(self, which: NDArray[np.intp], output: Output) -> None:
        """Write where pixels of some of the frames are good, one after the other."""
        is_limited = self._is_limited[which]
        free = np.flatnonzero(~is_limited)
        if not self._is_narrowing:
            output.array[free] = True
        output.tick(len(free))
        numbers = self._numbers[which[is_limited]]
        engine.read_frames(self._reading, numbers, output, np.flatnonzero(is_limited))
