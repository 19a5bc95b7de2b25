"""Pictures of detector frames: bins for the screen, contrast, masked pixels in grey, PNG."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import CXIError

__all__ = [
    "MOST_PIXELS",
    "Contrast",
    "Extent",
    "Panel",
    "extent",
    "has_value",
    "new_figure",
    "norm",
    "save",
    "shrunk",
]

Extent = tuple[float, float, float, float]
MOST_PIXELS = 1400  # along an axis of a picture: more than its PNG can show
_PERCENTILES = (0.5, 99.5)  # what a few hot or zero pixels cannot move


def new_figure(width: float, height: float) -> Any:
    """Return an empty :class:`matplotlib.figure.Figure` of that many inches.

    It belongs to no window system: without pyplot, Matplotlib draws with Agg.

    Raises
    ------
    CXIError
        Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as cause:
        raise CXIError(
            "a picture needs Matplotlib, which is not installed: pip install 'cxistack[plot]'"
        ) from cause
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path) -> None:
    """Write a figure as a PNG file."""
    figure.savefig(path, format="png", dpi=130, bbox_inches="tight")


def has_value(frame: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which pixels hold a value, and not the mark of a gap.

    Detectors mark a pixel that is not there with the largest unsigned integer (DECTRIS, SIMPLON
    API: "pixels in gaps are set to 2^n - 1") or with -1, and programs mark it with NaN.
    """
    has: NDArray[np.bool_] = np.ones(frame.shape, dtype=bool)
    if frame.dtype.kind == "f":
        np.isfinite(frame, out=has)
    elif frame.dtype.kind == "u" and frame.dtype.itemsize > 1:
        np.not_equal(frame, np.iinfo(frame.dtype).max, out=has)
    elif frame.dtype.kind == "i":
        np.not_equal(frame, -1, out=has)
    return has


def shrunk(
    frame: NDArray[Any], good: NDArray[np.bool_], most: int = MOST_PIXELS
) -> np.ma.MaskedArray[Any, Any]:
    """Average the good pixels of square bins, as small as they may be for a picture.

    Parameters
    ----------
    frame : ndarray, shape (ss, fs)
        A frame.
    good : ndarray of bool, shape (ss, fs)
        Its good pixels.
    most : int
        How many pixels the picture may have along an axis.

    Returns
    -------
    numpy.ma.MaskedArray of float64
        The picture; a bin without any good pixel is masked.
    """
    size = max(1, -(-max(frame.shape) // most))
    if size == 1:
        return np.ma.masked_array(frame.astype(np.float64), ~good)
    tops = np.arange(0, frame.shape[0], size)
    lefts = np.arange(0, frame.shape[1], size)
    sums = np.empty((len(tops), len(lefts)))
    counts = np.empty(sums.shape, np.int64)
    for row, top in enumerate(tops):  # one row of bins at a time: little memory beside the frame
        band, used = frame[top : top + size], good[top : top + size]
        sums[row] = np.add.reduceat(band.sum(axis=0, where=used, dtype=np.float64), lefts)
        counts[row] = np.add.reduceat(used.sum(axis=0), lefts)
    return np.ma.masked_array(sums / np.maximum(counts, 1), counts == 0)


class Contrast(NamedTuple):
    """The values of the lowest and the highest colour; None: such that most good pixels differ."""

    vmin: float | None = None
    vmax: float | None = None
    log: bool = False


_PLAIN = Contrast()


def norm(values: NDArray[np.float64], contrast: Contrast = _PLAIN) -> Any:
    """Return the Matplotlib norm that shows most of the values, which are those of good pixels.

    Raises
    ------
    ValueError
        The limits are in the wrong order, or a logarithm is asked of what is not positive.
    """
    from matplotlib.colors import LogNorm, Normalize

    vmin, vmax, log = contrast
    if log:
        values = values[values > 0]
        if not values.size or (vmin is not None and vmin <= 0):
            raise ValueError("a logarithmic scale needs values and limits above 0: leave out --log")
    low, high = np.percentile(values, _PERCENTILES) if values.size else (0.0, 1.0)
    low = float(low) if vmin is None else vmin
    high = float(high) if vmax is None else vmax
    if high <= low and vmax is None and values.size:
        high = max(float(values.max()), low)  # nearly all pixels are equal: show those that are not
    if high == low:
        high = low * 2 if log else low + 1
    if high < low:
        raise ValueError(f"the scale would run from {low:g} to {high:g}: --vmin is above --vmax")
    return (LogNorm if log else Normalize)(low, high)


def extent(shape: tuple[int, int], origin: tuple[int, int] = (0, 0), step: int = 1) -> Extent:
    """Return where a picture lies on the detector: left, right, bottom, top, in its pixels."""
    (rows, columns), (top, left) = shape, origin
    return (left - 0.5, left + columns * step - 0.5, top + rows * step - 0.5, top - 0.5)


@dataclass(frozen=True)
class Panel:
    """A picture as it is drawn, with a title and a colour bar."""

    pixels: np.ma.MaskedArray[Any, Any]  # see shrunk
    scale: Any  # see norm
    place: Extent
    title: str
    label: str  # beside the colour bar
    cmap: str = "viridis"
    masked: str = "0.72"  # the colour of masked pixels

    def draw(self, axes: Any, *, is_small: bool = False) -> Any:
        """Draw it at Matplotlib's `axes`, with a colour bar and axes unless it `is_small`."""
        from matplotlib import colormaps

        colours = colormaps[self.cmap].with_extremes(bad=self.masked)
        low = self.scale.vmin
        # A logarithm would mask what lies below the scale: it is the lowest colour instead.
        shown = np.ma.masked_array(np.maximum(self.pixels.filled(low), low), self.pixels.mask)
        look = {"norm": self.scale, "cmap": colours, "interpolation": "nearest"}
        image = axes.imshow(shown, extent=self.place, **look)
        axes.set_title(self.title, fontsize="small" if is_small else "medium")
        if is_small:
            axes.set(xticks=[], yticks=[])
            return image
        axes.set(xlabel="fast axis (pixel)", ylabel="slow axis (pixel)")
        beside = axes.inset_axes((1.025, 0.0, 0.03, 1.0))  # as high as the picture
        bar = axes.figure.colorbar(image, cax=beside, label=self.label)
        bar.outline.set_visible(False)
        return image
