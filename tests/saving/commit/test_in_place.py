"""safe=False changes the file itself: the same inode, no copy, all names and the owner kept."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest

from cxistack import CXIError, CXIStore, FileChangedError, StorageError
from factory import DATA, DISTANCE, frames, put
from factory.folders import names_in
from hardship.scenarios import SAVES, contents, expected, make


@pytest.fixture
def run(tmp_path):
    return put(tmp_path / "run.cxi", {DATA: frames(4), DISTANCE: 1.0})


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("kind", [kind for kind in SAVES if kind != "new file"])
def test_does_what_a_safe_save_does(tmp_path, kind, libver):
    path = tmp_path / "run.cxi"
    make(path, libver, 9)
    old, inode = contents(path), path.stat().st_ino
    mode, action, _ = SAVES[kind]
    with CXIStore(path, mode=mode, safe=False) as store:
        action(store)
        assert names_in(tmp_path) == ["run.cxi"]
    assert path.stat().st_ino == inode
    assert contents(path) == expected(old, kind)


def test_keeps_hard_links(run, tmp_path):
    (tmp_path / "second.cxi").hardlink_to(run)
    with CXIStore(run, mode="r+", safe=False) as store:
        store.save_attribute("data", frames(2, start=9))
    np.testing.assert_array_equal(
        CXIStore(tmp_path / "second.cxi").load_attribute("data"), frames(2, start=9)
    )


def test_a_safe_save_says_that_hard_links_may_be_kept_so(run, tmp_path):
    (tmp_path / "second.cxi").hardlink_to(run)
    with CXIStore(run, mode="r+") as store, pytest.raises(StorageError, match="safe=False"):
        store.save_attribute("distance", 2.0)


def test_needs_no_right_to_write_to_the_folder(run, monkeypatch):
    """Root may write anywhere: a folder that refuses is played."""
    real = os.open

    def refuses(path, flags, *mode, **options):
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, *mode, **options)

    monkeypatch.setattr(os, "open", refuses)
    with CXIStore(run, mode="r+") as store, pytest.raises(StorageError, match="safe=False"):
        store.save_attribute("distance", 2.0)
    with CXIStore(run, mode="r+", safe=False) as store:
        store.save_attribute("distance", 2.0)
        assert store.load_attribute("distance") == 2.0


def test_an_owner_that_cannot_be_kept_refuses_a_safe_save(run, tmp_path, monkeypatch):
    before = Path(run).read_bytes()
    status = Path(run).stat()

    def refuses(*args):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuses)
    real = os.fstat

    def of_another(descriptor):
        found = real(descriptor)
        if found.st_ino != status.st_ino:
            return found
        return os.stat_result((*found[:4], 4321, *found[5:]), {"st_mtime_ns": found.st_mtime_ns})

    monkeypatch.setattr(os, "fstat", of_another)
    with CXIStore(run, mode="r+") as store, pytest.raises(StorageError, match=r"user 4321.*safe="):
        store.save_attribute("distance", 2.0)
    assert Path(run).read_bytes() == before
    assert names_in(tmp_path) == ["run.cxi"]


def test_a_transaction_groups_nothing(run):
    with CXIStore(run, mode="r+", safe=False) as store:
        with pytest.raises(CXIError), store.transaction():  # noqa: PT012
            store.save_attribute("distance", 2.0)
            assert store.load_attribute("distance") == 2.0
            store.save_attribute("data", frames(1), mode="append")
            store.save_attribute("data", frames(1), mode="append")
            store.save_attribute("data", np.full((1, 5, 7), -1))
        assert store.load_attribute("distance") == 2.0
        assert store.load_attribute("data").shape == (6, 5, 7)


def test_a_new_file_is_made_safely(tmp_path):
    with CXIStore(tmp_path / "new.cxi", mode="w", safe=False) as store:
        with pytest.raises(ZeroDivisionError), store.transaction():  # noqa: PT012
            store.save_attribute("data", frames(2))
            raise ZeroDivisionError
        assert names_in(tmp_path) == []
        store.save_attribute("data", frames(2))
        inode = (tmp_path / "new.cxi").stat().st_ino
        store.save_attribute("data", frames(3))
        assert (tmp_path / "new.cxi").stat().st_ino == inode


def test_a_safe_transaction_with_a_failed_save_is_not_committed(run):
    before = Path(run).read_bytes()
    with CXIStore(run, mode="r+") as store:
        with pytest.raises(StorageError, match="one of the saves"), store.transaction():  # noqa: PT012
            store.save_attribute("distance", 2.0)
            with pytest.raises(CXIError):
                store.save_attribute("data", np.full((1, 5, 7), -1))
        assert Path(run).read_bytes() == before
        store.save_attribute("distance", 3.0)


def test_errors_of_the_users_own_within_a_transaction_stay_theirs(run):
    with CXIStore(run, mode="r+") as store:
        with pytest.raises(FileNotFoundError, match="mine"), store.transaction():  # noqa: PT012
            store.save_attribute("distance", 2.0)
            raise FileNotFoundError(2, "No such file", "mine.txt")
        assert store.load_attribute("distance") == 1.0


def test_a_file_that_went_away_is_not_made_anew_of_nothing(run):
    with CXIStore(run, mode="r+") as store:
        assert store.frame_count == 4
        Path(run).unlink()
        with pytest.raises((FileChangedError, FileNotFoundError, StorageError)):
            store.save_attribute("distance", 2.0)
    assert names_in(Path(run).parent) == []


DEFOCUS = "/speckle_tracking/defocus_x"
INTERRUPTED = """
    import signal, sys
    import numpy as np
    from cxistack import CXIStore
    fired = False
    def interrupt(*args):
        global fired
        fired = True
        raise KeyboardInterrupt
    signal.signal(signal.SIGALRM, interrupt)
    store, number, ends = CXIStore(sys.argv[1], mode="r+"), 0, 0
    for round in range(100):
        fired = False
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.002 + round % 13 * 0.0017)
            while not fired:  # Python ignores an interrupt that comes in a finalizer
                number += 1
                with store.transaction():
                    store.save_attribute("data", np.full((6, 5, 7), number, "uint16"))
                    store.save_attribute("defocus_x", np.full((5 + number % 3, 7), number))
        except KeyboardInterrupt:
            ends += 1
        values = store.load_attribute("data", verbose=False)
        white = store.load_attribute("defocus_x", verbose=False)
        assert len({*values.ravel(), *white.ravel()}) == 1, (values, white)
    assert ends > 30
"""


def test_an_interrupt_at_any_moment_leaves_old_or_new(tmp_path):
    name = put(tmp_path / "run.cxi", {DATA: np.zeros((6, 5, 7), "uint16")}, compression="gzip")
    put(name, {DEFOCUS: np.zeros((5, 7))})
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED), name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with h5py.File(name) as h5:
        assert len({*h5[DATA][...].ravel(), *h5[DEFOCUS][...].ravel()}) == 1
    with CXIStore(name, mode="r+") as store:
        store.save_attribute("defocus_x", np.ones((5, 7)))
    assert names_in(tmp_path) == ["run.cxi"]
