"""Sums of good pixels over an axis of the detector."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .masks import zeroed
from .stacks import Stack, block_length, blocks
from .whitefields import refuse_nan

__all__ = ["integrated"]


def integrated(data: Stack, mask: Stack | None, axis: int) -> NDArray[Any]:
    """Return frames whose good pixels are summed over the slow or the fast axis.

    Parameters
    ----------
    data : Stack, shape (frames, ..., ss, fs)
        The frames.
    mask : Stack of bool, optional
        Where they are good; everywhere when None.
    axis : {0, 1}
        The slow or the fast axis.

    Returns
    -------
    ndarray, shape (frames, ..., 1, fs) or (frames, ..., ss, 1)
        Of the type that :func:`numpy.sum` sums in: integers of 64 bits, floats as they are.

    Raises
    ------
    ValueError
        A good pixel is NaN; a sum of 64-bit integers does not fit 64 bits.

    Examples
    --------
    >>> from cxistack.processing.sums import integrated
    >>> integrated(np.array([[[1, 2, 3], [4, 5, 6]]]), np.array([[[1, 1, 0], [1, 1, 1]]]), 1)
    array([[[ 3],
            [15]]])
    """
    if axis not in (0, 1):
        raise ValueError(f"axis must be 0 (slow) or 1 (fast), not {axis!r}")
    good = zeroed(data, mask)
    none = np.zeros((0, *data.shape[1:]), data.dtype.newbyteorder("="))
    sums = [none.sum(axis - 2, keepdims=True)]
    for some in blocks(len(data), block_length(data)):
        frames = np.ascontiguousarray(good[some])
        if frames.dtype.kind == "f":
            refuse_nan(frames, None)
        sums.append(_sum(frames, axis - 2))
    return np.concatenate(sums)


def _sum(frames: NDArray[Any], axis: int) -> NDArray[Any]:
    with np.errstate(invalid="ignore", over="ignore"):
        sums: NDArray[Any] = frames.sum(axis, keepdims=True)
        about = frames.sum(axis, np.float64, keepdims=True) if frames.dtype.itemsize == 8 else None
    if about is not None and frames.dtype.kind in "iu" and frames.size:
        most = 2.0**63 if frames.dtype.kind == "i" else 2.0**64
        if np.abs(about).max() >= most * (1 - 1e-9):
            raise ValueError("a sum of pixels does not fit 64 bits: mark the largest ones as bad")
    if sums.dtype.kind == "f" and np.isnan(sums).any():
        raise ValueError("a line of good pixels has both infinities: mark them as bad")
    return sums
