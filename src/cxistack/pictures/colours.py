"""Colours of pixels without Matplotlib: viridis, and grey where there is no good value."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BEHIND", "GREY", "PALETTE", "gradient", "indexed", "png"]

# Every 15th of the 256 colours of viridis (S. van der Walt, N. Smith, 2015, CC0); lines between
# them are less than 5 of 255 from its own.
_VIRIDIS = (
    *(0x440154, 0x481769, 0x472A7A, 0x433D84, 0x3D4E8A, 0x355E8D, 0x2E6D8E, 0x297B8E, 0x23898E),
    *(0x1F978B, 0x21A585, 0x2EB37C, 0x46C06F, 0x65CB5E, 0x89D548, 0xB0DD2F, 0xD8E219, 0xFDE725),
)
_GREY = 0xB8B8B8
BEHIND = 255  #: Index of no pixel: what is behind the picture shows.
GREY = 254  #: Index of what is masked; those below are from the lowest to the highest value.


def _palette() -> NDArray[np.uint8]:
    """Return the (red, green, blue) of each index."""
    points = np.array([[one >> 16, one >> 8 & 255, one & 255] for one in _VIRIDIS])
    at = np.linspace(0, len(points) - 1, GREY)
    colours = [np.interp(at, np.arange(len(points)), column) for column in points.T]
    grey = [_GREY >> 16, _GREY >> 8 & 255, _GREY & 255]
    return np.vstack([np.rint(np.transpose(colours)), grey, [0, 0, 0]]).astype(np.uint8)


#: (red, green, blue) of each index, shape (256, 3); black is behind.
PALETTE = _palette()


def indexed(
    picture: np.ma.MaskedArray[Any, Any], low: float, high: float, *, log: bool = False
) -> NDArray[np.uint8]:
    """Return the index of each pixel's colour in :data:`PALETTE`.

    Values outside the limits have the lowest and the highest colour.

    Examples
    --------
    >>> indexed(np.ma.MaskedArray([[0.0, 5.0, 99.0, 1.0]], [[0, 0, 0, 1]]), 0, 10)
    array([[  0, 126, 253, 254]], dtype=uint8)
    """
    values = np.clip(picture.filled(low).astype(np.float64), low, high)
    if log:
        values, low, high = np.log(values), float(np.log(low)), float(np.log(high))
    places = np.rint((values - low) * ((GREY - 1) / (high - low)))
    return np.where(np.ma.getmaskarray(picture), GREY, places).astype(np.uint8)


def png(indices: NDArray[np.uint8]) -> bytes:
    """Return a PNG file of indices of colours.

    Raises
    ------
    ImportError
        Pillow is not installed, which comes with Matplotlib.
    """
    try:
        from PIL import Image
    except ImportError as cause:
        raise ImportError(
            "a picture needs Pillow, which is not installed: pip install 'cxistack[plot]'"
        ) from cause
    image = Image.fromarray(np.ascontiguousarray(indices), mode="P")
    image.putpalette(PALETTE.tobytes())
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True, transparency=BEHIND)
    return written.getvalue()


def gradient() -> str:
    """Return the colours from the lowest to the highest value, as CSS draws them."""
    return f"linear-gradient(to right,{','.join(f'#{one:06x}' for one in _VIRIDIS)})"
