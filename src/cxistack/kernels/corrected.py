"""Finds the first pixel that a correction gives no number, and says why in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CastError, Offence

__all__ = ["correction_error"]

Corrections = NDArray[Any] | None


def correction_error(
    frames: NDArray[Any],
    dark: Corrections,
    white: Corrections,
    mask: Corrections,
    computed: np.dtype[Any],
    target: np.dtype[Any],
    is_strict: bool,
) -> Exception:
    """Return the error for the first good pixel that is dead, or whose result is too large.

    The arguments are those of :func:`cxistack.kernels.flat_field`, checked: what goes with the
    frames is of the type that is computed with.
    """
    grid = frames.shape[-2:]
    stack = frames.reshape(-1, *grid)
    of_frames = frames.ndim > 2
    for number, pixels in enumerate(stack):
        own_dark, own_white = _of(dark, number, grid), _of(white, number, grid)
        own_mask = _of(mask, number, grid)
        good = np.ones(grid, np.bool_) if own_mask is None else own_mask
        for name, values in (("whitefield", own_white), ("dark signal", own_dark)):
            if is_strict and values is not None:
                is_dead = ~np.isfinite(values)
                if name == "whitefield":
                    is_dead |= values == 0
                if (good & is_dead).any():
                    each = name != "dark signal" and white is not None and white.ndim > 2
                    return _dead(name, values, good & is_dead, number if each else None)
        with np.errstate(all="ignore"):
            result = pixels.astype(computed)
            if own_dark is not None:
                result = result - own_dark
            if own_white is not None:
                result = result / own_white
            lost = good & np.isfinite(pixels) & ~np.isfinite(result.astype(target))
            for values in (own_dark, own_white):
                lost &= True if values is None else np.isfinite(values)
            lost &= True if own_white is None else own_white != 0
        if lost.any():
            first = _first(lost)
            value = pixels[first].item()
            where = f"Frame {number}, pixel" if of_frames else "Pixel"
            return CastError(
                f"{where} {first}: the value {value!r}, corrected, is beyond {target}. Is the "
                "whitefield in counts of a frame? "
                + ('Take dtype="float64".' if target.itemsize < 8 else "Mask such pixels."),
                Offence(number, first, int(np.count_nonzero(lost)), value),
            )
    return ValueError("A pixel had no result; an array changed while it was read.")


def _of(values: Corrections, number: int, grid: tuple[int, ...]) -> Corrections:
    """Return what goes with one frame."""
    if values is None or values.ndim == 2:
        return values
    one: NDArray[Any] = values.reshape(-1, *grid)[number]
    return one


def _first(where: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(where)), where.shape))


def _dead(
    name: str, values: NDArray[Any], where: NDArray[np.bool_], number: int | None
) -> ValueError:
    """Say which pixel is dead, and how many are."""
    first, count = _first(where), int(np.count_nonzero(where))
    place = f"Pixel {first}" if number is None else f"Frame {number}, pixel {first}"
    others = f" (and in {count - 1} more pixels)" if count > 1 else ""
    return ValueError(
        f"{place}: the {name} is {values[first].item()!r} there{others}, so a corrected pixel "
        'would be no number. Give a mask without such pixels, or dead="bad" to make them `bad`.'
    )
