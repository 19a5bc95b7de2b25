import subprocess
import sys

import h5py
import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from cxistack import CXIStore
from cxistack.cli import app
from cxistack.cli.speckle_run import SHAPE, write_run


def demo(*arguments):
    return CliRunner().invoke(app, ["demo", *map(str, arguments)])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    shown = demo("--folder", folder / "run", "--frames", 9, "-o", folder / "demo.png")
    assert shown.exit_code == 0, shown.output
    return folder, shown.stdout


def test_it_ends_with_a_picture_of_three_panels(made):
    folder, _ = made
    pixels = imread(folder / "demo.png")
    assert pixels.shape[1] > 3 * pixels.shape[0]
    assert all(part[..., :3].std() > 0.1 for part in np.array_split(pixels, 3, axis=1))


def test_it_shows_the_lines_that_do_it_and_they_run_by_themselves(made, tmp_path):
    _, shown = made
    lines = [line[4:] for line in shown.splitlines() if line.startswith(">>> ")]
    assert any("load_attribute" in line for line in lines)
    script = tmp_path / "taught.py"
    script.write_text("\n".join([*lines, "assert same"]))
    subprocess.run([sys.executable, script], check=True, cwd=tmp_path)


def test_the_results_are_in_a_file_of_their_own(made):
    folder, _ = made
    with CXIStore(folder / "run" / "run_*.cxi") as run:
        assert run.describe("data") == ((9, *SHAPE), np.dtype("uint16"))
        pixel = run.load_attribute("x_pixel_size")
    with CXIStore(folder / "run" / "results.cxi") as results:
        white = results.load_attribute("whitefield")
        assert results.load_attribute("mask").shape == (9, *white.shape)
        assert results.load_attribute("x_pixel_size") == pytest.approx(2 * pixel)
    assert 300 < np.median(white) < 500


def test_it_replaces_its_own_files_only(made):
    folder, _ = made
    (folder / "run" / "notes.txt").write_text("mine")
    again = demo("--folder", folder / "run", "--frames", 8, "-o", folder / "demo.png")
    assert again.exit_code == 0, again.output
    assert "(8, 516, 772)" in again.stdout
    assert (folder / "run" / "notes.txt").read_text() == "mine"


def test_fewer_frames_than_files_is_refused(tmp_path):
    assert demo("--frames", 3, "--folder", tmp_path / "run").exit_code == 2
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    shown = demo("--folder", tmp_path / "file" / "run", "-o", tmp_path / "demo.png")
    assert shown.exit_code == 2
    assert "file" in shown.stderr


def test_the_run_is_the_same_every_time_and_compressed(tmp_path):
    stacks = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        files = list(write_run(tmp_path / name, 4))
        with h5py.File(files[-1]) as h5:
            data = h5["/entry_1/data_1/data"]
            assert data.chunks == (1, *SHAPE)
            assert data.id.get_create_plist().get_nfilters() == 1
            stacks.append(data[...])
    assert np.array_equal(*stacks)


def test_the_package_is_a_command_too():
    shown = subprocess.run(
        [sys.executable, "-m", "cxistack", "--help"], check=True, capture_output=True, text=True
    )
    for command in ("info", "view", "demo"):
        assert command in shown.stdout
