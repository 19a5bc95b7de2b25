"""Medians and percentiles of frames, exact, pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._ranks import neighbours
from .moments import filled, refuse_absent

__all__ = ["lower_median", "median", "percentile"]


def percentile(
    frames: NDArray[Any],
    q: Any,
    *,
    mask: NDArray[np.bool_] | None = None,
    fill: Any = None,
    num_threads: int | None = None,
) -> NDArray[Any]:
    """Return percentiles of frames, pixel by pixel.

    Parameters
    ----------
    frames : ndarray, shape (n, ...)
        Booleans, integers or floats; at least one frame.
    q : float or sequence of float
        Percents, 0 to 100.
    mask : ndarray of bool, optional
        True is good: of a frame's shape, or of all frames. Bad values are left out.
    fill : number, optional
        What pixels become that have no good value; it is an error when None.
    num_threads : int, optional
        How many threads work; every core when None.

    Returns
    -------
    ndarray, shape (...) or (len(q), ...)
        Of float64, or float32 of float32 frames. A pixel with a good value that is NaN is NaN.

    Raises
    ------
    ValueError
        There are no frames; a percent is outside of 0 to 100; a pixel has no good value.

    Notes
    -----
    They are those of :func:`numpy.percentile` with ``method="linear"``, number 7 of Hyndman and
    Fan, "Sample quantiles in statistical packages", The American Statistician 50, 361 (1996). The
    values beside a rank are found bit by bit, for 128 pixels at a time.

    Examples
    --------
    >>> frames = np.array([[1, 9], [3, 4], [2, 5]], np.uint16)
    >>> percentile(frames, [0, 75])
    array([[1. , 4. ],
           [2.5, 7. ]])
    """
    percents = np.asarray(q, np.float64)
    if percents.ndim > 1 or not ((percents >= 0) & (percents <= 100)).all():
        raise ValueError(f"percentiles are numbers from 0 to 100, one or a list of them, not {q!r}")
    fractions = np.atleast_1d(percents) / 100
    lows, highs, count, nans = _neighbours(frames, fractions, mask, fill, num_threads)
    places = np.maximum(np.asarray(count, np.float64) - 1, 0) * fractions.reshape(
        -1, *[1] * nans.ndim
    )
    low, high = lows.astype(np.float64), highs.astype(np.float64)
    part = places - np.floor(places)
    # As NumPy rounds it, from the nearer of the two.
    with np.errstate(invalid="ignore"):
        step = high - low
        made = np.where(part >= 0.5, high - step * (1 - part), low + step * part)
        made = np.where(low == high, low, made)
    made = _finished(made, count, nans, fill).astype(_float_of(lows.dtype), copy=False)
    return made if percents.ndim else made[0]


def median(
    frames: NDArray[Any],
    *,
    mask: NDArray[np.bool_] | None = None,
    fill: Any = None,
    num_threads: int | None = None,
) -> NDArray[Any]:
    """Return the median of frames, pixel by pixel, as :func:`numpy.median` gives it.

    The parameters and errors are those of :func:`percentile`.

    Examples
    --------
    >>> frames = np.array([[1, 9], [3, 4], [2, 5], [7, 5]], np.uint16)
    >>> median(frames)
    array([2.5, 5. ])
    >>> median(frames, mask=np.array([[True, True]] * 3 + [[False, True]]))
    array([2., 5.])
    """
    lows, highs, count, nans = _neighbours(frames, [0.5], mask, fill, num_threads)
    low, high = lows[0], highs[0]
    dtype = _float_of(low.dtype)
    is_odd = np.asarray(count) % 2 == 1
    with np.errstate(invalid="ignore", over="ignore"):
        middle = (low.astype(dtype) + high.astype(dtype)) / dtype.type(2)
    made = np.where(is_odd, low.astype(dtype), middle)
    return _finished(made, count, nans, fill).astype(dtype, copy=False)


def lower_median(
    frames: NDArray[Any],
    *,
    mask: NDArray[np.bool_] | None = None,
    fill: Any = None,
    num_threads: int | None = None,
) -> NDArray[Any]:
    """Return the median of frames, of an even number the lower of the two in the middle.

    It has the type of the frames. The parameters and errors are those of :func:`percentile`.

    Examples
    --------
    >>> lower_median(np.array([[1, 9], [3, 4], [2, 5], [7, 6]], np.uint16))
    array([2, 5], dtype=uint16)
    """
    lows, _, count, nans = _neighbours(frames, [0.5], mask, fill, num_threads)
    return _finished(lows[0], count, nans, fill)


def _neighbours(
    frames: NDArray[Any],
    fractions: Any,
    mask: NDArray[np.bool_] | None,
    fill: Any,
    num_threads: int | None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.uint32] | int, NDArray[np.bool_]]:
    found = neighbours(frames, fractions, mask=mask, num_threads=num_threads)
    _, _, count, nans = found
    absent = np.broadcast_to(np.asarray(count) == 0, nans.shape)
    if fill is None and absent.any():
        if not len(frames):
            raise ValueError("there are no frames, so no median or percentile of them")
        refuse_absent(absent)
    return found


def _finished(
    made: NDArray[Any], count: NDArray[np.uint32] | int, nans: NDArray[np.bool_], fill: Any
) -> NDArray[Any]:
    """Return results with NaN where a value was NaN, and `fill` where there was none."""
    if nans.any():
        made[..., nans] = np.nan
    return filled(made, count, fill)


def _float_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.float32 if dtype == np.float32 else np.float64)
