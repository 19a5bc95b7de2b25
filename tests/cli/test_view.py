import os
import sys

import h5py
import hdf5plugin
import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from cxistack.cli import app

DATA = "/entry_1/instrument_1/detector_1/data"
GREY = np.array([0.72, 0.72, 0.72])


def view(*arguments):
    return CliRunner().invoke(app, ["view", *map(str, arguments)])


@pytest.fixture
def run(tmp_path):
    frames = np.random.default_rng(3).poisson(30, (5, 40, 60)).astype(np.uint16)
    mask = np.zeros((40, 60), np.uint32)
    mask[10:20, 20:40] = 1
    with h5py.File(tmp_path / "run.cxi", "w") as h5:
        h5.create_dataset(DATA, data=frames, chunks=(1, 40, 60), **hdf5plugin.Bitshuffle())
        h5["/entry_1/instrument_1/detector_1/mask"] = mask
        h5["/entry_1/instrument_1/detector_1/distance"] = 1.5
        h5["/speckle_tracking/whitefield"] = frames.mean(axis=0)
        h5["/speckle_tracking/pixel_map"] = np.indices((40, 60)).astype(float)
    return tmp_path / "run.cxi"


@pytest.fixture
def png(tmp_path):
    return tmp_path / "frame.png"


def is_a_picture(path):
    pixels = imread(path)
    return min(pixels.shape[:2]) > 100 and pixels[..., :3].std() > 0.01


def grey_pixels(path):
    return (np.abs(imread(path)[..., :3] - GREY) < 0.01).all(axis=-1).sum()


def has_grey(path):
    return bool(grey_pixels(path) > 100)


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--frame", "4"],
        ["--frame", "-1", "--log"],
        ["--crop", "5", "35", "10", "50", "--downscale", "2"],
        ["--downscale", "3"],
        ["--attribute", "whitefield"],
        ["--attribute", "mask"],
        ["--attribute", "pixel_map"],
        ["--dtype", "float32", "--vmin", "3", "--vmax", "9"],
    ],
)
def test_it_draws_any_frame_of_a_stack_or_frame(run, png, options):
    shown = view(run, "-o", png, *options)
    assert shown.exit_code == 0, shown.output
    assert is_a_picture(png)


def test_masked_pixels_are_grey_unless_told_otherwise(run, png):
    assert view(run, "-o", png).exit_code == 0
    assert has_grey(png)
    assert view(run, "-o", png, "--no-mask").exit_code == 0
    assert not has_grey(png)


def test_a_mask_that_does_not_fit_is_said_and_hides_nothing(run, png):
    with h5py.File(run, "r+") as h5:
        del h5["/entry_1/instrument_1/detector_1/mask"]
        h5["/entry_1/instrument_1/detector_1/mask"] = np.zeros((3, 3), np.uint32)
    shown = view(run, "-o", png)
    assert shown.exit_code == 0
    assert shown.stderr.startswith("Note: the mask is not used")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--frame", "5"], "5"),
        (["--attribute", "distance"], "scalar"),
        (["--attribute", "phase"], "phase"),
        (["--attribute", "no_such_thing"], "no_such_thing"),
        (["--crop", "50", "90", "0", "10"], "rows 50 to 90 of 40"),
        (["--crop", "-9", "-1", "0", "10"], "-9"),
        (["--dtype", "nonsense"], "nonsense"),
        (["--vmin", "5", "--vmax", "1"], "vmin"),
        (["--log", "--vmin", "-1"], "logarithmic"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(run, png, arguments, word):
    shown = view(run, "-o", png, *arguments)
    assert shown.exit_code == 2, shown.output
    assert word in shown.stderr
    assert shown.stderr.count("\n") == 1
    assert not png.exists()


def test_a_missing_file_and_a_missing_folder_are_one_sentence(run, tmp_path):
    for arguments in ([tmp_path / "none.cxi"], [run, "-o", tmp_path / "no" / "frame.png"]):
        shown = view(*arguments)
        assert shown.exit_code == 2
        assert shown.stderr.count("\n") == 1


def test_without_matplotlib_it_says_what_to_install(run, png, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    shown = view(run, "-o", png)
    assert shown.exit_code == 2
    assert "cxistack[plot]" in shown.stderr


def test_every_real_file_can_be_drawn(shared_data, png):
    for file in [*shared_data.glob("*.cxi"), *shared_data.glob("*.h5")]:
        shown = view(file, "-o", png)
        assert shown.exit_code == 0, shown.output
        assert is_a_picture(png)


def test_gaps_of_the_eiger_frame_are_grey_and_out_of_the_scale(shared_data, png):
    shown = view(shared_data / "eiger_bitshuffle_frame.h5", "-o", png)
    assert shown.exit_code == 0
    assert has_grey(png)


@pytest.mark.parametrize("words", [[], ["--frames", "0:2"]])
def test_a_file_whose_name_is_not_utf_8_is_drawn(run, png, words):
    name = run.with_name(os.fsdecode(b"r\xffn.cxi"))
    run.rename(name)
    done = view(name, "-o", png, *words)
    assert done.exit_code == 0
    assert is_a_picture(png)


class TestASheet:
    """Several frames in one picture; where each mask lies is known to NumPy."""

    @pytest.fixture
    def scan(self, tmp_path):
        frames = np.random.default_rng(3).poisson(30, (24, 40, 60)).astype(np.uint16)
        mask = np.ones((24, 40, 60), bool)
        for number in range(24):
            mask[number, :, number : number + 20] = False
        with h5py.File(tmp_path / "scan.cxi", "w") as h5:
            h5[DATA] = frames
            h5["/entry_1/instrument_1/detector_1/mask"] = mask
            h5["/speckle_tracking/whitefield"] = frames[0].astype(float)
        return tmp_path / "scan.cxi"

    @pytest.mark.parametrize(
        ("frames", "told"),
        [
            ("0:24:5", "5 frames from 0 to 20"),
            (":", "24 frames from 0 to 23"),
            ("-3:", "3 frames from 21 to 23"),
            ("20:2:-6", "3 frames from 20 to 8"),
            ("7", "1 frames from 7 to 7"),
            ("-1", "1 frames from 23 to 23"),
        ],
    )
    def test_shows_the_frames_that_are_asked_for(self, scan, png, frames, told):
        shown = view(scan, "-o", png, "--frames", frames)
        assert shown.exit_code == 0, shown.output
        assert told in shown.stdout
        assert is_a_picture(png)
        assert has_grey(png)

    def test_without_the_mask_nothing_is_grey(self, scan, png):
        shown = view(scan, "-o", png, "--frames", "0:9", "--no-mask")
        assert shown.exit_code == 0
        bare = grey_pixels(png)
        assert view(scan, "-o", png, "--frames", "0:9").exit_code == 0
        assert grey_pixels(png) > 10 * bare

    @pytest.mark.parametrize(
        ("words", "why"),
        [
            (["--frames", "50:60"], "none of the 24 frames"),
            (["--frames", "a"], "--frames"),
            (["--frames", "0:2", "--attribute", "whitefield"], "leave --frames out"),
            (["--frames", "0:2", "--attribute", "nothing"], "nothing"),
        ],
    )
    def test_what_cannot_be_shown_is_one_sentence(self, scan, png, words, why):
        shown = view(scan, "-o", png, *words)
        assert shown.exit_code == 2
        assert why in shown.stderr
        assert not png.exists()

    def test_too_many_are_refused_with_a_step_that_fits(self, tmp_path, png):
        with h5py.File(tmp_path / "many.h5", "w") as h5:
            h5[DATA] = np.zeros((250, 16, 16), np.uint16)
        shown = view(tmp_path / "many.h5", "-o", png, "--frames", ":")
        assert shown.exit_code == 2
        assert "A:B:3" in shown.stderr
