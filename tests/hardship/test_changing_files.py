"""A file that others write to while it is read: its old frames, its new ones, or an exception."""

import contextlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest

from cxistack import CXIError, CXIProtocol, CXIStore, FileChangedError
from factory import DATA, frames, put
from factory.children import start

PROTOCOL = CXIProtocol({"data": "uint"}, {"data": ["/frames"]}, {"data": "stack"})
WAYS = {
    "contiguous": {},
    "chunks": {"chunks": (1, 5, 7)},
    "several frames a chunk": {"chunks": (3, 5, 7)},
    "gzip": {"chunks": (1, 5, 7), "compression": "gzip"},
    "lzf": {"chunks": (1, 5, 7), "compression": "lzf"},
}


def write(name, values, before=0, **options):
    with h5py.File(name, "w") as h5:
        if before:
            h5["/before"] = np.full(before, 7, "uint8")
        h5.create_dataset("/frames", data=values, **options)


def put_by_another_process(name, start, before, options):
    code = f"""
        import h5py, numpy as np
        with h5py.File({str(name)!r}, "w") as h5:
            h5["/before"] = np.full({before}, 7, "uint8")
            values = np.arange({start}, {start} + 140, dtype="uint16").reshape(4, 5, 7)
            h5.create_dataset("/frames", data=values, **{options!r})
        """
    env = {**os.environ, "HDF5_USE_FILE_LOCKING": "FALSE"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env=env)


def old_new_or_error(store, old, new, idxs=None):
    """Check that a load gives one state of the file or raises; return what it gave."""
    try:
        loaded = store.load_attribute("data", idxs, verbose=False)
    except (CXIError, OSError) as caught:
        error = caught
    else:
        error = None
    if error is not None:
        assert ".h5" in str(error)
        return "error"
    for name, values in (("old", old), ("new", new)):
        if loaded.shape == values.shape and (loaded == values).all():
            return name
    raise AssertionError(f"neither the old nor the new frames: {loaded[:, 0]}")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("before", [0, 100, 5000])
def test_rewritten_in_place_between_opening_and_loading(tmp_path, way, before):
    write(tmp_path / "a.h5", frames(4), **WAYS[way])
    store = CXIStore(tmp_path / "a.h5", protocol=PROTOCOL)
    store.load_attribute("data", [0])
    put_by_another_process(tmp_path / "a.h5", 1000, before, WAYS[way])
    old_new_or_error(store, frames(4), frames(4, start=1000))
    old_new_or_error(store, frames(4), frames(4, start=1000))
    store.update_indices()
    np.testing.assert_array_equal(store.load_attribute("data"), frames(4, start=1000))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("is_loaded_before", [False, True])
@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("shape", [(5, 7), (7, 5), (6, 8)])
def test_replaced_between_opening_and_loading(tmp_path, way, shape, is_open, is_loaded_before):
    write(tmp_path / "a.h5", frames(4), **WAYS[way])
    store = CXIStore(tmp_path / "a.h5", protocol=PROTOCOL)
    assert store["data"].shape == (4, 5, 7)
    if is_loaded_before:
        store.load_attribute("data", [0])
    options = dict(WAYS[way])
    if "chunks" in options:
        options["chunks"] = (options["chunks"][0], *shape)
    write(tmp_path / "b.h5", frames(4, shape, start=1000), before=77, **options)
    (tmp_path / "b.h5").replace(tmp_path / "a.h5")
    if not is_open:
        store._files.release()  # as of a run of many files, whose handles take turns
    old_new_or_error(store, frames(4), frames(4, shape, start=1000))
    store.update_indices()
    np.testing.assert_array_equal(store.load_attribute("data"), frames(4, shape, start=1000))


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("way", WAYS)
def test_replaced_by_fewer_or_more_frames(tmp_path, way, count):
    write(tmp_path / "a.h5", frames(4), **WAYS[way])
    store = CXIStore(tmp_path / "a.h5", protocol=PROTOCOL)
    store.load_attribute("data", [0])
    options = dict(WAYS[way])
    if "chunks" in options:
        options["chunks"] = (min(count, options["chunks"][0]), *options["chunks"][1:])
    write(tmp_path / "b.h5", frames(count, start=1000), **options)
    (tmp_path / "b.h5").replace(tmp_path / "a.h5")
    store._files.release()
    old_new_or_error(store, frames(4), frames(count, start=1000))
    store.update_indices()
    np.testing.assert_array_equal(store.load_attribute("data"), frames(count, start=1000))


@pytest.mark.parametrize("way", WAYS)
def test_truncated_between_opening_and_loading(tmp_path, way):
    write(tmp_path / "a.h5", frames(40), **WAYS[way])
    size = (tmp_path / "a.h5").stat().st_size
    store = CXIStore(tmp_path / "a.h5", protocol=PROTOCOL)
    store.load_attribute("data", [0])
    for part in (0.9, 0.5, 0.1, 0):
        os.truncate(tmp_path / "a.h5", int(size * part))
        old_new_or_error(store, frames(40), frames(40))


@pytest.mark.parametrize("way", ["chunks", "gzip", "lzf"])
def test_replaced_again_and_again_while_it_is_loaded(tmp_path, way):
    """Every load is of one state: each frame of a state holds that state's number."""
    name = tmp_path / "a.h5"
    code = f"""
        for state in range(400):
            temporary = {str(name)!r} + ".new"
            with h5py.File(temporary, "w") as h5:
                h5["/before"] = np.full(state * 37 % 5000, 7, "uint8")
                values = np.full((40, 50, 70), state, "uint16")
                h5.create_dataset("/frames", data=values, **{WAYS[way] | {"chunks": (1, 50, 70)}!r})
            os.replace(temporary, {str(name)!r})
            if state == 0:
                print("there", flush=True)
        """
    ends = {"loaded": 0, "error": 0}
    with start(code, env={"HDF5_USE_FILE_LOCKING": "FALSE"}) as writer:
        assert writer.stdout.readline() == "there\n", writer.stderr.read()
        while writer.poll() is None:
            try:
                with CXIStore(name, protocol=PROTOCOL) as store:
                    for _ in range(3):
                        loaded = store.load_attribute("data", verbose=False)
                        assert (loaded == loaded[0, 0, 0]).all(), np.unique(loaded)
                        ends["loaded"] += 1
            except (CXIError, OSError):
                ends["error"] += 1
        assert writer.returncode == 0, writer.stderr.read()
    assert ends["loaded"]


@pytest.mark.parametrize("way", ["chunks", "several frames a chunk", "gzip"])
def test_a_single_writer_appends_while_it_is_read(tmp_path, way):
    """Each frame carries its number and a sum; SWMR, by another process."""
    name = tmp_path / "a.h5"
    chunks = (WAYS[way]["chunks"][0], 20, 30)
    options = WAYS[way] | {"chunks": chunks, "maxshape": (None, 20, 30)}
    code = f"""
        with h5py.File({str(name)!r}, "w", libver="latest") as h5:
            data = h5.create_dataset("/frames", (1, 20, 30), "uint16", **{options!r})
            data[0] = 0
            h5.flush()
            h5.swmr_mode = True
            print("there", flush=True)
            for number in range(1, 300):
                data.resize(number + 1, 0)
                frame = np.random.default_rng(number).integers(0, 999, (20, 30))
                frame[0, 0] = number
                frame[0, 1] = frame[1:].sum() % 65536
                data[number] = frame
                data.flush()
                time.sleep(0.003)
        """
    most, errors = 0, 0
    with start(code, env={"HDF5_USE_FILE_LOCKING": "FALSE"}) as writer:
        assert writer.stdout.readline() == "there\n", writer.stderr.read()
        while writer.poll() is None:
            try:
                with CXIStore(name, protocol=PROTOCOL) as store:
                    loaded = store.load_attribute("data", verbose=False)
                    again = store.load_attribute("data", [0, len(loaded) - 1], verbose=False)
            except (CXIError, OSError):
                errors += 1
                continue
            # A frame whose room is there, and which is not yet written, is the fill value.
            written = loaded.any(axis=(1, 2)) | (np.arange(len(loaded)) == 0)
            for number in np.flatnonzero(written):
                frame = loaded[number]
                assert int(frame[0, 0]) == number
                assert int(frame[1:].sum(dtype=np.int64)) % 65536 == int(frame[0, 1])
            assert not again.any() or again[1, 0, 0] in (0, len(loaded) - 1)
            most = max(most, len(loaded))
        assert writer.returncode == 0, writer.stderr.read()
    with CXIStore(name, protocol=PROTOCOL) as store:
        assert len(store.load_attribute("data")) == 300
    assert most or errors
    assert Path(name).exists()


class TestFilesThatChange:
    def test_a_file_that_was_replaced_is_read_wholly_old_or_wholly_new(self, tmp_path):
        options = {"chunks": (1, 5, 7), "compression": "gzip"}
        name = put(tmp_path / "a.h5", {DATA: frames(4)}, **options)
        store = CXIStore(name)
        store.load_attribute("data", [0])
        new = put(tmp_path / "b.h5", {DATA: frames(4, start=999)}, **options)
        Path(new).replace(name)
        with contextlib.suppress(CXIError):
            loaded = store.load_attribute("data")
            assert loaded[0, 0, 0] in (0, 999)
            np.testing.assert_array_equal(loaded, frames(4, start=int(loaded[0, 0, 0])))
        store.update_indices()
        np.testing.assert_array_equal(store.load_attribute("data"), frames(4, start=999))

    def test_a_file_that_another_process_writes_raises_or_agrees(self, tmp_path):
        name = put(tmp_path / "a.h5", {DATA: frames(4)}, maxshape=(None, 5, 7))
        code = f"import h5py; f = h5py.File({name!r}, 'a'); print('open', flush=True); input()"
        command = [sys.executable, "-c", code]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **pipes) as writer:
            assert writer.stdout.readline() == "open\n"
            with contextlib.suppress(OSError):
                np.testing.assert_array_equal(CXIStore(name).load_attribute("data"), frames(4))
            writer.communicate("\n")


def test_a_file_that_changes_each_time_it_is_looked_at_raises(tmp_path, monkeypatch):
    name = put(tmp_path / "a.cxi", {DATA: frames(2)})
    store = CXIStore(name)
    prepare = CXIStore.update_indices

    def touched(self):
        prepare(self)
        self.describe("data")
        os.utime(name, ns=(1, np.random.default_rng().integers(1, 2**60)))

    store.load_attribute("data")
    monkeypatch.setattr(CXIStore, "update_indices", touched)
    os.utime(name, ns=(1, 1))
    with pytest.raises(FileChangedError, match=r"a\.cxi"):
        store.load_attribute("data")
