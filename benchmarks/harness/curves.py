"""Curves: what the same work takes for 1, 10, 100 and more of something, and how it grows.

Growth is told by one exponent: the slope of log(time) over log(N), by least squares over the last
decade of sizes, where a fixed cost hides least. 1 is linear, 0 does not grow at all. What else the
machine does lengthens some measurements and never shortens one. So the smaller one counts of the
exponents of the clock and of all threads' processor time, and a curve that grows too fast is
measured again, twice at most, and keeps the least times.
"""

from __future__ import annotations

import time
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
_MOST_TURNS = 3

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
    """Check, time and tell a curve."""
    times: dict[str, dict[int, Spent]] = {}
    for turn in range(_MOST_TURNS):
        for size in sizes:
            if not turn or 10 * size >= max(sizes):
                _measure(curve, size, pace, times)
        found = _growth(times[OURS])
        if found <= curve.most:
            break
    figure = Figure(curve.stored, curve.name, "exponent", found, "of N", curve.most)
    for way, of_way in times.items():
        for size, spent in of_way.items():
            case = f"{curve.name}, N = {size}"
            one = Timing(curve.stored, case, way, spent.seconds, spent.runs)
            report.keep([one], in_table=False)
    report.keep([figure])
    report.say(f"\n{curve_table(curve, times)}")
    if not figure.held:
        grown = f"its exponent is {figure.value:.2f}, and may be {curve.most} at most"
        report.say(wrapped(f"MISSED by {curve.name}: {grown}", 2))


def _measure(curve: Curve, size: int, pace: Pace, times: dict[str, dict[int, Spent]]) -> None:
    """Check and time all ways for a size; keep the least of what they took before, too."""
    with ExitStack() as stack:
        ways = curve.ways(size, stack)
        _agree(curve, ways)
        for way, now in _in_turns(ways, pace).items():
            of_way = times.setdefault(way, {})
            old = of_way.get(size, Spent())
            of_way[size] = Spent(
                min(old.seconds, now.seconds), min(old.cpu, now.cpu), old.runs + now.runs
            )


def _growth(times: dict[int, Spent]) -> float:
    """Return the smaller one of the exponents of the clock and of processor time."""
    sizes = list(times)
    by_clock = exponent(sizes, [one.seconds for one in times.values()])
    return min(by_clock, exponent(sizes, [max(one.cpu, 1e-9) for one in times.values()]))


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
            begin = time.process_time()
            seconds, _ = seconds_of(call)
            cpu = time.process_time() - begin
            passed[name] += seconds
            spent[name] = Spent(min(one.seconds, seconds), min(one.cpu, cpu), one.runs + 1)
            going = True
    return spent


def curve_table(curve: Curve, times: dict[str, dict[int, Spent]]) -> str:
    """Return the times of all ways for all sizes, and the exponent of each."""
    title = curve.name if curve.stored == "-" else f"{curve.stored}, {curve.name}"
    sizes = "".join(f"{size:8}" for size in times[OURS])
    lines = [wrapped(title), f"{'  N =':{_LABEL}}{sizes}{'exp.':>8}"]
    for way, of_way in times.items():
        cells = "".join(f"{short_time(one.seconds):>8}" for one in of_way.values())
        lines.append(f"  {way:{_LABEL - 2}}{cells}{_growth(of_way):8.2f}")
    return "\n".join(lines)
