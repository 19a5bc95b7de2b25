"""``cxistack explain`` prints what store.explain says, or one sentence."""

import pytest
from typer.testing import CliRunner

from cxistack import Crop, CXIStore
from cxistack.cli import app
from factory import DATA, frames, put


@pytest.fixture
def run(tmp_path):
    return put(tmp_path / "run.cxi", {DATA: frames(6)}, chunks=(1, 5, 7), compression="gzip")


def explain(*words):
    return CliRunner().invoke(app, ["explain", *map(str, words)])


def test_it_says_what_the_store_says(run):
    shown = explain(run, "--frames", "1:5:2", "--crop", 1, 3, 0, 4, "--dtype", "float32")
    expected = CXIStore(run).explain(
        "data", slice(1, 5, 2), transform=Crop([1, 3, 0, 4]), dtype="float32"
    )
    assert (shown.exit_code, shown.stdout) == (0, expected + "\n")
    assert "2 of 6 chunks" in shown.stdout


def test_one_frame_is_a_number(run):
    assert "1 of 6 frames" in explain(run, "--frames", 3).stdout


@pytest.mark.parametrize(
    "words", [("--frames", "a"), ("--frames", ":::"), ("--attribute", "nothing"), ("--frames", 9)]
)
def test_what_cannot_be_is_one_sentence_and_status_2(run, words):
    shown = explain(run, *words)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr.count("\n") == 1
