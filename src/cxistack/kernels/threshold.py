"""The least value above a threshold, in the type of the pixels that are compared with it."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

__all__ = ["least_above"]


def least_above(threshold: Any, dtype: np.dtype[Any]) -> np.generic | None:
    """Return the least value of a pixel type that is above a threshold, or None.

    Integers compare exactly with any number; floats with the threshold rounded to their type, as
    NumPy compares them with a number of Python's.

    Raises
    ------
    TypeError, ValueError
        The threshold is no real number, or NaN.

    Examples
    --------
    >>> least_above(2.5, np.dtype("u2")), least_above(-1, np.dtype("u2"))
    (np.uint16(3), np.uint16(0))
    >>> least_above(65535, np.dtype("u2"))
    """
    number = _number(threshold)
    dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            rounded = dtype.type(number)
            least: np.generic = np.nextafter(rounded, dtype.type(math.inf))
        return None if rounded == math.inf else least
    limits = np.iinfo(dtype)
    if isinstance(number, float) and math.isinf(number):
        return None if number > 0 else dtype.type(limits.min)
    whole = math.floor(number) + 1
    return None if whole > limits.max else dtype.type(max(whole, int(limits.min)))


def _number(threshold: Any) -> int | float:
    """Return a threshold as a number of Python's, those beyond all floats as infinite."""
    try:
        return operator.index(threshold)
    except TypeError:
        pass
    if np.ndim(threshold) or isinstance(threshold, str | bytes):
        raise TypeError(f"A threshold is one number, not {threshold!r}")
    number = float(threshold)
    if math.isnan(number):
        raise ValueError("No value is above NaN, nor below: the threshold must be a number")
    return number
