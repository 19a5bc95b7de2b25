"""Chunks that HDF5 finds one by one: the few that are wanted of a table too long to be listed.

Listing a table takes 2 s for a million chunks, finding one of them in HDF5's index some 70 us. What
is found, still encoded, is put into a file in memory, and read from there as from the file itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StorageError
from ._descriptor import Descriptor
from .addresses import Chunked, Unlisted, locate_bytes
from .files import Files
from .messages import blamed
from .patience import changed
from .remote.urls import is_url
from .stored import Stored

__all__ = ["fetched"]


_MOST_UNWRITTEN = 8  # chunks, until the table is listed after all
_MOST_LISTED = 1 << 24
_LARGEST_NODE = 1 << 16  # bytes of what HDF5 finds chunks by


@contextmanager
def fetched(
    files: Files, stored: Stored, where: Unlisted, numbers: NDArray[np.int64]
) -> Iterator[tuple[Chunked, int | None]]:
    """Lend a chunk table of some chunks, and a descriptor on what holds them (None: their file).

    `numbers` are those of the chunks in the flat grid, in ascending order.
    """
    with _memory_file() as descriptor:
        is_away = files.remotes is not None and is_url(stored.place.filename)
        table = _fetch(files, stored, where, numbers, None if is_away else descriptor)
        if table is not None:
            yield table, None if is_away else descriptor
            return
    whole = locate_bytes(files, stored)
    assert isinstance(whole, Chunked)
    yield whole, None


def _fetch(
    files: Files,
    stored: Stored,
    where: Unlisted,
    numbers: NDArray[np.int64],
    descriptor: int | None,
) -> Chunked | None:
    address, size = np.zeros((2, len(numbers)), np.int64)
    mask = np.zeros(len(numbers), np.uint32)
    end = unwritten = 0
    corners = np.stack(np.unravel_index(numbers, where.grid), axis=1) * np.array(where.chunk)
    with files.reading(stored.place.filename) as h5:
        dataset = h5[stored.place.path].id
        for k, corner in enumerate(corners.tolist()):
            try:
                if descriptor is None:
                    mask[k], address[k], size[k] = _found(files, stored, dataset, tuple(corner))
                    continue
                mask[k], chunk = dataset.read_direct_chunk(tuple(corner))
            except (MemoryError, OSError, RuntimeError, ValueError) as cause:
                # It may never have been written. To be told so, HDF5 walks through all its chunks.
                if dataset.get_chunk_info_by_coord(tuple(corner)).byte_offset is not None:
                    raise StorageError(
                        f"{stored.place}: its chunk at {corner} cannot be read: {blamed(cause)}"
                    ) from cause
                unwritten += 1
                if unwritten > _MOST_UNWRITTEN and where.chunks < _MOST_LISTED:
                    return None
                address[k] = -1
                continue
            address[k], size[k] = end, len(chunk)
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            end += len(chunk)
    grid, few = (where.stamp, where.chunk, where.grid, where.pipeline), partial(_Few, numbers)
    return Chunked(*grid, few(address), few(size), few(mask), where.fill)


def _found(
    files: Files, stored: Stored, dataset: Any, corner: tuple[int, ...]
) -> tuple[int, int, int]:
    """Return filter mask, address and size of a chunk in a file on a server, without its bytes.

    HDF5 reads the chunk after what leads to it. It is given zeros for both; where that was not only
    the chunk, what leads to it is fetched.
    """
    assert files.remotes is not None
    file = files.remotes.file(stored.place.filename)
    for least in (1, _LARGEST_NODE):
        try:
            with file.blank(least):
                mask, chunk = dataset.read_direct_chunk(corner)
            break
        except (OSError, RuntimeError):
            continue
    else:
        mask, chunk = dataset.read_direct_chunk(corner)
    begin, end = file.last
    if end - begin != len(chunk):
        raise changed(stored.place.filename)
    return mask, begin, end - begin


class _Few:
    """A column of a chunk table of which a few entries are known."""

    def __init__(self, numbers: NDArray[np.int64], values: NDArray[np.generic]) -> None:
        self._numbers, self._values = numbers, values

    def __getitem__(self, where: NDArray[np.int64]) -> NDArray[np.generic]:
        return self._values[np.searchsorted(self._numbers, where)]


@contextmanager
def _memory_file() -> Iterator[int]:
    """Lend a descriptor on a file that lies in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        with closing(Descriptor(None, os.MFD_CLOEXEC)) as descriptor:
            yield descriptor.fileno()
        return
    import tempfile

    with tempfile.TemporaryFile() as file:
        yield file.fileno()
