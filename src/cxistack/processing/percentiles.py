"""Percentiles of all pixels of a stack, exact, by counting: in few passes and bounded memory."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .stacks import Stack, block_length, blocks

__all__ = ["percentiles"]

_BINS_BITS = 17  # of the bins of one pass: all differences of 16-bit pixels are told apart at once
_SIGN = np.uint64(1 << 63)

Keys = NDArray[np.uint64]


def percentiles(
    stack: Stack, wanted: Sequence[float], within: tuple[int, int] | None = None
) -> list[float]:
    """Return percentiles of all values of a stack, as :func:`numpy.percentile` defines them.

    Parameters
    ----------
    stack : Stack
        Integers of up to 64 bits with a sign, or floats without NaN.
    wanted : sequence of float
        Percents, 0 to 100.
    within : tuple of int, optional
        Integers between which all values are known to lie; they are looked for when None.

    Returns
    -------
    list of float
        Each lies between the two values nearest in rank, linearly: NumPy's ``method="linear"``,
        which is number 7 of Hyndman and Fan, "Sample quantiles in statistical packages", The
        American Statistician 50, 361 (1996).

    Raises
    ------
    ValueError
        There are no values.

    Notes
    -----
    A pass over the stack counts values in up to 131072 bins; the next looks into the bins that hold
    what is asked for. Differences of pixels of up to 16 bits take one pass.

    Examples
    --------
    >>> from cxistack.processing.percentiles import percentiles
    >>> percentiles(np.arange(30).reshape(2, 3, 5), [0, 50, 99])
    [0.0, 14.5, 28.71]
    """
    size = math.prod(stack.shape)
    if not size:
        raise ValueError(f"there is no percentile of a stack of shape {stack.shape}: it is empty")
    places = [(size - 1) * (percent / 100) for percent in wanted]
    ranks = {min(int(place) + more, size - 1) for place in places for more in (0, 1)}
    values = _values_of_ranks(stack, ranks, within)
    return [
        _between(values[int(place)], values[min(int(place) + 1, size - 1)], place - int(place))
        for place in places
    ]


def _between(low: float, high: float, part: float) -> float:
    """Return the value at a `part` of the way from low to high, rounded as NumPy does it."""
    if part >= 0.5:
        return float(high - (high - low) * (1 - part))
    return float(low + (high - low) * part)


def _values_of_ranks(
    stack: Stack, ranks: Collection[int], within: tuple[int, int] | None
) -> dict[int, Any]:
    """Return the values at some places of all values in ascending order."""
    # Of each rank: the bounds between which its value lies, and how many values lie below these.
    if within is None:
        ends = [(keys.min(), keys.max()) for keys in _keys(stack)]
        first, last = int(min(low for low, _ in ends)), int(max(high for _, high in ends))
    else:
        first, last = map(int, _key(np.array(within)))
    found = dict.fromkeys(ranks, (first, last, 0))
    while any(low < high for low, high, _ in found.values()):
        intervals = {(low, high) for low, high, _ in found.values() if low < high}
        counts = _counts(stack, intervals)
        for rank, (low, high, below) in found.items():
            if low < high:
                shift = _shift(low, high)
                passed = below + np.cumsum(counts[low, high])
                at = int(np.searchsorted(passed, rank, side="right"))
                start = low + (at << shift)
                stop = min(high, start + (1 << shift) - 1)
                found[rank] = (start, stop, int(passed[at - 1]) if at else below)
    return {rank: _value(low, stack.dtype) for rank, (low, _, _) in found.items()}


def _shift(low: int, high: int) -> int:
    return max(0, (high - low).bit_length() - _BINS_BITS)


def _counts(
    stack: Stack, intervals: Collection[tuple[int, int]]
) -> dict[tuple[int, int], NDArray[np.int64]]:
    """Count the values in the bins of some intervals."""
    shifts = {(low, high): _shift(low, high) for low, high in intervals}
    counts = {
        (low, high): np.zeros(((high - low) >> shift) + 1, np.int64)
        for (low, high), shift in shifts.items()
    }
    for keys in _keys(stack):
        for (low, high), shift in shifts.items():
            inside = keys[(keys >= low) & (keys <= high)]
            bins = ((inside - np.uint64(low)) >> np.uint64(shift)).astype(np.intp)
            counts[low, high] += np.bincount(bins, minlength=len(counts[low, high]))
    return counts


def _keys(stack: Stack) -> Iterator[Keys]:
    for some in blocks(len(stack), block_length(stack)):
        yield _key(np.ravel(stack[some]))


def _key(values: NDArray[Any]) -> Keys:
    """Return unsigned numbers in the order of the values."""
    if values.dtype.kind == "f":
        bits = (values.astype(np.float64) + 0.0).view(np.uint64)  # -0.0 is 0.0
        return np.where(bits & _SIGN, ~bits, bits | _SIGN)
    return values.astype(np.int64).view(np.uint64) ^ _SIGN


def _value(key: int, dtype: np.dtype[Any]) -> Any:
    """Return the value that a key stands for."""
    bits = np.array(key, np.uint64)
    if dtype.kind == "f":
        return float(np.where(bits & _SIGN, bits ^ _SIGN, ~bits).view(np.float64))
    return int((bits ^ _SIGN).view(np.int64))
