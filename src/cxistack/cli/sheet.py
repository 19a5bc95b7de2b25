"""Frames as pictures show them: loaded with their mask, one or several on a sheet."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray

from ..errors import AttributeMissingError, CastError, CXIError, LayoutError
from ..hdf5.messages import shown
from ..store.store import CXIStore
from ..transforms.base import Transform
from . import picture
from .opening import frame_choice

__all__ = [
    "Look",
    "Sheet",
    "frame_values",
    "good_pixels",
    "grey_line",
    "label_of",
    "run_name",
    "sheet",
    "size_of",
]

MOST_FRAMES = 100  # of a sheet: more could not be told apart


class Look(NamedTuple):
    """How frames are shown: the type that they load as, with their mask, in which colours."""

    dtype: str | None = None
    has_mask: bool = True
    contrast: picture.Contrast = picture.Contrast()


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
    store: CXIStore,
    attr: str,
    frames: str,
    transform: Transform | None,
    look: Look = Look(),
) -> Sheet:
    """Draw frames of a stack beside one another, each with its number and its mask.

    Raises
    ------
    ValueError
        No frame is chosen, or too many for one sheet.
    LayoutError
        The attribute has no frames to choose from.
    """
    if attr in store and not store.is_indexed(attr):
        raise LayoutError(f"{attr!r} is one image: leave --frames out")
    numbers = _numbers(store, attr, frames)
    side = math.ceil(math.sqrt(len(numbers)))
    pictures, bad = [], 0
    for number in numbers:
        values = frame_values(store, attr, number, transform, look.dtype)
        good = good_pixels(store, attr, number, transform, values, look.has_mask)
        bad += int(good.size - np.count_nonzero(good))
        width = values.shape[-1]
        most = picture.MOST_PIXELS // side
        pictures.append(picture.shrunk(values.reshape(-1, width), good.reshape(-1, width), most))
    scale = picture.norm(np.concatenate([one.compressed() for one in pictures]), look.contrast)
    rows = math.ceil(len(numbers) / side)
    height, wide = pictures[0].shape
    figure = picture.new_figure(10, min(max(8.4 * rows * height / (side * wide) + 1.4, 3), 14))
    axes = figure.subplots(rows, side, squeeze=False)
    for place, one, number in zip(axes.flat, pictures, numbers, strict=False):
        where = picture.extent((one.shape[0], one.shape[1]))
        panel = picture.Panel(one, scale, where, f"frame {number}", attr)
        image = panel.draw(place, is_small=True)
    for place in axes.flat[len(numbers) :]:
        place.set_visible(False)
    figure.colorbar(image, ax=axes, label=label_of(store, attr, values), shrink=0.8)
    title = f"{attr}, {len(numbers)} frames from {numbers[0]} to {numbers[-1]}, "
    title += f"{size_of(values.shape)} {values.dtype}"
    figure.suptitle(f"{run_name(store)}: {title}{grey_line(bad)}", fontsize="medium")
    return Sheet(figure, title)


def _numbers(store: CXIStore, attr: str, frames: str) -> list[int]:
    """Return the numbers of the frames that ``--frames`` names."""
    total = store.describe(attr)[0][0] if attr in store else 0
    chosen = frame_choice(frames)
    if isinstance(chosen, slice):
        one = chosen
    else:
        one = slice(chosen, None if chosen in (None, -1) else chosen + 1)
    numbers = list(range(*one.indices(total)))
    if not numbers and total:
        raise ValueError(f"--frames {frames} is none of the {total} frames of {attr!r}")
    if len(numbers) > MOST_FRAMES:
        step = -(-len(numbers) // MOST_FRAMES)
        raise ValueError(
            f"--frames {frames} is {len(numbers)} frames, and a sheet shows up to {MOST_FRAMES}: "
            f"take every {step}th (A:B:{step})"
        )
    return numbers or [0]  # what cannot be loaded says so itself


def frame_values(
    store: CXIStore, attr: str, frame: int, transform: Transform | None, dtype: str | None
) -> NDArray[Any]:
    """Load one frame as the first type that keeps its values: float counts must show too."""
    kind = store.protocol.get_kind(attr, "")
    if kind in ("scalar", "sequence"):
        raise LayoutError(
            f"{attr!r} is a {kind}; a picture needs a stack or a frame: see cxistack info"
        )
    if attr not in store:
        raise AttributeMissingError(
            f"{attr!r} is not there; the files have {', '.join(store.found) or 'nothing known'}"
        )
    indexed = store.is_indexed(attr)
    choices = (dtype,) if dtype is not None else (None, "int64", "float64")
    for choice in choices:
        try:
            values = store.load_attribute(
                attr,
                [frame] if indexed else None,
                verbose=False,
                transform=transform,
                dtype=choice,
            )
        except CastError:
            if choice == choices[-1]:
                raise
        else:
            break
    values = np.asarray(values[0] if indexed else values)
    if 0 in values.shape:
        raise LayoutError(f"the picture would be empty: it has {size_of(values.shape)} pixels")
    return values


def good_pixels(
    store: CXIStore,
    attr: str,
    frame: int,
    transform: Transform | None,
    values: NDArray[Any],
    has_mask: bool,
) -> NDArray[np.bool_]:
    """Tell which pixels of a frame are shown: those with a value that their mask calls good."""
    good = picture.has_value(values)
    if has_mask and attr != "mask" and "mask" in store:
        good &= _frame_mask(store, frame, transform, values.shape)
    return good


def _frame_mask(
    store: CXIStore, frame: int, transform: Transform | None, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Load the frame's mask; a mask that does not fit hides nothing, and that is said."""
    try:
        mask = store.load_attribute("mask", [frame], verbose=False, transform=transform)[0]
        return np.broadcast_to(mask, shape)
    except (CXIError, ValueError) as error:
        typer.echo(f"Note: the mask is not used: {error}", err=True)
        return np.broadcast_to(np.True_, shape)


def label_of(store: CXIStore, attr: str, values: NDArray[Any]) -> str:
    """Return what stands beside the colours."""
    is_counted = store.protocol.attribute(attr).is_data and values.dtype.kind in "iu"
    return "counts" if is_counted else attr


def run_name(store: CXIStore) -> str:
    """Return the name of a run's first file, and how many more there are."""
    names = store.filenames()
    return shown(Path(names[0]).name) + (f" and {len(names) - 1} more" if names[1:] else "")


def grey_line(bad: int) -> str:
    """Return a line of a title that says how many pixels are grey; empty where none is."""
    return f"\n{bad:,} pixels without a good value, in grey" if bad else ""


def size_of(shape: tuple[int, ...]) -> str:
    """Return a shape as people write it."""
    return " × ".join(map(str, shape))
