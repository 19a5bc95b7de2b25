"""Text on a terminal: lines as wide as it is, broken at blanks, and never within a path."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

import typer

from ..checking.findings import Finding, folded

__all__ = ["problem_lines", "say", "wrapped"]

_KEPT = "\x1f"  # in place of a blank at which no line is broken
_WHOLE = re.compile(r"\([\d, ]+\)|'[^'\n]{1,60}'")  # shapes, and what a message quotes
_LEAST = 40


def say(text: str, *, err: bool = False, names: Sequence[str] = ()) -> None:
    """Print lines, broken where a terminal is narrower than they; otherwise as they are.

    A terminal's width is its own, or what the environment's COLUMNS says. `names` of files are
    kept whole although they have blanks.
    """
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        text = wrapped(text, shutil.get_terminal_size().columns, names)
    typer.echo(text, err=err)


def wrapped(text: str, width: int, names: Iterable[str] = ()) -> str:
    """Return lines of at most `width` characters; only a word that is longer is left as it is.

    Examples
    --------
    >>> print(wrapped("mask: /a/b/c.h5:/entry/mask has shape (3, 4)", 42))
    mask: /a/b/c.h5:/entry/mask has shape
        (3, 4)
    """
    for name in names:
        text = text.replace(name, name.replace(" ", _KEPT))
    text = _WHOLE.sub(lambda match: match[0].replace(" ", _KEPT), text)
    lines: list[str] = []
    for line in text.split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(
            line,
            max(width, _LEAST),
            subsequent_indent=indent + "    ",
            break_long_words=False,
            break_on_hyphens=False,
        ) or [line]
    return "\n".join(lines).replace(_KEPT, " ")


def problem_lines(problems: Sequence[Finding], files: Sequence[str]) -> list[str]:
    """Return a line for each problem; of those that many files have alike, one with the count."""
    lines = []
    for alike in folded(problems):
        line = str(alike[0])
        if len(alike) > 1:
            line += f" (so it is in {len(alike)} of {len(files)} files, to {alike[-1].filename})"
        lines.append(line)
    return lines
