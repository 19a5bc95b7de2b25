"""Values go back in the unit that their dataset states, or state the unit that they are in."""

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxistack import CastError, CXIStore
from factory.units import PROTOCOL, stating


@pytest.fixture
def make(tmp_path):
    """Write datasets and the units that they state to a file of this test's folder."""
    return lambda name="a.h5", **values: stating(tmp_path / name, **values)


class TestSaving:
    def stored(self, file, path):
        with h5py.File(file) as h5:
            return h5[path][()], h5[path].dtype, h5[path].attrs.get("units")

    def test_an_overwrite_is_in_the_unit_that_is_stated(self, make):
        file = make(wavelength=(np.float32(1.0), "angstrom"), x=(np.ones(2), np.bytes_("mm")))
        store = CXIStore(file, "r+", protocol=PROTOCOL)
        store.save_attribute("wavelength", 2.5e-10)
        store.save_attribute("x", np.full((3, 2), 5e-3))
        assert self.stored(file, "wavelength") == (np.float32(2.5), np.float32, "angstrom")
        values, _, unit = self.stored(file, "x")
        np.testing.assert_array_equal(values, np.full((3, 2), 5.0))
        assert unit == b"mm"
        assert store.load_attribute("wavelength") == 2.5e-10

    def test_an_overwrite_is_in_the_paths_unit_where_none_is_stated(self, make):
        file = make(x_mm=np.ones(2))
        CXIStore(file, "r+", protocol=PROTOCOL).save_attribute("x", np.array([5e-3, 1]))
        values, _, unit = self.stored(file, "x_mm")
        assert values.tolist() == [5, 1000]
        assert unit is None

    def test_a_wavelength_that_came_from_an_energy_goes_to_a_place_of_its_own(self, make):
        file = make(energy_eV=8e3)
        store = CXIStore(file, "r+", protocol=PROTOCOL)
        store.save_attribute("wavelength", store.load_attribute("wavelength"))
        assert self.stored(file, "energy_eV")[0] == 8e3
        assert self.stored(file, "wavelength") == (pytest.approx(1.549802e-10), np.float64, "m")

    def test_a_new_dataset_states_the_unit_that_it_is_in(self, tmp_path):
        file = str(tmp_path / "new.h5")
        store = CXIStore(file, "w", protocol=PROTOCOL)
        store.save_attribute("wavelength", 1e-10)
        store.save_attribute("x", np.ones(2), mode="append")
        assert self.stored(file, "wavelength") == (1e-10, np.float64, "m")
        assert self.stored(file, "x")[2] == "m"
        CXIStore(file, "r+").save_attribute("distance", 1.0)
        assert self.stored(file, "/entry/instrument/detector/distance")[2] is None

    def test_rows_are_added_in_the_unit_that_is_stated(self, make):
        file = make(x=(np.ones(2), "mm"))
        store = CXIStore(file, "r+", protocol=PROTOCOL)
        store.save_attribute("x", [2e-3], mode="append")
        store.save_attribute("x", [9e-3, 3e-3], mode="insert", idxs=[0, 3])
        values, _, unit = self.stored(file, "x")
        np.testing.assert_array_equal(values, [9, 1, 2, 3])
        assert unit == "mm"

    def test_what_does_not_fit_the_stored_type_in_its_unit_is_refused(self, make):
        file = make(x=(np.ones(2, "i2"), "mm"))
        store = CXIStore(file, "r+", protocol=PROTOCOL)
        with pytest.raises(CastError, match=r"'x' cannot be saved to .*a\.h5:/x"):
            store.save_attribute("x", [1.5e-3, 1e-3])
        store.save_attribute("x", [3e-3, 1e-3])
        assert self.stored(file, "x")[0].tolist() == [3, 1]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
    @given(
        st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=4),
        st.sampled_from(["cm", "mm", "um"]),
    )
    def test_what_was_loaded_is_saved_as_it_was(self, make, counts, unit):
        file = make(x=(np.array(counts, "f8"), unit))
        store = CXIStore(file, "r+", protocol=PROTOCOL)
        store.save_attribute("x", store.load_attribute("x"))
        values, _, stated = self.stored(file, "x")
        assert values.tolist() == counts
        assert stated == unit
