"""Following a run: what writers append, in other processes, comes once, in order and whole."""

import subprocess
import sys
import textwrap
import time
import warnings
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

import cxistack as cxi
from cxistack.errors import FileChangedError, StorageError

PATH = "/entry_1/instrument_1/detector_1/data"
SHAPE = (32, 48)
WRITER = """
import os, sys, time, zlib
import h5py, numpy as np, hdf5plugin
import cxistack as cxi
PATH, SHAPE = {path!r}, {shape!r}
def frame(number):
    values = np.random.default_rng(number).poisson(3, SHAPE).astype("uint32")
    values[0, :2] = number, 0
    values[0, 1] = zlib.crc32(values.tobytes())
    return values
def numbered(seconds, rate):
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        yield number
        number += 1
        time.sleep(1 / rate)
"""
SWMR = """
with h5py.File({name!r}, "w", libver="latest") as file:
    data = file.create_dataset(
        PATH, (0, *SHAPE), "uint32", maxshape=(None, *SHAPE), chunks={chunks!r}, **{filters}
    )
    file.swmr_mode = True
    for number in numbered({seconds}, 200):
        if number >= len(data):
            data.resize(number + {block}, 0)
        data[number] = frame(number)
        if number % {flush} == 0:
            data.flush()
    data.resize(number + 1, 0)
print(number + 1)
"""
APPENDING = """
for number in numbered({seconds}, 40):
    with h5py.File({name!r}, "a") as file:
        if number == 0:
            file.create_dataset(
                PATH, (0, *SHAPE), "uint32", maxshape=(None, *SHAPE), chunks=(1, *SHAPE)
            )
        file[PATH].resize(number + 1, 0)
        file[PATH][number] = frame(number)
print(number + 1)
"""
SAVING = """
store = cxi.CXIStore({name!r}, "a")
for number in numbered({seconds}, 40):
    store.save_attribute("data", frame(number)[None], mode="append")
print(number + 1)
"""
FILES = """
number = 0
for which in numbered({seconds}, 40):
    with h5py.File(f"{folder}/scan_{{which}}.h5", "w") as file:
        file[PATH] = np.stack([frame(number + k) for k in range(3)])
        time.sleep(0.01)
    number += 3
print(number)
"""


def start(code, **words):
    text = textwrap.dedent(WRITER.format(path=PATH, shape=SHAPE)) + code.format(**words)
    return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)


def followed(store, writer, **words):
    """Follow until the writer has ended; check each frame, and that none is lost or twice."""
    numbers = []
    for frames, idxs in store.follow("data", **words):
        assert len(frames) == len(idxs)
        for frame, number in zip(frames.copy(), idxs.tolist(), strict=True):
            said, frame[0, 1] = int(frame[0, 1]), 0
            assert zlib.crc32(frame.tobytes()) == said
            assert frame[0, 0] == number
            numbers.append(number)
    output, _ = writer.communicate(timeout=60)
    assert writer.returncode == 0
    assert numbers == list(range(int(output)))


@pytest.mark.parametrize(
    ("chunks", "filters", "block", "flush"),
    [
        ((1, *SHAPE), "hdf5plugin.Bitshuffle()", 1, 1),
        ((1, 16, 16), "{}", 1, 3),
        ((4, *SHAPE), "hdf5plugin.Bitshuffle()", 1, 1),
        ((5, *SHAPE), "{}", 17, 3),  # the shape is ahead of what is written
        ((1, *SHAPE), "dict(hdf5plugin.Blosc())", 17, 2),  # read by HDF5
    ],
    ids=["frames", "pieces", "several", "ahead", "by HDF5"],
)
def test_what_an_swmr_writer_appends(tmp_path, chunks, filters, block, flush):
    name = str(tmp_path / "run.h5")
    words = {"chunks": chunks, "filters": filters, "block": block, "flush": flush}
    with start(SWMR, name=name, seconds=2, **words) as writer:
        store = cxi.CXIStore(name, swmr=True, wait=20)
        begin = time.monotonic()
        followed(store, writer, timeout=20)  # the end is that of the writer
        assert time.monotonic() - begin < 20


@pytest.mark.parametrize("code", [APPENDING, SAVING], ids=["appended", "replaced"])
def test_a_file_that_is_opened_and_closed(tmp_path, code):
    name = str(tmp_path / "run.cxi")
    with start(code, name=name, seconds=2) as writer:
        followed(cxi.CXIStore(name, wait=20), writer, timeout=2)


def test_new_files_that_match(tmp_path):
    with start(FILES, folder=tmp_path, seconds=2) as writer:
        store = cxi.CXIStore(str(tmp_path / "scan_*.h5"), wait=20)
        followed(store, writer, timeout=2, batch=2)
    assert store["data"].shape == (len(store.filenames()) * 3, *SHAPE)


def put(path, first, count=2):
    with h5py.File(path, "w") as file:
        file[PATH] = np.arange(first, first + count)[:, None, None] + np.zeros(SHAPE, "uint16")
    return str(path)


def values(follow):
    pairs = [pair for batch in follow for pair in zip(*batch, strict=True)]
    return [(int(frame[0, 0]), int(number)) for frame, number in pairs]


def test_a_glob_is_expanded_again_and_numbers_stay(tmp_path):
    put(tmp_path / "a_2.h5", 20)
    store = cxi.CXIStore(str(tmp_path / "a_*.h5"))
    assert len(store["data"]) == 2
    put(tmp_path / "a_10.h5", 100)
    assert len(store["data"]) == 2
    store.update_indices()
    assert [int(one[0, 0]) for one in store["data"]] == [20, 21, 100, 101]
    put(tmp_path / "a_11.h5", 110)
    store.refresh()
    assert store.filenames()[-1].endswith("a_11.h5")
    assert len(store["data"]) == 6
    put(tmp_path / "a_1.h5", 10)
    store.refresh()
    new = cxi.CXIStore(str(tmp_path / "a_*.h5"))
    np.testing.assert_array_equal(store["data"][:], new["data"][:])


def test_a_relative_glob_means_the_folder_of_its_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "a_1.h5", 10)
    store = cxi.CXIStore("a_*.h5")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    put(tmp_path / "a_2.h5", 20)
    store.update_indices()
    assert store.filenames() == ["a_1.h5", "a_2.h5"]
    assert len(store["data"]) == 4


def test_a_file_that_sorts_before_is_told_of_and_nothing_comes_twice(tmp_path):
    put(tmp_path / "a_2.h5", 20)
    follow = cxi.CXIStore(str(tmp_path / "a_*.h5")).follow(timeout=0.5)
    assert next(follow).idxs.tolist() == [0, 1]
    put(tmp_path / "a_1.h5", 10)
    put(tmp_path / "a_3.h5", 30)
    with pytest.warns(RuntimeWarning, match="a_2.h5.*from 0 on.*from 2 on"):
        assert values(follow) == [(10, 0), (11, 1), (30, 4), (31, 5)]


def test_it_ends_by_count_and_by_time(tmp_path):
    store = cxi.CXIStore(put(tmp_path / "a.h5", 0, 9))
    assert values(store.follow(until=5, batch=3)) == [(k, k) for k in range(5)]
    begin = time.monotonic()
    follow = store.follow(timeout=0.3)
    assert len(values(follow)) == follow.count == 9
    assert time.monotonic() - begin >= 0.3
    assert list(follow) == []


def test_a_shorter_file_is_another_run(tmp_path):
    follow = cxi.CXIStore(put(tmp_path / "a.h5", 0, 9)).follow(timeout=0.3)
    assert len(next(follow).frames) == 9
    put(tmp_path / "b.h5", 0, 3)
    (tmp_path / "b.h5").replace(tmp_path / "a.h5")
    with pytest.raises(FileChangedError, match="3 frames, fewer than the 9"):
        next(follow)


def test_a_broken_file_is_told_of_or_left_out(tmp_path):
    names = [put(tmp_path / "a.h5", 0), str(tmp_path / "b.h5"), put(tmp_path / "c.h5", 20)]
    (tmp_path / "b.h5").write_bytes(b"no HDF5 file" * 100)
    follow = cxi.CXIStore(names).follow(timeout=0.5)
    assert next(follow).frames[:, 0, 0].tolist() == [0, 1]
    with pytest.raises(StorageError, match=r"b\.h5"):
        next(follow)
    follow = cxi.CXIStore(names).follow(timeout=1, on_error="skip")
    assert [value for value, _ in values(follow)] == [0, 1, 20, 21]
    assert [one.filename for one in follow.problems] == [names[1]]
    assert "left out" in follow.problems[0].message


def test_a_damaged_chunk_is_told_of_or_its_file_left_out(tmp_path):
    names = [str(tmp_path / name) for name in ("a.h5", "b.h5")]
    for name in names:
        with h5py.File(name, "w") as file:
            data = file.create_dataset(
                PATH, (2, *SHAPE), "uint16", chunks=(1, *SHAPE), compression="gzip"
            )
            data[...] = 1
            at = data.id.get_chunk_info(1)
    with Path(names[0]).open("r+b") as raw:
        raw.seek(at.byte_offset)
        raw.write(b"\xff" * at.size)
    with pytest.raises(StorageError, match=r"a\.h5.*row"):
        list(cxi.CXIStore(names).follow(timeout=0.5))
    follow = cxi.CXIStore(names).follow(timeout=1, on_error="skip", batch=1)
    assert sum(len(batch.frames) for batch in follow) == 3
    assert [one.filename for one in follow.problems] == names[:1]


def test_no_writer_is_kept_out(tmp_path):
    name = put(tmp_path / "a.h5", 0)
    follow = cxi.CXIStore(name).follow(timeout=5)
    next(follow)
    code = f"import h5py; h5py.File({name!r}, 'r+').close()"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    follow.close()
    with h5py.File(name):
        assert list(follow) == []


def test_swmr_must_be_said(tmp_path):
    name = str(tmp_path / "run.h5")
    words = {"chunks": (1, *SHAPE), "filters": "{}", "block": 1, "flush": 1}
    with start(SWMR, name=name, seconds=2, **words) as writer:
        cxi.CXIStore(name, swmr=True, wait=20)["data"]
        with pytest.raises(StorageError, match="swmr=True"):
            list(cxi.CXIStore(name).follow(timeout=30))
        writer.communicate(timeout=60)


def test_a_store_sees_by_refresh_what_was_appended(tmp_path):
    name = str(tmp_path / "run.h5")
    code = """
    import h5py, sys, numpy as np
    with h5py.File(sys.argv[1], "w", libver="latest") as file:
        data = file.create_dataset(sys.argv[2], (1, 3, 4), "u2", maxshape=(None, 3, 4))
        file.swmr_mode = True
        for number in range(1, 4):
            print(number, flush=True)
            sys.stdin.readline()
            data.resize(number + 1, 0)
            data[number] = number
            data.flush()
        print("done", flush=True)
        sys.stdin.readline()
    """
    words = [sys.executable, "-c", textwrap.dedent(code), name, PATH]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, **pipes) as writer:
        writer.stdout.readline()
        store = cxi.CXIStore(name, swmr=True)
        lazy = store["data"]
        for number in range(1, 4):
            assert store["data"].shape == (number, 3, 4)
            writer.stdin.write("\n")
            writer.stdin.flush()
            writer.stdout.readline()
            assert store["data"].shape == (number, 3, 4)  # not before it is asked for
            assert (lazy[0] == 0).all()
            store.refresh()
            assert (store["data"][number] == number).all()
        store.update_indices()
        assert store["data"].shape == (4, 3, 4)
        assert "SWMR" in store.explain("data")
        writer.stdin.write("\n")
        writer.stdin.flush()
        writer.wait(timeout=30)


def test_a_file_is_waited_for(tmp_path):
    name = tmp_path / "a.h5"
    with pytest.raises(FileNotFoundError, match=r"waited for 0\.2 s"):
        cxi.CXIStore(name, wait=0.2)
    with pytest.raises(FileNotFoundError, match=r"no file matches.*waited for 0\.2 s"):
        cxi.CXIStore(str(tmp_path / "a*.h5"), wait=0.2)
    whole = (tmp_path / "whole.h5", put(tmp_path / "whole.h5", 5))[0].read_bytes()
    name.write_bytes(whole[: len(whole) // 2])
    store = cxi.CXIStore(name, wait=0.2)
    with pytest.raises(StorageError, match=r"truncated.*waited for 0\.2 s"):
        store.load_attribute("data", verbose=False)
    names = str(tmp_path / "whole.h5"), str(name)
    code = f"import time, os; time.sleep(0.5); os.replace(*{names!r})"
    with subprocess.Popen([sys.executable, "-c", code]):
        store = cxi.CXIStore(name, wait=20)
        assert store.load_attribute("data", verbose=False)[0, 0, 0] == 5


def test_words_that_do_not_fit_are_refused(tmp_path):
    name = put(tmp_path / "a.h5", 0)
    store = cxi.CXIStore(name)
    for words in ({"timeout": -1}, {"batch": 0}, {"until": -1}, {"on_error": "ignore"}):
        with pytest.raises(ValueError, match=next(iter(words))):
            store.follow(**words)
    with pytest.raises(ValueError, match="scalar"):
        store.follow("wavelength")
    for words in ({"swmr": True, "mode": "r+"}, {"wait": -1}):
        with pytest.raises(ValueError, match=next(iter(words))):
            cxi.CXIStore(name, **words)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(store.follow(timeout=0))) == 1
