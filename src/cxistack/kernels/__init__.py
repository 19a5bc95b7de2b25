"""Compiled kernels: detector frames from one array to another, cast, chosen, viewed, binned."""

from cxistack.kernels._cast import cast, gather, transform
from cxistack.kernels.levels import simd_level, simd_levels, use_simd

__all__ = ["cast", "gather", "simd_level", "simd_levels", "transform", "use_simd"]
