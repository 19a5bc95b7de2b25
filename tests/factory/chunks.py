"""Chunks as HDF5 stores them, with what they must decode to."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import h5py
import hdf5plugin  # noqa: F401 - its filters are registered by importing it
import numpy as np
from numpy.typing import NDArray

Filters = tuple[tuple[int, tuple[int, ...]], ...]


class Stored(NamedTuple):
    """One chunk of a file: its filters, its mask, its bytes, and the pixels in it."""

    filters: Filters
    mask: int
    chunk: bytes
    raw: bytes


def store(data: NDArray[Any], **options: Any) -> Stored:
    """Let HDF5 write an array as one chunk, and take the chunk back."""
    with h5py.File(io.BytesIO(), "w") as h5:
        dataset = h5.create_dataset("data", data=data, chunks=data.shape, **options)
        h5.flush()
        mask, chunk = dataset.id.read_direct_chunk((0,) * data.ndim)
        return Stored(filters_of(dataset), mask, bytes(chunk), data.tobytes())


def filters_of(dataset: h5py.Dataset) -> Filters:
    """Return numbers and parameters of a dataset's filters."""
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(i) for i in range(plist.get_nfilters())]
    return tuple((number, values) for number, _, values, _ in filters)


def read_through_hdf5(
    raw_size: int, options: Mapping[str, Any], chunk: bytes, mask: int = 0
) -> bytes:
    """Let HDF5 decode a chunk that it did not write."""
    with h5py.File(io.BytesIO(), "w") as h5:
        dataset = h5.create_dataset("data", (raw_size,), "u1", chunks=(raw_size,), **options)
        dataset.id.write_direct_chunk((0,), chunk, mask)
        h5.flush()
        return np.asarray(dataset[...]).tobytes()


def counts(n: int, dtype: str, seed: int = 0, mean: float = 3.0) -> NDArray[Any]:
    """Return Poisson counts in elements of any dtype; their highest bytes are zero."""
    kind = np.dtype(dtype)
    data = np.zeros((n, kind.itemsize), np.uint8)
    data[:, 0] = np.random.default_rng(seed).poisson(mean, n).astype(np.uint8)
    return np.frombuffer(data.tobytes(), kind)


def noise(n: int, dtype: str, seed: int = 0) -> NDArray[Any]:
    """Return elements that nothing compresses."""
    kind = np.dtype(dtype)
    return np.frombuffer(np.random.default_rng(seed).bytes(n * kind.itemsize), kind)


def store_through(data: NDArray[Any], filters: Filters) -> Stored:
    """Let HDF5 write an array as one chunk through filters in any order."""
    with h5py.File(io.BytesIO(), "w") as h5:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk(data.shape)
        for number, values in filters:
            plist.set_filter(number, h5py.h5z.FLAG_MANDATORY, values)
        space = h5py.h5s.create_simple(data.shape)
        low = h5py.h5d.create(h5.id, b"data", h5py.h5t.py_create(data.dtype), space, plist)
        dataset = h5py.Dataset(low)
        dataset[...] = data
        h5.flush()
        mask, chunk = low.read_direct_chunk((0,) * data.ndim)
        return Stored(filters_of(dataset), mask, bytes(chunk), data.tobytes())
