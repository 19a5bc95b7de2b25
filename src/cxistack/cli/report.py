"""``cxistack report``: a page of what a run holds, how it looks, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..reporting.report import Wanted
from ..reporting.report import report as write_report
from .failure import failures_told
from .opening import (
    ChannelName,
    DetectorName,
    FileNames,
    Force,
    Frames,
    ProtocolFile,
    Threads,
    frame_choice,
    new_file,
    open_run,
)

__all__ = ["report"]


def report(
    files: FileNames,
    output: Annotated[Path, typer.Option("-o", "--output", help="The new HTML file.")],
    frames: Frames = None,
    use_mask: Annotated[
        bool, typer.Option("--mask/--no-mask", help="Leave out the mask's bad pixels.")
    ] = True,
    force: Force = False,
    threads: Threads = None,
    protocol: ProtocolFile = None,
    detector: DetectorName = None,
    channel: ChannelName = None,
) -> None:
    """Write one HTML page of what FILES hold, for a browser without a network.

    It has a table, problems, the mean and the maximum of the frames, bad pixels, the whitefield,
    counts and positions frame by frame, and how the data are read. Of a run of more than 1000
    frames, as many are looked at, evenly spaced, if --frames does not say which (: is all).
    """
    with failures_told(), open_run(files, protocol, detector, channel) as run:
        new_file(output, run, force)
        problems = write_report(run, output, Wanted(frame_choice(frames), use_mask, threads))
        told = f"{len(problems)} problems" if len(problems) != 1 else "1 problem"
        typer.echo(f"{output}: {run.frame_count} frames, {told}")
