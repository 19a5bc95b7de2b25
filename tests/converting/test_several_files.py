"""Converting runs of files that disagree, or whose attributes have frames of their own.

Nothing is written in place of what cannot be: an error names it, the files and the way out.
"""

import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxistack import Crop, CXIProtocol, CXIStore, Downscale, LayoutError, convert
from cxistack.checking import agreement
from cxistack.converting import carrier
from cxistack.store.writer import FrameWriter
from factory import DATA, DETECTOR, frames, put

PIXELS = "/entry/instrument/detector"
DISTANCE, WAVELENGTH = f"{PIXELS}/distance", "/entry/instrument/source/wavelength"
WHITE = "/speckle_tracking/whitefield"
SHAPE = frames(1).shape[1:]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Make batches of few frames, or one batch would be the whole run."""
    monkeypatch.setattr(carrier, "_BATCH_BYTES", 3 * frames(1).nbytes)


@pytest.fixture
def run(tmp_path):
    """Return what makes a run: of each file what it has beside frames of its own."""

    def make(*files, counts=None, protocol=None):
        counts = counts or [4] * len(files)
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        names = [
            put(folder / f"{k}.cxi", {DATA: frames(count, start=300 * k), **values})
            for k, (values, count) in enumerate(zip(files, counts, strict=True))
        ]
        return CXIStore(names, protocol=protocol)

    return make


@pytest.fixture
def into(tmp_path):
    def make(protocol=None):
        return CXIStore(tmp_path / "new.cxi", "w", protocol=protocol)

    return make


@pytest.fixture
def new(tmp_path):
    def read(path):
        with h5py.File(tmp_path / "new.cxi") as h5:
            return h5[path][()]

    return read


class TestValuesThatDiffer:
    def test_a_scalar_is_refused_with_files_values_and_the_way_out(self, run, into, tmp_path):
        store = run({DISTANCE: 0.7, WAVELENGTH: 1e-10}, {DISTANCE: 0.8, WAVELENGTH: 1e-10})
        with pytest.raises(LayoutError) as raised:
            convert(store, into(), verbose=False)
        for word in ("'distance' is 0.7", "0.cxi", "0.8", "1.cxi", "sources=", "attributes="):
            assert word in str(raised.value)
        assert "wavelength" not in str(raised.value)
        assert not (tmp_path / "new.cxi").exists()

    def test_all_that_differ_are_told_at_once(self, run, into):
        store = run({DISTANCE: 0.7, WAVELENGTH: 1e-10}, {DISTANCE: 0.8, WAVELENGTH: 2e-10})
        with pytest.raises(LayoutError, match=r"'distance' is 0\.7.*'wavelength' is 1e-10"):
            convert(store, into(), verbose=False)

    @pytest.mark.parametrize("source", [1, "1.cxi"])
    def test_the_file_that_is_named_counts(self, run, into, new, source):
        store = run({DISTANCE: 0.7}, {DISTANCE: 0.8})
        convert(store, into(), sources={"distance": source}, verbose=False)
        assert new(DISTANCE) == 0.8

    def test_what_is_left_out_may_differ(self, run, into):
        store = run({DISTANCE: 0.7}, {DISTANCE: 0.8})
        assert convert(store, into(), ["data"], verbose=False).written == ("data",)

    def test_sources_of_what_is_not_converted_are_refused(self, run, into):
        with pytest.raises(ValueError, match="sources= names 'wavelength', which is not conv"):
            convert(run({}), into(), sources={"wavelength": 0}, verbose=False)

    def test_equal_values_in_other_units_are_equal(self, run, into, new):
        store = run({DISTANCE: 0.7}, {DISTANCE: 700.0}, {})
        with h5py.File(store.paths()[1], "a") as h5:
            h5[DISTANCE].attrs["units"] = "mm"
        convert(CXIStore(store.paths()), into(), verbose=False)
        assert new(DISTANCE) == 0.7

    def test_nan_is_equal_to_nan(self, run, into, new):
        convert(run({DISTANCE: np.nan}, {DISTANCE: np.nan}), into(), verbose=False)
        assert np.isnan(new(DISTANCE))

    def test_other_shapes_and_types_of_one_value(self, run, into, new):
        with pytest.raises(LayoutError, match=r"shape \(\) in .*0\.cxi and \(1,\) in .*1\.cxi"):
            convert(run({DISTANCE: 0.5}, {DISTANCE: [0.5]}), into(), verbose=False)
        files = {DISTANCE: 0.5}, {DISTANCE: np.float32(0.5)}
        store = run(*files)
        assert convert(store, into(), verbose=False).written == ("data", "distance")
        assert new(DISTANCE).dtype == np.float64

    def test_text_and_lists_of_frames(self, run, into):
        protocol = CXIProtocol.import_default().add_attribute("who", "str", "/who", "scalar")
        store = run({"/who": "Ada"}, {"/who": "Bea"}, protocol=protocol)
        with pytest.raises(LayoutError, match=r"'who' is Ada in .* and Bea in"):
            convert(store, into(protocol), verbose=False)
        good = "/speckle_tracking/good_frames"
        store = run({good: np.arange(4)}, {good: np.array([0, 1, 3, 3])})
        with pytest.raises(LayoutError, match=r"'good_frames' is 2 at \(2,\) in .* and 3 in"):
            convert(store, into(), verbose=False)

    @pytest.mark.parametrize("small", [0, 1 << 20])
    def test_images_are_compared_to_the_last_pixel_that_is_kept(
        self, run, into, new, monkeypatch, small
    ):
        monkeypatch.setattr(agreement, "_SMALL", small)
        white = np.arange(np.prod(SHAPE), dtype=float).reshape(SHAPE)
        other = white.copy()
        other[-1, -1] += 1
        corner = tuple(n - 1 for n in SHAPE)
        store = run({WHITE: white}, {WHITE: white}, {WHITE: other})
        with pytest.raises(LayoutError) as raised:
            convert(store, into(), verbose=False)
        said = f"'whitefield' is {white[-1, -1]} at {corner} in {store.filenames()[0]} and"
        assert said in str(raised.value)
        assert store.filenames()[2] in str(raised.value)
        convert(store, into(), transform=Crop([0, 2, 0, 3]), verbose=False)
        np.testing.assert_array_equal(new(WHITE), white[:2, :3])
        convert(store, into(), sources={"whitefield": 2}, verbose=False)
        np.testing.assert_array_equal(new(WHITE), other)

    @pytest.mark.parametrize("where", [1, 31, 32, 63, 64])
    def test_the_one_file_of_many_that_differs_is_named(self, run, into, where):
        files = [{DISTANCE: 0.7, WHITE: np.ones(SHAPE)} for _ in range(65)]
        files[where] = {DISTANCE: 0.8, WHITE: np.ones(SHAPE)}
        store = run(*files, counts=[1] * 65)
        with pytest.raises(LayoutError, match=rf"0\.7 in .*/0\.cxi and 0\.8 in .*/{where}\.cxi\."):
            convert(store, into(), verbose=False)

    def test_each_file_is_opened_few_times(self, run, into, monkeypatch):
        files = [{DISTANCE: 0.7, WAVELENGTH: 1e-10, WHITE: np.ones(SHAPE)} for _ in range(200)]
        store = run(*files, counts=[1] * 200)
        opened = []
        opens = h5py.File

        def counting(name, *args, **options):
            opened.append(name)
            return opens(name, *args, **options)

        monkeypatch.setattr("cxistack.hdf5.files.h5py.File", counting)
        convert(store, into(), verbose=False)
        # What the run has, again in the new file's units; what there is one of; and the frames.
        assert len(opened) <= 4 * 200 + 10

    def test_a_file_that_many_link_to_is_read_once(self, run, into, tmp_path, monkeypatch):
        put(tmp_path / "common.h5", {"/white": np.ones(SHAPE)})
        store = run(*[{} for _ in range(5)])
        for name in store.paths():
            with h5py.File(name, "a") as h5:
                h5[WHITE] = h5py.ExternalLink("../common.h5", "/white")
        store = CXIStore(store.paths())
        loaded = []
        load = agreement.prepare_singles

        def counting(catalogue, attr, found, transform):
            loaded.extend(found)
            return load(catalogue, attr, found, transform)

        monkeypatch.setattr(agreement, "prepare_singles", counting)
        monkeypatch.setattr(agreement, "_TOGETHER", 1)
        convert(store, into(), verbose=False)
        assert len(loaded) == 1

    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.tuples(*[st.sampled_from([None, 1.0, 2.0, np.nan])] * 2), min_size=1))
    def test_numpy_agrees_on_what_differs(self, run, into, new, rows):
        paths = DISTANCE, WAVELENGTH
        files = [{p: v for p, v in zip(paths, row, strict=True) if v is not None} for row in rows]
        store = run(*files, counts=[1] * len(files))
        there = {path: [file[path] for file in files if path in file] for path in paths}
        differ = [
            path.rpartition("/")[2]
            for path, values in there.items()
            if values and not np.array_equal(values, values[:1] * len(values), equal_nan=True)
        ]
        if differ:
            with pytest.raises(LayoutError) as raised:
                convert(store, into(), verbose=False)
            assert [
                attr for attr in ("distance", "wavelength") if attr in str(raised.value)
            ] == differ
        else:
            convert(store, into(), verbose=False)
            for path, values in there.items():
                if values:
                    np.testing.assert_array_equal(new(path), values[0])


class TestAValueForEachFrame:
    ENERGY = "/entry_1/instrument_1/source_1/energy"

    def energies(self, run, *counts):
        files = [{self.ENERGY: np.arange(count) + 10.0 * k + 1} for k, count in enumerate(counts)]
        return run(*files, counts=counts, protocol="cxi")

    def test_it_is_not_guessed(self, run, into):
        store = self.energies(run, 4, 3)
        said = (
            r"'energy' has shape \(4,\) in .*0\.cxi, which has 4 frames .*'wavelength'.*by_frame="
        )
        with pytest.raises(LayoutError, match=said):
            convert(store, into("cxi"), verbose=False)
        with pytest.raises(LayoutError, match="by_frame="):
            convert(self.energies(run, 4), into("cxi"), idxs=[0, 1], verbose=False)

    def test_all_of_one_file_are_what_they_were(self, run, into, new):
        convert(self.energies(run, 4), into("cxi"), verbose=False)
        assert new(self.ENERGY).tolist() == [1, 2, 3, 4]

    @pytest.mark.parametrize("idxs", [None, [6, 0, 3], slice(1, 5)])
    def test_it_goes_with_the_frames_by_the_users_word(self, run, into, new, idxs):
        names = ["data", "energy"]
        store = self.energies(run, 4, 3)
        convert(store, into("cxi"), names, idxs, by_frame=["energy"], verbose=False)
        whole = np.array([1.0, 2, 3, 4, 11, 12, 13])
        np.testing.assert_array_equal(new(self.ENERGY), whole if idxs is None else whole[idxs])

    def test_a_files_values_as_they_are_by_the_users_word(self, run, into, new):
        store = self.energies(run, 4, 3)
        convert(store, into("cxi"), ["data", "energy"], sources={"energy": 1}, verbose=False)
        assert new(self.ENERGY).tolist() == [11, 12, 13]

    def test_three_coordinates_are_not_of_three_frames(self, run, into):
        store = run({f"{DETECTOR}/corner_position": np.arange(3.0)}, counts=[3], protocol="cxi")
        assert "corner_position" in convert(store, into("cxi"), idxs=[0], verbose=False).written

    def test_only_scalars_can_be_said_to_be_so(self, run, into):
        store = run({WHITE: np.ones(SHAPE)})
        with pytest.raises(ValueError, match="'whitefield' is a frame in the protocol"):
            convert(store, into(), by_frame="whitefield", verbose=False)


class TestFramesOfTheirOwn:
    def dark(self, count):
        return frames(count, start=7, dtype="uint16").astype("float32")

    @pytest.fixture
    def protocol(self):
        return CXIProtocol.import_default().add_attribute("dark", "float", "/dark", "stack")

    def test_a_stack_of_another_number_is_carried_over_whole(self, run, into, new, protocol):
        darks = self.dark(3), self.dark(11) * 2
        store = run({"/dark": darks[0]}, {"/dark": darks[1]}, protocol=protocol)
        with pytest.raises(LayoutError, match=r"4 frames of 'data' and 3 of 'dark'.*--attr"):
            convert(store, into(protocol), verbose=False)
        done = convert(store, into(protocol), ["dark"], transform=Downscale(2), verbose=False)
        np.testing.assert_array_equal(new("/dark"), np.concatenate(darks)[:, ::2, ::2])
        assert new("/dark").dtype == np.float32
        assert list(done.whole) == ["dark"]
        assert "4 frames of 'data' and 3 of 'dark'" in done.whole["dark"]

    def test_bins_and_masks_too(self, run, into, tmp_path):
        mask = np.random.default_rng(5).integers(0, 9, (5, *SHAPE)) > 0
        store = run({"/speckle_tracking/mask": mask})
        convert(store, into(), ["mask"], transform=Downscale(2, mode="mean"), verbose=False)
        again = CXIStore(tmp_path / "new.cxi").load_attribute("mask")
        expected = store.load_attribute("mask", transform=Downscale(2, mode="mean"))
        np.testing.assert_array_equal(again, expected)
        assert len(again) == 5

    def test_a_sequence_of_another_number_too(self, run, into, new):
        rows = np.arange(9.0).reshape(3, 3)
        store = run({"/speckle_tracking/translations": rows}, {})
        with pytest.raises(LayoutError, match="4 frames of 'data' and 3 of 'translations'"):
            convert(store, into(), verbose=False)
        done = convert(store, into(), ["translations"], verbose=False)
        np.testing.assert_array_equal(new("/speckle_tracking/translations"), rows)
        assert list(done.whole) == ["translations"]

    def test_one_mask_of_some_files_does_not_become_that_of_all(self, run, into, tmp_path):
        mask = np.ones(SHAPE, bool)
        store = run({"/speckle_tracking/mask": mask}, {})
        with pytest.raises(LayoutError, match=r"'mask' would be .* 0 of 'mask'.* one by one"):
            convert(store, into(), verbose=False)
        assert not (tmp_path / "new.cxi").exists()
        convert(store, into(), ["mask"], verbose=False)
        np.testing.assert_array_equal(CXIStore(tmp_path / "new.cxi")["mask"][:], [mask])

    @pytest.mark.parametrize("idxs", [[0], slice(None), range(4)])
    def test_with_frames_that_are_chosen_it_is_refused(self, run, into, protocol, idxs, tmp_path):
        store = run({"/dark": self.dark(3)}, protocol=protocol)
        with pytest.raises(LayoutError) as raised:
            convert(store, into(protocol), idxs=idxs, verbose=False)
        for word in ("'dark'", "0.cxi", "4 frames", "3 of 'dark'", "attributes=", "--attributes"):
            assert word in str(raised.value)
        assert not (tmp_path / "new.cxi").exists()
        convert(store, into(protocol), ["data"], idxs=idxs, verbose=False)

    def test_what_would_pass_for_the_frames_of_data_is_refused(self, run, into, protocol):
        store = run({"/dark": self.dark(3)}, {"/dark": self.dark(5)}, protocol=protocol)
        with pytest.raises(
            LayoutError, match=r"in one file, the frames of 'dark' would .*attributes="
        ):
            convert(store, into(protocol), verbose=False)
        assert convert(store, into(protocol), ["dark"], verbose=False).written == ("dark",)

    def test_it_is_written_in_batches(self, run, into, protocol, monkeypatch):
        store = run({"/dark": self.dark(10)}, protocol=protocol)
        lengths = []
        append = FrameWriter.append

        def counting(writer, batch):
            lengths.append(len(batch))
            append(writer, batch)

        monkeypatch.setattr(FrameWriter, "append", counting)
        convert(store, into(protocol), ["dark"], num_threads=1, chunks=(1, *SHAPE), verbose=False)
        assert lengths == [1] * 10


class TestProtocolsThatDoNotGoTogether:
    def test_a_stack_is_no_frame(self, run, into):
        stack = CXIProtocol.import_default().add_attribute("dark", "float", "/dark", "stack")
        frame = CXIProtocol.import_default().add_attribute("dark", "float", "/dark", "frame")
        store = run({"/dark": frames(4).astype(float)}, protocol=stack)
        with pytest.raises(ValueError, match="'dark' is a stack by the run's protocol and a frame"):
            convert(store, into(frame), verbose=False)

    def test_flags_are_no_truth(self, run, into):
        protocol = CXIProtocol.import_default()
        flags = protocol.replace(datatypes={**protocol.datatypes, "mask": "uint"})
        store = run({f"{PIXELS}/mask": np.eye(*SHAPE, dtype="uint8")}, protocol=flags)
        with pytest.raises(ValueError, match=r"'mask' is of type uint .* of bool by the target's"):
            convert(store, into(), verbose=False)

    def test_two_attributes_at_one_place(self, run, into):
        protocol = CXIProtocol.import_default().add_attribute("far", "float", DISTANCE, "scalar")
        store = run({DISTANCE: 0.7}, protocol=protocol)
        with pytest.raises(ValueError, match=f"both 'distance' and 'far' at {DISTANCE}"):
            convert(store, into(protocol), verbose=False)

    def test_nothing_to_write(self, run, into, tmp_path):
        protocol = CXIProtocol({"other": "uint"}, {"other": "/d"}, {"other": "stack"})
        with pytest.raises(ValueError, match=r"none of the run's attributes \(data\) has a place"):
            convert(run({}), into(protocol), verbose=False)
        assert not (tmp_path / "new.cxi").exists()
