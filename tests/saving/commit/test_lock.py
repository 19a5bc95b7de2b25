"""One writer at a time: a second one is refused and told who the first is; readers are let be."""

import errno
import fcntl
import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from cxistack import CXIStore, FileChangedError, FileInUseError, StorageError
from cxistack.hdf5._descriptor import Descriptor
from cxistack.hdf5.open_writers import of_each_written_here
from cxistack.saving.commit import lock
from factory import DATA, DISTANCE, frames, put
from factory.folders import names_in

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="who locks is told by /proc/locks")


@pytest.fixture
def run(tmp_path):
    with h5py.File(tmp_path / "run.cxi", "w", libver="latest") as h5:
        h5[DATA], h5[DISTANCE] = frames(4), 1.0
    return str(tmp_path / "run.cxi")


WAIT = 'print("ready", flush=True); sys.stdin.readline()'
SAVING = f"""
    with CXIStore(path, mode="r+") as store, store.transaction():
        store.save_attribute("data", np.full((2, 5, 7), 7, "uint16"))
        {WAIT}
"""


class Other:
    """Another process that does something to the file, and waits in the midst of it."""

    def __init__(self, code, path, *, locking=None):
        begin = (
            f"import sys, h5py, os\nimport numpy as np\nfrom cxistack import *\npath = {path!r}\n"
        )
        environment = dict(os.environ)
        if locking is not None:
            environment["HDF5_USE_FILE_LOCKING"] = locking
        self.process = subprocess.Popen(
            [sys.executable, "-c", begin + textwrap.dedent(code)],
            stdin=-1,
            stdout=-1,
            text=True,
            env=environment,
        )
        self.pid = self.process.pid

    def __enter__(self):
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *error):
        with self.process:
            self.process.communicate("go\n")
        assert self.process.returncode == 0


class TestASecondWriter:
    @pytest.mark.parametrize("locking", [None, "FALSE", "TRUE", "BEST_EFFORT"])
    def test_is_refused_while_another_process_saves(self, run, locking):
        with CXIStore(run, mode="r+") as store:
            with (
                Other(SAVING, run, locking=locking) as other,
                pytest.raises(FileInUseError, match=rf"saved to by process {other.pid} "),
            ):
                store.save_attribute("distance", 2.0)
            store.save_attribute("distance", 2.0)
        assert (CXIStore(run).load_attribute("data") == 7).all(), "the other's save is kept"
        assert CXIStore(run).load_attribute("distance") == 2.0
        assert names_in(Path(run).parent) == ["run.cxi"]

    def test_of_the_same_process_is_refused_too(self, run):
        with CXIStore(run, mode="r+") as one, CXIStore(run, mode="r+") as two:
            with one.transaction():
                one.save_attribute("distance", 2.0)
                with pytest.raises(FileInUseError, match="this process"):
                    two.save_attribute("distance", 3.0)
            two.save_attribute("data", frames(1))
            assert two.load_attribute("distance") == 2.0

    def test_on_a_new_file_is_refused(self, tmp_path):
        name = tmp_path / "new.cxi"
        with CXIStore(name, mode="w") as one, CXIStore(name, mode="w") as two, one.transaction():
            one.save_attribute("distance", 2.0)
            with pytest.raises(FileInUseError, match=r"new\.cxi is being saved to"):
                two.save_attribute("distance", 3.0)

    def test_through_a_symbolic_link_is_the_same_file(self, run, tmp_path):
        (tmp_path / "link.cxi").symlink_to(run)
        with CXIStore(run, mode="r+") as one, one.transaction():
            one.save_attribute("distance", 2.0)
            with (
                CXIStore(tmp_path / "link.cxi", mode="r+") as two,
                pytest.raises(FileInUseError),
            ):
                two.save_attribute("distance", 3.0)

    def test_finds_what_the_first_has_saved(self, run):
        """A save decides by what the file is now, not by what it was when the store looked."""
        with CXIStore(run, mode="r+") as one, CXIStore(run, mode="r+") as two:
            assert one.frame_count == two.frame_count == 4
            one.save_attribute("data", frames(2, start=500), mode="append")
            two.save_attribute("data", frames(1, start=900), mode="insert", idxs=[-1])
            expected = np.concatenate([frames(4), frames(2, start=500)])
            expected[-1] = frames(1, start=900)
            np.testing.assert_array_equal(two.load_attribute("data"), expected)

    def test_that_is_killed_leaves_no_lock(self, run):
        with Other(SAVING.replace("sys.stdin.readline()", "os.kill(os.getpid(), 9)"), run) as other:
            other.process.wait()
            other.process.returncode = 0
        assert len(names_in(Path(run).parent)) == 3
        with CXIStore(run, mode="r+") as store:
            store.save_attribute("distance", 2.0)
        assert names_in(Path(run).parent) == ["run.cxi"]

    @pytest.mark.parametrize("is_there", [True, False])
    def test_whose_lock_we_may_not_open_is_told_of(self, run, monkeypatch, is_there):
        beside = Path(run).with_name(".run.cxi.saving.lock")

        def refuses(path, *args):
            if path == beside:
                raise PermissionError(errno.EACCES, "Permission denied")
            return Descriptor(path, *args)

        if is_there:
            beside.touch()
        monkeypatch.setattr(lock, "Descriptor", refuses)
        said = f"another user.*delete {beside}" if is_there else "allowed to write there"
        with CXIStore(run, mode="r+") as store, pytest.raises(StorageError, match=said):
            store.save_attribute("distance", 2.0)

    @pytest.mark.parametrize("make", [lambda at: at.symlink_to("elsewhere"), Path.mkdir])
    def test_what_has_the_name_of_the_lock_and_is_none_is_named(self, run, make):
        beside = Path(run).with_name(".run.cxi.saving.lock")
        make(beside)
        with (
            CXIStore(run, mode="r+") as store,
            pytest.raises(StorageError, match=f"{beside} is no plain file"),
        ):
            store.save_attribute("distance", 2.0)
        assert not Path(run).with_name("elsewhere").exists()

    def test_that_creates_the_file_first_is_kept(self, tmp_path):
        for mode in ("x", "w-", "w"):
            name = tmp_path / f"{mode}.cxi"
            with CXIStore(name, mode=mode) as late, CXIStore(name, mode="x") as early:
                early.save_attribute("distance", 2.0)
                if mode != "w":
                    with pytest.raises(FileExistsError):
                        late.save_attribute("distance", 3.0)
            assert CXIStore(name).load_attribute("distance") == 2.0

    def test_that_takes_no_lock_is_noticed_at_the_commit(self, run):
        with CXIStore(run, mode="r+") as store:
            with pytest.raises(FileChangedError, match="somebody else"), store.transaction():  # noqa: PT012
                store.save_attribute("distance", 2.0)
                with h5py.File(Path(run).with_name("other.h5"), "w") as h5:
                    h5[DISTANCE] = 5.0
                Path(run).with_name("other.h5").replace(run)
            assert store.load_attribute("distance") == 5.0


class TestHDF5OpenForWriting:
    """HDF5's own lock tells, or the mark in the file, or the list of what this process has open."""

    @pytest.mark.parametrize("swmr", ["", "h5.swmr_mode = True"])
    @pytest.mark.parametrize("libver", ["earliest", "latest"])
    @pytest.mark.parametrize("locking", ["TRUE", "FALSE"])
    @pytest.mark.parametrize("safe", [True, False])
    def test_in_another_process(self, tmp_path, swmr, libver, locking, safe):
        if libver == "earliest" and (swmr or locking == "FALSE"):
            pytest.skip("nothing tells of it")
        name = str(tmp_path / "run.cxi")
        with h5py.File(name, "w", libver=libver) as h5:
            h5[DATA] = frames(2)
        code = f"""
            with h5py.File(path, "r+", libver={libver!r}) as h5:
                {swmr}
                {WAIT}
        """
        with CXIStore(name, mode="r+", safe=safe) as store:
            with Other(code, name, locking=locking), pytest.raises(FileInUseError) as caught:
                store.save_attribute("data", frames(1))
            assert "run.cxi" in str(caught.value)
            assert "writing" in str(caught.value)
            store.save_attribute("data", frames(1))
            assert len(store.load_attribute("data")) == 1

    @pytest.mark.parametrize("locking", [True, False])
    @pytest.mark.parametrize("safe", [True, False])
    def test_in_this_process(self, run, locking, safe):
        with CXIStore(run, mode="r+", safe=safe) as store:
            with (
                h5py.File(run, "r+", locking=locking),
                pytest.raises(FileInUseError, match="this process"),
            ):
                store.save_attribute("distance", 2.0)
            store.save_attribute("distance", 2.0)

    def test_and_closed_while_it_is_asked_of_is_passed_over(self, run):
        h5 = h5py.File(run, "r+")

        def asked(one):
            number = one.get_vfd_handle()
            h5.close()
            return os.fstat(number)

        assert list(of_each_written_here(asked)) == []

    def test_is_refused_by_hdf5_itself_during_a_save(self, run):
        code = f"""
            try:
                h5py.File(path, "r+")
            except OSError as error:
                assert "lock" in str(error)
                {WAIT}
        """
        with CXIStore(run, mode="r+") as store, store.transaction():
            store.save_attribute("distance", 2.0)
            with Other(code, run):
                pass

    def test_a_mark_left_by_a_killed_writer_is_told_of(self, run):
        with Path(run).open("r+b") as file:
            assert file.read(9)[8] >= 3
            file.seek(11)
            file.write(b"\x05")
        with CXIStore(run, mode="r+") as store, pytest.raises(FileInUseError, match="h5clear -s"):
            store.save_attribute("distance", 2.0)


class TestReaders:
    def test_see_old_or_new_and_never_between(self, run):
        seen, stop = [], threading.Event()

        def read():
            while not stop.is_set():
                with h5py.File(run) as h5:
                    seen.append(set(h5[DATA][...].ravel()) | {h5[DISTANCE][()]})

        def save(number):
            with store.transaction():
                store.save_attribute("data", np.full((number % 5 + 1, 5, 7), number, "uint16"))
                store.save_attribute("distance", float(number))

        with CXIStore(run, mode="r+") as store, ThreadPoolExecutor(1) as pool:
            save(0)
            reader = pool.submit(read)
            try:
                for number in range(1, 40):
                    save(number)
                    while number % 8 == 0 and not (reader.done() or {float(number)} in seen[-1:]):
                        time.sleep(0.001)
            finally:
                stop.set()
            reader.result()
        assert all(len(values) == 1 for values in seen)

    @pytest.mark.parametrize("locking", ["TRUE", "FALSE"])
    def test_of_another_process_keep_the_old_file(self, run, locking):
        code = f"""
            with h5py.File(path) as h5:
                {WAIT}
                assert h5["{DISTANCE}"][()] == 1.0
        """
        with Other(code, run, locking=locking), CXIStore(run, mode="r+") as store:
            store.save_attribute("distance", 2.0)
            assert store.load_attribute("distance") == 2.0

    def test_keep_a_change_in_place_away(self, run):
        code = f"with h5py.File(path) as h5: {WAIT}"
        with CXIStore(run, mode="r+", safe=False) as store:
            with Other(code, run) as other, pytest.raises(FileInUseError, match=str(other.pid)):
                store.save_attribute("distance", 2.0)
            store.save_attribute("distance", 2.0)


class TestAFileSystemWithoutLocks:
    @pytest.fixture
    def no_locks(self, monkeypatch):
        def refuses(descriptor, how):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(fcntl, "flock", refuses)
        assert lock.fcntl.flock is refuses

    @pytest.mark.parametrize("safe", [True, False])
    def test_is_refused_unless_asked_for(self, run, no_locks, safe):
        with (
            CXIStore(run, mode="r+", safe=safe) as store,
            pytest.raises(StorageError, match='locking="best-effort"'),
        ):
            store.save_attribute("distance", 2.0)
        with CXIStore(run, mode="r+", safe=safe, locking="best-effort") as store:
            store.save_attribute("distance", 2.0)
            assert store.load_attribute("distance") == 2.0

    def test_another_save_may_be_under_way_there_and_is_let_be(self, run, no_locks):
        under_way = Path(run).with_name(".run.cxi.0123abcd.saving")
        under_way.touch()
        with CXIStore(run, mode="r+", locking="best-effort") as store:
            store.save_attribute("distance", 2.0)
        assert under_way.exists()

    def test_is_asked_for_by_these_words_only(self, run):
        with pytest.raises(ValueError, match="locking"):
            CXIStore(run, locking=False)


def test_of_another_store_meanwhile_are_refused(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(2)})
    one, other = CXIStore(name, "r+"), CXIStore(name, "r+")
    with one.transaction():
        one.save_attribute("distance", 1.0)
        with pytest.raises(FileInUseError):
            other.save_attribute("wavelength", 2.0)
    fresh = CXIStore(name)
    assert fresh.load_attribute("distance") == 1.0
    assert "wavelength" not in fresh
    assert [path.name for path in tmp_path.iterdir()] == ["a.cxi"]
