"""Whether HDF5 left the partial chunks of a dataset unfiltered.

HDF5 can be told to (H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS); their filter mask does not say so, and
h5py cannot tell. A partial chunk whose stored size is not the raw one is filtered. Of the others a
few are read by HDF5, and held against what they are when taken for raw and when decoded.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels._decode import Pipeline, decode

__all__ = ["are_raw", "doubtful"]


_MOST_ASKED = 8  # chunks that are read to find out


def doubtful(
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
    grid: tuple[int, ...],
    raw_bytes: int,
    size: NDArray[np.int64],
    mask: NDArray[np.uint32],
) -> NDArray[np.intp]:
    """Return the partial chunks that may be raw, as numbers in the flat grid."""
    edge = np.zeros(grid, bool)
    for axis, (length, width) in enumerate(zip(shape, chunk, strict=True)):
        if length % width:
            edge[(slice(None),) * axis + (-1,)] = True
    return np.flatnonzero(edge.ravel() & (size == raw_bytes) & (mask == 0))


def are_raw(
    dataset: Any, pipeline: Pipeline, chunk: tuple[int, ...], grid: tuple[int, ...], doubt: Any
) -> bool | None:
    """Tell whether the doubtful chunks are stored raw; None where those asked do not tell."""
    for number in doubt[:_MOST_ASKED]:
        corner = tuple(
            int(k) * width for k, width in zip(np.unravel_index(number, grid), chunk, strict=True)
        )
        _, stored = dataset.id.read_direct_chunk(corner)
        region = tuple(
            slice(start, min(start + width, length))
            for start, width, length in zip(corner, chunk, dataset.shape, strict=True)
        )
        value = dataset[region]
        raw = _is(value, bytes(stored), chunk)
        decoded = _decodes_to(value, pipeline, bytes(stored), chunk)
        if raw != decoded:
            return raw
    return None


def _decodes_to(
    value: NDArray[Any], pipeline: Pipeline, stored: bytes, chunk: tuple[int, ...]
) -> bool:
    try:
        return _is(value, bytes(decode(pipeline.filters, 0, stored, pipeline.nbytes)), chunk)
    except ValueError:
        return False


def _is(value: NDArray[Any], content: bytes, chunk: tuple[int, ...]) -> bool:
    """Tell whether the part of a chunk's bytes that lies in the dataset is `value`."""
    if len(content) != math.prod(chunk) * value.dtype.itemsize:
        return False
    whole = np.frombuffer(content, value.dtype).reshape(chunk)
    return whole[tuple(slice(n) for n in value.shape)].tobytes() == value.tobytes()
