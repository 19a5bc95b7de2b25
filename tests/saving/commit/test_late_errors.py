"""An error after the file has come to its name says that the data are saved, and what is not sure.

The oracle is what plain h5py reads afterwards.
"""

import errno
import os

import h5py
import pytest

from cxistack import CXIStore, StorageError
from cxistack.hdf5.files import Files
from factory import DISTANCE, put
from factory.folders import names_in


@pytest.fixture
def name(tmp_path):
    return put(tmp_path / "run.cxi", {DISTANCE: 1.0})


def saved(name):
    with h5py.File(name) as h5:
        return h5[DISTANCE][()]


def fails(*words):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def save(name, value):
    with pytest.raises(StorageError) as raised:
        CXIStore(name, "r+").save_attribute("distance", value)
    assert raised.value.errno == errno.EIO
    assert name in str(raised.value)
    return str(raised.value)


def test_of_the_folders_fsync(name, monkeypatch):
    real = os.fsync

    def fsync(file):
        real(file) if os.path.isfile(f"/proc/self/fd/{file.fileno()}") else fails()  # noqa: PTH113

    monkeypatch.setattr(os, "fsync", fsync)
    words = save(name, 2.0)
    assert "is saved, but its folder could not be synchronised to disk (Input/output" in words
    assert "the old contents may be back" in words
    assert saved(name) == 2


def test_of_a_rename_that_was_done(name, monkeypatch):
    """As a network file system answers, whose first answer was lost."""
    real = os.replace

    def replace(*names):
        real(*names)
        fails()

    monkeypatch.setattr(os, "replace", replace)
    assert "is saved, but the system tells of an error" in save(name, 2.0)
    assert saved(name) == 2


def test_of_a_rename_that_was_not_done(name, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", fails)
    assert "was not saved: Input/output error" in save(name, 2.0)
    assert saved(name) == 1
    assert names_in(tmp_path) == ["run.cxi"]


def test_of_looking_at_it_again(name, monkeypatch):
    real = os.replace

    def replace(*names):
        real(*names)
        monkeypatch.setattr(Files, "refresh", fails)

    monkeypatch.setattr(os, "replace", replace)
    words = save(name, 2.0)
    assert "is saved, but it could not be looked at again (Input/output error)" in words
    assert saved(name) == 2


def test_of_closing_an_old_handle_is_none(name, monkeypatch):
    monkeypatch.setattr("cxistack.saving.commit.transaction.forget", fails)
    CXIStore(name, "r+").save_attribute("distance", 2.0)
    assert saved(name) == 2
