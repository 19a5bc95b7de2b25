"""Whitefields: the frame without a sample, as medians over frames find it.

The definitions are those of pyrost 0.7.7 (``update_whitefield`` and ``update_whitefields`` in its
data_processing.py, ``median`` and ``median_filter`` in its median.c). Where it subtracts unsigned
pixels, which wraps around, differences have a sign here.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .medians import lower_median
from .stacks import ComputedStack, Numbers, Stack, bands, frames_of, made

__all__ = ["check_whitefield", "moving_medians", "whitefield_of"]

_OUTLIER = 3.0  # standard deviations of a Poisson distribution


def whitefield_of(data: Stack, mask: Stack | None, good_frames: NDArray[Any]) -> NDArray[Any]:
    """Return the median over the good frames, of each pixel's good values.

    Parameters
    ----------
    data : Stack, shape (frames, ..., ss, fs)
        The frames.
    mask : Stack of bool, optional
        Where they are good; everywhere when None.
    good_frames : array of int
        Numbers of the frames that count.

    Returns
    -------
    ndarray, shape (..., ss, fs)
        Of the type of `data`. Of an even number of values the median is the lower of the two in the
        middle. A pixel that is bad in all good frames is 0.

    Raises
    ------
    ValueError
        There is no good frame, or a good pixel is NaN.

    Examples
    --------
    >>> from cxistack.processing.whitefields import whitefield_of
    >>> frames = np.array([[[1, 2]], [[7, 8]], [[3, 4]], [[9, 9]]])
    >>> whitefield_of(frames, None, np.array([0, 1, 2, 3]))
    array([[3, 4]])
    >>> whitefield_of(frames, frames > [3, 99], np.array([0, 1, 2, 3]))
    array([[7, 0]])
    """
    if not len(good_frames):
        raise ValueError(
            f"there is no whitefield: none of the {len(data)} frames is a good one (good_frames)"
        )
    whitefield = np.zeros(data.shape[1:], data.dtype.newbyteorder("="))
    for rows in bands((len(good_frames), *data.shape[1:]), data.dtype.itemsize + 1):
        frames = frames_of(data, good_frames, rows)
        good = None if mask is None else frames_of(mask, good_frames, rows).astype(bool, copy=False)
        if frames.dtype.kind == "f":
            refuse_nan(frames, good)
        whitefield[..., rows, :] = lower_median(frames, good)
    return whitefield


def moving_medians(data: Stack, mask: Stack | None, whitefield: NDArray[Any], size: int) -> Any:
    """Return a whitefield for each frame: the median over the frames around it.

    A value is an outlier if it is bad or off the whitefield by three standard deviations or more,
    as photons are counted: ``abs(data - whitefield) >= 3 * sqrt(whitefield)``. The whitefield of a
    frame is, for each pixel, the median of the values in `size` frames that are no outliers; it is
    0 where the frame's own value is an outlier. So 0 says that there is no whitefield; where the
    whitefield given is 0 or negative, it is 0 for all frames. The frames are ``size // 2`` before
    the frame, and those that follow; beyond the ends the stack is mirrored:
    ``d c b a | a b c d | d c b a``.

    Parameters
    ----------
    data : Stack, shape (frames, ..., ss, fs)
        The frames.
    mask : Stack of bool, optional
        Where they are good; everywhere when None.
    whitefield : ndarray, shape (..., ss, fs)
        The whitefield of all frames.
    size : int
        How many frames a median is over.

    Returns
    -------
    Stack, of the shape and the type of `data`
        In memory if `data` and `mask` are. Of an even number of values the median is the lower of
        the two in the middle.

    Raises
    ------
    ValueError
        `size` is less than 1; the whitefield is of another shape, or has a NaN or infinite value.

    Examples
    --------
    >>> from cxistack.processing.whitefields import moving_medians
    >>> frames = np.array([100, 104, 180, 102, 98]).reshape(5, 1, 1)
    >>> moving_medians(frames, None, np.array([[101]]), 3).ravel()
    array([100, 100,   0,  98,  98])
    """
    if size < 1:
        raise ValueError(f"size is the number of frames that a median is over, not {size}")
    check_whitefield(whitefield, data)
    rule = partial(_moving, data, mask, whitefield.astype(np.float64), int(size))
    dtype = data.dtype.newbyteorder("=")
    return made(ComputedStack(data.shape, dtype, rule), data, mask)


def check_whitefield(whitefield: NDArray[Any], data: Stack) -> None:
    """Raise ValueError for a whitefield that does not fit the frames, or is not finite."""
    if whitefield.shape != data.shape[1:]:
        raise ValueError(
            f"the whitefield has shape {whitefield.shape}, and frames have {data.shape[1:]}: make "
            "one of these frames by update_whitefield()"
        )
    bad = np.argwhere(~np.isfinite(whitefield))
    if len(bad):
        raise ValueError(
            f"the whitefield is NaN or infinite in {len(bad)} pixels, the first of them "
            f"{tuple(map(int, bad[0]))}: make another by update_whitefield(), or give such pixels "
            "a value"
        )


def refuse_nan(frames: NDArray[Any], good: NDArray[np.bool_] | None) -> None:
    """Raise ValueError where a good pixel is NaN."""
    unknown = np.isnan(frames) if good is None else np.isnan(frames) & good
    if unknown.any():
        raise ValueError(
            f"{np.count_nonzero(unknown)} good pixels are NaN: mark them as bad, "
            'update_mask("range-bad", update="multiply") does so'
        )


def _moving(
    data: Stack,
    mask: Stack | None,
    whitefield: NDArray[np.float64],
    size: int,
    numbers: Numbers,
    rows: slice,
) -> NDArray[Any]:
    """Return whitefields of frames by their numbers."""
    around = _mirrored(numbers[:, None] + np.arange(size) - size // 2, len(data))
    needed, places = np.unique(around, return_inverse=True)
    frames = frames_of(data, needed, rows)
    white = whitefield[..., rows, :]
    with np.errstate(invalid="ignore", over="ignore"):  # an infinite value is an outlier
        offsets = np.abs(frames - white)
    usual = offsets < _OUTLIER * np.sqrt(np.maximum(white, 0))
    if mask is not None:
        usual &= frames_of(mask, needed, rows).astype(bool, copy=False)
    out = np.empty((len(numbers), *frames.shape[1:]), data.dtype.newbyteorder("="))
    own = np.searchsorted(needed, numbers)
    for each, window in enumerate(places.reshape(around.shape)):
        median = lower_median(frames[window], usual[window])
        out[each] = np.where(usual[own[each]], median, out.dtype.type(0))
    return out


def _mirrored(numbers: Numbers, count: int) -> Numbers:
    """Return the numbers of frames that stand for those before the first and after the last."""
    turned = numbers % (2 * count)
    return np.where(turned < count, turned, 2 * count - 1 - turned)
