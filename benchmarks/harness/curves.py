"""Curves: what the same work takes for 1, 10, 100 and more of something, and how it grows.

Growth is told by one exponent: the slope of log(time) over log(N), by least squares over the last
decade of sizes, where a fixed cost hides least. 1 is linear, 0 does not grow at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from .report import Report, short_time, wrapped
from .results import OURS, Figure, Timing
from .timing import Pace, Spent, seconds_of

__all__ = ["FLAT", "LINEAR", "Curve", "Ways", "curve_table", "exponent", "measure_curve"]

LINEAR = 1.1  # the largest exponent of work that is to grow as N does
FLAT = 0.15  # of a call that is not to grow: 1.4 times as long for ten times as many
_LABEL = 16

Ways = dict[str, Callable[[], Any]]


@dataclass(frozen=True)
class Curve:
    """Work on N things.

    Attributes
    ----------
    name : str
        What is done; it says N.
    stored : str
        How the frames are stored.
    ways : callable
        Takes N and a stack that closes what it opens; returns ways of doing that, ours among them.
        What a way returns is compared with what ours returns, where neither is None.
    most : float
        The largest exponent that ours may have.
    """

    name: str
    stored: str
    ways: Callable[[int, ExitStack], Ways]
    most: float = LINEAR


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the slope of log(seconds) over log(sizes) in the last decade of sizes."""
    last = [number for number, size in enumerate(sizes) if 10 * size >= max(sizes)]
    x, y = (np.log([values[number] for number in last]) for values in (sizes, seconds))
    return float(np.polyfit(x, y, 1)[0])


def measure_curve(report: Report, curve: Curve, sizes: Sequence[int], pace: Pace) -> None:
    """Check, time and tell a curve; a way that has no time for a size has none for the next."""
    times: dict[str, list[Timing]] = {}
    for size in sizes:
        with ExitStack() as stack:
            ways = curve.ways(size, stack)
            _agree(curve, ways)
            for way, spent in _in_turns(ways, pace).items():
                case = f"{curve.name}, N = {size}"
                one = Timing(curve.stored, case, way, spent.seconds, spent.runs)
                times.setdefault(way, []).append(one)
    ours = [one.seconds for one in times[OURS]]
    figure = Figure(curve.stored, curve.name, "exponent", exponent(sizes, ours), "of N", curve.most)
    report.keep([one for of_way in times.values() for one in of_way], in_table=False)
    report.keep([figure])
    report.say(f"\n{curve_table(curve, sizes, times)}")
    if not figure.held:
        grown = f"its exponent is {figure.value:.2f}, and may be {curve.most} at most"
        report.say(wrapped(f"MISSED by {curve.name}: {grown}", 2))


def _agree(curve: Curve, ways: Ways) -> None:
    """Check that all ways give what ours gives; it warms caches, too."""
    expected = ways[OURS]()
    for name, call in ways.items():
        result = call()
        if expected is not None and result is not None and not np.array_equal(result, expected):
            raise SystemExit(f"{curve.name}: {name} does not give what {OURS} gives")


def _in_turns(ways: Ways, pace: Pace) -> dict[str, Spent]:
    """Time ways in turns, until each has had its rounds and its least time, or its patience."""
    spent, passed = {name: Spent() for name in ways}, dict.fromkeys(ways, 0.0)
    going = True
    while going:
        going = False
        for name, call in ways.items():
            one = spent[name]
            if one.runs and passed[name] > pace.patience:
                continue
            if one.runs >= pace.rounds and passed[name] >= pace.least:
                continue
            seconds, _ = seconds_of(call)
            passed[name] += seconds
            spent[name] = Spent(min(one.seconds, seconds), runs=one.runs + 1)
            going = True
    return spent


def curve_table(curve: Curve, sizes: Sequence[int], times: dict[str, list[Timing]]) -> str:
    """Return the times of all ways for all sizes, and the exponent of each."""
    title = curve.name if curve.stored == "-" else f"{curve.stored}, {curve.name}"
    lines = [wrapped(title), f"{'  N =':{_LABEL}}{''.join(f'{n:8}' for n in sizes)}{'exp.':>8}"]
    for way, found in times.items():
        seconds = [one.seconds for one in found]
        cells = "".join(f"{short_time(one):>8}" for one in seconds)
        lines.append(f"  {way:{_LABEL - 2}}{cells}{exponent(sizes, seconds):8.2f}")
    return "\n".join(lines)
