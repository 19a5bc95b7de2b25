"""Curves of a report: drawn twice, for light and for dark pages, with nothing behind them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..pictures import picture
from ..protocol.units import conversion

__all__ = ["Curve", "counts_curve", "positions_curve"]

_INK = {"light": ("#1d2127", "#1f6fb2"), "dark": ("#e4e7eb", "#62b0f0")}  # text, line
_SIZE = (4.6, 2.9)  # inches: so that the text is read on a phone, too
_FEW = 60  # points that are marked each
_PATH = 500  # points up to which the way from one to the next is drawn, too


class Curve(NamedTuple):
    """A plot as two PNG files, and a sentence that says what it shows."""

    light: bytes
    dark: bytes
    caption: str


def counts_curve(numbers: NDArray[np.int64], counts: NDArray[np.float64]) -> Curve:
    """Draw the sum of the good pixels of each frame."""

    def draw(axes: Any, line: str) -> None:
        marker = "o" if len(numbers) <= _FEW else ""
        axes.plot(numbers, counts, color=line, lw=1, marker=marker, ms=3)
        axes.set(xlabel="frame", ylabel="sum of good pixels")
        axes.margins(x=0.01)
        if 0 <= counts.min() < counts.max() / 2:  # what is lost shows against nothing
            axes.set_ylim(0, None)

    least, most = int(np.argmin(counts)), int(np.argmax(counts))
    caption = (
        f"Sum of the good pixels of each frame: from {picture.told(counts[least])} (frame "
        f"{numbers[least]}) to {picture.told(counts[most])} (frame {numbers[most]}), median "
        f"{picture.told(float(np.median(counts)))}."
    )
    light, dark = _drawn(draw)
    return Curve(light, dark, caption)


def positions_curve(
    name: str, positions: NDArray[Any], numbers: NDArray[np.int64], unit: str | None
) -> Curve:
    """Draw where each frame was taken: the two axes along which positions differ most.

    Parameters
    ----------
    name : str
        The attribute.
    positions : ndarray, shape (frames, axes)
        Of the frames of `numbers`.
    numbers : ndarray of int64, shape (frames,)
        Frames, which colours tell.
    unit : str or None
        Of the positions.
    """
    positions, unit = _readable(positions.astype(np.float64), unit)
    spans = np.ptp(positions, axis=0)
    chosen = sorted(np.argsort(spans)[::-1][:2].tolist())
    label = f" ({unit.replace('um', 'µm')})" if unit else ""

    def draw(axes: Any, line: str) -> None:
        if len(chosen) < 2:
            axes.plot(numbers, positions[:, 0], color=line, lw=1, marker="o", ms=2)
            axes.set(xlabel="frame", ylabel=f"{name}{label}")
            return
        x, y = positions[:, chosen[0]], positions[:, chosen[1]]
        if len(x) <= _PATH:
            axes.plot(x, y, color=line, lw=0.5, alpha=0.5)
        edges = {"edgecolors": line, "linewidths": 0.3}  # the darkest are seen on dark paper, too
        points = axes.scatter(x, y, c=numbers, s=9, cmap="viridis", zorder=2, **edges)
        axes.set(xlabel=f"axis {chosen[0]}{label}", ylabel=f"axis {chosen[1]}{label}")
        if min(spans[chosen]) > 0.05 * max(spans[chosen]):
            axes.set_aspect("equal", adjustable="datalim")
        bar = axes.figure.colorbar(points, ax=axes, label="frame", pad=0.02)
        bar.outline.set_visible(False)

    ends = [(picture.told(one.min() + 0.0), picture.told(one.max() + 0.0)) for one in positions.T]
    told = "; ".join(
        f"axis {axis} from {low} to {high}" if low != high else f"axis {axis} at {low}"
        for axis, (low, high) in enumerate(ends)
    )
    light, dark = _drawn(draw)
    return Curve(light, dark, f"{name}, {len(positions)} frames{label}: {told}.")


def _readable(
    values: NDArray[np.float64], unit: str | None
) -> tuple[NDArray[np.float64], str | None]:
    """Return positions in a unit in which they are neither tiny nor huge, where they are in m."""
    if unit is None or not values.size:
        return values, unit
    span = float(np.nanmax(np.abs(values)))
    for other, least in (("m", 1.0), ("mm", 1e-3), ("um", 1e-6), ("nm", 1e-9)):
        if unit == "m" and other != "m" and 0 < span < least * 1e3 and span >= least:
            found = conversion(unit, other)
            return (values if found is None else found.apply(values)), other
    return values, unit


def _drawn(draw: Callable[[Any, str], None]) -> list[bytes]:
    """Return the PNG files of a plot in the colours of a light and of a dark page."""
    pages = []
    for text, line in _INK.values():
        figure = picture.new_figure(*_SIZE)
        axes = figure.subplots()
        draw(axes, line)
        for one in figure.axes:
            _recolour(one, text)
        written = io.BytesIO()
        figure.savefig(written, format="png", dpi=160, transparent=True)
        pages.append(written.getvalue())
    return pages


def _recolour(axes: Any, text: str) -> None:
    axes.tick_params(colors=text, labelsize=10)
    for one in (axes.xaxis, axes.yaxis):
        one.label.set(color=text, fontsize=11)
        one.get_offset_text().set(color=text, fontsize=10)
    for name, spine in axes.spines.items():
        spine.set_color(text)
        if name in ("top", "right"):
            spine.set_visible(False)
