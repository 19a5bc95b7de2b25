"""``cxistack convert``: a run of any layout becomes one CXI file that h5py reads."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIProtocol, CXIStore
from cxistack.cli import app
from factory import DATA, DETECTOR, DISTANCE, attributes, frames, put
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
    assert result.output.endswith('Read it by --protocol cxi (protocol="cxi" in Python)\n')
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


@pytest.mark.parametrize("words", [["--protocol", "euxfel"], ["--attributes", ","]])
def test_of_nothing_fails_and_leaves_no_file(names, tmp_path, words):
    result = convert(*names, tmp_path / "run.cxi", *words)
    assert result.exit_code == 2
    assert ("nothing to convert" in result.output) == ("euxfel" in words), result.output
    assert not (tmp_path / "run.cxi").exists()


def test_the_run_itself_is_never_replaced(names, tmp_path):
    (tmp_path / "link.cxi").symlink_to(names[1])
    before = Path(names[1]).read_bytes()
    for output in (names[1], tmp_path / "link.cxi"):
        result = convert(*names, output, "--force")
        assert result.exit_code == 2
        assert "is one of the files" in result.output
        assert Path(names[1]).read_bytes() == before


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


def test_files_that_differ_need_a_word(names, tmp_path):
    new = tmp_path / "run.cxi"
    with h5py.File(names[1], "a") as h5:
        h5[DISTANCE][...] = 0.75
    result = convert(*names, new)
    assert result.exit_code == 2
    for word in ("'distance' is 0.5 in", "and 0.75 in", "--source", "--attributes"):
        assert word in result.output
    assert convert(*names, new, "--source", "distance").exit_code == 2
    assert convert(*names, new, "--source", "distance=1.cxi").exit_code == 0
    with h5py.File(new) as h5:
        assert h5[DISTANCE][()] == 0.75


def test_a_stack_of_its_own_is_written_whole_and_said_so(names, tmp_path):
    put(names[0], {"/dark": frames(2)})
    protocol = CXIProtocol.import_default().add_attribute("dark", "uint", "/dark", "stack")
    protocol.to_ini(tmp_path / "mine.ini")
    words = [*names, tmp_path / "run.cxi", "--protocol", tmp_path / "mine.ini"]
    result = convert(*words)
    assert result.exit_code == 2
    assert "frames of 'data' and 2 of 'dark'" in result.output
    result = convert(*words, "--attributes", "dark")
    assert result.exit_code == 0, result.output
    assert "dark is written whole: its frames do not go with those of 'data'" in result.output
    assert "which does not know dark at /dark" in result.output
    with h5py.File(tmp_path / "run.cxi") as h5:
        np.testing.assert_array_equal(h5["/dark"][()], frames(2))
    result = convert(*words, "--force", "--frames", "0:2")
    assert result.exit_code == 2
    assert "--attributes" in result.output


def test_what_is_not_known_is_told(names, tmp_path):
    result = convert(*names, tmp_path / "run.cxi", "--attributes", "data,nonsense")
    assert result.exit_code == 2
    assert "'nonsense' is not in the protocol" in result.output


@pytest.mark.parametrize("name", ["diamond_odin", "dectris_master", "agipd_corrected"])
def test_a_beamlines_run(name, tmp_path):
    (tmp_path / "run").mkdir()
    run = LAYOUTS[name](tmp_path / "run")
    words = [*run.files, tmp_path / "new.cxi", "--protocol", run.protocol]
    result = convert(*words, *(["--attributes", "data"] if name.startswith("eu") else []))
    assert result.exit_code == 0, result.output
    with h5py.File(tmp_path / "new.cxi") as h5:
        np.testing.assert_array_equal(h5[f"{DETECTOR}/data"], run.data)
