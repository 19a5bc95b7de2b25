"""The lock file beside the data goes whatever fails, and never another's."""

import errno
import fcntl
from pathlib import Path

import numpy as np
import pytest

from cxistack import CXIStore, FileInUseError, StorageError
from cxistack.saving.commit import lock
from factory import DATA, put
from factory.folders import names_in, open_in


@pytest.fixture
def target(tmp_path):
    put(tmp_path / "run.cxi", {DATA: np.ones((2, 3, 4), "u2")})
    return tmp_path / "run.cxi"


def hold(target):
    with lock.held(target):
        pass


def save(target):
    CXIStore(target, mode="r+").save_attribute("data", np.ones((2, 3, 4), "u2"))


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
def test_a_stat_that_fails_leaves_no_lock_file(target, monkeypatch, error):
    stat = Path.stat

    def fails(path, **options):
        if path.name.endswith(".lock"):
            raise error
        return stat(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", fails)
        with pytest.raises(type(error)):
            hold(target)
    assert names_in(target.parent) == ["run.cxi"]
    assert open_in(target.parent) == []
    save(target)


def test_a_file_system_without_locks_is_left_no_lock_file(target, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", no_locks)
        with pytest.raises(StorageError, match="keeps no locks"):
            save(target)
    assert names_in(target.parent) == ["run.cxi"]


def test_the_lock_file_of_another_save_is_let_be(target):
    with lock.held(target):
        with pytest.raises(FileInUseError):
            hold(target)
        assert len(names_in(target.parent)) == 2
    assert names_in(target.parent) == ["run.cxi"]
