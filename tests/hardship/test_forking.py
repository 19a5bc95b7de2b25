"""Stores in forked children: each opens its own files, and leaves its parent's alone."""

import os
import signal
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

import factory
from cxistack import CXIStore, StorageError, progress
from factory import DATA, DISTANCE, frames, put

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@pytest.fixture
def parts():
    return [frames(4, start=500 * n) for n in range(3)]


@pytest.fixture
def names(tmp_path, parts):
    return factory.many_files(tmp_path, parts)


def in_child(check):
    """Fork; run a check in the child; return whether it held. The child dies after 20 s."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: that is the point
        child = os.fork()
    if child == 0:
        signal.alarm(20)
        status = 1
        try:
            status = 0 if check() else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def tqdm_lock():
    """Return the lock of the bars that loading shows."""
    return progress.bar_class().get_lock()


def test_child_and_parent_load_from_a_store_that_was_open(names, parts):
    whole = np.concatenate(parts)
    store = CXIStore(names)
    store.load_attribute("data", num_threads=2)
    assert in_child(lambda: np.array_equal(store.load_attribute("data", num_threads=2), whole))
    np.testing.assert_array_equal(store.load_attribute("data", num_threads=2), whole)


def test_a_child_that_closes_does_not_close_the_parents_files(names, parts):
    store = CXIStore(names)
    store.load_attribute("data")
    handle = store.file

    def closes():
        store.close()
        return not store

    assert in_child(closes)
    assert store
    assert handle
    np.testing.assert_array_equal(store.load_attribute("data"), np.concatenate(parts))


def test_a_child_that_looks_anew_does_not_close_the_parents_files(names, parts):
    store = CXIStore(names)
    handle = store.file
    Path(put(names[0] + ".new", {DATA: parts[1]})).replace(names[0])

    def looks():
        store.update_indices()
        return bool(handle) and np.array_equal(store.load_attribute("data", [0]), parts[1][:1])

    assert in_child(looks)


@pytest.mark.parametrize("use", ["close", "update_indices", "load", "save"])
def test_a_child_does_not_wait_for_threads_that_it_has_not(tmp_path, use):
    store = CXIStore(put(tmp_path / "a.cxi", {DISTANCE: 1.0}), mode="r+")
    held, stop = threading.Event(), threading.Event()

    def holds():
        with store._files._lock:
            held.set()
            stop.wait(30)

    def uses():
        if use == "load":
            return store.load_attribute("distance") == 1.0
        if use == "save":
            with CXIStore(tmp_path / "a.cxi", mode="r+") as own:
                own.save_attribute("distance", 2.0)
            return True
        getattr(store, use)()
        return True

    thread = threading.Thread(target=holds)
    thread.start()
    try:
        assert held.wait(20)
        assert in_child(uses)
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("is_begun", [True, False])
def test_a_child_is_told_that_it_cannot_save_for_its_parent(tmp_path, is_begun):
    def is_told():
        with pytest.raises(StorageError, match="forked"):
            store.save_attribute("wavelength", 2.0)
        return True

    name = put(tmp_path / "a.cxi", {DISTANCE: 0.0})
    with CXIStore(name, mode="r+") as store, store.transaction():
        if is_begun:
            store.save_attribute("distance", 1.0)
        assert in_child(is_told)
        store.save_attribute("distance", 3.0)
    with CXIStore(name) as store:
        assert store.load_attribute("distance") == 3.0
        assert "wavelength" not in store
    assert [one.name for one in tmp_path.iterdir()] == ["a.cxi"]


def test_a_child_forked_while_threads_load(names, parts):
    store, stop = CXIStore(names), threading.Event()
    whole = np.concatenate(parts)

    def works():
        while not stop.is_set():
            store.load_attribute("data", num_threads=2)

    worker = threading.Thread(target=works)
    worker.start()
    try:
        for _ in range(3):
            own = CXIStore(names)
            assert in_child(lambda own=own: np.array_equal(own.load_attribute("data"), whole))
    finally:
        stop.set()
        worker.join()


@pytest.mark.parametrize("lock", ["_lock", "saving"])
def test_locks_that_the_parents_threads_hold_are_not_waited_for(tmp_path, parts, lock):
    store = CXIStore(factory.many_files(tmp_path, parts)[0], mode="r+")
    stack, whole = store["data"], parts[0]
    for number in range(len(whole)):
        stack[number]  # a load that is prepared borrows no file
    held, done = threading.Event(), threading.Event()

    def holds():
        with getattr(store._files, lock):
            held.set()
            done.wait(60)

    def works():
        if lock == "saving":
            store.save_attribute("distance", 1.0)
        store._files._descriptors.clear()
        read = np.array_equal(stack[2], whole[2]) and np.array_equal(
            store.load_attribute("data", [3], verbose=False), whole[3:4]
        )
        store.save_attribute("distance", 2.0)
        return read and store.load_attribute("distance") == 2.0

    holder = threading.Thread(target=holds)
    holder.start()
    assert held.wait(20)
    try:
        assert in_child(works)
    finally:
        done.set()
        holder.join()


def test_a_child_that_ends_while_it_shows_a_bar_stops_nobody(names, parts):
    store = CXIStore(names)
    store.load_attribute("data")  # the bar's lock is there before the fork
    assert in_child(lambda: tqdm_lock().acquire() is not False)
    loader = threading.Thread(target=store.load_attribute, args=("data",), daemon=True)
    loader.start()
    loader.join(20)
    assert not loader.is_alive()
