"""Behaviour that was once wrong, each a statement of what is right."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from cxistack import (
    CastError,
    Crop,
    CXIProtocol,
    CXIStore,
    Downscale,
    FileChangedError,
    FileInUseError,
    LayoutError,
    STData,
)
from factory import DATA, DISTANCE, MASK, frames, put

GOOD_MASK = "/speckle_tracking/mask"


def flags_protocol(convention):
    return CXIProtocol(
        {"mask": "bool"}, {"mask": ["/m"]}, {"mask": "stack"}, {"mask": [convention]}
    )


def test_a_store_sees_what_another_store_saved(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(10)}, chunks=(1, 5, 7))
    reader, writer = CXIStore(name), CXIStore(name, "r+")
    assert len(reader.load_attribute("data")) == 10
    writer.save_attribute("data", frames(3))
    np.testing.assert_array_equal(reader.load_attribute("data"), frames(3))
    writer.save_attribute("data", frames(2), mode="append")
    assert len(reader.load_attribute("data")) == 5


def test_a_file_that_changes_each_time_it_is_looked_at_raises(tmp_path, monkeypatch):
    name = put(tmp_path / "a.cxi", {DATA: frames(2)})
    store = CXIStore(name)
    prepare = CXIStore.update_indices

    def touched(self):
        prepare(self)
        self.describe("data")
        os.utime(name, ns=(1, np.random.default_rng().integers(1, 2**60)))

    store.load_attribute("data")
    monkeypatch.setattr(CXIStore, "update_indices", touched)
    os.utime(name, ns=(1, 1))
    with pytest.raises(FileChangedError, match=r"a\.cxi"):
        store.load_attribute("data")


def test_a_link_to_a_group_without_the_name_is_no_dangling_link(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(2)})
    with h5py.File(name, "r+") as h5:
        h5["/entry"] = h5py.SoftLink("/entry_1")
    store = CXIStore(name)
    assert not store.problems
    np.testing.assert_array_equal(store.load_attribute("data"), frames(2))
    assert "mask" not in store


@pytest.mark.parametrize("how", [{}, {"dtype": bool}, {"out": np.ones((1, 1, 1), bool)}])
def test_a_bin_with_a_bad_pixel_is_bad_whatever_type_is_asked_for(tmp_path, how):
    mask = np.ones((1, 2, 2), "u1")
    mask[0, 1, 0] = 0
    store = CXIStore(put(tmp_path / "a.cxi", {DATA: frames(1)[:, :2, :2], GOOD_MASK: mask}))
    assert not store.load_attribute("mask", transform=Downscale(2, mode="mean"), **how).any()


def test_a_mask_as_integers_is_0_and_1(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(1)[:, :1, :3], GOOD_MASK: np.array([[[0, 1, 7]]])})
    loaded = CXIStore(name).load_attribute("mask", dtype="u1")
    assert loaded.tolist() == [[[0, 1, 1]]]


def test_negative_pixels_are_not_summed_into_an_unsigned_result(tmp_path):
    data = np.full((1, 2, 2), 5, "i4")
    data[0, 0, 0] = -1
    store = CXIStore(put(tmp_path / "a.cxi", {DATA: data}))
    with pytest.raises(CastError):
        store.load_attribute("data", transform=Downscale(2, mode="sum"), dtype="u8")
    summed = store.load_attribute("data", transform=Downscale(2, mode="sum"), dtype="i8")
    assert summed.tolist() == [[[14]]]


class TestSaves:
    def test_show_in_the_modification_time(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DATA: frames(2)})
        os.utime(name, (1e9, 1e9))
        CXIStore(name, "r+").save_attribute("distance", 1.0)
        assert Path(name).stat().st_mtime > 1e9

    def test_over_the_same_shape_do_not_grow_the_file(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DATA: frames(2)})
        store = CXIStore(name, "r+")
        store.save_attribute("data", frames(2) + 1)
        size = Path(name).stat().st_size
        store.save_attribute("data", frames(2))
        assert Path(name).stat().st_size == size < 20_000

    def test_of_another_store_meanwhile_are_refused(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DATA: frames(2)})
        one, other = CXIStore(name, "r+"), CXIStore(name, "r+")
        with one.transaction():
            one.save_attribute("distance", 1.0)
            with pytest.raises(FileInUseError):
                other.save_attribute("wavelength", 2.0)
        fresh = CXIStore(name)
        assert fresh.load_attribute("distance") == 1.0
        assert "wavelength" not in fresh
        assert [path.name for path in tmp_path.iterdir()] == ["a.cxi"]

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

    def test_that_would_leave_references_behind_are_refused(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DATA: frames(2), DISTANCE: 1.0})
        with h5py.File(name, "r+") as h5:
            h5["scale"] = np.arange(2)
            h5["scale"].make_scale("frame")
            h5[DATA].dims[0].attach_scale(h5["scale"])
        with pytest.raises(LayoutError, match="refers to it"):
            CXIStore(name, "r+").save_attribute("data", frames(1), mode="append")

    def test_to_a_place_below_a_dataset_name_the_place(self, tmp_path):
        name = put(tmp_path / "a.cxi", {"/speckle_tracking": 1.0})
        with pytest.raises(OSError, match="/speckle_tracking/mask"):
            CXIStore(name, "r+").save_attribute("mask", np.ones((1, 2, 2), bool))


def test_good_frames_number_the_frames_that_were_loaded(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(8)})
    with h5py.File(name, "r+") as h5:
        h5["/speckle_tracking/good_frames"] = np.array([0, 1, 6])
    st = STData(CXIStore(name), transform=Crop([0, 2, 0, 2])).load(idxs=[5, 6, 0])
    assert st.frames.tolist() == [5, 6, 0]
    assert st.good_frames.tolist() == [1, 2]


def test_the_cxi_mask_of_a_detector_stays_a_bit_field(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(1), MASK: np.full((5, 7), 8, "u4")})
    assert not CXIStore(name).load_attribute("mask").any()
