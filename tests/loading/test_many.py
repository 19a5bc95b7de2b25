"""Many frames by kept ways, and one large chunk by several threads, against h5py and NumPy."""

import os

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import ComposeTransforms, Crop, CXIStore, Mirror
from cxistack.loading import many
from factory import DATA

FRAMES = np.random.default_rng(5).poisson(3, (6, 67, 90))


def filters(codec):
    return hdf5plugin.Bitshuffle(cname=codec) if codec else {}


@st.composite
def transforms(draw):
    ss = sorted(draw(st.lists(st.integers(0, 67), min_size=2, max_size=2, unique=True)))
    fs = sorted(draw(st.lists(st.integers(0, 90), min_size=2, max_size=2, unique=True)))
    axis = draw(st.sampled_from([0, 1, None]))
    crop = Crop([*ss, *fs])
    return (
        crop
        if axis is None
        else ComposeTransforms([crop, Mirror(axis, (ss[1] - ss[0], fs[1] - fs[0]))])
    )


@settings(deadline=None)
@given(
    chunk=st.tuples(st.integers(1, 3), st.integers(20, 67), st.integers(20, 90)),
    codec=st.sampled_from(["lz4", "zstd"]),
    dtype=st.sampled_from(["u2", "u4", "u1", ">u2"]),
    transform=st.none() | transforms(),
    wanted=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    threads=st.integers(2, 7),
)
def test_threads_share_a_chunk(tmp_path_factory, chunk, codec, dtype, transform, wanted, threads):
    file = tmp_path_factory.mktemp("shared") / "a.h5"
    with h5py.File(file, "w") as h5:
        h5.create_dataset(DATA, data=FRAMES.astype(dtype), chunks=chunk, **filters(codec))
    expected = FRAMES[wanted].astype(np.dtype(dtype).newbyteorder("="))
    if transform is not None:
        expected = transform.forward(expected)
    large, few = many._LARGE, CXIStore(file)
    many._LARGE = 1
    try:
        load = few._prepare("data", transform=transform)
        out = np.empty((len(wanted), *load.frame_shape), load.dtype)
        assert many.read_many(
            load.files, load.few, np.array(wanted), many.Output(out, threads)
        ) == bool(out.size)
    finally:
        many._LARGE = large
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("codec", [None, "lz4"])
def test_more_tasks_than_one_job_takes(tmp_path, monkeypatch, codec):
    monkeypatch.setattr(many, "MOST_TASKS", 3)
    monkeypatch.setattr(many, "most_open", lambda: 2)
    files = [tmp_path / f"{number}.h5" for number in range(5)]
    for number, file in enumerate(files):
        with h5py.File(file, "w") as h5:
            h5.create_dataset(DATA, data=FRAMES + number, chunks=(2, 67, 90), **filters(codec))
    expected = np.concatenate([FRAMES + number for number in range(5)])
    for wanted in (np.arange(30), np.arange(30)[::-3], np.repeat(np.arange(4, 26), 2)):
        load = CXIStore(files)._prepare("data")
        out = np.empty((len(wanted), 67, 90), load.dtype)
        seen = []
        output = many.Output(out, 2, seen.append)
        assert many.read_many(load.files, load.few, wanted, output)
        np.testing.assert_array_equal(out, expected[wanted])
        assert sum(seen) == len(wanted)


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="pages are not put out")
@pytest.mark.parametrize("codec", [None, "lz4"])
def test_small_frames_come_from_the_disk_too(tmp_path, codec):
    file = tmp_path / "a.h5"
    with h5py.File(file, "w") as h5:
        h5.create_dataset(DATA, data=FRAMES[:, :20, :30], chunks=(2, 20, 30), **filters(codec))
    lazy = CXIStore(file, chunk_cache=0)["data"]
    lazy[0]  # from now on it is known where frames lie
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
        for number in (5, 0, 3):
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            np.testing.assert_array_equal(lazy[number], FRAMES[number, :20, :30])
