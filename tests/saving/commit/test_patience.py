"""A save with a timeout waits for who saves to the file; without one it is refused at once."""

import re
import threading
import time
from contextlib import suppress

import h5py
import numpy as np
import pytest

from cxistack import CXIStore, FileInUseError
from factory import DATA, DISTANCE, frames, put
from factory.children import run, start


@pytest.fixture
def name(tmp_path):
    return put(tmp_path / "run.cxi", {DATA: frames(2), DISTANCE: 1.0})


class Saving:
    """Another thread's save to the same file, by a store of its own, that takes its time."""

    def __init__(self, name, seconds):
        self.begun, self.ended = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.save, args=(name, seconds))

    def save(self, name, seconds):
        with CXIStore(name, "r+") as store, store.transaction():
            store.save_attribute("data", frames(3), "append")
            self.begun.set()
            self.ended.wait(seconds)

    def __enter__(self):
        self.thread.start()
        assert self.begun.wait(20)
        return self

    def __exit__(self, *error):
        self.ended.set()
        self.thread.join()


@pytest.mark.parametrize("timeout", [60, None])
def test_waits_for_another_save_and_comes_after_it(name, timeout):
    store = CXIStore(name, "r+", timeout=timeout)
    with Saving(name, 0.4):
        store.save_attribute("data", frames(1, start=77), "append")
    with h5py.File(name) as h5:
        np.testing.assert_array_equal(h5[DATA][()], [*frames(2), *frames(3), *frames(1, start=77)])


def test_no_longer_than_was_said_and_says_who_keeps_it(name):
    store = CXIStore(name, "r+", timeout=0.2)
    with Saving(name, 60) as other:
        begun = time.monotonic()
        with pytest.raises(FileInUseError, match="is being saved to by this process"):
            store.save_attribute("distance", 2.0)
        assert time.monotonic() - begun >= 0.2
        assert other.thread.is_alive()
    store.save_attribute("distance", 3.0)
    assert store.load_attribute("distance") == 3


def test_is_not_waited_for_unless_asked(name):
    with Saving(name, 60) as other:
        with pytest.raises(FileInUseError):
            CXIStore(name, "r+").save_attribute("distance", 2.0)
        assert other.thread.is_alive()  # it was not waited for


def test_waits_for_a_writer_of_plain_hdf5(name):
    code = f"""
        with h5py.File({name!r}, "r+") as h5:
            h5["{DISTANCE}"][...] = 5.0
            print("open", flush=True)
            time.sleep(0.5)
        """
    with start(code) as child:
        assert child.stdout.readline() == "open\n", child.stderr.read()
        CXIStore(name, "r+", timeout=60).save_attribute("wavelength", 1e-10)
    with h5py.File(name) as h5:
        assert h5[DISTANCE][()] == 5


def test_many_at_once_all_save(name):
    def appends(number):
        store = CXIStore(name, "r+", timeout=60)
        store.save_attribute("data", frames(1, start=1000 * number), "append")

    threads = [threading.Thread(target=appends, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with h5py.File(name) as h5:
        assert sorted(h5[DATA][2:, 0, 0]) == [1000 * number for number in range(1, 7)]


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_is_a_number_of_seconds(name, timeout):
    with pytest.raises(ValueError, match="timeout must be seconds, or None"):
        CXIStore(name, "r+", timeout=timeout)


@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("libver", ["earliest", "latest", "swmr"])
def test_waits_for_a_writer_of_plain_hdf5_in_another_thread(name, libver, safe):
    """HDF5 has the file open for writing until the last handle of the process is closed: ours."""
    if libver != "earliest":
        with h5py.File(name, "w", libver="latest") as h5:
            h5[DISTANCE] = 1.0
    begun = threading.Event()

    def write():
        version = "earliest" if libver == "earliest" else "latest"
        with h5py.File(name, "r+", libver=version) as h5:
            if libver == "swmr":
                h5.swmr_mode = True
            h5[DISTANCE][...] = 5.0
            begun.set()
            time.sleep(0.4)

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(20)
    CXIStore(name, "r+", safe=safe, timeout=20).save_attribute("wavelength", 1e-10)
    assert not thread.is_alive()
    with h5py.File(name) as h5:
        assert h5[DISTANCE][()] == 5
    assert CXIStore(name).load_attribute("wavelength") == 1e-10


@pytest.mark.parametrize("keeper", ["h5py", "h5py, in place", "store"])
def test_does_not_wait_for_what_only_its_own_thread_could_end(name, keeper):
    code = f"""
        store = CXIStore({name!r}, "r+", timeout=None, safe={keeper!r} != "h5py, in place")
        if {keeper!r} == "store":
            other = CXIStore({name!r}, "r+").transaction()
            other.__enter__().begin()
        else:
            other = h5py.File({name!r}, "r+")
        try:
            store.save_attribute("distance", 2.0)
        except FileInUseError as error:
            print(error)
    """
    status, lines, err = run(code)
    assert status == 0, err
    words = f"{name} is .* this process.*: save again when .* is the only one of the process$"
    assert re.match(words, lines[0])


def test_a_file_to_come_does_not_wait_for_what_it_must_not_replace(name):
    store = CXIStore(name, "w", timeout=60)
    with Saving(name, 60) as other:
        with pytest.raises(FileInUseError):
            store.save_attribute("distance", 2.0)
        assert other.thread.is_alive()  # it was not waited for
    with h5py.File(name) as h5:
        assert h5[DATA].shape[0] == 5


def test_a_file_that_somebody_else_may_be_making_is_waited_for(tmp_path):
    name, begun = tmp_path / "new.cxi", threading.Event()

    def make():
        store = CXIStore(name, "x")
        with suppress(ZeroDivisionError), store.transaction():
            store.save_attribute("distance", 1.0)
            begun.set()
            time.sleep(0.4)
            raise ZeroDivisionError

    thread = threading.Thread(target=make)
    thread.start()
    assert begun.wait(20)
    with pytest.raises(FileInUseError):
        CXIStore(name, "a")
    assert CXIStore(name, "a", timeout=20).found == []
    thread.join()
    assert name.exists()
