import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIProtocol
from cxistack.cli import app
from factory import frames, not_hdf5, put
from factory.beamlines import LAYOUTS

FRAMES = frames(4, (16, 20))


@pytest.fixture
def check(tmp_path):
    ini = tmp_path / "my.ini"
    CXIProtocol(
        {"data": "uint", "mask": "bool", "distance": "float"},
        {
            "data": ["/entry/data"],
            "mask": ["/entry/old/mask", "/entry/detector/mask"],
            "distance": ["/d"],
        },
        {"data": "stack", "mask": "stack", "distance": "scalar"},
    ).to_ini(ini)

    def run(*files, protocol=ini):
        return CliRunner().invoke(app, ["protocol", "check", str(protocol), *map(str, files)])

    return run


def test_what_is_found_is_told_with_shape_type_and_number_of_files(check, tmp_path):
    files = [put(tmp_path / f"{n}.h5", {"/entry/data": FRAMES, "/d": 1.0}) for n in (1, 2, 3)]
    shown = check(*files)
    assert shown.exit_code == 0
    assert "/entry/data (4, 16, 20) uint16, in 3 of 3 files" in shown.stdout
    assert "/d () float64, in 3 of 3 files" in shown.stdout


def test_what_is_not_found_is_told_with_the_group_where_each_path_ends(check, tmp_path):
    tree = {"/entry/data": FRAMES, "/entry/detector/pixels": 1, "/elsewhere/mask": FRAMES[0]}
    shown = check(put(tmp_path / "a.h5", tree))
    assert "mask (bool stack): not found" in shown.stdout
    assert "/entry/old/mask: /entry has no old" in shown.stdout
    assert "/entry/detector/mask: /entry/detector has no mask" in shown.stdout
    assert "it has pixels" in shown.stdout
    assert "there is /elsewhere/mask (16, 20) uint16" in shown.stdout


@pytest.mark.parametrize("name", ["Mask", "MASK", "masks", "_mask"])
def test_other_spellings_are_asked_about(check, tmp_path, name):
    tree = {"/entry/data": FRAMES, f"/entry/detector/{name}": FRAMES[0], "/entry/detector/other": 1}
    assert f"it has {name}: is that meant?" in check(put(tmp_path / "a.h5", tree)).stdout


def test_a_dataset_where_a_group_is_expected(check, tmp_path):
    shown = check(put(tmp_path / "a.h5", {"/entry/data": FRAMES, "/entry/detector": 1}))
    assert "/entry/detector is a dataset, where the path needs a group" in shown.stdout


def test_a_group_where_a_number_is_expected_and_a_rank_that_does_not_fit(check, tmp_path):
    shown = check(put(tmp_path / "a.h5", {"/entry/data": np.arange(4), "/d/x/y": 1.0}))
    assert shown.exit_code == 1
    assert "has shape (4,); 'data' is a stack" in shown.stdout
    assert "/d is a group without a dataset in it" in shown.stdout


def test_a_file_that_lacks_what_others_have_is_named(check, tmp_path):
    one = put(tmp_path / "1.h5", {"/entry/data": FRAMES, "/d": 1.0})
    two = put(tmp_path / "2.h5", {"/entry/data": FRAMES})
    shown = check(one, two)
    assert "in 1 of 2 files" in shown.stdout
    assert f"not in {two}" in shown.stdout
    assert "/d: / has no d" in shown.stdout


def test_a_link_that_leads_nowhere_is_a_problem(check, tmp_path):
    file = put(tmp_path / "a.h5", {"/entry/data": FRAMES})
    with h5py.File(file, "a") as h5:
        h5["/d"] = h5py.ExternalLink("gone.h5", "/d")
    shown = check(file)
    assert shown.exit_code == 1
    assert "gone.h5" in shown.stdout


def test_nothing_found_is_status_1_and_nothing_readable_2(check, tmp_path):
    shown = check(put(tmp_path / "a.h5", {"/x": 1.0}))
    assert shown.exit_code == 1
    assert "/ has no entry" in shown.stdout
    assert check(not_hdf5(tmp_path)).exit_code == 2
    assert check(tmp_path / "gone.h5").exit_code == 2
    assert check(tmp_path / "a.h5", protocol=tmp_path / "gone.ini").exit_code == 2


def test_a_bad_file_among_good_ones_is_a_problem(check, tmp_path):
    shown = check(put(tmp_path / "a.h5", {"/entry/data": FRAMES}), not_hdf5(tmp_path))
    assert shown.exit_code == 1
    assert "in 1 of 1 file" in shown.stdout
    assert "cannot be opened" in shown.stdout


def test_modules_in_a_file_each_are_found_in_all_of_them(tmp_path):
    run = LAYOUTS["agipd_corrected"](tmp_path)
    ini = tmp_path / "my.ini"
    CXIProtocol.discover([str(file) for file in run.files]).to_ini(ini)
    shown = CliRunner().invoke(app, ["protocol", "check", str(ini), *map(str, run.files)])
    assert shown.exit_code == 0
    assert "image/data (7, 16, 8, 16) float32, in 16 of 16 files" in shown.stdout
    assert "not in" not in shown.stdout
