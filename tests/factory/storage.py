"""Ways in which HDF5 stores the values of a dataset."""

import h5py
import hdf5plugin
import numpy as np

from .values import DATA

__all__ = ["STORAGES", "low_level", "stored_as"]


def _options(shape):
    awkward = tuple(max(1, n - n // 3) for n in shape)  # no divisor: edge chunks on every axis
    frame = (1, *shape[1:])
    bitshuffle = hdf5plugin.Bitshuffle(nelems=0, cname="lz4")
    return {
        "contiguous": {},
        "chunk a frame": {"chunks": frame},
        "frames of several chunks": {"chunks": awkward},
        "chunks larger than the data": {
            "chunks": tuple(n + 3 for n in shape),
            "maxshape": (None,) * len(shape),
        },
        "gzip and shuffle": {"chunks": awkward, "compression": "gzip", "shuffle": True},
        "gzip": {"chunks": frame, "compression": "gzip"},
        "lzf": {"chunks": frame, "compression": "lzf"},
        "fletcher32": {"chunks": frame, "fletcher32": True},
        "gzip, shuffle and fletcher32": {
            "chunks": frame,
            "compression": "gzip",
            "shuffle": True,
            "fletcher32": True,
        },
        "bitshuffle": {"chunks": frame, **bitshuffle},
        "bitshuffle, awkward chunks": {"chunks": awkward, **bitshuffle},
        "LZ4": {"chunks": frame, **hdf5plugin.LZ4()},
        "zstd": {"chunks": frame, **hdf5plugin.Zstd()},
        "Blosc": {"chunks": frame, **hdf5plugin.Blosc()},
    }


STORAGES = [*_options((2, 2, 2)), "compact", "user block"]


def stored_as(path, name, array, how):
    """Write an array under one of `STORAGES`."""
    array = np.asarray(array)
    if how == "compact":
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        kind = h5py.h5t.py_create(array.dtype, logical=True)
        with low_level(path, array.shape, kind, plist, name=name) as h5:
            h5[name][...] = array
        return str(path)
    userblock = {"userblock_size": 512} if how == "user block" else {}
    with h5py.File(path, "w", **userblock) as h5:
        h5.create_dataset(name, data=array, **_options(array.shape).get(how, {}))
    return str(path)


def low_level(path, shape, file_type, plist=None, maxshape=None, *, name=DATA, **options):
    """Create a dataset with what only HDF5's own functions can say of it; return the open file."""
    h5 = h5py.File(path, "w", **options)
    h5.require_group(name.rsplit("/", 1)[0])
    space = h5py.h5s.create_simple(shape, maxshape or shape)
    h5py.h5d.create(h5.id, name.encode(), file_type, space, plist)
    return h5
