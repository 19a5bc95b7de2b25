"""Sums made as blocks decode are, bit for bit, those of frames that were loaded."""

from contextlib import nullcontext

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import Crop, CXIStore, FileChangedError, StorageError
from cxistack.kernels import Moments
from cxistack.loading import sums, whole_chunks
from factory import DATA

RNG = np.random.default_rng(5)
COUNTS = RNG.poisson(2, (7, 67, 93))
WORDS = ["sum", "mean", "std", "min", "max", "over", "saturated"]
QUIET = {"verbose": False}


def write(file, frames, codec="lz4", block=0, **options):
    with h5py.File(file, "w") as h5:
        options.setdefault("chunks", (1, *frames.shape[1:]))
        if codec is not None:
            options |= hdf5plugin.Bitshuffle(nelems=block, cname=codec)
        h5.create_dataset(DATA, data=frames, **options)
    return CXIStore(file)


def of_kind(dtype, seed=0):
    """Return frames whose sums are rounded, wide or signed, as the type has them."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        rng = np.random.default_rng(seed)
        return (rng.normal(size=COUNTS.shape) * 10.0 ** (COUNTS - 2)).astype(dtype)
    return (COUNTS - (2 if dtype.kind == "i" else 0)).astype(dtype)


def moments_of(load, words=WORDS):
    return Moments(load.frame_shape, load.dtype, words, threshold=2, saturation=3)


def same(found, wanted):
    assert found.frames == wanted.frames
    for word in found.how:
        one, other = (m.result(word, fill=1) for m in (found, wanted))
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


@settings(deadline=None, max_examples=80)
@given(
    codec=st.sampled_from(["lz4", "zstd"]),
    dtype=st.sampled_from(["u1", "u2", "u4", "u8", "i1", "i2", "i8", ">u2", ">f8", "f4", "f8"]),
    block=st.sampled_from([0, 8, 64, 1024]),
    wanted=st.none() | st.lists(st.integers(0, 20), min_size=1, max_size=50),
    masked=st.booleans(),
    batch=st.sampled_from([1, 40_000, 1 << 20]),
    threads=st.integers(1, 2),
)
def test_they_are_those_of_loaded_frames(
    tmp_path_factory, codec, dtype, block, wanted, masked, batch, threads
):
    folder = tmp_path_factory.mktemp("sums")
    for number in range(3):
        write(folder / f"{number}.h5", of_kind(dtype, number), codec, block).close()
    native = np.dtype(dtype).newbyteorder("=")
    with CXIStore(str(folder / "*.h5")) as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sums, "_BATCH_BYTES", batch)
        load = store._prepare("data", dtype=native)
        numbers = np.arange(21) if wanted is None else np.array(wanted)
        good = np.random.default_rng(1).random(load.frame_shape) < 0.7 if masked else None
        found, expected, told = moments_of(load), moments_of(load), []
        how = {"num_threads": threads, "tick": told.append}
        assert sums.add_frames(load, numbers, [found], good, **how)
        assert sum(told) == len(numbers)
        expected.add(load.read(numbers), good)
        same(found, expected)


def test_they_go_on_from_frames_before(tmp_path):
    load = write(tmp_path / "a.h5", of_kind("f4"))._prepare("data", dtype="float32")
    numbers = np.arange(7)
    found, other, expected = moments_of(load), moments_of(load, ["max"]), moments_of(load)
    good = np.random.default_rng(1).random(load.frame_shape) < 0.5
    for mask in (None, good, None):
        assert sums.add_frames(load, numbers, [found, other], mask, num_threads=1)
        expected.add(load.read(numbers), mask)
    same(found, expected)
    np.testing.assert_array_equal(other.result("max"), expected.result("max"))


@pytest.mark.parametrize("dtype", ["u4", "f8"])
def test_more_frames_than_are_added_at_a_time(tmp_path, dtype):
    load = write(tmp_path / "a.h5", of_kind(dtype))._prepare("data", dtype=dtype)
    numbers = np.arange(70) % 7
    found, expected = moments_of(load), moments_of(load)
    assert sums.add_frames(load, numbers, [found], num_threads=1)
    expected.add(load.read(numbers))
    same(found, expected)


def reduced(store, words=("mean", "max", "std"), **how):
    return store.reduce("data", list(words), **how, **QUIET)


def alike(found, wanted):
    assert found.keys() == wanted.keys()
    for word, values in found.items():
        np.testing.assert_array_equal(values, wanted[word])


@pytest.fixture
def ways(monkeypatch):
    """Return a list of whether sums were made without frames, as they are asked for."""
    found = []
    real = sums.add_frames

    def watched(*words, **how):
        found.append(real(*words, **how))
        return found[-1]

    monkeypatch.setattr("cxistack.store.streams.add_frames", watched)
    return found


def in_memory(frames, words=("mean", "max", "std"), mask=None):
    moments = Moments(frames.shape[1:], frames.dtype, list(words))
    moments.add(frames, mask)
    return {word: moments.result(word) for word in words}


def test_a_run_is_reduced_so(tmp_path, ways):
    frames = of_kind("u2")
    store = write(tmp_path / "a.h5", frames)
    alike(reduced(store, num_threads=1), in_memory(frames))
    alike(reduced(store, idxs=[3, 3, 0], num_threads=1), in_memory(frames[[3, 3, 0]]))
    assert ways == [True, True]


@pytest.mark.parametrize("shape", [(67, 93), COUNTS.shape])
def test_the_runs_own_mask(tmp_path, ways, shape):
    frames = of_kind("u2")
    mask = np.random.default_rng(1).random(shape) < 0.5
    mask[..., 5, :] = False
    write(tmp_path / "a.h5", frames).close()
    with h5py.File(tmp_path / "a.h5", "r+") as h5:
        h5["/speckle_tracking/mask"] = mask
    found = reduced(CXIStore(tmp_path / "a.h5"), mask=True, fill=7, num_threads=1)
    good = mask if mask.ndim == 2 else mask[:, :, :]
    moments = Moments((67, 93), "u2", ["mean", "max", "std"])
    moments.add(frames, good)
    alike(found, {word: moments.result(word, fill=7) for word in moments.how})
    assert ways == ([True] if mask.ndim == 2 else [])


@pytest.mark.parametrize(
    ("options", "how"),
    [
        ({"codec": None}, {}),
        ({"chunks": (2, 67, 93)}, {}),
        ({"chunks": (1, 67, 50)}, {}),
        ({"block": 56072, "frames": np.tile(of_kind("u2"), (1, 3, 3))}, {}),
        ({}, {"num_threads": 64}),
        ({}, {"dtype": "float32"}),
        ({}, {"transform": Crop([3, 50, 7, 80])}),
    ],
)
def test_what_else_there_is_is_loaded(tmp_path, ways, options, how):
    frames = options.pop("frames", of_kind("u2"))
    store = write(tmp_path / "a.h5", frames, **options)
    loaded = frames.astype(how.get("dtype", "u2"))
    loaded = how["transform"].forward(loaded) if "transform" in how else loaded
    alike(reduced(store, **{"num_threads": 1} | how), in_memory(loaded))
    assert ways == [False]


def replaced(file, number, chunk, skipped=0):
    with h5py.File(file, "r+") as h5:
        h5[DATA].id.write_direct_chunk((number, 0, 0), chunk, skipped)


def test_unusual_chunks_are_loaded(tmp_path, ways):
    frames, file = of_kind("u2")[:, :64, :64].copy(), tmp_path / "a.h5"
    write(tmp_path / "64.h5", frames, block=64).close()
    with h5py.File(tmp_path / "64.h5") as h5:
        _, other = h5[DATA].id.read_direct_chunk((2, 0, 0))
    write(file, frames, block=1024).close()
    replaced(file, 2, other)  # its blocks are of another size than its dataset says
    alike(reduced(CXIStore(file), num_threads=1), in_memory(frames))
    write(file, frames).close()
    replaced(file, 2, frames[2].tobytes(), 1)
    alike(reduced(CXIStore(file), num_threads=1), in_memory(frames))
    with h5py.File(file, "w") as h5:
        data = h5.create_dataset(
            DATA, frames.shape, "u2", chunks=(1, 64, 64), fillvalue=9, **hdf5plugin.Bitshuffle()
        )
        data[2] = frames[2]
    with CXIStore(file) as store:
        alike(reduced(store, num_threads=1), in_memory(store.load_attribute("data", **QUIET)))
    assert ways == [False] * 3


@pytest.mark.parametrize("left", [0.5, 0.99])
def test_a_damaged_chunk_is_named(tmp_path, ways, left):
    file = tmp_path / "a.h5"
    write(file, of_kind("u2")).close()
    with h5py.File(file) as h5:
        _, chunk = h5[DATA].id.read_direct_chunk((4, 0, 0))
    replaced(file, 4, chunk[: int(left * len(chunk))])
    with pytest.raises(StorageError, match=r"a\.h5.*4.*ends before its last block"):
        reduced(CXIStore(file), num_threads=1)
    damaged = bytearray(chunk)
    damaged[-600:] = b"\xff" * 600
    replaced(file, 4, bytes(damaged))
    with pytest.raises(StorageError, match=r"a\.h5.*4"):
        reduced(CXIStore(file), num_threads=1)
    assert ways == [False, False]


def test_a_sum_that_does_not_fit_is_refused(tmp_path, ways):
    frames = np.zeros((3, 67, 93), "u8")
    frames[:, 60, 90] = 2**63
    store = write(tmp_path / "a.h5", frames)
    with pytest.raises(OverflowError, match=r"\(60, 90\) does not fit"):
        store.reduce("data", "sum", num_threads=1, dtype="uint64", **QUIET)
    assert ways == [False]


def test_a_file_that_is_replaced_meanwhile_is_read_again(tmp_path, ways, monkeypatch):
    frames, file = of_kind("u2"), tmp_path / "a.h5"
    write(file, frames).close()
    write(tmp_path / "b.h5", frames + np.uint16(1)).close()
    real = whole_chunks.Chunks.split

    def split(self):
        real(self)
        (tmp_path / "b.h5").replace(file)

    monkeypatch.setattr(whole_chunks.Chunks, "split", split)
    alike(reduced(CXIStore(file), num_threads=1), in_memory(frames + np.uint16(1)))
    assert ways == [False]


def test_a_file_that_is_another_before_it_is_opened(tmp_path):
    file = tmp_path / "a.h5"
    write(file, of_kind("u2")).close()
    load = CXIStore(file)._prepare("data")
    write(tmp_path / "b.h5", of_kind("u2")[:3]).close()
    (tmp_path / "b.h5").replace(file)
    assert not sums.add_frames(load, np.arange(7), [moments_of(load)], num_threads=1)
    with pytest.raises(FileChangedError):
        load.read()


class Told:
    """A progress bar that counts."""

    frames = 0

    def update(self, n):
        self.frames += n


def test_progress_counts_each_frame_once(tmp_path, ways, monkeypatch):
    file = tmp_path / "a.h5"
    write(file, of_kind("u2")).close()
    with h5py.File(file) as h5:
        _, chunk = h5[DATA].id.read_direct_chunk((4, 0, 0))
    monkeypatch.setattr(sums, "_BATCH_BYTES", 1)
    for skipped, raw in ((0, chunk), (1, of_kind("u2")[4].tobytes())):
        replaced(file, 4, raw, skipped)
        told = Told()
        monkeypatch.setattr(
            "cxistack.store.sources.progress_bar", lambda *words, bar=told: nullcontext(bar)
        )
        CXIStore(file).reduce("data", "mean", num_threads=1)
        assert told.frames == 7
    assert ways == [True, False]
