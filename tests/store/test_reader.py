"""Reader and read: whatever dataset is open, they give what h5py and NumPy give."""

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import CastError, Crop, Downscale, FrameIndexError, Reader, read

FRAMES = np.random.default_rng(7).poisson(3, (9, 12, 14)).astype("u2")
STORED = {
    "contiguous": {},
    "chunked": {"chunks": (1, 12, 14)},
    "frames together": {"chunks": (4, 12, 14), **hdf5plugin.Bitshuffle()},
    "frames in pieces": {"chunks": (2, 5, 9), **hdf5plugin.Bitshuffle(cname="zstd")},
    "deflate": {"chunks": (3, 12, 14), "compression": "gzip", "shuffle": True},
    "by h5py alone": {"chunks": (3, 12, 14), "compression": "lzf"},
    "checked": {"chunks": (3, 12, 14), "fletcher32": True},
}
INDICES = [
    None,
    0,
    -1,
    np.int64(4),
    slice(None),
    slice(2, 7),
    slice(8, 1, -3),
    [3, 1, 1, -2],
    [],
    np.arange(9) % 2 == 0,
    (5, 2),
    range(3),
]


@pytest.fixture(params=STORED)
def dataset(request, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a/b", data=FRAMES, **STORED[request.param])
    with h5py.File(tmp_path / "a.h5") as file:
        yield file["a/b"]


def as_numpy(idxs):
    return np.asarray(idxs, np.intp) if isinstance(idxs, list | tuple | range) else idxs


@pytest.mark.parametrize("idxs", INDICES, ids=repr)
def test_frames(dataset, idxs):
    expected = FRAMES if idxs is None else FRAMES[as_numpy(idxs)]
    reader = Reader(dataset)
    for _ in range(3):  # cold, and with what is kept
        np.testing.assert_array_equal(reader.read(idxs), expected, strict=True)
    np.testing.assert_array_equal(read(dataset, idxs, num_threads=1), expected, strict=True)
    if idxs is not None and not isinstance(idxs, tuple):
        np.testing.assert_array_equal(reader[idxs], expected, strict=True)
        np.testing.assert_array_equal(reader[idxs, ..., 3:7], expected[..., 3:7], strict=True)
    assert (reader.shape, reader.dtype, len(reader)) == (FRAMES.shape, FRAMES.dtype, 9)
    np.testing.assert_array_equal(list(reader), FRAMES)
    np.testing.assert_array_equal(np.asarray(reader), FRAMES)


@pytest.mark.parametrize("idxs", INDICES, ids=repr)
def test_into_an_array_of_any_strides(dataset, idxs):
    expected = (FRAMES if idxs is None else FRAMES[as_numpy(idxs)]).astype("f4")
    reader = Reader(dataset, dtype="f4")
    around = np.full([2 * n + 1 for n in expected.shape], -1, "f4")
    out = around[tuple(slice(1, None, 2) for _ in expected.shape)][..., ::-1]
    for _ in range(2):
        assert reader.read(idxs, out=out) is out
        np.testing.assert_array_equal(out, expected)
        out[...] = -1
    assert (around == -1).all()  # nothing was written beside it


@pytest.mark.parametrize(
    "transform", [Crop([2, 11, 3, 9]), Downscale(3, "sum"), [Crop([0, 8, 0, 8]), Downscale(2)]]
)
def test_transforms(dataset, transform):
    one = transform if not isinstance(transform, list) else None
    expected = FRAMES
    for each in [one] if one else transform:
        expected = each.forward(expected)
    reader = Reader(dataset, transform=transform)
    np.testing.assert_array_equal(reader.read(), expected, strict=True)
    np.testing.assert_array_equal(reader.read([6, 2]), expected[[6, 2]])
    np.testing.assert_array_equal(reader[3], expected[3])
    assert reader.shape == expected.shape


@pytest.mark.parametrize("bad", [9, -10, [0, 9], np.ones(8, bool), 1.5, "x"], ids=repr)
def test_what_indexes_no_frame(dataset, bad):
    for call in (Reader(dataset).read, Reader(dataset).__getitem__):
        with pytest.raises(FrameIndexError):
            call(bad)


@pytest.mark.parametrize(
    "out", [np.empty((12, 14), "f4"), np.empty((1, 12, 14), "u2"), [[0]], np.empty((12, 14), ">u2")]
)
def test_an_array_that_does_not_fit(dataset, out):
    with pytest.raises((TypeError, ValueError)):
        Reader(dataset).read(3, out=out)


def test_what_does_not_fit_the_dtype(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = FRAMES + 300
    with h5py.File(tmp_path / "a.h5") as file:
        with pytest.raises(CastError):
            Reader(file["x"], dtype="u1").read(2)
        expected = (FRAMES + 300).astype("u1")
        np.testing.assert_array_equal(read(file["x"], dtype="u1", casting="unsafe"), expected)


VALUES = {
    "scalar": np.float64(3.5),
    "row": np.arange(7, dtype="i2"),
    "frame": np.arange(12.0).reshape(3, 4),
    "four axes": np.arange(120, dtype="i4").reshape(2, 3, 4, 5),
    "flags": np.array([[True, False], [False, True]]),
    "complex": (np.arange(24) * 1j).reshape(2, 3, 4),
    "text": np.array(["a", "bc"], object),
    "records": np.zeros(3, [("x", "f4"), ("y", "i2")]),
    "big-endian": np.arange(24, dtype=">u4").reshape(2, 3, 4),
    "nothing": np.zeros((0, 3, 4), "u2"),
    "half": np.arange(24, dtype="f2").reshape(2, 3, 4),
}


@pytest.mark.parametrize("name", VALUES)
def test_datasets_of_any_kind(tmp_path, name):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = VALUES[name]
    with h5py.File(tmp_path / "a.h5") as file:
        expected = file["x"][()]
        reader = Reader(file["x"])
        np.testing.assert_array_equal(reader.read(), expected)
        assert reader.shape == expected.shape
        assert reader.explain().startswith("dataset: ")
        if expected.ndim and len(expected):
            np.testing.assert_array_equal(reader.read(-1), expected[-1])
            np.testing.assert_array_equal(reader.read(slice(None, None, -1)), expected[::-1])
            np.testing.assert_array_equal(reader[0], expected[0])


def test_what_is_written_and_not_on_disk_yet(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset(
            "x", data=FRAMES[:2], maxshape=(None, 12, 14), chunks=(2, 12, 14)
        )
        reader = Reader(data)
        for number in range(2, 9):
            data.resize(number + 1, axis=0)
            data[number] = FRAMES[number]
            np.testing.assert_array_equal(reader.read(number), FRAMES[number])
            np.testing.assert_array_equal(reader.read(), FRAMES[: number + 1])
        data[4] = 0
        assert not reader.read(4).any()
        assert reader.explain().count("this process has the file open for writing")


def test_a_file_that_was_replaced_is_not_the_one_that_is_open(tmp_path):
    for name, values in (("a.h5", FRAMES), ("b.h5", FRAMES + 1)):
        with h5py.File(tmp_path / name, "w") as file:
            file["x"] = values
    with h5py.File(tmp_path / "a.h5") as file:
        reader = Reader(file["x"])
        np.testing.assert_array_equal(reader.read(1), FRAMES[1])
        (tmp_path / "b.h5").replace(tmp_path / "a.h5")
        for _ in range(2):
            np.testing.assert_array_equal(reader.read(1), file["x"][1])
            np.testing.assert_array_equal(reader.read(), FRAMES)
        assert "another file has taken the name" in reader.explain()
        np.testing.assert_array_equal(read(file["x"]), FRAMES)


def test_a_file_that_has_lost_its_name(dataset):
    reader = Reader(dataset)
    np.testing.assert_array_equal(reader.read(1), FRAMES[1])
    Path(dataset.file.filename).unlink()
    for _ in range(2):
        np.testing.assert_array_equal(reader.read(2), FRAMES[2])
        np.testing.assert_array_equal(reader.read([3, 0]), FRAMES[[3, 0]])
        np.testing.assert_array_equal(read(dataset), FRAMES)


def test_the_file_is_the_users_to_close_and_to_write(tmp_path):
    for number in (0, 1):
        with h5py.File(tmp_path / "a.h5", "w") as file:  # not while anybody has it open
            file["x"] = FRAMES + number
        with h5py.File(tmp_path / "a.h5") as file:
            reader = Reader(file["x"])
            reader.read(1), reader.read(), reader.explain()
            np.testing.assert_array_equal(reader[3], FRAMES[3] + number)


def test_files_that_only_h5py_opens(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", driver="core", backing_store=False) as file:
        file["x"] = FRAMES
        assert "driver 'core'" in Reader(file["x"]).explain()
        np.testing.assert_array_equal(read(file["x"], [4, 2]), FRAMES[[4, 2]])
    with h5py.File(tmp_path / "b.h5", "w") as file:
        data = file.create_dataset(None, data=FRAMES)
        assert "no name" in Reader(data).explain()
        np.testing.assert_array_equal(read(data, 3), FRAMES[3])


@pytest.mark.parametrize("name", ["(a, b)", "a%b", "{x}", "a b", "ä", "[0]", "a,b"])
def test_names_that_mean_something_in_a_protocol(tmp_path, name):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file[name] = FRAMES
        file["a"] = file["b"] = FRAMES + 1
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(read(file[name]), FRAMES)


def test_virtual_datasets(tmp_path):
    layout = h5py.VirtualLayout((9, 12, 14), "u2")
    for number in range(9):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file.create_dataset("x", data=FRAMES[number], chunks=(12, 7), **hdf5plugin.LZ4())
        layout[number] = h5py.VirtualSource(tmp_path / f"{number}.h5", "x", (12, 14))
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file.create_virtual_dataset("x", layout)
    with h5py.File(tmp_path / "all.h5") as file:
        np.testing.assert_array_equal(read(file["x"], [7, 0]), FRAMES[[7, 0]])
        np.testing.assert_array_equal(Reader(file["x"])[5], FRAMES[5])


def test_what_is_no_dataset(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("x", data=FRAMES)
        with pytest.raises(ValueError, match="names a file: name a dataset"):
            read(str(tmp_path / "a.h5"))
        for other in (file, FRAMES):
            with pytest.raises(TypeError, match=r"an open h5py\.Dataset is read, not"):
                read(other)
        reader = Reader(data)
    for call in (lambda: read(data), lambda: reader.read(1), lambda: reader[1]):
        with pytest.raises(ValueError, match="the dataset is closed"):
            call()


@settings(deadline=None)
@given(data=st.data())
def test_calls_in_any_order(tmp_path_factory, data):
    chunk = tuple(data.draw(st.integers(1, n)) for n in FRAMES.shape)
    codec = data.draw(st.sampled_from(["lz4", "zstd", None, "deflate"]))
    how = {"compression": "gzip"} if codec == "deflate" else {}
    if codec in ("lz4", "zstd"):
        how = hdf5plugin.Bitshuffle(cname=codec)
    path = tmp_path_factory.mktemp("calls") / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=FRAMES, chunks=chunk, **how)
    cache = data.draw(st.sampled_from([0, 700, 1 << 20]))
    with h5py.File(path) as file:
        reader = Reader(file["x"], chunk_cache=cache)
        for _ in range(12):
            idxs = data.draw(st.integers(-9, 8) | st.lists(st.integers(-9, 8), max_size=6))
            got = reader.read(idxs)
            np.testing.assert_array_equal(got, FRAMES[as_numpy(idxs)], strict=True)
            got[...] = 0  # a result is the caller's own
