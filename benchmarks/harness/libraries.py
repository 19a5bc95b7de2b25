"""The bare libraries that undo codecs, and our decoders, on stored chunks in memory."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import io
import threading
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cxistack.kernels import _decode

from .data import pipeline_of

__all__ = ["Stored", "Work", "on_threads"]

Work = Callable[[int, int], None]  # of one thread: first frame, step


@functools.cache  # finding it runs a program
def library(name: str) -> ctypes.CDLL:
    found = ctypes.util.find_library(name)
    if found is None:
        raise SystemExit(f"lib{name} was not found")
    return ctypes.CDLL(found)


class Stored:
    """Stored chunks in memory, and the ways to decode them.

    Parameters
    ----------
    chunks : list of bytes
        As they lie in a file.
    filters : list of (int, sequence of int)
        Numbers and values of the filters that made them.
    chunk_bytes : int
        Bytes of each when decoded.
    threads : int
        How many threads will work.
    """

    def __init__(
        self,
        chunks: list[bytes],
        filters: list[tuple[int, tuple[int, ...]]],
        chunk_bytes: int,
        threads: int,
    ) -> None:
        self.chunks, self.filters, self.chunk_bytes = chunks, filters, chunk_bytes
        self.out = np.zeros((len(chunks), chunk_bytes), np.uint8)
        pipeline = _decode.Pipeline(filters, chunk_bytes)
        self.decoders = [_decode.Decoder(pipeline) for _ in range(threads)]
        self.rows = [row.data for row in self.out]

    @classmethod
    def of(cls, data: NDArray[Any], options: dict[str, Any], threads: int) -> Stored:
        """Store frames in an HDF5 file in memory, one chunk each."""
        with h5py.File(io.BytesIO(), "w") as h5:
            dataset = h5.create_dataset("data", data=data, chunks=(1, *data.shape[1:]), **options)
            h5.flush()
            chunks = [bytes(dataset.id.read_direct_chunk((i, 0, 0))[1]) for i in range(len(data))]
            return cls(chunks, pipeline_of(dataset), data[0].nbytes, threads)

    def ours(self, first: int, step: int) -> None:
        for i in range(first, len(self.chunks), step):
            if status := self.decoders[first].into(self.chunks[i], self.rows[i]):
                raise SystemExit(_decode.explain_status(status))

    def bare_blocks(self, first: int, step: int) -> None:
        for chunk in self.chunks[first::step]:
            self.decoders[first].codec_alone(chunk)

    def bare_lz4(self, first: int, step: int) -> None:
        lz4, size = library("lz4"), self.chunk_bytes
        for i in range(first, len(self.chunks), step):
            chunk = self.chunks[i]
            src = np.frombuffer(chunk, np.uint8).ctypes.data
            lz4.LZ4_decompress_safe(
                ctypes.c_void_p(src + 16), self.address(i), len(chunk) - 16, size
            )

    def bare_zstd(self, first: int, step: int) -> None:
        zstd = library("zstd")
        for i in range(first, len(self.chunks), step):
            chunk, size = self.chunks[i], ctypes.c_size_t(self.chunk_bytes)
            zstd.ZSTD_decompress(self.address(i), size, chunk, ctypes.c_size_t(len(chunk)))

    def bare_deflate(self, first: int, step: int) -> None:
        deflate = library("deflate")
        deflate.libdeflate_alloc_decompressor.restype = ctypes.c_void_p
        context = ctypes.c_void_p(deflate.libdeflate_alloc_decompressor())
        for i in range(first, len(self.chunks), step):
            chunk, size = self.chunks[i], ctypes.c_size_t(self.chunk_bytes)
            deflate.libdeflate_zlib_decompress(
                context, chunk, ctypes.c_size_t(len(chunk)), self.address(i), size, None
            )
        deflate.libdeflate_free_decompressor(context)

    def copy(self, first: int, step: int) -> None:
        for i in range(first, len(self.chunks), step):
            ctypes.memmove(self.address(i), self.chunks[i], self.chunk_bytes)

    def address(self, i: int) -> ctypes.c_void_p:
        return ctypes.c_void_p(self.out.ctypes.data + i * self.chunk_bytes)

    def limit(self) -> Work:
        """Return the library that takes most of the time, alone."""
        kind, values = self.filters[-1]
        if kind == 32008:
            return self.bare_blocks if values[4] else self.copy
        return {32004: self.bare_lz4, 32015: self.bare_zstd, 1: self.bare_deflate}.get(
            kind, self.copy
        )


def on_threads(work: Work, count: int) -> None:
    """Share work among so many threads, of which the calling one is the first."""
    others = [threading.Thread(target=work, args=(k, count)) for k in range(1, count)]
    for thread in others:
        thread.start()
    work(0, count)
    for thread in others:
        thread.join()
