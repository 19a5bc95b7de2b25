"""What is not CXI 1.6 is found and named; nothing is said of what is, or claims to be nothing."""

import inspect

import h5py
import numpy as np
import pytest

from cxistack.checking.cxi import conformance
from cxistack.hdf5.files import Files
from factory import BASIS, DATA, DETECTOR, DISTANCE, MASK, frames, not_hdf5, put
from factory.beamlines import dectris, nexus

ENTRY = "/entry_1"
LINK = f"{ENTRY}/data_1/data"
PROCESS = f"{ENTRY}/process_1"


def departures(name):
    return conformance(Files((str(name),)), 0)


def found(name, rule):
    """Return (path, severity) of what is found under a rule, and see that nothing else is."""
    all_of_them = departures(name)
    assert {one.rule for one in all_of_them} <= {rule}, all_of_them
    return [(one.dataset, one.severity) for one in all_of_them]


@pytest.fixture
def good(tmp_path):
    """Return the name of a file that is all CXI 1.6, made by plain h5py."""
    values = {
        "/cxi_version": 160,
        "/number_of_entries": 1,
        DATA: frames(4),
        MASK: np.zeros((5, 7), "uint32"),
        BASIS: np.zeros((2, 3)),
        DISTANCE: 1.5,
        f"{ENTRY}/start_time": "1996-07-31T21:15:22+0600",
        f"{ENTRY}/experiment_identifier": np.array([b"a", b"b", b"c", b"d"]),
        f"{ENTRY}/sample_1/name": "virus",
        f"{PROCESS}/program": "someprogram",
        f"{PROCESS}/version": "7",
        f"{PROCESS}/command": "someprogram run",
        f"{PROCESS}/date": "2026-11-22T10:00:00.123456789Z",
    }
    name = put(tmp_path / "good.cxi", values)
    with h5py.File(name, "a") as h5:
        h5[LINK] = h5py.SoftLink(DATA)
        h5[DATA].attrs["axes"] = "experiment_identifier:y:x"
        for folder in (DETECTOR, f"{ENTRY}/data_1"):
            h5[f"{folder}/experiment_identifier"] = h5py.SoftLink(f"{ENTRY}/experiment_identifier")
    return name


def change(name, values=(), remove=(), attrs=()):
    """Replace what is at paths, remove it, set HDF5 attributes (path, name, value)."""
    with h5py.File(name, "a") as h5:
        for path in [*remove, *(path for path in dict(values) if h5.get(path, getlink=True))]:
            del h5[path]
        for path, value in dict(values).items():
            h5[path] = value
        for path, key, value in attrs:
            h5[path].attrs[key] = value
    return name


def test_nothing_is_found_in_a_file_of_cxi_1_6(good):
    assert departures(good) == []


class TestVersionAndEntries:
    @pytest.mark.parametrize(("version", "severity"), [
        (np.array([160]), None), (np.int32(160), None),
        (120, "warning"), (170, "warning"), (1.6, "error"), (1, "error"), ("1.6", "error"),
    ])  # fmt: skip
    def test_the_version(self, good, version, severity):
        change(good, {"/cxi_version": version})
        assert found(good, "version") == ([("/cxi_version", severity)] if severity else [])

    def test_no_version(self, good):
        change(good, remove=["/cxi_version"])
        assert found(good, "version") == [("/", "error")]

    @pytest.mark.parametrize("value", [2, 0, 1.0, "1"])
    def test_a_number_of_entries_that_is_not_that(self, good, value):
        change(good, {"/number_of_entries": value})
        assert found(good, "number_of_entries") == [("/number_of_entries", "error")]

    def test_no_number_of_entries(self, good):
        change(good, remove=["/number_of_entries"])
        assert found(good, "number_of_entries") == [("/", "warning")]

    @pytest.mark.parametrize("other", ["entry_3", "entry_0", "entry_02"])
    def test_entries_that_are_not_1_2_3(self, good, other):
        with h5py.File(good, "a") as h5:
            h5.copy(h5[ENTRY], other)
            del h5[f"/{other}/data_1/data"]
            h5[f"/{other}/data_1/data"] = h5py.SoftLink(DATA)
            h5["/number_of_entries"][()] = 2
        assert ("/", "error") in found(good, "entries")

    def test_groups_that_are_not_1_2_3(self, good):
        change(good, {f"{ENTRY}/instrument_1/detector_3/distance": 2.0})
        assert found(good, "numbers") == [(f"{ENTRY}/instrument_1", "error")]

    def test_an_entry_without_data(self, good):
        change(good, remove=[f"{ENTRY}/data_1"])
        assert found(good, "data") == [(ENTRY, "error")]

    def test_frames_of_a_detector_that_no_data_shows(self, good):
        change(good, remove=[LINK])
        assert found(good, "data") == [(DATA, "error")]

    @pytest.mark.parametrize("link", [
        h5py.SoftLink("/nowhere"),
        h5py.SoftLink("/entry_1/data_1/errors"),
        h5py.ExternalLink("gone.h5", "/data"),
    ], ids=["dangling", "circle", "no such file"])  # fmt: skip
    def test_links_that_lead_to_nothing(self, good, link):
        change(good, {f"{ENTRY}/data_1/errors": link})
        assert found(good, "links") == [(f"{ENTRY}/data_1/errors", "error")]


class TestFields:
    @pytest.mark.parametrize(("axes", "severity"), [
        ("experiment_identifier:y:x", None),
        (["experiment_identifier:y:x"], None),
        (["experiment_identifier", "y", "x"], None),
        (np.bytes_("experiment_identifier:y:x"), None),
        ("y:x", "error"),
        ("experiment_identifier:y:x:z", "error"),
        ("translation:y:x", "warning"),
    ])  # fmt: skip
    def test_axes_are_one_name_a_dimension(self, good, axes, severity):
        change(good, attrs=[(DATA, "axes", axes)])
        assert found(good, "axes") == ([(DATA, severity)] if severity else [])

    def test_axes_of_another_length(self, good):
        change(good, {f"{ENTRY}/experiment_identifier": np.array([b"a", b"b"])})
        assert found(good, "axes") == [(DATA, "error")]

    def test_no_axes_where_there_are_more_dimensions(self, good):
        with h5py.File(good, "a") as h5:
            del h5[DATA].attrs["axes"]
        assert found(good, "axes") == [(DATA, "warning")]

    @pytest.mark.parametrize("unit", [
        "m", "meter", "metres", "m/s", "kg m^2 s**-2", "1/m", "J", "deg", "counts",
        "m^-1", "m / s", "J * s", "",
    ])  # fmt: skip
    def test_si_units(self, good, unit):
        change(good, attrs=[(DISTANCE, "units", unit)])
        assert departures(good) == []

    @pytest.mark.parametrize("unit", ["mm", "um", "µm", "angstrom", "keV", "1/nm", "rad", "cm^2"])
    def test_other_units_may_mislead(self, good, unit):
        change(good, attrs=[(DISTANCE, "units", unit)])
        assert found(good, "units") == [(DISTANCE, "warning")]

    @pytest.mark.parametrize("unit", ["bananas", "m?", "//", "mmm", "2 m", "m m m bananas"])
    def test_units_that_are_none(self, good, unit):
        change(good, attrs=[(DISTANCE, "units", unit)])
        assert found(good, "units") == [(DISTANCE, "error")]

    @pytest.mark.parametrize(("dtype", "severity"), [
        ("uint32", None), ("int32", None), (">u4", None),
        ("uint16", "warning"), ("uint64", "warning"), ("bool", "error"), ("float32", "error"),
    ])  # fmt: skip
    def test_a_mask_is_a_32_bit_integer(self, good, dtype, severity):
        change(good, {MASK: np.zeros((5, 7), dtype)})
        assert found(good, "mask") == ([(MASK, severity)] if severity else [])

    @pytest.mark.parametrize("field", ["program", "version", "command", "date"])
    def test_a_process_says_what_it_was(self, good, field):
        change(good, remove=[f"{PROCESS}/{field}"])
        assert found(good, "process") == [(PROCESS, "warning")]
        change(good, {f"{PROCESS}/{field}": 1.5})
        rules = {(one.dataset, one.rule, one.severity) for one in departures(good)}
        assert (f"{PROCESS}/{field}", "process", "error") in rules

    @pytest.mark.parametrize("time", [
        "2009-12-11T17:04:51", "yesterday", "11.12.2009 17:04", "2009-13-11T17:04:51Z", "", 1.5e9,
    ])  # fmt: skip
    def test_times_are_iso_8601_with_a_zone(self, good, time):
        change(good, {f"{ENTRY}/start_time": time})
        assert found(good, "times") == [(f"{ENTRY}/start_time", "error")]

    def test_times_of_each_frame(self, good):
        times = np.array([b"2009-12-11T17:04:51.000000001Z", b"2009-12-11 at noon"])
        change(good, {f"{DETECTOR}/start_time": times})
        assert found(good, "times") == [(f"{DETECTOR}/start_time", "error")]

    @pytest.mark.parametrize("shape", [(3, 2), (6,), (), (2, 2)])
    def test_vectors_have_three_coordinates(self, good, shape):
        change(good, {BASIS: np.zeros(shape)})
        assert found(good, "shape") == [(BASIS, "error")]


class TestOtherFiles:
    def test_nothing_is_said_of_files_that_do_not_claim_to_be_cxi(self, tmp_path):
        name = put(tmp_path / "mine.h5", {"/entry/data/data": frames(2), "/entry/mask": 1.5})
        assert departures(name) == []

    @pytest.mark.parametrize("module", [nexus, dectris], ids=["NeXus", "DECTRIS"])
    def test_nothing_is_said_of_other_layouts(self, tmp_path, module):
        layouts = [one for name, one in inspect.getmembers(module, inspect.isfunction)
                   if one.__module__ == module.__name__ and not name.startswith("_")
                   and list(inspect.signature(one).parameters) == ["folder"]]  # fmt: skip
        assert layouts
        for number, layout in enumerate(layouts):
            folder = tmp_path / str(number)
            folder.mkdir()
            for name in getattr(layout(folder), "files", ()):
                assert departures(name) == []

    def test_another_file_is_not_looked_at(self, good, tmp_path):
        other = put(tmp_path / "raw.h5", {"/data": np.zeros((5, 7))})
        with h5py.File(other, "a") as h5:
            h5["/data"].attrs["units"] = "bananas"
        change(good, {f"{ENTRY}/data_1/errors": h5py.ExternalLink("raw.h5", "/data")})
        assert departures(good) == []

    def test_a_group_within_itself_comes_to_an_end(self, good):
        with h5py.File(good, "a") as h5:
            h5[f"{ENTRY}/sample_1/again"] = h5[ENTRY]
            h5[f"{ENTRY}/sample_1/root"] = h5py.SoftLink("/")
        assert departures(good) == []

    def test_nothing_is_told_of_raw_files(self, good, tmp_path):
        secret = tmp_path / "secret.txt"
        secret.write_text("hush")
        with h5py.File(good, "a") as h5:
            raw = [(str(secret), 0, 4)]
            h5.create_dataset(f"{ENTRY}/end_time", (1,), "S4", external=raw)
        (one,) = departures(good)
        assert (one.dataset, one.rule) == (f"{ENTRY}/end_time", "times")
        assert "hush" not in str(one)

    def test_no_hdf5_file(self, tmp_path):
        name = str(np.atleast_1d(not_hdf5(tmp_path))[0])
        with pytest.raises(OSError, match="cannot be opened"):
            departures(name)

    def test_real_files(self, shared_data):
        axes = ("axes", "warning")
        expected = {
            "p25_near_field_ptycho.cxi": [
                (BASIS, "shape", "error"),
                (DATA, *axes),
                ("/entry_1/sample_1/geometry_1/translation", *axes),
            ],
            "libcxi_typical_raw.cxi": [
                ("/cxi_version", "version", "warning"), ("/", "number_of_entries", "warning"),
            ],
            "cxidb_minimal.cxi": [
                ("/", "version", "error"), ("/", "number_of_entries", "warning"),
            ],
            "eiger_bitshuffle_frame.h5": [],
        }  # fmt: skip
        for name, what in expected.items():
            all_of_them = departures(shared_data / name)
            assert sorted((d.dataset, d.rule, d.severity) for d in all_of_them) == sorted(what)
