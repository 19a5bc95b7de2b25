"""``cxistack explain``: how a load would be done, and why; no pixel is read."""

from __future__ import annotations

from typing import Annotated

import typer

from .failure import failures_told
from .opening import FileNames, ProtocolFile, frame_choice, open_run
from .view import region

__all__ = ["explain"]


def explain(
    files: FileNames,
    attribute: Annotated[str, typer.Option(help="An attribute of the protocol.")] = "data",
    frames: Annotated[
        str | None,
        typer.Option(metavar="A:B:C", help="Which frames, as a slice or one number; all if none."),
    ] = None,
    crop: Annotated[
        tuple[int, int, int, int] | None,
        typer.Option(metavar="Y0 Y1 X0 X1", help="The region: rows Y0 to Y1, columns X0 to X1."),
    ] = None,
    downscale: Annotated[int, typer.Option(min=1, help="Take every Nth pixel.")] = 1,
    dtype: Annotated[str | None, typer.Option(help="Type to load as.")] = None,
    protocol: ProtocolFile = None,
) -> None:
    """Tell which chunks and bytes of FILES a load reads, by which way and decoder, and why."""
    with failures_told(), open_run(files, protocol) as store:
        text = store.explain(
            attribute, frame_choice(frames), transform=region(crop, downscale), dtype=dtype
        )
    typer.echo(text)
