"""Of any stored chunk, the pixels above a threshold are those of the chunk that it decodes to."""

from __future__ import annotations

import sys
from typing import Any

import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import kernels
from cxistack.kernels import _decode
from cxistack.kernels._above_chunk import chunk_above
from factory.chunks import Filters, Stored, counts, noise, store, store_through

Array = np.ndarray[Any, Any]
INTEGERS = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", ">u2", ">u4", ">i4", ">i8")


def check(stored: Stored, dtype: str, threshold: int, mask: Array | None = None) -> None:
    pixels = np.frombuffer(stored.raw, dtype).astype(np.dtype(dtype).newbyteorder("="))
    found = pixels > threshold
    if mask is not None:
        found &= mask
    pipeline = _decode.Pipeline(stored.filters, len(stored.raw))
    for level in kernels.simd_levels():
        with kernels.use_simd(level):
            pixel, value = chunk_above(
                stored.chunk, threshold, pipeline, dtype, mask=mask, filter_mask=stored.mask
            )
        assert (pixel.dtype, value.dtype) == (np.int64, pixels.dtype)
        np.testing.assert_array_equal(pixel, np.flatnonzero(found))
        np.testing.assert_array_equal(value, pixels[found])


@settings(max_examples=300, deadline=None)
@given(
    codec=st.sampled_from([2, 3]),
    block=st.sampled_from([0, 8, 64, 72, 10_000]),
    dtype=st.sampled_from(INTEGERS),
    n=st.integers(1, 9000),
    mean=st.sampled_from([0.0, 0.01, 3.0, 100.0, None]),
    threshold=st.sampled_from([-1, 0, 1, 4, 7, 90, 127, 128, 255, 2**15, 2**16, 2**31, 2**63 - 1]),
    share=st.sampled_from([None, 0.0, 0.001, 0.5, 1.0]),
    seed=st.integers(0, 2**32),
)
def test_drawn_chunks(
    codec: int,
    block: int,
    dtype: str,
    n: int,
    mean: float | None,
    threshold: int,
    share: float | None,
    seed: int,
) -> None:
    data = noise(n, dtype, seed) if mean is None else counts(n, dtype, seed, mean)
    if np.dtype(dtype).byteorder == ">":
        data = data.byteswap()
    stored = store_through(data, ((32008, (block, codec)),))
    mask = None if share is None else np.random.default_rng(seed).random(n) < share
    check(stored, dtype, threshold, mask)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("n", [1, 7, 8, 9, 63, 64, 65, 511, 512, 513, 4095, 4096, 4105, 40013])
def test_thresholds_at_the_ends_of_a_type(dtype: str, n: int) -> None:
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(n)
    edges = [limits.min, limits.min + 1, 0, 1, limits.max - 1, limits.max, limits.max // 2]
    data = rng.choice(np.array(edges, np.dtype(dtype).newbyteorder("=")), n).astype(dtype)
    stored = store(data, **hdf5plugin.Bitshuffle(cname="lz4"))
    for threshold in {int(limits.min) - 1, *edges}:
        check(stored, dtype, int(threshold))


def test_a_chunk_whose_filter_was_skipped() -> None:
    stored = store(counts(20_000, "u2"), **hdf5plugin.Bitshuffle(cname="lz4"))
    raw = stored._replace(chunk=stored.raw, mask=1)
    check(raw, "u2", 4)
    check(raw, "u2", 0, np.arange(20_000) % 3 == 0)
    pipeline = _decode.Pipeline(raw.filters, len(raw.raw))
    with pytest.raises(ValueError, match="size of a chunk"):
        chunk_above(raw.chunk[:-1], 4, pipeline, "u2", filter_mask=1)


def test_blocks_without_a_good_pixel_are_not_decoded() -> None:
    stored = store(counts(9000, "u2"), **hdf5plugin.Bitshuffle(cname="lz4"))
    length = int.from_bytes(stored.chunk[12:16], "big")
    chunk = bytearray(stored.chunk)
    chunk[16 : 16 + length] = bytes(length)  # no LZ4
    pipeline = _decode.Pipeline(stored.filters, len(stored.raw))
    mask = np.arange(9000) >= 4096
    pixel, _ = chunk_above(chunk, 4, pipeline, "u2", mask=mask)
    expected = np.flatnonzero((np.frombuffer(stored.raw, "u2") > 4) & mask)
    np.testing.assert_array_equal(pixel, expected)
    mask[4095] = True
    with pytest.raises(ValueError, match="invalid LZ4 block"):
        chunk_above(chunk, 4, pipeline, "u2", mask=mask)


def damaged(stored: Stored) -> list[bytes]:
    """Return the chunk cut at every byte, and with every byte changed in three ways."""
    chunk = stored.chunk
    cut = [chunk[:end] for end in range(len(chunk))]
    for place in range(len(chunk)):
        for change in (0x01, 0x80, 0xFF):
            cut.append(chunk[:place] + bytes([chunk[place] ^ change]) + chunk[place + 1 :])
    return cut


@pytest.mark.parametrize("dtype", ["u1", "u2", ">i4", "u8"])
@pytest.mark.parametrize("codec", [2, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_every_damage_raises_or_gives_what_the_chunk_decodes_to(
    dtype: str, codec: int, masked: bool
) -> None:
    data = np.random.default_rng(3).poisson(0.6, 301).astype(dtype)
    stored = store_through(data, ((32008, (64, codec)),))
    pipeline = _decode.Pipeline(stored.filters, len(stored.raw))
    decoder = _decode.Decoder(pipeline)
    mask = np.arange(301) % 5 > 0 if masked else None
    out = bytearray(len(stored.raw))
    raised = 0
    for chunk in damaged(stored):
        status = decoder.into(chunk, out)
        try:
            pixel, value = chunk_above(chunk, 1, pipeline, dtype, mask=mask)
        except ValueError:
            assert status != 0
            raised += 1
            continue
        assert status == 0
        pixels = np.frombuffer(bytes(out), dtype)
        found = (pixels > 1) if mask is None else (pixels > 1) & mask
        np.testing.assert_array_equal(pixel, np.flatnonzero(found))
        np.testing.assert_array_equal(value, pixels[found])
    assert raised >= len(stored.chunk)


def test_what_is_no_such_chunk_is_refused() -> None:
    stored = store(counts(100, "u2"), **hdf5plugin.Bitshuffle(cname="lz4"))
    pipeline = _decode.Pipeline(stored.filters, 200)
    with pytest.raises(TypeError, match="only those of integers"):
        chunk_above(stored.chunk, 1, pipeline, "f2")
    with pytest.raises(ValueError, match="mask has 99 pixels, the chunk 100"):
        chunk_above(stored.chunk, 1, pipeline, "u2", mask=np.ones(99, bool))
    with pytest.raises(ValueError, match="parameters of one"):
        chunk_above(stored.chunk, 1, pipeline, "u4")  # bitshuffle was told another size
    with pytest.raises(ValueError, match=r"header|ends before|size of a chunk"):
        chunk_above(b"", 1, pipeline, "u2")
    others: tuple[Filters, ...] = (
        ((1, (4,)),),
        ((32008, (0, 2, 2, 0, 0)),),
        ((32008, (0, 2, 2, 0, 2)), (3, ())),
    )
    for filters in others:
        with pytest.raises(ValueError, match="not compared here"):
            chunk_above(stored.chunk, 1, _decode.Pipeline(filters, 200), "u2")


def test_it_finds_what_bslz4_to_sparse_finds() -> None:
    peer = pytest.importorskip("bslz4_to_sparse")
    assert sys.byteorder == "little"
    rng = np.random.default_rng(0)
    for dtype in ("u1", "u2", "u4"):
        frame = rng.poisson(3, (101, 90)).astype(dtype)
        stored = store(frame, **hdf5plugin.Bitshuffle(cname="lz4"))
        pipeline = _decode.Pipeline(stored.filters, len(stored.raw))
        for mask in (np.ones(frame.shape, bool), rng.random(frame.shape) < 0.5):
            theirs = peer.chunk2sparse(mask.astype("u1"), frame.dtype)
            for threshold in (0, 3, 6, 200):
                count, (values, pixels) = theirs(stored.chunk, threshold)
                pixel, value = chunk_above(stored.chunk, threshold, pipeline, dtype, mask=mask)
                np.testing.assert_array_equal(pixel, pixels[:count])
                np.testing.assert_array_equal(value, values[:count])
