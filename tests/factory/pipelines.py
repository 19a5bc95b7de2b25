"""Datasets that say all that HDF5 can say of chunks: filters, masks, types, fill, what is missing.

Made of a :class:`Recipe`, which is plain data, so that a property test can draw and show it.
"""

import itertools
import zlib
from dataclasses import dataclass

import h5py
import hdf5plugin
import numpy as np

__all__ = ["OWN_CODECS", "PIPELINES", "TYPES", "Recipe", "file_type", "shuffled", "write"]

PIPELINES = {
    "none": {},
    "gzip": {"compression": "gzip"},
    "shuffle": {"shuffle": True},
    "gzip+shuffle": {"compression": "gzip", "shuffle": True},
    "gzip+shuffle+fletcher32": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "fletcher32": {"fletcher32": True},
    "lzf": {"compression": "lzf"},
    "lz4": {**hdf5plugin.LZ4()},
    "lz4 in blocks": {**hdf5plugin.LZ4(nbytes=512)},
    "zstd": {**hdf5plugin.Zstd()},
    "zstd+shuffle": {"shuffle": True, **hdf5plugin.Zstd()},
    "bitshuffle none": {**hdf5plugin.Bitshuffle(nelems=0, cname="none")},
    "bitshuffle lz4": {**hdf5plugin.Bitshuffle(nelems=0, cname="lz4")},
    "bitshuffle lz4, 8": {**hdf5plugin.Bitshuffle(nelems=8, cname="lz4")},
    "bitshuffle lz4, 128": {**hdf5plugin.Bitshuffle(nelems=128, cname="lz4")},
    "bitshuffle zstd": {**hdf5plugin.Bitshuffle(nelems=0, cname="zstd")},
    "bitshuffle lz4+fletcher32": {
        "fletcher32": True,
        **hdf5plugin.Bitshuffle(nelems=0, cname="lz4"),
    },
    "blosc": {**hdf5plugin.Blosc()},
}

#: Pipelines that are decoded beside libhdf5.
OWN_CODECS = [name for name in PIPELINES if name not in ("lzf", "blosc")]

#: Names of the stored types; what is not a NumPy type is made by :func:`file_type`.
TYPES = [
    *("bool", "int8", "uint8", "<i2", "<u2", ">u2", "<i4", ">i4", "<u4", "<i8", ">u8"),
    *("<f4", ">f4", "<f8", ">f8", "float16", "enum of uint8", "enum of >i4", "12 bits"),
]


@dataclass(frozen=True)
class Recipe:
    """A dataset and how it is stored.

    Attributes
    ----------
    shape, chunks : tuple of int
        Chunks None: contiguous.
    kind : str
        One of `TYPES`.
    pipeline : str
        One of `PIPELINES`.
    fill : int or None or "never"
        The fill value; None: undefined by the user, that is 0. "never": never written.
    written : tuple of bool
        Which chunks are written, repeated over all.
    masked : tuple of int
        Chunks written with some filters skipped: 1 all, 2 shuffle, 3 deflate; repeated over all.
    libver : str
        The version of HDF5 that the file is for.
    userblock : int
        Bytes before the HDF5 part of the file.
    seed : int
        Of the pixels.
    """

    shape: tuple
    chunks: tuple | None
    kind: str = "<u2"
    pipeline: str = "none"
    fill: object = None
    written: tuple = (True,)
    masked: tuple = (0,)
    libver: str = "earliest"
    userblock: int = 0
    seed: int = 0


def file_type(kind):
    """Return the HDF5 type, and the NumPy type of its values."""
    if kind.startswith("enum of "):
        base = np.dtype(kind[8:])
        names = {f"v{n}": n for n in range(5)}
        return h5py.h5t.py_create(h5py.enum_dtype(names, basetype=base), logical=True), base
    if kind == "12 bits":
        packed = h5py.h5t.STD_U16LE.copy()
        packed.set_precision(12)
        packed.set_offset(4)
        return packed, np.dtype("<u2")
    return h5py.h5t.py_create(np.dtype(kind), logical=True), np.dtype(kind)


def pixels(recipe):
    """Return the values that are written: few large ones, many zeros, as of a detector."""
    rng = np.random.default_rng(recipe.seed)
    dtype = file_type(recipe.kind)[1]
    size = recipe.shape
    if dtype.kind == "b":
        return rng.integers(0, 2, size).astype(bool)
    if dtype.kind == "f":
        return rng.normal(0, 100, size).round(1).astype(dtype)
    if recipe.kind.startswith("enum"):
        return rng.integers(0, 5, size).astype(dtype)
    values = rng.poisson(2.0, size)
    # Sums of a few fit 64 bits.
    high = 4095 if recipe.kind == "12 bits" else min(2**50, np.iinfo(dtype).max)
    few = rng.random(size) < 0.05
    return np.where(few, rng.integers(0, high, size, dtype=np.uint64), values).astype(dtype)


def shuffled(raw, element):
    """Return bytes as the shuffle filter makes them."""
    whole = len(raw) // element * element
    planes = np.frombuffer(raw[:whole], np.uint8).reshape(-1, element).T
    return planes.tobytes() + raw[whole:]


def write(path, name, recipe):
    """Write the dataset; what is there in the end is for h5py to say."""
    kind, _ = file_type(recipe.kind)
    values = pixels(recipe)
    options = dict(PIPELINES[recipe.pipeline]) if recipe.chunks is not None else {}
    if recipe.fill == "never":
        options["fill_time"] = "never"
    elif recipe.fill is not None:
        options["fillvalue"] = recipe.fill
    blocks = {"userblock_size": recipe.userblock} if recipe.userblock else {}
    with h5py.File(path, "w", libver=recipe.libver, **blocks) as h5:
        data = h5.create_dataset(
            name,
            recipe.shape,
            h5py.Datatype(kind),
            chunks=recipe.chunks,
            maxshape=(None,) * len(recipe.shape) if recipe.chunks is not None else None,
            **options,
        )
        if recipe.chunks is None:
            if recipe.written[0]:
                data[...] = values
            return
        corners = itertools.product(
            *(range(0, n, c) for n, c in zip(recipe.shape, recipe.chunks, strict=True))
        )
        for number, corner in enumerate(corners):
            if recipe.written[number % len(recipe.written)]:
                region = tuple(
                    slice(at, at + c) for at, c in zip(corner, recipe.chunks, strict=True)
                )
                how = recipe.masked[number % len(recipe.masked)] if recipe.kind != "12 bits" else 0
                _write_chunk(data, recipe, corner, values[region], how)


def _write_chunk(data, recipe, corner, part, how):
    filters = data.id.get_create_plist().get_nfilters()
    if not how or not filters:
        region = tuple(slice(at, at + n) for at, n in zip(corner, part.shape, strict=True))
        data[region] = part
        return
    whole = np.full(recipe.chunks, 1, part.dtype)
    whole[tuple(slice(n) for n in part.shape)] = part
    raw, mask = whole.tobytes(), 2**filters - 1
    if recipe.pipeline == "gzip+shuffle" and how == 2:
        raw, mask = zlib.compress(raw), 1
    elif recipe.pipeline == "gzip+shuffle" and how == 3:
        raw, mask = shuffled(raw, part.dtype.itemsize), 2
    data.id.write_direct_chunk(corner, raw, filter_mask=mask)
