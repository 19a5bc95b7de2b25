"""Masks of bad pixels: by limits of the values, or by how far a pixel is off its neighbours.

A mask is True where a pixel is good. The definitions are those of pyrost 0.7.7 (``update_mask`` in
its data_processing.py), but for one thing: where it takes differences as 32-bit integers, which
wrap around and lose fractions, they are exact here.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .medians import median3x3
from .percentiles import percentiles
from .stacks import ComputedStack, Numbers, Stack, block_length, blocks, frames_of, made

__all__ = ["both_good", "filled_frames", "percentile_mask", "range_mask", "zeroed"]

_MOST = 1 << 62  # of 64-bit pixels: the difference of two fits 64 bits


def filled_frames(data: Stack) -> NDArray[np.intp]:
    """Return the numbers of the frames that have a pixel above 0.

    Examples
    --------
    >>> from cxistack.processing.masks import filled_frames
    >>> filled_frames(np.array([[[0, 0]], [[0, 7]], [[-1, 0]]]))
    array([1])
    """
    filled: list[NDArray[np.bool_]] = [np.empty(0, bool)]
    for some in blocks(len(data), block_length(data)):
        frames = np.asarray(data[some])
        filled.append(np.any(frames > 0, axis=tuple(range(1, frames.ndim)), keepdims=False))
    return np.flatnonzero(np.concatenate(filled))


def range_mask(data: Stack, vmin: float, vmax: float) -> Any:
    """Return where ``vmin <= data < vmax``, which NaN is not.

    Parameters
    ----------
    data : Stack, shape (frames, ..., ss, fs)
        The frames.
    vmin, vmax : float
        The limits.

    Returns
    -------
    Stack of bool, of the shape of `data`
        In memory if `data` is.

    Examples
    --------
    >>> from cxistack.processing.masks import range_mask
    >>> range_mask(np.array([[[-1, 0], [9, 10]]]), 0, 10)
    array([[[False,  True],
            [ True, False]]])
    """
    rule = partial(_within, data, vmin, vmax, False)
    return made(ComputedStack(data.shape, bool, rule), data)


def percentile_mask(data: Stack, pmin: float, pmax: float, mask: Stack | None = None) -> Any:
    """Return where a pixel is off the median of its neighbours by no more than most pixels are.

    A pixel is good if ``data - median`` lies within two percentiles of this difference, both
    included. The median is that of the 3 x 3 pixels around it, and the percentiles are those of all
    pixels of all frames. Beyond its edges a frame is mirrored: ``d c b a | a b c d | d c b a``, as
    :func:`scipy.ndimage.median_filter` does with ``mode="reflect"``.

    Parameters
    ----------
    data : Stack, shape (frames, ..., ss, fs)
        The frames.
    pmin, pmax : float
        The percentiles, 0 to 100; as :func:`numpy.percentile` defines them.
    mask : Stack of bool, optional
        Where pixels are good already; others count as 0. All are good when None.

    Returns
    -------
    Stack of bool, of the shape of `data`
        In memory if `data` and `mask` are. Where all pixels are equal, all are good.

    Raises
    ------
    ValueError
        There are no pixels; a value is NaN or infinite; a 64-bit integer is beyond 2**62, so that
        the difference might not fit 64 bits.

    Examples
    --------
    >>> from cxistack.processing.masks import percentile_mask
    >>> frame = np.array([[3, 4, 3, 4], [3, 99, 4, 3], [4, 3, 3, 4]])
    >>> np.argwhere(~percentile_mask(frame[None], 0, 99))
    array([[0, 1, 1]])
    """
    is_small = data.dtype.kind in "biu" and data.dtype.itemsize <= 2
    dtype = np.float64 if data.dtype.kind == "f" else np.int32 if is_small else np.int64
    offsets = ComputedStack(
        data.shape, dtype, partial(_offsets, zeroed(data, mask), np.dtype(dtype))
    )
    most = (1 << 8 * data.dtype.itemsize) - 1  # that two pixels of a small type differ by
    low, high = percentiles(offsets, (pmin, pmax), (-most, most) if is_small else None)
    rule = partial(_within, offsets, low, high, True)
    return made(ComputedStack(data.shape, bool, rule), data, mask)


def both_good(mask: Stack, other: Stack) -> Any:
    """Return where two masks are True; in memory if both are."""
    rule = partial(_both, mask, other)
    return made(ComputedStack(mask.shape, bool, rule), mask, other)


def zeroed(data: Stack, mask: Stack | None) -> Stack:
    """Return frames of which bad pixels are 0; computed when they are indexed."""
    if mask is None:
        return data
    return ComputedStack(data.shape, data.dtype, partial(_zeroed, data, mask))


def _within(
    stack: Stack, low: float, high: float, is_closed: bool, numbers: Numbers, rows: slice
) -> NDArray[np.bool_]:
    values = frames_of(stack, numbers, rows)
    inside: NDArray[np.bool_] = values >= low
    inside &= (values <= high) if is_closed else (values < high)
    return inside


def _both(mask: Stack, other: Stack, numbers: Numbers, rows: slice) -> NDArray[np.bool_]:
    one, two = (frames_of(each, numbers, rows) for each in (mask, other))
    good: NDArray[np.bool_] = np.logical_and(one, two)
    return good


def _zeroed(data: Stack, mask: Stack, numbers: Numbers, rows: slice) -> NDArray[Any]:
    good = frames_of(mask, numbers, rows).astype(bool, copy=False)
    return np.where(good, frames_of(data, numbers, rows), data.dtype.type(0))


def _offsets(data: Stack, dtype: np.dtype[Any], numbers: Numbers, rows: slice) -> NDArray[Any]:
    """Return how far pixels are off the median of the 3 x 3 pixels around them."""
    # A row more on either side, but where the frame ends and is mirrored.
    first, last = max(rows.start - 1, 0), min(rows.stop + 1, data.shape[-2])
    frames = frames_of(data, numbers, slice(first, last))
    if frames.dtype.kind == "f":
        if not np.isfinite(frames).all():
            raise ValueError(
                "a pixel is NaN or infinite, and has no difference from its neighbours: leave such "
                'pixels out by update_mask("range-bad"), and then use update="multiply"'
            )
    elif frames.dtype.itemsize == 8 and frames.size and not _is_small(frames):
        raise ValueError(
            "pixels are beyond 2**62, and differences of such pixels may not fit 64 bits: leave "
            'them out by update_mask("range-bad"), and then use update="multiply"'
        )
    cut = slice(rows.start - first, rows.stop - first)
    centre = median3x3(frames)[..., cut, :].astype(dtype)
    offsets: NDArray[Any] = np.subtract(frames[..., cut, :], centre, dtype=dtype)
    return offsets


def _is_small(frames: NDArray[Any]) -> bool:
    return int(frames.max()) <= _MOST and int(frames.min()) >= -_MOST
