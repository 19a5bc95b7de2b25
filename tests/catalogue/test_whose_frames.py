"""Which frame a value belongs to, which datasets of a group are frames, and files of several types.

The oracle is the arrays that were written, and NumPy's promotion.
"""

import itertools

import h5py
import numpy as np
import pytest

from cxistack import CastError, CXIStore, Downscale, LayoutError, STData

DATA = "entry_1/instrument_1/detector_1/data"
ENERGY = "entry_1/instrument_1/source_1/energy"
DISTANCE = "entry_1/instrument_1/detector_1/distance"


def run(folder, *files):
    """Write files of a run: each a dict of values by path."""
    names = []
    for number, tree in enumerate(files):
        names.append(str(folder / f"run_{number}.cxi"))
        with h5py.File(names[-1], "w") as h5:
            for path, value in tree.items():
                h5[path] = value
    return names


class TestAScalarWithAValueForEachFrame:
    ENERGIES = np.arange(10, 17) * 1e-16

    @pytest.fixture
    def store(self, tmp_path):
        parts = (self.ENERGIES[:3], self.ENERGIES[3:])
        files = [{DATA: np.ones((len(e), 4, 6), "i2"), ENERGY: e} for e in parts]
        return CXIStore(run(tmp_path, *files), protocol="cxi")

    @pytest.mark.parametrize("idxs", [None, [5, 6], [6, 0, 0], slice(1, 5), -1])
    def test_comes_for_the_frames_that_are_asked_for(self, store, idxs):
        expected = self.ENERGIES if idxs is None else np.atleast_1d(self.ENERGIES[idxs])
        np.testing.assert_array_equal(store.load_attribute("energy", idxs), expected)
        np.testing.assert_array_equal(STData(store).load("energy", idxs=idxs).energy, expected)

    def test_of_one_file_is_that_files_as_it_is(self, store):
        np.testing.assert_array_equal(store.load_attribute("energy", source=1), self.ENERGIES[3:])

    def test_that_differs_in_length_from_the_frames_is_one_value(self, tmp_path):
        files = [{DATA: np.ones((3, 4, 6), "i2"), ENERGY: np.arange(1, 3) * 1e-16}] * 2
        store = CXIStore(run(tmp_path, *files), protocol="cxi")
        np.testing.assert_array_equal(store.load_attribute("energy", [0]), [1e-16, 2e-16])

    def test_a_corner_of_three_coordinates_is_never_one_a_frame(self, tmp_path):
        corner = "entry_1/instrument_1/detector_1/corner_position"
        files = [{DATA: np.ones((3, 4, 6), "i2"), corner: [1.0, 2.0, 3.0]}]
        store = CXIStore(run(tmp_path, *files), protocol="cxi")
        np.testing.assert_array_equal(store.load_attribute("corner_position", [0]), [1, 2, 3])


@pytest.mark.parametrize("count", [8, 5, 1])
def test_a_mask_with_one_axis_less_than_data_stands_for_all_frames(tmp_path, count):
    flags = np.zeros((8, 4, 6), "u2")
    flags[3] = 1
    mask = "entry_1/instrument_1/detector_1/mask"
    tree = {DATA: np.ones((count, 8, 4, 6), "u2"), mask: flags}
    store = CXIStore(run(tmp_path, tree), protocol="cxi")
    expected = np.broadcast_to(flags == 0, (count, 8, 4, 6))
    np.testing.assert_array_equal(store.load_attribute("mask", verbose=False), expected)
    np.testing.assert_array_equal(store.load_attribute("mask", [0, 0]), expected[[0, 0]])


class TestAGroupOfFrames:
    WANT = np.arange(5 * 4 * 6, dtype="u4").reshape(5, 4, 6)

    def master(self, folder, beside, signal=None):
        for number, part in enumerate((self.WANT[:3], self.WANT[3:]), 1):
            with h5py.File(folder / f"run_{number:06}.h5", "w") as h5:
                h5["data"] = part
        with h5py.File(folder / "run.nxs", "w") as h5:
            group = h5.create_group("entry/data")
            group.attrs["NX_class"] = "NXdata"
            if signal is not None:
                group.attrs["signal"] = signal
            for name, value in beside.items():
                group[name] = value
            for number in (1, 2):
                group[f"data_{number:06}"] = h5py.ExternalLink(f"run_{number:06}.h5", "/data")
        return CXIStore(folder / "run.nxs", protocol="nxmx")

    @pytest.mark.parametrize("signal", ["data", None])
    @pytest.mark.parametrize(
        "beside",
        [
            {"omega": np.arange(5) * 0.1},
            {"omega": np.arange(5) * 0.1, "dark": np.zeros((1, 4, 6), "u4")},
        ],
    )
    def test_is_those_that_are_numbered(self, tmp_path, beside, signal):
        store = self.master(tmp_path, beside, signal)
        np.testing.assert_array_equal(store.load_attribute("data", verbose=False), self.WANT)
        told = store.explain("data")
        assert all(name in told for name in beside)
        assert told.count("leave out") == 1

    def test_is_the_one_that_signal_names(self, tmp_path):
        store = self.master(tmp_path, {"sum": self.WANT[:1]}, "sum")
        np.testing.assert_array_equal(store.load_attribute("data", verbose=False), self.WANT[:1])
        assert "which leaves out data_000001, data_000002" in store.explain("data")

    def test_without_numbers_or_signal_unequal_datasets_are_refused(self, tmp_path):
        with h5py.File(tmp_path / "g.nxs", "w") as h5:
            h5["entry/data/a"], h5["entry/data/b"] = np.zeros((2, 4, 6)), np.zeros((2, 4, 7))
        with pytest.raises(LayoutError, match="unequal datasets"):
            CXIStore(tmp_path / "g.nxs", protocol="nxmx").load_attribute("data")


class TestTypesOfSeveralFiles:
    TYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8")

    @pytest.mark.parametrize(("one", "two"), [*itertools.permutations(TYPES, 2)])
    @pytest.mark.parametrize("protocol", ["default", "cxi"])
    def test_every_value_is_there_as_numpy_promotes(self, tmp_path, one, two, protocol):
        parts = [
            np.full((2, 3, 4), np.iinfo(t).max if k % 2 else np.iinfo(t).min, t)
            for k, t in enumerate((one, two), np.random.default_rng(0).integers(2))
        ]
        store = CXIStore(run(tmp_path, *({DATA: part} for part in parts)), protocol=protocol)
        together = np.result_type(one, two)
        if together.kind == "f":
            with pytest.raises(CastError, match=r"run_0.*run_1.*load the files apart"):
                store.load_attribute("data", verbose=False)
            return
        found = store.load_attribute("data", verbose=False)
        assert found.dtype == together
        assert (
            found.astype(object).tolist()
            == np.concatenate([part.astype(object) for part in parts]).tolist()
        )

    def test_the_advice_of_floats_beside_integers_works(self, tmp_path):
        parts = [np.full((2, 3, 4), 7, "u4"), np.full((2, 3, 4), 0.5, "f4")]
        store = CXIStore(run(tmp_path, *({DATA: part} for part in parts)), protocol="cxi")
        with pytest.raises(CastError, match="say dtype='float64'"):
            store.load_attribute("data", verbose=False)
        found = store.load_attribute("data", dtype="float64", verbose=False)
        np.testing.assert_array_equal(found, np.concatenate(parts).astype("f8"))

    def test_bins_sum_in_their_own_type(self, tmp_path):
        parts = [np.full((2, 4, 4), 250, "u1"), np.full((2, 4, 4), 65535, "u2")]
        store = CXIStore(run(tmp_path, *({DATA: part} for part in parts)), protocol="cxi")
        sums = store.load_attribute("data", transform=Downscale(2, mode="sum"), verbose=False)
        np.testing.assert_array_equal(sums[:, 0, 0], [1000, 1000, 4 * 65535, 4 * 65535])
