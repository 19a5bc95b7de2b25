"""Which frames a user's index means: NumPy's habits, made into a list of frame numbers."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FrameIndexError

__all__ = ["FrameSelection", "frame_numbers"]


FrameSelection = int | slice | range | Sequence[int] | Sequence[bool] | NDArray[Any] | None


def frame_numbers(idxs: FrameSelection, total: int, what: str) -> NDArray[np.int64]:
    """Return the frame numbers that `idxs` picks out of `total`, in the order asked for.

    Parameters
    ----------
    idxs : None, int, slice, sequence or array of int, or boolean mask
        As NumPy would index the first axis; an int counts as a list of one.
    total : int
        How many frames there are.
    what : str
        What is indexed, for error messages.

    Raises
    ------
    FrameIndexError
        A number is out of bounds, a mask has the wrong length, or `idxs` is of a kind that NumPy
        does not index with either.

    Examples
    --------
    >>> frame_numbers([-1, 0, 0], 5, "data")
    array([4, 0, 0])
    """
    if idxs is None:
        return np.arange(total, dtype=np.int64)
    if isinstance(idxs, slice):
        return np.arange(*idxs.indices(total), dtype=np.int64)
    array = np.asarray(idxs)
    if array.size == 0 and array.dtype == np.float64 and not isinstance(idxs, np.ndarray):
        array = array.astype(np.int64)  # [] is an empty list of indices, as in NumPy
    if array.dtype == np.bool_ and array.ndim:
        if array.shape != (total,):
            raise FrameIndexError(
                f"boolean index did not match {what} along axis 0: it has {total} frames, and the "
                f"index has shape {array.shape}"
            )
        return np.flatnonzero(array).astype(np.int64)
    if array.dtype.kind not in "iu" or array.ndim > 1:
        try:
            array = np.asarray(operator.index(idxs))  # type: ignore[arg-type]
        except TypeError:
            raise FrameIndexError(
                f"frames are indexed by an int, a slice, a one-dimensional list of ints or a "
                f"boolean mask, not by {_describe(idxs)}"
            ) from None
    array = np.atleast_1d(array)
    outside = (array >= total) | ((array < -total) if array.dtype.kind != "u" else False)
    if outside.any():
        raise FrameIndexError(
            f"index {array[outside][0]} is out of bounds for axis 0 of {what}, which has {total} "
            "frames"
        )
    numbers = array.astype(np.int64)
    numbers[numbers < 0] += total
    return numbers


def _describe(idxs: object) -> str:
    if isinstance(idxs, np.ndarray):
        return f"an array of {idxs.dtype} with shape {idxs.shape}"
    return repr(idxs)
