"""The command line: one file for each command, put together here."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from .. import __version__
from .check import check
from .convert import convert
from .demo import demo
from .explain import explain
from .follow import follow
from .index import index
from .info import info
from .process import process
from .protocol import protocol_app
from .reduce import reduce
from .report import report
from .view import view

__all__ = ["app", "main"]

app = typer.Typer(
    help="CXI/HDF5 files of detector frames at the terminal: what is in them, and how they look.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(info)
app.command()(view)
app.command()(explain)
app.command()(convert)
app.command()(reduce)
app.command()(process)
app.command()(report)
app.command()(check)
app.command()(follow)
app.command()(index)
app.command()(demo)
app.add_typer(protocol_app, name="protocol")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cxistack {__version__}")
        raise typer.Exit


def _show_include(wanted: bool) -> None:
    if wanted:
        from ..build import get_include

        typer.echo(get_include())
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    include: Annotated[
        bool,
        typer.Option(
            "--include",
            callback=_show_include,
            is_eager=True,
            help="Show the folder of the C header.",
        ),
    ] = False,
) -> None:
    """Hold what stands before a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may be no text


def main() -> None:
    """Run the command that the process's arguments name."""
    app(prog_name="cxistack")
