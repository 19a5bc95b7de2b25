"""Times ways of doing the same in turns, after checking that they give the same."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .results import OURS, Kind, Ratio, Timing

__all__ = [
    "Case",
    "Pace",
    "Pool",
    "Spent",
    "Target",
    "Way",
    "in_turns",
    "measure",
    "ratios",
    "seconds_of",
]

_MOST_TURNS = 40


@dataclass(frozen=True)
class Way:
    """One way of doing a case.

    Attributes
    ----------
    name : str
        What it is called in tables.
    call : callable
        Does it, and returns the result (None: nothing to compare; a limit does not all the work).
    share : float
        How much of its time counts: a way that does more than the case asks for.
    """

    name: str
    call: Callable[[], Any]
    share: float = 1.0


@dataclass(frozen=True)
class Target:
    """What a case must show.

    Attributes
    ----------
    against : tuple of str
        Names of ways (or their beginnings); the fastest of them counts.
    must, goal : float or None
        How many times faster than that ours must, and should, be.
    ours : str
        The way of ours that is compared.
    label : str
        What the others are called together.
    kind : {"peer", "limit", "threads"}
        Whether they are others, a limit that one may come near to, or ours on fewer threads.
    """

    against: tuple[str, ...]
    must: float | None = None
    goal: float | None = None
    ours: str = OURS
    label: str = ""
    kind: Kind = "peer"


@dataclass(frozen=True)
class Case:
    """The same work, done in several ways.

    Attributes
    ----------
    name : str
        What is done.
    stored : str
        How the frames are stored.
    nbytes : int
        Bytes of the stored frames concerned, decoded.
    reference : str
        The way whose result the others' must equal.
    ways : list of Way
        All ways.
    targets : list of Target
        What it must show.
    """

    name: str
    stored: str
    nbytes: int
    reference: str
    ways: Sequence[Way]
    targets: Sequence[Target] = field(default_factory=list)


@dataclass(frozen=True)
class Pace:
    """How long to measure.

    Attributes
    ----------
    rounds : int
        How many turns each way takes.
    patience : float
        Seconds after which a way takes no more turns, but for two.
    least : float
        Seconds that a fast way is measured for, in more turns: short times scatter.
    """

    rounds: int
    patience: float = math.inf
    least: float = 0.0


class Pool:
    """Memory that all results of a run are written to: no way has pages fresher than another's."""

    def __init__(self, nbytes: int) -> None:
        self._bytes = np.ones(nbytes, np.uint8)

    def array(self, shape: Sequence[int], dtype: Any) -> NDArray[Any]:
        """Return an array in the pool; those lent before are in the same place."""
        need = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if need > self._bytes.nbytes:
            raise ValueError(f"a result of {need} bytes in a pool of {self._bytes.nbytes}")
        lent: NDArray[Any] = self._bytes[:need].view(dtype).reshape(shape)
        return lent

    def spoil(self) -> None:
        """Overwrite what ways have left, that none may pass for another's result."""
        self._bytes.fill(0xA5)


def measure(case: Case, pool: Pool, pace: Pace) -> list[Timing]:
    """Check that all ways agree, then time them in turns."""
    spent = _agree(case, pool, pace)
    turns = pace.rounds
    turn = 0
    while turn < turns:
        turn += 1
        # To and fro: who comes next finds caches as the one before left them.
        for way in case.ways[:: 1 if turn % 2 else -1]:
            times = spent[way.name]
            if len(times) < 2 or sum(times) < pace.patience:
                times.append(seconds_of(way.call)[0])
        if turn == 1:
            first = spent[case.ways[0].name][0]
            turns = min(_MOST_TURNS, max(turns, round(pace.least / first)))
    timings = []
    for way in case.ways:
        seconds = way.share * min(spent[way.name])
        rate = case.nbytes / seconds / 1e9
        runs = len(spent[way.name])
        timings.append(Timing(case.stored, case.name, way.name, seconds, runs, rate))
    return timings


def _agree(case: Case, pool: Pool, pace: Pace) -> dict[str, list[float]]:
    """Check that all ways give the same; return the seconds of those that take long."""
    by_name = {way.name: way for way in case.ways}
    expected = np.array(by_name[case.reference].call())
    spent: dict[str, list[float]] = {}
    for way in case.ways:
        pool.spoil()
        seconds, result = seconds_of(way.call)  # warms caches, too
        spent[way.name] = [seconds] if seconds > pace.patience / 2 else []
        if result is not None and not (
            result.shape == expected.shape and np.array_equal(result, expected)
        ):
            raise SystemExit(
                f"{case.stored}, {case.name}: {way.name} does not give what {case.reference} gives"
            )
        del result
    return spent


def seconds_of(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long a call takes, and its result: freeing memory is not loading."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


@dataclass
class Spent:
    """The least that a way took, of the clock and of all threads' processor time."""

    seconds: float = math.inf
    cpu: float = math.inf
    runs: int = 0


def in_turns(
    ways: Mapping[str, Callable[[], object]],
    pace: Pace,
    between: Callable[[], None] = lambda: None,
) -> dict[str, Spent]:
    """Time ways that were checked before: all rounds, and on until the least time has passed.

    What a way returns is freed within its time; `between` runs after each way, and is not timed.
    """
    spent = {name: Spent() for name in ways}
    begin = time.perf_counter()
    turn = 0
    while turn < pace.rounds or time.perf_counter() - begin < pace.least:
        turn += 1
        for name, call in ways.items():
            start, cpu = time.perf_counter(), time.process_time()
            call()
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            least = spent[name]
            spent[name] = Spent(min(least.seconds, seconds), min(least.cpu, cpu), turn)
            between()
    return spent


def ratios(case: Case, timings: Sequence[Timing]) -> list[Ratio]:
    """Return what a case shows; a target whose others are not there is left out."""
    seconds = {timing.way: timing.seconds for timing in timings}
    found = []
    for target in case.targets:
        others = {name: s for name, s in seconds.items() if name.startswith(target.against)}
        if others and target.ours in seconds:
            best = min(others, key=lambda name: others[name])
            found.append(
                Ratio(
                    case.stored,
                    case.name,
                    target.label or best,
                    others[best] / seconds[target.ours],
                    target.must,
                    target.goal,
                    target.kind,
                    best if target.label and target.label != best else "",
                )
            )
    return found
