"""Run suites of measurements: ``python -m benchmarks SUITE...``, or ``--list`` to name them."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from .harness.machine import machine
from .harness.options import Options, add_options
from .harness.picture import draw
from .harness.report import Report, wrapped
from .harness.results import Ratio
from .suites import SUITES, suite, summary


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says; return 1 where a must is missed."""
    parser = _parser()
    given = vars(parser.parse_args(words))
    names, as_json, picture = given.pop("suites"), given.pop("json"), given.pop("picture")
    if given.pop("list"):
        for name in SUITES:
            print(f"{name:12}{summary(name)}")
        return 0
    python = _other_python(names)
    if not names:
        parser.error("no suite is named: --list shows all")
    if unknown := [name for name in names if name not in SUITES]:
        parser.error(f"no suite {', '.join(unknown)}: --list shows all")
    options = Options(**given | {"only": tuple(given["only"]), "python": python})
    # A program reads JSON from the standard output: what people read goes elsewhere then.
    tables = sys.stderr if as_json == "-" else sys.stdout
    with contextlib.redirect_stdout(tables):
        report = _run(names, options)
    if as_json == "-":
        print(report.as_json())
    elif as_json is not None:
        Path(as_json).write_text(report.as_json())
    if picture is not None:
        ratios = [one for _, one in report.shown if isinstance(one, Ratio)]
        draw(ratios, report.machine, picture)
    return 1 if report.missed else 0


def _other_python(names: list[str]) -> str | None:
    """Take the interpreter that stands after "against" out of the words; None where none does."""
    place = names.index("against") + 1 if "against" in names else len(names)
    return names.pop(place) if place < len(names) and names[place] not in SUITES else None


def _run(names: Iterable[str], options: Options) -> Report:
    begin = time.perf_counter()
    report = Report(machine(options.threads))
    for key, value in report.machine.items():
        report.say(wrapped(f"{key:16} {value}"))
    for name in dict.fromkeys(names):
        report.begin(name, summary(name))
        suite(name).run(report, options)
    report.say(f"\n{report.summary()}; {time.perf_counter() - begin:.0f} s")
    return report


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure suites of cases. The exit status is 1 where a must is missed.",
    )
    parser.add_argument(
        "suites",
        nargs="*",
        metavar="SUITE",
        help="what to measure; after 'against', the interpreter that has another version",
    )
    parser.add_argument("--list", action="store_true", help="name the suites, a line each")
    add_options(parser)
    parser.add_argument(
        "--json", metavar="FILE", help="write all figures there; - is the standard output"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw the ratios there")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # files are removed then, too
    raise SystemExit(main())
