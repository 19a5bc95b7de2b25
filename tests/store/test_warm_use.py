"""A store that has loaded once, in forks, other processes and threads; what it gives is one's own.

The oracle is the array that was written.
"""

import os
import pickle
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import h5py
import numpy as np
import pytest

from cxistack import ClosedStoreError, CXIStore, Downscale, FileChangedError
from factory import LAYOUTS, frames
from factory.runs import COUNT, PROTOCOL, SHAPE, Run, states, write

RUNS = ["contiguous", "several frames a chunk", "bitshuffle", "bitshuffle, several frames"]
RUNS += ["deflate, several frames", "lzf", "virtual", "external links"]
FILES = 3
WHOLE = np.concatenate(states(FILES))


@pytest.fixture(params=RUNS)
def warm(request, tmp_path):
    """Return a store that has loaded all frames, some, and one, and its lazy array."""
    with Run(tmp_path, request.param, FILES).open() as store:
        lazy = store["data"]
        warmed(store, lazy)
        yield store, lazy


def warmed(store, lazy):
    store.load_attribute("data", verbose=False)
    store.load_attribute("data", [3, 1], transform=Downscale(2), verbose=False)
    lazy[0], lazy[-1], lazy[2:9], lazy[[1, 1]]


def gives_all(store, lazy):
    """Check a store's every way against the frames that were written."""
    for number in (0, 5, -1, COUNT, 2 * COUNT + 3):
        np.testing.assert_array_equal(lazy[number], WHOLE[number])
    np.testing.assert_array_equal(lazy[4:15:3, 1:], WHOLE[4:15:3, 1:])
    np.testing.assert_array_equal(store["data"][[9, 0, 9]], WHOLE[[9, 0, 9]])
    np.testing.assert_array_equal(store.load_attribute("data", verbose=False), WHOLE)
    return True


# ---------------------------------------------------------------- other processes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_loads_and_its_parent_goes_on(warm):
    store, lazy = warm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests' threads and fork
        child = os.fork()
    if child == 0:
        signal.alarm(20)
        status = 1
        try:
            status = 0 if gives_all(store, lazy) and gives_all(store, store["data"]) else 2
            store.close()
        finally:
            os._exit(status)
    gives_all(store, lazy)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    gives_all(store, lazy)


@pytest.fixture(scope="module")
def process():
    with get_context("spawn").Pool(1) as pool:
        yield pool


def test_a_pickled_store_loads_in_a_new_process(warm, process):
    store, lazy = warm
    assert process.apply_async(loads_all, (pickle.dumps(store),)).get(60)
    gives_all(store, lazy)


def loads_all(pickled):
    with pickle.loads(pickled) as store:
        return gives_all(store, store["data"])


def test_what_is_pickled_is_words_and_not_frames(warm):
    store, _ = warm
    with CXIStore(store.filenames(), protocol=PROTOCOL) as other:
        other.describe("data")
        looked_at = len(pickle.dumps(other))
    pickled = pickle.dumps(store)
    assert len(pickled) <= looked_at + 500
    assert WHOLE[3, 1].tobytes() not in pickled


# ---------------------------------------------------------------- threads


def test_eight_threads_read_single_frames_of_one_store(warm):
    _, lazy = warm
    start = threading.Barrier(8)

    def work(seed):
        start.wait(20)
        for number in np.random.default_rng(seed).integers(-len(WHOLE), len(WHOLE), 60):
            np.testing.assert_array_equal(lazy[int(number)], WHOLE[number])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_eight_threads_warm_one_new_store_at_once(warm):
    names = warm[0].filenames()
    start = threading.Barrier(8)
    with CXIStore(names, protocol=PROTOCOL) as store:

        def work(seed):
            start.wait(20)
            number = seed * 2
            if seed % 2:
                return np.array_equal(store["data"][number], WHOLE[number])
            return np.array_equal(store.load_attribute("data", [number])[0], WHOLE[number])

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(8)))


@pytest.mark.parametrize("files", [1, 2])
@pytest.mark.parametrize(
    "layout",
    ["contiguous", "several frames a chunk", "bitshuffle", "bitshuffle, several frames", "lzf"],
)
def test_threads_read_frames_while_the_file_is_replaced_again_and_again(tmp_path, layout, files):
    """All pixels of a file's state have its number: a mixture, or a state of the past, is seen."""
    run = Run(tmp_path, layout, files)
    states = 40
    write(run.victim, np.zeros((COUNT, *SHAPE), "uint16"), layout)
    for state in range(1, states):
        write(tmp_path / f"state_{state}", np.full((COUNT, *SHAPE), state, "uint16"), layout)
    done, stop = [0], threading.Event()
    first = (files - 1) * COUNT  # of the file that is replaced
    loaded, wrong = [0] * 8, []

    def reads(thread):
        rng = np.random.default_rng(thread)
        while not stop.is_set() and not wrong:
            number = first + int(rng.integers(COUNT))
            least = done[0]
            try:
                frame = lazy[number]
            except FileChangedError:
                continue
            if not least <= frame[0, 0] <= done[0] + 1 or (frame != frame[0, 0]).any():
                wrong.append((least, done[0], frame))
            loaded[thread] += 1

    with run.open() as store:
        lazy = store["data"]
        warmed(store, lazy)
        with ThreadPoolExecutor(8) as pool:
            readers = [pool.submit(reads, thread) for thread in range(8)]
            try:
                for state in range(1, states):
                    (tmp_path / f"state_{state}").replace(run.victim)
                    done[0] = state
                    stop.wait(0.01)
                    before = sum(loaded)
                    while (
                        state % 10 == 0
                        and sum(loaded) == before
                        and not any(reader.done() for reader in readers)
                    ):
                        stop.wait(0.01)  # a slow machine reads between two of these, too
            finally:
                stop.set()
            for reader in readers:
                reader.result(30)
        assert not wrong
        assert sum(loaded) > 0
        np.testing.assert_array_equal(lazy[first], np.full(SHAPE, states - 1))


# ---------------------------------------------------------------- closed and opened again


def test_an_array_of_a_store_that_was_closed_loads_after_open(warm):
    store, lazy = warm
    store.close()
    with pytest.raises(ClosedStoreError):
        store.load_attribute("data", [0])
    store.open()
    gives_all(store, lazy)


def test_an_array_of_a_closed_store_raises(warm):
    store, lazy = warm
    store.close()
    for call in (lambda: lazy[0], lambda: lazy[2:5], lambda: lazy[[1]], lambda: list(lazy)):
        with pytest.raises(ClosedStoreError):
            call()


@pytest.mark.parametrize("layout", RUNS)
def test_what_changed_while_a_store_was_closed_is_seen_after_open(tmp_path, layout):
    run = Run(tmp_path, layout, 2)
    store = run.open()
    lazy = store["data"]
    warmed(store, lazy)
    store.close()
    write(run.victim, states(1, 30_000)[0], layout)
    with store:
        np.testing.assert_array_equal(lazy[COUNT + 1], states(1, 30_000)[0][1])
        np.testing.assert_array_equal(lazy[1], WHOLE[1])
        whole = np.concatenate([states(1)[0], states(1, 30_000)[0]])
        np.testing.assert_array_equal(store.load_attribute("data", verbose=False), whole)


def test_an_array_outlives_the_name_of_its_store(tmp_path):
    lazy = Run(tmp_path, "bitshuffle, several frames", 2).open()["data"]
    np.testing.assert_array_equal(lazy[3], WHOLE[3])
    np.testing.assert_array_equal(lazy[[COUNT, 1]], WHOLE[[COUNT, 1]])


# ---------------------------------------------------------------- iteration


def test_going_through_the_frames_gives_those_of_the_whole_load(warm):
    _, lazy = warm
    one_by_one = list(lazy)
    assert len(one_by_one) == len(WHOLE)
    assert {frame.shape for frame in one_by_one} == {SHAPE}
    assert {frame.dtype for frame in one_by_one} == {lazy.dtype}
    np.testing.assert_array_equal(np.stack(one_by_one), WHOLE)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_going_through_the_frames_of_any_layout(tmp_path, layout):
    parts = [frames(count, start=start) for count, start in ((2, 0), (0, 0), (3, 500), (1, 900))]
    with CXIStore(LAYOUTS[layout](tmp_path, parts)) as store:
        np.testing.assert_array_equal(np.stack(list(store["data"])), np.concatenate(parts))
        np.testing.assert_array_equal(np.stack(list(store["data"])), np.concatenate(parts))


@pytest.mark.parametrize(
    "key",
    [slice(None, None, -1), slice(None, None, -4), slice(15, 2, -3), slice(3, 3), slice(1, 99, 5)],
    ids=str,
)
def test_steps_either_way_through_the_frames(warm, key):
    _, lazy = warm
    np.testing.assert_array_equal(lazy[key], WHOLE[key])
    numbers = range(len(WHOLE))[key]
    for number, expected in zip(numbers, WHOLE[key], strict=True):
        np.testing.assert_array_equal(lazy[number], expected)
        np.testing.assert_array_equal(lazy[number - len(WHOLE)], expected)


def test_two_iterations_at_once_and_other_calls_between(warm):
    store, lazy = warm
    for number, (first, second) in enumerate(zip(lazy, reversed(lazy), strict=True)):
        np.testing.assert_array_equal(first, WHOLE[number])
        np.testing.assert_array_equal(second, WHOLE[-1 - number])
        if number % 5 == 0:
            np.testing.assert_array_equal(lazy[(7 * number) % len(WHOLE)], WHOLE[(7 * number) % 18])
            np.testing.assert_array_equal(store.load_attribute("data", [number])[0], WHOLE[number])


def test_a_file_that_is_replaced_during_an_iteration_gives_frames_of_one_of_its_states(tmp_path):
    run = Run(tmp_path, "bitshuffle, several frames", 2)
    new = states(1, 30_000)[0]
    with run.open() as store:
        found = []
        try:
            for frame in store["data"]:
                found.append(np.array(frame))
                if len(found) == COUNT + 2:
                    write(tmp_path / "new.h5", new, run.layout)
                    (tmp_path / "new.h5").replace(run.victim)
        except FileChangedError:
            pass
    assert len(found) >= COUNT + 2
    for number, frame in enumerate(found):
        is_old = np.array_equal(frame, WHOLE[number])
        assert is_old or (number >= COUNT + 2 and np.array_equal(frame, new[number - COUNT]))


# ---------------------------------------------------------------- each result is the caller's own


WAYS = {
    "an int": lambda store, lazy: lazy[1],
    "an int of the second file": lambda store, lazy: lazy[COUNT + 1],
    "a row": lambda store, lazy: lazy[1, 2],
    "a slice": lambda store, lazy: lazy[0:3],
    "a list": lambda store, lazy: lazy[[1, 2, 1]],
    "a region": lambda store, lazy: lazy[1, 1:3, 2:5],
    "a step": lambda store, lazy: lazy[::-2],
    "load_attribute": lambda store, lazy: store.load_attribute("data", verbose=False),
    "load_attribute of one": lambda store, lazy: store.load_attribute("data", 1),
    "bins": lambda store, lazy: store.load_attribute(
        "data", [1], transform=Downscale(2, mode="sum")
    ),
    "iteration": lambda store, lazy: next(iter(lazy)),
    "later in an iteration": lambda store, lazy: list(lazy)[3],
}


@pytest.mark.parametrize("way", WAYS)
def test_a_result_is_the_caller_s_own(warm, way):
    store, lazy = warm
    first = WAYS[way](store, lazy)
    assert first.flags.writeable
    kept = first.copy()
    first[...] = 60_000
    second = WAYS[way](store, lazy)
    np.testing.assert_array_equal(second, kept)
    assert not np.shares_memory(first, second)
    second += 1
    gives_all(store, lazy)
    np.testing.assert_array_equal(WAYS[way](store, lazy), kept)


def test_a_result_stays_as_it_is_after_later_calls_and_after_close(warm):
    store, lazy = warm
    results = [WAYS[way](store, lazy) for way in WAYS]
    kept = [result.copy() for result in results]
    for _ in range(3):
        gives_all(store, lazy)
    store.close()
    for result, copy in zip(results, kept, strict=True):
        np.testing.assert_array_equal(result, copy)


def test_frames_of_one_iteration_do_not_share_their_memory(warm):
    _, lazy = warm
    found = []
    for number, frame in enumerate(lazy):
        found.append(frame)
        frame[...] = number
    for number, frame in enumerate(found):
        assert (frame == number).all()


def test_an_out_that_is_given_twice_is_not_kept(warm):
    store, lazy = warm
    out = np.zeros((1, *SHAPE), "uint16")
    store.load_attribute("data", [2], out=out)
    out[...] = 60_000
    np.testing.assert_array_equal(lazy[2], WHOLE[2])
    assert store.load_attribute("data", [3], out=out) is out
    np.testing.assert_array_equal(out[0], WHOLE[3])
    np.testing.assert_array_equal(lazy[2], WHOLE[2])


def test_a_static_mask_stays_what_it_is(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as h5:
        h5["/entry_1/instrument_1/detector_1/data"] = frames(3)
        h5["/entry_1/instrument_1/detector_1/mask"] = np.arange(35).reshape(SHAPE) % 3 > 0
    with CXIStore(path) as store:
        first = store.load_attribute("mask")
        if first.flags.writeable:
            first[...] = False
        np.testing.assert_array_equal(store["mask"][1], np.arange(35).reshape(SHAPE) % 3 > 0)


@pytest.mark.parametrize("layout", ["contiguous", "several frames a chunk", "bitshuffle", "lzf"])
def test_a_new_store_sees_a_file_that_was_written_anew_in_place(tmp_path, layout):
    """HDF5 has one file for all handles of a process: an old store's must not stand for the new."""
    run = Run(tmp_path, layout, 1)
    other = tmp_path / "other.h5"
    write(other, np.full((COUNT, *SHAPE), 7, "uint16"), layout)
    with h5py.File(other, "r+") as h5:
        h5["/more"] = np.arange(300)  # so that nothing lies where it lay
    with run.open() as old:
        np.testing.assert_array_equal(old["data"][:], states(1)[0])
        run.victim.write_bytes(other.read_bytes())
        with CXIStore(run.names, protocol=PROTOCOL) as new:
            assert (new["data"][:] == 7).all()
            assert (new["data"][3] == 7).all()
        assert (old.load_attribute("data", verbose=False) == 7).all()
