"""Compiled kernels: detector frames from one array to another, cast, chosen, viewed, binned."""

from typing import Literal

from ._bin import bin
from ._cast import cast, gather, good_pixels, transform, within
from .moments import Moments
from .levels import simd_level, simd_levels, use_simd

#: Whether a cast that would change a value raises.
Casting = Literal["checked", "unsafe"]

__all__ = [
    "Moments",
    "bin",
    "cast",
    "gather",
    "good_pixels",
    "simd_level",
    "simd_levels",
    "transform",
    "use_simd",
    "within",
]
