"""``cxistack convert``: any run that can be read into one clean CXI file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from ..catalogue.modules import is_pattern
from ..converting.convert import Conversion
from ..converting.convert import convert as convert_run
from ..protocol.fields import columns_of
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
    listed,
    new_file,
    open_run,
)
from .view import region

__all__ = ["convert"]

_OTHER_ENTRY = re.compile(r"/entry_(?!1/)\w+/")  # CXI numbers its entries, and this file has one
Binned = Annotated[
    int,
    typer.Option("--bin", min=1, help="Sum N x N pixels; take the mean of other than counts."),
]
ByFrame = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,...", help="Scalars of the protocol that have a value for each frame."
    ),
]
IsVirtual = Annotated[
    bool,
    typer.Option(
        "--virtual", help="Leave the frames in FILES: OUTPUT is small, and virtual over them."
    ),
]


def convert(
    files: FileNames,
    output: Annotated[Path, typer.Argument(help="The new file.")],
    attributes: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="What is written; all that is found if not given."),
    ] = None,
    frames: Frames = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A=FILE", help="The file whose value of A is written, where files differ."
        ),
    ] = None,
    by_frame: ByFrame = None,
    crop: CropTo = None,
    downscale: EveryNth = 1,
    binning: Binned = 1,
    dtype: Annotated[
        str | None, typer.Option(help="Type of data; the stored one if not given.")
    ] = None,
    compression: Annotated[
        str,
        typer.Option(help="bitshuffle, bitshuffle-zstd, zstd, deflate, lz4 or none; deflate:6."),
    ] = "bitshuffle",
    virtual: IsVirtual = False,
    force: Force = False,
    cluster: ClusterAddress = None,
    threads: Threads = None,
    protocol: ProtocolFile = None,
    detector: DetectorName = None,
    channel: ChannelName = None,
) -> None:
    """Write the attributes of FILES into one new CXI file, frames of any number in little memory.

    The protocol says where the attributes of FILES are. OUTPUT appears when it is complete. With
    --cluster, the workers write frames into files in a folder beside it.
    """
    with (
        failures_told(),
        open_run(files, protocol, detector, channel) as run,
        connected(cluster) as client,
    ):
        mode = new_file(output, run, force)
        names = listed(attributes) if attributes is not None else run.found
        target = CXIStore(output, mode, protocol=_target(run.protocol, names))
        done = convert_run(
            run,
            target,
            names,
            frame_choice(frames),
            transform=region(crop, downscale, binning),
            dtype=dtype,
            sources=_sources(source or []),
            by_frame=listed(by_frame or ""),
            compression=compression,
            num_threads=threads,
            virtual=virtual,
            client=client,
            verbose=True,
        )
    _report(output, done, target)


def _sources(words: list[str]) -> dict[str, str | int]:
    """Return the files that ``--source`` names, by attribute."""
    sources: dict[str, str | int] = {}
    for word in words:
        attr, equals, file = word.partition("=")
        if not (equals and attr and file):
            raise ValueError(f"--source takes ATTRIBUTE=FILE, such as distance=a.cxi, not {word!r}")
        sources[attr.strip()] = file
    return sources


def _target(run: CXIProtocol, names: Iterable[str]) -> CXIProtocol:
    """Return the CXI protocol; what it does not know, or otherwise, is as in the run's."""
    cxi = target = CXIProtocol.import_named("cxi")
    taken = {path for attr in cxi for path in cxi.attribute(attr).paths if attr in names}
    for attr in names:
        if attr not in run:
            continue
        one = run.attribute(attr)
        if attr in cxi and cxi.attribute(attr).is_like(one):
            continue
        paths = [
            path
            for path in one.paths
            if path not in taken and not (is_pattern(path) or columns_of(path))
        ]
        target = target.add_attribute(
            attr,
            one.datatype,
            [path for path in paths if not _OTHER_ENTRY.match(path)]
            or f"/entry_1/instrument_1/detector_1/{attr}",
            one.kind,
            "good" if one.is_mask else None,
            one.unit,
        )
    return target


def _report(output: Path, done: Conversion, target: CXIStore) -> None:
    typer.echo(f"{output}: {done.frames} frames; {', '.join(done.written)}")
    for attr in done.virtual:
        where = "stay where they are"
        if done.parts:
            count, folder = len(done.parts), Path(done.parts[0]).parent
            where = f"are in {count} file{'s' if count > 1 else ''} in {folder}"
        typer.echo(f"{attr}: its frames {where}; move {output} together with them")
    outcomes = (("", done.changed), (" is written whole", done.whole))
    for outcome, told in (*outcomes, (" is left out", done.left_out)):
        for attr, why in told.items():
            typer.echo(f"{attr}{outcome}: {why}")
    typer.echo(f'Read it by --protocol cxi (protocol="cxi" in Python){_elsewhere(done, target)}')


def _elsewhere(done: Conversion, target: CXIStore) -> str:
    """Return where those attributes are that the CXI protocol does not look for."""
    cxi = CXIProtocol.import_named("cxi")
    places = [
        f"{attr} at {target.find_dataset(attr)}"
        for attr in done.written
        if attr not in cxi or not cxi.attribute(attr).is_like(target.protocol.attribute(attr))
    ]
    return f", which does not know {', '.join(places)}" if places else ""
