"""Times whole-chunk decoders against their bare libraries and peers: ``-m benchmarks.decoders``.

One run, side by side, minimum of several, ratios: the machine drifts. Every result is compared.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import functools
import io
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from cxistack.kernels import _decode, simd_level

from .data import detector_frames, pipeline_of

try:
    import bslz4_to_sparse as peer  # type: ignore[import-untyped]

    PEER = peer.decompress  # the dense decode; older releases have none
except (ImportError, AttributeError):
    PEER = None

SHAPE = (2167, 2070)
Work = Callable[[int, int], None]  # of one thread: first frame, step


class Case(NamedTuple):
    """A way to store frames."""

    name: str
    options: dict[str, Any]


CASES = (
    Case("bitshuffle+lz4", dict(hdf5plugin.Bitshuffle(cname="lz4"))),
    Case("bitshuffle+zstd", dict(hdf5plugin.Bitshuffle(cname="zstd"))),
    Case("bitshuffle", dict(hdf5plugin.Bitshuffle(cname="none"))),
    Case("lz4", dict(hdf5plugin.LZ4())),
    Case("zstd", dict(hdf5plugin.Zstd())),
    Case("deflate", {"compression": "gzip"}),
    Case("shuffle, deflate", {"compression": "gzip", "shuffle": True}),
    Case("fletcher32", {"fletcher32": True}),
)


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
        self.rows = [memoryview(row) for row in self.out]

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
            status = self.decoders[first].into(self.chunks[i], self.rows[i])
            if status:
                raise SystemExit(_decode.explain_status(status))

    def theirs(self, first: int, step: int) -> None:
        chosen = self.chunks[first::step]
        begin = first * (len(self.chunks) // step)
        kind = np.dtype(f"u{self.filters[-1][1][2]}")  # the size that bitshuffle was told
        PEER(chosen, kind, out=self.out[begin : begin + len(chosen)].view(kind))

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


def on_threads(work: Work, count: int) -> float:
    """Return the seconds that so many threads take for all frames."""
    threads = [threading.Thread(target=work, args=(k, count)) for k in range(1, count)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    work(0, count)
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin


def measure(case: Case, data: NDArray[Any], threads: int, repeats: int) -> str:
    """Return a line of the table."""
    stored = Stored.of(data, case.options, threads)
    ways: dict[str, Work] = {"ours": stored.ours, "library": stored.limit()}
    if case.name == "bitshuffle+lz4" and PEER:
        ways["peer"] = stored.theirs
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(repeats):
        for name, work in ways.items():
            best[name] = min(best[name], on_threads(work, threads))
    for name in ("peer", "ours"):
        if name in ways:
            stored.out[...] = 1
            on_threads(ways[name], threads)
            order = np.arange(len(data))
            if name == "peer":
                order = np.concatenate([order[k::threads] for k in range(threads)])
            if not np.array_equal(stored.out.view(data.dtype).reshape(data.shape), data[order]):
                raise SystemExit(f"{case.name}: {name} differs")
    rate = data.nbytes / best["ours"] / 1e9
    against = f"{best['peer'] / best['ours']:8.2f}" if "peer" in best else "       -"
    ratio = data.nbytes / sum(len(c) for c in stored.chunks)
    return (
        f"{case.name:18} {data.dtype!s:7} {threads:7} {ratio:6.1f} {rate:7.2f} "
        f"{best['library'] / best['ours']:10.2f} {against}"
    )


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES])
    options = parser.parse_args()
    print(f"SIMD: {simd_level()}; bslz4_to_sparse: {peer.version if PEER else 'no dense decode'}")
    print("stored as          pixels  threads  ratio    GB/s  x library   x peer")
    for case in CASES:
        for dtype in ("uint16", "uint32") if case.name == "bitshuffle+lz4" else ("uint16",):
            data = detector_frames(options.frames, SHAPE, dtype)
            for threads in (1, 2):
                if not options.case or case.name in options.case:
                    print(measure(case, data, threads, options.repeats))
                    sys.stdout.flush()


if __name__ == "__main__":
    main()
