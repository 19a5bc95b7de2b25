"""Medians of frames: along the frame axis, of good pixels alone, and of the pixels around each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import kernels

__all__ = ["lower_median", "median3x3"]


def median3x3(frames: NDArray[Any]) -> NDArray[Any]:
    """Return the median of the 3 x 3 pixels around each; frames are mirrored beyond their edges."""
    return kernels.median3x3(_known(frames)).astype(frames.dtype, copy=False)


def lower_median(frames: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return the median of the good values along the first axis, of the frames' own type.

    Of an even number it is the lower of the two in the middle; of none, 0.
    """
    return kernels.lower_median(_known(frames), mask=mask, fill=0).astype(frames.dtype, copy=False)


def _known(frames: NDArray[Any]) -> NDArray[Any]:
    """Return frames in a type that the kernels know: half floats are few, and fit others."""
    is_half = frames.dtype.kind == "f" and frames.dtype.itemsize == 2
    return frames.astype(np.float32) if is_half else frames
