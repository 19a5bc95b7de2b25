"""Hard limits on the same bytes: bare reads, bare libraries, and what memory takes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxistack import kernels

from .data import Subject, pipeline_of
from .libraries import Stored, on_threads
from .timing import Way

__all__ = [
    "CODEC",
    "PREAD",
    "STORES",
    "bare_codec",
    "bare_pread",
    "bare_stores",
    "fresh_pread",
    "library",
]

CODEC, PREAD, STORES = "bare library", "bare pread", "bare stores"
_LIBRARY = {
    "bitshuffle+LZ4": "LZ4 blocks",
    "bitshuffle+zstd": "zstd blocks",
    "deflate+shuffle": "libdeflate",
    "zstd": "libzstd",
    "LZ4": "liblz4",
}


def library(codec: str) -> str:
    """Return what the way that is the codec's library alone is called."""
    return f"{CODEC} ({_LIBRARY[codec]})"


def bare_codec(subject: Subject, threads: int, name: str | None = None) -> list[Way]:
    """Return the codec's library alone, on the stored chunks in memory; nothing undone after it."""
    if subject.codec not in _LIBRARY:
        return []
    try:
        stored = Stored(subject.stored, pipeline_of(subject.dataset), subject.chunk_bytes, threads)
        limit = stored.limit()
    except SystemExit as error:  # the library is not here
        print(f"without {CODEC} of {subject.codec}: {error}")
        return []
    return [Way(name or library(subject.codec), lambda: on_threads(limit, threads))]


def bare_pread(
    subject: Subject, out: NDArray[Any] | None, threads: int, which: NDArray[Any] | None = None
) -> Way:
    """Return reading the stored chunks, into `out` where they are the frames themselves."""
    table = subject.table if which is None else [subject.table[number] for number in which]
    if out is not None and subject.codec == "none" and subject.chunk[1:] == subject.data.shape[1:]:
        rows = [block.data.cast("B") for block in _blocks(out, subject.chunk[0])]

        def into_rows() -> NDArray[Any]:
            _read(subject, table, threads, lambda thread, number: rows[number])
            return out

        return Way(PREAD, into_rows)
    most = max(size for _, size in table)
    buffers = [memoryview(bytearray(most)) for _ in range(threads)]

    def into_buffers() -> None:
        _read(subject, table, threads, lambda thread, number: buffers[thread][: table[number][1]])

    return Way(PREAD, into_buffers)


def fresh_pread(subject: Subject, threads: int) -> list[Way]:
    """Return the same into a new array, where the file has the frames as they are."""
    if subject.codec != "none" or subject.chunk != (1, *subject.data.shape[1:]):
        return []

    def into_new() -> NDArray[Any]:
        out = np.empty_like(subject.data)
        rows = [frame.data.cast("B") for frame in out]
        _read(subject, subject.table, threads, lambda thread, number: rows[number])
        return out

    return [Way(f"fresh, {PREAD}", into_new)]


def bare_stores(out: NDArray[Any], threads: int) -> Way:
    """Return filling `out` from one short row that stays in the cache."""
    row = np.broadcast_to(np.arange(out.shape[-1], dtype=np.uint16), out.shape)

    def fill() -> None:
        kernels.cast(row, out=out, num_threads=threads)

    return Way(STORES, fill)


def _blocks(out: NDArray[Any], frames: int) -> list[NDArray[Any]]:
    return [out[begin : begin + frames] for begin in range(0, len(out), frames)]


def _read(
    subject: Subject,
    table: list[tuple[int, int]],
    threads: int,
    target: Callable[[int, int], memoryview],
) -> None:
    descriptor = os.open(subject.path, os.O_RDONLY)

    def work(first: int, step: int) -> None:
        for number in range(first, len(table), step):
            buffer = target(first, number)
            if os.preadv(descriptor, [buffer], table[number][0]) != len(buffer):
                raise OSError("a short read")

    try:
        on_threads(work, threads)
    finally:
        os.close(descriptor)
