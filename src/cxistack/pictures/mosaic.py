"""Images side by side in one picture, as large as there is room, in one scale of colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import picture
from .colours import BEHIND, indexed

__all__ = ["Image", "mosaic"]

_GAP = 2  # pixels between images

Image: TypeAlias = np.ma.MaskedArray[Any, Any]


def mosaic(
    images: Sequence[Image], contrast: picture.Contrast, room: tuple[int, int]
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
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
    indices : ndarray of uint8
        Of :data:`~cxistack.pictures.colours.PALETTE`.
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
        (rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP), BEHIND, np.uint8
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
