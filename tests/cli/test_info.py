import json

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIProtocol, __version__
from cxistack.cli import app

DATA = "/entry_1/instrument_1/detector_1/data"
DISTANCE = "/entry_1/instrument_1/detector_1/distance"


def info(*arguments):
    return CliRunner().invoke(app, ["info", *map(str, arguments)])


@pytest.fixture
def make(tmp_path):
    def file(name, **values):
        with h5py.File(tmp_path / name, "w") as h5:
            for path, value in values.items():
                h5[{"data": DATA, "distance": DISTANCE}.get(path, path)] = value
        return tmp_path / name

    return file


FRAMES = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)


def test_files_are_one_run_and_a_quoted_glob_is_as_good(make, tmp_path):
    files = [make(f"run_{n}.cxi", data=FRAMES, distance=1.5) for n in (1, 2)]
    for names in (files, [tmp_path / "run_*.cxi"]):
        shown = info(*names)
        assert shown.exit_code == 0, shown.output
        assert "(4, 3, 4)" in shown.stdout
        assert "uint16" in shown.stdout
        assert "Problems" not in shown.stdout


def test_problems_are_listed_once_each_and_the_status_is_1(make):
    one, two = make("1.cxi", data=FRAMES, distance=1.5), make("2.cxi", data=FRAMES, distance=1.7)
    shown = info(one, two)
    assert shown.exit_code == 1
    assert shown.stdout.count("Problems:") == 1
    assert shown.stdout.count("1.7") == 1


def test_all_problems_are_listed_not_the_first_few(make):
    files = [make("0.cxi", distance=1.5)]
    files += [make(f"{n}.cxi", distance=np.zeros((1, 1, n))) for n in range(1, 14)]
    shown = info(*files)
    assert shown.exit_code == 1
    for file in files[1:]:
        assert f"{file}:" in shown.stdout


def test_a_problem_that_files_have_alike_is_one_line_with_the_count(make):
    files = [make("0.cxi", distance=1.5)]
    files += [make(f"{n}.cxi", distance=np.zeros((1, 1, 1))) for n in range(1, 14)]
    shown = info(*files)
    told = [line for line in shown.stdout.splitlines() if "distance: " in line]
    assert len(told) == 1
    assert f"{files[1]}:" in told[0]
    assert f"13 of 14 files, to {files[13]}" in told[0]


def test_an_attribute_that_loads_only_with_a_dtype_says_so(make):
    shown = info(make("float.cxi", data=FRAMES / 7))
    assert shown.exit_code == 0
    assert "float64: say dtype=" in shown.stdout


def test_a_file_with_nothing_known_in_it_is_status_1(make):
    shown = info(make("other.h5", something=FRAMES))
    assert shown.exit_code == 1
    assert "none of the protocol's attributes" in shown.stdout


def test_a_protocol_of_ones_own_is_used(make, tmp_path):
    file = make("strange.h5", odd=FRAMES)
    CXIProtocol({"data": "uint"}, {"data": ["/odd"]}, {"data": "stack"}).to_ini(tmp_path / "my.ini")
    shown = info(file, "--protocol", tmp_path / "my.ini")
    assert shown.exit_code == 0
    assert "(2, 3, 4)" in shown.stdout


def test_json_says_the_same_to_programs(make):
    shown = info(make("a.cxi", data=FRAMES, distance=1.5), "--json")
    facts = json.loads(shown.stdout)
    data = {"kind": "stack", "shape": [2, 3, 4], "dtype": "uint16", "error": None}
    assert facts["attributes"]["data"] == data
    assert facts["attributes"]["distance"]["shape"] == []
    assert facts["problems"] == []


def test_json_has_the_problems_and_the_status_is_1(make):
    shown = info(make("flat.cxi", data=FRAMES.ravel()), "--json")
    facts = json.loads(shown.stdout)
    assert shown.exit_code == 1
    assert facts["attributes"]["data"]["shape"] is None
    assert [problem["attribute"] for problem in facts["problems"]] == ["data"]


def test_json_has_the_reason_why_an_attribute_does_not_load_by_itself(make):
    shown = info(make("float.cxi", data=FRAMES / 7), "--json")
    facts = json.loads(shown.stdout)
    assert shown.exit_code == 0
    assert "dtype=" in facts["attributes"]["data"]["error"]


@pytest.mark.parametrize("content", [None, b"", b"not HDF5 at all"])
def test_a_file_that_is_missing_or_not_hdf5_is_one_line_and_status_2(tmp_path, content):
    file = tmp_path / "bad.cxi"
    if content is not None:
        file.write_bytes(content)
    shown = info(file)
    assert shown.exit_code == 2
    assert shown.stdout == ""
    assert shown.stderr.count("\n") == 1
    assert "bad.cxi" in shown.stderr
    assert "Errno 2" not in shown.stderr


def test_a_glob_without_files_and_a_bad_protocol_are_status_2(make, tmp_path):
    (tmp_path / "bad.ini").write_text("no section")
    for arguments in ([tmp_path / "*.nxs"], [make("a.cxi"), "--protocol", tmp_path / "bad.ini"]):
        shown = info(*arguments)
        assert shown.exit_code == 2
        assert shown.stderr.startswith("Error: ")


def test_a_bad_file_among_good_ones_is_a_problem(make, tmp_path):
    (tmp_path / "bad.cxi").write_bytes(b"not HDF5")
    shown = info(make("a.cxi", data=FRAMES), tmp_path / "bad.cxi")
    assert shown.exit_code == 1
    assert "/detector_1/data in 1 of 2 files" in shown.stdout
    assert shown.stdout.count("cannot be opened") == 1


def test_every_real_file_can_be_looked_at(shared_data):
    for file in [*shared_data.glob("*.cxi"), *shared_data.glob("*.h5")]:
        shown = info(file)
        assert shown.exit_code in (0, 1), shown.output
        assert "data" in shown.stdout


def test_the_version_is_the_packages():
    assert CliRunner().invoke(app, ["--version"]).stdout == f"cxistack {__version__}\n"
