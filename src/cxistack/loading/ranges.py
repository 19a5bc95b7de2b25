"""Ranges of values: which values of a pixel's type compare as limits say."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..protocol.limits import Comparison

__all__ = ["Range", "ranges", "within"]


class Range(NamedTuple):
    """Values of a pixel's type from `low` to `high`, both included; or, outside of it, all others.

    NaN lies in no range, and so outside of each.
    """

    low: Any
    high: Any
    outside: bool = False


def ranges(
    dtype: np.dtype[Any], conditions: Iterable[tuple[Comparison, float]]
) -> tuple[Range, ...]:
    """Return the ranges that hold all values which compare so with numbers.

    Values and numbers are taken for what they are, unrounded: NumPy would round a number to the
    values' type, or 64-bit integers to floats. As in NumPy, NaN fulfils ``!=`` alone.

    Parameters
    ----------
    dtype : numpy.dtype
        Type of the values: booleans (as 0 and 1), integers or floats.
    conditions : iterable of (comparison, number)
        How values compare with which numbers, none of them NaN.

    Examples
    --------
    >>> ranges(np.dtype("uint16"), [("<=", 1e9), (">", 2.5), ("!=", 7)])
    (Range(low=3, high=65535, outside=False), Range(low=7, high=7, outside=True))
    """
    low, high = lowest, highest = _ends(dtype)
    # Floats are not stepped to the next one: that beside 0 is subnormal, and counts as 0 in
    # processes in which some library made it so.
    step = 0 if dtype.kind == "f" else 1
    others: dict[Range, None] = {}
    is_bounded = False
    for comparison, bound in conditions:
        is_bounded |= comparison != "!="
        near = _neighbour(dtype, comparison, bound)
        if near is None:  # no value equals it
            if comparison == "==":
                low, high = highest, lowest
            continue
        if comparison in ("<=", "<", "=="):
            high = min(high, near - step * (comparison == "<"))
        if comparison in (">=", ">", "=="):
            low = max(low, near + step * (comparison == ">"))
        is_apart = comparison == "!=" or (not step and comparison in ("<", ">"))
        if is_apart and lowest <= near <= highest:
            others[Range(near, near, True)] = None
    if low > high:
        return (Range(highest, lowest),)
    return (*([Range(low, high)] if is_bounded else []), *others)


def within(values: NDArray[Any], ranges: Iterable[Range]) -> NDArray[np.bool]:
    """Return where values lie in all of `ranges`: what :func:`cxistack.kernels.within` does."""
    good = np.ones(values.shape, np.bool)
    for low, high, outside in ranges:
        good &= ((values >= low) & (values <= high)) != outside
    return good


def _ends(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Return the lowest and the highest value of a type."""
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind in "iu":
        return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    return dtype.type(-np.inf), dtype.type(np.inf)


def _neighbour(dtype: np.dtype[Any], comparison: Comparison, bound: float) -> Any:
    """Return the value of `dtype` beside `bound` that tells the same; None: no value equals it."""
    is_below = comparison in ("<=", ">")  # the greatest value up to the bound; else the least from
    if dtype.kind in "biu":
        if math.isinf(bound):
            bound = int(math.copysign(1 << 64, bound))  # as good, and an integer
        whole = math.floor(bound) if is_below else math.ceil(bound)
        return whole if whole == bound or comparison not in ("==", "!=") else None
    with np.errstate(over="ignore"):
        near = dtype.type(bound)
    if float(near) == bound:
        return near
    if comparison in ("==", "!="):
        return None
    if is_below == (float(near) > bound):
        with np.errstate(over="ignore"):  # beside the greatest there is infinity
            near = np.nextafter(near, dtype.type(-np.inf if is_below else np.inf))
    return near
