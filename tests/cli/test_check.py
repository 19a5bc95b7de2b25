import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIProtocol, CXIStore
from cxistack.cli import app
from factory import DATA, absent_source, frames, not_hdf5, put


def check(*arguments):
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


@pytest.fixture
def damaged(tmp_path):
    """Return a file of four frames, a chunk each; frames 1 and 3 do not decode."""
    file = tmp_path / "damaged.cxi"
    with h5py.File(file, "w") as h5:
        data = h5.create_dataset(DATA, data=frames(4), chunks=(1, 5, 7), fletcher32=True)
        h5["/entry/instrument/detector/distance"] = 1.5
        offsets = [data.id.get_chunk_info(n).byte_offset for n in (1, 3)]
    content = bytearray(file.read_bytes())
    for offset in offsets:
        content[offset] ^= 1
    file.write_bytes(content)
    return file


def test_a_whole_run_is_status_0_and_its_summary_is_no_finding(tmp_path):
    files = [put(tmp_path / f"{n}.cxi", {DATA: frames(3)}) for n in (1, 2)]
    for names in (files, [tmp_path / "*.cxi"]):
        shown = check(*names)
        assert (shown.exit_code, shown.stdout) == (0, "")
        assert "2 files checked: data; no problems" in shown.stderr


def test_each_problem_is_one_line_with_file_dataset_frame_and_chunk(damaged):
    shown = check(damaged)
    assert shown.exit_code == 1
    lines = shown.stdout.splitlines()
    assert len(lines) == 2
    for line, frame in zip(lines, (1, 3), strict=True):
        assert line.startswith(f"{damaged}:{DATA}, frame {frame}, chunk at ({frame}, 0, 0): data: ")
        assert "checksum" in line
    assert "2 problems" in shown.stderr


def test_json_says_the_same_to_programs(damaged):
    shown = check(damaged, "--json", "--threads", 1)
    facts = json.loads(shown.stdout)
    assert shown.exit_code == 1
    assert facts["ok"] is False
    assert facts["files"] == [str(damaged)]
    assert facts["attributes"] == ["data", "distance"]
    assert [one["frames"] for one in facts["findings"]] == [[1, 1], [3, 3]]
    assert set(facts["findings"][0]) == {
        *("check", "attribute", "filename", "dataset", "frames", "rows", "chunk", "cause"),
        "is_warning",
    }


def test_json_of_a_whole_run(tmp_path):
    facts = json.loads(check(put(tmp_path / "a.cxi", {DATA: frames(3)}), "--json").stdout)
    assert facts == {
        "ok": True,
        "files": [str(tmp_path / "a.cxi")],
        "attributes": ["data"],
        "findings": [],
    }


def test_attributes_choose_what_is_decoded_and_must_be_there(damaged):
    assert check(damaged, "--attributes", "distance").exit_code == 0
    shown = check(damaged, "--attributes", "distance,mask")
    assert shown.exit_code == 1
    assert "mask" in shown.stdout


def test_a_protocol_of_ones_own_is_used(tmp_path):
    file = put(tmp_path / "a.h5", {"/odd": frames(3)})
    assert check(file).exit_code == 1
    CXIProtocol({"data": "uint"}, {"data": ["/odd"]}, {"data": "stack"}).to_ini(tmp_path / "my.ini")
    assert check(file, "--protocol", tmp_path / "my.ini").exit_code == 0


def test_sources_that_are_gone_are_a_problem(tmp_path):
    shown = check(absent_source(tmp_path))
    assert shown.exit_code == 1
    assert "source_1.h5" in shown.stdout


def test_a_file_that_is_not_hdf5_is_a_problem(tmp_path):
    shown = check(not_hdf5(tmp_path))
    assert shown.exit_code == 1
    assert "cannot be opened" in shown.stdout


def test_what_cannot_be_carried_out_is_status_2(tmp_path):
    file = put(tmp_path / "a.cxi", {DATA: frames(3)})
    (tmp_path / "bad.ini").write_text("no section")
    for arguments in (
        [tmp_path / "gone.cxi"],
        [tmp_path / "*.nxs"],
        [file, "--attributes", "nonsense"],
        [file, "--protocol", tmp_path / "bad.ini"],
        [],
        [file, "--threads", 0],
    ):
        shown = check(*arguments)
        assert shown.exit_code == 2, arguments
        assert shown.stdout == ""
        assert shown.stderr


def test_every_real_file_is_whole(shared_data):
    for file in [*Path(shared_data).glob("*.cxi"), *Path(shared_data).glob("*.h5")]:
        assert check(file).exit_code == 0


def test_the_dataset_is_named_where_it_lies(tmp_path):
    put(
        tmp_path / "raw.h5",
        {"/frames": np.zeros((2, 3, 4), "u2")},
        chunks=(1, 3, 4),
        fletcher32=True,
    )
    with h5py.File(tmp_path / "raw.h5") as h5:
        offset = h5["/frames"].id.get_chunk_info(1).byte_offset
    with (tmp_path / "raw.h5").open("r+b") as raw:
        raw.seek(offset)
        raw.write(b"\1")
    with h5py.File(tmp_path / "master.cxi", "w") as h5:
        h5[DATA] = h5py.ExternalLink("raw.h5", "/frames")
    assert check(tmp_path / "master.cxi").stdout.startswith(f"{tmp_path}/raw.h5:/frames, frame 1,")


def test_conformance_is_checked_when_asked_for(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(3)})  # no cxi_version, no axes
    assert check(name).exit_code == 0
    shown = check(name, "--conformance")
    assert shown.exit_code == 1
    assert "cxi_version" in shown.stdout
    assert "warning: " in shown.stdout
    told = json.loads(check(name, "--conformance", "--json").stdout)
    assert not told["ok"]
    assert {one["is_warning"] for one in told["findings"]} == {True, False}
    assert {one["check"] for one in told["findings"]} == {"conforms"}


def test_a_file_of_ours_conforms(tmp_path):
    with CXIStore(tmp_path / "a.cxi", "w") as store:
        store.save_attribute("data", frames(3))
    shown = check(tmp_path / "a.cxi", "--conformance")
    assert (shown.exit_code, shown.stdout) == (0, "")
