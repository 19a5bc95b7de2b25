"""Mask conventions: what each flag of a pixel is called, which make it bad, how one is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

__all__ = ["FLAGS", "FlagConvention", "bad_bits", "is_truth"]


_ALL = 0xFFFF_FFFF_FFFF_FFFF


@dataclass(frozen=True)
class FlagConvention:
    """A mask stored as a bit field, in which 0 is good."""

    names: Mapping[str, int]  # the bit of each flag
    bad_bits: int  # any of these makes a pixel bad, unless a protocol chooses others by name
    user_flag: int  # the bit that a pixel gets which is bad for no stated reason
    boolean_is_good: bool  # whether an HDF5 boolean is True for a good pixel; else the lowest bit


def bad_bits(convention: str, names: Sequence[str] | None = None) -> int:
    """Return the bits that make a pixel bad: those of the flags named, or the convention's own.

    Parameters
    ----------
    convention : {"cxi", "nexus", "cheetah"}
        What the bits mean.
    names : sequence of str, optional
        The flags that count; those that the convention does not know do not.

    Notes
    -----
    ``cxi``, the table of bits in the CXI specification, class Detector: 0 is an ideal pixel, and
    every bit counts as bad but 0x1000, "the pixel signal is above the background", which is no
    fault: where it is set, it is set in the very pixels that one wants. Bits to which the
    specification gives no meaning may be anybody's, and writers mark bad pixels with them, so they
    count; 0x10000 is one of these in a detector's mask (inside the support of a reconstruction in
    an image's).

    ``cheetah``, the pixel masks of Cheetah and Condor: CXI's low bits, but 0x1000 is a failed
    artefact correction, as it never is in CXI. Bad is what Cheetah leaves out of its radial
    averages and interpolations (invalid, saturated, hot, dead, shadowed, to be ignored, bad,
    missing), and what the viewer of its files hides beside (noisy, failed correction). Where peaks
    are not looked for, and what was corrected with success, is good.

    ``nexus``, ``pixel_mask`` of NXdetector and NXmx: a bit in the low 16 rejects a pixel, those
    above tag it.

    Examples
    --------
    >>> hex(bad_bits("nexus")), hex(bad_bits("nexus", ["dead", "noisy"]))
    ('0xffff', '0x12')
    """
    known = FLAGS[convention]
    if names is None:
        return known.bad_bits
    return sum({known.names[name] for name in names if name in known.names})


def is_truth(convention: str | None, dtype: np.dtype[Any]) -> bool:
    """Tell whether a mask stored as `dtype` is True for a good pixel, rather than a bit field.

    An HDF5 boolean says itself what it is, where the format's masks are of a wider type.
    """
    if convention is None or convention == "good":
        return True
    return dtype.kind == "b" and FLAGS[convention].boolean_is_good


_COMMON = {
    "invalid": 0x1,
    "saturated": 0x2,
    "hot": 0x4,
    "dead": 0x8,
    "shadowed": 0x10,
    "in_peakmask": 0x20,
    "to_be_ignored": 0x40,
    "bad": 0x80,
    "out_of_resolution_limits": 0x100,
    "missing": 0x200,
    "noisy": 0x400,
    "artifact_corrected": 0x800,
}
_CHEETAH = _COMMON | {
    "failed_artifact_correction": 0x1000,
    "peak_for_hitfinder": 0x2000,
    "photon_background_corrected": 0x4000,
    "in_jet": 0x8000,
}
_NEXUS = {
    "gap": 1 << 0,
    "dead": 1 << 1,
    "under_responding": 1 << 2,
    "over_responding": 1 << 3,
    "noisy": 1 << 4,
    "cluster": 1 << 6,
    "user": 1 << 8,
    "virtual_pixel": 1 << 31,
}

FLAGS: Mapping[str, FlagConvention] = MappingProxyType(
    {
        "cxi": FlagConvention(
            names=_COMMON | {"has_signal": 0x1000, "inside_support": 0x10000},
            bad_bits=_ALL & ~0x1000,
            user_flag=0x1,
            boolean_is_good=True,
        ),
        "nexus": FlagConvention(
            names=_NEXUS,
            bad_bits=0xFFFF,
            user_flag=_NEXUS["user"],
            boolean_is_good=False,
        ),
        "cheetah": FlagConvention(
            names=_CHEETAH,
            bad_bits=0x16DF,
            user_flag=_CHEETAH["bad"],
            boolean_is_good=True,
        ),
    }
)
