"""README tells the truth: its Python runs on the demo's files, its commands are what CI runs."""

import doctest
import os
import re

import pytest

from cxistack.cli.speckle_run import write_run
from factory import ROOT

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


def test_files_named_as_rooms_are_there():
    _, _, table = README.read_text().partition("| room |")
    rooms = re.findall(r"^\|.*\| (`.*?`) \|$", table, re.M)
    names = [name for cell in rooms for name in re.findall(r"`([^`]+)`", cell)]
    assert len(names) > 8
    for name in names:
        assert (ROOT / "src" / "cxistack" / name).exists(), name
