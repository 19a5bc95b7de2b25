"""Reduces a stack, frame after frame or by bands of rows, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import Moments
from ..progress import Progress
from .batch import Batch
from .reductions import (
    MOMENTS,
    RANKS,
    Histogram,
    Percentiles,
    Statistics,
    check_fill,
    good_of,
    parsed,
)

__all__ = [
    "BandResults",
    "Banded",
    "Limits",
    "Plan",
    "Source",
    "bands_of",
    "reduce",
    "spare_memory",
    "states_of",
]

_LEAST = 256 << 20  # bytes that are taken where the system does not say how many it has to spare


@dataclass(frozen=True)
class Banded:
    """A stack that can be read by bands of its rows.

    Attributes
    ----------
    rows : int
        Rows of a frame; 0 where it has none.
    row_bytes : int
        Bytes that a row of all frames takes, mask and all.
    read : callable
        Takes the first row and one past the last, or None: all; returns these of all frames.
    """

    rows: int
    row_bytes: int
    read: Callable[[int, int | None], NDArray[Any]]


@dataclass(frozen=True)
class Source:
    """A stack that is reduced.

    Attributes
    ----------
    shape : tuple of int
        Shape of a frame.
    dtype : numpy.dtype
        Type of its pixels.
    total : int
        How many frames there are.
    stream : callable
        Returns batches of all frames, masked where pixels are bad.
    bands : Banded
        The same by rows.
    progress : callable
        Returns what shows how many frames are done, or None, for a ``with`` block.
    add : callable
        Adds all frames to sums without making them, and tells of how many are done; returns whether
        that was possible. If not, the sums are of no more use.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    total: int
    stream: Callable[[], Iterable[Batch]]
    bands: Banded
    progress: Callable[[], AbstractContextManager[Progress | None]] = nullcontext
    add: Callable[[Sequence[Moments], Callable[[int], object]], bool] = lambda moments, tick: False


@dataclass(frozen=True)
class Limits:
    """How a stack is reduced.

    Attributes
    ----------
    fill : number or None
        What pixels become that have no good value; it raises when None.
    memory : int or None
        Bytes of frames that medians and percentiles may hold.
    num_threads : int or None
        How many threads work.
    """

    fill: Any = None
    memory: int | None = None
    num_threads: int | None = None


@dataclass(frozen=True)
class Plan:
    """What a user asks for, and by which passes it is found.

    Attributes
    ----------
    how : str, tuple, object, or list of them
        What he asks for.
    wanted : list
        The same, as :func:`parsed` gives it.
    statistics : Statistics
        All sums, means and so on.
    others : dict of Reduction by their places in `wanted`
        Histograms and a user's own reductions.
    percentiles : Percentiles or None
        All medians and percentiles. They are made of bands of rows, and statistics then, too: each
        band is read once.
    """

    how: Any
    wanted: Sequence[tuple[Any, str, Any]]
    statistics: Statistics
    others: dict[int, Any]
    percentiles: Percentiles | None

    @classmethod
    def of(cls, how: Any, dtype: np.dtype[Any], limits: Limits) -> Plan:
        """Return the plan for pixels of a type; raises what :func:`parsed` does."""
        wanted = parsed(how)
        check_fill(limits.fill, dtype, wanted)
        moments = [one[1:] for one in wanted if one[1] in MOMENTS]
        ranks = [value for _, word, value in wanted if word in RANKS]
        words = limits.fill, limits.num_threads
        others: dict[int, Any] = {
            k: Histogram(value) if word == "histogram" else value
            for k, (_, word, value) in enumerate(wanted)
            if word in ("histogram", "own")
        }
        percentiles = Percentiles(ranks, *words) if ranks else None
        return cls(how, wanted, Statistics(moments, *words), others, percentiles)

    @property
    def passes(self) -> list[Any]:
        """The reductions that one pass over all frames makes."""
        has_moments = any(word in MOMENTS for _, word, _ in self.wanted)
        by_pass = has_moments and self.percentiles is None
        return [*self.others.values(), *([self.statistics] if by_pass else [])]

    def results(self, columns: Sequence[Any], states: Sequence[Any]) -> Any:
        """Return what was asked for, from what bands gave and the states of `passes`."""
        found: dict[int, Any] = {}
        places = {
            words: [k for k, (_, word, _) in enumerate(self.wanted) if word in words]
            for words in (MOMENTS, RANKS)
        }
        finished = [one.finish(state) for one, state in zip(self.passes, states, strict=True)]
        found |= dict(zip(self.others, finished, strict=False))
        if self.percentiles is not None:
            found |= dict(zip([*places[MOMENTS], *places[RANKS]], columns, strict=True))
        elif places[MOMENTS]:
            found |= dict(zip(places[MOMENTS], finished[-1], strict=True))
        return named(self.how, self.wanted, [found[k] for k in range(len(self.wanted))])

    def of_band(self, source: Source, limits: Limits, first: int, last: int | None) -> list[Any]:
        """Return statistics and percentiles of a band of the rows of all frames."""
        assert self.percentiles is not None
        frames = source.bands.read(first, last)
        if limits.fill is None:
            _refuse_absent(frames, first)
        state = self.statistics.init(frames.shape[1:], source.dtype)
        state = self.statistics.step(state, frames, np.arange(len(frames)))
        return [*self.statistics.finish(state), *self.percentiles.of(frames)]


def reduce(source: Source, how: Any, limits: Limits) -> Any:
    """Reduce all frames of a source; see :meth:`CXIStore.reduce`."""
    plan = Plan.of(how, source.dtype, limits)
    columns = [] if plan.percentiles is None else _by_bands(source, plan, limits)
    states = []
    if plan.passes:
        with source.progress() as bar:
            states = states_of(source, plan.passes, bar)
    return plan.results(columns, states)


def named(how: Any, wanted: Sequence[tuple[Any, str, Any]], results: Sequence[Any]) -> Any:
    """Return the one result that was asked for, or several by what named them."""
    if isinstance(how, str | tuple) or wanted[0][0] is how:
        return results[0]
    return {key: result for (key, _, _), result in zip(wanted, results, strict=True)}


def states_of(source: Source, reductions: Sequence[Any], bar: Progress | None = None) -> list[Any]:
    """Return the states of reductions after all frames, which they saw by one pass."""
    states = [one.init(source.shape, source.dtype) for one in reductions]
    told = 0
    if all(isinstance(one, Statistics) for one in reductions):

        def tick(count: int) -> None:
            nonlocal told
            told += count
            if bar is not None:
                bar.update(count)

        if source.add([moments for state in states for moments in state], tick):
            return states
        states = [one.init(source.shape, source.dtype) for one in reductions]
    for frames, idxs in source.stream():
        for k, one in enumerate(reductions):
            state = one.step(states[k], frames, idxs)
            states[k] = states[k] if state is None else state
        if bar is not None:
            bar.update(max(0, len(idxs) - told))  # what was told of is told of once
            told = max(0, told - len(idxs))
    return states


def _by_bands(source: Source, plan: Plan, limits: Limits) -> list[NDArray[Any]]:
    """Return what is asked of each pixel's values, from bands of rows that fit into memory."""
    results = BandResults(source.shape)
    room = spare_memory() // 2 if limits.memory is None else limits.memory
    told = 0
    with source.progress() as bar:
        for first, last in bands_of(source.bands, room):
            # The frames of a band are gone before those of the next come.
            results.put(plan.of_band(source, limits, first, last), first, last)
            done = source.total if last is None else source.total * last // source.bands.rows
            if bar is not None:
                bar.update(done - told)
            told = done
    return results.arrays


class BandResults:
    """Arrays that are put together of bands of rows, in any order.

    Parameters
    ----------
    shape : tuple of int
        Shape of a frame.

    Attributes
    ----------
    arrays : list of ndarray
        What is there so far.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self.arrays: list[NDArray[Any]] = []

    def put(self, made: list[NDArray[Any]], first: int, last: int | None) -> None:
        """Take what was made of a band; of (0, None): of all rows."""
        if last is None:
            self.arrays = made
            return
        if not self.arrays:
            self.arrays = [np.empty((*m.shape[:-2], *self._shape[-2:]), m.dtype) for m in made]
        for whole, one in zip(self.arrays, made, strict=True):
            whole[..., first:last, :] = one


def _refuse_absent(frames: NDArray[Any], first: int) -> None:
    """Raise where a pixel of a band, whose first row is `first`, is bad in all frames."""
    good = good_of(frames)
    if good is None:
        return
    absent = np.argwhere(~(good.any(axis=0) if good.ndim == frames.ndim else good))
    if len(absent):
        absent[:, -2] += first
        where = tuple(absent[0].tolist())
        raise ValueError(f"Pixel {where} has no good frame; fill= gives such pixels a value.")


def bands_of(bands: Banded, room: int, least: int = 1) -> Iterator[tuple[int, int | None]]:
    """Cut rows into bands whose frames fit into so many bytes each; (0, None) is all.

    There are `least` bands or more, if there are as many rows.
    """
    if not bands.rows:
        yield 0, None
        return
    rows = max(1, min(room // max(1, bands.row_bytes), -(-bands.rows // least)))
    # As many rows in each: the last would be a small one otherwise, and is read like the others.
    rows = -(-bands.rows // -(-bands.rows // rows))
    for first in range(0, bands.rows, rows):
        yield first, min(bands.rows, first + rows)


def spare_memory() -> int:
    """Return how many bytes the system can give without taking them from somebody."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return max(_LEAST, int(line.split()[1]) << 10)
    except OSError:  # no Linux: a part of what there is
        pass
    pages = os.sysconf("SC_PHYS_PAGES") if "SC_PHYS_PAGES" in os.sysconf_names else 0
    return max(_LEAST, pages * os.sysconf("SC_PAGE_SIZE") // 4)
