"""The comparison runs, checks what it times, and says so; what it finds is not looked at."""

import json
import sys

import numpy as np
import pytest

from factory import ROOT

sys.path.insert(0, str(ROOT))

compare = pytest.importorskip("benchmarks.compare", exc_type=ImportError)
from benchmarks import masks, peers, picture, timing, virtual  # noqa: E402
from benchmarks.pyrost_peer import PeerUnavailableError  # noqa: E402

TINY = compare.Scale(16, (53, 70), 32, 3, 200, timing.Pace(1, 5.0), (8, 20), (16, 32))


@pytest.fixture
def _no_network(monkeypatch):
    def refuse():
        raise PeerUnavailableError("not in a test")

    monkeypatch.setattr(peers, "pyrost_store", refuse)


@pytest.mark.usefixtures("_no_network")
def test_a_tiny_run_measures_every_case(tmp_path, capsys):
    report = compare.run(TINY, 2, tmp_path, full=False)

    shown = {(ratio.stored, ratio.case, ratio.against) for ratio in report.ratios}
    assert ("bitshuffle+LZ4", "400 x 600 as float32", "h5py by frame") in shown
    assert ("none", "chunks of (16, 8, 20)", "h5py") in shown
    assert any("random frames" in case for _, case, _ in shown)
    assert any("peak memory" in case for _, case, _ in shown) or sys.platform != "linux"
    assert all(ratio.value > 0 for ratio in report.ratios)
    assert "without pyrost" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []  # files are gone
    assert json.loads(report.as_json())["machine"]["cxistack"]
    assert compare.ratio_table(report.ratios).count("\n") == len(report.ratios)
    picture.draw(report.ratios, report.machine, tmp_path / "ratios.png")
    assert (tmp_path / "ratios.png").stat().st_size > 10_000


@pytest.mark.usefixtures("_no_network")
def test_all_axes_agree_with_h5py(tmp_path):
    report = compare.run(TINY, 2, tmp_path, full=True, only="| float32")

    combinations = {(ratio.stored, ratio.case) for ratio in report.ratios}
    assert len(combinations) == 5 * 3 * 4 * 4  # codecs, layouts, pixels, frames


def test_a_tiny_run_over_virtual_datasets(tmp_path):
    size = virtual.Scale(5, 2, (40, 30), (16, 8), timing.Pace(1, 5.0))
    report = virtual.run(size, 2, tmp_path)

    shown = {(ratio.case, ratio.against) for ratio in report.ratios}
    assert ("virtual over 5 files", "the files themselves") in shown
    assert ("16 modules, stacked", "h5py, virtual") in shown
    assert ("16 modules, a mosaic with gaps", "h5py, virtual") in shown
    assert list(tmp_path.iterdir()) == []


def test_a_tiny_run_over_masks_of_limits(tmp_path, capsys):
    masks.run(np.arange(3 * 20 * 30, dtype=np.uint16).reshape(3, 20, 30) % 11, 2, 1, tmp_path)

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 3 * 2 * 2
    assert lines[-1].startswith("bitshuffle+LZ4, uint16, 3 limits, a mask ")
    assert list(tmp_path.iterdir()) == []


def test_a_way_that_gives_something_else_ends_the_run():
    frames = np.arange(12)
    case = timing.Case(
        "a case",
        "none",
        frames.nbytes,
        "theirs",
        [timing.Way("theirs", lambda: frames), timing.Way("cxistack", lambda: frames + 1)],
    )
    with pytest.raises(SystemExit, match="cxistack does not give what theirs gives"):
        timing.measure(case, timing.Pool(0), timing.Pace(1, 1.0))


@pytest.mark.parametrize(
    ("value", "must", "goal", "verdict"),
    [
        (3.0, 1.0, 2.0, "goal"),
        (1.5, 1.0, 2.0, "must"),
        (0.9, 1.0, 2.0, "MISSED"),
        (0.9, None, 2.0, "below goal"),
        (0.9, None, None, ""),
    ],
)
def test_a_verdict(value, must, goal, verdict):
    assert timing.Ratio("none", "a case", "h5py", value, must, goal).verdict == verdict


@pytest.mark.parametrize("kinds", [["peer"], ["limit", "bound"], ["peer", "threads"]])
def test_a_picture_of_some_of_the_ratios(tmp_path, kinds):
    ratios = [timing.Ratio("none", "a case", "h5py", 2.0, 1.0, 3.0, kind) for kind in kinds]
    picture.draw(ratios, {"CPU": "any"}, tmp_path / "ratios.png")
    assert (tmp_path / "ratios.png").exists()
