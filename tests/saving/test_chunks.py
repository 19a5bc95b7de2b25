"""Rows written to a dataset are what h5py reads from it, however it is stored."""

import io
import itertools
import math
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack.errors import CastError
from cxistack.kernels import use_simd
from cxistack.saving import chunks
from cxistack.saving.chunks import is_encoded_here, write_rows
from cxistack.saving.values import ValueEncoder

CODECS = {
    "bitshuffle": {**hdf5plugin.Bitshuffle(cname="lz4")},
    "bitshuffle, blocks of 8": {**hdf5plugin.Bitshuffle(nelems=8, cname="lz4")},
    "bitshuffle zstd": {**hdf5plugin.Bitshuffle(cname="zstd")},
    "bitshuffle alone": {**hdf5plugin.Bitshuffle(cname="none")},
    "zstd": {**hdf5plugin.Zstd()},
    "LZ4": {**hdf5plugin.LZ4()},
    "gzip, shuffle, fletcher32": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "fletcher32": {"fletcher32": True},
    "lzf": {"compression": "lzf"},
    "none": {},
}
TYPES = ["?", "i1", "u1", "<u2", ">u2", "<i4", ">i4", "<u8", "<f4", ">f4", "<f8", ">f8", "<c8"]


def roomy(extra):
    """Let any number of bytes be written."""


def values(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return np.minimum(rng.poisson(3.0, shape), 100).astype(dtype)


def laid_out(array, how):
    """Return an equal array that lies otherwise in memory."""
    if how == "every other":
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if how == "backwards":
        return np.ascontiguousarray(array[::-1])[::-1]
    if how == "Fortran":
        return np.asfortranarray(array)
    return array


@st.composite
def stacks(draw):
    rank = draw(st.integers(1, 4))
    shape = tuple(draw(st.lists(st.integers(1, 13), min_size=rank, max_size=rank)))
    chunk = tuple(draw(st.integers(1, n + (k == 0) * 3)) for k, n in enumerate(shape))
    return shape, chunk


@given(
    stacks(),
    st.sampled_from(list(CODECS)),
    st.sampled_from(TYPES),
    st.data(),
    st.sampled_from(["C", "every other", "backwards", "Fortran"]),
    st.sampled_from([1, 2, 3]),
)
def test_any_stack(stack, codec, stored, data, how, threads):
    shape, chunk = stack
    kinds = [stored] if stored == "<c8" else [stored, "u1", ">i2", "<f8"]
    given = laid_out(values(shape, data.draw(st.sampled_from(kinds))), how)
    is_new = data.draw(st.booleans())
    with h5py.File(io.BytesIO(), "w") as h5:
        dataset = h5.create_dataset(
            "x", shape, stored, chunks=chunk, maxshape=(None,) * len(shape), **CODECS[codec]
        )
        encoder = ValueEncoder(dataset.dtype)
        encoder.check(given, dataset.dtype)
        parts = [0, *sorted(data.draw(st.sets(st.integers(1, shape[0]), max_size=3)))]
        parts = sorted({*parts, shape[0]})
        runs = data.draw(st.permutations([np.arange(a, b) for a, b in itertools.pairwise(parts)]))
        rows = np.concatenate(runs)
        write_rows(
            dataset, laid_out(given[rows], how), roomy, rows, num_threads=threads, is_new=is_new
        )
        np.testing.assert_array_equal(dataset[...], given.astype(stored), strict=True)


def new(path, shape, dtype, chunk, codec="bitshuffle", **options):
    h5 = h5py.File(path, "w")
    return h5.create_dataset(
        "x", shape, dtype, chunks=chunk, maxshape=(None,) * len(shape), **CODECS[codec], **options
    )


def sizes(dataset):
    found = {}
    dataset.id.chunk_iter(lambda info: found.update({info.chunk_offset: info.size}))
    return found


@pytest.fixture
def tallied(monkeypatch):
    """Return a list to which the numbers of chunks are added that are encoded here."""
    made = []

    class Tallied(chunks.EncodeJob):
        def drain(self, write):
            return super().drain(lambda k, chunk: (made.append(k), write(k, chunk)))

    monkeypatch.setattr(chunks, "EncodeJob", Tallied)
    return made


@pytest.mark.parametrize("codec", CODECS)
def test_which_are_encoded_here(tmp_path, codec, tallied):
    dataset = new(tmp_path / "a.h5", (4, 5, 7), "u2", (1, 5, 7), codec)
    write_rows(dataset, values((4, 5, 7), "u2"), roomy, num_threads=1)
    ours = codec not in ("lzf", "none")
    assert is_encoded_here(dataset) == ours
    assert sorted(tallied) == (list(range(4)) if ours else [])


def test_rows_that_cover_no_whole_chunk_leave_the_others_alone(tmp_path, tallied):
    dataset = new(tmp_path / "a.h5", (20, 3, 4), "i4", (4, 3, 4), "gzip, shuffle, fletcher32")
    expected = values((20, 3, 4), "i4")
    dataset[...] = expected
    more = values((13, 3, 4), "i4", seed=1) + 1000
    write_rows(dataset, more, roomy, np.arange(2, 15))
    expected[2:15] = more
    assert len(tallied) == 2  # frames 4 to 11
    np.testing.assert_array_equal(dataset[...], expected)


@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize("fill", [None, 7, -1])
def test_what_grows_shows_its_fill_value(tmp_path, is_new, fill):
    """The last chunk has room for more rows, and those at the borders for more columns."""
    dataset = new(tmp_path / "a.h5", (5, 6, 7), ">i4", (4, 4, 4), fillvalue=fill)
    given = values((5, 6, 7), "i4")
    write_rows(dataset, given, roomy, is_new=is_new)
    dataset.resize((8, 9, 9))
    expected = np.full((8, 9, 9), 0 if fill is None else fill, ">i4")
    expected[:5, :6, :7] = given
    np.testing.assert_array_equal(dataset[...], expected)


def test_nobody_sees_what_was_there_before(tmp_path):
    """HDF5 keeps decoded chunks in memory, also dirty ones."""
    dataset = new(tmp_path / "a.h5", (6, 8, 9), "u2", (1, 8, 9))
    other = dataset.file["x"]
    dataset[...] = 1
    assert (other[...] == 1).all()
    given = values((6, 8, 9), "u2") + 2
    write_rows(dataset, given, roomy)
    np.testing.assert_array_equal(dataset[...], given)
    np.testing.assert_array_equal(other[...], given)
    dataset[2, 3] = 9
    given[2, 3] = 9
    write_rows(other, given[:2] + 1, roomy)
    given[:2] += 1
    dataset.file.close()
    with h5py.File(tmp_path / "a.h5") as h5:
        np.testing.assert_array_equal(h5["x"][...], given)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_partial_chunks_that_hdf5_keeps_raw_are_written_by_hdf5(tmp_path, tallied, axis):
    """h5py cannot ask for them, and nobody can ask whether a dataset has them."""
    ctypes = pytest.importorskip("ctypes")
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    libraries = [line.split()[-1] for line in lines if "libhdf5-" in line]
    if not libraries:
        pytest.skip("HDF5 is not a library of its own here")
    library = ctypes.CDLL(libraries[0])
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((1, 4, 4))
    plist.set_deflate(4)
    assert library.H5Pset_chunk_opts(ctypes.c_int64(plist.id), 2) >= 0
    given = values((3, 6, 7), "u2")
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as h5:
        most = [h5py.h5s.UNLIMITED if k == axis else n for k, n in enumerate(given.shape)]
        space = h5py.h5s.create_simple(given.shape, tuple(most))
        low = h5py.h5d.create(h5.id, b"x", h5py.h5t.NATIVE_UINT16, space, plist)
        dataset = h5py.Dataset(low)
        dataset[...] = 1
        write_rows(dataset, given, roomy)
    assert tallied == []
    with h5py.File(tmp_path / "a.h5") as h5:
        np.testing.assert_array_equal(h5["x"][...], given)
        assert 32 in sizes(h5["x"]).values()


def test_partial_chunks_that_are_seen_to_be_filtered_are_encoded_here(tmp_path, tallied):
    dataset = new(tmp_path / "a.h5", (3, 6, 7), "u2", (1, 4, 4))
    dataset[...] = 1
    given = values((3, 6, 7), "u2")
    write_rows(dataset, given, roomy)
    assert len(tallied) == 12
    np.testing.assert_array_equal(dataset[...], given)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("chunk", [(1, 600, 700), (7, 100, 100), (1, 9, 9)])
def test_many_chunks_on_many_threads(tmp_path, threads, chunk):
    shape = (23, 600, 700) if chunk[1] > 9 else (3, 600, 700)
    given = values(shape, "u2")
    dataset = new(tmp_path / "a.h5", shape, "u2", chunk)
    write_rows(dataset, given, roomy, num_threads=threads, is_new=True)
    np.testing.assert_array_equal(dataset[...], given)
    grid = math.prod(-(-n // c) for n, c in zip(shape, chunk, strict=True))
    assert len(sizes(dataset)) == grid


def test_files_are_the_same_at_every_level_and_number_of_threads(tmp_path):
    made = set()
    for level, threads in itertools.product(["portable", "avx2", "avx512"], [1, 2, 4]):
        path = tmp_path / f"{level}-{threads}.h5"
        dataset = new(path, (9, 50, 60), "u2", (1, 50, 60), track_times=False)
        try:
            with use_simd(level):
                write_rows(dataset, values((9, 50, 60), "u2"), roomy)
        except ValueError:
            continue  # not on this processor
        dataset.file.close()
        made.add(path.read_bytes())
    assert len(made) == 1


def test_a_check_names_the_frame_of_the_whole(tmp_path):
    given = np.zeros((40, 700, 700), "i4")
    given[33, 5, 6] = -1
    with pytest.raises(CastError, match=r"Frame 33, pixel \(5, 6\): the value -1"):
        ValueEncoder(np.dtype("u2")).check(given, np.dtype("u2"))
    ValueEncoder(np.dtype("u2"), casting="unsafe").check(given, np.dtype("u2"))
    given[33, 5, 6] = 65535
    ValueEncoder(np.dtype("u2")).check(given, np.dtype("u2"))
