"""Frames drawn in the terminal: the picture, and lines that say what it shows."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console

from ..pictures import terminal
from ..pictures.frames import Look, frame_shown, grey_line, label_of, run_name, size_of, title_of
from ..pictures.mosaic import mosaic
from ..pictures.place import place_of
from ..store.store import CXIStore
from ..transforms.base import Transform

__all__ = ["draws_pictures", "show"]

_LINES = 5  # of text around a picture, the prompt's among them


def draws_pictures() -> bool:
    """Tell whether the standard output is a terminal that shows colours."""
    return sys.stdout.isatty() and Console().color_system is not None


def show(
    store: CXIStore,
    attr: str,
    numbers: Sequence[int],
    transform: Transform | None,
    look: Look,
    *,
    use_graphics: bool,
) -> None:
    """Draw frames, or their modules, as large as the terminal is.

    Raises
    ------
    ValueError
        The environment forbids colours.
    """
    if os.environ.get("NO_COLOR"):
        raise ValueError("NO_COLOR is set, and a picture is colours: give -o frame.png")
    console = Console(highlight=False) if use_graphics else _pipe()
    loaded = [frame_shown(store, attr, number, transform, look) for number in numbers]
    images = [one for frame in loaded for one in frame.reshape(-1, *frame.shape[-2:])]
    bad = sum(int(np.ma.getmaskarray(one).sum()) for one in images)
    if len(loaded) == 1:
        title = title_of(store, attr, numbers[0], loaded[0])
    else:
        title = f"{run_name(store)}: {attr}, {len(numbers)} frames from {numbers[0]} to "
        title += f"{numbers[-1]}, row by row, {size_of(loaded[0].shape)} {loaded[0].dtype}"
    renderable = terminal.graphics() if use_graphics else None
    rows, columns = max(1, console.height - _LINES), console.width
    drawn: Any
    if renderable is None:
        room = (2 * rows, columns)
        indices, limits = mosaic(images, look.contrast, room)
        drawn = terminal.half_blocks(indices)
    else:
        drawn, limits = terminal.with_graphics(renderable, images, look.contrast)
    console.print(title + grey_line(bad).replace("\n", "; "), markup=False)
    console.print(drawn, height=rows, end="")
    label = label_of(store, attr, loaded[0].dtype)
    console.print(terminal.colour_bar(*limits, label, columns, log=look.contrast.log))
    left, right, bottom, top = place_of(loaded[0].shape[-2:], transform).edges
    console.print(
        f"rows {top + 0.5:g} to {bottom - 0.5:g} downwards, "
        f"columns {left + 0.5:g} to {right - 0.5:g}",
    )
    if console.color_system == "standard":
        console.print("This terminal says that it has 16 colours: COLORTERM=truecolor gives more")


def _pipe() -> Console:
    """Return a console that writes colours wherever the output goes."""
    return Console(highlight=False, force_terminal=True, color_system="truecolor")
