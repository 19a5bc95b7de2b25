"""Where the pixels of a picture lie on the detector, in its pixels or in millimetres."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..transforms.base import Transform

__all__ = ["Extent", "Place", "place_of"]

Extent = tuple[float, float, float, float]


class Place(NamedTuple):
    """Where a picture lies: its edges as Matplotlib takes them, and what they are counted in.

    Attributes
    ----------
    edges : tuple of float
        Left, right, bottom, top. The centres of pixels are whole numbers; millimetres are those
        from the outer edge of the detector's first pixel.
    unit : str
        What the axes are labelled with.
    """

    edges: Extent
    unit: str = "pixel"


def place_of(
    shape: tuple[int, int],
    transform: Transform | None = None,
    pixel_size: tuple[float, float] | None = None,
) -> Place:
    """Return where a picture of a transformed frame lies on the detector.

    Where the transform does not tell where its pixels come from, or turns the axes of a frame, the
    picture is labelled with pixels of its own.

    Parameters
    ----------
    shape : (int, int)
        Shape (slow, fast) of what is shown.
    transform : Transform, optional
        What made it of whole frames.
    pixel_size : (float, float), optional
        Height and width of a pixel of the detector in millimetres, to give edges in these.

    Examples
    --------
    >>> from cxistack import Crop
    >>> place_of((10, 20), Crop([30, 40, 100, 120])).edges
    (99.5, 119.5, 39.5, 29.5)
    """
    rows, columns = shape
    x, y = np.array([-0.5, columns - 0.5]), np.array([-0.5, rows - 0.5])
    xs, ys = np.meshgrid(x, y)
    if transform is not None:
        try:
            xs, ys = transform.backward_points(xs, ys)
        except (NotImplementedError, ValueError):  # it does not say, or counts from a frame's end
            return Place(_edges(x, y), "pixel of the view")
        if np.ptp(xs, axis=0).any() or np.ptp(ys, axis=1).any():
            return Place(_edges(x, y), "pixel of the view")
        x, y = xs[0], ys[:, 0]
    if pixel_size is None:
        return Place(_edges(x, y))
    height, width = pixel_size
    return Place(_edges((x + 0.5) * width, (y + 0.5) * height), "mm")


def _edges(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> Extent:
    return float(x[0]), float(x[1]), float(y[1]), float(y[0])
