"""Files that real instruments and programs wrote, each with what it has."""

import h5py
import hdf5plugin  # noqa: F401  (registers bitshuffle for h5py)
import numpy as np
import pytest

from cxistack import CastError, ComposeTransforms, Crop, CXIProtocol, CXIStore, Downscale, STData


@pytest.fixture
def p25(shared_data):
    return str(shared_data / "p25_near_field_ptycho.cxi")


@pytest.fixture
def eiger(shared_data):
    return str(shared_data / "eiger_bitshuffle_frame.h5")


class TestP25:
    def test_data_are_200_frames_of_uint32_as_h5py_reads_them(self, p25):
        with h5py.File(p25) as h5:
            expected = h5["/entry_1/instrument_1/detector_1/data"][...]
        data = CXIStore(p25).load_attribute("data", verbose=False)
        assert data.dtype == np.uint32
        assert data.shape == (200, 100, 100)
        np.testing.assert_array_equal(data, expected)

    def test_mask_stands_for_all_frames_and_has_9995_good_pixels(self, p25):
        mask = CXIStore(p25).load_attribute("mask")
        assert mask.shape == (200, 100, 100)
        assert mask.dtype == bool
        assert (mask.sum(axis=(1, 2)) == 9995).all()
        assert not mask.flags.writeable

    def test_a_mask_follows_the_frames_asked_for(self, p25):
        assert CXIStore(p25).load_attribute("mask", idxs=[199, 0, 0]).shape == (3, 100, 100)

    def test_idxs_in_any_order(self, p25):
        with h5py.File(p25) as h5:
            expected = h5["/entry_1/instrument_1/detector_1/data"][...][[199, 0, 0, -1]]
        data = CXIStore(p25).load_attribute("data", idxs=[199, 0, 0, -1])
        np.testing.assert_array_equal(data, expected)

    def test_basis_vectors_and_scalars(self, p25):
        store = CXIStore(p25)
        with h5py.File(p25) as h5:
            detector = h5["/entry_1/instrument_1/detector_1"]
            for attr in ("basis_vectors", "distance", "x_pixel_size", "y_pixel_size"):
                if attr in detector:
                    expected = detector[attr][...]
                    np.testing.assert_array_equal(store.load_attribute(attr), expected)
        assert store.load_attribute("basis_vectors").shape == (3, 2)

    def test_every_attribute_found_loads_and_nothing_is_a_problem(self, p25):
        store = CXIStore(p25)
        assert {"data", "mask", "basis_vectors", "distance", "wavelength"} <= set(store)
        assert store.problems == []
        for attr in store:
            shape, dtype = store.describe(attr)
            value = store.load_attribute(attr, verbose=False)
            assert (np.shape(value), value.dtype) == (shape, dtype)
        assert all(attr in repr(store) for attr in store)

    def test_crop_downscale_and_cast(self, p25):
        with h5py.File(p25) as h5:
            raw = h5["/entry_1/instrument_1/detector_1/data"][10:20]
        roi = ComposeTransforms([Crop([10, 91, 5, 80]), Downscale(2)])
        data = CXIStore(p25).load_attribute("data", range(10, 20), transform=roi, dtype="float32")
        np.testing.assert_array_equal(data, raw[:, 10:91:2, 5:80:2].astype("float32"), strict=True)

    def test_the_container_loads_some_frames(self, p25):
        st = STData(CXIStore(p25)).load(idxs=range(5, 25), verbose=False)
        assert st.data.shape == st.mask.shape == (20, 100, 100)
        assert st.shape == (20, 100, 100)
        np.testing.assert_array_equal(st.frames, range(5, 25))
        np.testing.assert_array_equal(st.good_frames, range(20))
        assert st.basis_vectors.shape == (3, 2)
        assert st.translations is None

    def test_translations_load_once_a_protocol_says_where_they_are(self, p25):
        path = "/entry_1/data_1/translation"  # a soft link into geometry_1
        protocol = CXIProtocol.import_default()
        protocol = protocol.add_attribute("translations", "float", [path], "sequence")
        loaded = CXIStore(p25, protocol=protocol).load_attribute("translations", idxs=[7, -1])
        with h5py.File(p25) as h5:
            np.testing.assert_array_equal(loaded, h5[path][...][[7, -1]], strict=True)

    def test_soft_links_lead_to_the_same_values(self, p25):
        with h5py.File(p25) as h5:
            linked = h5["/entry_1/data_1/data"][3]
        np.testing.assert_array_equal(CXIStore(p25)["data"][3], linked)


class TestEiger:
    def test_the_frame_is_as_h5py_reads_it_gaps_included(self, eiger):
        with h5py.File(eiger) as h5:
            expected = h5["/entry/data/data"][...]
        store = CXIStore(eiger)
        data = store.load_attribute("data", verbose=False)
        assert data.shape == (1, 2167, 2070)
        assert data.dtype == np.uint32
        assert np.count_nonzero(data == 2**32 - 1) == 251302
        np.testing.assert_array_equal(data, expected)

    def test_gap_pixels_do_not_become_minus_one(self, eiger):
        with pytest.raises(CastError) as caught:
            CXIStore(eiger).load_attribute("data", dtype="int32", verbose=False)
        assert caught.value.offence.count == 251302
        assert caught.value.offence.value == 2**32 - 1

    def test_a_region_equals_the_region_of_the_whole(self, eiger):
        store = CXIStore(eiger)
        whole = store.load_attribute("data", verbose=False)
        part = store.load_attribute("data", transform=Crop([500, 700, 1000, 1301]), dtype="float64")
        np.testing.assert_array_equal(part, whole[:, 500:700, 1000:1301].astype(float))


class TestSmallCXIFiles:
    def test_cxidb_minimal_is_a_stack_of_one_frame(self, shared_data):
        name = str(shared_data / "cxidb_minimal.cxi")
        with h5py.File(name) as h5:
            expected = h5["/entry_1/data_1/data"][...]
        loaded = CXIStore(name).load_attribute("data", dtype=expected.dtype)
        np.testing.assert_array_equal(loaded, expected[None], strict=True)

    def test_libcxi_typical_raw_has_the_first_detectors_image(self, shared_data):
        name = str(shared_data / "libcxi_typical_raw.cxi")
        store = CXIStore(name)
        with h5py.File(name) as h5:
            expected = h5["/entry_1/instrument_1/detector_1/data"][...]
        loaded = store.load_attribute("data", dtype=expected.dtype)
        np.testing.assert_array_equal(loaded, expected[None], strict=True)

    @pytest.mark.parametrize("name", ["cxidb_minimal.cxi", "libcxi_typical_raw.cxi"])
    def test_float_counts_ask_for_a_dtype(self, shared_data, name):
        with pytest.raises(CastError, match="dtype="):
            CXIStore(str(shared_data / name)).load_attribute("data")

    @pytest.mark.parametrize(
        "name",
        [
            "p25_near_field_ptycho.cxi",
            "eiger_bitshuffle_frame.h5",
            "libcxi_typical_raw.cxi",
            "cxidb_minimal.cxi",
        ],
    )
    def test_each_has_a_table_without_problems(self, shared_data, name):
        store = CXIStore(str(shared_data / name))
        assert "data" in repr(store)
        assert store.problems == []
