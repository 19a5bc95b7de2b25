"""HDF5's filters: their registered numbers, and the names that people know them by."""

from __future__ import annotations

__all__ = ["BITSHUFFLE", "FILTERS"]

BITSHUFFLE = 32008

FILTERS = {
    1: "deflate",
    2: "shuffle",
    3: "fletcher32",
    4: "szip",
    5: "nbit",
    6: "scale-offset",
    307: "bzip2",
    32000: "lzf",
    32001: "blosc",
    32004: "lz4",
    BITSHUFFLE: "bitshuffle",
    32013: "zfp",
    32015: "zstd",
    32026: "blosc2",
}
