"""Finds the first pixel that a checked cast refused, and says so in a sentence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import CastError, Offence

__all__ = ["bin_error", "cast_error", "lost"]


def lost(pixels: npt.NDArray[Any], target: np.dtype[Any]) -> npt.NDArray[np.bool]:
    """Return which pixels a cast to the target type would change.

    Rounding to a float counts as no change, and truth always fits a boolean.
    """
    kind = pixels.dtype.kind
    bad: npt.NDArray[np.bool] = np.zeros(pixels.shape, dtype=np.bool)
    if target.kind == "f" and kind == "f":
        with np.errstate(over="ignore"):
            bad = np.isfinite(pixels) & ~np.isfinite(pixels.astype(target))
    elif target.kind in "iu" and kind in "iuO":
        limits = np.iinfo(target)
        # NumPy compares integers of any two types, and Python's, by value.
        bad = ((pixels < limits.min) | (pixels > limits.max)).astype(np.bool)
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
    """Return the error for the first offending frame of a cast.

    The `ss` and `fs` of `view` chose from the last two axes, and `table` from the frames; before
    the result pixel `near`, numbered in C order, nothing offends.
    """
    origin: list[tuple[int, int]] = [(0, 1)] * stack.ndim
    shape = list(stack.shape)
    if view is not None:
        for axis, (start, step, count) in ((-2, view.ss), (-1, view.fs)):
            origin[axis], shape[axis] = (start, step), count
    by_frame = table is not None or stack.ndim > 2
    frames = range(shape[0] if by_frame else 1) if table is None else table.tolist()
    for frame in frames[near // math.prod(shape[1:]) if by_frame else 0 :]:
        pixels = _viewed(stack[frame] if by_frame else stack, view)
        offence = _first(pixels, lost(pixels, target), frame)
        if offence is not None:
            grid = zip(offence.pixel, origin[1:] if by_frame else origin, strict=True)
            pixel = tuple(start + step * i for i, (start, step) in grid)
            offence = replace(offence, pixel=pixel)
            return CastError(
                f"{_where(offence, target, of_frames=by_frame)} Keep the array's own type with "
                f'dtype="{pixels.dtype}", or take changed values with casting="unsafe".',
                offence,
            )
    return _gone(target)


def bin_error(
    bins: Callable[..., npt.NDArray[Any]],
    stack: npt.NDArray[Any],
    n: tuple[int, int],
    mode: str,
    near: int,
    target: np.dtype[Any],
) -> CastError:
    """Return the error for the first frame with an offending bin.

    `bins` is :func:`cxistack.kernels.bin`, which was called with `stack`, `n` and `mode`; before
    the bin `near`, numbered in C order, nothing offends.
    """
    of_frames = stack.ndim > 2
    frames = stack if of_frames else stack[np.newaxis]
    grid = [stack.shape[-2] // n[0], stack.shape[-1] // n[1]]
    for frame in range(near // math.prod([*frames.shape[1:-2], *grid]), len(frames)):
        values = bins(frames[frame], n, mode, casting="unsafe")
        advice = f'keep it as dtype="{values.dtype}", or take changed values with casting="unsafe".'
        casts = [(values, target, advice)]
        if mode == "sum" and stack.dtype.kind in "iu" and stack.dtype.itemsize == 8:
            advice = 'take their mean, or sum them as "float64".'
            casts.insert(0, (_exact_sums(frames[frame], n), values.dtype, advice))
        for pixels, wanted, advice in casts:
            offence = _first(pixels, lost(pixels, wanted), frame)
            if offence is not None:
                where = _where(offence, wanted, of_frames=of_frames)
                what = f"It is the {mode} of {n[0]} x {n[1]} pixels"
                return CastError(f"{where} {what}: {advice}", offence)
    return _gone(target)


def _exact_sums(pixels: npt.NDArray[Any], n: tuple[int, int]) -> npt.NDArray[Any]:
    """Return the sums of bins as Python integers."""
    rows, columns = pixels.shape[-2] // n[0], pixels.shape[-1] // n[1]
    whole = pixels[..., : rows * n[0], : columns * n[1]].astype(object)
    sums = whole.reshape(*pixels.shape[:-2], rows, n[0], columns, n[1]).sum(axis=(-3, -1))
    return np.asarray(sums, dtype=object)


def _first(pixels: npt.NDArray[Any], bad: npt.NDArray[np.bool], frame: int) -> Offence | None:
    """Return the first bad pixel and the number of all, if there is one."""
    count = int(np.count_nonzero(bad))
    if count == 0:
        return None
    first = np.unravel_index(int(np.argmax(bad)), bad.shape)
    value = pixels[first]
    return Offence(
        frame=frame,
        pixel=tuple(int(i) for i in first),
        count=count,
        value=value.item() if isinstance(value, np.generic) else value,
    )


def _gone(target: np.dtype[Any]) -> CastError:
    return CastError(f"A value did not fit {target}; the array changed while it was read.")


def _viewed(pixels: npt.NDArray[Any], view: Any) -> npt.NDArray[Any]:
    """Return the pixels of one frame that a view takes, in native byte order."""
    if view is not None:
        for axis, (start, step, count) in ((-2, view.ss), (-1, view.fs)):
            pixels = np.take(pixels, start + step * np.arange(count), axis=axis)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _where(offence: Offence, target: np.dtype[Any], *, of_frames: bool) -> str:
    """Say which pixel does not fit, and how many."""
    whole = "frame" if of_frames else "array"
    where = f"Frame {offence.frame}, pixel" if of_frames else "Pixel"
    others = f"; {offence.count} pixels of this {whole} do not" if offence.count > 1 else ""
    return f"{where} {offence.pixel}: the value {offence.value!r} does not fit {target}{others}."
