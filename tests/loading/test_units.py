"""Values come in the unit of their attribute, whatever a dataset states, and go back in its own."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import constants

from cxistack import CastError, Crop, CXIProtocol, CXIStore, Downscale, LayoutError

HC, EV = constants.h * constants.c, constants.e
PROTOCOL = CXIProtocol(
    {"data": "number", "frame": "float", "wavelength": "float", "energy": "float", "x": "float"},
    {
        "data": ["/data"],
        "frame": ["/frame"],
        "wavelength": ["/wavelength", "/energy", "/energy_eV"],
        "energy": ["/energy", "/energy_eV", "/wavelength"],
        "x": ["/x", "/x_mm"],
    },
    {"data": "stack", "frame": "frame", "x": "sequence"},
    units={
        "data": "m",
        "frame": "m",
        "wavelength": ["m", "J", "eV"],
        "energy": ["J", "eV", "m"],
        "x": ["m", "mm"],
    },
)


@pytest.fixture
def make(tmp_path):
    """Write datasets, and the unit that each states, by name: value or (value, unit)."""

    def file(name="a.h5", **values):
        with h5py.File(tmp_path / name, "w") as h5:
            for key, value in values.items():
                value, *unit = value if isinstance(value, tuple) else (value,)
                h5[key] = value
                if unit:
                    h5[key].attrs["units"] = unit[0]
        return str(tmp_path / name)

    return file


def load(file, attr, **how):
    return CXIStore(file, protocol=PROTOCOL).load_attribute(attr, verbose=False, **how)


class TestLoading:
    def test_the_datasets_unit_wins_over_the_paths(self, make):
        assert load(make(x_mm=np.ones(2)), "x").tolist() == [1e-3, 1e-3]
        assert load(make(x_mm=(np.ones(2), "um")), "x").tolist() == [1e-6, 1e-6]
        assert load(make(x=(np.ones(2), "mm")), "x").tolist() == [1e-3, 1e-3]

    @pytest.mark.parametrize(
        "unit", [np.bytes_(b"mm"), " mm ", ["mm"], ["mm", "mm"], np.array(["mm"], "S4")]
    )
    def test_a_unit_is_read_in_whatever_form_programs_write_it(self, make, unit):  # fmt: skip
        assert load(make(x=(np.ones(2), unit)), "x").tolist() == [1e-3, 1e-3]

    @pytest.mark.parametrize("unit", ["Å".encode("latin-1"), "Å".encode(), "Å"])
    def test_a_unit_is_read_in_latin_1_and_in_utf_8(self, make, unit):
        assert load(
            make(x=(np.ones(2), np.bytes_(unit) if isinstance(unit, bytes) else unit)), "x"
        )[0] == pytest.approx(1e-10, rel=1e-15)

    @pytest.mark.parametrize(
        "unit", ["", " ", h5py.Empty("S1"), np.bytes_(b""), [""], np.array([b""], "S4")]
    )
    def test_an_empty_unit_states_none(self, make, unit):
        assert load(make(x_mm=(np.ones(2), unit)), "x").tolist() == [1e-3, 1e-3]

    @pytest.mark.parametrize("unit", ["m", "metre", None])
    def test_in_the_wanted_unit_bits_and_type_stay(self, make, unit):
        values = np.array([0.1, np.nan, -0.0, 1e-40], np.float32)
        file = make(x=values if unit is None else (values, unit))
        loaded = load(file, "x")
        assert loaded.dtype == np.float32
        assert loaded.tobytes() == values.tobytes()
        assert "then" not in CXIStore(file, protocol=PROTOCOL).explain("x")

    def test_wavelength_and_energy_are_there_where_one_of_them_is(self, make):
        for values in ({"energy_eV": 8e3}, {"energy_eV": (8.0, "keV")}, {"energy": 8e3 * EV}):
            file = make(**values)
            assert load(file, "wavelength") == pytest.approx(HC / (8e3 * EV), rel=1e-14)
            assert load(file, "energy") == pytest.approx(8e3 * EV, rel=1e-14)
        file = make(wavelength=(1.5, "angstrom"), energy=8e3 * EV)
        assert load(file, "wavelength") == 1.5e-10
        assert load(make(wavelength=(1.5, "angstrom")), "energy") == pytest.approx(HC / 1.5e-10)
        per_shot = load(make(energy_eV=np.array([8e3, 9e3], "f4")), "wavelength")
        np.testing.assert_allclose(per_shot, HC / EV / np.array([8e3, 9e3]), rtol=1e-14)

    def test_an_energy_that_no_photon_has_raises(self, make):
        file = make(energy_eV=np.array([8e3, 0]))
        with pytest.raises(
            CastError, match=r"a\.h5:/energy_eV: the value 0\.0 in eV has no finite"
        ):
            load(file, "wavelength")
        assert load(file, "wavelength", casting="unsafe")[1] == np.inf

    @pytest.mark.parametrize(
        ("unit", "why"),
        [("parsnip", "no unit that is known"), ("s", "cannot become"), ("eV", "cannot become"),
         (["mm", "um"], "no unit"), (7, "no unit")],
    )  # fmt: skip
    def test_a_unit_that_does_not_fit_is_an_error_that_names_it(self, make, unit, why):
        file = make(x=(np.ones(2), unit))
        shown = "', '".join(unit).replace("'", "") if isinstance(unit, list) else unit
        with pytest.raises(LayoutError, match=rf"a\.h5:/x states the unit '{shown}'.*'m'.*{why}"):
            load(file, "x")
        store = CXIStore(file, protocol=PROTOCOL)
        assert [problem.attribute for problem in store.problems] == ["x"]
        assert "see problems" in repr(store)
        with pytest.raises(LayoutError):
            CXIStore(file, "r+", protocol=PROTOCOL).save_attribute("x", np.ones(2))

    def test_files_of_a_run_may_state_different_units(self, make):
        files = [
            make("1.h5", x=(np.array([1, 2]), "mm")),
            make("2.h5", x=np.array([3.0])),
            make("3.h5", x=np.zeros(0)),
            make("4.h5", x=(np.array([4, 5, 6], "f4"), "um")),
        ]
        expected = np.array([1e-3, 2e-3, 3.0, 4e-6, 5e-6, 6e-6])
        np.testing.assert_array_equal(load(files, "x"), expected)
        for idxs in ([5, 0, 2, 2, -1], slice(None, None, -2), np.arange(6) % 2 == 0, 3):
            picked = np.atleast_1d(expected[idxs])
            np.testing.assert_array_equal(load(files, "x", idxs=idxs), picked)

    def test_frames_and_stacks_convert_under_views_bins_types_and_out(self, make):
        frames = np.arange(96, dtype=np.uint16).reshape(4, 4, 6)
        file = make(data=(frames, "mm"), frame=(frames[0], "mm"))
        metres = frames / 1000
        np.testing.assert_array_equal(load(file, "data"), metres)
        np.testing.assert_array_equal(
            load(file, "frame", transform=Crop([1, 3, 0, 5])), metres[0, 1:3, :5]
        )
        np.testing.assert_array_equal(
            load(file, "data", idxs=[3, 0], ss_idxs=[2, 0]), metres[[3, 0]][:, [2, 0]]
        )
        binned = frames.reshape(4, 2, 2, 3, 2).sum(axis=(2, 4))
        for mode, values in (("sum", binned / 1000), ("mean", binned / 4 / 1000)):
            np.testing.assert_array_equal(
                load(file, "data", transform=Downscale(2, mode=mode)), values
            )
        np.testing.assert_array_equal(
            load(file, "data", dtype="f4"), metres.astype("f4"), strict=True
        )
        for out in (np.empty((4, 4, 6)), np.empty((4, 4, 6), ">f4"), np.empty((6, 4, 4), "f8").T):
            assert load(file, "data", out=out) is out
            np.testing.assert_array_equal(out, metres.astype(out.dtype))
        with pytest.raises(CastError, match=r"data.*0\.001 does not fit uint16"):
            load(file, "data", dtype="u2")
        assert not load(file, "data", dtype="u2", casting="unsafe").any()
        store = CXIStore(file, protocol=PROTOCOL)
        np.testing.assert_array_equal(store["data"][1:3, 2], metres[1:3, 2])
        assert store.describe("data") == ((4, 4, 6), np.float64)

    def test_bins_of_photon_energies_are_refused(self, make):
        protocol = PROTOCOL.replace(
            load_paths={**PROTOCOL.load_paths, "data": ["/no", "/data"]},
            units={"data": ["m", "eV"]},
        )
        store = CXIStore(make(data=np.ones((2, 4, 4))), protocol=protocol)
        assert store.load_attribute("data", verbose=False)[0, 0, 0] == pytest.approx(HC / EV)
        with pytest.raises(ValueError, match="without bins"):
            store.load_attribute("data", transform=Downscale(2, mode="mean"))

    def test_a_virtual_dataset_states_its_own_unit(self, make, tmp_path):
        source = make("source.h5", data=(np.ones((3, 2, 2)), "nm"))
        layout = h5py.VirtualLayout((3, 2, 2), "f8")
        layout[:] = h5py.VirtualSource(source, "data", (3, 2, 2))
        for name, unit in (("stated.h5", "mm"), ("none.h5", None)):
            with h5py.File(tmp_path / name, "w") as h5:
                dataset = h5.create_virtual_dataset("data", layout)
                if unit:
                    dataset.attrs["units"] = unit
        assert (load(str(tmp_path / "stated.h5"), "data") == 1e-3).all()
        assert (load(str(tmp_path / "none.h5"), "data") == 1).all()

    def test_datasets_of_a_group_state_their_own_units(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as h5:
            for n, unit in enumerate(("mm", "um", "m")):
                h5[f"/data/part_{n}"] = np.ones((2, 3, 4))
                h5[f"/data/part_{n}"].attrs["units"] = unit
        loaded = load(str(tmp_path / "a.h5"), "data")
        assert loaded[:, 0, 0].tolist() == [1e-3, 1e-3, 1e-6, 1e-6, 1, 1]

    def test_complex_numbers_have_no_unit_to_convert(self, make):
        with pytest.raises(LayoutError, match="complex"):
            load(make(frame=(np.ones((2, 2), complex), "mm")), "frame")

    def test_explain_tells_the_conversion(self, make):
        store = CXIStore(make(x=(np.ones(2, "f4"), "angstrom"), energy_eV=1.0), protocol=PROTOCOL)
        told = store.explain("x", dtype="f4")
        assert "then x 1e-10: angstrom to m\n    then cast to float32 (checked)" in told
        assert "then energy in eV to wavelength in m" in store.explain("wavelength")

    def test_differences_between_files_are_told_in_one_unit(self, make):
        files = [make("1.h5", wavelength=(1.0, "angstrom")), make("2.h5", wavelength=1e-10)]
        assert CXIStore(files, protocol=PROTOCOL).problems == []
        files += [make("3.h5", wavelength=(1.0, "nm"))]
        problems = CXIStore(files, protocol=PROTOCOL).problems
        assert [problem.attribute for problem in problems] == ["wavelength", "energy"]
        assert "1e-09" in problems[0].message

    def test_pint_is_not_imported_where_units_agree(self, make):
        file = make(x=(np.ones(2), "metre"), wavelength=1e-10)
        code = (
            "import sys, cxistack; s = cxistack.CXIStore(sys.argv[1], protocol='cxi'); repr(s); "
            "p = cxistack.CXIProtocol({'x': 'float'}, {'x': '/x'}, {}, units={'x': 'm'}); "
            "cxistack.CXIStore(sys.argv[1], protocol=p).load_attribute('x'); "
            "sys.exit('pint' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code, file], check=False).returncode == 0


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
