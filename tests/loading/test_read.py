"""Where the values of a load go, and how many threads fetch them."""

import numpy as np
import pytest

import factory
from cxistack import Crop, CXIStore
from factory import DATA, MASK, WHITEFIELD, frames, good_mask, put


class TestOut:
    def test_counts_as_dtype_and_is_returned(self, tmp_path):
        store = CXIStore(put(tmp_path / "a.h5", {DATA: frames(4)}))
        out = np.empty((2, 5, 7), "float32")
        assert store.load_attribute("data", [3, 1], out=out) is out
        np.testing.assert_array_equal(out, frames(4)[[3, 1]])

    def test_may_be_strided(self, tmp_path):
        store = CXIStore(put(tmp_path / "a.h5", {DATA: frames(2)}))
        for out in (
            np.zeros((4, 10, 14), "int32")[::2, ::-2, 1::2],
            np.zeros((7, 5, 2), "uint16").T,
        ):
            store.load_attribute("data", out=out)
            np.testing.assert_array_equal(out, frames(2))

    @pytest.mark.parametrize("out", [
        np.empty((3, 5, 7), "uint16"), np.empty((2, 5), "uint16"), [[0]], np.empty(70, "uint16"),
    ], ids=lambda out: str(np.shape(out)))  # fmt: skip
    def test_of_another_shape_or_kind_raises(self, tmp_path, out):
        store = CXIStore(put(tmp_path / "a.h5", {DATA: frames(2)}))
        with pytest.raises((ValueError, TypeError)):
            store.load_attribute("data", out=out)

    def test_that_is_read_only_raises(self, tmp_path):
        store = CXIStore(put(tmp_path / "a.h5", {DATA: frames(2)}))
        out = np.broadcast_to(np.uint16(0), (2, 5, 7))
        with pytest.raises(ValueError, match=r"read-only|writeable"):
            store.load_attribute("data", out=out)

    def test_takes_a_static_mask_whole(self, tmp_path):
        mask = good_mask((5, 7), [(0, 1)])
        store = CXIStore(put(tmp_path / "a.h5", {DATA: frames(3), MASK: mask}))
        out = np.zeros((3, 5, 7), bool)
        assert store.load_attribute("mask", out=out) is out
        np.testing.assert_array_equal(out, np.broadcast_to(mask, (3, 5, 7)))

    def test_takes_a_frame_and_a_sequence(self, tmp_path):
        white = np.linspace(0, 1, 35).reshape(5, 7)
        store = CXIStore(put(tmp_path / "a.h5", {WHITEFIELD: white}))
        out = np.zeros((2, 3), "float32")
        store.load_attribute("whitefield", transform=Crop([1, 3, 2, 5]), out=out)
        np.testing.assert_array_equal(out, white[1:3, 2:5].astype("float32"))

    def test_a_swapped_out_takes_the_frames_of_many_files(self, tmp_path):
        names = [put(tmp_path / f"{n}.h5", {DATA: frames(2, start=n)}) for n in range(3)]
        out = np.empty((6, 5, 7), ">u2")
        assert CXIStore(names).load_attribute("data", out=out) is out
        np.testing.assert_array_equal(out, np.concatenate([frames(2, start=n) for n in range(3)]))


class TestThreads:
    @pytest.mark.parametrize("processes", [None, 1, 2, 7])
    def test_the_result_does_not_depend_on_the_number_of_workers(self, tmp_path, processes):
        parts = [frames(5), frames(4, start=999)]
        store = CXIStore(factory.many_files(tmp_path, parts))
        idxs = [8, 0, 3, 3, 5]
        for options in ({"processes": processes}, {"num_threads": processes}):
            loaded = store.load_attribute("data", idxs, **options)
            np.testing.assert_array_equal(loaded, np.concatenate(parts)[idxs])

    @pytest.mark.parametrize("processes", [0, -1, 1.5, "2"])
    def test_a_number_that_is_none_is_refused(self, tmp_path, processes):
        store = CXIStore(put(tmp_path / "run.cxi", {DATA: frames(2)}))
        with pytest.raises((ValueError, TypeError)):
            store.load_attribute("data", processes=processes)

    def test_two_names_of_one_thing_must_agree(self, tmp_path):
        store = CXIStore(put(tmp_path / "run.cxi", {DATA: frames(2)}))
        with pytest.raises(ValueError, match="num_threads"):
            store.load_attribute("data", processes=1, num_threads=2)
