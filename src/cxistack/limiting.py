"""Doing what limits say: a mask's good pixels are those whose values in another stack fulfil them.

A mask's load has a check for each stack that its limits are about. The stack's frames are read in
batches, as they are stored; what fulfils the limits comes to the mask's place and shape by the same
steps as the mask, and both must be good.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import kernels
from .catalogue import Catalogue
from .errors import LayoutError
from .hdf5.locate import Found
from .limits import LARGEST, Limit, fulfilled
from .read import engine, recipe
from .read.index import FrameIndex, Part
from .read.recipe import Casting, Recipe
from .read.route import routes
from .read.survey import PartSurvey, survey
from .view import Bin, Step

__all__ = ["Check", "ReadScalar", "conditions", "look", "prepare", "run"]

BATCH_BYTES = 64 << 20  # most of what is read at a time; a single frame may be larger

ReadScalar = Callable[[str, Found], Any]


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
    catalogue: Catalogue, check: Check, part: Part, read: ReadScalar
) -> tuple[list[tuple[Limit, float]], list[str]]:
    """Return the limits that count for a part, with their bounds, and why others do not."""
    count, idle = [], []
    for limit in check.limits:
        dtype = part.stored.dtype
        if isinstance(limit.bound, float):
            bound: float = limit.bound
        elif limit.bound != LARGEST:
            bound = _scalar(catalogue, limit, part.file, read)
        elif dtype.kind in "iu":
            bound = int(np.iinfo(dtype).max)
        else:
            idle.append(f"{limit} does not count: {dtype} is no integer type")
            continue
        if math.isnan(bound):
            idle.append(f"{limit} does not count: it is NaN")
        else:
            count.append((limit, bound))
    return count, idle


def _scalar(catalogue: Catalogue, limit: Limit, file: int, read: ReadScalar) -> float:
    """Return the number in a file, or in the first that has one."""
    name = str(limit.bound)
    found = catalogue.usable(name)
    one = found.get(file) or found[min(found)]
    value = np.asarray(read(name, one))
    if value.size != 1:
        raise LayoutError(
            f"{one.datasets[0].place} has shape {value.shape}, and the limit {str(limit)!r} needs "
            "one number"
        )
    number = value.reshape(-1)[0].item()
    assert isinstance(number, int | float)
    return number


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
    read: ReadScalar,
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
        Reads a scalar of the protocol from where it was found.
    tick : callable
        Told how many frames are done.

    Raises
    ------
    StorageError, FileChangedError
        As where the stack itself is loaded.
    """
    with ThreadPoolExecutor(num_threads) as pool:
        for check in checks:
            is_last = check is checks[-1]
            for k, places in _places(check.index, numbers):
                part, how = check.index.parts[k], check.recipes[k]
                limits, _ = conditions(catalogue, check, part, read)
                combine = _combiner(limits, check.rest, told, out)
                rows = numbers[places] - check.index.offsets[k]
                for first, frames in _batches(
                    catalogue, part, how, rows, bool(limits), num_threads
                ):
                    batch = places[first : first + len(frames)].tolist()
                    # Whatever a frame raises comes out here.
                    for _ in pool.map(combine, frames, batch):
                        pass
                    if is_last:
                        tick(len(batch))
            told = out


def _places(
    index: FrameIndex, numbers: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Return the parts that have some of the frames, and these frames' places in the result."""
    order = np.argsort(numbers, kind="stable")
    edges = np.searchsorted(numbers[order], index.offsets)
    for k in np.flatnonzero(np.diff(edges)).tolist():
        yield k, order[edges[k] : edges[k + 1]]


def _batches(
    catalogue: Catalogue,
    part: Part,
    how: Recipe,
    rows: NDArray[np.int64],
    is_read: bool,
    num_threads: int,
) -> Iterator[tuple[int, Sequence[None] | NDArray[Any]]]:
    """Read frames of a part a batch at a time; without values, where nothing is to be fulfilled."""
    if not is_read:
        yield 0, [None] * len(rows)
        return
    index = FrameIndex.of([part])
    shape = part.frame_shape
    if how.steps:
        shape = (*shape[:-2], *how.steps[-1].shape)
    ways = routes(catalogue.files, index, rows, "stack", how.dtype)
    size = max(1, min(len(rows), BATCH_BYTES // max(1, math.prod(shape) * how.dtype.itemsize)))
    buffer = np.empty((size, *shape), how.dtype)
    for first in range(0, len(rows), size):
        some = rows[first : first + size]
        frames = buffer[: len(some)]
        engine.read_frames(
            catalogue.files, index, [how], ways, some, frames, num_threads, lambda count: None
        )
        yield first, frames


def _combiner(
    limits: Sequence[tuple[Limit, float]],
    rest: Sequence[Step],
    told: NDArray[Any] | None,
    out: NDArray[Any],
) -> Callable[[NDArray[Any] | None, int], None]:
    """Return what one frame's values, and its place in `out`, are done with."""

    def combine(values: NDArray[Any] | None, place: int) -> None:
        good: Any = np.True_
        if values is not None:
            parts = [fulfilled(values, limit.comparison, bound) for limit, bound in limits]
            good = parts[0]
            for other in parts[1:]:
                np.logical_and(good, other, out=good)
            for step in rest:
                # A square is good where all its pixels are: of the mask and of the limits apart.
                if isinstance(step, Bin):
                    good = kernels.bin(good[None], step.n, step.mode, num_threads=1)[0]
                else:
                    good = step.apply(good)
        if told is None:
            out[place] = good
        elif out.dtype == np.bool_ and told.dtype == np.bool_:
            np.logical_and(told[place], good, out=out[place])
        else:
            out[place] = np.logical_and(told[place], good)

    return combine
