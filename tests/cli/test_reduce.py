"""``cxistack reduce`` and ``process``: what they write equals NumPy's and the container's."""

import h5py
import hdf5plugin
import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from cxistack import Crop, CXIStore, STData
from cxistack.cli import app

DETECTOR = "/entry_1/instrument_1/detector_1"
FRAMES = np.random.default_rng(3).poisson(30, (15, 40, 60)).astype(np.uint16)
GOOD = np.ones((40, 60), bool)
GOOD[10:20, 20:40] = False


def command(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def run(tmp_path):
    for number in range(3):
        with h5py.File(tmp_path / f"run_{number}.cxi", "w") as h5:
            part = FRAMES[5 * number : 5 * number + 5]
            h5.create_dataset(
                f"{DETECTOR}/data", data=part, chunks=(1, 40, 60), **hdf5plugin.Bitshuffle()
            )
            h5[f"{DETECTOR}/mask"] = (~GOOD).astype("u4")
    return tmp_path / "run_*.cxi"


def is_a_picture(path):
    pixels = imread(path)
    return min(pixels.shape[:2]) > 100 and pixels[..., :3].std() > 0.01


def test_results_are_numpys(run, tmp_path):
    words = ["mean", "max", "percentile:90", "over:35"]
    options = [word for one in words for word in ("--how", one)]
    output, png = tmp_path / "means.h5", tmp_path / "means.png"
    shown = command("reduce", run, "-o", output, *options, "--picture", png)
    assert shown.exit_code == 0, shown.output
    assert f"{output}: /reduced/percentile_90 40 x 60 float64" in shown.stdout
    with h5py.File(output) as h5:
        np.testing.assert_allclose(h5["reduced/mean"], FRAMES.mean(axis=0))
        np.testing.assert_array_equal(h5["reduced/max"], FRAMES.max(axis=0))
        np.testing.assert_allclose(h5["reduced/percentile_90"], np.percentile(FRAMES, 90, axis=0))
        np.testing.assert_array_equal(h5["reduced/over_35"], (FRAMES > 35).sum(axis=0))
    assert is_a_picture(png)


def test_the_mean_is_what_is_made_if_nothing_is_said(run, tmp_path):
    output = tmp_path / "mean.h5"
    options = ["--crop", 4, 30, 10, 50, "--frames", "::2"]
    assert command("reduce", run, "-o", output, *options).exit_code == 0
    with h5py.File(output) as h5:
        np.testing.assert_allclose(h5["reduced/mean"], FRAMES[::2, 4:30, 10:50].mean(axis=0))


def test_bad_pixels_are_left_out(run, tmp_path):
    output = tmp_path / "mean.h5"
    shown = command("reduce", run, "-o", output, "--mask")
    assert shown.exit_code == 2
    assert "has no good frame" in shown.stderr.replace("\n", " ")
    assert not output.exists()
    assert command("reduce", run, "-o", output, "--mask", "--fill", 0).exit_code == 0
    with h5py.File(output) as h5:
        np.testing.assert_allclose(h5["reduced/mean"], FRAMES.mean(axis=0) * GOOD)


@pytest.mark.parametrize("verb", ["reduce", "process"])
def test_a_file_is_replaced_only_where_that_is_said(run, tmp_path, verb):
    output = tmp_path / "made.cxi"
    assert command(verb, run, "-o", output).exit_code == 0
    shown = command(verb, run, "-o", output)
    assert shown.exit_code == 2
    assert "--force" in shown.stderr
    assert command(verb, run, "-o", output, "--force").exit_code == 0
    shown = command(verb, run, "-o", tmp_path / "run_1.cxi", "--force")
    assert shown.exit_code == 2
    assert "name another one" in shown.stderr.replace("\n", " ")


@pytest.mark.parametrize("word", ["average", "percentile", "over"])
def test_a_word_that_means_nothing_is_told(run, tmp_path, word):
    shown = command("reduce", run, "-o", tmp_path / "mean.h5", "--how", word)
    assert shown.exit_code == 2
    assert word in shown.stderr


@pytest.mark.parametrize("method", ["perc-bad", "range-bad", "no-bad"])
def test_a_run_is_processed_as_a_container_is(run, tmp_path, method):
    output = tmp_path / "results.cxi"
    options = ["--method", method, "--vmin", 15, "--vmax", 50, "--pmin", 1, "--pmax", 99]
    shown = command("process", run, "-o", output, *options, "--crop", 0, 30, 10, 60)
    assert shown.exit_code == 0, shown.output
    st = STData(CXIStore(str(run)), transform=Crop([0, 30, 10, 60])).load(
        ["data", "mask"], verbose=False
    )
    limits = {"vmin": 15, "vmax": 50, "pmin": 1, "pmax": 99}
    st = st.update_mask(method, **limits, update="multiply").update_whitefield()
    made = CXIStore(output, protocol="cxi")
    np.testing.assert_array_equal(made.load_attribute("mask", verbose=False), st.mask)
    np.testing.assert_array_equal(made.load_attribute("whitefield", verbose=False), st.whitefield)
    assert is_a_picture(tmp_path / "results.png")
    assert "of the pixels are bad" in shown.stdout


def test_some_frames_are_processed_without_the_mask(run, tmp_path):
    output, png = tmp_path / "results.cxi", tmp_path / "seen.png"
    options = ["--no-mask", "--method", "no-bad", "--frames", "3:9", "--picture", png]
    assert command("process", run, "-o", output, *options).exit_code == 0
    made = CXIStore(output, protocol="cxi")
    assert made["mask"].shape == (1, 40, 60)  # one for all
    assert made.load_attribute("mask", verbose=False).all()
    assert is_a_picture(png)
