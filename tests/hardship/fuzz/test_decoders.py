"""Damaged chunks neither crash nor write around the result, in one process."""

from __future__ import annotations

import pytest

from cxistack.kernels import _decode

from .decoders import Target, blocks_of, fuzz, fuzz_above, fuzz_blocks
from .samples import DECODERS, samples

COUNT = 20_000


@pytest.mark.parametrize("decoder", DECODERS)
def test_damaged_chunks(decoder: str) -> None:
    ends = fuzz(decoder, COUNT, seed=1)
    assert sum(ends.values()) == COUNT
    assert len(ends) > 1


@pytest.mark.parametrize("decoder", ["bitshuffle+lz4", "bitshuffle+zstd"])
def test_pixels_of_damaged_chunks(decoder: str) -> None:
    ends = fuzz_above(decoder, COUNT, seed=1)
    assert min(ends.values()) > 0


def test_the_stride_decoder_agrees_with_liblz4() -> None:
    ends = fuzz_blocks(COUNT, seed=1)
    assert min(ends["both"], ends["neither"]) > 0


def test_the_stride_decoder_does_what_compressors_make() -> None:
    for stored in samples("bitshuffle+lz4"):
        for block, size in blocks_of(stored):
            for level in _decode.unshuffle_levels():
                ours, theirs = _decode.lz4_strides(block, size, level)
                assert ours is not None
                assert ours == theirs


@pytest.mark.parametrize("decoder", DECODERS)
def test_every_truncation(decoder: str) -> None:
    target = Target(samples(decoder)[3])
    assert target.stored.raw
    for end in range(len(target.stored.chunk)):
        for level in target.decoders:
            assert level.into(target.stored.chunk[:end], target.out, target.stored.mask) != 0
