"""Writing frames batch by batch: what h5py reads is what was appended, or what was there before."""

from contextlib import suppress

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import CastError, CXIStore, FrameWriter, LayoutError, StorageError
from factory import DATA, frames, put

NEW = "/entry/data/data"  # the default protocol's first path


def stored(name, path=NEW):
    with h5py.File(name) as h5:
        return h5[path][()]


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 5), max_size=5),
    compression=st.sampled_from([None, "none", "deflate", "zstd"]),
    depth=st.integers(1, 4),
)
def test_what_is_appended_is_what_h5py_reads(tmp_path_factory, sizes, compression, depth):
    name = tmp_path_factory.mktemp("w") / "a.cxi"
    whole = frames(sum(sizes))
    store = CXIStore(name, "w")
    with store.writer(
        "data", whole.shape[1:], "uint16", compression=compression, chunks=(depth, *whole.shape[1:])
    ) as writer:
        for part in np.split(whole, np.cumsum(sizes)[:-1]) if sizes else []:
            writer.append(part)
    assert writer.count == len(whole)
    np.testing.assert_array_equal(stored(name), whole)
    assert stored(name).dtype == np.uint16
    np.testing.assert_array_equal(store.load_attribute("data"), whole)


def test_a_frame_alone_is_a_batch_of_one(tmp_path):
    whole = frames(3)
    with CXIStore(tmp_path / "a.cxi", "w").writer("data") as writer:
        for frame in whole:
            writer.append(frame[None])
        writer.append(whole[0])
    np.testing.assert_array_equal(stored(tmp_path / "a.cxi"), [*whole, whole[0]])


def test_frames_replace_those_that_are_there_or_come_after_them(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(4)})
    store = CXIStore(name, "a")
    with store.writer("data", mode="append") as writer:
        writer.append(frames(2))
    np.testing.assert_array_equal(stored(name, DATA), [*frames(4), *frames(2)])
    with store.writer("data") as writer:
        writer.append(frames(1))
        writer.append(frames(3))
    np.testing.assert_array_equal(stored(name, DATA), [*frames(1), *frames(3)])


def test_an_error_in_the_block_leaves_the_file_as_it_was(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(4)})
    before = (tmp_path / "a.cxi").read_bytes()
    store = CXIStore(name, "a")

    def stops():
        yield frames(2)
        raise RuntimeError("the detector stopped")

    def writes():
        with store.writer("data") as writer:
            for some in stops():
                writer.append(some)

    with pytest.raises(RuntimeError, match="detector"):
        writes()
    assert (tmp_path / "a.cxi").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.cxi"]
    np.testing.assert_array_equal(store.load_attribute("data"), frames(4))


def test_other_attributes_saved_within_the_block_are_of_the_same_commit(tmp_path):
    name = tmp_path / "a.cxi"
    store = CXIStore(name, "x")
    with store.writer("data") as writer:
        writer.append(frames(2))
        store.save_attribute("distance", 0.5)
        assert not name.exists()
        writer.append(frames(1))
    assert store.load_attribute("distance") == 0.5
    assert store.frame_count == 3


def test_no_frame_leaves_an_empty_stack_where_its_shape_is_known(tmp_path):
    store = CXIStore(tmp_path / "a.cxi", "w")
    with store.writer("data", (4, 6), "uint16"):
        pass
    assert store["data"].shape == (0, 4, 6)


@pytest.mark.parametrize("shape", [None, (5, 7)])
def test_no_frame_replaces_those_that_were_there(tmp_path, shape):
    name = put(tmp_path / "a.cxi", {DATA: frames(5)})
    store = CXIStore(name, "r+")
    with store.writer("data", shape, mode="append"):
        pass
    assert store["data"].shape == (5, 5, 7)
    with store.writer("data", shape):
        pass
    assert store["data"].shape == (0, 5, 7)
    assert store["data"].dtype == np.uint16


def test_what_does_not_fit_is_refused(tmp_path):
    store = CXIStore(tmp_path / "a.cxi", "w")
    with pytest.raises(LayoutError, match="no frames of"), store.writer("data", (4, 6)) as writer:
        writer.append(np.zeros((2, 4, 5), np.uint16))
    with pytest.raises(CastError), store.writer("data", dtype="uint8") as writer:
        writer.append(np.full((1, 4, 6), 256))
    with store.writer("data", (4, 6), "uint8", casting="unsafe") as writer:
        writer.append(np.full((1, 4, 6), 257))
    assert (stored(tmp_path / "a.cxi") == 1).all()
    with pytest.raises(ValueError, match="has ended"):
        writer.append(np.zeros((4, 6), np.uint8))
    with pytest.raises(ValueError, match="mode must be"), store.writer("data", mode="insert"):
        pass
    assert isinstance(writer, FrameWriter)


def test_a_single_frame_first_tells_the_shape(tmp_path):
    store = CXIStore(tmp_path / "a.cxi", "w")
    with store.writer("data") as writer:
        for frame in frames(3):
            writer.append(frame)
    assert writer.count == 3
    np.testing.assert_array_equal(stored(tmp_path / "a.cxi"), frames(3))


def test_a_failure_that_is_caught_within_commits_nothing(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(5)})
    before = (tmp_path / "a.cxi").read_bytes()
    store = CXIStore(name, "r+")

    def fails_within():
        with store.writer("data") as writer:
            writer.append(frames(1))
            with pytest.raises(LayoutError):
                writer.append(np.zeros((1, 2, 2), np.uint16))

    def fails_in_a_transaction():
        with store.transaction(), suppress(KeyError), store.writer("data") as writer:
            writer.append(frames(1))
            raise KeyError

    for fails in (fails_within, fails_in_a_transaction):
        with pytest.raises(StorageError, match="nothing"):
            fails()
        assert (tmp_path / "a.cxi").read_bytes() == before
