"""Where there is no memory, the error says for what: the file, the dataset, how many bytes."""

import numpy as np
import pytest

from cxistack import CXIStore
from factory import DATA, put

TOLD = rf"a\.h5:{DATA}: 'data' of shape \(6, 20, 30\) as uint16 takes 7200 bytes"


@pytest.fixture
def store(tmp_path):
    return CXIStore(put(tmp_path / "a.h5", {DATA: np.ones((6, 20, 30), "u2")}))


def test_a_result_for_which_there_is_none(store, monkeypatch):
    def nothing(*_, **__):
        raise MemoryError

    monkeypatch.setattr("cxistack.loading.load.np.empty", nothing)
    with pytest.raises(MemoryError, match=rf"{TOLD}, which this machine does not give; load fewer"):
        store.load_attribute("data")


def test_what_reads_one_frame_gets_none(store, monkeypatch):
    def nothing(*_, **__):
        raise MemoryError("the tasks of few chunks")

    monkeypatch.setattr("cxistack.loading.few.Kind", nothing)
    with pytest.raises(MemoryError, match=r"a\.h5:.*'data' of shape \(1, 20, 30\) .* few chunks"):
        store["data"][3]


def test_what_reads_it_gets_none(store, monkeypatch):
    def nothing(*_, **__):
        raise MemoryError("123 bytes to read chunks with")

    monkeypatch.setattr("cxistack.loading.load.Load.few", None)
    monkeypatch.setattr("cxistack.loading.engine.read_frames", nothing)
    with pytest.raises(MemoryError, match=rf"{TOLD}, beside 123 bytes to read chunks with, which"):
        store.load_attribute("data")
