"""Masks of flags: the bits that the formats' own documents give, and a protocol for a mask."""

from cxistack import CXIProtocol

#: The bits that the formats' own documents give, written out once more.
CXI_BITS = {"invalid": 1, "saturated": 2, "hot": 4, "dead": 8, "shadowed": 16, "bad": 128,
            "missing": 0x200, "noisy": 0x400, "has_signal": 0x1000}  # fmt: skip
NEXUS_BITS = {"gap": 1, "dead": 2, "under_responding": 4, "over_responding": 8, "noisy": 16,
              "cluster": 64, "user": 256, "virtual_pixel": 2**31}  # fmt: skip
CHEETAH_BITS = {"in_peakmask": 32, "to_be_ignored": 64, "out_of_resolution_limits": 256,
                "artifact_corrected": 0x800, "failed_artifact_correction": 0x1000,
                "peak_for_hitfinder": 0x2000, "photon_background_corrected": 0x4000}  # fmt: skip
#: Which bits make a pixel bad unless a protocol names flags.
DEFAULT = {"cxi": ~0x1000, "nexus": 0xFFFF, "cheetah": 0x16DF}
TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", ">u4", "<i2"]


def flags_protocol(convention, flags=None):
    """Return a protocol of a mask at `/m`."""
    return CXIProtocol(
        {"mask": "bool"}, {"mask": ["/m"]}, {"mask": "stack"}, {"mask": [convention]},
        flags={} if flags is None else {"mask": flags},
    )  # fmt: skip
