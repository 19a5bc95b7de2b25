"""Doing what limits say: a mask's good pixels are those whose values in another stack fulfil them.

A mask's load has a check for each stack that its limits are about. The stack's frames are read in
batches, as they are stored; what fulfils the limits comes to the mask's place and shape by the same
steps as the mask, and both must be good.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import kernels
from .catalogue import Catalogue
from .errors import LayoutError
from .hdf5.locate import Found
from .limits import LARGEST, Limit, fulfilled
from .read import engine, recipe
from .read.index import FrameIndex
from .read.recipe import Casting, Recipe
from .read.route import routes
from .read.survey import PartSurvey, survey
from .view import Bin, Step

__all__ = ["Check", "ReadScalars", "conditions", "look", "prepare", "run"]

BATCH_BYTES = 64 << 20  # most of what is read at a time; a single frame may be larger

ReadScalars = Callable[[str, Sequence[Found]], Sequence[Any]]


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
        How each part is read: as it is stored, in the mask's view.
    rest : tuple of Step
        What is then done to what fulfils the limits.
    """

    attr: str
    limits: tuple[Limit, ...]
    index: FrameIndex
    recipes: tuple[Recipe, ...]
    rest: tuple[Step, ...]


def prepare(
    catalogue: Catalogue,
    mask: str,
    limits: Sequence[Limit],
    index: FrameIndex,
    steps: tuple[Step, ...],
    casting: Casting,
) -> tuple[Check, ...]:
    """Decide how limits are checked for the frames of `index`, which are the mask's.

    Raises
    ------
    LayoutError
        The frames of a stack and those of the mask are not as many, or not of one shape.
    """
    first = next((n for n, step in enumerate(steps) if isinstance(step, Bin)), len(steps))
    checks = []
    for attr in dict.fromkeys(limit.attr for limit in limits):
        found = catalogue.usable(attr)
        own = catalogue.index(attr)
        names = f"{mask!r} and {attr!r}, which its limits are about,"
        for one in (index, own):
            if one.mismatch is not None:
                raise LayoutError(f"{names} do not go together: {one.mismatch}")
        if own.total != index.total:
            raise LayoutError(f"{names} have {index.total} and {own.total} frames")
        if own.frame_shape != index.frame_shape:
            raise LayoutError(
                f"{names} have frames of shapes {index.frame_shape} and {own.frame_shape}, in "
                f"{index.parts[0].stored.place} and {own.parts[0].stored.place}"
            )
        assert found
        checks.append(
            Check(
                attr=attr,
                limits=tuple(limit for limit in limits if limit.attr == attr),
                index=own,
                recipes=tuple(
                    recipe.as_stored(
                        catalogue.protocol, attr, part.stored, steps[:first], casting=casting
                    )
                    for part in own.parts
                ),
                rest=steps[first:],
            )
        )
    return tuple(checks)


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
    ways = routes(catalogue.files, check.index, numbers, "stack", check.recipes[0].dtype)
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
    with ThreadPoolExecutor(num_threads) as pool:
        for check in checks:
            combine = _combiner(check.rest, told, out)
            for batch in _batches(catalogue, check, numbers, read, num_threads):
                # Whatever a frame raises comes out here.
                for _ in pool.map(combine, *batch):
                    pass
                if check is checks[-1]:
                    tick(len(batch.places))
            told = out


_Rules = Sequence[tuple[Limit, float]]


class _Batch(NamedTuple):
    """Frames that were read: of each its place, its rules, its values, and room for their truth.

    Frames that have nothing to fulfil have no values.
    """

    places: list[int]
    rules: list[_Rules]
    values: Iterable[NDArray[Any] | None]
    room: Iterable[NDArray[np.bool] | None]


def _batches(
    catalogue: Catalogue,
    check: Check,
    numbers: NDArray[np.int64],
    read: ReadScalars,
    num_threads: int,
) -> Iterator[_Batch]:
    """Read the stack's frames a batch at a time, in its order; frames of one type together."""
    index, offsets = check.index, check.index.offsets
    order = np.argsort(numbers, kind="stable")
    part_of = np.searchsorted(offsets, numbers[order], side="right") - 1
    parts = np.flatnonzero(np.bincount(part_of)).tolist()  # see read/blockwise.py: no np.unique
    rules = {k: count for k, (count, _) in conditions(catalogue, check, parts, read).items()}
    for (dtype, is_read), alike in itertools.groupby(
        parts, key=lambda k: (check.recipes[k].dtype, bool(rules[k]))
    ):
        some = list(alike)
        start, stop = np.searchsorted(part_of, (some[0], some[-1] + 1)).tolist()
        if not is_read:
            nothing = [None] * (stop - start)
            yield _Batch(order[start:stop].tolist(), [()] * (stop - start), nothing, nothing)
            continue
        there = slice(some[0], some[-1] + 1)
        ways = routes(
            catalogue.files,
            FrameIndex.of(index.parts[there]),
            numbers[order[start:stop]] - offsets[some[0]],
            "stack",
            dtype,
        )
        shape = index.frame_shape
        if check.recipes[0].steps:
            shape = (*shape[:-2], *check.recipes[0].steps[-1].shape)
        size = max(1, min(stop - start, BATCH_BYTES // max(1, math.prod(shape) * dtype.itemsize)))
        buffer, room = np.empty((size, *shape), dtype), np.empty((size, *shape), np.bool_)
        for first in range(start, stop, size):
            last = min(first + size, stop)
            among = slice(part_of[first], part_of[last - 1] + 1)
            engine.read_frames(
                catalogue.files,
                FrameIndex.of(index.parts[among]),
                check.recipes[among],
                ways[among.start - some[0] : among.stop - some[0]],
                numbers[order[first:last]] - offsets[among.start],
                buffer[: last - first],
                num_threads,
                lambda count: None,
            )
            yield _Batch(
                order[first:last].tolist(),
                [rules[k] for k in part_of[first:last].tolist()],
                buffer[: last - first],
                room[: last - first],
            )


def _combiner(
    rest: Sequence[Step], told: NDArray[Any] | None, out: NDArray[Any]
) -> Callable[[int, _Rules, NDArray[Any] | None, NDArray[np.bool] | None], None]:
    """Return what is done with each frame of a batch."""

    def combine(
        place: int, rules: _Rules, values: NDArray[Any] | None, room: NDArray[np.bool] | None
    ) -> None:
        if values is None:
            out[place] = np.True_ if told is None else told[place]
            return
        before = told
        for limit, bound in rules:
            good = fulfilled(values, limit.comparison, bound, room)
            for step in rest:
                # A square is good where all its pixels are: by each limit, and by the mask.
                if isinstance(step, Bin):
                    good = kernels.bin(good[None], step.n, step.mode, num_threads=1)[0]
                else:
                    good = step.apply(good)
            if before is None:
                out[place] = good
            elif out.dtype == before.dtype == np.bool_:
                np.logical_and(before[place], good, out=out[place])
            else:
                out[place] = np.logical_and(before[place], good)
            before = out

    return combine
