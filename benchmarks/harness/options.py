"""What the command line asks of every suite."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from .timing import Pace

__all__ = ["Options", "Size", "add_options"]


@dataclass(frozen=True)
class Size:
    """How much a suite measures; suites add fields of their own."""

    frames: int
    shape: tuple[int, int]
    pace: Pace


S = TypeVar("S", bound=Size)


@dataclass(frozen=True)
class Options:
    """What the command line asks for.

    Attributes
    ----------
    size : {"normal", "quick", "tiny"}
        Which of a suite's sizes is measured.
    full : bool
        Whether to measure every combination, where a suite has more than it must show.
    only : tuple of str
        Cases with one of these in their name; all cases when empty.
    threads : int
        How many threads are used.
    folder : Path or None
        Where files are written; the suite's own choice when None.
    frames, files, repeats : int or None
        What to take instead of the size's own.
    minutes : float or None
        How long a suite of live runs takes.
    python : str or None
        The interpreter of another installation, for the suite that measures two.
    """

    size: str = "normal"
    full: bool = False
    only: tuple[str, ...] = ()
    threads: int = 2
    folder: Path | None = None
    frames: int | None = None
    files: int | None = None
    repeats: int | None = None
    minutes: float | None = None
    python: str | None = None

    def wants(self, name: str) -> bool:
        """Tell whether a case of this name is to be measured."""
        return not self.only or any(text.lower() in name.lower() for text in self.only)

    def choose(self, sizes: Mapping[str, S]) -> S:
        """Return the size that is asked for, with what is taken instead of its own."""
        size = sizes[self.size]
        instead: dict[str, Any] = {"frames": self.frames, "files": self.files}
        if self.repeats is not None:
            instead["pace"] = replace(size.pace, rounds=self.repeats)
        known = {field.name for field in fields(size)}
        given = {key: value for key, value in instead.items() if value is not None}
        return replace(size, **{key: value for key, value in given.items() if key in known})


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `Options`, under the names of its attributes."""
    sizes = parser.add_mutually_exclusive_group()
    for size, told in (
        ("quick", "less of everything"),
        ("tiny", "so little that the figures mean nothing: do all suites run?"),
    ):
        sizes.add_argument(f"--{size}", dest="size", action="store_const", const=size, help=told)
    parser.set_defaults(size="normal")
    parser.add_argument("--full", action="store_true", help="every combination of cases, too")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="TEXT",
        help="cases with TEXT in their name; may be given again",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=Options.threads,
        metavar="N",
        help="threads that are used (default: %(default)s)",
    )
    parser.add_argument(
        "--folder", type=Path, help="where files are written (default: in memory; saves, on disk)"
    )
    for name, told in (
        ("frames", "frames of a run or a file"),
        ("files", "files, for suites of many"),
        ("repeats", "turns that each way takes"),
    ):
        parser.add_argument(f"--{name}", type=int, metavar="N", help=told)
    parser.add_argument("--minutes", type=float, metavar="N", help="length of live runs")
