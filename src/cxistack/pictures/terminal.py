"""Pictures in a terminal: by its own graphics where it has them, else in half blocks of colour."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import picture
from .colours import PALETTE, indexed

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["BEHIND", "colour_bar", "graphics", "half_blocks", "mosaic", "with_graphics"]

BEHIND = -1  #: Index of a pixel that is none: what is behind shows.
_GAP = 2  # pixels between the images of a mosaic
_MOST_GRAPHICS = 1000  # pixels along an axis: what a terminal over ssh still takes at once

Image = np.ma.MaskedArray[Any, Any]


def mosaic(
    images: Sequence[Image], contrast: picture.Contrast, room: tuple[int, int]
) -> tuple[NDArray[np.int16], tuple[float, float]]:
    """Return images side by side as indices of colours, as large as there is room for.

    Parameters
    ----------
    images : sequence of MaskedArray, shape (ss, fs)
        Images of one shape.
    contrast : Contrast
        The one scale of all.
    room : (int, int)
        How many rows and columns of pixels there may be.

    Returns
    -------
    indices : ndarray of int16
        Of :data:`~cxistack.pictures.colours.PALETTE`, or :data:`BEHIND`.
    limits : (float, float)
        The values of the lowest and the highest colour.
    """
    rows, columns = _grid(len(images), images[0].shape, room)
    high = max(1, (room[0] - _GAP * (rows - 1)) // rows)
    wide = max(1, (room[1] - _GAP * (columns - 1)) // columns)
    small = [_fitted(one, high, wide) for one in images]
    limits = picture.limits(np.concatenate([one.compressed() for one in small]), contrast)
    height, width = small[0].shape
    times = max(1, min(high // height, wide // width))
    height, width = height * times, width * times
    whole = np.full(
        (rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP), BEHIND, np.int16
    )
    for number, one in enumerate(small):
        row, column = divmod(number, columns)
        top, left = row * (height + _GAP), column * (width + _GAP)
        pixels = indexed(one, *limits, log=contrast.log)
        whole[top : top + height, left : left + width] = pixels.repeat(times, 0).repeat(times, 1)
    return whole, limits


def _fitted(image: Image, high: int, wide: int) -> Image:
    """Return an image that is no larger than there is room, of bins of nearly equal size."""
    good = ~np.ma.getmaskarray(image)
    scale = min(high / image.shape[0], wide / image.shape[1], 1.0)
    starts = [
        np.linspace(0, length, max(1, round(length * scale)), endpoint=False).astype(np.intp)
        for length in image.shape
    ]
    return picture.binned(image.data, good, *starts)


def _grid(count: int, shape: tuple[int, ...], room: tuple[int, int]) -> tuple[int, int]:
    """Return the rows and columns of a grid in which images are as large as can be."""

    def scale(columns: int) -> float:
        rows = math.ceil(count / columns)
        return min(room[0] / (rows * shape[0]), room[1] / (columns * shape[1]))

    columns = max(range(1, count + 1), key=scale)
    return math.ceil(count / columns), columns


def half_blocks(indices: NDArray[np.int16]) -> Text:
    """Return a picture as text: each character is two pixels, one above the other."""
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    if len(indices) % 2:
        indices = np.vstack([indices, np.full((1, indices.shape[1]), BEHIND, np.int16)])
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
    for one in np.linspace(0, 254, max(8, min(32, width - len(head) - len(tail)))):
        text.append("█", Style(color=Color.from_rgb(*map(int, PALETTE[int(one)]))))
    return text.append(tail)


def graphics() -> Any:
    """Return what renders an image by the terminal's own graphics, or None: it has none.

    The terminal is asked, and answers by its input: so both must be one.
    """
    if not (
        sys.__stdout__ and sys.__stdout__.isatty() and sys.__stdin__ and sys.__stdin__.isatty()
    ):
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
    colours = np.vstack([PALETTE, np.zeros((1, 3), np.uint8)])  # black is behind: the last one
    return renderable(PillowImage.fromarray(colours[indices]), width="auto", height="auto"), limits
