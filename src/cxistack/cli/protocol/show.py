"""``cxistack protocol show``: a protocol as a table, or as the INI text to make one's own from."""

from __future__ import annotations

from typing import Annotated

import typer

from ...protocol.chosen import protocol_of
from ...protocol.ini import format_sections
from ..failure import failures_told

__all__ = ["show"]


def show(
    protocol: Annotated[
        str, typer.Argument(metavar="NAME|INI", help="A built-in protocol or an INI file.")
    ],
    ini: Annotated[
        bool, typer.Option("--ini", help="Write the INI text, to start one of your own from.")
    ] = False,
) -> None:
    """Show where the attributes of a protocol are in a file, and what they are.

    In brackets behind a path: what a mask means there, or the unit of values that state none.
    """
    with failures_told():
        known = protocol_of(protocol)
        text = format_sections(known.ini_dict()) if ini else f"{known}\n"
    typer.echo(text, nl=False)
