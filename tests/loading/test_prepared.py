"""A load that C reads: the same pixels as Python's, whatever they are stored like; and refusals."""

import ctypes as c
import os
import threading
import time

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack import Crop, CXIStore, Downscale, Mirror
from cxistack.loading._prepared import LoadHandle
from factory.c_table import TYPES, address, constants, function, pointed

S = {name.removeprefix("CXISTACK_"): number for name, number in constants().items()}
TEXT = 400
SHAPE = (21, 30, 26)
STORAGE = {
    "contiguous": {},
    "a chunk a frame": {"chunks": (1, 30, 26)},
    "frames in pieces": {"chunks": (1, 11, 7)},
    "frames together": {"chunks": (4, 30, 26), "compression": "gzip", "shuffle": True},
    "bitshuffled": {"chunks": (1, 30, 26), **hdf5plugin.Bitshuffle()},
    "bitshuffled in pieces": {"chunks": (5, 16, 16), **hdf5plugin.Bitshuffle()},
}


class Opened:
    """A load as C has it."""

    def __init__(self, prepared):
        text = c.create_string_buffer(TEXT)
        handle = c.c_void_p(pointed(prepared.capsule(), b"cxistack.load"))
        self.at = c.c_void_p(function("open", c.c_void_p)(handle, text, c.c_size_t(TEXT)))
        if not self.at.value:
            raise ValueError(text.value.decode())
        shape = (c.c_int64 * S["MOST_AXES"])()
        axes = function("frame_shape")(self.at, shape)
        self.shape = tuple(shape[:axes])
        self.dtype = np.dtype(TYPES[function("frame_type")(self.at)])
        self.count = function("frame_count", c.c_int64)(self.at)
        self.scratch = c.c_void_p(function("scratch_open", c.c_void_p)(self.at))

    def read(self, numbers, out, scratch=None, strides=True):
        """Return the status and the text."""
        text = c.create_string_buffer(TEXT)
        frames = np.array(numbers, np.int64)
        steps = (c.c_int64 * out.ndim)(*out.strides)
        given = self.scratch if scratch is None else scratch
        status = function("read")(
            *(self.at, address(frames), c.c_size_t(len(frames)), address(out)),
            *(steps if strides else None, given, text, c.c_size_t(TEXT)),
        )
        return status, text.value.decode()

    def frames(self, numbers):
        out = np.zeros((len(numbers), *self.shape), self.dtype)
        assert self.read(numbers, out) == (S["OK"], "")
        return out

    def close(self):
        function("scratch_close", None)(self.scratch)
        function("close", None)(self.at)


@pytest.fixture
def opened():
    made = []

    def opener(prepared):
        made.append(Opened(prepared))
        return made[-1]

    yield opener
    for one in made:
        one.close()


def write(path, data, **how):
    with h5py.File(path, "w") as h5:
        h5.create_dataset("/entry/data/data", data=data, **how)
    return path


@pytest.fixture(scope="module")
def data():
    return np.random.default_rng(5).integers(0, 250, SHAPE).astype("u2")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, data):
    """Of each storage, two files."""
    folder = tmp_path_factory.mktemp("prepared")
    made = {}
    for name, how in STORAGE.items():
        made[name] = [
            write(folder / f"{name} {k}.h5", data[part], **how)
            for k, part in enumerate((slice(0, 12), slice(12, None)))
        ]
    return made


@pytest.mark.parametrize("name", STORAGE)
@given(drawn=st.data())
def test_frames_are_those_that_python_reads(runs, data, name, drawn):
    transform = drawn.draw(
        st.sampled_from([None, Crop([2, 25, 3, 20]), Mirror(0, SHAPE[1:]), Mirror(1, SHAPE[1:])])
    )
    dtype = drawn.draw(st.sampled_from(["u2", "f4", "u1", "f8", "i4"]))
    numbers = drawn.draw(st.lists(st.integers(0, SHAPE[0] - 1), min_size=1, max_size=30))
    store = CXIStore([str(one) for one in runs[name]])
    want = store.load_attribute("data", numbers, transform=transform, dtype=dtype, verbose=False)
    load = Opened(store.prepared("data", transform=transform, dtype=dtype))
    assert (load.count, load.shape, load.dtype) == (SHAPE[0], want.shape[1:], want.dtype)
    # Once in C order; then with gaps, and the axes the other way round.
    assert np.array_equal(load.frames(numbers), want)
    whole = np.zeros((*want.shape[:0:-1], 2 * len(numbers)), dtype)
    assert load.read(numbers, whole.T[::2]) == (S["OK"], "")
    assert np.array_equal(whole.T[::2], want)
    assert not whole.T[1::2].any()
    load.close()


def test_scratch_is_made_for_the_call_where_none_is_given(runs, data, opened):
    load = opened(CXIStore([str(one) for one in runs["bitshuffled"]]).prepared("data"))
    out = np.zeros((3, *SHAPE[1:]), "u2")
    assert load.read([20, 0, 12], out, c.c_void_p(None), strides=False) == (S["OK"], "")
    assert np.array_equal(out, data[[20, 0, 12]])


def test_eight_threads_read_one_load(runs, data, opened):
    load = opened(CXIStore([str(one) for one in runs["bitshuffled in pieces"]]).prepared("data"))
    wrong = []

    def work(seed):
        scratch = c.c_void_p(function("scratch_open", c.c_void_p)(load.at))
        draw = np.random.default_rng(seed)
        for _ in range(50):
            numbers = draw.integers(0, SHAPE[0], 4)
            out = np.zeros((4, *SHAPE[1:]), "u2")
            if load.read(numbers, out, scratch) != (S["OK"], "") or (out != data[numbers]).any():
                wrong.append(numbers)
        function("scratch_close", None)(scratch)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert wrong == []


def test_a_whitefield_is_a_load_of_one_frame(tmp_path, opened):
    white = np.arange(12, dtype="f4").reshape(3, 4)
    with h5py.File(tmp_path / "one.cxi", "w") as h5:
        h5["/entry/data/data"] = np.zeros((2, 3, 4), "u2")
    store = CXIStore(tmp_path / "one.cxi", "r+")
    store.save_attribute("whitefield", white)
    load = opened(store.prepared("whitefield"))
    assert np.array_equal(load.frames([0])[0], white)


def test_what_was_never_written_is_the_fill_value(tmp_path, opened):
    with h5py.File(tmp_path / "run.h5", "w") as h5:
        made = h5.create_dataset(
            "/entry/data/data", (3, 4, 5), "u2", chunks=(1, 4, 5), fillvalue=7, compression="gzip"
        )
        made[1] = 1
    load = opened(CXIStore(tmp_path / "run.h5").prepared("data", dtype="f4"))
    assert load.frames([0, 1, 2]).max((1, 2)).tolist() == [7, 1, 7]


@pytest.mark.parametrize("number", [-1, 21, 1 << 40])
def test_a_frame_that_is_not_there(runs, opened, number):
    load = opened(CXIStore([str(one) for one in runs["contiguous"]]).prepared("data"))
    status, text = load.read([0, number], np.zeros((2, *SHAPE[1:]), "u2"))
    assert status == S["BAD_INDEX"]
    assert text == f"there is no frame {number}: the load has 21"


def test_a_value_that_does_not_fit(tmp_path, opened):
    path = write(tmp_path / "run.h5", np.full((3, 4, 5), [[[1]], [[1]], [[300]]], "u2"))
    load = opened(CXIStore(path).prepared("data", dtype="u1"))
    status, text = load.read([0, 2], np.zeros((2, 4, 5), "u1"))
    assert status == S["LOST"]
    assert text.startswith(f"frame 2 of the load, in {path}:/entry/data/data: a value does not fit")
    load = opened(CXIStore(path).prepared("data", dtype="u1", casting="unsafe"))
    assert load.frames([2]).max() == 44


def test_a_chunk_that_does_not_decode(tmp_path, opened):
    how = {"chunks": (1, 30, 26), **hdf5plugin.Bitshuffle()}
    path = write(tmp_path / "run.h5", np.ones((3, 30, 26), "u2"), **how)
    with h5py.File(path) as h5:
        chunk = h5["/entry/data/data"].id.get_chunk_info(1)
    with path.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xff" * 12)
    load = opened(CXIStore(path).prepared("data"))
    status, text = load.read([1], np.zeros((1, 30, 26), "u2"))
    assert status == S["BAD_CHUNK"]
    assert f"frame 1 of the load, in {path}:/entry/data/data: the chunk of" in text


@pytest.mark.parametrize("change", ["cut", "replaced", "gone"])
def test_a_file_that_was_changed(tmp_path, opened, change):
    path = write(tmp_path / "run.h5", np.ones((3, 30, 26), "u2"))
    load = opened(CXIStore(path).prepared("data"))
    if change == "cut":
        os.truncate(path, 3000)
    else:
        path.unlink()
        if change == "replaced":
            write(path, np.ones((3, 30, 26), "u2"))
    status, text = load.read([1], np.zeros((1, 30, 26), "u2"))
    assert status == S["CHANGED"]
    assert "is not what it was" in text


@pytest.mark.parametrize("is_linked", [False, True])
def test_a_file_that_has_lost_its_name_to_another(tmp_path, opened, is_linked):
    path = write(tmp_path / "run.h5", np.ones((3, 30, 26), "u2"))
    load = opened(CXIStore(path).prepared("data"))
    if is_linked:  # it keeps another name, whatever becomes of this one
        (tmp_path / "kept.h5").hardlink_to(path)
    assert load.frames([1]).max() == 1
    path.chmod(0o400)  # it is another file in this, but not in what it holds
    assert load.frames([1]).max() == 1
    if not is_linked:
        path.rename(tmp_path / "old.h5")
    new = write(tmp_path / "new.h5", np.full((3, 30, 26), 2, "u2"))
    new.replace(path)
    status, text = load.read([1], np.zeros((1, 30, 26), "u2"))
    assert (status, "is not what it was" in text) == (S["CHANGED"], True)


def test_a_name_is_looked_at_again_when_the_file_was_changed_long_ago(tmp_path, opened):
    path = write(tmp_path / "run.h5", np.ones((3, 30, 26), "u2"))
    load = opened(CXIStore(path).prepared("data"))
    time.sleep(0.2)  # until what was seen is kept
    assert load.frames([1, 2]).max() == 1
    assert load.frames([0]).max() == 1
    path.rename(tmp_path / "old.h5")
    status, _ = load.read([1], np.zeros((1, 30, 26), "u2"))
    assert status == S["CHANGED"]


class Stop(BaseException):
    """What ends a program, as an interrupt does."""


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Stop("now")])
def test_an_interrupt_while_it_is_opened_is_told_and_comes_through(error):
    def resolve():
        raise error

    text = c.create_string_buffer(TEXT)
    handle = LoadHandle(resolve)
    capsule = handle.capsule()
    at = c.c_void_p(pointed(capsule, b"cxistack.load"))

    def wait():
        assert function("open", c.c_void_p)(at, text, c.c_size_t(TEXT)) is None
        for _ in range(1000):
            time.sleep(0.001)

    with pytest.raises(type(error)) as raised:
        wait()
    assert raised.value is error
    assert (
        text.value
        == f"{type(error).__name__} came before the load was open: open it again".encode()
    )


def test_what_only_hdf5_reads_is_refused(tmp_path):
    path = write(
        tmp_path / "run.h5", np.ones((3, 4, 5), "u2"), chunks=(1, 4, 5), **hdf5plugin.Blosc()
    )
    with pytest.raises(ValueError, match="without HDF5: There is no decoder of HDF5 filter 32001"):
        Opened(CXIStore(path).prepared("data"))


def test_what_takes_more_than_one_pass_is_refused(runs):
    store = CXIStore([str(one) for one in runs["contiguous"]])
    with pytest.raises(ValueError, match="more than one cast and one view"):
        Opened(store.prepared("data", transform=Downscale(2, mode="sum")))


def test_a_file_that_is_gone_when_it_is_opened(tmp_path):
    path = write(tmp_path / "run.h5", np.ones((3, 4, 5), "u2"))
    prepared = CXIStore(path).prepared("data")
    path.unlink()
    with pytest.raises(ValueError, match=str(path)):
        Opened(prepared)


def test_what_is_no_attribute_of_pixels_is_refused(tmp_path):
    with h5py.File(tmp_path / "run.cxi", "w") as h5:
        h5["/entry/data/data"] = np.zeros((2, 3, 4), "u2")
    store = CXIStore(tmp_path / "run.cxi", "r+")
    store.save_attribute("distance", 0.2)
    with pytest.raises(ValueError, match="cannot be read without Python"):
        Opened(store.prepared("distance"))


def test_scratch_of_another_load_is_refused(runs, opened):
    one, two = (opened(CXIStore(str(runs["contiguous"][k])).prepared("data")) for k in range(2))
    status, text = one.read([0], np.zeros((1, *SHAPE[1:]), "u2"), two.scratch)
    assert (status, "another load" in text) == (S["BAD_ARGUMENT"], True)


def test_it_says_what_it_is(runs):
    load = CXIStore(str(runs["contiguous"][0])).prepared("data", dtype="f4")
    assert repr(load) == "<PreparedLoad of 'data': (12, 30, 26) float32>"
    assert (load.frame_count, load.frame_shape, load.dtype) == (12, (30, 26), np.float32)
