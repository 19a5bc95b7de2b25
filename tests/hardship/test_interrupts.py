"""Ctrl-C at any step of a save or a load: the file is old or new, and the store goes on working."""

import contextlib
import dis
import os
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import cxistack
from cxistack import CXIStore
from factory import DATA, WHITEFIELD, put
from factory.folders import names_in, open_in

PACKAGE = str(Path(cxistack.__file__).parent)
# After these Python looks whether a signal has come.
LOOKS = ("CALL", "RESUME", "JUMP_BACKWARD")


class Interrupt:
    """Raises KeyboardInterrupt at the n-th moment at which a signal may be handled in our code.

    It is raised one step late, by which a ``with`` may just have been left without its end: harder
    on our code than Python is, and too hard on h5py's, whose lock would stay locked.
    """

    def __init__(self, nth):
        self.nth, self.count = nth, 0

    def __enter__(self):
        sys.settrace(self.enters)
        return self

    def __exit__(self, *error):
        sys.settrace(None)

    def enters(self, frame, event, argument):
        name = frame.f_code.co_filename
        if not name.startswith(PACKAGE) and name != contextlib.__file__:
            return None
        frame.f_trace_opcodes = True
        looks = False  # whether Python does, just before the step that is told of

        def steps(frame, event, argument):
            nonlocal looks
            if event != "opcode":
                return steps
            if looks:
                self.count += 1
                if self.count == self.nth:
                    sys.settrace(None)
                    raise KeyboardInterrupt
            looks = dis.opname[frame.f_code.co_code[frame.f_lasti]].startswith(LOOKS)
            return steps

        return steps


def save(store, number):
    with store.transaction():
        store.save_attribute("data", np.full((3, 5, 7), number, "uint16"), num_threads=1)
        store.save_attribute("whitefield", np.full((5, 7), number), num_threads=1)


def moments(do):
    with Interrupt(0) as counted:
        do()
    return counted.count


def some(count, share):
    """Return every one of a share of the moments, or 60 of them."""
    all_of_it = np.arange(1, count + 1)[share::4]
    if "CXISTACK_ALL_INTERRUPTS" in os.environ or len(all_of_it) <= 60:
        return all_of_it.tolist()
    return np.random.default_rng().choice(all_of_it, 60, replace=False).tolist()


@pytest.fixture
def name(tmp_path):
    name = put(tmp_path / "run.cxi", {DATA: np.zeros((3, 5, 7), "uint16")}, compression="gzip")
    return put(name, {WHITEFIELD: np.zeros((5, 7))})


@pytest.mark.parametrize("share", range(4))
def test_of_a_save_leaves_old_or_new_and_a_store_that_works(name, tmp_path, share):
    store = CXIStore(name, mode="r+")
    save(store, 1)
    for number, nth in enumerate(some(moments(lambda: save(store, 1)), share), 1):
        with contextlib.suppress(KeyboardInterrupt), Interrupt(nth):
            save(store, 2 * number)
        loaded = store.load_attribute("data", verbose=False)
        white = store.load_attribute("whitefield", verbose=False)
        assert {*loaded.ravel(), *white.ravel()} in ({2 * number - 1}, {2 * number}), nth
        save(store, 2 * number + 1)
        with h5py.File(name) as h5:
            assert {*h5[DATA][...].ravel(), *h5[WHITEFIELD][...].ravel()} == {2 * number + 1}, nth
        assert names_in(tmp_path) == ["run.cxi"], nth
    store.close()
    assert open_in(tmp_path) == []


def test_of_a_load_leaves_a_store_that_works(name, tmp_path):
    def load():
        store.update_indices()
        return store.load_attribute("data", [0, 2], verbose=False, num_threads=1)

    store = CXIStore(name)
    for nth in some(moments(load), 0):
        with contextlib.suppress(KeyboardInterrupt), Interrupt(nth):
            load()
        assert not store.load_attribute("data", verbose=False).any(), nth
        with CXIStore(name, mode="r+") as other:
            other.save_attribute("whitefield", np.full((5, 7), nth))
        assert (store.load_attribute("whitefield") == nth).all()
    store.close()
    assert open_in(tmp_path) == []
