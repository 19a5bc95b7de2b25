"""Pictures in a terminal: by its own graphics where it has them, else in half blocks of colour."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import picture
from .colours import BEHIND, GREY, PALETTE
from .mosaic import Image, mosaic

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["colour_bar", "graphics", "half_blocks", "with_graphics"]

_MOST_GRAPHICS = 1000  # pixels along an axis: what a terminal over ssh still takes at once


def half_blocks(indices: NDArray[np.uint8]) -> Text:
    """Return a picture as text: each character is two pixels, one above the other."""
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    if len(indices) % 2:
        indices = np.vstack([indices, np.full((1, indices.shape[1]), BEHIND, np.uint8)])
    colours = [Color.from_rgb(*map(int, one)) for one in PALETTE]
    text = Text(no_wrap=True, end="")
    for above, below in zip(indices[::2], indices[1::2], strict=True):
        ends = np.flatnonzero((np.diff(above) != 0) | (np.diff(below) != 0)) + 1
        for first, last in zip([0, *ends], [*ends, len(above)], strict=True):
            top, bottom = int(above[first]), int(below[first])
            if top == BEHIND:
                top, bottom, block = bottom, top, "▄"
            else:
                block = "▀"
            if top == BEHIND:
                text.append(" " * int(last - first))
                continue
            behind = None if bottom == BEHIND else colours[bottom]
            text.append(block * int(last - first), Style(color=colours[top], bgcolor=behind))
        text.append("\n")
    return text


def colour_bar(low: float, high: float, label: str, width: int, *, log: bool) -> Text:
    """Return the scale of a picture as a line of text."""
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    head, tail = f"{picture.told(low)} ", f" {picture.told(high)} {label}"
    tail += ", logarithmic" if log else ""
    text = Text(head, no_wrap=True)
    for one in np.linspace(0, GREY - 1, max(8, min(32, width - len(head) - len(tail)))):
        text.append("█", Style(color=Color.from_rgb(*map(int, PALETTE[int(one)]))))
    return text.append(tail)


def graphics() -> Any:
    """Return what renders an image by the terminal's own graphics, or None: it has none.

    The terminal is asked, and answers by its input: so both must be one, and tell their size.
    """
    both = (sys.__stdin__, sys.__stdout__)
    if any(one is None or not one.isatty() for one in both) or 0 in os.get_terminal_size(1):
        return None
    try:
        from textual_image.renderable import Image, SixelImage, TGPImage
    except ImportError:
        return None  # half blocks need no other library
    if Image in (SixelImage, TGPImage):
        return Image
    import termios

    termios.tcflush(0, termios.TCIFLUSH)  # an answer that comes late is no input
    return None


def with_graphics(
    renderable: Any, images: Sequence[Image], contrast: picture.Contrast
) -> tuple[Any, tuple[float, float]]:
    """Return what rich prints as a picture, and the limits of its colours."""
    from PIL import Image as PillowImage

    indices, limits = mosaic(images, contrast, (_MOST_GRAPHICS, _MOST_GRAPHICS))
    return renderable(PillowImage.fromarray(PALETTE[indices]), width="auto", height="auto"), limits
