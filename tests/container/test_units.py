"""What a container saves means what it meant in the run that it was loaded from."""

import pickle

import h5py
import numpy as np
import pytest

from cxistack import CXIProtocol, CXIStore, LayoutError, STData
from factory import DATA, DISTANCE, TRANSLATIONS, frames, put

OUT = "/entry/instrument/detector/distance"
ROWS = np.arange(6.0).reshape(2, 3)
MM = CXIProtocol.import_default().replace(units={"distance": ["mm", "mm"]})
CXI = CXIProtocol.import_named("cxi")
IN_MM = CXI.replace(units={**CXI.units, "distance": ["mm"] * 4})


def run(folder, unit=None, name="run.cxi", value=200.0):
    file = put(folder / name, {DATA: frames(2), DISTANCE: value, TRANSLATIONS: ROWS}, "w")
    if unit is not None:
        with h5py.File(file, "r+") as h5:
            h5[DISTANCE].attrs["units"] = h5[TRANSLATIONS].attrs["units"] = unit
    return file


def stored(file, path):
    with h5py.File(file) as h5:
        return h5[path][()], h5[path].attrs.get("units")


def save(file, output, protocol=None, attrs=("distance", "translations"), **given):
    st = STData(CXIStore(file, protocol=protocol), output_file=output).load(verbose=False)
    st.replace(**given).save(list(attrs), mode="overwrite")


def new(folder, protocol=None, name="out.cxi"):
    return CXIStore(folder / name, "w", protocol=protocol)


class TestIntoAStoreThatStatesUnits:
    @pytest.mark.parametrize(("unit", "factor"), [("mm", 1e3), ("um", 1e6), ("m", 1), (None, 1)])
    def test_what_was_loaded_without_a_unit_is_in_that_of_its_dataset(self, tmp_path, unit, factor):
        save(run(tmp_path, unit), new(tmp_path, "cxi"))
        value, stated = stored(tmp_path / "out.cxi", DISTANCE)
        assert (value, stated) == (200.0 / factor, "m")
        back = CXIStore(tmp_path / "out.cxi", protocol="cxi").load_attribute("translations")
        np.testing.assert_array_equal(back, ROWS / factor)

    def test_what_states_no_unit_is_in_that_of_cxi(self, tmp_path):
        save(run(tmp_path, value=0.2), new(tmp_path, IN_MM))
        assert stored(tmp_path / "out.cxi", DISTANCE) == (200.0, "mm")

    def test_what_the_protocol_has_a_unit_for_is_in_it(self, tmp_path):
        save(run(tmp_path), new(tmp_path, "cxi"), MM)
        assert stored(tmp_path / "out.cxi", DISTANCE) == (0.2, "m")
        save(run(tmp_path), new(tmp_path, IN_MM, "2.cxi"), "cxi")
        assert stored(tmp_path / "2.cxi", DISTANCE) == (2e5, "mm")

    def test_what_is_given_is_in_the_outputs(self, tmp_path):
        st = STData(CXIStore(run(tmp_path, "mm")), output_file=new(tmp_path, "cxi")).load("data")
        st.replace(distance=0.25).save("distance")
        assert stored(tmp_path / "out.cxi", DISTANCE) == (0.25, "m")

    def test_what_is_given_for_what_was_loaded_in_another_unit_is_refused(self, tmp_path):
        out = new(tmp_path, "cxi")
        with pytest.raises(LayoutError, match=r"'distance' was loaded in 'mm'.*keeps it in 'm'"):
            save(run(tmp_path, "mm"), out, distance=0.25)
        with pytest.raises(LayoutError, match=r"loaded in 'pixels'.*unit="):
            save(run(tmp_path, "pixels", "odd.cxi"), out, distance=0.25)
        assert not (tmp_path / "out.cxi").exists()
        out.save_attribute("distance", 250.0, unit="mm")
        assert stored(tmp_path / "out.cxi", DISTANCE) == (0.25, "m")
        save(run(tmp_path, "metre"), new(tmp_path, "cxi", "same.cxi"), distance=0.5)
        assert stored(tmp_path / "same.cxi", DISTANCE) == (0.5, "m")

    def test_a_unit_of_something_else_is_refused(self, tmp_path):
        with pytest.raises(LayoutError, match=r"'distance' is in 's', and is kept in 'm'"):
            save(run(tmp_path, "s"), new(tmp_path, "cxi"))
        assert not (tmp_path / "out.cxi").exists()

    def test_rows_of_different_units_are_refused(self, tmp_path):
        files = [run(tmp_path, "mm", "1.cxi"), run(tmp_path, "um", "2.cxi")]
        with pytest.raises(LayoutError, match=r"'translations' state different units .*mm.*um"):
            save(files, new(tmp_path, "cxi"))
        # Of a scalar only the first file's is loaded.
        save(files, new(tmp_path, "cxi"), attrs=["distance"])
        assert stored(tmp_path / "out.cxi", DISTANCE) == (0.2, "m")

    def test_good_frames_are_saved_in_their_unit_too(self, tmp_path):
        st = STData(CXIStore(run(tmp_path, "mm")), output_file=new(tmp_path, "cxi"))
        st = pickle.loads(pickle.dumps(st.load(verbose=False).mask_frames([1])))
        st.input_file.close()
        st.save()
        back = CXIStore(tmp_path / "out.cxi", protocol="cxi").load_attribute("translations")
        np.testing.assert_array_equal(back, ROWS[1:] / 1e3)


class TestIntoAStoreThatStatesNone:
    def test_a_new_dataset_states_the_unit_of_the_one_it_was_loaded_from(self, tmp_path):
        save(run(tmp_path, "mm"), new(tmp_path))
        assert stored(tmp_path / "out.cxi", OUT) == (200.0, "mm")
        save(run(tmp_path), new(tmp_path, name="2.cxi"))
        assert stored(tmp_path / "2.cxi", OUT) == (200.0, None)

    def test_a_new_dataset_states_the_unit_of_the_protocol(self, tmp_path):
        save(run(tmp_path), new(tmp_path), MM)
        assert stored(tmp_path / "out.cxi", OUT) == (200.0, "mm")

    @pytest.mark.parametrize("unit", ["mm", "um", "m", None])
    @pytest.mark.parametrize("there", ["mm", "m", None])
    def test_a_dataset_that_is_there_keeps_its_unit(self, tmp_path, unit, there):
        output = run(tmp_path, there, "out.cxi", value=1.0)
        save(run(tmp_path, unit), CXIStore(output, "r+"))
        scale = {"mm": 1e-3, "um": 1e-6, "m": 1.0, None: 1.0}
        value, stated = stored(output, DISTANCE)
        assert value * scale[there] == pytest.approx(200.0 * scale[unit])
        assert stated == there

    def test_into_the_same_file_nothing_changes(self, tmp_path):
        file = run(tmp_path, "mm")
        save(file, CXIStore(file, "r+"))
        assert stored(file, DISTANCE) == (200.0, "mm")

    def test_what_nobody_knows_the_unit_of_is_refused(self, tmp_path):
        path = "/speckle_tracking/defocus_x"
        file, output = (put(tmp_path / name, {path: 1.0}) for name in ("1.cxi", "2.cxi"))
        with h5py.File(file, "r+") as h5:
            h5[path].attrs["units"] = "um"
        with pytest.raises(LayoutError, match=r"2\.cxi:.*defocus_x states no unit.*'um'"):
            save(file, CXIStore(output, "r+"), attrs=["defocus_x"])


class TestTheUnitOfASave:
    def test_is_converted_to_the_protocols(self, tmp_path):
        store = new(tmp_path, "cxi")
        store.save_attribute("distance", 200, unit="mm")
        assert stored(tmp_path / "out.cxi", DISTANCE) == (0.2, "m")
        store.save_attribute("energy", 8.0, unit="keV")
        assert store.load_attribute("wavelength") == pytest.approx(1.549802e-10)
        store.save_attribute("translations", ROWS, unit="um")
        store.save_attribute("translations", ROWS, "append", unit="mm")
        both = np.concatenate([ROWS / 1e6, ROWS / 1e3])
        np.testing.assert_array_equal(store.load_attribute("translations"), both)

    def test_may_differ_between_the_saves_of_a_transaction(self, tmp_path):
        store = new(tmp_path)
        with store.transaction():
            store.save_attribute("translations", ROWS, unit="mm")
            store.save_attribute("translations", ROWS, "append", unit="m")
        np.testing.assert_array_equal(
            store.load_attribute("translations"), np.concatenate([ROWS, ROWS * 1e3])
        )

    def test_is_that_of_what_is_there_now(self, tmp_path):
        store = new(tmp_path)
        store.save_attribute("distance", 200.0, unit="mm")
        with h5py.File(tmp_path / "out.cxi", "r+") as h5:
            h5[OUT].attrs["units"] = "m"
        store.update_indices()
        store.save_attribute("distance", 300.0, unit="mm")
        assert stored(tmp_path / "out.cxi", OUT) == (0.3, "m")

    def test_is_of_numbers(self, tmp_path):
        with pytest.raises(ValueError, match="unit= goes with numbers"):
            new(tmp_path).save_attribute("mask", np.ones((2, 3), bool), unit="m")

    def test_of_complex_numbers_cannot_become_another(self, tmp_path):
        protocol = CXIProtocol({"x": "number"}, {"x": "/x"}, {}, units={"x": "m"})
        with pytest.raises(LayoutError, match="complex"):
            new(tmp_path, protocol).save_attribute("x", 1j, unit="mm")
