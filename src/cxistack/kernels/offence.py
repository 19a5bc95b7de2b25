"""Finds the first pixel that a checked cast refused, and says so in a sentence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from cxistack.errors import CastError, Offence

__all__ = ["cast_error", "lost"]


def lost(pixels: npt.NDArray[Any], target: np.dtype[Any]) -> npt.NDArray[np.bool]:
    """Return which pixels a cast to the target type would change.

    Rounding to a float changes nothing that a check cares for, and truth always fits a boolean.
    """
    kind = pixels.dtype.kind
    bad: npt.NDArray[np.bool] = np.zeros(pixels.shape, dtype=np.bool)
    if target.kind == "f" and kind == "f":
        with np.errstate(over="ignore"):
            bad = np.isfinite(pixels) & ~np.isfinite(pixels.astype(target))
    elif target.kind in "iu" and kind in "iu":
        limits = np.iinfo(target)
        # NumPy compares integers of any two types, and Python's, by value.
        bad = (pixels < limits.min) | (pixels > limits.max)
    elif target.kind in "iu" and kind == "f":
        limits = np.iinfo(target)
        # Both ends are powers of two, exact as floats; NaN is in no range.
        low, high = np.array([limits.min, int(limits.max) + 1], dtype=pixels.dtype)
        bad = ~((pixels >= low) & (pixels < high) & (pixels == np.trunc(pixels)))
    return bad


def cast_error(
    stack: npt.NDArray[Any],
    view: Any,
    table: npt.NDArray[np.int64] | None,
    near: int,
    target: np.dtype[Any],
) -> CastError:
    """Return the error for the first offending frame.

    Parameters
    ----------
    stack : ndarray
        What was cast.
    view : object or None
        Its `ss` and `fs` chose from the last two axes.
    table : ndarray or None
        Which frames were chosen.
    near : int
        A result pixel, numbered in C order, before which nothing offends.
    target : dtype
        What the pixels were cast to.
    """
    origin: list[tuple[int, int]] = [(0, 1)] * stack.ndim
    shape = list(stack.shape)
    if view is not None:
        for axis, (start, step, count) in ((-2, view.ss), (-1, view.fs)):
            origin[axis], shape[axis] = (start, step), count
    by_frame = table is not None or stack.ndim > 2
    if not by_frame:
        frames = [0]
    elif table is None:
        frames = list(range(near // math.prod(shape[1:]), shape[0]))
    else:
        frames = table[near // math.prod(shape[1:]) :].tolist()
    for frame in frames:
        pixels = _viewed(stack[frame] if by_frame else stack, view)
        bad = lost(pixels, target)
        count = int(np.count_nonzero(bad))
        if count == 0:
            continue
        first = np.unravel_index(int(np.argmax(bad)), bad.shape)
        grid = zip(first, origin[1:] if by_frame else origin, strict=True)
        offence = Offence(
            frame=frame,
            pixel=tuple(start + step * int(i) for i, (start, step) in grid),
            count=count,
            value=pixels[first].item(),
        )
        return CastError(sentence(offence, pixels.dtype, target, of_frames=by_frame), offence)
    return CastError(f"A value did not fit {target}; the array changed while it was cast.")


def _viewed(pixels: npt.NDArray[Any], view: Any) -> npt.NDArray[Any]:
    """Return the pixels of one frame that a view takes, in native byte order."""
    if view is not None:
        for axis, (start, step, count) in ((-2, view.ss), (-1, view.fs)):
            pixels = np.take(pixels, start + step * np.arange(count), axis=axis)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def sentence(
    offence: Offence, source: np.dtype[Any], target: np.dtype[Any], *, of_frames: bool
) -> str:
    """Say where, what, how many, and what to do."""
    whole = "frame" if of_frames else "array"
    where = (
        f"Frame {offence.frame}, pixel {offence.pixel}" if of_frames else f"Pixel {offence.pixel}"
    )
    others = f"; {offence.count} pixels of this {whole} do not" if offence.count > 1 else ""
    return (
        f"{where}: the value {offence.value!r} does not fit {target}{others}. Keep the array's "
        f'own type with dtype="{source}", or take changed values with casting="unsafe".'
    )
