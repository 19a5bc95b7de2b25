"""Small whole chunks of every decoder, for the fuzzers to damage."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from ...factory.chunks import Filters, Stored, counts, noise, store_through

DECODERS: dict[str, tuple[Filters, ...]] = {
    "deflate": (((1, (4,)),), ((2, ()), (1, (4,)))),
    "shuffle": (((2, ()),),),
    "fletcher32": (((3, ()),), ((2, ()), (1, (4,)), (3, ()))),
    "lz4": (((32004, (0,)),), ((32004, (1000,)),), ((32004, (0,)), (1, (4,)))),
    "zstd": (((32015, (3,)),), ((2, ()), (32015, (3,)))),
    "bitshuffle": (((32008, (0, 0)),), ((32008, (64, 0)), (1, (4,)))),
    "bitshuffle+lz4": (((32008, (0, 2)),), ((32008, (256, 2)),), ((32008, (0, 2)), (3, ()))),
    "bitshuffle+zstd": (((32008, (0, 3)),), ((32008, (256, 3)),)),
}


def samples(decoder: str) -> list[Stored]:
    """Return chunks of several sizes, element sizes and contents."""
    made = []
    for filters in DECODERS[decoder]:
        for dtype in ("u1", "u2", "u4", "f8", "S3"):
            for data in (counts(37, dtype), counts(1500, dtype, 1, 20.0), noise(600, dtype)):
                made.append(store_through(data, filters))
        frame = np.random.default_rng(3).poisson(0.3, 9003).astype("u2")
        made.append(store_through(frame, filters))
    return made


def write(stored: Stored, path: Path) -> None:
    """Write a chunk as the C driver reads it: little-endian numbers, then the chunk."""
    head = struct.pack("<IIQ", len(stored.filters), stored.mask, len(stored.raw))
    for kind, values in stored.filters:
        element = values[0] if kind == 2 else values[2] if kind == 32008 else 0
        block, codec = (*values[3:5], 0, 0)[:2] if kind == 32008 else (0, 0)
        head += struct.pack("<IIII", kind, element, block, codec)
    path.write_bytes(head + stored.chunk)
