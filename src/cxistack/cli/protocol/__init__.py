"""``cxistack protocol``: what protocols there are and say, one file for each command."""

from __future__ import annotations

import typer

from .check import check
from .discover import discover
from .list import list_protocols
from .show import show

__all__ = ["protocol_app"]

protocol_app = typer.Typer(
    help="Protocols: where attributes are in a file, and what they are.", no_args_is_help=True
)
protocol_app.command("list")(list_protocols)
protocol_app.command()(show)
protocol_app.command()(discover)
protocol_app.command()(check)
