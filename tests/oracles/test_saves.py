"""Any course of saves, failures and reopenings leaves what it leaves of a dictionary of arrays."""

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cxistack import CXIError, CXIStore, LayoutError
from factory import DATA, DISTANCE, TRANSLATIONS, WHITEFIELD, put
from factory.folders import fast_folder, names_in

FRAMES = {"data": ((3, 4), "uint16"), "translations": ((3,), "float64"), "mask": ((3, 4), "bool")}
SINGLES = ("whitefield", "distance")
SHAPES = {"whitefield": st.sampled_from([(3, 4), (5, 2)]), "distance": st.sampled_from([(), (2,)])}
FAILING = ["fsync", "replace", "open", "pwrite", "ftruncate", "posix_fallocate", "fchmod", "close"]


def values(shape, dtype, seed):
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


@contextmanager
def failing(function, nth):
    """Let the nth call of a function of `os` fail; the writing itself fails in test_failures.py."""
    real, calls = getattr(os, function), 0

    def fails(*args, **options):
        nonlocal calls
        calls += 1
        if calls == nth:
            if function == "close":
                real(*args)
            raise OSError(28, "No space left on device")
        return real(*args, **options)

    with mock.patch.object(os, function, fails):
        yield


class Saves(RuleBasedStateMachine):
    @initialize(made=st.sampled_from(["anew", "by others", "by others, compressed"]))
    def begin(self, made):
        self.scratch = fast_folder()
        self.folder = Path(self.scratch.name)
        self.path = self.folder / "run.cxi"
        self.model, self.waiting, self.seed = {}, None, 0
        if made != "anew":
            self.model = {
                "data": values((2, 3, 4), "uint16", 0),
                "translations": values((2, 3), "float64", 1),
                "whitefield": values((3, 4), "float64", 2),
                "distance": np.float64(0.5),
            }
            paths = dict(zip(self.model, (DATA, TRANSLATIONS, WHITEFIELD, DISTANCE), strict=True))
            put(self.path, {paths[attr]: value for attr, value in self.model.items()})
        if made == "by others, compressed":
            with h5py.File(self.path, "r+") as h5:
                del h5[DATA]
                h5.create_dataset(DATA, data=self.model["data"], chunks=(2, 2, 3), compression=4)
        self.store, self.safe = CXIStore(self.path, mode="a"), True
        self.block = None

    def teardown(self):
        if hasattr(self, "scratch"):
            if self.block is not None:
                self.block.__exit__(KeyError, KeyError("the end"), None)
            self.store.close()
            self.scratch.cleanup()

    def draw(self, shape, dtype):
        self.seed += 1
        return values(shape, dtype, self.seed)

    def save(self, attr, array, mode, idxs, new):
        """Save; what fails, fails whole, and a transaction with it."""
        try:
            self.store.save_attribute(attr, array, mode, idxs)
        except (CXIError, OSError):
            return False
        target = self.model if self.waiting is None else self.waiting
        target[attr] = new
        if self.waiting is not None:
            self.saved.add(attr)
        return True

    def fits(self, attr, new, model):
        """Tell whether what is saved goes with the frames of data, of which none must go ahead."""
        if attr in ("data", "distance") or "data" not in model:
            return True
        return new.shape == (3, 4) if attr == "whitefield" else len(new) == len(model["data"])

    def is_taken(self, attr, new):
        """Tell whether a save is done at once: of a transaction it is seen at the end."""
        return self.waiting is not None or self.fits(attr, new, self.model)

    def now(self, attr):
        return (self.model if self.waiting is None else self.waiting).get(attr)

    @rule(attr=st.sampled_from(list(FRAMES)), count=st.integers(0, 4))
    def overwrite_frames(self, attr, count):
        shape, dtype = FRAMES[attr]
        array = self.draw((count, *shape), dtype)
        assert self.save(attr, array, "overwrite", None, array) == self.is_taken(attr, array)

    @rule(attr=st.sampled_from(list(FRAMES)), count=st.integers(0, 3))
    def append(self, attr, count):
        shape, dtype = FRAMES[attr]
        array, old = self.draw((count, *shape), dtype), self.now(attr)
        new = array if old is None else np.concatenate([old, array])
        assert self.save(attr, array, "append", None, new) == self.is_taken(attr, new)

    @rule(attr=st.sampled_from(list(FRAMES)), order=st.permutations(range(5)), n=st.integers(1, 4))
    def insert(self, attr, order, n):
        shape, dtype = FRAMES[attr]
        old = self.now(attr)
        old = np.zeros((0, *shape), dtype) if old is None else old
        idxs = list(order[:n])
        array = self.draw((n, *shape), dtype)
        length = max(len(old), max(idxs) + 1)
        new = np.concatenate([old, np.zeros((length - len(old), *shape), dtype)])
        new[idxs] = array
        leaves_gap = not set(range(len(old), length)) <= set(idxs)
        if self.waiting is not None and leaves_gap:
            return  # a refusal ends the transaction, which another rule does
        is_taken = not leaves_gap and self.is_taken(attr, new)
        assert self.save(attr, array, "insert", idxs, new) == is_taken

    @rule(attr=st.sampled_from(SINGLES), data=st.data())
    def overwrite_single(self, attr, data):
        array = self.draw(data.draw(SHAPES[attr]), "float64")
        assert self.save(attr, array, "overwrite", None, array) == self.is_taken(attr, array)

    @rule(attr=st.sampled_from(SINGLES))
    def refused(self, attr):
        if self.waiting is None:
            assert not self.save(attr, np.full((2, 2), "far"), "overwrite", None, None)

    @precondition(lambda self: self.waiting is None and self.safe)
    @rule(function=st.sampled_from(FAILING), nth=st.integers(1, 4), count=st.integers(1, 3))
    def fail(self, function, nth, count):
        array = self.draw((count, 3, 4), "uint16")
        with failing(function, nth):
            done = self.save("data", array, "overwrite", None, array)
        if not done and function == "fsync" and nth == 2:  # of the folder: the file has its name
            self.model["data"] = array

    @precondition(lambda self: self.waiting is None and self.safe)
    @rule()
    def begin_transaction(self):
        self.block = self.store.transaction()
        self.block.__enter__()
        self.waiting, self.saved = dict(self.model), set()

    @precondition(lambda self: self.waiting is not None)
    @rule(end=st.sampled_from(["well", "by an error", "by a failing save"]))
    def end_transaction(self, end):
        block, self.block = self.block, None
        waiting, self.waiting = self.waiting, None
        if end == "well":
            if all(self.fits(attr, waiting[attr], waiting) for attr in self.saved):
                block.__exit__(None, None, None)
                self.model = waiting
                return
            with pytest.raises(LayoutError, match="'data'"):
                block.__exit__(None, None, None)
            return
        error = ZeroDivisionError("in the block")
        try:
            if end == "by a failing save":
                with failing("posix_fallocate", 1):
                    self.store.save_attribute("data", self.draw((1, 3, 4), "uint16"))
        except OSError as caught:
            error = caught
        with suppress(type(error)):
            block.__exit__(type(error), error, None)

    @precondition(lambda self: self.waiting is None)
    @rule(mode=st.sampled_from(["a", "r+"]), safe=st.booleans())
    def reopen(self, mode, safe):
        self.store.close()
        self.store, self.safe = CXIStore(self.path, mode=mode, safe=safe), safe

    @precondition(lambda self: self.waiting is None)
    @rule(attr=st.sampled_from(SINGLES))
    def another_store_saves(self, attr):
        array = self.draw((3, 4) if attr == "whitefield" else (), "float64")
        with CXIStore(self.path, mode="r+") as other:
            other.save_attribute(attr, array)
        self.model[attr] = array

    @invariant()
    def the_file_is_the_model(self):
        if not hasattr(self, "store"):
            return
        with CXIStore(self.path) as fresh:
            assert set(fresh) == set(self.model)
            for attr, array in self.model.items():
                loaded = fresh.load_attribute(attr, verbose=False)
                np.testing.assert_array_equal(loaded, array, attr)
        if self.waiting is None:
            assert names_in(self.folder) == ["run.cxi"]


TestSaves = Saves.TestCase
TestSaves.settings = settings(
    max_examples=40,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
