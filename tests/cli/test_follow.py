"""``cxistack follow``: it counts, draws, and ends as the run does or as a user says."""

import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack.cli import app

DATA = "/entry_1/instrument_1/detector_1/data"


def follow(*arguments):
    return CliRunner().invoke(app, ["follow", *map(str, arguments)])


@pytest.fixture
def run(tmp_path):
    for number in range(3):
        with h5py.File(tmp_path / f"run_{number}.h5", "w") as h5:
            h5[DATA] = np.random.default_rng(number).poisson(30, (5, 40, 60)).astype(np.uint16)
    return tmp_path / "run_*.h5"


def test_it_counts_and_draws(run, tmp_path):
    picture = tmp_path / "live.png"
    shown = follow(run, "--timeout", 0.2, "--picture", picture, "--crop", 0, 20, 0, 30)
    assert shown.exit_code == 0
    assert shown.stdout.startswith("15 frames")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob(".live*"))


def test_it_ends_by_count(run):
    assert follow(run, "--until", 4, "--timeout", 60).stdout.startswith("4 frames")


def test_a_bad_file_ends_it_or_is_named(run, tmp_path):
    (tmp_path / "run_1.h5").write_bytes(b"none" * 400)
    shown = follow(run, "--timeout", 0.2)
    assert shown.exit_code == 2
    assert "run_1.h5" in shown.stderr
    shown = follow(run, "--timeout", 1, "--skip")
    assert (shown.exit_code, shown.stdout[:9]) == (0, "10 frames")
    assert "run_1.h5" in shown.stderr


def test_an_interrupt_ends_it(run, tmp_path):
    picture = tmp_path / "live.png"
    words = [sys.executable, "-m", "cxistack", "follow", str(run), "--picture", str(picture)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 60
        while not picture.exists() and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert output.startswith("15 frames")
    assert process.returncode == 0
