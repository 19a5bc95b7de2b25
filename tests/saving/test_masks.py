"""Masks that are bit fields: a save keeps the flags that say why a pixel is bad."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack import CastError, Crop, CXIStore, LayoutError
from cxistack.protocol.masks import FLAGS
from factory import put
from factory.masks import DEFAULT, TYPES, flags_protocol


def stored(name, path="/m"):
    with h5py.File(name) as h5:
        return h5[path][()]


@pytest.mark.parametrize(("convention", "true_is_good"), [
    ("good", True), ("cxi", True), ("cheetah", True), ("nexus", False),
])  # fmt: skip
def test_booleans_are_loaded_and_saved_alike(tmp_path, convention, true_is_good):
    values = np.array([[True, False, True]])
    name = put(tmp_path / "a.h5", {"/m": values})
    with CXIStore(name, "r+", flags_protocol(convention)) as store:
        np.testing.assert_array_equal(store.load_attribute("mask")[0], values == true_is_good)
        store.save_attribute("mask", ~values)
        np.testing.assert_array_equal(store.load_attribute("mask")[0], ~values)


class TestASave:
    BITS = np.array([[0, 2, 0x1000, 0x1002, 0x10000]], "u4")

    def test_clears_what_was_bad_and_keeps_reasons_and_other_bits(self, tmp_path):
        name = put(tmp_path / "a.h5", {"/m": self.BITS})
        with CXIStore(name, "r+", flags_protocol("cxi", ["saturated", "invalid"])) as store:
            store.save_attribute("mask", np.array([[True, False, False, True, True]]))
        assert stored(name).tolist() == [[0, 2, 0x1001, 0x1000, 0x10000]]

    def test_of_frames_over_one_that_stood_for_all_keeps_its_reasons(self, tmp_path):
        name = put(tmp_path / "a.h5", {"/m": self.BITS})
        good = np.array([[[1, 0, 1, 0, 1]], [[0, 0, 0, 1, 1]]], bool)
        with CXIStore(name, "r+", flags_protocol("cxi")) as store:
            store.save_attribute("mask", good)
            np.testing.assert_array_equal(store.load_attribute("mask"), good)
        assert stored(name)[:, 0].tolist() == [
            [0, 2, 0x1000, 0x1002, 0], [1, 2, 0x1001, 0x1000, 0],
        ]  # fmt: skip

    def test_that_would_come_back_good_is_refused(self, tmp_path):
        name = put(tmp_path / "a.h5", {"/m": self.BITS})
        with CXIStore(name, "r+", flags_protocol("cxi", ["saturated"])) as store:
            with pytest.raises(CastError, match=r"'invalid'.*would come back good"):
                store.save_attribute("mask", np.zeros((1, 5), bool))
            # Where nothing becomes bad that was not, no flag is needed.
            store.save_attribute("mask", np.array([[True, False, True, False, True]]))
        assert (stored(name) == self.BITS).all()

    @pytest.mark.parametrize("dtype", ["i1", "i2", "i8"])
    def test_knows_the_sign_as_a_bit(self, tmp_path, dtype):
        values = np.array([[-1, np.iinfo(dtype).min, 0]], dtype)
        name = put(tmp_path / "a.h5", {"/m": values})
        with CXIStore(name, "r+", flags_protocol("nexus", ["user", "gap"])) as store:
            good = store.load_attribute("mask")[0]
            np.testing.assert_array_equal(good, [[False, True, True]])
            store.save_attribute("mask", np.array([[False, False, True]]))
            np.testing.assert_array_equal(store.load_attribute("mask")[0], [[0, 0, 1]])
        assert stored(name)[0, 0] == -1

    def test_of_flags_instead_of_truth_is_refused(self, tmp_path):
        name = put(tmp_path / "a.h5", {"/m": self.BITS})
        with CXIStore(name, "r+", flags_protocol("cxi")) as store:
            bits = store.load_attribute("mask", raw=True)[0]
            with pytest.raises(CastError, match="save flags with raw=True"):
                store.save_attribute("mask", bits)
            store.save_attribute("mask", (bits == 0).astype("u1"))
            np.testing.assert_array_equal(store.load_attribute("mask")[0], bits == 0)

    @given(st.sampled_from(sorted(FLAGS)), st.sampled_from(TYPES), st.integers(0, 2**32))
    def test_comes_back_and_loses_no_reason(self, tmp_path_factory, convention, dtype, seed):
        rng, dtype = np.random.default_rng(seed), np.dtype(dtype)
        plain = f"u{dtype.itemsize}"
        bits = rng.integers(0, 2 ** (8 * dtype.itemsize), (4, 5), "u8", endpoint=False)
        bits = (bits * rng.integers(0, 2, (4, 5), "u8")).astype(plain)
        name = put(
            tmp_path_factory.mktemp("save") / "a.h5",
            {"/m": bits.view(dtype.newbyteorder("=")).astype(dtype)},
        )
        good = rng.random((4, 5)) < 0.5
        with CXIStore(name, "r+", flags_protocol(convention)) as store:
            was_good = store.load_attribute("mask")[0].copy()
            store.save_attribute("mask", good)
            np.testing.assert_array_equal(store.load_attribute("mask")[0], good)
        after = stored(name).astype(dtype.newbyteorder("=")).view(plain)
        counted = np.array(DEFAULT[convention] % 2**64, "u8").astype(plain)
        stays = ~good & ~was_good
        np.testing.assert_array_equal(after[stays], bits[stays])
        np.testing.assert_array_equal(after & ~counted, bits & ~counted)

    @pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "u4"])
    def test_of_a_bad_pixel_fit_the_flags_type(self, tmp_path, dtype):
        name = put(tmp_path / "a.cxi", {"/m": np.zeros((2, 3), dtype)})
        good = np.array([[True, False, True], [True, True, True]])
        with CXIStore(name, "r+", flags_protocol("nexus")) as store:
            store.save_attribute("mask", good)
            np.testing.assert_array_equal(store.load_attribute("mask")[0], good)

    def test_that_insert_keep_the_reasons_of_bad_pixels(self, tmp_path):
        name = put(tmp_path / "a.cxi", {"/m": np.full((2, 3, 3), 4, "u4")})
        with CXIStore(name, "r+", flags_protocol("cxi")) as store:
            store.save_attribute("mask", np.zeros((1, 3, 3), bool), mode="insert", idxs=[0])
        with h5py.File(name) as h5:
            assert (h5["/m"][:] == 4).all()


class TestASaveOfBits:
    def store(self, tmp_path, convention="cxi", **values):
        name = put(tmp_path / "a.h5", values) if values else str(tmp_path / "a.h5")
        return CXIStore(name, "r+" if values else "w", protocol=flags_protocol(convention))

    @pytest.mark.parametrize("dtype", TYPES)
    def test_keeps_every_bit_in_a_new_file(self, tmp_path, dtype):
        store = self.store(tmp_path)
        bits = np.random.default_rng(1).integers(0, 256, (3, 4, 5 * 8), "u1").view(dtype)
        store.save_attribute("mask", bits, raw=True)
        saved = stored(tmp_path / "a.h5")
        unsigned = bits.astype(bits.dtype.newbyteorder("=")).view(f"u{bits.itemsize}")
        np.testing.assert_array_equal(saved, unsigned)
        assert saved.dtype == ("u8" if bits.itemsize == 8 else "u4")

    def test_keeps_them_where_a_sign_is_stored(self, tmp_path):
        old = np.zeros((2, 3, 4), "i4")
        bits = np.full((1, 3, 4), 2**31 + 4, "u4")
        store = self.store(tmp_path, m=old)
        store.save_attribute("mask", bits, "insert", idxs=[1], raw=True)
        np.testing.assert_array_equal(stored(tmp_path / "a.h5").view("u4")[1], bits[0])
        assert not stored(tmp_path / "a.h5")[0].any()

    def test_refuses_what_would_lose_them(self, tmp_path):
        bits = np.full((2, 3, 4), 2**20, "u4")
        with pytest.raises(CastError, match="does not fit"):
            self.store(tmp_path, m=np.zeros((2, 3, 4), "u1")).save_attribute("mask", bits, raw=True)

    def test_refuses_truth_and_places_of_truth(self, tmp_path):
        bits = np.ones((2, 3, 4), "u4")
        with pytest.raises(LayoutError, match="bool does not hold them"):
            self.store(tmp_path).save_attribute("mask", bits > 0, raw=True)
        with pytest.raises(ValueError, match="has no flags where it is saved"):
            self.store(tmp_path, "good").save_attribute("mask", bits, raw=True)
        with pytest.raises(ValueError, match="parts of frames"):
            self.store(tmp_path).save_attribute(
                "mask", bits, raw=True, transform=Crop([0, 3, 0, 4])
            )
        with pytest.raises(LayoutError, match="bool does not hold them"):
            self.store(tmp_path, m=np.ones((2, 3, 4), bool)).save_attribute("mask", bits, raw=True)
