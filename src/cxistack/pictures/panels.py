"""Results that are frames, side by side in one picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import picture
from .place import place_of

__all__ = ["draw_frames"]


def draw_frames(
    frames: Mapping[str, NDArray[Any]], title: str, output: Path, *, log: bool = False
) -> None:
    """Draw frames of (..., ss, fs) by their names; of more axes than two, the first module."""
    columns = math.ceil(math.sqrt(len(frames)))
    rows = math.ceil(len(frames) / columns)
    figure = picture.new_figure(1 + 6 * columns, 1 + 4.8 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes, (name, frame) in zip(grid, frames.items(), strict=False):
        one = np.asarray(frame).reshape(-1, *frame.shape[-2:])
        values = one[0].astype(np.float64)
        shown = picture.shrunk(values, np.isfinite(values))
        contrast = picture.Contrast(log=log and bool((shown.compressed() > 0).any()))
        scale = picture.norm(shown.compressed(), contrast)
        where = place_of(values.shape)
        head = name if len(one) == 1 else f"{name}, module 0 of {len(one)}"
        picture.Panel(shown, scale, where, head, name).draw(axes)
    for axes in list(grid)[len(frames) :]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize="medium")
    picture.save(figure, output)
