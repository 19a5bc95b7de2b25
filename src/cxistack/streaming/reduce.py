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

__all__ = ["Banded", "Limits", "Source", "reduce", "spare_memory"]

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
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    total: int
    stream: Callable[[], Iterable[Batch]]
    bands: Banded
    progress: Callable[[], AbstractContextManager[Progress | None]] = nullcontext


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


def reduce(source: Source, how: Any, limits: Limits) -> Any:
    """Reduce all frames of a source; see :meth:`CXIStore.reduce`."""
    wanted = parsed(how)
    check_fill(limits.fill, source.dtype, wanted)
    moments = [k for k, (_, word, _) in enumerate(wanted) if word in MOMENTS]
    ranks = [k for k, (_, word, _) in enumerate(wanted) if word in RANKS]
    statistics = Statistics([wanted[k][1:] for k in moments], limits.fill, limits.num_threads)
    others: dict[int, Any] = {
        k: Histogram(value) if word == "histogram" else value
        for k, (_, word, value) in enumerate(wanted)
        if word in ("histogram", "own")
    }
    found: dict[int, Any] = {}
    if ranks:
        # All that is asked of a pixel at once: each band is read once.
        percentiles = Percentiles(
            [wanted[k][2] for k in ranks],
            limits.fill,
            limits.num_threads,
        )
        columns = _by_bands(source, statistics, percentiles, limits)
        found |= dict(zip([*moments, *ranks], columns, strict=True))
    left = [] if ranks or not moments else [statistics]
    if others or left:
        results = _by_batches(source, [*others.values(), *left])
        found |= dict(zip(others, results, strict=False))
        if left:
            found |= dict(zip(moments, results[-1], strict=True))
    return named(how, wanted, [found[k] for k in range(len(wanted))])


def named(how: Any, wanted: Sequence[tuple[Any, str, Any]], results: Sequence[Any]) -> Any:
    """Return the one result that was asked for, or several by what named them."""
    if isinstance(how, str | tuple) or wanted[0][0] is how:
        return results[0]
    return {key: result for (key, _, _), result in zip(wanted, results, strict=True)}


def _by_batches(source: Source, reductions: Sequence[Any]) -> list[Any]:
    """Return what reductions make of all frames, by one pass."""
    states = [one.init(source.shape, source.dtype) for one in reductions]
    with source.progress() as bar:
        for frames, idxs in source.stream():
            for k, one in enumerate(reductions):
                state = one.step(states[k], frames, idxs)
                states[k] = states[k] if state is None else state
            if bar is not None:
                bar.update(len(idxs))
    return [one.finish(state) for one, state in zip(reductions, states, strict=True)]


def _by_bands(
    source: Source, statistics: Statistics, percentiles: Percentiles, limits: Limits
) -> list[NDArray[Any]]:
    """Return what is asked of each pixel's values, from bands of rows that fit into memory."""
    results: list[NDArray[Any]] = []

    def of_band(first: int, last: int | None) -> list[NDArray[Any]]:
        frames = source.bands.read(first, last)
        if limits.fill is None:
            _refuse_absent(frames, first)
        state = statistics.init(frames.shape[1:], source.dtype)
        state = statistics.step(state, frames, np.arange(len(frames)))
        return [*statistics.finish(state), *percentiles.of(frames)]

    told = 0
    with source.progress() as bar:
        for first, last in _bands(source, limits.memory):
            made = of_band(first, last)  # its frames are gone before those of the next come
            done = source.total if last is None else source.total * last // source.bands.rows
            if bar is not None:
                bar.update(done - told)
            told = done
            if last is None:
                return made
            if not results:
                results = [np.empty((*m.shape[:-2], *source.shape[-2:]), m.dtype) for m in made]
            for whole, one in zip(results, made, strict=True):
                whole[..., first:last, :] = one
    return results


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


def _bands(source: Source, memory: int | None) -> Iterator[tuple[int, int | None]]:
    """Return bands of rows whose frames fit into memory together; (0, None) is all."""
    if not source.bands.rows:
        yield 0, None
        return
    room = spare_memory() // 2 if memory is None else memory
    rows = max(1, room // max(1, source.bands.row_bytes))
    count = source.bands.rows
    # As many rows in each: the last would be a small one otherwise, and is read like the others.
    rows = -(-count // -(-count // rows))
    for first in range(0, count, rows):
        yield first, min(count, first + rows)


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
