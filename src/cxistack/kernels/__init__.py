"""Compiled kernels: detector frames from one array to another, cast, chosen, viewed, binned."""

from typing import Literal

from ._above import above
from ._bin import bin
from ._cast import cast, gather, good_pixels, transform, within
from ._flat import flat_field
from ._median import median3x3
from .levels import simd_level, simd_levels, use_simd
from .moments import Moments
from .percentiles import lower_median, median, percentile

#: Whether a cast that would change a value raises.
Casting = Literal["checked", "unsafe"]

__all__ = [
    "Moments",
    "above",
    "bin",
    "cast",
    "flat_field",
    "gather",
    "good_pixels",
    "lower_median",
    "median",
    "median3x3",
    "percentile",
    "simd_level",
    "simd_levels",
    "transform",
    "use_simd",
    "within",
]
