"""Damages chunks and decodes them: ``python -m tests.hardship.fuzz.decoders --count 1000000``.

Nothing may be written around the result, every SIMD level must say the same, and liblz4 must
agree with the stride decoder.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

import numpy as np

from cxistack import kernels
from cxistack.kernels import _decode
from cxistack.kernels._above_chunk import chunk_above
from cxistack.kernels.threshold import least_above

from ...factory.chunks import Stored
from .mutations import mutate
from .samples import DECODERS, samples

GUARD = b"\xa5" * 128


class Target:
    """One pipeline's decoders at every SIMD level, and guarded memory to decode into."""

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self.size = len(stored.raw)
        pipeline = _decode.Pipeline(stored.filters, self.size)
        self.decoders = []
        for level in kernels.simd_levels():
            with kernels.use_simd(level):
                self.decoders.append(_decode.Decoder(pipeline))
        self.memory = bytearray(GUARD + bytes(self.size) + GUARD)
        self.out = memoryview(self.memory)[len(GUARD) : len(GUARD) + self.size]

    def decode(self, chunk: bytes | bytearray, rng: random.Random) -> int:
        """Decode a damaged chunk; return the status. Raises AssertionError with what is wrong."""
        # Most at the best level alone; every third at two, which must agree.
        chosen = self.decoders[-1:] if rng.random() < 0.67 else rng.choices(self.decoders, k=2)
        results = []
        for decoder in chosen:
            status = decoder.into(chunk, self.out, self.stored.mask)
            results.append((status, bytes(self.out) if status == 0 else None))
            assert self.memory.startswith(GUARD), "bytes before the result were written"
            assert self.memory.endswith(GUARD), "bytes after the result were written"
        assert results[0] == results[-1], "SIMD levels differ"
        return results[0][0]


def fuzz(decoder: str, count: int, seed: int) -> dict[str, int]:
    """Decode so many damaged chunks; return how many came to which end."""
    targets = [Target(stored) for stored in samples(decoder)]
    ends: dict[int, int] = {}
    for i in range(count):
        rng = random.Random(f"{seed} {decoder} {i}")
        target = rng.choice(targets)
        chunk = mutate(target.stored.chunk, rng)
        try:
            status = target.decode(chunk, rng)
        except AssertionError as error:
            error.add_note(f"{decoder}, seed {seed}, mutation {i}")
            raise
        ends[status] = ends.get(status, 0) + 1
    return {_decode.explain_status(status): n for status, n in sorted(ends.items())}


def fuzz_above(decoder: str, count: int, seed: int) -> dict[str, int]:
    """Find pixels in so many damaged chunks; those of a chunk that decodes are its pixels."""
    targets = [Target(one) for one in samples(decoder) if one.filters[0][1][2] in (1, 2, 4, 8)]
    targets = [one for one in targets if one.decoders[0].pipeline.splits]
    ends = {"found": 0, "refused": 0}
    for i in range(count):
        rng = random.Random(f"{seed} above {decoder} {i}")
        target = rng.choice(targets)
        chunk = mutate(target.stored.chunk, rng)
        dtype = np.dtype(f"{rng.choice('<>')}{rng.choice('iu')}{target.stored.filters[0][1][2]}")
        threshold = rng.choice((-1, 0, 3, 17, 127, 200))
        try:
            with kernels.use_simd(rng.choice(kernels.simd_levels())):
                pixel, value = chunk_above(
                    chunk, threshold, target.decoders[0].pipeline, dtype, filter_mask=0
                )
        except ValueError:
            assert target.decode(chunk, rng) != 0, f"refused: seed {seed}, mutation {i}"
            ends["refused"] += 1
            continue
        least = least_above(threshold, dtype)
        if least is not None:  # else no byte of the chunk was looked at
            assert target.decode(chunk, rng) == 0, f"damage is missed: seed {seed}, mutation {i}"
            pixels = np.frombuffer(bytes(target.out), dtype)
            assert np.array_equal(pixel, np.flatnonzero(pixels >= least)), f"seed {seed}, {i}"
            assert np.array_equal(value, pixels[pixel]), f"seed {seed}, mutation {i}"
        ends["found"] += 1
    return ends


def blocks_of(stored: Stored) -> list[tuple[bytes, int]]:
    """Return the LZ4 blocks of a bitshuffled chunk, each with its decoded size."""
    element = stored.filters[0][1][2]
    block = int.from_bytes(stored.chunk[8:12], "big")
    left, at, blocks = len(stored.raw), 12, []
    while left >= 8 * element:
        size = min(block, left // (8 * element) * 8 * element)
        length = int.from_bytes(stored.chunk[at : at + 4], "big")
        blocks.append((stored.chunk[at + 4 : at + 4 + length], size))
        at += 4 + length
        left -= size
    return blocks


def fuzz_blocks(count: int, seed: int) -> dict[str, int]:
    """Decode so many damaged LZ4 blocks by the stride decoder and by liblz4."""
    blocks = [
        (block, size) for stored in samples("bitshuffle+lz4") for block, size in blocks_of(stored)
    ]
    ends = {"both": 0, "neither": 0, "left to liblz4": 0}
    for i in range(count):
        rng = random.Random(f"{seed} block {i}")
        block, size = rng.choice(blocks)
        ours, theirs = _decode.lz4_strides(
            mutate(block, rng), size, rng.choice(_decode.unshuffle_levels())
        )
        assert ours is None or ours == theirs, f"liblz4 differs: seed {seed}, mutation {i}"
        ends["neither" if theirs is None else "left to liblz4" if ours is None else "both"] += 1
    return ends


def main() -> None:
    """Fuzz as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="damaged chunks per decoder")
    parser.add_argument("--decoder", choices=[*DECODERS, "lz4 blocks"], action="append")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for decoder in options.decoder or [*DECODERS, "lz4 blocks"]:
        begin = time.perf_counter()
        if decoder == "lz4 blocks":
            ends = fuzz_blocks(options.count, options.seed)
        else:
            ends = fuzz(decoder, options.count, options.seed)
        took = time.perf_counter() - begin
        sys.stdout.write(f"{decoder}: {options.count} damaged chunks in {took:.0f} s\n")
        for end, n in ends.items():
            sys.stdout.write(f"    {n:9}  {end}\n")


if __name__ == "__main__":
    main()
