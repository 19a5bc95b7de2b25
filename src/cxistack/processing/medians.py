"""Medians of frames: along the frame axis, of good pixels alone, and of the pixels around each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import kernels

__all__ = ["lower_median", "median3x3"]


def median3x3(frames: NDArray[Any]) -> NDArray[Any]:
    """Return the median of the 3 x 3 pixels around each; frames are mirrored beyond their edges."""
    if frames.dtype.itemsize == 2 and frames.dtype.kind == "f":
        return kernels.median3x3(frames.astype(np.float32)).astype(frames.dtype)
    return kernels.median3x3(frames)


def lower_median(frames: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return the median of the good values along the first axis, of the frames' own type.

    Of an even number it is the lower of the two in the middle; of none, 0.
    """
    count = len(frames)
    if mask is None:
        middle: NDArray[Any] = np.partition(frames, (count - 1) // 2, axis=0)[(count - 1) // 2]
        return middle
    most = np.inf if frames.dtype.kind == "f" else _largest(frames.dtype)
    ordered = np.sort(np.where(mask, frames, np.asarray(most, frames.dtype)), axis=0)
    good = np.count_nonzero(mask, axis=0)
    middle = np.take_along_axis(ordered, np.maximum(good - 1, 0)[None] // 2, axis=0)[0]
    return np.where(good > 0, middle, frames.dtype.type(0))


def _largest(dtype: np.dtype[Any]) -> Any:
    return True if dtype.kind == "b" else np.iinfo(dtype).max
