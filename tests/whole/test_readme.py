"""README tells the truth: its Python runs on the demo's files, its commands are what CI runs."""

import doctest
import itertools
import os
import re

import numpy as np
import pytest

from cxistack.cli.speckle_run import write_run
from factory import ROOT
from factory.cython_module import compiled

from .test_structure import FLOOR_OF, FLOORS

README = ROOT / "README.md"


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    (folder / "demo").mkdir()
    assert len(list(write_run(folder / "demo", frames=100))) == 4
    return folder


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.M | re.S)


def test_the_python_examples_do_what_they_show(demo_run, monkeypatch):
    monkeypatch.chdir(demo_run)
    source = "".join(blocks("python"))
    test = doctest.DocTestParser().get_doctest(source, {}, "README.md", str(README), 0)
    assert len(test.examples) > 15
    report = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    outcome = doctest.DocTestRunner(optionflags=flags).run(test, out=report.append)
    assert outcome.failed == 0, "".join(report)


def test_it_has_two_shell_commands_of_one_line_each():
    commands = [block.splitlines() for block in blocks("sh")]
    assert [len(lines) for lines in commands] == [1, 1]
    assert commands[0][0].endswith("cxistack demo")
    assert commands[1][0].endswith(".ci/check .venv")


def test_what_its_commands_call_can_be_run():
    for script in (".ci/check", ".ci/run"):
        assert os.access(ROOT / script, os.X_OK), script


def test_rooms_and_files_that_it_names_are_there():
    text = README.read_text()
    _, _, made = text.partition("## How it is made")
    names = re.findall(r"`([\w/]+(?:/|\.pyx?))`", made)
    assert len(names) > 20
    for name in names:
        base = ROOT if name.startswith("tests/") else ROOT / "src" / "cxistack"
        assert (base / name).exists(), name


def test_its_rooms_are_those_of_the_house_from_the_ground_up():
    _, _, made = README.read_text().partition("| room |")
    rows = re.findall(r"^\| (`.*?) \|", made, re.M)
    told = [{name.rstrip("/") for name in re.findall(r"`([\w/]+)`", row)} for row in rows]
    rooms = [name for floor in FLOORS for name in floor if not name.startswith("__")]
    assert sorted(name for floor in told for name in floor) == sorted(rooms)
    heights = [[FLOOR_OF[name] for name in floor] for floor in told]
    assert all(max(low) < min(high) for low, high in itertools.pairwise(heights))


def test_the_cython_example_casts(tmp_path):
    (source,) = blocks("cython")
    example = compiled(source, "example", tmp_path)
    counts, out = np.arange(7, dtype=np.uint16), np.zeros(7, np.float32)
    example.to_float(counts, out)
    assert out.tolist() == counts.tolist()
    with pytest.raises(ValueError, match="do not fit one another"):
        example.to_float(counts, out[:3])
