"""What was measured: told as it comes, then in one table, and as JSON for programs."""

from __future__ import annotations

import itertools
import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .results import OURS, Figure, Ratio, Result, Timing
from .timing import Case, Pace, Pool, Spent, measure, ratios

__all__ = [
    "WIDTH",
    "Report",
    "figure_table",
    "ratio_table",
    "short_time",
    "timing_table",
    "timings_of",
]

WIDTH = 80  # columns of a terminal
_LABEL = 46


@dataclass
class Report:
    """What was measured, in which suite, and where.

    Attributes
    ----------
    machine : dict
        The machine and the versions.
    suite : str
        The suite whose results come next.
    files : dict
        Where each suite's files lay.
    entries : list of (str, Result, bool)
        Suite, result, and whether the last table shows it.
    """

    machine: dict[str, str]
    suite: str = ""
    files: dict[str, str] = field(default_factory=dict)
    entries: list[tuple[str, Result, bool]] = field(default_factory=list)

    def begin(self, suite: str, summary: str) -> None:
        """Say that the results of a suite come next."""
        self.suite = suite
        self.say(f"\n{wrapped(f'{suite}: {summary}')}")

    def place(self, files: str) -> None:
        """Say where the suite's files lie."""
        self.files[self.suite] = files
        self.say(wrapped(f"files {files}"))

    def say(self, text: str) -> None:
        """Print at once: a run takes long."""
        print(text, flush=True)

    def measure(self, case: Case, pool: Pool, pace: Pace, in_table: bool = True) -> None:
        """Check, time and tell a case."""
        timings = measure(case, pool, pace)
        self.add(f"{case.stored}, {case.name}", timings, ratios(case, timings), in_table)

    def add(
        self,
        title: str,
        timings: Sequence[Timing] = (),
        others: Iterable[Ratio | Figure] = (),
        in_table: bool = True,
    ) -> None:
        """Keep results, and tell the times; the others wait for the last table."""
        self.keep([*timings, *others], in_table)
        if timings:
            self.say(f"\n{wrapped(title.removeprefix('-, '))}\n{timing_table(timings)}")

    def keep(self, results: Iterable[Result], in_table: bool = True) -> None:
        """Keep results, and tell nothing now."""
        self.entries += [(self.suite, one, in_table) for one in results]

    @property
    def timings(self) -> list[Timing]:
        """All times."""
        return [one for _, one, _ in self.entries if isinstance(one, Timing)]

    @property
    def ratios(self) -> list[Ratio]:
        """All ratios."""
        return [one for _, one, _ in self.entries if isinstance(one, Ratio)]

    @property
    def figures(self) -> list[Figure]:
        """All other numbers."""
        return [one for _, one, _ in self.entries if isinstance(one, Figure)]

    @property
    def shown(self) -> list[tuple[str, Ratio | Figure]]:
        """What the last tables show: suites and their results."""
        return [(s, one) for s, one, told in self.entries if told and not isinstance(one, Timing)]

    @property
    def missed(self) -> int:
        """How many musts are missed."""
        return sum(one.held is False for _, one in self.shown)

    def summary(self) -> str:
        """Return the tables of all suites, and how many musts are held and missed."""
        tables = []
        for suite, group in itertools.groupby(self.shown, key=lambda entry: entry[0]):
            found = [one for _, one in group]
            ratios = [one for one in found if isinstance(one, Ratio)]
            figures = [one for one in found if isinstance(one, Figure)]
            tables += [ratio_table(ratios, suite)] if ratios else []
            tables += [figure_table(figures, suite)] if figures else []
        held = sum(one.held is True for _, one in self.shown)
        return "\n\n".join([*tables, f"{held} musts held, {self.missed} missed"])

    def as_json(self) -> str:
        """Return all of it."""
        results = [{"suite": suite} | one.as_record() for suite, one, _ in self.entries]
        found = {"machine": self.machine, "files": self.files, "results": results}
        return json.dumps(found, indent=1)


def timings_of(
    stored: str, case: str, spent: dict[str, Spent], nbytes: int | None = None
) -> list[Timing]:
    """Return the times of ways that were timed in turns."""
    return [
        Timing(stored, case, way, s.seconds, s.runs, nbytes and nbytes / s.seconds / 1e9)
        for way, s in spent.items()
    ]


def wrapped(text: str, indent: int = 0) -> str:
    """Return text in lines that a terminal can show; all but the first are indented further."""
    return textwrap.fill(
        text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2)
    )


def timing_table(timings: Sequence[Timing]) -> str:
    """Return the ways of a case, and how many times as long as ours each takes."""
    ours = next(timing.seconds for timing in timings if timing.way == OURS)
    lines = [f"{'':{_LABEL}}{'time':>11}{'GB/s':>8}{'x ours':>9}{'runs':>6}"]
    for timing in timings:
        rate = "-" if timing.gb_per_s is None else f"{timing.gb_per_s:.2f}"
        cells = f"{_time(timing.seconds):>11}{rate:>8}{_number(timing.seconds / ours):>9}"
        lines += _row(timing.way, f"{cells}{timing.runs:6}")
    return "\n".join(lines)


def ratio_table(found: Sequence[Ratio], suite: str) -> str:
    """Return what was shown, beside what must and should be."""

    def cells(one: Ratio) -> str:
        must, goal = ("-" if x is None else _number(x) for x in (one.must, one.goal))
        return f"{_number(one.value):>8}{must:>7}{goal:>7}  {one.verdict}"

    rows = [(one.stored, f"{one.case}, {one.against}", cells(one), one.note) for one in found]
    return _table(f"{suite}: case, against", f"{'ratio':>8}{'must':>7}{'goal':>7}", rows)


def figure_table(found: Sequence[Figure], suite: str) -> str:
    """Return numbers of any unit, beside the most that they may be."""

    def cells(one: Figure) -> str:
        most = "" if one.most is None else _number(one.most)
        return f"{_number(one.value):>8} {one.unit:9}{most:>7}  {one.verdict}"

    rows = [(one.stored, f"{one.case}, {one.what}", cells(one), one.note) for one in found]
    return _table(f"{suite}: case, figure", f"{'value':>8} {'unit':9}{'most':>7}", rows)


def _table(title: str, head: str, rows: Sequence[tuple[str, str, str, str]]) -> str:
    """Return rows of what they are stored as (a heading), a label, cells and a note."""
    lines = [f"{title:{_LABEL}}{head}"]
    for stored, group in itertools.groupby(rows, key=lambda row: row[0]):
        if stored != "-":
            lines.append(wrapped("no filter" if stored == "none" else stored))
        for _, label, cells, note in group:
            lines += _row(label, cells, note)
    return "\n".join(lines)


def _row(label: str, cells: str, note: str = "") -> list[str]:
    """Return a line of a table; a long label takes more, and a long note one of its own."""
    if note and len(f"{label} ({note})") <= _LABEL - 3:
        label, note = f"{label} ({note})", ""
    *first, last = textwrap.wrap(label, _LABEL - 3)
    lines = [f"  {line}" for line in (*first, f"{last:{_LABEL - 2}}{cells}".rstrip())]
    return [*lines, wrapped(f"({note})", 4)] if note else lines


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 1000 else f"{value:.0f}"


def short_time(seconds: float) -> str:
    """Return a time in seven characters."""
    for unit, name in ((1e-6, "us"), (1e-3, "ms")):
        if (value := seconds / unit) < 999.5:
            return f"{value:.{max(0, 2 - len(str(int(value))))}f} {name}"
    return f"{seconds:.1f} s"


def _time(seconds: float) -> str:
    if seconds >= 10:
        return f"{seconds:.1f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.2f} us"
