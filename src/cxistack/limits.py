"""Limits on pixels: what a protocol says of the values of a good one, a sentence each."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST", "Comparison", "Limit", "fulfilled", "parse_limit"]

Comparison = Literal["<=", "<", ">=", ">", "==", "!="]

LARGEST = "largest"
_OPERATORS: dict[str, np.ufunc] = {
    "<=": np.less_equal,
    "<": np.less,
    ">=": np.greater_equal,
    ">": np.greater,
    "==": np.equal,
    "!=": np.not_equal,
}
_SENTENCE = re.compile(r"\s*(\w+)\s*(<=|<|>=|>|==|!=)\s*(\S+)\s*")


@dataclass(frozen=True)
class Limit:
    """What holds of a good pixel, in the values that are stored.

    A pixel that is NaN fulfils ``!=`` alone. Bounds are those of the pixel's own file, or, where it
    has none, of the first file that has one; one that is NaN does not count.

    Attributes
    ----------
    attr : str
        The stack whose pixels are looked at.
    comparison : {"<=", "<", ">=", ">", "==", "!="}
        How a good pixel compares with the bound.
    bound : str or float
        Name of a scalar attribute, ``largest`` (of the integer type that pixels are stored in, with
        which detectors mark gaps and saturated pixels; it does not count for others), or a number.
    """

    attr: str
    comparison: Comparison
    bound: str | float

    def __str__(self) -> str:
        return f"{self.attr} {self.comparison} {self.bound}"


def parse_limit(text: str) -> Limit:
    """Return the limit that a sentence says.

    Raises
    ------
    ValueError
        It is no such sentence.

    Examples
    --------
    >>> parse_limit("data <= saturation_value")
    Limit(attr='data', comparison='<=', bound='saturation_value')
    >>> parse_limit("data != -1").bound
    -1.0
    """
    match = _SENTENCE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no limit such as 'data <= saturation_value'")
    attr, comparison, bound = match.groups()
    if bound.isidentifier() and attr.isidentifier():
        return Limit(attr, cast(Comparison, comparison), bound)
    try:
        return Limit(attr, cast(Comparison, comparison), float(bound))
    except ValueError:
        raise ValueError(f"{text!r} compares with {bound!r}, neither a name nor a number") from None


def fulfilled(
    values: NDArray[Any], comparison: Comparison, bound: float, out: NDArray[np.bool] | None = None
) -> NDArray[np.bool]:
    """Return where values compare so with a number, both taken for what they are, unrounded.

    NumPy would round the number to the values' type, or 64-bit integers to floats. As in NumPy, NaN
    fulfils ``!=`` alone.

    Parameters
    ----------
    values : ndarray
        Booleans (as 0 and 1), integers or floats.
    comparison : {"<=", "<", ">=", ">", "==", "!="}
        How they compare.
    bound : int or float
        With what; not NaN.
    out : ndarray of bool, optional
        Where the result goes.

    Examples
    --------
    >>> fulfilled(np.array([0.1, 2.5], "float32"), "<=", 0.1)  # the first is 0.10000000149
    array([False, False])
    """
    if values.dtype.kind == "b":
        values = values.view(np.uint8)
    near = _neighbour(values.dtype, comparison, bound)
    if near is None:
        result = np.empty(values.shape, np.bool) if out is None else out
        result[...] = comparison == "!="
        return result
    return np.asarray(_OPERATORS[comparison](values, near, out=out))


def _neighbour(dtype: np.dtype[Any], comparison: Comparison, bound: float) -> Any:
    """Return the value of `dtype` beside `bound` that tells the same; None: no value equals it."""
    is_below = comparison in ("<=", ">")  # the greatest value up to the bound; else the least from
    if dtype.kind in "iu":
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
