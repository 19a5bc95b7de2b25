"""Datasets are read by their names alone; h5py and silx are the oracles."""

import h5py
import hdf5plugin
import numpy as np
import pytest
import silx.io

from cxistack import (
    AttributeMissingError,
    CastError,
    Crop,
    FrameIndexError,
    LayoutError,
    Reader,
    read,
)
from cxistack.store.named import named_run
from factory import frames

FRAMES = frames(6, (8, 9))


@pytest.fixture
def name(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("b/c", data=FRAMES, chunks=(2, 8, 9), **hdf5plugin.Bitshuffle())
        file["rows"], file["one"], file["text"] = np.arange(12.0).reshape(4, 3), 1.5, "words"
        file.create_group("empty")
        file["image"], file["link"] = FRAMES[0], h5py.SoftLink("/b/c")
        file.create_dataset("by h5py", data=FRAMES, compression="lzf")
    return str(path)


@pytest.mark.parametrize("path", ["/b/c", "link", "/by h5py", "/image", "/rows", "/one"])
@pytest.mark.parametrize("index", ["", "...", "0", "-1", "1:3", "::-1", "0,2", "...,1", "1,2,3"])
def test_what_it_names_is_what_h5py_gives(name, path, index):
    with h5py.File(name) as file:
        array = np.asarray(file[path])
    text = f"{name}::{path}" + (f"[{index}]" if index else "")
    try:
        expected = eval(f"array[{index}]") if index else array
    except IndexError:
        with pytest.raises(FrameIndexError):
            read(text)
    else:
        np.testing.assert_array_equal(read(text), expected)
        assert read(text).dtype == expected.dtype


def test_the_datasets_of_a_group_are_one_stack(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for n in range(3):
            file[f"g/data_{n}"] = FRAMES[2 * n : 2 * n + 2]
    np.testing.assert_array_equal(read(f"{tmp_path}/a.h5::/g"), FRAMES)
    np.testing.assert_array_equal(read(f"{tmp_path}/a.h5::/g[1:5, 3]"), FRAMES[1:5, 3])


@pytest.mark.parametrize("index", ["0", "1:3", "0,1:3", "...,5", "2,:,::2"])
def test_silx_reads_the_same(name, index):
    url = f"silx:{name}?path=/b/c&slice={index}"
    np.testing.assert_array_equal(read(url), silx.io.get_data(url))
    np.testing.assert_array_equal(read(f"{name}::/b/c?slice={index}"), silx.io.get_data(url))


def test_a_reader_of_a_name_is_one_of_an_open_dataset(name):
    reader = Reader(f"{name}::/b/c", transform=Crop([0, 4, 1, 9]), dtype="float32")
    assert (reader.shape, reader.dtype, len(reader)) == ((6, 4, 8), np.float32, 6)
    out = np.empty((4, 8), "float32")
    assert reader.read(4, out=out) is out
    np.testing.assert_array_equal(out, FRAMES[4, :4, 1:9])
    np.testing.assert_array_equal(np.stack(list(reader)), FRAMES[:, :4, 1:9])
    np.testing.assert_array_equal(reader.read([5, 0, 0]), FRAMES[[5, 0, 0], :4, 1:9])
    assert "bitshuffle" in reader.explain()
    with h5py.File(name, "r+") as file:  # it keeps no file open
        file["b/c"][4] = 7
    assert (reader.read(4) == 7).all()


def test_its_words_are_those_of_an_open_one(name):
    text = f"{name}::/b/c"
    np.testing.assert_array_equal(read(text, [3, 1], dtype="f4"), FRAMES[[3, 1]])
    part = read(f"{text}[1:3]", transform=Crop([0, 2, 0, 3]), dtype="f8", num_threads=1)
    np.testing.assert_array_equal(part, FRAMES[1:3, :2, :3])
    out = np.empty((8, 9), "uint16")
    assert read(f"{text}[2]", out=out) is out
    np.testing.assert_array_equal(out, FRAMES[2])
    assert read(f"{name}::/text") == "words"
    with pytest.raises(CastError):
        read(f"{text}[5]", dtype="uint8")


def test_what_is_wrong_is_told(name, tmp_path):
    for text, words, error, told in [
        (name, {}, ValueError, "names a file: name a dataset"),
        (f"{name}::/x", {}, AttributeMissingError, "a.h5 has nothing at /x"),
        (f"{name}::/empty", {}, LayoutError, "empty"),
        (f"{tmp_path}/no.h5::/b", {}, FileNotFoundError, "no.h5"),
        (f"{name}::/b/c[0]", {"idxs": 1}, ValueError, "both say which frames"),
        (f"{name}::/b/c[0,1:3]", {"transform": Crop([0, 1, 0, 1])}, ValueError, "which pixels"),
        (f"{name}::/b/c[9]", {}, FrameIndexError, "out of bounds"),
        (f"{name}::/b/c[0]", {"out": np.empty(3)}, ValueError, "out must be"),
    ]:
        with pytest.raises(error, match=told):
            read(text, **words)
    with pytest.raises(ValueError, match="names a part of a dataset"):
        Reader(f"{name}::/b/c[0]")


class TestRuns:
    def test_the_datasets_are_data_of_all_files(self, tmp_path):
        for n in range(2):
            with h5py.File(tmp_path / f"r{n}.h5", "w") as file:
                file["x/y"] = FRAMES[3 * n : 3 * n + 3]
        with named_run([f"{tmp_path}/r?.h5::/x/y"]) as run:
            np.testing.assert_array_equal(run.load_attribute("data"), FRAMES)

    def test_two_axes_are_one_frame(self, name):
        with named_run([f"{name}::/image"]) as run:
            assert run["data"].shape == (1, 8, 9)

    def test_files_name_none(self, name):
        assert named_run([name]) is None

    def test_what_is_no_run_is_told(self, name):
        for texts, told in [
            ([f"{name}::/b/c", name], "names a file, and others a dataset: write FILE::/b/c"),
            ([f"{name}::/b/c", f"{name}::/image"], "not at /b/c and /image"),
            ([f"{name}::/b/c[0]"], "say the part by --frame, --frames or --crop"),
        ]:
            with pytest.raises(ValueError, match=told):
                named_run(texts)
