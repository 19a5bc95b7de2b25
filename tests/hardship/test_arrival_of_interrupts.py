"""Every Ctrl-C during saves arrives, also one that comes while Python runs a callback."""

import gc
import importlib
import os
import select
import signal
import sys
import time
import weakref

import h5py
import numpy as np
import pytest

from cxistack import CXIStore
from factory import DISTANCE, put
from factory.children import start
from factory.folders import names_in

TIMES = 200


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_all_of_them_arrive(tmp_path):
    name = put(tmp_path / "run.cxi", {DISTANCE: 0.0})
    code = f"""
        import gc
        gc.set_threshold(50)  # callbacks run often
        store = CXIStore({name!r}, "r+")
        store.save_attribute("distance", 0.0)
        for number in range({TIMES}):
            try:
                print("saving", flush=True)
                while True:
                    store.save_attribute("distance", number)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
        store.save_attribute("distance", 1000.0)
        """
    rng = np.random.default_rng(3)
    with start(code, alarm=300) as child:
        for number in range(TIMES):
            assert child.stdout.readline() == "saving\n", child.stderr.read()
            time.sleep(rng.uniform(0.001, 0.05))
            child.send_signal(signal.SIGINT)
            came, _, _ = select.select([child.stdout], [], [], 10)
            if not came:
                child.kill()
                pytest.fail(f"interrupt {number} did not arrive")
            assert child.stdout.readline() == "interrupted\n", child.stderr.read()
        assert child.wait() == 0, child.stderr.read()
    with h5py.File(name) as h5:
        assert h5[DISTANCE][()] == 1000
    assert names_in(tmp_path) == ["run.cxi"]


class Collected:
    """Something whose end is told to a callback, into which the interrupt comes."""


def interrupted_in_a_callback(_):
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):  # Python looks for signals here
        pass


@pytest.mark.parametrize("when", ["before it is written", "before it is committed"])
def test_one_in_a_callback_is_raised_and_nothing_is_saved(tmp_path, monkeypatch, when):
    name = put(tmp_path / "run.cxi", {DISTANCE: 0.5})
    store = CXIStore(name, "r+")
    store.save_attribute("distance", 0.5)
    step = "prepare" if when == "before it is written" else "run"
    saving = importlib.import_module("cxistack.saving.save")
    real = getattr(saving, step)

    def with_a_callback(*words, **options):
        one = Collected()
        reference = weakref.ref(one, interrupted_in_a_callback)
        del one
        gc.collect()
        assert reference() is None
        return real(*words, **options)

    with monkeypatch.context() as patch:
        patch.setattr(saving, step, with_a_callback)
        with pytest.raises(KeyboardInterrupt):
            store.save_attribute("distance", 0.75)
    with h5py.File(name) as h5:
        assert h5[DISTANCE][()] == 0.5
    assert names_in(tmp_path) == ["run.cxi"]
    store.save_attribute("distance", 0.25)
    assert store.load_attribute("distance") == 0.25


def test_other_exceptions_in_callbacks_go_where_they_went(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: told.append(what.exc_type))
    store = CXIStore(put(tmp_path / "run.cxi", {DISTANCE: 0.5}), "r+")
    hook = sys.unraisablehook

    def fails(_):
        raise ZeroDivisionError

    with store.transaction():
        store.save_attribute("distance", 0.75)
        one = Collected()
        reference = weakref.ref(one, fails)
        del one
        assert reference() is None
    assert told == [ZeroDivisionError]
    assert sys.unraisablehook is hook
    assert store.load_attribute("distance") == 0.75
