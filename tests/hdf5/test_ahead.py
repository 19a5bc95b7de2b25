"""Files that are waited for are touched ahead; what is found does not depend on it."""

import itertools
import os
import threading
import time

import numpy as np
import pytest

import factory
from cxistack import CXIStore
from cxistack.hdf5 import ahead
from factory import frames


@pytest.fixture
def touched(monkeypatch):
    paths = []
    plain = ahead._touch
    monkeypatch.setattr(ahead, "_touch", lambda path: (paths.append(path), plain(path)))
    return paths


def of_ours():
    return [one for one in threading.enumerate() if one.name.startswith("cxistack-heads")]


def test_nothing_is_touched_where_nothing_is_waited_for(touched, monkeypatch):
    monkeypatch.setattr(ahead, "_LONG", 1.0)
    assert list(ahead.touched_ahead(["a", "b", "c"])) == [0, 1, 2]
    assert touched == []


def test_the_next_files_are_touched_once_and_no_thread_is_left(touched, tmp_path):
    names = [str(tmp_path / str(number)) for number in range(200)]
    os.mkfifo(names[3])  # which is not waited for, as all that are not there
    for number in ahead.touched_ahead(names):
        if number in (0, 150):
            time.sleep(0.01)
    assert len(touched) == len(set(touched))
    assert set(touched) <= set(names[1:])
    assert not of_ours()


def test_who_stops_early_leaves_no_thread(touched):
    for _ in ahead.touched_ahead(["a"] * 500):
        time.sleep(0.001)
        if len(touched) > 5:
            break
    assert not of_ours()


def test_a_store_finds_the_same(tmp_path, monkeypatch):
    waits = itertools.count()
    monkeypatch.setattr(ahead, "_waits", lambda: next(waits))  # each file counts as waited for
    monkeypatch.setattr(ahead, "_LONG", 0.0)
    parts = [frames(2, start=100 * number) for number in range(80)]
    names = factory.many_files(tmp_path, parts)
    np.testing.assert_array_equal(CXIStore(names)["data"][...], np.concatenate(parts))
