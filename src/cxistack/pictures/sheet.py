"""Several frames on one sheet, each with its number and its mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import LayoutError
from ..transforms.base import Transform
from . import picture
from .frames import Look, Run, frame_shown, grey_line, label_of, run_name, size_of
from .place import place_of

__all__ = ["MOST_FRAMES", "Sheet", "sheet"]

MOST_FRAMES = 100  # of a sheet: more could not be told apart
_PLAIN = Look()


class Sheet(NamedTuple):
    """Several frames in one figure.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        They, in one scale of colours.
    title : str
        What is shown.
    """

    figure: Any
    title: str


def sheet(
    store: Run,
    attr: str,
    numbers: Sequence[int],
    transform: Transform | None,
    look: Look = _PLAIN,
) -> Sheet:
    """Draw frames of a stack beside one another, each with its number and its mask.

    Raises
    ------
    ValueError
        They are too many for one sheet.
    LayoutError
        The attribute has no frames to choose from.
    """
    if attr in store and not store.is_indexed(attr):
        raise LayoutError(f"{attr!r} is one image: there are no frames of it to choose from")
    if len(numbers) > MOST_FRAMES:
        raise ValueError(f"a sheet shows up to {MOST_FRAMES} frames, and these are {len(numbers)}")
    side = math.ceil(math.sqrt(len(numbers)))
    pictures, bad = [], 0
    for number in numbers:
        frame = frame_shown(store, attr, number, transform, look)
        bad += int(np.ma.getmaskarray(frame).sum())
        flat = frame.reshape(-1, frame.shape[-1])
        most = picture.MOST_PIXELS // side
        pictures.append(picture.shrunk(flat.data, ~np.ma.getmaskarray(flat), most))
    scale = picture.norm(np.concatenate([one.compressed() for one in pictures]), look.contrast)
    rows = math.ceil(len(numbers) / side)
    height, wide = pictures[0].shape
    figure = picture.new_figure(10, min(max(8.4 * rows * height / (side * wide) + 1.4, 3), 14))
    axes = figure.subplots(rows, side, squeeze=False)
    for place, one, number in zip(axes.flat, pictures, numbers, strict=False):
        where = place_of(one.shape)
        panel = picture.Panel(one, scale, where, f"frame {number}", attr)
        image = panel.draw(place, is_small=True)
    for place in axes.flat[len(numbers) :]:
        place.set_visible(False)
    figure.colorbar(image, ax=axes, label=label_of(store, attr, frame.dtype), shrink=0.8)
    title = f"{attr}, {len(numbers)} frames from {numbers[0]} to {numbers[-1]}, "
    title += f"{size_of(frame.shape)} {frame.dtype}"
    figure.suptitle(f"{run_name(store)}: {title}{grey_line(bad)}", fontsize="medium")
    return Sheet(figure, title)
