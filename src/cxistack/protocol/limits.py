"""Limits on pixels: what a protocol says of the values of a good one, a sentence each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

__all__ = ["LARGEST", "Comparison", "Limit", "parse_limit"]


Comparison = Literal["<=", "<", ">=", ">", "==", "!="]

LARGEST = "largest"
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
    is_name = bound.isidentifier() and attr.isidentifier()
    try:
        return Limit(attr, cast(Comparison, comparison), bound if is_name else float(bound))
    except ValueError:
        raise ValueError(f"{text!r} compares with {bound!r}, neither a name nor a number") from None
