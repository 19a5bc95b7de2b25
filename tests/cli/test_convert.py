"""``cxistack convert``: a run of any layout becomes one CXI file that h5py reads."""

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIStore
from cxistack.cli import app
from factory import DATA, DETECTOR, attributes, frames, put
from factory.beamlines import LAYOUTS


def convert(*words):
    return CliRunner().invoke(app, ["convert", *map(str, words)])


@pytest.fixture
def names(tmp_path):
    return [
        put(tmp_path / f"{k}.cxi", {DATA: frames(3, start=200 * k), **attributes(3)})
        for k in range(2)
    ]


def test_a_run_becomes_one_cxi_file(names, tmp_path):
    result = convert(*names, tmp_path / "run.cxi")
    assert result.exit_code == 0, result.output
    assert "6 frames" in result.output
    with h5py.File(tmp_path / "run.cxi") as h5:
        assert h5["cxi_version"][()] == 160
        assert h5["entry_1/data_1/data"] == h5[DATA]
        np.testing.assert_array_equal(h5[DATA], np.concatenate([frames(3), frames(3, start=200)]))
        assert h5[DATA].chunks is not None
    old, new = CXIStore(names), CXIStore(tmp_path / "run.cxi", protocol="cxi")
    for attr in old.found:
        np.testing.assert_array_equal(new.load_attribute(attr), old.load_attribute(attr))
    assert new.check(conformance=True) == []


def test_pixels_frames_type_and_compression_that_are_chosen(names, tmp_path):
    words = ["--crop", 1, 5, 1, 5, "--bin", 2, "--frames", "1:5", "--dtype", "uint32"]
    result = convert(*names, tmp_path / "run.cxi", *words, "--compression", "deflate:1")
    assert result.exit_code == 0, result.output
    whole = np.concatenate([frames(3), frames(3, start=200)])[1:5, 1:5, 1:5]
    with h5py.File(tmp_path / "run.cxi") as h5:
        sums = whole.reshape(4, 2, 2, 2, 2).sum((2, 4))
        np.testing.assert_array_equal(h5[DATA], sums)
        assert (h5[DATA].dtype, h5[DATA].compression) == (np.uint32, "gzip")
    assert "basis_vectors is left out" in result.output


def test_what_is_there_is_replaced_only_when_asked(names, tmp_path):
    new = tmp_path / "run.cxi"
    new.write_bytes(b"something else")
    result = convert(*names, new)
    assert result.exit_code == 2
    assert "is there already; --force replaces it" in result.output
    assert new.read_bytes() == b"something else"
    assert convert(*names, new, "--force", "--attributes", "data").exit_code == 0
    assert CXIStore(new, protocol="cxi").found == ["data"]


def test_a_failure_is_a_sentence_and_leaves_nothing(names, tmp_path):
    result = convert(*names, tmp_path / "run.cxi", "--dtype", "uint8")
    assert result.exit_code == 2
    assert "not fit uint8" in result.output
    assert not (tmp_path / "run.cxi").exists()


@pytest.mark.parametrize("name", ["diamond_odin", "dectris_master", "agipd_corrected"])
def test_a_beamlines_run(name, tmp_path):
    (tmp_path / "run").mkdir()
    run = LAYOUTS[name](tmp_path / "run")
    words = [*run.files, tmp_path / "new.cxi", "--protocol", run.protocol]
    result = convert(*words, *(["--attributes", "data"] if name.startswith("eu") else []))
    assert result.exit_code == 0, result.output
    with h5py.File(tmp_path / "new.cxi") as h5:
        np.testing.assert_array_equal(h5[f"{DETECTOR}/data"], run.data)
