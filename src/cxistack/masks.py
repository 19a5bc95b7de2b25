"""Mask conventions: which bits of a pixel's flags make it bad, and how a bad pixel is written."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FLAGS", "FlagConvention"]


@dataclass(frozen=True)
class FlagConvention:
    """A mask stored as a bit field, in which 0 is good.

    Attributes
    ----------
    bad_bits : int
        A pixel is bad when any of these is set.
    user_flag : int
        The bit that a pixel gets which is bad for no stated reason.
    """

    bad_bits: int
    user_flag: int


FLAGS = {
    # CXI 1.6, "Data quality": a pixel is good when no bit is set; 0x1 is CXI_PIXEL_IS_INVALID.
    "cxi": FlagConvention(0xFFFF_FFFF_FFFF_FFFF, 0x1),
    # NXdetector, pixel_mask: the low 16 bits reject a pixel; bit 8 is the user's own mask.
    "nexus": FlagConvention(0xFFFF, 0x100),
}
