"""Lines fit a terminal of 80 columns without a broken path; what files have alike is one line."""

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIStore
from cxistack.checking.findings import Finding, folded
from cxistack.cli import app, lines
from cxistack.cli.lines import problem_lines, wrapped
from factory import frames, put

DATA, MASK = "/entry/instrument/detector/data", "/entry/instrument/detector/mask"
FOLDER = "a_rather_long_name_of_a_beamtime/scan_2989_with_words and a blank"


@pytest.fixture
def run(tmp_path):
    """Write 40 files, all but the first with a mask of other pixels; return their pattern."""
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    for n in range(40):
        tree = {DATA: frames(2, (6, 8)), MASK: np.ones((6 - (n > 0), 8), bool)}
        put(folder / f"run_{n:04}_Lambda_detector.nxs", tree)
    return f"{folder}/*.nxs"


@pytest.mark.parametrize("command", ["info", "check", "explain"])
def test_no_path_is_broken_and_no_line_that_could_be_shorter_is_too_long(run, command):
    shown = CliRunner().invoke(app, [command, run])
    names = CXIStore(run).paths()
    text = wrapped(shown.stdout, 80, names)
    assert " ".join(text.split()) == " ".join(shown.stdout.split())  # the words are the same
    for name in names:
        assert shown.stdout.count(name) == text.count(name)
    for line in text.splitlines():
        words = line.split()
        assert len(line) <= 80 or any(name in line for name in names) or len(words) == 1, line


def test_a_terminal_gets_lines_of_its_width_and_a_pipe_one_for_each_problem(monkeypatch, capsys):
    text = "problem: " + "word " * 40
    lines.say(text.strip())
    assert capsys.readouterr().out == text.strip() + "\n"
    monkeypatch.setattr(lines.sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    lines.say(text.strip())
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) > 2
    assert max(map(len, shown)) <= 80


def test_shapes_and_quoted_words_stay_whole():
    text = wrapped("mask has the shape (2000, 512, 1024) and says 'not so good' of it " * 3, 50)
    assert text.count("(2000, 512, 1024)") == 3
    assert text.count("'not so good'") == 3


def test_what_many_files_have_alike_is_one_line_with_the_count():
    found = [
        Finding("", "mask", f"run_{n}.h5", f"/raw/run_{n}.h5:/entry/mask: no mask of this shape")
        for n in range(1999)
    ]
    other = Finding("", "mask", "run_7.h5", "run_7.h5: something else")
    shown = problem_lines([*found, other], ["f"] * 2000)
    assert len(shown) == 2
    assert shown[0].startswith("mask: /raw/run_0.h5:/entry/mask: no mask of this shape")
    assert "1999 of 2000 files, to run_1998.h5" in shown[0]
    assert shown[1] == "mask: run_7.h5: something else"


@pytest.mark.parametrize(
    "change", [{"cause": "other"}, {"attribute": "data"}, {"chunk": (0, 1)}, {"dataset": "/b"}]
)
def test_what_differs_by_more_than_the_file_is_told_apart(change):
    words = {
        "check": "decodes",
        "attribute": "mask",
        "filename": "a.h5",
        "cause": "x",
        "dataset": "/a",
    }
    assert len(folded([Finding(**words), Finding(**{**words, "filename": "b.h5"})])) == 1
    assert len(folded([Finding(**words), Finding(**{**words, **change})])) == 2


def test_names_that_are_a_part_of_others_are_told_apart():
    one = Finding("", "mask", "a.h5", "a.h5 and ba.h5 differ")
    other = Finding("", "mask", "b.h5", "b.h5 and bb.h5 differ")
    assert len(folded([one, other])) == 1
    third = Finding("", "mask", "c.h5", "c.h5 and q.h5 differ")
    assert len(folded([one, third])) == 2


def test_the_same_damage_in_many_files_is_one_line_of_check(tmp_path):
    for n in range(30):
        with h5py.File(tmp_path / f"r_{n:02}.h5", "w") as h5:
            h5["/entry/data/data"] = frames(2, (6, 8))
            h5["/speckle_tracking/whitefield"] = np.array([1.0, 2.0])
    shown = CliRunner().invoke(app, ["check", f"{tmp_path}/*.h5"])
    assert shown.exit_code == 1
    told = [line for line in shown.stdout.splitlines() if "whitefield" in line]
    assert len(told) == 1
    assert "30 of 30 files" in told[0]
    assert "30 problems" in shown.stderr


def test_files_alike_are_one_line_of_explain(run):
    told = CXIStore(run).explain("data")
    shown = told.splitlines()
    assert len(shown) < 8
    assert "frames 2 to 79: 39 datasets more like it, to " in told
    assert "run_0039_Lambda_detector.nxs" in told
    few = CXIStore(CXIStore(run).filenames()[:3]).explain("data")
    assert few.count("_Lambda_detector.nxs") == 3


def test_a_file_unlike_the_rest_is_shown_by_itself(tmp_path):
    for n in range(9):
        options = {"chunks": (1, 6, 8), "compression": "gzip"} if n == 5 else {}
        put(tmp_path / f"{n}.h5", {"/entry/data/data": frames(2, (6, 8))}, **options)
    told = CXIStore(f"{tmp_path}/*.h5").explain("data")
    assert "frames 10 to 11: " in told
    assert "deflate" in told
    assert "4 datasets more like it" in told
