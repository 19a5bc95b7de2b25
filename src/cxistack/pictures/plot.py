"""One frame of a run at Matplotlib's axes: what ``store.plot`` does."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import AttributeMissingError, LayoutError
from ..protocol.protocol import cxi_unit
from ..protocol.units import conversion
from ..transforms.base import Transform
from . import picture
from .frames import Look, Run, frame_shown, grey_line, label_of, title_of
from .place import place_of

__all__ = ["Drawing", "pixel_size", "plot"]

_BINS = 2000  # pixels along an axis from which on several are shown as one


class Drawing(NamedTuple):
    """How one frame is drawn, beside its :class:`Look`.

    Attributes
    ----------
    module : int
        Which image of a frame of more axes than two.
    in_mm : bool
        Whether the axes are in millimetres.
    cmap : str
        Matplotlib's name of the colours.
    has_bar : bool
        Whether there is a colour bar.
    """

    module: int = 0
    in_mm: bool = False
    cmap: str = "viridis"
    has_bar: bool = True


def plot(
    run: Run,
    attr: str,
    number: int,
    ax: Any,
    transform: Transform | None,
    looks: tuple[Look, Drawing],
) -> Any:
    """Draw a frame at `ax`, or at axes of a new figure of pyplot where it is None; return them."""
    look, drawing = looks
    if ax is None:
        picture.new_figure(1, 1)  # raises before anything is read, where nothing can draw
    size = pixel_size(run) if drawing.in_mm else None
    frame = frame_shown(run, attr, number, transform, look)
    images = frame.reshape(-1, *frame.shape[-2:])
    if not -len(images) <= drawing.module < len(images):
        raise IndexError(
            f"module {drawing.module} is none of the {len(images)} of a frame of {attr!r}, "
            f"{frame.shape}"
        )
    one = images[drawing.module]
    bad = np.ma.getmaskarray(one)
    shown = picture.shrunk(one.data, ~bad, _BINS)
    scale = picture.norm(shown.compressed(), look.contrast)
    title = title_of(run, attr, number, frame)
    if len(images) > 1:
        title += f", module {drawing.module % len(images)} of {len(images)}"
    step = -(-max(one.shape) // _BINS)
    if step > 1:
        title += f"\nin bins of {step} × {step} pixels"
    title += grey_line(int(bad.sum()))
    place = place_of(one.shape, transform, size)
    label = label_of(run, attr, frame.dtype)
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.figure(figsize=(8, 6.4), layout="constrained").subplots()
    panel = picture.Panel(shown, scale, place, title, label, drawing.cmap)
    panel.draw(ax, has_bar=drawing.has_bar)
    return ax


def pixel_size(run: Run) -> tuple[float, float]:
    """Return the height and the width of a pixel of the detector, in millimetres.

    Raises
    ------
    AttributeMissingError
        The files have no such attributes.
    LayoutError
        They are no lengths, or not one number each.
    """
    height, width = (_millimetres(run, attr) for attr in ("y_pixel_size", "x_pixel_size"))
    return height, width


def _millimetres(run: Run, attr: str) -> float:
    if attr not in run:
        raise AttributeMissingError(
            f"axes in millimetres need {attr}, which the files do not have where the protocol looks"
        )
    values = np.ravel(run.load_attribute(attr, verbose=False))
    unit = run._unit(attr) or cxi_unit(attr) or "m"
    if len(values) != 1 or not np.isfinite(values[0]) or values[0] <= 0:
        raise LayoutError(f"axes in millimetres need one length as {attr}, not {values.tolist()}")
    try:
        found = conversion(unit, "mm")
    except ValueError as error:
        raise LayoutError(f"axes in millimetres: {attr} is in {unit!r}: {error}") from None
    return float(values[0] if found is None else found.apply(values)[0])
