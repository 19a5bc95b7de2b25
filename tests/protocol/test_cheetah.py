"""Files of Cheetah, OM and what CrystFEL reads, by the protocol `cheetah`.

The oracles are the values as written, NumPy's own conversion of units, and the bits that Cheetah
counts as faults: 0x16DF.
"""

import h5py
import numpy as np
import pytest
from scipy import constants

from cxistack import CXIStore, discover
from factory import frames, put
from factory.beamlines import LAYOUTS

FAULTS = 0x16DF
LCLS = "/LCLS/detector_1/EncoderValue"


def h5py_values(files, path):
    parts = []
    for file in files:
        with h5py.File(file) as h5:
            parts.append(h5[path][()])
    return np.concatenate(parts)


@pytest.fixture(params=["cheetah", "cheetah_hits"])
def run(request, tmp_path):
    return LAYOUTS[request.param](tmp_path)


@pytest.fixture
def store(run):
    return CXIStore([str(file) for file in run.files], protocol="cheetah")


def test_frames_keep_their_type(run, store):
    data = store.load_attribute("data", verbose=False)
    np.testing.assert_array_equal(data, run.data, strict=True)


def test_a_pixel_is_bad_by_cheetahs_own_faults(run, store):
    expected = np.broadcast_to((run.flags & FAULTS) == 0, run.data.shape)
    np.testing.assert_array_equal(store.load_attribute("mask", verbose=False), expected)
    assert ((run.flags & 0x1000) > 0).any()  # which CXI has for a signal


def test_the_photon_energy_is_known_to_be_in_ev(run, store):
    loaded = np.atleast_1d(store.load_attribute("energy"))
    stored = []  # one a frame: those of all files
    for file in run.files:
        with h5py.File(file) as h5:
            stored.append(np.atleast_1d(h5["/LCLS/photon_energy_eV"][...]))
    stored = np.concatenate(stored)
    np.testing.assert_allclose(loaded, stored * constants.eV, rtol=1e-9)
    np.testing.assert_allclose(
        store.load_attribute("wavelength"), constants.h * constants.c / loaded, rtol=1e-6
    )


def test_the_encoder_is_in_metre_and_identifiers_are_text(tmp_path):
    run = LAYOUTS["cheetah"](tmp_path)
    store = CXIStore(str(run.files[0]), protocol="cheetah")
    stored = h5py_values(run.files, LCLS)
    np.testing.assert_allclose(store.load_attribute("encoder_distance"), stored * 1e-3)
    names = h5py_values(run.files, "/entry_1/experiment_identifier")
    expected = [name.decode() for name in names]
    assert store.load_attribute("identifier").tolist() == expected
    assert store.load_attribute("identifier", [2, 0]).tolist() == [expected[2], expected[0]]


def test_peaks_go_with_the_frames_of_all_files(tmp_path):
    run = LAYOUTS["cheetah_hits"](tmp_path)
    store = CXIStore([str(file) for file in run.files], protocol="cheetah")
    for attr, name in (("n_peaks", "nPeaks"), ("peak_x", "peakXPosRaw"), ("peak_y", "peakYPosRaw")):
        stored = h5py_values(run.files, f"/entry_1/result_1/{name}")
        np.testing.assert_array_equal(store.load_attribute(attr, [4, 0]), stored[[4, 0]])


def test_files_of_om_are_read(tmp_path):
    """As its crystallography monitor names them: detector_data is /data/data."""
    data = frames(3, (16, 20), "float32")
    tree = {
        "/data/data": data,
        "/data/beam_energy": np.full(3, 9500.0),
        "/data/detector_distance": np.full(3, 156.0),
        "/data/peaks/nPeaks": np.array([4, 0, 7]),
    }
    store = CXIStore(put(tmp_path / "om.h5", tree), protocol="cheetah")
    np.testing.assert_array_equal(store["data"][...], data, strict=True)
    np.testing.assert_allclose(store.load_attribute("energy"), 9500 * constants.eV)
    np.testing.assert_allclose(store.load_attribute("distance"), 0.156)
    assert store.load_attribute("n_peaks").tolist() == [4, 0, 7]


def test_discovery_takes_it_for_files_that_say_so_and_for_no_other(tmp_path):
    for name, base in (("cheetah", "cheetah"), ("cheetah_hits", "cheetah"), ("condor", "cxi")):
        (tmp_path / name).mkdir()
        run = LAYOUTS[name](tmp_path / name)
        assert discover([str(file) for file in run.files]).base == base
