"""HDF5's filters: their numbers, the names that people know them by, a dataset's own; versions."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import h5py

__all__ = ["BITSHUFFLE", "FILTERS", "Filter", "filters_of", "hdf5_versions", "register_filters"]

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


class Filter(NamedTuple):
    """One filter of a dataset's pipeline, as :meth:`h5py.h5p.PropDCID.get_filter` tells it."""

    code: int
    flags: int
    values: tuple[int, ...]
    name: bytes


@functools.cache
def register_filters() -> None:
    """Register the filters of the field with HDF5: once, before a file with any is opened."""
    import hdf5plugin  # noqa: F401 (it does so when it is imported)


def filters_of(plist: Any) -> list[Filter]:
    """Return the filters of a dataset's creation properties, in the order in which they encode."""
    return [Filter(*plist.get_filter(number)) for number in range(plist.get_nfilters())]


def hdf5_versions() -> dict[str, str]:
    """Return the versions of h5py, HDF5 and hdf5plugin."""
    import hdf5plugin

    return {
        "h5py": h5py.version.version,
        "hdf5": h5py.version.hdf5_version,
        "hdf5plugin": hdf5plugin.version,
    }
