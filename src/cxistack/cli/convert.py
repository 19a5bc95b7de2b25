"""``cxistack convert``: any run that can be read into one clean CXI file."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from ..converting import Conversion
from ..converting import convert as convert_run
from ..errors import AttributeMissingError
from ..protocol import CXIProtocol
from ..store import CXIStore
from ..transform import ComposeTransforms, Downscale, Transform
from .failure import failures_told
from .opening import FileNames, ProtocolFile, frame_choice, open_run
from .view import region

__all__ = ["convert"]


def convert(
    files: FileNames,
    output: Annotated[Path, typer.Argument(help="The new file.")],
    attributes: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="What is written; all that is found if not given."),
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(metavar="A:B:C", help="Which frames, as a slice or one number; all if none."),
    ] = None,
    crop: Annotated[
        tuple[int, int, int, int] | None,
        typer.Option(metavar="Y0 Y1 X0 X1", help="The region: rows Y0 to Y1, columns X0 to X1."),
    ] = None,
    downscale: Annotated[int, typer.Option(min=1, help="Take every Nth pixel.")] = 1,
    binning: Annotated[
        int, typer.Option("--bin", min=1, help="Sum N x N pixels (the mean of what is no count).")
    ] = 1,
    dtype: Annotated[
        str | None, typer.Option(help="Type of data; the stored one if not given.")
    ] = None,
    compression: Annotated[
        str,
        typer.Option(help="bitshuffle, bitshuffle-zstd, zstd, deflate, lz4 or none; deflate:6."),
    ] = "bitshuffle",
    force: Annotated[bool, typer.Option("--force", help="Replace OUTPUT if it is there.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="All cores if not given.")] = None,
    protocol: ProtocolFile = None,
) -> None:
    """Write the attributes of FILES into one new CXI file, frames of any number in little memory.

    The protocol says where the attributes of FILES are. OUTPUT appears when it is complete.
    """
    with failures_told(), open_run(files, protocol) as source:
        if output.exists() and not force:
            raise FileExistsError(
                errno.EEXIST, "is there already; --force replaces it", str(output)
            )
        names = [name.strip() for name in attributes.split(",")] if attributes else source.found
        for name in names:
            source.describe(name)  # says what is not known
        if not names:
            raise AttributeMissingError("none of the protocol's attributes is in the files")
        target = CXIStore(output, "w" if force else "x", protocol=_target(source, names))
        done = convert_run(
            source,
            target,
            names,
            frame_choice(frames),
            transform=_pixels(crop, downscale, binning),
            dtype=dtype,
            compression=compression,
            num_threads=threads,
            verbose=sys.stderr.isatty(),
        )
    _tell(output, done)


def _target(source: CXIStore, names: Iterable[str]) -> CXIProtocol:
    """Return the CXI protocol, and what it does not know as the source's has it."""
    target = CXIProtocol.import_named("cxi")
    given = source.protocol
    for attr in names:
        if attr not in target:
            paths = [path for path in given.load_paths[attr] if "{module}" not in path]
            target = target.add_attribute(
                attr,
                given.datatypes[attr],
                paths or f"/entry_1/instrument_1/detector_1/{attr}",
                given.get_kind(attr),
                "good" if given.datatypes[attr] == "bool" else None,
                given.get_unit(attr),
            )
    return target


def _pixels(
    crop: tuple[int, int, int, int] | None, downscale: int, binning: int
) -> Transform | None:
    steps = [region(crop, downscale), Downscale(binning, mode="sum") if binning > 1 else None]
    chosen = [step for step in steps if step is not None]
    return ComposeTransforms(chosen) if len(chosen) == 2 else next(iter(chosen), None)


def _tell(output: Path, done: Conversion) -> None:
    typer.echo(f"{output}: {done.frames} frames; {', '.join(done.written)}")
    for attr, how in done.changed.items():
        typer.echo(f"{attr}: {how}")
    for attr, why in done.left_out.items():
        typer.echo(f"{attr} is left out: {why}")
