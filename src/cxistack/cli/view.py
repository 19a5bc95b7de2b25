"""``cxistack view``: a frame, or several, in the terminal or as a PNG picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ..errors import LayoutError
from ..pictures import picture
from ..pictures.frames import Look, frame_shown, grey_line, label_of, size_of, title_of
from ..pictures.place import Place, place_of
from ..pictures.sheet import MOST_FRAMES, sheet
from ..store.store import CXIStore
from ..transforms.base import Transform
from ..transforms.transforms import ComposeTransforms, Crop, Downscale
from .failure import failures_told
from .opening import (
    ChannelName,
    CropTo,
    DetectorName,
    EveryNth,
    FileNames,
    ProtocolFile,
    frame_choice,
    open_run,
)
from .terminal import draws_pictures, show

__all__ = ["region", "view"]


def view(
    files: FileNames,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The PNG file; without it, a terminal is drawn in."),
    ] = None,
    in_terminal: Annotated[
        bool,
        typer.Option("--terminal", help="Draw in half blocks of colour, into a pipe, too."),
    ] = False,
    attribute: Annotated[str, typer.Option(help="A stack or a frame of the protocol.")] = "data",
    frame: Annotated[int, typer.Option(help="Which frame of a stack; -1 is the last.")] = 0,
    frames: Annotated[
        str | None, typer.Option(metavar="A:B:C", help="Several frames on one sheet, as a slice.")
    ] = None,
    crop: CropTo = None,
    downscale: EveryNth = 1,
    dtype: Annotated[
        str | None, typer.Option(help="Type to load as; one that keeps every value if not given.")
    ] = None,
    vmin: Annotated[float | None, typer.Option(help="Value of the lowest colour.")] = None,
    vmax: Annotated[float | None, typer.Option(help="Value of the highest colour.")] = None,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic colours.")] = False,
    use_mask: Annotated[
        bool, typer.Option("--mask/--no-mask", help="Show the mask's bad pixels in grey.")
    ] = True,
    protocol: ProtocolFile = None,
    detector: DetectorName = None,
    channel: ChannelName = None,
) -> None:
    """Draw one frame of FILES, or several; masked pixels and gaps are grey.

    The picture is drawn in the terminal, by its own graphics where it has them and textual-image
    is installed (the extra "terminal"). With -o, and where there is no terminal
    (frame.png), it is a PNG file.
    """
    with failures_told(), open_run(files, protocol, detector, channel) as store:
        look = Look(dtype, use_mask, picture.Contrast(vmin, vmax, log), _note)
        transform = region(crop, downscale)
        numbers = None if frames is None else _numbers(store, attribute, frames)
        if in_terminal and output is not None:
            raise ValueError("--terminal and -o are two places for one picture: give one")
        if in_terminal or (output is None and draws_pictures()):
            several = [frame] if numbers is None else numbers
            show(store, attribute, several, transform, look, use_graphics=not in_terminal)
            return
        output = output or Path("frame.png")
        if numbers is not None:
            page = sheet(store, attribute, numbers, transform, look)
            picture.save(page.figure, output)
            typer.echo(f"{output}: {page.title}")
            return
        figure = picture.new_figure(8, 6.4)
        shown = frame_shown(store, attribute, frame, transform, look)
        title = title_of(store, attribute, frame, shown)
        title += grey_line(int(np.ma.getmaskarray(shown).sum()))
        where = place_of(shown.shape[-2:], transform)
        label = label_of(store, attribute, shown.dtype)
        _draw(figure, shown, look.contrast, where, title, label)
        picture.save(figure, output)
    typer.echo(f"{output}: {attribute} {size_of(shown.shape)} {shown.dtype}")


def _note(text: str) -> None:
    typer.echo(f"Note: {text}", err=True)


def _numbers(store: CXIStore, attr: str, frames: str) -> list[int]:
    """Return the numbers of the frames that ``--frames`` names."""
    if attr in store and not store.is_indexed(attr):
        raise LayoutError(f"{attr!r} is one image: leave --frames out")
    total = store.describe(attr)[0][0] if attr in store else 0
    chosen = frame_choice(frames)
    if isinstance(chosen, slice):
        one = chosen
    else:
        one = slice(chosen, None if chosen in (None, -1) else chosen + 1)
    numbers = list(range(*one.indices(total)))
    if not numbers and total:
        raise ValueError(f"--frames {frames} is none of the {total} frames of {attr!r}")
    if len(numbers) > MOST_FRAMES:
        step = -(-len(numbers) // MOST_FRAMES)
        raise ValueError(
            f"--frames {frames} is {len(numbers)} frames, and a sheet shows up to {MOST_FRAMES}: "
            f"take every {step}th (A:B:{step})"
        )
    return numbers or [0]  # what cannot be loaded says so itself


def region(
    crop: tuple[int, int, int, int] | None, downscale: int, binning: int = 1
) -> Transform | None:
    """Return what --crop, --downscale and --bin ask for together; None for all pixels."""
    steps: list[Transform] = []
    if crop is not None:
        if min(crop) < 0:
            raise ValueError(f"--crop counts rows and columns from 0, not from {min(crop)}")
        steps.append(Crop(crop))
    if downscale > 1:
        steps.append(Downscale(downscale))
    if binning > 1:
        steps.append(Downscale(binning, mode="sum"))
    if len(steps) > 1:
        return ComposeTransforms(steps)
    return steps[0] if steps else None


def _draw(
    figure: Any,
    frame: np.ma.MaskedArray[Any, Any],
    contrast: picture.Contrast,
    where: Place,
    title: str,
    label: str,
) -> None:
    """Draw a frame, or each module of a frame of more axes than two, in one scale of colours."""
    modules = list(frame.reshape(-1, *frame.shape[-2:]))
    columns = math.ceil(math.sqrt(len(modules)))
    grid = figure.subplots(math.ceil(len(modules) / columns), columns, squeeze=False).flat
    most = picture.MOST_PIXELS // columns
    pictures = [picture.shrunk(one.data, ~np.ma.getmaskarray(one), most) for one in modules]
    scale = picture.norm(np.concatenate([one.compressed() for one in pictures]), contrast)
    for number, (axes, one) in enumerate(zip(grid, pictures, strict=False)):
        head = title if len(modules) == 1 else f"module {number}"
        picture.Panel(one, scale, where, head, label).draw(axes)
    if len(modules) > 1:
        figure.suptitle(title, fontsize="medium")
        for axes in list(grid)[len(modules) :]:
            axes.set_visible(False)
