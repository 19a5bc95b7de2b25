"""``cxistack reduce``: the mean, the maximum and the like of all frames of a run, in a new file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from ..pictures.frames import run_name
from ..pictures.panels import draw_frames
from ..protocol.protocol import CXIProtocol
from ..store.store import CXIStore
from .cluster import ClusterAddress, connected
from .failure import failures_told
from .opening import (
    ChannelName,
    CropTo,
    DetectorName,
    EveryNth,
    FileNames,
    Force,
    Frames,
    ProtocolFile,
    Threads,
    frame_choice,
    new_file,
    open_run,
)
from .view import region

__all__ = ["reduce"]


def reduce(
    files: FileNames,
    output: Annotated[Path, typer.Option("-o", "--output", help="The new HDF5 file.")],
    how: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD",
            help="sum, mean, var, std, min, max, median, percentile:Q, over:VALUE or "
            "saturated:VALUE; several times for several. mean if not given.",
        ),
    ] = None,
    attribute: Annotated[str, typer.Option(help="A stack of the protocol.")] = "data",
    frames: Frames = None,
    use_mask: Annotated[
        bool, typer.Option("--mask", help="Leave out the pixels that the run's mask says are bad.")
    ] = False,
    fill: Annotated[
        float | None, typer.Option(help="What pixels become that have no good value.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw the results, too.")
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic colours.")] = False,
    crop: CropTo = None,
    downscale: EveryNth = 1,
    binning: Annotated[int, typer.Option("--bin", min=1, help="Sum N x N pixels first.")] = 1,
    force: Force = False,
    cluster: ClusterAddress = None,
    threads: Threads = None,
    protocol: ProtocolFile = None,
    detector: DetectorName = None,
    channel: ChannelName = None,
) -> None:
    """Reduce all frames of FILES to one by each WORD, in little memory, and write these to a file.

    They are /reduced/WORD in OUTPUT, which appears when it is complete.
    """
    words = list(dict.fromkeys(how or ["mean"]))
    with failures_told(), open_run(files, protocol, detector, channel) as run:
        mode = new_file(output, run, force)
        with connected(cluster) as client:
            found = run.reduce(
                attribute,
                words,
                frame_choice(frames),
                transform=region(crop, downscale, binning),
                mask=True if use_mask else None,
                fill=fill,
                num_threads=threads,
                client=client,
            )
        names = {word: word.replace(":", "_") for word in words}
        target = CXIStore(output, mode, protocol=_protocol(names.values()))
        with target, target.transaction():
            for word, frame in found.items():
                target.save_attribute(names[word], frame)
        for word, frame in found.items():
            shape = " x ".join(map(str, frame.shape))
            typer.echo(f"{output}: /reduced/{names[word]} {shape} {frame.dtype}")
        if picture is not None:
            title = f"{run_name(run)}: {attribute}, {', '.join(words)}"
            draw_frames(found, title, picture, log=log)
            typer.echo(f"{picture}: {', '.join(words)}")


def _protocol(names: Iterable[str]) -> CXIProtocol:
    """Return where the results lie."""
    places = {name: [f"/reduced/{name}"] for name in names}
    return CXIProtocol(dict.fromkeys(places, "number"), places, dict.fromkeys(places, "frame"))
