"""Batches read ahead: the frames that were written, in order, however the stream is used and ended.

The oracle is the array that was written.
"""

import gc
import itertools
import os
import signal
import threading
import time
import warnings
import weakref
from multiprocessing import get_context

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import Crop, CXIStore, Downscale, FileChangedError, StorageError
from cxistack.streaming.ring import Ring
from factory import DATA, LAYOUTS, TRANSLATIONS, frames
from factory.folders import open_in

COUNTS, SHAPE = (7, 5, 11), (16, 20)
WHOLE = [frames(count, SHAPE, start=3000 * n) for n, count in enumerate(COUNTS)]
ALL = np.concatenate(WHOLE)
WORKERS = "cxistack-ahead"


@pytest.fixture
def store(tmp_path):
    return CXIStore(LAYOUTS["many_files"](tmp_path, WHOLE))


def workers():
    return [one for one in threading.enumerate() if one.name == WORKERS]


def walked(stream):
    found = [batch.copy() for batch in stream]
    numbers = [one.idxs for one in found]
    return np.concatenate([one.frames for one in found]), np.concatenate(numbers)


@settings(max_examples=40, deadline=None)
@given(
    layout=st.sampled_from(sorted(LAYOUTS)),
    batch=st.none() | st.integers(1, 30),
    prefetch=st.integers(0, 3),
    idxs=st.none()
    | st.lists(st.integers(-4, 3), min_size=1, max_size=9)
    | st.just(slice(None, None, 2)),
    transform=st.sampled_from([None, Crop([2, 9, 1, 12]), Downscale(2, mode="sum")]),
    dtype=st.sampled_from([None, "float32"]),
)
def test_a_stream_is_the_stack(tmp_path_factory, layout, batch, prefetch, idxs, transform, dtype):
    whole = [frames(4, SHAPE)] if layout == "image_2d" else WHOLE
    whole = [one[:1] for one in whole] if layout == "image_2d" else whole
    store = CXIStore(LAYOUTS[layout](tmp_path_factory.mktemp("stream"), whole))
    total = store["data"].shape[0]
    if isinstance(idxs, list):
        idxs = [number % total for number in idxs]
    words = {"transform": transform, "dtype": dtype}
    expected = store.load_attribute("data", idxs, verbose=False, **words)
    found, numbers = walked(store.stream("data", batch, idxs, prefetch=prefetch, **words))
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(numbers, np.arange(total)[slice(None) if idxs is None else idxs])
    assert not workers()


def test_attributes_come_together(tmp_path):
    rng = np.random.default_rng(1)
    positions, static = rng.random((6, 3)), rng.random((16, 20)) > 0.3
    data = frames(6, SHAPE)
    with h5py.File(tmp_path / "run.cxi", "w") as h5:
        h5[DATA], h5[TRANSLATIONS] = data, positions
        h5["/speckle_tracking/mask"] = static
    store = CXIStore(tmp_path / "run.cxi")
    names = ["data", "mask", "translations"]
    seen = 0
    for found, idxs in store.stream(names, batch=4, transform=Crop([0, 4, 0, 5]), dtype="f4"):
        np.testing.assert_array_equal(found["data"], data[idxs, :4, :5])
        np.testing.assert_array_equal(
            found["mask"], np.broadcast_to(static[:4, :5], (len(idxs), 4, 5))
        )
        np.testing.assert_array_equal(found["translations"], positions[idxs])
        assert [found[name].dtype for name in names] == [np.float32, np.bool_, np.float64]
        assert not found["mask"].flags.writeable
        seen += len(idxs)
    assert seen == 6
    types = {"translations": "f4"}
    (found, _), *_ = store.stream(names[1:], dtype=types)
    assert [found[name].dtype for name in names[1:]] == [np.bool_, np.float32]


def test_bad_pixels_become_what_is_said(tmp_path):
    data, good = frames(5, SHAPE), np.random.default_rng(0).random((16, 20)) > 0.5
    with h5py.File(tmp_path / "run.cxi", "w") as h5:
        h5[DATA], h5["/speckle_tracking/mask"] = data, good
    store = CXIStore(tmp_path / "run.cxi")
    found, _ = walked(store.stream("data", 2, dtype="f4", masked="nan"))
    np.testing.assert_array_equal(found, np.where(good, data, np.float32(np.nan)))


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_a_batch_is_valid_until_the_next_two_are_asked_for(store, prefetch):
    stream = store.stream("data", 2, prefetch=prefetch)
    kept = [next(stream)]
    for batch in stream:
        time.sleep(0.002)  # for the thread to fill all that it may
        kept = [*kept, batch][-2:]
        for frames_, idxs in kept:
            np.testing.assert_array_equal(frames_, ALL[idxs])


def test_memory_is_used_again(store):
    addresses = {one.frames.ctypes.data for one in store.stream("data", 1, prefetch=1)}
    assert len(addresses) == 3


def test_a_slow_consumer_holds_the_reader_back(store, monkeypatch):
    made = []
    make = Ring.__init__

    def noted(self, count, ahead, one, is_wanted):
        make(self, count, ahead, lambda k, *rest: (made.append(k), one(k, *rest))[1], is_wanted)

    monkeypatch.setattr(Ring, "__init__", noted)
    stream = store.stream("data", 1, prefetch=2)
    for taken in range(1, 10):
        next(stream)
        time.sleep(0.01)
        assert max(made) < taken + 2 + 1
    stream.close()


# ---------------------------------------------------------------- the caller's memory


def test_batches_go_to_the_callers_buffers(store):
    buffers = [np.empty((4, 40, 20), ALL.dtype)[:, ::2][:, :16] for _ in range(3)]
    stream = store.stream("data", buffers=buffers)
    assert (stream.batch, stream.prefetch) == (4, 1)
    for (found, idxs), buffer in zip(stream, itertools.cycle(buffers), strict=False):
        assert np.shares_memory(found, buffer)
        np.testing.assert_array_equal(found, ALL[idxs])


class Tensor:
    """What gives its memory by DLPack alone."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **words):
        return self._array.__dlpack__(**words)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


def test_buffers_come_by_dlpack(store):
    arrays = [np.zeros((3, 16, 20), ALL.dtype) for _ in range(2)]
    _, idxs = next(store.stream("data", buffers=[Tensor(one) for one in arrays]))
    np.testing.assert_array_equal(arrays[0], ALL[idxs])


@pytest.mark.parametrize(
    ("buffers", "what"),
    [
        ([np.empty((2, 16, 20), "u2")], "2 arrays or more"),
        ([np.empty((2, 16, 20), "f4")] * 2, "a buffer for 'data' is float32"),
        ([np.empty((2, 16, 21), "u2")] * 2, "a buffer for 'data' is uint16"),
        ([np.broadcast_to(np.uint16(0), (2, 16, 20))] * 2, "read-only"),
        ([np.empty((0, 16, 20), "u2")] * 2, "the frames of a buffer is 1 or more"),
        ([{"mask": 0}] * 2, "no array for 'data'"),
        ([[1, 2]] * 2, "is a list: it must be an array"),
        ([np.empty((2, 16, 20), "u2")] * 3, "share memory"),
    ],
)
def test_buffers_that_do_not_fit_are_told(store, buffers, what):
    with pytest.raises(ValueError, match=what):
        store.stream("data", buffers=buffers)


def test_buffers_may_lie_in_one_array(store):
    whole = np.empty((9, 16, 20), ALL.dtype)
    found, _ = walked(store.stream("data", buffers=[whole[k::3] for k in range(3)]))
    np.testing.assert_array_equal(found, ALL)


def test_a_batch_takes_no_more_memory_than_its_frames(store):
    (batch,) = store.stream("data", 10**15)
    assert batch.frames.base.nbytes == ALL.nbytes


def test_a_batch_that_no_buffer_holds_is_told(store):
    with pytest.raises(ValueError, match="hold 2"):
        store.stream("data", 3, buffers=[np.empty((2, 16, 20), "u2")] * 2)


# ---------------------------------------------------------------- pixels above a threshold


@pytest.mark.parametrize("filters", [{}, dict(hdf5plugin.Bitshuffle())])
@pytest.mark.parametrize("mask", [None, "one", "each"])
@pytest.mark.parametrize("transform", [None, Crop([3, 12, 2, 19])])
def test_a_sparse_stream_is_nonzero(tmp_path, filters, mask, transform):
    data = np.random.default_rng(2).poisson(1, (9, *SHAPE)).astype("u2")
    shape = data.shape if mask == "each" else SHAPE
    good = np.random.default_rng(3).random(shape) > 0.3
    with h5py.File(tmp_path / "run.cxi", "w") as h5:
        h5.create_dataset(DATA, data=data, chunks=(1, *SHAPE), **filters)
        h5["/speckle_tracking/mask"] = good
    store = CXIStore(tmp_path / "run.cxi")
    masked = 0 if mask else None
    expected = data if mask is None else np.where(good, data, 0)
    if transform is not None:
        expected = transform.forward(expected)
    idxs = [4, 8, 0, 0, 7]
    stream = store.stream("data", 2, idxs, sparse=1, masked=masked, transform=transform)
    for (hits, numbers), first in zip(stream, (0, 2, 4), strict=True):
        assert numbers.tolist() == idxs[first : first + 2]
        frame, ss, fs = np.nonzero(expected[numbers] > 1)
        np.testing.assert_array_equal(hits.idx, numbers[frame])
        np.testing.assert_array_equal(hits.pixel, ss * expected.shape[-1] + fs)
        np.testing.assert_array_equal(hits.value, expected[numbers][frame, ss, fs])


def test_explain_tells_how_a_sparse_stream_finds_its_pixels(tmp_path):
    with h5py.File(tmp_path / "run.cxi", "w") as h5:
        h5.create_dataset(DATA, data=ALL, chunks=(1, *SHAPE), **hdf5plugin.Bitshuffle())
    store = CXIStore(tmp_path / "run.cxi")
    assert "no frame is made" in store.explain("data", sparse=True)
    assert "loaded, then compared" in store.explain("data", sparse=True, transform=Downscale(2))
    assert "above" not in store.explain("data")


def test_a_sparse_stream_comes_with_other_attributes(tmp_path):
    with h5py.File(tmp_path / "run.cxi", "w") as h5:
        h5[DATA], h5[TRANSLATIONS] = frames(3, SHAPE), np.arange(9.0).reshape(3, 3)
    stream = CXIStore(tmp_path / "run.cxi").stream(["data", "translations"], sparse=900)
    batch = next(stream).copy()
    assert batch.frames["data"].value.tolist() == list(range(901, 960))
    np.testing.assert_array_equal(batch.frames["translations"], np.arange(9.0).reshape(3, 3))


def test_bad_pixels_above_the_threshold_are_told(store):
    with pytest.raises(ValueError, match="above the threshold"):
        store.stream("data", sparse=3, masked=7)
    with pytest.raises(ValueError, match="NaN"):
        store.stream("data", sparse=np.nan)
    with pytest.raises(TypeError, match="one number"):
        store.stream("data", sparse="high")


def test_bad_pixels_that_are_nan_are_above_no_threshold(tmp_path):
    data, good = frames(5, SHAPE), np.random.default_rng(0).random((16, 20)) > 0.5
    with h5py.File(tmp_path / "run.cxi", "w") as h5:
        h5[DATA], h5["/speckle_tracking/mask"] = data, good
    store = CXIStore(tmp_path / "run.cxi")
    (hits, _), *_ = store.stream("data", sparse=200, dtype="f4", masked="nan")
    np.testing.assert_array_equal(hits.pixel, np.nonzero((data * good).reshape(5, -1) > 200)[1])


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({"batch": 0}, "batch is 1 or more"),
        ({"prefetch": -1}, "prefetch is 0 or more"),
        ({"attr": []}, "names no attribute"),
        ({"attr": "wavelength"}, "has no frame axis"),
        ({"shard": (3, 2)}, "shard is"),
        ({"shard": (0.5, 2)}, "shard is"),
    ],
)
def test_words_that_mean_nothing_are_told(tmp_path, words, what):
    with h5py.File(tmp_path / "run.cxi", "w") as h5:
        h5[DATA], h5["/entry_1/instrument_1/source_1/wavelength"] = frames(3, SHAPE), 1e-10
    with pytest.raises(ValueError, match=what):
        CXIStore(tmp_path / "run.cxi").stream(**words)


def test_an_empty_selection_is_an_empty_stream(store):
    stream = store.stream("data", idxs=[])
    assert (len(stream), stream.total, list(stream)) == (0, 0, [])


def test_repr_and_length_tell_how_far_it_is(store):
    stream = store.stream("data", 5)
    assert len(stream) == 5
    next(stream)
    assert repr(stream) == "<stream of data: 5 of 23 frames, 5 a batch>"
    assert len(stream) == 4
    stream.close()


# ---------------------------------------------------------------- shares, another day


def test_shares_are_the_stack(store):
    parts = [walked(store.stream("data", 3, shard=(k, 4)))[0] for k in range(4)]
    np.testing.assert_array_equal(np.concatenate(parts), ALL)


@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_a_stream_goes_on_where_another_was(store, after):
    first = store.stream("data", 5)
    for _ in range(after):
        next(first)
    state = first.state_dict()
    first.close()
    second = store.stream("data", 2)
    next(second)
    second.load_state_dict(state)
    found = [batch.copy().frames for batch in second]
    np.testing.assert_array_equal(np.concatenate([ALL[:0], *found]), ALL[5 * after :])


def test_the_state_of_another_stream_is_refused(store):
    state = store.stream("data", idxs=[1, 2]).state_dict()
    for idxs in (None, [2, 1]):
        with pytest.raises(ValueError, match="another stream"):
            store.stream("data", idxs=idxs).load_state_dict(state)
    with pytest.raises(ValueError, match="after 3 frames"):
        store.stream("data", idxs=[1, 2]).load_state_dict({**state, "done": 3})


# ---------------------------------------------------------------- ends


def damaged(tmp_path):
    """Return a store whose 7th frame cannot be decoded."""
    file = tmp_path / "bad.cxi"
    with h5py.File(file, "w") as h5:
        data = h5.create_dataset(DATA, data=ALL, chunks=(1, 16, 20), compression="gzip")
        where = data.id.get_chunk_info(7)
    with file.open("r+b") as stream:
        stream.seek(where.byte_offset)
        stream.write(b"\xff" * where.size)
    return CXIStore(file)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_an_error_comes_with_its_batch(tmp_path, prefetch):
    stream = damaged(tmp_path).stream("data", 3, prefetch=prefetch)
    for number in range(2):
        np.testing.assert_array_equal(next(stream).frames, ALL[3 * number : 3 * number + 3])
        time.sleep(0.01)
    with pytest.raises(StorageError, match=r"frame 7|7\b"):
        next(stream)
    assert not workers()
    assert list(stream) == []


def test_frames_keep_their_numbers_or_it_ends(tmp_path):
    files = [tmp_path / "a.cxi", tmp_path / "b.cxi"]

    def write(file, values):
        with h5py.File(tmp_path / "new", "w") as h5:
            h5[DATA] = values
        (tmp_path / "new").replace(file)

    for longer, is_told in ((1, False), (0, True)):
        for file, values in zip(files, (ALL[:6], ALL[6:12]), strict=True):
            write(file, values)
        store = CXIStore([str(file) for file in files])
        stream, found = store.stream("data", 2, prefetch=0), []
        found.append(next(stream).copy())
        write(files[longer], ALL[6 * longer : 6 * longer + 8])
        if is_told:
            with pytest.raises(FileChangedError, match="other numbers"):
                found += [batch.copy() for batch in stream]
        else:
            found += [batch.copy() for batch in stream]
            assert sum(len(one.idxs) for one in found) == 12
        for frames_, idxs in found:
            np.testing.assert_array_equal(frames_, ALL[idxs])


def test_closed_by_another_thread_it_ends_for_who_waits():
    making, ended = threading.Event(), threading.Event()

    def make(number, place, check):
        making.set()
        time.sleep(0.1)
        check()
        return number

    ring = Ring(5, 2, make)
    ring.start()

    def take():
        with pytest.raises(StopIteration):
            ring.take()
        ended.set()

    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    assert making.wait(10)
    ring.stop()
    assert ended.wait(10)


def test_whatever_ends_it_leaves_nothing(store, tmp_path):
    rng = np.random.default_rng(4)
    walked(store.stream("data", 2))
    gc.collect()
    before = open_in(tmp_path)
    for _ in range(40):
        stream = store.stream("data", int(rng.integers(1, 5)), prefetch=int(rng.integers(0, 4)))
        how = rng.integers(0, 4)
        taken = int(rng.integers(0, 6))
        alive = []
        for batch in itertools.islice(stream, taken):
            alive.append(weakref.ref(batch.frames))
        batch = None
        if how == 0:
            stream.close()
        elif how == 1:
            with pytest.raises(RuntimeError), stream:
                raise RuntimeError
        elif how == 2:
            stream = None
            gc.collect()
        else:
            cycle = [stream]
            cycle.append(cycle)
            del cycle, stream
            gc.collect()
        stream = None
        assert not workers()
        assert not any(one() is not None for one in alive)
    assert open_in(tmp_path) == before != []


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals")
def test_interrupts_end_it_at_any_moment(store):
    rng = np.random.default_rng(5)
    interrupted = 0
    for _ in range(25):
        stream = store.stream("data", 1, prefetch=2)
        timer = threading.Timer(
            float(rng.random() * 0.01), signal.raise_signal, args=[signal.SIGINT]
        )
        try:
            timer.start()
            for _ in stream:
                time.sleep(0.0005)
            timer.join()
            time.sleep(0.001)
        except KeyboardInterrupt:
            interrupted += 1
        finally:
            timer.join()
        stream = None
        gc.collect()
        # One that struck while the stream was forgotten is found out by the thread itself.
        until = time.monotonic() + 5
        while workers() and time.monotonic() < until:
            time.sleep(0.01)
        assert not workers()
    assert interrupted > 4
    np.testing.assert_array_equal(walked(store.stream("data", 4))[0], ALL)


# ---------------------------------------------------------------- processes


def all_of(names):
    found, _ = walked(CXIStore(names).stream("data", 4))
    return bool((found == ALL).all()), len(workers())


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_of_any_kind_stream(store, method):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with get_context(method).Pool(1) as pool:
            found = pool.apply_async(all_of, (store.paths(),)).get(60)
            assert found == (True, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_stream_that_a_fork_takes_along_goes_on(store):
    stream = store.stream("data", 2)
    first = next(stream).copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(20)
        status = 1
        try:
            found, _ = walked(stream)
            status = 0 if (found == ALL[2:]).all() else 2
        finally:
            os._exit(status)
    found, _ = walked(stream)
    np.testing.assert_array_equal(np.concatenate([first.frames, found]), ALL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
