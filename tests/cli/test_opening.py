"""Commands take datasets by name, FILE::/PATH, in place of files and a protocol."""

import json

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack.cli import app
from factory import frames


@pytest.fixture
def run(tmp_path):
    for n in range(2):
        with h5py.File(tmp_path / f"r{n}.h5", "w") as file:
            file["x/y"] = frames(3, (8, 9), start=300 * n)
    return f"{tmp_path}/r*.h5::/x/y"


def cxistack(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def test_info_explain_check_and_view_need_no_protocol(run, tmp_path):
    told = cxistack("info", run, "--json")
    assert json.loads(told.output)["attributes"]["data"]["shape"] == [6, 8, 9]
    assert "frames 3 to 5" in cxistack("explain", run).output
    assert cxistack("check", run).exit_code == 0
    drawn = cxistack("view", run, "--frame", 4, "-o", tmp_path / "f.png")
    assert drawn.exit_code == 0
    assert "8 × 9 uint16" in drawn.output


def test_convert_and_reduce_do_not_either(run, tmp_path):
    assert cxistack("convert", run, tmp_path / "run.cxi").exit_code == 0
    assert cxistack("reduce", run, "--how", "max", "-o", tmp_path / "m.h5").exit_code == 0
    with h5py.File(tmp_path / "run.cxi") as new, h5py.File(tmp_path / "m.h5") as reduced:
        np.testing.assert_array_equal(
            new["entry_1/data_1/data"][4], frames(3, (8, 9), start=300)[1]
        )
        np.testing.assert_array_equal(reduced["reduced/max"], frames(3, (8, 9), start=300)[2])


@pytest.mark.parametrize(
    ("end", "words", "told"),
    [
        ("[0]", [], "say the part by --frame"),
        ("", ["--protocol", "cxi"], "needs no --protocol"),
        ("/z", [], "has nothing at /x/y/z"),
    ],
)
def test_what_is_wrong_is_one_line(run, end, words, told):
    done = cxistack("info", run + end, *words)
    assert done.exit_code == 2
    assert told in " ".join(done.stderr.split())
