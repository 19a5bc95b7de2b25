"""``cxistack explain``: how a load would be done, and why; no pixel is read."""

from __future__ import annotations

from typing import Annotated

import typer

from .failure import failures_told
from .lines import say
from .opening import (
    ChannelName,
    CropTo,
    DetectorName,
    EveryNth,
    FileNames,
    Frames,
    ProtocolFile,
    frame_choice,
    open_run,
)
from .view import region

__all__ = ["explain"]


def explain(
    files: FileNames,
    attribute: Annotated[str, typer.Option(help="An attribute of the protocol.")] = "data",
    frames: Frames = None,
    crop: CropTo = None,
    downscale: EveryNth = 1,
    dtype: Annotated[str | None, typer.Option(help="Type to load as.")] = None,
    protocol: ProtocolFile = None,
    detector: DetectorName = None,
    channel: ChannelName = None,
) -> None:
    """Tell which chunks and bytes of FILES a load reads, by which way and decoder, and why."""
    with failures_told(), open_run(files, protocol, detector, channel) as store:
        text = store.explain(
            attribute, frame_choice(frames), transform=region(crop, downscale), dtype=dtype
        )
        say(text, names=store.paths())
