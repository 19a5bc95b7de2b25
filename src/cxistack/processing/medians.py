"""Medians of frames: along the frame axis, of good pixels alone, and of the pixels around each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import kernels

__all__ = ["lower_median", "median3x3"]

_TILE_BYTES = 1 << 18


def median3x3(frames: NDArray[Any]) -> NDArray[Any]:
    """Return the median of the 3 x 3 pixels around each; frames are mirrored beyond their edges."""
    if frames.dtype.itemsize == 2 and frames.dtype.kind == "f":
        return kernels.median3x3(frames.astype(np.float32)).astype(frames.dtype)
    return kernels.median3x3(frames)


def lower_median(frames: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return the median of the good values along the first axis, of the frames' own type.

    Of an even number it is the lower of the two in the middle; of none, 0.
    """
    flat = frames.reshape(len(frames), -1)
    good = None if mask is None else mask.reshape(flat.shape)
    out = np.empty(flat.shape[1], frames.dtype.newbyteorder("="))
    # The values of a pixel come to lie side by side, of as many pixels as the cache holds.
    length = max(256, _TILE_BYTES // max(1, len(frames) * out.itemsize))
    for first in range(0, len(out), length):
        some = slice(first, first + length)
        out[some] = _of_tile(flat[:, some], None if good is None else good[:, some])
    return out.reshape(frames.shape[1:])


def _of_tile(values: NDArray[Any], good: NDArray[np.bool_] | None) -> NDArray[Any]:
    native = values.dtype.newbyteorder("=")
    if good is None:
        place = (len(values) - 1) // 2
        middle: NDArray[Any] = np.ascontiguousarray(values.T, native)
        middle.partition(place, axis=1)
        return middle[:, place]
    most = np.asarray(np.inf if native.kind == "f" else _largest(native), native)
    ordered = np.ascontiguousarray(np.where(good, values, most).T, native)
    ordered.sort(axis=1)
    count = np.count_nonzero(good, axis=0)
    middle = ordered[np.arange(len(ordered)), np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, middle, native.type(0))


def _largest(dtype: np.dtype[Any]) -> Any:
    return True if dtype.kind == "b" else np.iinfo(dtype).max
