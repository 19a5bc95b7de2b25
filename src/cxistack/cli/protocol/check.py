"""``cxistack protocol check``: what a protocol finds in files, and why not the rest."""

from __future__ import annotations

from typing import Annotated

import typer

from ...discovery.match import Match, match
from ...protocol.chosen import protocol_of
from ..failure import failures_told
from ..opening import FileNames

__all__ = ["check"]


def check(
    protocol: Annotated[
        str, typer.Argument(metavar="NAME|INI", help="A built-in protocol or an INI file.")
    ],
    files: FileNames,
) -> None:
    """Tell, attribute by attribute, what a protocol finds in FILES, and what not, and why.

    Of what a file does not have, each path is listed with the group at which it ends and with what
    is there instead: other spellings, and datasets of that name elsewhere.

    The exit status is 0 when all that was found can be loaded from all files, 1 when something
    cannot or nothing was found, and 2 when the protocol or the files cannot be read.
    """
    with failures_told():
        matches, problems = match(protocol_of(protocol), files)
    for one in sorted(matches, key=lambda one: not one.places):
        typer.echo("\n".join(_lines_about(one)))
    if problems:
        typer.echo("Problems:")
        for problem in problems:
            typer.echo(f"    {problem}")
    raise typer.Exit(0 if any(one.places for one in matches) and not problems else 1)


def _lines_about(one: Match) -> list[str]:
    wanted = one.attribute
    head = f"{wanted.name} ({wanted.datatype} {wanted.kind})"
    lines = [head if one.places else f"{head}: not found"]
    for place, count in one.places.items():
        lines.append(f"    {place}, in {count} of {one.files} file{'s' * (one.files != 1)}")
    if one.places and one.misses:
        lines.append(f"    not in {one.missed_in}")
    said = set()
    for miss in one.misses:
        lines.append(f"    {miss.path}: {miss.why}")
        if miss.why not in said:
            lines += [f"        {hint}" for hint in miss.hints]
        said.add(miss.why)
    return lines + [f"    {hint}" for hint in one.elsewhere]
