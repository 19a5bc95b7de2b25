"""Stores in threads and in other processes; thousands of files, millions of frames."""

import pickle
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

import factory
from cxistack import CastError, Crop, CXIStore, Downscale
from factory import DATA, DISTANCE, frames, put


@pytest.fixture
def parts():
    return [frames(4, start=500 * n) for n in range(3)]


@pytest.fixture
def names(tmp_path, parts):
    return factory.many_files(tmp_path, parts)


class TestPickling:
    def test_a_store_loads_the_same_after_it(self, names, parts):
        store = CXIStore(names)
        store.load_attribute("data", [0])
        copy = pickle.loads(pickle.dumps(store))
        assert copy.filenames() == names
        assert copy.protocol == store.protocol
        assert copy
        np.testing.assert_array_equal(copy.load_attribute("data"), np.concatenate(parts))

    def test_a_closed_store_stays_closed(self, names):
        store = CXIStore(names)
        store.close()
        copy = pickle.loads(pickle.dumps(store))
        assert not copy
        with copy:
            assert len(copy.load_attribute("data")) == 12

    def test_a_w_store_that_has_saved_does_not_replace_the_file_again(self, tmp_path):
        store = CXIStore(tmp_path / "new.cxi", mode="w")
        store.save_attribute("distance", 1.0)
        copy = pickle.loads(pickle.dumps(store))
        copy.save_attribute("wavelength", 2.0)
        assert set(CXIStore(tmp_path / "new.cxi")) == {"distance", "wavelength"}

    def test_a_lazy_stack_goes_with_its_store(self, names, parts):
        lazy = pickle.loads(pickle.dumps(CXIStore(names)["data"]))
        np.testing.assert_array_equal(lazy[5:9], np.concatenate(parts)[5:9])

    def test_errors_keep_what_they_say(self, tmp_path):
        data = frames(3, dtype="int32")
        data[1, 2, 3] = -1
        store = CXIStore(put(tmp_path / "a.cxi", {DATA: data}))
        with pytest.raises(CastError) as caught:
            store.load_attribute("data")
        copy = pickle.loads(pickle.dumps(caught.value))
        assert str(copy) == str(caught.value)
        assert copy.offence == caught.value.offence

    def test_another_process_loads_from_a_pickled_store(self, names, tmp_path):
        (tmp_path / "store.pickle").write_bytes(pickle.dumps(CXIStore(names)))
        code = (
            "import pickle, sys; store = pickle.load(open(sys.argv[1], 'rb'));"
            "print(store.load_attribute('data', [11, 0], verbose=False)[:, 0, 0])"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "store.pickle")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == "[1105    0]\n"


class TestThreads:
    def test_that_load_from_one_store_at_once(self, names, parts):
        whole = np.concatenate(parts)
        store = CXIStore(names)

        def loads(seed):
            idxs = np.random.default_rng(seed).integers(-12, 12, 9)
            crop = Crop([seed % 3, 5, 0, 7 - seed % 4])
            loaded = store.load_attribute("data", idxs, transform=crop, num_threads=1 + seed % 3)
            return np.array_equal(loaded, crop.forward(whole[idxs]))

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(loads, range(64)))

    def test_of_which_one_closes_other_files_of_hdf5(self, names, parts, tmp_path):
        """Which files are open for writing is asked of HDF5 at each load and save."""
        whole, stop = np.concatenate(parts), threading.Event()

        def opens_and_closes(name):
            while not stop.is_set():
                with h5py.File(name, "a"):
                    pass

        others = [put(tmp_path / f"other_{n}.h5", {DATA: frames(1)}) for n in range(3)]
        results = put(tmp_path / "results.cxi", {DISTANCE: 0.0})
        switch = sys.getswitchinterval()
        sys.setswitchinterval(1e-4)
        try:
            with ThreadPoolExecutor(3) as pool, CXIStore(results, mode="r+") as saving:
                opening = [pool.submit(opens_and_closes, name) for name in others]
                try:
                    for number in range(12):
                        loaded = CXIStore(names).load_attribute("data", verbose=False)
                        np.testing.assert_array_equal(loaded, whole)
                        saving.save_attribute("distance", number)
                finally:
                    stop.set()
                assert [one.result() for one in opening] == [None] * 3
        finally:
            sys.setswitchinterval(switch)

    def test_that_ask_for_an_attribute_for_the_first_time_at_once(self, tmp_path):
        values = {DATA: frames(3), **factory.attributes(3)}
        names = [put(tmp_path / f"{n}.cxi", values) for n in range(8)]
        store = CXIStore(names)
        attrs = ["mask", "translations", "data", "distance", "whitefield"] * 8
        with ThreadPoolExecutor(8) as pool:
            loaded = list(pool.map(lambda attr: store.load_attribute(attr, verbose=False), attrs))
        for attr, value in zip(attrs, loaded, strict=True):
            np.testing.assert_array_equal(value, CXIStore(names).load_attribute(attr))

    def test_of_which_one_closes_the_store(self, names):
        store = CXIStore(names)

        def loads(_):
            try:
                return len(store.load_attribute("data"))
            except RuntimeError:  # closed
                return 12

        with ThreadPoolExecutor(4) as pool:
            results = pool.map(loads, range(40))
            store.close()
            assert set(results) == {12}

    def test_of_which_one_closes_the_store_leave_no_file_open(self, names):
        store, begun, stop = CXIStore(names), threading.Event(), threading.Event()

        def looks():
            with store._files.reading(names[0]):
                begun.set()
                stop.wait(20)

        reader = threading.Thread(target=looks)
        reader.start()
        assert begun.wait(20)
        store.close()
        stop.set()
        reader.join()
        with h5py.File(names[0], "r+"):
            pass

    def test_a_load_leaves_no_thread_behind(self, names):
        CXIStore(names).load_attribute("data", num_threads=6)
        assert not {f"cxistack-{k}" for k in range(1, 6)} & {
            one.name for one in threading.enumerate()
        }


class TestManyFilesAndFrames:
    def test_more_files_than_descriptors(self, tmp_path):
        names = [put(tmp_path / f"{n}.cxi", {DATA: frames(1, start=n)}) for n in range(300)]
        code = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
import numpy as np
from cxistack import CXIStore
store = CXIStore({str(tmp_path)!r} + "/*.cxi")
for threads in (1, 4):
    data = store.load_attribute("data", verbose=False, num_threads=threads)
    assert (data[:, 0, 0] == np.arange(300)).all()
assert store.problems == []
assert len(repr(store)) and len(store.load_attribute("data", [299, 0, 150], verbose=False)) == 3
"""
        assert len(names) == 300
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def test_that_no_further_file_may_be_opened_is_said_with_what_to_do(self, tmp_path):
        name = put(tmp_path / "run.cxi", {DATA: frames(1), DISTANCE: 0.0})
        code = f"""
import os, resource
from cxistack import CXIStore, StorageError
store = CXIStore({name!r}, mode="r+")
store.save_attribute("distance", 0.5)  # what is imported on demand
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
for use in (
    lambda: CXIStore({name!r}).load_attribute("data", verbose=False),
    lambda: store.save_attribute("distance", 1.0),
):
    taken = []
    try:
        while True:
            taken.append(os.open({name!r}, os.O_RDONLY))
    except OSError:
        pass
    while taken:
        try:
            use()
            break
        except StorageError as error:
            print("ulimit -n" in str(error) or error)
        os.close(taken.pop())
    else:
        print("never done")
    for number in taken:
        os.close(number)
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert set(done.stdout.split()) == {"True"}

    def test_a_virtual_dataset_over_more_files_than_descriptors_is_right_or_raises(self, tmp_path):
        name = factory.virtual(tmp_path, [frames(1, (2, 2), start=n + 1) for n in range(150)])[0]
        code = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
import numpy as np
from cxistack import CXIError, CXIStore
try:
    data = CXIStore({name!r}).load_attribute("data", verbose=False)
except CXIError as error:
    assert "virtual.cxi" in str(error), error
else:
    assert (data[:, 0, 0] == np.arange(1, 151)).all()
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    @pytest.fixture
    def million(self, tmp_path):
        names = []
        for n in range(2):
            names.append(str(tmp_path / f"{n}.h5"))
            with h5py.File(names[-1], "w") as h5:
                data = h5.create_dataset(DATA, (10**6, 4, 4), "uint16", chunks=(1000, 4, 4))
                data[-1] = 7
        return names

    def test_the_frame_index_costs_memory_by_file(self, million):
        CXIStore(million[0]).load_attribute("data", [0])  # what is imported on demand
        tracemalloc.start()
        try:
            store = CXIStore(million)
            assert store["data"].shape == (2 * 10**6, 4, 4)
            assert "2000000" in repr(store)
            loaded = store.load_attribute("data", [-1, 999_999, 5], num_threads=1)
            store.explain("data", [-1], transform=Downscale(2))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        np.testing.assert_array_equal(loaded[:, 0, 0], [7, 7, 0])
        assert peak < 4e6  # a number for each frame would take 16 MB

    def test_a_few_frames_of_a_million_are_those(self, million):
        store = CXIStore(million)
        lazy = store["data"]
        assert lazy[10**6 - 1, 1, 1] == lazy[-1, 3, 3] == 7
        assert not lazy[10**6 : 10**6 + 3].any()
        assert len(store.load_attribute("data", slice(None, None, 400_000))) == 5
