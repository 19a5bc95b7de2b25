"""A server that fails, cuts, stalls or changes a file: exact data, or an error that says where."""

import logging
import os
import signal
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from cxistack import CXIStore, FileChangedError, StorageError
from factory.runs import PROTOCOL

pytest.importorskip("obstore")

SHAPE = (300, 200)
QUICK = {"timeout": 0.5, "retries": 1}
FAULTS = [500, 502, 503, 429, "cut", "stall", "short"]


def written(server, start=0, name="a.h5"):
    """Write a file that is larger than what comes with its head; return its frames."""
    values = np.random.default_rng(start).integers(0, 50000, (12, *SHAPE), "u2")
    with h5py.File(server.folder / f"new_{name}", "w") as h5:
        h5["/before"] = np.zeros(start * 1000)
        h5.create_dataset("/frames", data=values, chunks=(1, *SHAPE), **hdf5plugin.Bitshuffle())
    (server.folder / f"new_{name}").replace(server.folder / name)
    return values


def opened(server, query="", **remote):
    return CXIStore(f"{server.of('a.h5')[0]}{query}", protocol=PROTOCOL, remote={**QUICK, **remote})


def load(store, *idxs):
    return store.load_attribute("data", *idxs, verbose=False)


@pytest.mark.parametrize("word", FAULTS)
@pytest.mark.parametrize("moment", ["opening", "pixels"])
def test_what_passes_is_tried_again(server, word, moment):
    values = written(server)
    if moment == "pixels":
        store = opened(server)
        assert store["data"].shape == values.shape
    server.fails(word, times=1)
    store = opened(server) if moment == "opening" else store
    np.testing.assert_array_equal(load(store), values)


@pytest.mark.parametrize("word", [*FAULTS, 403, 404, "whole"])
def test_what_lasts_is_an_error_that_says_where(server, word):
    values = written(server)
    store = opened(server)
    assert store["data"].shape == values.shape
    server.fails(word, times=10**6)
    with pytest.raises((StorageError, OSError)) as caught:
        load(store, [11])
    said = str(caught.value)
    assert f"{server.of('a.h5')[0]}:/frames, row 11: the chunk of" in said
    assert "did not come" in said
    server.faults.clear()
    np.testing.assert_array_equal(load(store), values)


@pytest.mark.parametrize("word", [*FAULTS, 403, 404, "whole"])
def test_a_file_that_does_not_open_is_an_error_that_names_it(server, word):
    written(server)
    server.fails(word, times=10**6)
    with pytest.raises((StorageError, OSError), match=r"a\.h5"):
        opened(server)


def test_metadata_that_does_not_come_is_never_taken_for_missing(server):
    values = written(server)
    with h5py.File(server.folder / "a.h5", "a") as h5:
        h5.create_dataset("/big", data=np.ones(1 << 20))
        for name in ("/entry_9/instrument_1/detector_1/data", "/entry_9/data"):
            h5[name] = h5["/frames"]
    failures = []
    for after in range(6):
        server.faults.clear()
        store = opened(server, retries=0)
        left = [after]

        def later(handler, left=left):
            left[0] -= 1
            return 503 if left[0] < 0 else None

        server.faults.append(later)
        try:
            found = load(store)
        except OSError as error:
            failures.append(str(error))
        else:
            np.testing.assert_array_equal(found, values)
    assert failures
    assert all("a.h5" in one for one in failures)


@pytest.mark.parametrize("tags", ["etag", "weak", "time"])
def test_a_file_that_changes_is_never_mixed(server, tags):
    server.tags = tags
    written(server)
    os.utime(server.folder / "a.h5", (1e9, 1e9))
    store = opened(server)
    assert store["data"].shape[0] == 12
    values = written(server, 7)  # frames lie elsewhere, and are of another number
    np.testing.assert_array_equal(load(store), values)  # looked at again, once
    store.update_indices()
    np.testing.assert_array_equal(load(store), values)


def test_a_file_that_goes_on_changing_is_an_error(server):
    written(server)
    store = opened(server)
    assert store["data"].shape[0] == 12
    turn = iter(range(1, 10**6))

    def change(handler):
        if handler.range and handler.range[0] > 0:
            stamp = next(turn)
            os.utime(server.folder / "a.h5", (stamp, stamp))

    server.faults.append(change)
    with pytest.raises(FileChangedError, match=r"a\.h5"):
        load(store)


def test_a_server_without_tags_is_known_by_sizes(server):
    server.tags = "none"
    values = written(server)
    np.testing.assert_array_equal(load(opened(server)), values)


def test_a_chunk_beyond_the_end_is_told(server):
    written(server)
    path = server.folder / "a.h5"
    with h5py.File(path) as h5:
        chunk = h5["/frames"].id.get_chunk_info(11)
    raw = path.read_bytes()
    address = chunk.byte_offset.to_bytes(8, "little")
    assert raw.count(address) == 1
    path.write_bytes(raw.replace(address, (len(raw) - 10).to_bytes(8, "little")))
    with pytest.raises(StorageError, match=r"row 11: the chunk of .* lies beyond the end"):
        load(opened(server))


@pytest.mark.parametrize("word", [*FAULTS, 403, 404, 412, "whole"])
def test_no_secret_is_told(server, word, caplog):
    written(server)
    query = "?X-Amz-Signature=c0ffee&X-Amz-Credential=me"
    store = opened(server, query, retries=0)
    assert "c0ffee" not in repr(store) + store.explain("data") + repr(store["data"])
    assert "c0ffee" not in repr(store.filenames()) + repr(store.paths())
    server.fails(word, times=10**6)
    with caplog.at_level(logging.DEBUG):
        for action in (lambda: load(store), lambda: opened(server, query)):
            with pytest.raises(OSError) as caught:  # noqa: PT011
                action()
            error = caught.value
            told = "".join(traceback.format_exception(error))
            while error is not None:
                told += repr(error)
                error = error.__cause__ or error.__context__
            assert "c0ffee" not in told
    assert "c0ffee" not in caplog.text


def test_a_user_and_his_password_are_not_told(server):
    written(server)
    url = server.of("a.h5")[0].replace("://", "://me:secret@")
    store = CXIStore(url, protocol=PROTOCOL, remote=QUICK)
    assert "secret" not in repr(store) + repr(store.filenames())
    server.fails(500, times=10**6)
    with pytest.raises(OSError, match=r"a\.h5") as caught:
        load(store)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def assert_no_thread_is_left():
    end = time.monotonic() + 5
    while any(one.name == "cxistack-requests" for one in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("moment", ["metadata", "pixels"])
def test_an_interrupt_ends_a_load_soon_and_the_next_is_exact(server, moment):
    values = written(server)
    if moment == "metadata":  # behind the pixels
        with h5py.File(server.folder / "a.h5", "a") as h5:
            h5.move("/frames", "/other/of/many/frames")
            h5["/frames"] = h5py.SoftLink("/other/of/many/frames")
    store = opened(server, timeout=20)
    if moment == "pixels":
        assert store["data"].shape == values.shape
    server.fails("stall", times=1)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        load(store)
    assert time.monotonic() - begin < 10
    np.testing.assert_array_equal(load(store), values)
    assert_no_thread_is_left()


def test_no_descriptor_and_no_thread_is_left(server):
    values = written(server)
    store = opened(server)
    np.testing.assert_array_equal(load(store), values)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for turn in range(8):
        server.fails(503, times=10**6 if turn % 2 else 0)
        with suppress(OSError):
            load(store)
        server.faults.clear()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
    assert_no_thread_is_left()
