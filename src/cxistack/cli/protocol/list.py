"""``cxistack protocol list``: the built-in protocols, and what each is for."""

from __future__ import annotations

import typer

from ...protocol.ini import builtin_heading
from ...protocol.protocol import CXIProtocol

__all__ = ["list_protocols"]


def list_protocols() -> None:
    """List the built-in protocols: the names that --protocol takes beside an INI file's."""
    names = CXIProtocol.names()
    width = max(map(len, names))
    for name in names:
        typer.echo(f"{name.ljust(width)}  {builtin_heading(name)}")
