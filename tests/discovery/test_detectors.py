"""A run folder of a facility: the detector's modules are the data, all else is left out and told.

The oracle is what was written to the modules' files. The layouts are those of the European XFEL, as
EXtra-data's example files have them (its `make_examples`).
"""

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIProtocol, CXIStore, LayoutError, ProtocolError, discover
from cxistack.cli import app
from factory import put

TRAINS = np.repeat(np.arange(1000, 1004, dtype="u8"), 2)
MODULES = 3
SHAPE = (len(TRAINS), MODULES, 2, 16, 20)
RAW = np.arange(np.prod(SHAPE), dtype="u4").reshape(SHAPE).astype("u2")
XTDF, JUNGFRAU = "{}CH0:xtdf/image/data", "JNGFR0{}:daqOutput/data/adc"


def module(folder, name, number, values, end=XTDF, source="DET"):
    """Write the file of one module."""
    path = f"/INSTRUMENT/{name}/{source}/{end.format(number)}"
    beside = path.rpartition("/")[0]
    tree = {path: values, f"{beside}/trainId": TRAINS, f"{beside}/pulseId": TRAINS % 2}
    return put(folder / f"R1-{name}-{source}-{number:02}.h5", tree)


def detector(folder, name, values=RAW, first=0, end=XTDF, source="DET"):
    for number in range(values.shape[1]):
        module(folder, name, number + first, values[:, number], end, source)


def others(folder):
    """Write the files of a camera, of motors, and one that is empty; the first in the folder."""
    camera = "/INSTRUMENT/SPB_IRU_CAM/CAM/SIDEMIC:daqOutput/data"
    pixels = np.ones((4, 30, 40), "u2")
    put(folder / "R1-DA01.h5", {f"{camera}/image/pixels": pixels, f"{camera}/trainId": TRAINS[::2]})
    put(folder / "R1-DA02.h5", {f"{camera}/image/pixels": pixels, f"{camera}/trainId": TRAINS[::2]})
    motor = "/CONTROL/SPB_MOTOR/X/actualPosition/value"
    put(folder / "R1-DA03.h5", {motor: np.arange(4.0), "/INDEX/trainId": TRAINS[::2]})
    put(folder / "R1-ZZ.h5", {})


@pytest.mark.parametrize("name", ["A_DET_AGIPD1M-1", "Z_DET_LPD1M-1"])
def test_the_modules_are_the_data_and_the_rest_is_left_out_and_told(tmp_path, name):
    others(tmp_path)
    detector(tmp_path, name)
    found = discover(f"{tmp_path}/*.h5")
    assert (found.base, found.problems) == ("euxfel", ())
    store = CXIStore(f"{tmp_path}/*.h5", protocol=found.protocol)
    np.testing.assert_array_equal(store.load_attribute("data", verbose=False), RAW, strict=True)
    assert store.problems == []
    told = "\n".join(found.notes)
    assert "R1-DA01.h5 and 1 more: /INSTRUMENT/SPB_IRU_CAM" in told
    assert f"frames of (30, 40) in uint16: not a module of {name}" in told
    assert f"R1-DA03.h5 and 1 more: it has no module of {name}, nor images" in told


def test_modules_that_no_builtin_protocol_knows_are_found_by_their_numbers(tmp_path):
    others(tmp_path)
    detector(tmp_path, "SPB_IRDA_JF4M", first=1, end=JUNGFRAU)
    found = discover(f"{tmp_path}/*.h5")
    pattern = "/INSTRUMENT/SPB_IRDA_JF4M/DET/JNGFR{module:1-3}:daqOutput/data/adc"
    assert found.protocol.load_paths["data"] == (pattern,)
    store = CXIStore(f"{tmp_path}/*.h5", protocol=found.protocol)
    np.testing.assert_array_equal(store["data"][...], RAW, strict=True)
    np.testing.assert_array_equal(store["train_id"][...], TRAINS)
    assert store.problems == []


class TestSeveralDetectors:
    OTHER = RAW[:, :2] + 7

    @pytest.fixture
    def run(self, tmp_path):
        others(tmp_path)
        detector(tmp_path, "A_DET_AGIPD1M-1")
        detector(tmp_path, "B_DET_AGIPD1M-2", self.OTHER)
        return f"{tmp_path}/*.h5"

    def test_are_listed_and_none_is_taken(self, run):
        with pytest.raises(ProtocolError, match="several detectors") as told:
            discover(run)
        assert "A_DET_AGIPD1M-1/DET (modules 0 to 2" in str(told.value)
        assert "B_DET_AGIPD1M-2/DET (modules 0 to 1" in str(told.value)

    @pytest.mark.parametrize("name", ["B_DET_AGIPD1M-2", "B_DET_AGIPD1M-2/DET"])
    def test_are_taken_when_told(self, run, name):
        protocol = CXIProtocol.discover(run, detector=name)
        store = CXIStore(run, protocol=protocol)
        np.testing.assert_array_equal(store["data"][...], self.OTHER, strict=True)
        assert store.problems == []
        first = CXIStore(run, protocol=CXIProtocol.discover(run, detector="A_DET_AGIPD1M-1"))
        np.testing.assert_array_equal(first["data"][...], RAW, strict=True)

    def test_an_unknown_name_is_told_with_those_that_there_are(self, run):
        with pytest.raises(ProtocolError, match=r"called 'C'; they are A_DET.*, B_DET"):
            discover(run, detector="C")

    def test_the_command_takes_the_name(self, run, tmp_path):
        words = ["protocol", "discover", run]
        shown = CliRunner().invoke(app, words)
        assert (shown.exit_code, "--detector" in shown.stderr) == (2, True)
        ini = str(tmp_path / "b.ini")
        shown = CliRunner().invoke(app, [*words, "--detector", "B_DET_AGIPD1M-2", "-o", ini])
        assert shown.exit_code == 0, shown.output
        assert "left out: " in shown.stdout
        store = CXIStore(run, protocol=CXIProtocol.import_ini(ini))
        np.testing.assert_array_equal(store["data"][...], self.OTHER)

    def test_are_never_taken_for_one_by_the_protocol_of_them_all(self, run):
        store = CXIStore(run, protocol="euxfel")
        with pytest.raises(LayoutError, match=r"means 2 detectors: .*A_DET.*B_DET.*--detector"):
            store["data"]
        assert any("2 detectors" in one.message for one in store.problems)

    def test_raw_and_corrected_data_are_two(self, tmp_path):
        detector(tmp_path, "A_DET_AGIPD1M-1")
        corrected = RAW[:, :, 0].astype("f4")
        end = "{}CH0:output/image/data"
        detector(tmp_path, "A_DET_AGIPD1M-1", corrected, end=end, source="CORR")
        run = f"{tmp_path}/*.h5"
        with pytest.raises(ProtocolError, match=r"A_DET_AGIPD1M-1/CORR \(.*corrected"):
            discover(run, detector="A_DET_AGIPD1M-1")
        store = CXIStore(run, protocol=CXIProtocol.discover(run, detector="A_DET_AGIPD1M-1/CORR"))
        np.testing.assert_array_equal(store["data"][...], corrected, strict=True)


def test_a_detector_is_for_runs_that_have_any(tmp_path):
    file = put(tmp_path / "a.h5", {"/entry/data/data": np.zeros((2, 16, 16))})
    with pytest.raises(ProtocolError, match="leave it out"):
        discover(file, detector="A")


def test_a_file_that_cannot_be_read_is_a_problem_and_does_not_hide_the_modules(tmp_path):
    detector(tmp_path, "A_DET_AGIPD1M-1")
    with h5py.File(tmp_path / "R1-A.h5", "w") as h5:
        h5["/INSTRUMENT/A_DET_AGIPD1M-1/DET"] = h5py.SoftLink("/gone")
    found = discover(f"{tmp_path}/*.h5")
    assert (found.base, len(found.filenames)) == ("euxfel", MODULES + 1)
    assert any("leads nowhere" in one.message for one in found.problems)


def test_a_source_with_two_names_is_one_detector(tmp_path):
    detector(tmp_path, "A_DET_AGIPD1M-1", end="{}CH0:output/image/data", source="CORR")
    for number, name in enumerate(sorted(tmp_path.glob("*.h5"))):
        with h5py.File(name, "a") as h5:
            root = "/INSTRUMENT/A_DET_AGIPD1M-1"
            old = h5py.SoftLink(f"{root}/CORR/{number}CH0:output")
            h5[f"{root}/DET/{number}CH0:xtdf"] = old
    store = CXIStore(f"{tmp_path}/*.h5", protocol=discover(f"{tmp_path}/*.h5").protocol)
    np.testing.assert_array_equal(store["data"][...], RAW, strict=True)


@pytest.mark.parametrize("dtype", ["u2", "i2", "f4"])
def test_euxfel_keeps_the_type_that_is_stored(tmp_path, dtype):
    detector(tmp_path, "A_DET_AGIPD1M-1", RAW.astype(dtype))
    data = CXIStore(f"{tmp_path}/*.h5", protocol="euxfel").load_attribute("data", verbose=False)
    np.testing.assert_array_equal(data, RAW.astype(dtype), strict=True)
