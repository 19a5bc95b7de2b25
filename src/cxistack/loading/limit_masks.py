"""Doing what limits say: a mask's good pixels are those whose values in another stack fulfil them.

A mask's load has a check for each stack that its limits are about. The stack's pixels are compared
as they are stored, when they leave the chunk that they lie in; what fulfils the limits comes to the
mask's place and shape by the same steps as the mask, and both must be good.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from ..catalogue.catalogue import Catalogue
from ..catalogue.locate import Found
from ..errors import LayoutError
from ..protocol.limits import LARGEST, Limit
from . import engine
from .load import Check
from .ranges import ranges
from .route import routes
from .survey import PartSurvey, survey

__all__ = ["ReadScalars", "conditions", "look", "run"]


BATCH_BYTES = 16 << 20  # of truth at a time where the result is of another type

ReadScalars = Callable[[str, Sequence[Found]], Sequence[Any]]


def conditions(
    catalogue: Catalogue, check: Check, parts: Sequence[int], read: ReadScalars
) -> dict[int, tuple[list[tuple[Limit, float]], list[str]]]:
    """Return, for each part, the limits that count with their bounds, and why others do not."""
    named = {
        limit: _scalars(catalogue, limit, [check.index.parts[k].file for k in parts], read)
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


def _scalars(
    catalogue: Catalogue, limit: Limit, files: Sequence[int], read: ReadScalars
) -> dict[int, float]:
    """Return for each file the number that it has, or that the first has that has one."""
    name = str(limit.bound)
    found = catalogue.usable(name)
    of_file = {file: found.get(file) or found[min(found)] for file in files}
    sources = {one.file: one for one in of_file.values()}
    values = {}
    for one, value in zip(sources.values(), read(name, list(sources.values())), strict=True):
        array = np.asarray(value)
        if array.size != 1:
            raise LayoutError(
                f"{one.datasets[0].place} has shape {array.shape}, and the limit {str(limit)!r} "
                "needs one number"
            )
        values[one.file] = array.reshape(-1)[0].item()
    return {file: values[one.file] for file, one in of_file.items()}


def look(catalogue: Catalogue, check: Check, numbers: NDArray[np.int64]) -> list[PartSurvey]:
    """Tell what will be read of each part of the stack; reads no pixel."""
    ways = routes(catalogue.files, check.index, numbers, "stack", np.dtype(np.bool_))
    return survey(check.index, check.recipes, ways, numbers)


def run(
    catalogue: Catalogue,
    checks: Sequence[Check],
    numbers: NDArray[np.int64],
    told: NDArray[Any] | None,
    out: NDArray[Any],
    read: ReadScalars,
    num_threads: int,
    tick: Callable[[int], object],
) -> None:
    """Write to `out` where pixels of frames `numbers` are good.

    Parameters
    ----------
    checks : sequence of Check
        What they must fulfil.
    told : ndarray, optional
        What the mask's own dataset says, of the shape of `out` (it may be `out`); True when None.
    read : callable
        Reads a scalar of the protocol from each place where it was found.
    tick : callable
        Told how many frames are done.

    Raises
    ------
    StorageError, FileChangedError
        As where the stack itself is loaded.
    """
    for check in checks:
        count = tick if check is checks[-1] else lambda frames: None
        if out.dtype == np.bool_:
            if told is not None and told is not out:
                kernels.cast(told, out=out, num_threads=num_threads)
            frames = _Frames(catalogue, check, numbers, read, is_narrowing=told is not None)
            frames.mark(np.arange(len(numbers)), out, num_threads, count)
        else:
            frames = _Frames(catalogue, check, numbers, read, is_narrowing=False)
            order = np.argsort(numbers, kind="stable")
            size = max(1, BATCH_BYTES // max(1, math.prod(out.shape[1:])))
            for first in range(0, len(numbers), size):
                some = order[first : first + size]
                good = np.empty((len(some), *out.shape[1:]), np.bool_)
                frames.mark(some, good, num_threads, count)
                out[some] = good if told is None else np.logical_and(told[some], good)
        told = out


class _Frames:
    """The frames of a stack, and what is asked of the pixels of each."""

    def __init__(
        self,
        catalogue: Catalogue,
        check: Check,
        numbers: NDArray[np.int64],
        read: ReadScalars,
        *,
        is_narrowing: bool,
    ) -> None:
        index = check.index
        part_of = np.searchsorted(index.offsets, numbers, side="right") - 1
        parts = np.flatnonzero(np.bincount(part_of)).tolist()  # see read/blockwise.py: no np.unique
        recipes = [replace(one, is_narrowing=is_narrowing) for one in check.recipes]
        is_limited = np.zeros(len(recipes), np.bool_)
        for k, (rules, _) in conditions(catalogue, check, parts, read).items():
            dtype = index.parts[k].stored.dtype
            if dtype.str[1:] == "f2":  # which HDF5 widens
                dtype = np.dtype(np.float32)
            found = ranges(dtype, [(limit.comparison, bound) for limit, bound in rules])
            recipes[k] = replace(recipes[k], ranges=found)
            is_limited[k] = bool(rules)
        self._files, self._index, self._recipes = catalogue.files, index, recipes
        self._numbers = numbers
        self._is_limited = is_limited[part_of]
        self._is_narrowing = is_narrowing
        self._routes = routes(
            catalogue.files, index, numbers[self._is_limited], "stack", np.dtype(np.bool_)
        )

    def mark(
        self,
        which: NDArray[np.intp],
        out: NDArray[np.bool],
        num_threads: int,
        tick: Callable[[int], object],
    ) -> None:
        """Write where pixels of some of the frames are good, one after the other."""
        is_limited = self._is_limited[which]
        free = np.flatnonzero(~is_limited)
        if not self._is_narrowing:
            out[free] = True
        tick(len(free))
        engine.read_frames(
            self._files,
            self._index,
            self._recipes,
            self._routes,
            self._numbers[which[is_limited]],
            out,
            num_threads,
            tick,
            np.flatnonzero(is_limited),
        )
