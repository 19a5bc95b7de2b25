"""Reductions on a Dask cluster against the same in this process, and against NumPy."""

import time

import h5py
import numpy as np
import pytest

from cxistack import CastError, Crop, CXIProtocol, CXIStore, FileChangedError, StorageError
from cxistack.streaming import cluster
from factory import DATA, MASK, good_mask, many_files, put
from factory.clusters import Killer

QUIET = {"verbose": False}
RUN = np.random.default_rng(5).poisson(40, (43, 9, 12)).astype("u2")
PARTS = [RUN[:11], RUN[11:17], RUN[17:30], RUN[30:]]
WORDS = ["sum", "mean", "var", "std", "min", "max", "over:45", "saturated:50"]
RANKS = ["median", "percentile:90"]


@pytest.fixture
def names(tmp_path):
    return many_files(tmp_path, PARTS)


@pytest.fixture
def store(names):
    return CXIStore(names)


@pytest.fixture
def client(two_workers, monkeypatch):
    """Have shares of few frames, so that there are many tasks."""
    monkeypatch.setattr(cluster, "_SHARE_BYTES", 6 * RUN[0].nbytes)
    return two_workers


def same(found, expected):
    assert list(found) == list(expected)
    for key, result in expected.items():
        np.testing.assert_array_equal(found[key], result)
        assert found[key].dtype == result.dtype


@pytest.mark.parametrize("mask", [None, True, good_mask((9, 12), [(2, 3)])])
def test_all_words_are_those_of_one_process_bit_for_bit(names, client, mask):
    if mask is True:
        for name, part in zip(names, PARTS, strict=True):
            put(name, {MASK: good_mask(part.shape, [(0, 1, 1), (1, 4, 4)])})
    store = CXIStore(names)
    edges = np.arange(20, 70)
    words = [*WORDS, *RANKS, ("percentile", [10, 50]), ("histogram", edges)]
    how = {"mask": mask, "fill": 0, "transform": Crop([1, 9, 0, 11]), **QUIET}
    if mask is not None and mask is not True:
        how["mask"] = mask[1:9, :11]
    idxs = [40, *range(3, 42), 0, 0, 7]
    found = store.reduce("data", words, idxs, client=client, memory=3 * 43 * 11 * 2, **how)
    same(found, store.reduce("data", words, idxs, **how))


def test_integers_are_numpys(store, client):
    np.testing.assert_array_equal(store.reduce("data", "sum", client=client), RUN.sum(axis=0))
    median = store.reduce("data", "median", client=client)
    np.testing.assert_array_equal(median, np.median(RUN, axis=0))


def test_the_pixels_of_each_frame(store, client):
    found = store.reduce("data", ["sum", "max"], axis=(1, 2), client=client)
    np.testing.assert_array_equal(found["sum"], RUN.sum(axis=(1, 2)))
    np.testing.assert_array_equal(found["max"], RUN.max(axis=(1, 2)))
    found = store.reduce("data", "mean", axis=(1, 2), client=client, **QUIET)
    np.testing.assert_allclose(found, RUN.mean(axis=(1, 2)))


@pytest.mark.parametrize("dtype", ["f4", "i4"])
def test_floats_differ_in_their_last_bits_alone(tmp_path, client, dtype):
    values = np.random.default_rng(1).normal(1e3, 1, (40, 5, 6)).astype(dtype)
    name = put(tmp_path / "floats.h5", {"/data": values})
    protocol = CXIProtocol({"data": "number"}, {"data": ["/data"]}, {"data": "stack"})
    store = CXIStore(name, protocol=protocol)
    found = store.reduce("data", ["sum", "mean", "std", "min"], client=client, **QUIET)
    for word, expected in store.reduce("data", list(found), **QUIET).items():
        np.testing.assert_allclose(found[word], expected, rtol=1e-12)
    np.testing.assert_array_equal(found["min"], values.min(axis=0))


def test_sequences_and_files_of_one_frame(tmp_path, client):
    for number in range(7):
        put(tmp_path / f"{number}.cxi", {DATA: RUN[number : number + 1]})
    store = CXIStore(str(tmp_path / "*.cxi"))
    np.testing.assert_array_equal(store.reduce("data", "sum", client=client), RUN[:7].sum(axis=0))
    np.testing.assert_array_equal(store.reduce("data", "sum", 3, client=client, **QUIET), RUN[3])


class Joined:
    """A user's own reduction, to which the order of frames matters; it changes its states."""

    def init(self, shape, dtype):
        return []

    def step(self, state, frames, idxs):
        state += zip(idxs.tolist(), frames[:, 0, 0].tolist(), strict=True)

    def merge(self, a, b):
        a += b

    def finish(self, state):
        return state


@pytest.fixture
def by_value():
    """Let workers, which cannot import this module, have its classes."""
    import sys

    import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    cloudpickle.register_pickle_by_value(sys.modules[Killer.__module__])
    yield
    cloudpickle.unregister_pickle_by_value(module)
    cloudpickle.unregister_pickle_by_value(sys.modules[Killer.__module__])


@pytest.mark.parametrize("near", [cluster._NEAR, ()])
def test_states_are_merged_in_the_order_of_frames(store, client, by_value, monkeypatch, near):
    monkeypatch.setattr(cluster, "_NEAR", near)  # workers elsewhere merge the last two, too
    found = store.reduce("data", Joined(), client=client, **QUIET)
    assert found == [(k, int(frame[0, 0])) for k, frame in enumerate(RUN)]


@pytest.mark.parametrize("method", ["step", "merge"])
def test_a_worker_that_is_killed_costs_its_task_and_nothing_else(
    store, client, by_value, tmp_path, method
):
    killer = Killer(tmp_path, method)
    found = store.reduce("data", ["sum", "std", "max", killer], client=client, **QUIET)
    assert killer.mark.exists()
    assert found[killer] == list(range(len(RUN)))
    same(
        {word: found[word] for word in ("sum", "std", "max")},
        store.reduce("data", ["sum", "std", "max"], **QUIET),
    )


def test_what_a_worker_finds_wrong_is_raised_here(tmp_path, client):
    values = RUN.astype("i4")
    values[20, 1, 2] = -1
    store = CXIStore(put(tmp_path / "a.cxi", {DATA: values}))
    with pytest.raises(CastError, match=r"a\.cxi"):
        store.reduce("data", "sum", dtype="uint16", client=client, **QUIET)


def test_files_that_cannot_be_read_are_left_out_where_asked_for(names, client):
    with h5py.File(names[1], "r+") as h5:
        del h5[DATA]
        h5.create_dataset(DATA, data=PARTS[1], chunks=(1, 9, 12), compression="gzip")
        offset = h5[DATA].id.get_chunk_info(2).byte_offset
    with open(names[1], "r+b") as file:  # noqa: PTH123
        file.seek(offset)
        file.write(b"\xff" * 12)
    store = CXIStore(names)
    with pytest.raises(StorageError, match="run_9"):
        store.reduce("data", "sum", client=client, **QUIET)
    with pytest.warns(RuntimeWarning, match="1 of 4 files are left out"):
        found = store.reduce("data", "sum", on_error="skip", client=client, **QUIET)
    left = np.concatenate([PARTS[0], PARTS[2], PARTS[3]])
    np.testing.assert_array_equal(found, left.sum(axis=0))


def test_frames_that_got_other_numbers_are_refused(names, client, tmp_path):
    store = CXIStore(names)
    store.reduce("data", "sum", client=client, **QUIET)
    put(tmp_path / "longer.cxi", {DATA: RUN[:12]})
    (tmp_path / "longer.cxi").replace(names[0])
    with pytest.raises(FileChangedError, match="other numbers"):
        store.reduce("data", "sum", client=client, **QUIET)


def test_what_is_no_client_is_refused(store):
    with pytest.raises(TypeError, match=r"dask\.distributed\.Client"):
        store.reduce("data", "sum", client="tcp://127.0.0.1:8786", **QUIET)


def test_a_mask_for_each_frame_is_refused(store, client):
    with pytest.raises(ValueError, match="one mask for all frames"):
        store.reduce("data", "sum", mask=np.ones(RUN.shape, bool), client=client, **QUIET)


def test_nothing_is_left_on_the_cluster(store, client):
    store.reduce("data", ["sum", "median"], client=client, **QUIET)
    with pytest.raises(ValueError, match="no good frame"):
        store.reduce("data", "mean", mask=np.zeros((9, 12), bool), client=client, **QUIET)
    for _ in range(100):  # what the client lets go of is soon forgotten
        if not client.run_on_scheduler(_names_of_tasks):
            break
        time.sleep(0.05)
    assert client.run_on_scheduler(_names_of_tasks) == []


def _names_of_tasks(dask_scheduler):
    return [str(name) for name in dask_scheduler.tasks]


def test_a_merge_leaves_its_states_as_they_were():
    """Another worker's copy may be lost, and the merge is done again."""
    states = [[[("a", k)]] for k in range(2)]
    merged = cluster._merge([Joined()], *states)
    assert merged == [[("a", 0), ("a", 1)]]
    assert states == [[[("a", 0)]], [[("a", 1)]]]
