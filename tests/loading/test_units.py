"""Values come in the unit of their attribute, whatever a dataset states."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

from cxistack import CastError, Crop, CXIStore, Downscale, LayoutError
from factory.units import EV, HC, PROTOCOL, stating


@pytest.fixture
def make(tmp_path):
    """Write datasets and the units that they state to a file of this test's folder."""
    return lambda name="a.h5", **values: stating(tmp_path / name, **values)


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
