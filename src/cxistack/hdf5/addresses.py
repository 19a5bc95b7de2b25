"""Where a dataset's bytes lie in its file, for reading beside libhdf5; or why that cannot be.

The gate recognises what it knows and steps aside, with a reason, from all else.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import StorageError
from ..kernels._decode import Pipeline
from .chunk_index import why_misplaced
from .files import Files, Stamp
from .filters import BITSHUFFLE, filters_of
from .remote.urls import is_url
from .stored import Stored, fill_value

__all__ = [
    "Assembled",
    "Bytes",
    "Chunked",
    "Column",
    "Contiguous",
    "Single",
    "ThroughH5py",
    "Unlisted",
    "locate_bytes",
    "locate_few",
]


class Column(Protocol):
    """A column of a chunk table: indexed by the numbers of chunks, it gives their values."""

    def __getitem__(self, where: Any, /) -> Any:
        """Return the values."""


@dataclass(frozen=True)
class Contiguous:
    """All bytes in one piece.

    Attributes
    ----------
    stamp : Stamp
        What the file was when this was found.
    offset : int or None
        Where in the file; None: nothing was ever written, all is the fill value.
    fill : numpy.ndarray, 0-D
        The fill value.
    """

    stamp: Stamp
    offset: int | None
    fill: NDArray[Any]


@dataclass(frozen=True)
class Chunked:
    """Bytes in chunks, of which the table says where each is.

    Attributes
    ----------
    stamp : Stamp
        What the file was when this was found.
    chunk : tuple of int
        Shape of a chunk.
    grid : tuple of int
        How many chunks there are along each axis.
    pipeline : Pipeline or None
        What decodes a chunk; None where chunks are stored as they are.
    address, size : ndarray of int64, flat over the grid, or what is indexed like one
        Where each stored chunk is, and its bytes; address -1: not stored, all is the fill value.
    mask : the same, of uint32
        Filters that were skipped for this chunk, by position.
    fill : numpy.ndarray, 0-D
        The fill value.
    """

    stamp: Stamp
    chunk: tuple[int, ...]
    grid: tuple[int, ...]
    pipeline: Pipeline | None
    address: Column
    size: Column
    mask: Column
    fill: NDArray[Any]


@dataclass(frozen=True)
class Unlisted(Chunked):
    """Bytes in chunks that HDF5 is to find one by one; in place of addresses stand their numbers.

    Attributes
    ----------
    chunks : int
        How many there are.
    """

    chunks: int = 0


class _Numbers:
    """A column in which each chunk has its own number."""

    def __getitem__(self, where: NDArray[np.int64]) -> NDArray[Any]:
        return where


class _Zeros:
    """A column that says nothing yet."""

    def __getitem__(self, where: NDArray[np.int64]) -> NDArray[Any]:
        return np.zeros_like(where)


@dataclass(frozen=True)
class ThroughH5py:
    """Bytes that only libhdf5 is to read, and why."""

    reason: str


Single = Contiguous | Chunked | ThroughH5py


@dataclass(frozen=True)
class Assembled:
    """Bytes of other datasets.

    Attributes
    ----------
    pieces : mapping of int to Contiguous, Chunked or ThroughH5py
        Where those of the wanted pieces lie, by their number in the dataset's assembly.
    reason : str or None
        Why some piece, or the fill value, is left to libhdf5; None where none is.
    """

    pieces: Mapping[int, Single]
    reason: str | None


Bytes = Single | Assembled


def locate_bytes(files: Files, stored: Stored) -> Single:
    """Find out where the bytes of a dataset lie; once, as long as the file stays as it is."""
    known: Single | None = files.recall(stored.address)
    if known is None:
        known = _found_bytes(files, stored)
        files.note(stored.address, known)
    return known


def locate_few(files: Files, stored: Stored, reason: str) -> Single:
    """Do the same where few chunks are wanted: the long chunk table is not listed.

    Where chunks reach beyond the dataset's edge, HDF5 may keep them otherwise: libhdf5 is to read
    them, for `reason`; of a file on a server it would take longer than the list.
    """
    known: Single | None = files.recall(stored.address)
    if known is not None:
        return known
    assert stored.chunks is not None
    if any(n % c for n, c in zip(stored.shape, stored.chunks, strict=True)):
        is_away = is_url(stored.place.filename)
        return locate_bytes(files, stored) if is_away else ThroughH5py(reason)
    return _found_bytes(files, stored, few=True)


def _found_bytes(files: Files, stored: Stored, *, few: bool = False) -> Single:
    try:
        return _find_bytes(files, stored, few)
    except (KeyError, OverflowError, RuntimeError, TypeError) as cause:
        return ThroughH5py(f"HDF5 cannot say how it is stored ({cause})")


def _find_bytes(files: Files, stored: Stored, few: bool) -> Single:
    place = stored.place
    with files.reading(place.filename) as h5:
        dataset = h5[place.path]
        reason = _obstacle(h5, dataset, stored)
        if reason is not None:
            return ThroughH5py(reason)
        plist = dataset.id.get_create_plist()
        fill = fill_value(plist, stored.dtype)
        if fill is None or plist.get_fill_time() == h5py.h5d.FILL_TIME_NEVER:
            return ThroughH5py("what was never written has no defined value")
        stamp = files.stamp(place.filename)
        files.verify(place.filename, stored.stamp)
        if stored.storage == "contiguous":
            # Not by the offset: an undefined one is moved by the size of a user block.
            status = dataset.id.get_space_status()
            is_there = status != h5py.h5d.SPACE_STATUS_NOT_ALLOCATED
            return Contiguous(stamp, dataset.id.get_offset() if is_there else None, fill)
        nbytes = math.prod(dataset.chunks) * stored.dtype.itemsize
        _refuse_nonsense(plist, stored)
        try:
            pipeline = _pipeline(plist, nbytes)
        except ValueError as error:
            return ThroughH5py(f"{error}".rstrip("."))
        if few:
            chunk = dataset.chunks
            grid = tuple(n // c for n, c in zip(stored.shape, chunk, strict=True))
            columns = _Numbers(), _Zeros(), _Zeros()
            return Unlisted(stamp, chunk, grid, pipeline, *columns, fill, math.prod(grid))
        return _chunk_table(dataset, stored, pipeline, stamp, fill)


def _refuse_nonsense(plist: Any, stored: Stored) -> None:
    """Raise where the parameters of a filter would crash the decoder of hdf5plugin."""
    for one in filters_of(plist):
        if one.code == BITSHUFFLE and len(one.values) > 2 and one.values[2] == 0:
            raise StorageError(
                f"{stored.place}: its bitshuffle filter has the parameters {one.values}, by which "
                "an element has no bytes; the file is damaged"
            )


def _pipeline(plist: Any, nbytes: int) -> Pipeline | None:
    """Return what decodes a chunk of `nbytes`; ValueError where it has no decoder of ours."""
    filters = [(one.code, one.values) for one in filters_of(plist)]
    return Pipeline(filters, nbytes) if filters else None


def _obstacle(h5: Any, dataset: Any, stored: Stored) -> str | None:
    if h5.driver != "sec2" and not is_url(stored.place.filename):
        return f"the file is read by the driver {h5.driver!r}"
    if stored.storage not in ("contiguous", "chunked"):
        return stored.obstacle or f"its storage is {stored.storage}"
    if stored.dtype.kind not in "biuf" or stored.dtype.str[1:] == "f2" or stored.dtype.itemsize > 8:
        return f"its type is {stored.dtype}"
    kind = dataset.id.get_type()
    if isinstance(kind, h5py.h5t.TypeEnumID) and stored.dtype.kind != "b":
        kind = kind.get_super()
    if not kind.equal(h5py.h5t.py_create(stored.dtype)):
        return "its type is stored otherwise in the file than in memory"
    return why_misplaced(dataset.id) if stored.storage == "chunked" else None


def _listed(dataset: Any, rank: int) -> NDArray[np.int64]:
    """Return a row for each stored chunk: its corner, then its address, size and filter mask."""
    table = array("q")  # of 10**6 chunks, objects would take some hundred MB
    add = table.extend
    dataset.id.chunk_iter(lambda info: add((*info[0], info[2], info[3], info[1])))
    return np.frombuffer(table, np.int64).reshape(-1, rank + 3)


def _edge(
    shape: tuple[int, ...], chunk: tuple[int, ...], grid: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Return which chunks of the flat grid lie in part beyond the dataset."""
    edge = np.zeros(grid, bool)
    for axis, (length, width) in enumerate(zip(shape, chunk, strict=True)):
        if length % width:
            edge[(slice(None),) * axis + (-1,)] = True
    return edge.ravel()


def _numbers(
    corners: NDArray[np.int64], chunk: tuple[int, ...], grid: tuple[int, ...]
) -> NDArray[np.intp]:
    """Return the chunks' numbers in the flat grid; ValueError where these cannot be corners."""
    if not len(corners):
        return np.empty(0, np.intp)
    cells, beyond = np.divmod(corners, np.array(chunk))
    if beyond.any():
        raise ValueError("a chunk begins where none can")
    numbers: NDArray[np.intp] = np.ravel_multi_index(tuple(cells.T), grid)
    if np.bincount(numbers).max() > 1:
        raise ValueError("two chunks have the same place")
    return numbers


def _chunk_table(
    dataset: Any, stored: Stored, pipeline: Pipeline | None, stamp: Stamp, fill: NDArray[Any]
) -> Chunked | ThroughH5py:
    chunk: tuple[int, ...] = dataset.chunks
    grid = tuple(-(-length // size) for length, size in zip(stored.shape, chunk, strict=True))
    number = math.prod(grid)
    address = np.full(number, -1, np.int64)
    size = np.zeros(number, np.int64)
    mask = np.zeros(number, np.uint32)
    try:
        found = _listed(dataset, len(chunk)) if number else np.empty((0, len(chunk) + 3), np.int64)
        where = _numbers(found[:, : len(chunk)], chunk, grid)
        address[where], size[where], mask[where] = found[:, -3], found[:, -2], found[:, -1]
    except (OverflowError, TypeError, ValueError) as cause:
        raise StorageError(
            f"{stored.place}: its chunk table makes no sense ({cause}); the file is damaged"
        ) from cause
    if pipeline is not None and bool(
        (_edge(stored.shape, chunk, grid) & (size == pipeline.nbytes) & (mask == 0)).any()
    ):
        # By H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS they may be as they are; their masks do not say.
        return ThroughH5py("only HDF5 knows whether chunks at its edge are filtered")
    return Chunked(stamp, chunk, grid, pipeline, address, size, mask, fill)
