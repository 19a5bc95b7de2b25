"""Compiled kernels: detector frames from one array to another, cast, chosen, viewed, binned."""

from cxistack.kernels._bin import bin
from cxistack.kernels._cast import cast, gather, good_pixels, transform, within
from cxistack.kernels.levels import simd_level, simd_levels, use_simd

__all__ = [
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
