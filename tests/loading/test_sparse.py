"""Pixels above a threshold, by either way, are numpy.nonzero of what is loaded."""

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import Crop, CXIStore, FileChangedError, LayoutError, Mirror, StorageError
from cxistack.loading import sparse, whole_chunks
from factory import DATA

FRAMES = np.random.default_rng(5).poisson(2, (7, 67, 90))
FRAMES[3] = 0
FUSED = "blocks are compared as they are decoded"


def expected(frames, threshold, mask=None):
    """Return what NumPy finds in frames that lie in memory."""
    flat = frames.reshape(len(frames), frames[0].size if len(frames) else 1)
    good = True if mask is None else np.broadcast_to(mask, frames.shape).reshape(flat.shape)
    place, pixel = np.nonzero((flat > threshold) & good)
    return place, pixel, flat[place, pixel]


def same(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [found[0].dtype, found[1].dtype] == [np.int64, np.int64]
    assert found[2].dtype == wanted[2].dtype


def write(file, frames, codec="lz4", **options):
    filters = hdf5plugin.Bitshuffle(cname=codec) if codec else {}
    with h5py.File(file, "w") as h5:
        options.setdefault("chunks", (1, *frames.shape[1:]))
        h5.create_dataset(DATA, data=frames, **filters, **options)
    return CXIStore(file)


@settings(deadline=None, max_examples=150)
@given(
    codec=st.sampled_from(["lz4", "zstd", "none", None]),
    dtype=st.sampled_from(["u1", "u2", "u4", "u8", "i2", "i4", ">u2", ">i4", "f4", "f8"]),
    chunk=st.sampled_from([(1, 67, 90), (2, 67, 90), (1, 30, 90), (1, 67, 50)]),
    transform=st.sampled_from([None, Crop([3, 50, 7, 80]), Mirror(0, (67, 90))]),
    wanted=st.none() | st.lists(st.integers(0, 6), max_size=9),
    threshold=st.sampled_from([-1, 0, 2, 2.5, 5, 1000]),
    mask=st.sampled_from([None, "one", "each"]),
    threads=st.integers(1, 3),
)
def test_both_ways_are_nonzero(
    tmp_path_factory, codec, dtype, chunk, transform, wanted, threshold, mask, threads
):
    frames = FRAMES.astype(dtype)
    store = write(tmp_path_factory.mktemp("sparse") / "a.h5", frames, codec, chunks=chunk)
    load = store._prepare("data", transform=transform, dtype=np.dtype(dtype).newbyteorder("="))
    frames = frames.astype(load.dtype)
    frames = frames if transform is None else transform.forward(frames)
    numbers = None if wanted is None else np.array(wanted, np.int64)
    frames = frames if wanted is None else frames[numbers]
    good = None
    if mask is not None:
        shape = frames.shape if mask == "each" else load.frame_shape
        good = np.random.default_rng(1).random(shape) < 0.7
    found = sparse.read_above(load, threshold, numbers, mask=good, num_threads=threads)
    same(found, expected(frames, threshold, good))
    is_fused = FUSED in sparse.sparse_way(load, numbers)
    may_be = codec in ("lz4", "zstd") and np.dtype(dtype).kind in "iu"
    if wanted is None:
        assert is_fused == (may_be and chunk == (1, 67, 90) and transform is None)


def test_frames_of_many_files_in_any_order(tmp_path):
    for number in range(5):
        write(tmp_path / f"{number}.h5", FRAMES.astype("u2") + np.uint16(number)).close()
    store = CXIStore(str(tmp_path / "*.h5"))
    load = store._prepare("data")
    numbers = np.random.default_rng(0).permutation(np.repeat(np.arange(35), 2))
    assert FUSED in sparse.sparse_way(load, numbers)
    same(sparse.read_above(load, 4, numbers), expected(load.read(numbers), 4))


@pytest.mark.parametrize("each", [False, True])
def test_one_frame_asked_for_again_and_again(tmp_path, each):
    load = write(tmp_path / "a.h5", FRAMES.astype("u2"))._prepare("data")
    numbers = np.array([2, 2, 2, 0, 2])
    shape = (5, 67, 90) if each else (67, 90)
    mask = np.random.default_rng(1).random(shape) < 0.5
    found = sparse.read_above(load, 2, numbers, mask=mask)
    same(found, expected(FRAMES.astype("u2")[numbers], 2, mask))


@pytest.mark.parametrize("fill", [0, 9])
def test_frames_that_were_never_written(tmp_path, fill):
    file = tmp_path / "a.h5"
    with h5py.File(file, "w") as h5:
        data = h5.create_dataset(
            DATA, (4, 20, 30), "u2", chunks=(1, 20, 30), fillvalue=fill, **hdf5plugin.Bitshuffle()
        )
        data[2] = np.arange(600).reshape(20, 30)
    load = CXIStore(file)._prepare("data")
    same(sparse.read_above(load, 5), expected(load.read(), 5))
    empty = np.array([0, 1])
    same(sparse.read_above(load, 5, empty), expected(load.read(empty), 5))


def test_chunks_that_were_stored_without_their_filter(tmp_path):
    file = tmp_path / "a.h5"
    frames = FRAMES.astype(">u2")
    write(file, frames).close()
    with h5py.File(file, "r+") as h5:
        h5[DATA].id.write_direct_chunk((1, 0, 0), frames[1].tobytes(), 1)
    with CXIStore(file) as store:
        load = store._prepare("data")
        assert FUSED in sparse.sparse_way(load)
        same(sparse.read_above(load, 3), expected(FRAMES.astype(load.dtype), 3))
    with h5py.File(file, "r+") as h5:
        h5[DATA].id.write_direct_chunk((1, 0, 0), frames[1].tobytes()[:-2], 1)
    with pytest.raises(StorageError, match=r"a\.h5.*size of a chunk"):
        sparse.read_above(CXIStore(file)._prepare("data"), 3)


def test_a_damaged_chunk_is_named(tmp_path):
    file = tmp_path / "a.h5"
    write(file, FRAMES.astype("u2")).close()
    with h5py.File(file, "r+") as h5:
        _, chunk = h5[DATA].id.read_direct_chunk((4, 0, 0))
        h5[DATA].id.write_direct_chunk((4, 0, 0), chunk[:-20])
    load = CXIStore(file)._prepare("data")
    with pytest.raises(StorageError, match=r"a\.h5.*4.*ends before its last block"):
        sparse.read_above(load, 3)
    good = np.array([0, 1, 2, 3, 5, 6])
    same(sparse.read_above(load, 3, good), expected(FRAMES.astype("u2")[good], 3))


def test_values_that_are_cast_are_compared_after_it(tmp_path):
    store = write(tmp_path / "a.h5", FRAMES.astype("u2"))
    load = store._prepare("data", dtype="float32")
    assert "pixels are float32" in sparse.sparse_way(load)
    same(sparse.read_above(load, 2.5), expected(FRAMES.astype("f4"), 2.5))
    load = store._prepare("data", dtype="int32")
    assert "stored as uint16" in sparse.sparse_way(load)
    same(sparse.read_above(load, 2), expected(FRAMES.astype("i4"), 2))


def test_a_single_frame_and_modules(tmp_path):
    file = tmp_path / "a.cxi"
    with h5py.File(file, "w") as h5:
        h5["/speckle_tracking/whitefield"] = FRAMES[0].astype("f4")
        h5.create_dataset(
            DATA,
            data=FRAMES.astype("u2").reshape(7, 1, 67, 90).repeat(2, axis=1),
            chunks=(1, 2, 67, 90),
            **hdf5plugin.Bitshuffle(cname="lz4"),
        )
    store = CXIStore(file)
    white = store._prepare("whitefield")
    mask = np.random.default_rng(1).random((67, 90)) < 0.5
    same(
        sparse.read_above(white, 2.0, mask=mask),
        expected(FRAMES[:1].astype(white.dtype), 2.0, mask),
    )
    data = store._prepare("data")
    same(sparse.read_above(data, 2), expected(data.read(), 2))


def test_nothing_above_the_largest_value_is_read(tmp_path):
    load = write(tmp_path / "a.h5", FRAMES.astype("u2"))._prepare("data")
    assert [len(one) for one in sparse.read_above(load, 65535)] == [0, 0, 0]
    assert [len(one) for one in sparse.read_above(load, 3, np.empty(0, np.int64))] == [0, 0, 0]
    with pytest.raises(ValueError, match="NaN"):
        sparse.read_above(load, np.nan)


def test_a_mask_of_other_pixels_is_refused(tmp_path):
    load = write(tmp_path / "a.h5", FRAMES.astype("u2"))._prepare("data")
    with pytest.raises(LayoutError, match=r"\(67, 90\), or one for each"):
        sparse.read_above(load, 3, mask=np.ones((90, 67), bool))
    with pytest.raises(TypeError, match="boolean"):
        sparse.read_above(load, 3, mask=np.ones((67, 90)))


def test_a_file_that_this_process_writes_is_loaded_by_hdf5(tmp_path):
    file = tmp_path / "a.h5"
    write(file, FRAMES.astype("u2")).close()
    with h5py.File(file, "r+") as h5:
        load = CXIStore(file)._prepare("data")
        assert "not all frames are read beside libhdf5" in sparse.sparse_way(load)
        h5[DATA][2, 3, 4] = 77
        same(sparse.read_above(load, 50), expected(load.read(), 50))


def test_bslz4_to_sparse_finds_the_same(tmp_path):
    peer = pytest.importorskip("bslz4_to_sparse")
    for dtype in ("u1", "u2", "u4"):
        file = tmp_path / f"{dtype}.h5"
        write(file, FRAMES.astype(dtype)).close()
        load = CXIStore(file)._prepare("data")
        mask = np.random.default_rng(1).random((67, 90)) < 0.7
        place, pixel, value = sparse.read_above(load, 3, mask=mask)
        with h5py.File(file) as h5:
            for number in range(len(FRAMES)):
                flags = mask.astype("u1").ravel()
                count, (values, pixels) = peer.bslz4_to_sparse(h5[DATA], number, 3, flags)
                here = place == number
                np.testing.assert_array_equal(pixel[here], pixels[:count])
                np.testing.assert_array_equal(value[here], values[:count])


def test_more_files_and_frames_than_one_job_takes(tmp_path, monkeypatch):
    for number in range(4):
        write(tmp_path / f"{number}.h5", FRAMES.astype("u2")).close()
    load = CXIStore(str(tmp_path / "*.h5"))._prepare("data")
    monkeypatch.setattr(whole_chunks, "most_open", lambda: 2)
    monkeypatch.setattr(whole_chunks, "MOST_TASKS", 5)
    numbers = np.array([20, 3, 3, 27, 0, 1, 2, 3, 4, 5, 6, 7, 8, 14])
    mask = np.random.default_rng(1).random((len(numbers), 67, 90)) < 0.5
    frames = load.read(numbers)
    same(sparse.read_above(load, 3, numbers), expected(frames, 3))
    same(sparse.read_above(load, 3, numbers, mask=mask), expected(frames, 3, mask))


def test_files_of_several_types_and_codecs_keep_their_order(tmp_path):
    for number, codec in enumerate(("lz4", "zstd", "lz4")):
        frames = FRAMES.astype(("u2", ">u2", "u2")[number])
        write(tmp_path / f"{number}.h5", frames, codec).close()
    load = CXIStore(str(tmp_path / "*.h5"))._prepare("data")
    assert FUSED in sparse.sparse_way(load)
    same(sparse.read_above(load, 3), expected(load.read(), 3))
    write(tmp_path / "3.h5", FRAMES.astype("u2"), None).close()
    load = CXIStore(str(tmp_path / "*.h5"))._prepare("data")
    assert "bitshuffle" in sparse.sparse_way(load)
    same(sparse.read_above(load, 3), expected(load.read(), 3))


def test_a_file_that_was_replaced_is_told_of(tmp_path):
    file = tmp_path / "a.h5"
    write(file, FRAMES.astype("u2")).close()
    load = CXIStore(file)._prepare("data")
    sparse.read_above(load, 3)
    write(tmp_path / "b.h5", FRAMES.astype("u2") + 1).close()
    (tmp_path / "b.h5").rename(file)
    with pytest.raises(FileChangedError, match=r"a\.h5"):
        sparse.read_above(load, 3)
