"""``cxistack protocol discover``: a protocol for files that nobody described, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...discovery.discover import discover as propose
from ..failure import failures_told
from ..opening import FileNames

__all__ = ["discover"]


def discover(
    files: FileNames,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="INI", help="Write the protocol there."),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(help="Which of several detectors that have a file for each module."),
    ] = None,
) -> None:
    """Propose a protocol for FILES from what they say of themselves, from names and from shapes.

    Each choice comes with its reasons, and with what else there was. No pixel is read.

    The exit status is 0 when the frames were found and all that is proposed can be loaded, 1 when
    there is something to look after (it is told), and 2 when nothing can be proposed.
    """
    with failures_told():
        found = propose(files, detector=detector)
        if output is not None:
            found.protocol.to_ini(output)
    typer.echo(str(found))
    if output is not None:
        typer.echo(f"\n{output}: written; for the other commands, --protocol {output}")
    raise typer.Exit(0 if "data" in found.reasons and not found.problems else 1)
