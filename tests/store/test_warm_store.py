"""A store that has loaded once goes on giving what is in its files: what h5py and a new store give.

Between two calls a file is replaced, cut, appended to, rewritten, deleted, or written to by this
very process. The oracle of values is plain h5py, and that of errors a store that is opened anew.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import h5py
import numpy as np
import pytest

from cxistack import CXIError, FileChangedError
from factory import frames
from factory.runs import COUNT, FILTERS, SHAPE, Run, read_by_h5py, states, write

NUMBERS = 30_000 + np.arange(COUNT, dtype="uint16")[:, None, None]
RUNS = [(layout, 2) for layout in (*FILTERS, "virtual", "external links")]
RUNS += [("contiguous", 1), ("bitshuffle, several frames", 1), ("virtual", 1)]
WAYS = {
    "load_attribute": lambda store, lazy: store.load_attribute("data", verbose=False),
    "load_attribute of a list": lambda store, lazy: store.load_attribute("data", [4, 0, 4]),
    "load_attribute into out": lambda store, lazy: store.load_attribute(
        "data", [1], out=np.empty((1, *SHAPE), "uint16")
    ),
    "an int": lambda store, lazy: lazy[1],
    "the last": lambda store, lazy: lazy[-1],
    "a slice": lambda store, lazy: lazy[0:5:2],
    "a list": lambda store, lazy: lazy[[3, 1, 1]],
    "a region": lambda store, lazy: lazy[2, 1:4, ::2],
    "iteration": lambda store, lazy: np.stack(list(lazy)),
    "an array": lambda store, lazy: np.asarray(lazy),
}

# In these, a lazy array that was made before goes by its shape of then.
LENGTH_COUNTS = ("iteration", "an array", "the last")


class Frames:
    """An array in place of a store and its lazy array: what each way must give of it."""

    def __init__(self, array):
        self.array = array

    def load_attribute(self, attr, idxs=None, **_):
        return self.array if idxs is None else self.array[idxs]


def stamped_anew(path, before):
    """Let a file's time of change differ from what it was, however coarse the system's clock."""
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))


def replaced(run):
    other = run.victim.with_suffix(".new")
    write(other, states(1, 30_000)[0], run.layout)
    other.replace(run.victim)


def replaced_by_more(run):
    other = run.victim.with_suffix(".new")
    write(other, frames(COUNT + 3, SHAPE, start=30_000), run.layout)
    other.replace(run.victim)


def replaced_in_another_layout(run):
    other = run.victim.with_suffix(".new")
    with h5py.File(other, "w") as h5:
        h5["/before"] = np.full(4321, 7, "uint8")
        h5.create_dataset("/frames", data=states(1, 30_000)[0], chunks=(2, 2, 3), shuffle=True)
    other.replace(run.victim)


def cut_in_half(run):
    os.truncate(run.victim, run.victim.stat().st_size // 2)


def cut_at_its_end(run):
    os.truncate(run.victim, run.victim.stat().st_size - 1)


def emptied(run):
    os.truncate(run.victim, 0)


def rewritten_with_the_same_size(run):
    before = run.victim.stat()
    other = run.victim.with_suffix(".new")
    write(other, np.zeros((COUNT, *SHAPE), "uint16") + NUMBERS, run.layout)
    content = other.read_bytes()
    other.unlink()
    assert len(content) <= before.st_size  # what comes after an HDF5 file's end is no part of it
    with run.victim.open("r+b") as file:
        file.write(content.ljust(before.st_size, b"\0"))
    now = run.victim.stat()
    assert (now.st_size, now.st_ino) == (before.st_size, before.st_ino)
    stamped_anew(run.victim, before)


def changed_elsewhere(run, change):
    """Let another process change the file, by h5py."""
    before = run.victim.stat()
    run.process.submit(change, run.victim).result()
    stamped_anew(run.victim, before)


def rewritten_by_h5py(run):
    changed_elsewhere(run, rewrite)


def rewrite(path):
    with h5py.File(path, "r+", locking=False) as h5:
        h5["/frames"][...] = NUMBERS + np.arange(SHAPE[1])


def appended_to_by_h5py(run):
    changed_elsewhere(run, append)


def append(path):
    with h5py.File(path, "r+", locking=False) as h5:
        dataset = h5["/frames"]
        if dataset.maxshape[0] is None:
            dataset.resize(COUNT + 3, 0)
            dataset[COUNT:] = 7
        else:  # contiguous: it takes another place
            values = dataset[...]
            del h5["/frames"]
            h5["/frames"] = np.concatenate([values, np.full((3, *SHAPE), 7, "uint16")])


def deleted(run):
    run.victim.unlink()


def made_unreadable(run):
    run.victim.write_bytes(b"this is no HDF5 file " * 500)


CHANGES = [
    replaced,
    replaced_by_more,
    replaced_in_another_layout,
    cut_in_half,
    cut_at_its_end,
    emptied,
    rewritten_with_the_same_size,
    rewritten_by_h5py,
    appended_to_by_h5py,
    deleted,
    made_unreadable,
]


def outcome(call):
    """Return what a call gives, or the type of the exception that it raises."""
    try:
        return np.array(call())
    except (CXIError, OSError, IndexError) as error:
        return type(error)


def of_a_new_store(run, way):
    def call():
        with run.open() as store:
            return WAYS[way](store, store["data"])

    return outcome(call)


@pytest.fixture(scope="module")
def process():
    """Return a process for plain h5py, which shares no open file with this one."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        yield process


class Outcomes:
    """What calls of a warm store gave, and what they were to give."""

    def __init__(self, run):
        self.run = run
        self.truth = run.process.submit(read_by_h5py, run.names).result()

    def check(self, got, way, lazy):
        """Compare with plain h5py, or with the exception of a new store."""
        expected = of_a_new_store(self.run, way)
        if isinstance(got, type):
            assert isinstance(expected, type), f"raises {got.__name__}, a new store does not"
            # What was a link that leads nowhere to a store that looks is a file that went away to
            # one that has looked.
            assert got in (expected, FileNotFoundError)
            return
        # Frames that h5py cannot read are -1. Those of files that did not change may be given.
        truth = np.array(WAYS[way](Frames(self.truth), self.truth))
        assert (truth != -1).all() or not isinstance(expected, type)
        np.testing.assert_array_equal(got, np.where(truth == -1, got, truth), err_msg=lazy)
        if not isinstance(expected, type):
            np.testing.assert_array_equal(got, expected, err_msg=lazy)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize(("layout", "files"), RUNS)
def test_a_file_that_changes_between_two_calls_is_noticed(tmp_path, process, layout, files, change):
    for way, call in WAYS.items():
        folder = tmp_path / way
        folder.mkdir()
        run = Run(folder, layout, files, process)
        with run.open() as store:
            lazy = store["data"]
            store.load_attribute("data", verbose=False)
            lazy[0], lazy[len(lazy) - 1], call(store, lazy)
            change(run)
            before = outcome(lambda: call(store, lazy))  # noqa: B023
            after = outcome(lambda: call(store, store["data"]))  # noqa: B023
        outcomes = Outcomes(run)
        is_longer = change in (replaced_by_more, appended_to_by_h5py)
        if not is_longer or way not in LENGTH_COUNTS:
            outcomes.check(before, way, "of a lazy array of before")
        outcomes.check(after, way, "of a lazy array of after")


def written_whole(dataset):
    dataset[...] = NUMBERS


def one_pixel_written(dataset):
    dataset[COUNT - 1, 2, 3] = 31_000
    dataset[1, 2, 3] = 31_000


def lengthened(dataset):
    if dataset.maxshape[0] is None:
        dataset.resize(COUNT + 2, 0)
    dataset[-1] = 31_000


def opened_before(run):
    writer = h5py.File(run.victim, "r+")
    return run.open(), writer


def opened_after(run):
    store = run.open()
    store.load_attribute("data", verbose=False)
    store._files.release()  # as of a run of many files, whose handles take turns
    return store, h5py.File(run.victim, "r+")


@pytest.mark.parametrize(
    ("opened", "change"),
    [
        (opened_before, written_whole),
        (opened_before, one_pixel_written),
        (opened_before, lengthened),
        (opened_after, one_pixel_written),
    ],
)
@pytest.mark.parametrize(("layout", "files"), RUNS)
def test_what_this_process_has_written_and_not_flushed_is_read(
    tmp_path, layout, files, opened, change
):
    """The oracle is plain h5py in this process: it sees what its other handles have written."""
    for way, call in WAYS.items():
        folder = tmp_path / way
        folder.mkdir()
        run = Run(folder, layout, files)
        store, writer = opened(run)
        with store, writer:
            lazy = store["data"]
            call(store, lazy)
            dataset = writer["/frames"]  # as long as it is open, HDF5 keeps what is written to it
            change(dataset)
            before = outcome(lambda: call(store, lazy))  # noqa: B023
            after = outcome(lambda: call(store, store["data"]))  # noqa: B023
            truth = read_by_h5py(run.names)
            of_new = of_a_new_store(run, way)
            dataset[:COUNT] += 100  # again, and no stamp tells of it
            again = outcome(lambda: call(store, lazy))  # noqa: B023
            truth_again = read_by_h5py(run.names)
            del dataset
            writer.close()
            closed = outcome(lambda: call(store, lazy))  # noqa: B023
        outcomes = ((before, truth), (after, truth), (again, truth_again), (closed, truth_again))
        for got, theirs in outcomes:
            if change is lengthened and way in (*LENGTH_COUNTS, "load_attribute"):
                continue  # how many there are is what was found when the store looked
            if isinstance(got, type):
                assert got is of_new, way
            else:
                expected = np.array(WAYS[way](Frames(theirs), theirs))
                np.testing.assert_array_equal(got, expected, err_msg=way)


@pytest.mark.parametrize("layout", ["bitshuffle", "deflate, several frames", "lzf"])
def test_another_store_of_this_process_does_not_hide_what_another_process_writes(
    tmp_path, process, layout
):
    run = Run(tmp_path, layout, 2, process)
    with run.open() as other, run.open() as store:
        for one in (other, store):
            one.load_attribute("data", verbose=False)
        rewritten_by_h5py(run)
        got = outcome(lambda: store.load_attribute("data", verbose=False))
    truth = process.submit(read_by_h5py, run.names).result()
    assert got is FileChangedError or np.array_equal(got, truth)


@pytest.mark.parametrize("count", [COUNT + 2, COUNT - 2])
@pytest.mark.parametrize("layout", ["chunked", "bitshuffle, several frames", "lzf"])
def test_frames_that_this_process_has_added_and_not_flushed_are_there(tmp_path, layout, count):
    run = Run(tmp_path, layout, 2)
    store, writer = opened_before(run)
    with store, writer:
        store.load_attribute("data", verbose=False)
        dataset = writer["/frames"]
        dataset.resize(count, 0)
        truth = read_by_h5py(run.names)
        np.testing.assert_array_equal(store.load_attribute("data", verbose=False), truth)
        assert store["data"].shape == truth.shape  # it was looked at again
