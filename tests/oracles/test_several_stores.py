"""Several stores on one file, in any modes, copies and other programs: no save is lost unsaid."""

import pickle
from pathlib import Path

import h5py
import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from scipy import constants

from cxistack import CXIError, CXIProtocol, CXIStore, FileChangedError, LayoutError
from factory import put
from factory.folders import fast_folder, names_in

HC = constants.h * constants.c
PROTOCOL = CXIProtocol(
    {"data": "uint", "mask": "bool", "rows": "float", "white": "float", "x": "float"}
    | {"energy": "float", "wavelength": "float"},
    {"data": ["/data"], "mask": ["/mask"], "rows": ["/rows"], "white": ["/white"], "x": ["/x"]}
    | {"energy": ["/energy", "/wavelength"], "wavelength": ["/wavelength", "/energy"]},
    {"data": "stack", "mask": "stack", "rows": "sequence", "white": "frame"},
    units={"energy": ["J", "m"], "wavelength": ["m", "J"], "rows": ["mm"], "x": ["mm"]},
)
STACKS = {"data": (3, 4), "mask": (3, 4), "rows": (2,)}
SHAPES = {
    "white": st.sampled_from([(3, 4), (2, 3, 4), (0, 4), (5, 2)]),
    "x": st.sampled_from([(), (1,), (2, 2), (0,)]),
}
OTHER = {"energy": "wavelength", "wavelength": "energy"}
SLOTS = st.integers(0, 1)
MODES = st.sampled_from(["w", "w", "a", "r+"])


class Slot:
    def __init__(self, store, mode, version):
        self.store, self.mode, self.version = store, mode, version
        self.is_to_come = mode == "w"

    def copy(self):
        new = Slot(pickle.loads(pickle.dumps(self.store)), self.mode, self.version)
        new.is_to_come = self.is_to_come
        return new


class Stores(RuleBasedStateMachine):
    @initialize(modes=st.tuples(MODES, MODES))
    def begin(self, modes):
        self.scratch = fast_folder()
        self.folder = Path(self.scratch.name)
        self.path = self.folder / "run.cxi"
        self.model, self.version, self.seed = None, 0, 0  # no file
        self.slots = {}
        for n, mode in enumerate(modes):
            self.open(n, mode, True)

    def teardown(self):
        for slot in getattr(self, "slots", {}).values():
            slot.store.close()
        if hasattr(self, "scratch"):
            self.scratch.cleanup()

    def draw(self, attr, shape):
        self.seed += 1
        dtype = {"data": "uint16", "mask": "bool"}.get(attr, "float64")
        return np.random.default_rng(self.seed).integers(0, 200, shape).astype(dtype)

    @rule(n=SLOTS, mode=MODES, safe=st.booleans())
    def open(self, n, mode, safe):
        if mode == "r+" and self.model is None:
            mode = "w"
        if n in self.slots:
            self.slots.pop(n).store.close()
        if mode == "a" and self.model is None:
            self.model = {}
            self.version += 1
        store = CXIStore(self.path, mode, PROTOCOL, safe=safe)
        self.slots[n] = Slot(store, mode, self.version)

    @rule(n=SLOTS, to=SLOTS)
    def copy(self, n, to):
        if n in self.slots and n != to:
            if to in self.slots:
                self.slots.pop(to).store.close()
            self.slots[to] = self.slots[n].copy()

    @rule(n=SLOTS, how=st.sampled_from(["update", "reopen", "look"]))
    def look(self, n, how):
        if n in self.slots:
            store = self.slots[n].store
            if how == "update":
                store.update_indices()
            elif how == "reopen":
                store.close()
                store.open()
            else:
                _ = store.found

    def save(self, n, attr, array, mode, idxs, change, refuses=False):
        """Save, and do to the model what `change` does to the attribute."""
        slot = self.slots.get(n)
        if slot is None:
            return
        is_changed = slot.version != self.version
        there = {} if slot.is_to_come or self.model is None else self.model
        refuses = refuses or not self.fits(attr, change(there.get(attr)), there)
        try:
            slot.store.save_attribute(attr, array, mode, idxs)
        except FileChangedError:
            assert slot.is_to_come
            assert is_changed
            assert self.model is not None
            return
        except LayoutError:
            assert refuses
            return
        except (CXIError, FileNotFoundError):
            assert self.model is None  # deleted; only a store that replaces can make it anew
            assert not slot.is_to_come
            return
        assert not refuses
        if slot.is_to_come:
            assert not is_changed or self.model is None
            self.model = {}
        slot.is_to_come = False
        self.model[attr] = change(self.model.get(attr))
        self.version += 1

    def fits(self, attr, new, there):
        """Tell whether what is saved goes with the frames of data, also when these are none."""
        if attr not in ("mask", "rows", "white") or "data" not in there:
            return True
        if attr == "white":
            return new.shape[-2:] == STACKS["data"]
        return len(new) == len(there["data"])

    @rule(n=SLOTS, attr=st.sampled_from(list(STACKS)), count=st.integers(0, 3))
    def overwrite(self, n, attr, count):
        array = self.draw(attr, (count, *STACKS[attr]))
        self.save(n, attr, array, "overwrite", None, lambda old: array)

    @rule(n=SLOTS, attr=st.sampled_from(list(STACKS)), count=st.integers(0, 3))
    def append(self, n, attr, count):
        array = self.draw(attr, (count, *STACKS[attr]))
        self.save(
            n,
            attr,
            array,
            "append",
            None,
            lambda old: array if old is None else np.concatenate([old, array]),
        )

    @rule(
        n=SLOTS,
        attr=st.sampled_from(list(SHAPES)),
        data=st.data(),
        mode=st.sampled_from(["overwrite", "append"]),
    )
    def save_single(self, n, attr, data, mode):
        array = self.draw(attr, data.draw(SHAPES[attr]))
        self.save(n, attr, array, mode, None, lambda old: array)

    @rule(n=SLOTS, attr=st.sampled_from(list(OTHER)), level=st.sampled_from([1.0, 2.0]))
    def save_quantity(self, n, attr, level):
        value = level * 1e-15 if attr == "energy" else HC / (level * 1e-15)
        slot = self.slots.get(n)
        refuses = False
        if slot is not None and not slot.is_to_come and self.model:
            other = self.model.get(OTHER[attr])
            refuses = other is not None and not np.isclose(other, HC / value, rtol=1e-6, atol=0)
        self.save(n, attr, value, "overwrite", None, lambda old: np.float64(value), refuses)

    @precondition(lambda self: self.model is not None)
    @rule(count=st.integers(0, 3), what=st.sampled_from(["writes", "writes", "writes", "deletes"]))
    def another_program(self, count, what):
        self.path.unlink()
        self.model = None
        if what == "writes":
            self.model = {"data": self.draw("data", (count, 3, 4))}
            put(self.path, {"/data": self.model["data"]}, "w")
        self.version += 1

    @invariant()
    def the_file_is_the_model(self):
        if not hasattr(self, "model"):
            return
        if self.model is None:
            assert names_in(self.folder) == []
            return
        assert names_in(self.folder) == ["run.cxi"]
        with h5py.File(self.path) as h5:
            for attr in PROTOCOL:
                assert (attr in h5) == (attr in self.model), attr
        with CXIStore(self.path, protocol=PROTOCOL) as fresh:
            for attr, array in self.model.items():
                loaded = fresh.load_attribute(attr, verbose=False)
                frames = len(self.model.get("data", ()))
                if attr == "mask" and len(array) == 1 and frames:  # one mask for all frames
                    array = np.broadcast_to(array, (frames, *STACKS["data"]))
                np.testing.assert_array_equal(loaded, array, attr)


TestStores = Stores.TestCase
TestStores.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
