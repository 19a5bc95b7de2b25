"""The built-in protocols open what they are for: real files, and runs of every beamline."""

import re

import h5py
import hdf5plugin  # noqa: F401  (registers bitshuffle for h5py)
import numpy as np
import pytest
from scipy import constants

from cxistack import CXIProtocol, CXIStore, ProtocolError
from cxistack.protocol.limits import Limit
from factory.beamlines import LAYOUTS

OURS = {name for name in CXIProtocol.names() if name != "euxfel"}
# EuXFEL's module files, and what has to be discovered, are for others.
NAMES = [name for name in LAYOUTS if not name.startswith(("agipd_", "bare", "lima", "bliss"))]


@pytest.fixture(scope="module", params=NAMES)
def run(request, tmp_path_factory):
    return LAYOUTS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def store(run):
    return CXIStore([str(file) for file in run.files], protocol=run.protocol)


def h5py_values(file, path):
    with h5py.File(file) as h5:
        return h5[path][()]


class TestBeamlines:
    def test_frames_are_as_they_are_stored(self, run, store):
        data = store.load_attribute("data", dtype=run.data.dtype, verbose=False)
        np.testing.assert_array_equal(data, run.data, strict=True)

    def test_any_number_type_is_kept_but_by_the_default_protocol(self, run, store):
        kept = np.dtype("uint16") if run.protocol == "default" else run.data.dtype
        assert store.load_attribute("data", idxs=0, verbose=False).dtype == kept

    def test_scalars_are_in_si_units(self, run, store):
        for attr, expected in {**run.scalars, **run.derived}.items():
            np.testing.assert_allclose(
                np.squeeze(store.load_attribute(attr)), expected, rtol=1e-6, err_msg=attr
            )

    def test_sequences_are_in_si_units(self, run, store):
        for attr, expected in run.sequences.items():
            loaded = store.load_attribute(attr)
            assert loaded.shape == expected.shape
            np.testing.assert_allclose(loaded, expected, rtol=1e-12, err_msg=attr)

    def test_what_is_in_si_units_keeps_its_bits(self, run, store):
        for attr in set(store) & set(store.protocol.units):
            if not re.search(r"then .* to ", store.explain(attr)):
                files = run.files if store.is_indexed(attr) else run.files[:1]
                parts = [h5py_values(file, store.find_dataset(attr)) for file in files]
                stored = np.concatenate(parts) if len(parts) > 1 else parts[0]
                np.testing.assert_array_equal(store.load_attribute(attr), stored, strict=True)

    def test_images_are_as_they_are_stored(self, run, store):
        for attr, expected in run.images.items():
            np.testing.assert_array_equal(store.load_attribute(attr), expected, err_msg=attr)

    def test_masks_are_there_where_they_are_expected(self, run, store):
        if run.mask is not None:
            mask = store.load_attribute("mask", verbose=False)
            assert mask.shape == run.data.shape

    def test_masks_are_true_where_a_pixel_is_good(self, run, store):
        if run.mask is not None:
            mask = store.load_attribute("mask", verbose=False)
            good = run.mask
            if run.protocol == "cxi" and run.flags is not None and run.flags.dtype.kind != "b":
                good = run.flags & ~np.array(0x1000).astype(run.flags.dtype) == 0  # has signal
            np.testing.assert_array_equal(mask, np.broadcast_to(good, run.data.shape))

    def test_attributes_are_found_where_the_program_put_them(self, run, store):
        for attr, path in run.paths.items():
            if attr in store.protocol:
                assert store.find_dataset(attr) == path

    def test_the_table_and_the_problems_can_be_asked_for(self, run, store):
        assert "data" in repr(store)
        # One value a shot in each of several files: only the first file's are loaded.
        known = "which is loaded, has"
        if run.name == "pynx_ptychography":
            known = "8 frames of 'data' and 3 of 'translations'"
        assert all(known in problem.message for problem in store.problems)


class TestRealFiles:
    def test_p25_opens_as_cxi_with_translations_in_metre(self, shared_data):
        name = str(shared_data / "p25_near_field_ptycho.cxi")
        store = CXIStore(name, protocol="cxi")
        assert store.problems == []
        with h5py.File(name) as h5:
            stored = h5["/entry_1/sample_1/geometry_1/translation"][...]
            data = h5["/entry_1/instrument_1/detector_1/data"][5:7]
        np.testing.assert_array_equal(store.load_attribute("translations"), stored, strict=True)
        np.testing.assert_array_equal(store["data"][5:7], data, strict=True)
        mask = store.load_attribute("mask", verbose=False)
        assert mask.shape == (200, 100, 100)
        assert (mask.sum(axis=(1, 2)) == 9995).all()

    def test_p25_says_energy_and_wavelength_of_one_photon(self, shared_data):
        store = CXIStore(str(shared_data / "p25_near_field_ptycho.cxi"), protocol="cxi")
        energy, wavelength = (store.load_attribute(attr) for attr in ("energy", "wavelength"))
        assert energy * wavelength == pytest.approx(constants.h * constants.c, rel=1e-4)

    def test_libcxis_example_has_its_wavelength_from_its_energy(self, shared_data):
        store = CXIStore(str(shared_data / "libcxi_typical_raw.cxi"), protocol="cxi")
        expected = constants.h * constants.c / 2.8893e-16
        assert store.load_attribute("wavelength") == pytest.approx(expected, rel=1e-14)
        assert store.load_attribute("distance") == 0.15
        assert "energy in J to wavelength in m" in store.explain("wavelength")
        assert store.problems == []

    def test_cxidbs_minimal_file_keeps_its_floats(self, shared_data):
        name = str(shared_data / "cxidb_minimal.cxi")
        with h5py.File(name) as h5:
            stored = h5["/entry_1/data_1/data"][...]
        loaded = CXIStore(name, protocol="cxi").load_attribute("data", verbose=False)
        np.testing.assert_array_equal(loaded, stored[None], strict=True)

    @pytest.mark.parametrize("protocol", ["nxmx", "default"])
    def test_the_eigers_frame_is_where_both_protocols_look(self, shared_data, protocol):
        store = CXIStore(str(shared_data / "eiger_bitshuffle_frame.h5"), protocol=protocol)
        assert store.describe("data") == ((1, 2167, 2070), np.dtype("uint32"))
        assert store.find_dataset("data") == "/entry/data/data"


class TestProtocols:
    @pytest.mark.parametrize("name", sorted(OURS))
    def test_each_knows_what_scripts_for_the_default_ask_for(self, name):
        default, other = CXIProtocol.import_default(), CXIProtocol.import_named(name)
        assert set(default) <= set(other)
        assert all(default.kinds[attr] == other.kinds[attr] for attr in default)

    @pytest.mark.parametrize("name", sorted(OURS - {"default"}))
    def test_values_come_in_si_units_and_every_path_converts(self, name, tmp_path):
        protocol = CXIProtocol.import_named(name)
        si = {"m", "J", "s"}
        for attr, units in protocol.units.items():
            assert units[0] in (si if not attr.startswith("beam_center") else {"pixel"})
        for attr in protocol.units:
            for path in protocol.attribute(attr).paths:
                file = tmp_path / f"{attr}.h5"
                with h5py.File(file, "w") as h5:
                    h5[path] = np.ones((1, 1))
                loaded = CXIStore(str(file), protocol=name).load_attribute(attr)
                assert np.isfinite(loaded).all()

    def test_nxmx_takes_what_states_no_unit_in_the_one_that_is_written_there(self, tmp_path):
        beam, detector = "/entry/instrument/beam", "/entry/instrument/detector"
        specific = f"{detector}/detectorSpecific"
        cases = {
            f"{beam}/incident_wavelength": (0.976223, 0.976223e-10),
            f"{beam}/incident_energy": (12000.0, constants.h * constants.c / constants.e / 12000),
            f"{specific}/photon_energy": (9000.0, constants.h * constants.c / constants.e / 9000),
        }
        for number, (path, (value, wavelength)) in enumerate(cases.items()):
            file = str(tmp_path / f"{number}.nxs")
            with h5py.File(file, "w") as h5:
                h5[path] = value
            store = CXIStore(file, protocol="nxmx")
            assert store.load_attribute("wavelength") == pytest.approx(wavelength, rel=1e-14)
            energy = constants.h * constants.c / wavelength
            assert store.load_attribute("energy") == pytest.approx(energy, rel=1e-14)

    def test_nxmx_reads_what_a_master_says_of_its_detector(self, tmp_path):
        detector = "/entry/instrument/detector"
        values = {
            **{"beam_center_x": (1033.5, "pixel"), "beam_center_y": (1080.0, "px")},
            **{"count_time": (9.9, "ms"), "frame_time": (0.01, "s")},
            "detectorSpecific/saturation_value": (30000, None),
            "detectorSpecific/countrate_correction_count_cutoff": (46051, None),
            **{"description": ("Dectris EIGER2", None), "sensor_material": ("Si", None)},
        }
        file = str(tmp_path / "master.h5")
        with h5py.File(file, "w") as h5:
            for name, (value, unit) in values.items():
                h5[f"{detector}/{name}"] = value
                if unit:
                    h5[f"{detector}/{name}"].attrs["units"] = unit
            h5["/entry/instrument/source/energy"] = 6.0  # GeV, of the ring's electrons
        store = CXIStore(file, protocol="nxmx")
        loaded = {attr: store.load_attribute(attr) for attr in store}
        assert loaded == {
            **{"beam_center_x": 1033.5, "beam_center_y": 1080, "count_time": 0.0099},
            **{"frame_time": 0.01, "saturation_value": 30000},
            **{"description": "Dectris EIGER2", "sensor_material": "Si"},
        }

    def test_the_default_has_no_units(self):
        assert not CXIProtocol.import_default().units

    @pytest.mark.parametrize("name", sorted(OURS))
    def test_each_survives_its_ini(self, name, tmp_path):
        protocol = CXIProtocol.import_named(name)
        protocol.to_ini(tmp_path / "copy.ini")
        assert CXIProtocol.import_ini(tmp_path / "copy.ini") == protocol

    def test_what_a_detector_counts_in_limits_nxmxs_good_pixels(self):
        limits = CXIProtocol.import_named("nxmx").get_limits("mask")
        assert limits == (
            Limit("data", ">=", "underload_value"),
            Limit("data", "<=", "saturation_value"),
            Limit("data", "<", "largest"),
        )

    def test_an_unknown_name_is_told_which_are_known(self, tmp_path):
        with pytest.raises(ProtocolError, match=r"'nexus' is no built-in.* cxi, default.* nxmx"):
            CXIProtocol.import_named("nexus")
        with pytest.raises(ProtocolError, match="'' is no built-in"):
            CXIStore(str(tmp_path / "new.cxi"), mode="w", protocol="")

    def test_a_subclass_gets_its_own_class(self):
        class Mine(CXIProtocol):
            pass

        assert type(Mine.import_named("nxmx")) is Mine
        assert Mine.import_named("nxmx").ini_dict() == CXIProtocol.import_named("nxmx").ini_dict()

    def test_what_is_saved_to_a_new_file_is_read_back(self, tmp_path):
        for name in sorted(OURS):
            file = str(tmp_path / f"{name}.h5")
            with CXIStore(file, mode="w", protocol=name).transaction():
                pass
            store = CXIStore(file, mode="w", protocol=name)
            store.save_attribute("data", np.arange(24, dtype="uint16").reshape(2, 3, 4))
            store.save_attribute("wavelength", 1.5e-10)
            store.save_attribute("translations", np.ones((2, 3)))
            again = CXIStore(file, protocol=name)
            assert again.describe("data") == ((2, 3, 4), np.dtype("uint16"))
            assert again.load_attribute("wavelength") == 1.5e-10
            assert again.load_attribute("translations").sum() == 6
