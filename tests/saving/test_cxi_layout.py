"""A file that we create is CXI 1.6, tells who made it, and opens in programs that know NeXus."""

import datetime
import shlex
import subprocess
import sys

import h5py
import numpy as np
import pytest

import cxistack
from cxistack import CastError, CXIProtocol, CXIStore, STData
from cxistack.checking.cxi import conformance
from cxistack.hdf5.files import Files
from factory import DATA, DETECTOR, DISTANCE, MASK, frames, good_mask, put

ENTRY = "/entry_1"
FIRST = "/entry/data/data"  # where the default protocol looks first
TRANSLATION = "/entry_1/sample_1/geometry_1/translation"
CXI_LIKE = CXIProtocol(
    datatypes={"data": "uint", "mask": "bool"},
    load_paths={"data": [DATA], "mask": [MASK]},
    kinds={"data": "stack", "mask": "stack"},
    conventions={"mask": ["cxi"]},
)


def departures(name):
    return conformance(Files((str(name),)), 0)


def value(name, path):
    with h5py.File(name) as h5:
        found = h5[path][()]
        return found.decode() if isinstance(found, bytes) else found


def link(name, path):
    """Return where a soft link leads, or None: no link, or nothing there."""
    with h5py.File(name) as h5:
        found = h5.get(path, getlink=True)
        return found.path if isinstance(found, h5py.SoftLink) else None


def processes(name):
    with h5py.File(name) as h5:
        return sorted(one for one in h5[ENTRY] if one.startswith("process_"))


@pytest.fixture
def everything():
    return {
        "data": frames(4),
        "mask": good_mask((5, 7), [(1, 1)]),
        "whitefield": np.ones((5, 7)),
        "translations": np.arange(12.0).reshape(4, 3),
        "basis_vectors": np.ones((4, 2, 3)),
        "distance": 1.5,
        "wavelength": 1e-10,
        "x_pixel_size": 55e-6,
        "y_pixel_size": 55e-6,
        "good_frames": np.arange(4),
        "pixel_map": np.ones((2, 5, 7)),
    }


def save(name, values, mode="w", **how):
    store = CXIStore(name, mode=mode, **how)
    with store.transaction():
        for attr, one in values.items():
            store.save_attribute(attr, one)
    return store


class TestANewFile:
    @pytest.mark.parametrize("mode", ["w", "x", "a"])
    def test_has_nothing_that_is_not_cxi(self, tmp_path, everything, mode):
        save(tmp_path / "new.cxi", everything, mode)
        assert departures(tmp_path / "new.cxi") == []
        assert value(tmp_path / "new.cxi", "/cxi_version") == 160
        assert value(tmp_path / "new.cxi", "/number_of_entries") == 1

    @pytest.mark.parametrize("name", ["default", "cxi", "nxmx"])
    def test_is_cxi_by_any_built_in_protocol(self, tmp_path, everything, name):
        protocol = CXIProtocol.import_named(name)
        values = {attr: one for attr, one in everything.items() if attr in protocol}
        store = save(tmp_path / "new.cxi", values, protocol=protocol)
        assert departures(tmp_path / "new.cxi") == []
        assert set(store) >= set(values)
        assert store.problems == []
        for reader in ("default", "cxi"):
            with CXIStore(tmp_path / "new.cxi", protocol=reader) as other:
                loaded = other.load_attribute("data", verbose=False)
                np.testing.assert_array_equal(loaded, everything["data"])
                assert other.load_attribute("distance") == 1.5
                mask = other.load_attribute("mask") if "mask" in other else everything["mask"]
                np.testing.assert_array_equal(mask, np.broadcast_to(everything["mask"], mask.shape))

    def test_comes_back_by_the_default_protocol(self, tmp_path, everything):
        save(tmp_path / "new.cxi", everything)
        store = CXIStore(tmp_path / "new.cxi")
        assert set(store) == set(everything)
        assert store.find_dataset("data") == FIRST
        assert store.problems == []
        for attr, saved in everything.items():
            loaded = store.load_attribute(attr, verbose=False)
            np.testing.assert_array_equal(loaded, np.broadcast_to(saved, np.shape(loaded)))

    def test_has_cxis_names_for_what_is_saved_and_no_others(self, tmp_path, everything):
        name = tmp_path / "new.cxi"
        save(name, everything)
        assert link(name, f"{ENTRY}/data_1/data") == DATA
        with h5py.File(name) as h5:
            assert h5[DATA] == h5[FIRST] == h5[f"{ENTRY}/data_1/data"]
            np.testing.assert_array_equal(h5[TRANSLATION][...], everything["translations"])
            assert h5[DISTANCE][()] == 1.5
            broken = []
            h5.visit_links(lambda path: broken.append(path) if h5.get(path) is None else None)
        assert broken == []
        save(tmp_path / "few.cxi", {"data": frames(4)})
        with h5py.File(tmp_path / "few.cxi") as h5:
            assert list(h5[DETECTOR]) == ["data", "experiment_identifier"]

    def test_gives_no_cxi_name_to_a_mask_in_which_true_is_good(self, tmp_path, everything):
        """In CXI 0 is good: whoever found it by that name would take it the wrong way round."""
        save(tmp_path / "new.cxi", everything)
        with h5py.File(tmp_path / "new.cxi") as h5:
            assert MASK not in h5
            assert h5["/speckle_tracking/mask"].dtype == bool

    def test_a_mask_of_flags_is_a_cxi_mask(self, tmp_path):
        name = tmp_path / "new.cxi"
        save(
            name, {"data": frames(3), "mask": good_mask((3, 5, 7), [(0, 1, 1)])}, protocol=CXI_LIKE
        )
        assert departures(name) == []
        with h5py.File(name) as h5:
            assert h5[MASK].dtype == "uint32"
            assert h5[MASK].attrs["axes"] == "experiment_identifier:y:x"
            assert not isinstance(h5.get(DATA, getlink=True), h5py.SoftLink)
        assert link(name, f"{ENTRY}/data_1/data") == DATA

    def test_nothing_is_linked_where_the_protocol_looks_for_something_else(self, tmp_path):
        protocol = CXI_LIKE.replace(
            load_paths={"data": ["/processed/frames"], "mask": [MASK]}
        ).add_attribute("raw", "uint", [DATA, f"{ENTRY}/data_1/data"], "stack")
        store = save(tmp_path / "new.cxi", {"data": frames(3)}, protocol=protocol)
        assert set(store) == {"data"}

    @pytest.mark.parametrize("path", ["/entry_1", "/entry_1/data_1", "/entry_1/instrument_1", "/x"])
    def test_is_saved_also_where_a_protocol_has_its_own_ideas(self, tmp_path, path):
        protocol = CXIProtocol({"data": "uint"}, {"data": [path]}, {"data": "stack"})
        store = save(tmp_path / "new.h5", {"data": frames(3)}, protocol=protocol)
        np.testing.assert_array_equal(store.load_attribute("data", verbose=False), frames(3))

    def test_with_results_alone_shows_no_frames(self, tmp_path):
        store = save(tmp_path / "new.cxi", {"whitefield": np.ones((5, 7))})
        assert set(store) == {"whitefield"}
        assert departures(tmp_path / "new.cxi") == []

    def test_grows_as_more_is_saved_by_others_too(self, tmp_path):
        name = tmp_path / "new.cxi"
        save(name, {"whitefield": np.ones((5, 7))})
        save(name, {"data": frames(4), "translations": np.ones((4, 3))}, "r+")
        assert departures(name) == []
        assert link(name, f"{ENTRY}/data_1/data") == DATA

    def test_axes_follow_the_frames(self, tmp_path):
        name = tmp_path / "new.cxi"
        store = save(name, {"data": frames(4), "translations": np.ones((4, 3))})
        for count, mode in [(9, "append"), (2, "overwrite")]:
            with store.transaction():
                store.save_attribute("data", frames(count), mode)
                store.save_attribute("translations", np.ones((count, 3)), mode)
            assert departures(name) == []
        with h5py.File(name) as h5:
            assert h5[FIRST].attrs["axes"] == "experiment_identifier:y:x"
            assert h5[TRANSLATION].attrs["axes"] == "experiment_identifier:coordinate"
            assert h5[f"{DETECTOR}/experiment_identifier"][...].tolist() == [b"0", b"1"]

    def test_identifiers_of_others_stay(self, tmp_path):
        name = tmp_path / "new.cxi"
        protocol = CXIProtocol.import_default().add_attribute(
            "shot", "str", "/entry_1/experiment_identifier", "sequence"
        )
        shots = np.array(["r12_17", "r12_18"], dtype=object)
        save(name, {"shot": shots, "data": frames(2)}, protocol=protocol)
        assert departures(name) == []
        with h5py.File(name) as h5:
            assert h5[f"{DETECTOR}/experiment_identifier"].asstr()[...].tolist() == list(shots)

    def test_modules_are_an_axis(self, tmp_path):
        data = frames(6).reshape(3, 2, 5, 7)
        save(tmp_path / "new.cxi", {"data": data})
        assert departures(tmp_path / "new.cxi") == []
        with h5py.File(tmp_path / "new.cxi") as h5:
            assert h5[FIRST].attrs["axes"] == "experiment_identifier:module_identifier:y:x"

    def test_states_the_protocols_units(self, tmp_path):
        protocol = CXIProtocol(
            {"distance": "float"}, {"distance": [DISTANCE]}, {"distance": "scalar"},
            units={"distance": ["m"]},
        )  # fmt: skip
        save(tmp_path / "new.cxi", {"distance": 2.0}, protocol=protocol)
        with h5py.File(tmp_path / "new.cxi") as h5:
            assert h5[DISTANCE].attrs["units"] == "m"

    def test_does_not_appear_when_the_save_fails(self, tmp_path):
        wrong = np.full((5, 7), "text")
        with pytest.raises(CastError):
            save(tmp_path / "new.cxi", {"data": frames(3), "whitefield": wrong})
        assert list(tmp_path.iterdir()) == []


class TestAFileOfOthers:
    def test_without_a_cxi_version_gets_nothing(self, tmp_path):
        name = put(tmp_path / "run.h5", {DATA: frames(3), "/entry_1/title": "mine"})
        before = {}
        with h5py.File(name) as h5:
            h5.visititems(lambda path, one: before.update({path: dict(one.attrs)}))
        CXIStore(name, mode="r+").save_attribute("data", frames(3, start=7))
        after = {}
        with h5py.File(name) as h5:
            h5.visititems(lambda path, one: after.update({path: dict(one.attrs)}))
        assert after == before

    def test_of_cxi_gets_a_process_and_nothing_else(self, tmp_path):
        name = put(tmp_path / "run.cxi", {"/cxi_version": 150, DATA: frames(3)})
        put(name, {"/entry_1/process_4/program": "cheetah"})
        CXIStore(name, mode="r+").save_attribute("data", frames(3, start=7))
        assert processes(name) == ["process_4", "process_5"]
        with h5py.File(name) as h5:
            assert set(h5) == {"cxi_version", "entry_1"}
            assert set(h5[ENTRY]) == {"instrument_1", "process_4", "process_5"}
            assert not h5.attrs
            assert not h5[DATA].attrs


class TestProvenance:
    def test_says_program_version_command_and_date(self, tmp_path, monkeypatch):
        command = ["/usr/bin/my script.py", "--crop", "1 2"]
        monkeypatch.setattr(sys, "argv", command)
        before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        save(tmp_path / "new.cxi", {"data": frames(2)})
        path = f"{ENTRY}/process_1"
        assert value(tmp_path / "new.cxi", f"{path}/program") == "cxistack"
        assert value(tmp_path / "new.cxi", f"{path}/version") == cxistack.__version__
        assert shlex.split(value(tmp_path / "new.cxi", f"{path}/command")) == command
        date = datetime.datetime.fromisoformat(value(tmp_path / "new.cxi", f"{path}/date"))
        assert before <= date <= datetime.datetime.now(datetime.UTC)

    @pytest.mark.parametrize("argv", [[""], ["-c"], ["/x/ipykernel_launcher.py", "-f", "k.json"]])
    def test_says_the_call_where_there_is_no_command(self, tmp_path, monkeypatch, argv):
        monkeypatch.setattr(sys, "argv", argv)
        save(tmp_path / "new.cxi", {"data": frames(2)})
        command = value(tmp_path / "new.cxi", f"{ENTRY}/process_1/command")
        assert command == "CXIStore.save_attribute('data', ...)"

    def test_one_process_a_run_of_the_program_and_file(self, tmp_path, monkeypatch):
        name = tmp_path / "new.cxi"
        for _ in range(3):
            store = CXIStore(name, mode="a")
            store.save_attribute("data", frames(2), "append")
            store.save_attribute("whitefield", np.ones((5, 7)))
        assert processes(name) == ["process_1"]
        code = "import sys, cxistack; cxistack.CXIStore(sys.argv[1], 'r+').save_attribute"
        for run in (1, 2):
            script = tmp_path / f"step_{run}.py"
            script.write_text(f"{code}('distance', {run}.0)\n")
            subprocess.run([sys.executable, str(script), str(name)], check=True)
        assert processes(name) == ["process_1", "process_2", "process_3"]
        assert "step_2.py" in value(name, f"{ENTRY}/process_3/command")
        assert departures(name) == []

    def test_a_failed_save_is_not_told_of(self, tmp_path):
        name = tmp_path / "new.cxi"
        put(name, {"/cxi_version": 160, DATA: frames(2)})
        store = CXIStore(name, mode="r+")
        with pytest.raises(CastError):
            store.save_attribute("data", np.full((1, 5, 7), 70000), "append")
        assert processes(name) == []
        store.save_attribute("data", frames(1), "append")
        assert processes(name) == ["process_1"]

    def test_what_a_run_told_is_told_again_where_it_is_lost(self, tmp_path):
        name = tmp_path / "new.cxi"
        wrong = {"data": frames(2), "whitefield": np.full((5, 7), "text")}
        with pytest.raises(CastError):
            save(name, wrong)
        for _ in range(2):
            save(name, {"data": frames(2)})
            assert processes(name) == ["process_1"]

    def test_source_date_epoch_stands_for_now(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
        for name in ("a.cxi", "b.cxi"):
            save(tmp_path / name, {"data": frames(2)})
        date = value(tmp_path / "a.cxi", f"{ENTRY}/process_1/date")
        assert date == "2001-09-09T01:46:40+00:00"
        assert (tmp_path / "a.cxi").read_bytes() == (tmp_path / "b.cxi").read_bytes()

    def test_a_container_that_saves_is_one_process(self, tmp_path):
        run = put(tmp_path / "run.cxi", {DATA: frames(4)})
        output = CXIStore(tmp_path / "new.cxi", mode="a")
        STData(CXIStore(run), output_file=output).load(verbose=False).save()
        assert processes(tmp_path / "new.cxi") == ["process_1"]
        assert departures(tmp_path / "new.cxi") == []


class TestOtherPrograms:
    def test_h5py_reads_it_with_any_filter(self, tmp_path, everything):
        save(tmp_path / "new.cxi", everything)
        np.testing.assert_array_equal(value(tmp_path / "new.cxi", DATA), frames(4))

    def test_silx_plots_the_frames(self, tmp_path, everything):
        io = pytest.importorskip("silx.io")
        nxdata = pytest.importorskip("silx.io.nxdata")
        save(tmp_path / "new.cxi", everything)
        with io.open(str(tmp_path / "new.cxi")) as h5:
            plot = nxdata.get_default(h5)
            assert plot.is_valid
            assert plot.is_stack
            np.testing.assert_array_equal(plot.signal[...], frames(4))

    def test_nexusformat_plots_the_frames(self, tmp_path, everything):
        save(tmp_path / "new.cxi", everything)
        with np.printoptions():  # it changes them when it is imported
            nexus = pytest.importorskip("nexusformat.nexus")
            root = nexus.nxload(str(tmp_path / "new.cxi"))
            assert root["entry_1"].nxclass == "NXentry"
            assert root["entry_1/process_1/program"].nxvalue == "cxistack"
            plot = root.plottable_data
            np.testing.assert_array_equal(plot.nxsignal.nxvalue, frames(4))
