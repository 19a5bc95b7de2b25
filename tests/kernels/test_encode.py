"""Every chunk that is encoded here is one that HDF5 reads, and that is decoded here."""

from __future__ import annotations

import io
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxistack import kernels
from cxistack.kernels import _decode, _encode
from factory.chunks import Filters, counts, noise, store, store_through

from .test_decode import COUNTS, PIPELINES
from .test_unshuffle import bit_planes


def reads(data: NDArray[Any], filters: Filters, chunk: bytes) -> bytes:
    """Let HDF5 read a chunk that it did not write, through filters in any order."""
    with h5py.File(io.BytesIO(), "w") as h5:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk(data.shape)
        for number, values in filters:
            plist.set_filter(number, h5py.h5z.FLAG_MANDATORY, values)
        space = h5py.h5s.create_simple(data.shape)
        low = h5py.h5d.create(h5.id, b"data", h5py.h5t.py_create(data.dtype), space, plist)
        low.write_direct_chunk((0,) * data.ndim, chunk)
        return np.asarray(h5py.Dataset(low)[...]).tobytes()


def check(data: NDArray[Any], asked: Filters) -> None:
    stored = store_through(data, asked)
    raw = data.tobytes()
    chunks = set()
    for level in kernels.simd_levels():
        with kernels.use_simd(level):
            chunks.add(_encode.encode(stored.filters, raw))
    (chunk,) = chunks  # the same at every level
    assert len(chunk) <= _encode.EncodePipeline(stored.filters, len(raw)).bound
    assert reads(data, asked, chunk) == raw
    assert _decode.decode(stored.filters, 0, chunk, len(raw)) == raw


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">i4", "f8"])
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_every_pipeline(pipeline: str, dtype: str) -> None:
    for n in COUNTS:
        check(counts(n, dtype), PIPELINES[pipeline])
    check(noise(5000, dtype), PIPELINES[pipeline])
    check(np.zeros(40013, dtype), PIPELINES[pipeline])


@pytest.mark.parametrize("dtype", ["c16", "S3", "S5", "S24", "S100"])
def test_elements_of_any_size(dtype: str) -> None:
    for pipeline in ("shuffle", "bitshuffle", "bitshuffle+lz4", "bitshuffle+zstd"):
        for n in (1, 8, 40, 1003):
            data = noise(n, "u1").repeat(np.dtype(dtype).itemsize).view(dtype)
            check(data, PIPELINES[pipeline])


@settings(max_examples=60)
@given(
    pipeline=st.sampled_from(list(PIPELINES)),
    dtype=st.sampled_from(["i1", "<u2", "<u4", "f4", "f8"]),
    n=st.integers(1, 20000),
    mean=st.sampled_from([0.0, 0.02, 1.0, 30.0, 1e4]),
    seed=st.integers(0, 100),
)
def test_drawn(pipeline: str, dtype: str, n: int, mean: float, seed: int) -> None:
    check(counts(n, dtype, seed, mean), PIPELINES[pipeline])


@pytest.mark.parametrize("pipeline", ["shuffle", "fletcher32", "bitshuffle"])
def test_what_only_moves_bytes_makes_the_very_chunks_of_hdf5(pipeline: str) -> None:
    for dtype in ("u1", "u2", "u4", "u8", "S3"):
        for n in COUNTS:
            data = noise(n, "u1").repeat(np.dtype(dtype).itemsize).view(dtype)
            stored = store_through(data, PIPELINES[pipeline])
            assert _encode.encode(stored.filters, stored.raw) == stored.chunk


@pytest.mark.parametrize("n", [1, 2, 3, 359, 360, 719, 720, 721, 100_001])
@pytest.mark.parametrize("value", [0, 1, 254, 255, None])
def test_fletcher32_of_any_length(n: int, value: int | None) -> None:
    data = noise(n, "u1") if value is None else np.full(n, value, np.uint8)
    stored = store(data, fletcher32=True)
    assert _encode.encode(stored.filters, stored.raw) == stored.chunk


@pytest.mark.parametrize("pipeline", ["bitshuffle+lz4", "lz4", "lz4, blocks of 1000"])
def test_what_cannot_be_compressed_is_hardly_longer(pipeline: str) -> None:
    data = noise(100_000, "u2")
    filters = store_through(data, PIPELINES[pipeline]).filters
    assert len(_encode.encode(filters, data.tobytes())) < 1.01 * data.nbytes


def test_lz4_blocks_that_come_out_as_long_as_they_were() -> None:
    """Such a length says that the block is stored as it is."""
    ties = 0
    for n in range(20, 300):
        for zeros in range(4, 24):
            raw = np.random.default_rng(n).bytes(n) + bytes(zeros)
            chunk = _encode.encode(((32004, (0,)),), raw)
            assert _decode.decode(((32004, (0,)),), 0, chunk, len(raw)) == raw
            ties += len(chunk) == 16 + len(raw)
    assert ties


@pytest.mark.parametrize("level", range(10))
def test_deflate_is_as_small_as_zlibs(level: int) -> None:
    """Within 5% at the levels that are used, 8% at those that are not worth their time."""
    rng = np.random.default_rng(level)
    rate = 1.5 + 2000 * np.exp(-(np.hypot(*np.mgrid[-1:1:300j, -1:1:300j]) ** 2) / 0.02)
    for data in (
        rng.poisson(rate).astype("u2"),
        rng.poisson(0.05, 90_000).astype("u2"),
        rng.normal(100, 3, 90_000).astype("f4"),
        noise(90_000, "u2"),
    ):
        options = {"compression": "gzip", "compression_opts": level, "shuffle": True}
        stored = store(data, **options)
        size = len(_encode.encode(stored.filters, stored.raw))
        assert size <= (1.05 if level < 8 else 1.08) * len(stored.chunk)


@pytest.mark.parametrize("clevel", [1, 3, 19, -5])
def test_a_zstd_level_is_what_the_filter_says(clevel: int) -> None:
    for filters in (
        hdf5plugin.Zstd(clevel=clevel),
        hdf5plugin.Bitshuffle(cname="zstd", clevel=abs(clevel)),
    ):
        stored = store(counts(40_000, "u2"), **filters)
        size = len(_encode.encode(stored.filters, stored.raw))
        assert size == pytest.approx(len(stored.chunk), rel=0.1)  # versions of zstd differ


@pytest.mark.parametrize("level", kernels.simd_levels())
@pytest.mark.parametrize("element", [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 33])
@pytest.mark.parametrize("groups", [1, 2, 3, 4, 5, 8, 9, 31, 32, 33, 63, 64, 65, 128, 130, 512])
def test_bits_are_shuffled_as_defined(level: str, element: int, groups: int) -> None:
    data = np.random.default_rng(groups).bytes(8 * groups * element)
    assert _encode.shuffle_bits(data, element, level) == bit_planes(data, element)


@pytest.mark.parametrize(
    "filters",
    [
        ((32000, ()),),
        ((1, (10,)),),
        ((1, (1,)), (1, (2,))),
        ((2, (0,)),),
        ((32008, (0, 3, 7, 0, 2)),),  # 100 is no multiple of 7
        ((32008, (0, 3, 2, 2**32 - 8, 2)),),
        ((1, (4,)), (32008, (0, 3, 2, 0, 2))),
    ],
)
def test_what_cannot_be_encoded_is_refused(filters: Filters) -> None:
    with pytest.raises(ValueError, match="filter"):
        _encode.EncodePipeline(filters, 100)


def test_a_chunk_decodes_although_filters_after_it_are_skipped() -> None:
    raw = counts(999, "u4").tobytes()
    filters: Filters = ((2, (4,)), (1, (4,)), (3, ()))
    whole = _encode.encode(filters, raw)
    without = _encode.encode(filters[:2], raw)
    assert without == whole[:-4]
    assert _decode.decode(filters, 0b100, without, len(raw)) == raw


def test_the_codec_alone_compresses_all_blocks():
    planes = np.random.default_rng(0).integers(0, 3, 5 * 8192, np.uint8).tobytes()
    pipeline = _encode.EncodePipeline([(32008, (0, 3, 1, 0, 2))], len(planes))
    out = bytearray(pipeline.bound)
    total = _encode.Encoder(pipeline).codec_alone(planes, 8192, out)
    assert 0 < total < len(planes)
    with pytest.raises(ValueError, match="Blocks"):
        _encode.Encoder(pipeline).codec_alone(planes, 8192, out[:-1])
