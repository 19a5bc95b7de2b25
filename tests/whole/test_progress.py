"""Progress: a bar at a terminal, a line now and then elsewhere, and nothing for what is quick."""

import re
import sys

import numpy as np
import pytest

from cxistack import CXIStore, progress
from factory import DATA, frames, put


def test_a_log_gets_a_line_every_few_seconds(monkeypatch, capsys):
    clock = iter([0.0, *np.arange(1.0, 40.0)])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.progress_bar(30, "Loading data") as shown:
        for _ in range(30):
            shown.update(1)
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "Loading data: 5 of 30 frames, 16%, 5 s, about 25 s to go"
    assert told[-1].startswith("Loading data: 30 of 30 frames, 100%")
    assert len(told) == 7  # of 30 seconds: each fifth, and the end
    assert not any("\r" in line for line in told)


def test_what_is_quick_says_nothing(capsys, tmp_path):
    store = CXIStore(put(tmp_path / "a.cxi", {DATA: frames(3)}))
    store.load_attribute("data", verbose=True)
    assert capsys.readouterr().err == ""


def test_a_failure_has_no_last_line_of_progress(monkeypatch, capsys):
    clock = iter([0.0, 6.0, 7.0, 8.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))

    def fail():
        with progress.progress_bar(3, "Converting") as shown:
            shown.update(1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.progress_bar(3, "Loading data") as shown:
        assert isinstance(shown, progress.bar_class())
        shown.update(3)
    assert re.search(r"Loading data: 100%.*3/3", capsys.readouterr().err)
