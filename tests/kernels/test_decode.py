"""Every stored chunk decodes to what HDF5 reads from it."""

from __future__ import annotations

import itertools
import zlib
from typing import Any

import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import kernels
from cxistack.kernels import _decode
from factory.chunks import Filters, Stored, counts, noise, read_through_hdf5, store, store_through

DEFLATE, SHUFFLE, FLETCHER32 = (1, (4,)), (2, ()), (3, ())
LZ4, ZSTD = (32004, (0,)), (32015, (3,))
BITSHUFFLE, BITSHUFFLE_LZ4, BITSHUFFLE_ZSTD = (32008, (0, 0)), (32008, (0, 2)), (32008, (0, 3))

PIPELINES: dict[str, Filters] = {
    "none": (),
    "deflate": (DEFLATE,),
    "shuffle": (SHUFFLE,),
    "fletcher32": (FLETCHER32,),
    "shuffle, deflate": (SHUFFLE, DEFLATE),
    "shuffle, deflate, fletcher32": (SHUFFLE, DEFLATE, FLETCHER32),
    "fletcher32, shuffle, deflate": (FLETCHER32, SHUFFLE, DEFLATE),
    "fletcher32, deflate, fletcher32": (FLETCHER32, DEFLATE, FLETCHER32),
    "deflate, shuffle": (DEFLATE, SHUFFLE),
    "deflate, deflate": (DEFLATE, DEFLATE),
    "lz4": (LZ4,),
    "lz4, blocks of 1000": ((32004, (1000,)),),
    "shuffle, lz4": (SHUFFLE, LZ4),
    "lz4, deflate": (LZ4, DEFLATE),
    "zstd": (ZSTD,),
    "shuffle, zstd, fletcher32": (SHUFFLE, ZSTD, FLETCHER32),
    "bitshuffle": (BITSHUFFLE,),
    "bitshuffle, deflate": (BITSHUFFLE, DEFLATE),
    "bitshuffle+lz4": (BITSHUFFLE_LZ4,),
    "bitshuffle+lz4, fletcher32": (BITSHUFFLE_LZ4, FLETCHER32),
    "bitshuffle+lz4, blocks of 64": ((32008, (64, 2)),),
    "bitshuffle+lz4, blocks of 10000": ((32008, (10000, 2)),),
    "bitshuffle+zstd": (BITSHUFFLE_ZSTD,),
    "bitshuffle+lz4, zstd": (BITSHUFFLE_LZ4, ZSTD),
    "bitshuffle+lz4 in blocks of 8, deflate": ((32008, (8, 2)), DEFLATE),
    "bitshuffle+zstd in blocks of 8, deflate": ((32008, (8, 3)), DEFLATE),
    "bitshuffle+zstd in blocks of 8, shuffle, zstd": ((32008, (8, 3)), SHUFFLE, ZSTD),
    "lz4 in blocks of 1, deflate": ((32004, (1,)), DEFLATE),
}
# In elements: none of eight, just around blocks of 8192 bytes, many blocks with a rest.
COUNTS = (1, 7, 8, 9, 63, 511, 512, 1023, 1024, 1025, 4095, 4096, 4097, 4104, 40013)


def check(stored: Stored) -> None:
    """Decode at every SIMD level, into memory that shows what was written past the chunk."""
    pipeline = _decode.Pipeline(stored.filters, len(stored.raw))
    for level in kernels.simd_levels():
        with kernels.use_simd(level):
            decoder = _decode.Decoder(pipeline)
        out = bytearray(b"\xa5" * (len(stored.raw) + 64))
        status = decoder.into(stored.chunk, out, stored.mask)
        assert status == 0, (level, _decode.explain_status(status))
        assert out[: len(stored.raw)] == stored.raw
        assert out[len(stored.raw) :] == b"\xa5" * 64


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">i4", "f8"])
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_every_pipeline(pipeline: str, dtype: str) -> None:
    for n in COUNTS:
        check(store_through(counts(n, dtype), PIPELINES[pipeline]))
    check(store_through(noise(5000, dtype), PIPELINES[pipeline]))


def stored_in_blocks(data: bytes, size: int) -> bytes:
    """Return a zlib stream of uncompressed blocks, as a writer makes that flushes often."""
    parts = [data[k : k + size] for k in range(0, len(data), size)]
    heads = [len(part).to_bytes(2, "little") for part in parts]
    blocks = [
        bytes([number == len(parts)]) + head + bytes(byte ^ 0xFF for byte in head) + part
        for number, (head, part) in enumerate(zip(heads, parts, strict=True), 1)
    ]
    return b"\x78\x01" + b"".join(blocks) + zlib.adler32(data).to_bytes(4, "big")


@pytest.mark.parametrize("size", [1, 2, 16, 1000])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_deflate_that_makes_chunks_longer(size: int, after: int) -> None:
    raw = noise(5000, "<u2").tobytes()
    chunk = stored_in_blocks(raw, size)
    assert zlib.decompress(chunk) == raw
    for _ in range(after):
        chunk = zlib.compress(chunk)
    options = {"compression": "gzip"}
    if after == 0:
        assert read_through_hdf5(len(raw), options, chunk) == raw
    check(Stored((DEFLATE,) * (after + 1), 0, chunk, raw))


@pytest.mark.parametrize("dtype", ["c16", "S3", "S5", "S7", "S24", "S100", "S9000"])
@pytest.mark.parametrize("codec", ["none", "lz4", "zstd"])
def test_bitshuffle_of_elements_of_any_size(codec: Any, dtype: str) -> None:
    for n in (1, 8, 9, 127, 128, 129, 1000):
        check(store(counts(n, dtype), **hdf5plugin.Bitshuffle(cname=codec)))
        check(store(noise(n, dtype), **hdf5plugin.Bitshuffle(cname=codec)))


@settings(max_examples=200, deadline=None)
@given(
    pipeline=st.sampled_from(sorted(PIPELINES)),
    dtype=st.sampled_from(["u1", "u2", "u4", "u8", "S3", "S6"]),
    n=st.integers(1, 6000),
    mean=st.sampled_from([0.0, 0.01, 0.3, 5.0, 100.0]),
    seed=st.integers(0, 2**32),
)
def test_drawn_chunks(pipeline: str, dtype: str, n: int, mean: float, seed: int) -> None:
    check(store_through(counts(n, dtype, seed, mean), PIPELINES[pipeline]))


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
@pytest.mark.parametrize("mean", [0.0, 0.02, 1.0, 30.0, 3000.0])
def test_frames_of_small_and_large_counts(codec: Any, mean: float) -> None:
    for dtype in ("u2", "u4", "u8"):
        data = np.random.default_rng(1).poisson(mean, (211, 197)).astype(dtype)
        check(store(data, **hdf5plugin.Bitshuffle(cname=codec)))


def test_gzip_of_noise_is_longer_than_the_chunk() -> None:
    stored = store(noise(12288, "u1"), compression="gzip")
    assert len(stored.chunk) > 12288
    check(stored)


def test_lz4_keeps_what_it_cannot_shrink() -> None:
    stored = store(noise(3000, "u1"), **hdf5plugin.LZ4(nbytes=1024))
    assert stored.raw[:1024] in stored.chunk
    check(stored)


def test_a_mask_says_which_filters_were_skipped() -> None:
    raw = counts(999, "u4").tobytes()
    filters: Filters = ((2, (4,)), (1, (4,)), (3, ()))
    planes = np.frombuffer(raw, np.uint8).reshape(-1, 4).T.tobytes()
    for mask, chunk in {
        0b100: zlib.compress(planes),
        0b101: zlib.compress(raw),
        0b110: planes,
        0b111: raw,
        0b11111: raw,
    }.items():
        check(Stored(filters, mask, chunk, raw))
    options = {"shuffle": True, "compression": "gzip"}
    assert read_through_hdf5(len(raw), options, zlib.compress(raw), 0b01) == raw


def test_a_masked_checksum_is_not_looked_for() -> None:
    stored = store(counts(100, "u2"), fletcher32=True)
    assert _decode.decode(stored.filters, 1, stored.chunk[:-4], 200) == stored.raw


@pytest.mark.parametrize("n", [1, 2, 3, 359, 360, 719, 720, 721, 100_001])
@pytest.mark.parametrize("value", [0, 1, 254, 255, None])
def test_fletcher32_of_any_length(n: int, value: int | None) -> None:
    data = noise(n, "u1") if value is None else np.full(n, value, np.uint8)
    check(store(data, fletcher32=True))


def test_fletcher32_of_either_byte_order() -> None:
    stored = store(noise(1001, "u1"), fletcher32=True)
    a, b, c, d = stored.chunk[-4:]
    swapped = stored._replace(chunk=stored.chunk[:-4] + bytes([b, a, d, c]))
    assert read_through_hdf5(1001, {"fletcher32": True}, swapped.chunk) == stored.raw
    check(swapped)
    for bit in range(0, 8 * len(stored.chunk), 7):
        changed = bytearray(stored.chunk)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="Fletcher32"):
            _decode.decode(stored.filters, 0, changed, 1001)


def test_bitshuffle_blocks_are_those_of_the_header() -> None:
    stored = store(counts(5000, "u2"), **hdf5plugin.Bitshuffle(nelems=256))
    (number, values), *_ = stored.filters
    other = (*values[:3], 4096, *values[4:])
    check(stored._replace(filters=((number, other),)))


def test_zstd_frames_with_and_without_their_size() -> None:
    stored = store(counts(5000, "u2"), **hdf5plugin.Zstd())
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"notes"
    check(stored._replace(chunk=skippable + stored.chunk))
    first, second = (
        store(part, **hdf5plugin.Zstd()) for part in (counts(70, "u1"), noise(30, "u1"))
    )
    check(Stored(first.filters, 0, first.chunk + second.chunk, first.raw + second.raw))


@pytest.mark.parametrize("codec", ["none", "lz4", "zstd"])
@pytest.mark.parametrize("n", [5, 4096, 40013])
def test_blocks_are_decoded_or_stepped_over(codec: Any, n: int) -> None:
    stored = store(counts(n, "u2"), **hdf5plugin.Bitshuffle(cname=codec))
    decoder = _decode.Decoder(_decode.Pipeline(stored.filters, len(stored.raw)))
    for every in (1, 2, 3, 100):
        chosen = itertools.cycle([True] + [False] * (every - 1))
        parts = decoder.blocks(stored.chunk, lambda *_, chosen=chosen: next(chosen))
        for i, (offset, block) in enumerate(parts):
            assert (block is not None) == (i % every == 0)
            if block is not None:
                assert block == stored.raw[offset : offset + len(block)]
        assert parts[-1][0] < len(stored.raw)
    parts = decoder.blocks(stored.chunk, lambda *_: True)
    assert b"".join(block or b"" for _, block in parts) == stored.raw


@pytest.mark.parametrize(
    "filters",
    [
        ((32000, ()),),
        ((2, ()),),
        ((2, (0,)),),
        ((2, (2, 2)),),
        ((32008, ()),),
        ((32008, (0, 3)),),
        ((32008, (0, 3, 0, 0, 2)),),
        ((32008, (0, 3, 2, 12, 2)),),
        ((32008, (0, 3, 2, 0, 1)),),
        ((32008, (0, 3, 2, 0, 2**32 - 1)),),
        ((32008, (0, 3, 2, 0, 2, 1, 1)),),
        ((1, ()),) * 9,
    ],
)
def test_filters_that_make_no_sense_are_refused(filters: Filters) -> None:
    with pytest.raises(ValueError, match="filter"):
        _decode.Pipeline(filters, 100)


def test_too_little_room_is_refused() -> None:
    decoder = _decode.Decoder(_decode.Pipeline(((1, ()),), 100))
    status = decoder.into(zlib.compress(bytes(100)), bytearray(99))
    assert "too little memory" in _decode.explain_status(status)


def test_what_this_build_decodes() -> None:
    assert _decode.decoders() == {
        1: "deflate",
        2: "shuffle",
        3: "fletcher32",
        32004: "lz4",
        32008: "bitshuffle",
        32015: "zstd",
    }
