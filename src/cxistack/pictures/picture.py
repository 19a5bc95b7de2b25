"""Pictures of detector frames: bins for the screen, contrast, masked pixels in grey, PNG."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..written import write_whole
from .place import Place

__all__ = [
    "MOST_PIXELS",
    "Contrast",
    "Panel",
    "binned",
    "has_value",
    "limits",
    "needs_matplotlib",
    "new_figure",
    "norm",
    "save",
    "shrunk",
    "told",
]

MOST_PIXELS = 1400  # along an axis of a picture: more than its PNG can show


def new_figure(width: float, height: float) -> Any:
    """Return an empty :class:`matplotlib.figure.Figure` of that many inches.

    It belongs to no window system: without pyplot, Matplotlib draws with Agg.

    Raises
    ------
    ImportError
        Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as cause:
        raise needs_matplotlib() from cause
    return Figure(figsize=(width, height), layout="constrained")


def needs_matplotlib() -> ImportError:
    """Return what is raised where Matplotlib is not installed."""
    return ImportError(
        "a picture needs Matplotlib, which is not installed: pip install 'cxistack[plot]'"
    )


def save(figure: Any, path: Path) -> None:
    """Write a figure as a PNG file, whole or not at all."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=130, bbox_inches="tight")
    write_whole(path, drawn.getvalue())


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
    rows, columns = (-(-length // size) for length in frame.shape)
    return binned(frame, good, np.arange(rows) * size, np.arange(columns) * size)


def binned(
    frame: NDArray[Any], good: NDArray[np.bool_], tops: NDArray[Any], lefts: NDArray[Any]
) -> np.ma.MaskedArray[Any, Any]:
    """Average the good pixels of bins that begin at rows `tops` and columns `lefts`."""
    bottoms = [*tops[1:], frame.shape[0]]
    sums = np.empty((len(tops), len(lefts)))
    counts = np.empty(sums.shape, np.int64)
    # One row of bins at a time: little memory beside the frame.
    for row, (top, bottom) in enumerate(zip(tops, bottoms, strict=True)):
        band, used = frame[top:bottom], good[top:bottom]
        sums[row] = np.add.reduceat(band.sum(axis=0, where=used, dtype=np.float64), lefts)
        counts[row] = np.add.reduceat(used.sum(axis=0), lefts)
    return np.ma.masked_array(sums / np.maximum(counts, 1), counts == 0)


class Contrast(NamedTuple):
    """The values of the lowest and the highest colour; None: such that most good pixels differ."""

    vmin: float | None = None
    vmax: float | None = None
    log: bool = False
    percentiles: tuple[float, float] = (0.5, 99.5)  # what a few hot or zero pixels cannot move


_PLAIN = Contrast()


def limits(values: NDArray[Any], contrast: Contrast = _PLAIN) -> tuple[float, float]:
    """Return the values of the lowest and the highest colour, for the values of good pixels.

    Raises
    ------
    ValueError
        The limits are in the wrong order, or a logarithm is asked of what is not positive.
    """
    vmin, vmax, log, percentiles = contrast
    if log:
        values = values[values > 0]
        if not values.size or (vmin is not None and vmin <= 0):
            raise ValueError("a logarithmic scale needs values and limits above 0: leave out log")
    low, high = np.percentile(values, percentiles) if values.size else (0.0, 1.0)
    low = float(low) if vmin is None else vmin
    high = float(high) if vmax is None else vmax
    if high <= low and vmax is None and values.size:
        high = max(float(values.max()), low)  # nearly all pixels are equal: show those that are not
    if high == low:
        high = low * 2 if log else low + 1
    if high < low:
        raise ValueError(f"the scale would run from {low:g} to {high:g}: vmin is above vmax")
    return low, high


def told(value: float) -> str:
    """Return a value of a scale as people write it.

    Examples
    --------
    >>> told(12345.6), told(0.123456), told(2.5e13)
    ('12,346', '0.1235', '2.5e+13')
    """
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e12 else f"{value:.4g}"


def norm(values: NDArray[Any], contrast: Contrast = _PLAIN) -> Any:
    """Return the Matplotlib norm of these :func:`limits`."""
    from matplotlib.colors import LogNorm, Normalize

    return (LogNorm if contrast.log else Normalize)(*limits(values, contrast))


@dataclass(frozen=True)
class Panel:
    """A picture as it is drawn, with a title and a colour bar."""

    pixels: np.ma.MaskedArray[Any, Any]  # see shrunk
    scale: Any  # see norm
    place: Place
    title: str
    label: str  # beside the colour bar
    cmap: str = "viridis"
    masked: str = "0.72"  # the colour of masked pixels

    def draw(self, axes: Any, *, is_small: bool = False, has_bar: bool = True) -> Any:
        """Draw it at Matplotlib's `axes`, with axes and a colour bar unless it `is_small`."""
        from matplotlib import colormaps

        colours = colormaps[self.cmap].with_extremes(bad=self.masked)
        low = self.scale.vmin
        # A logarithm would mask what lies below the scale: it is the lowest colour instead.
        shown = np.ma.masked_array(np.maximum(self.pixels.filled(low), low), self.pixels.mask)
        look = {"norm": self.scale, "cmap": colours, "interpolation": "nearest"}
        image = axes.imshow(shown, extent=self.place.edges, **look)
        axes.set_title(self.title, fontsize="small" if is_small else "medium")
        if is_small:
            axes.set(xticks=[], yticks=[])
            return image
        unit = self.place.unit
        axes.set(xlabel=f"fast axis ({unit})", ylabel=f"slow axis ({unit})")
        if not has_bar:
            return image
        beside = axes.inset_axes((1.025, 0.0, 0.03, 1.0))  # as high as the picture
        bar = axes.figure.colorbar(image, cax=beside, label=self.label)
        bar.outline.set_visible(False)
        return image
