"""store[attr] is indexed as the NumPy array it stands for, and reads what the index needs."""

import itertools
import os
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import h5py
import numpy as np
import pytest

from cxistack import (
    CastError,
    Crop,
    CXIStore,
    Downscale,
    FileChangedError,
    FrameIndexError,
    LayoutError,
)
from factory import DATA, DISTANCE, MASK, TRANSLATIONS, frames, good_mask, many_files, put

KEYS = [
    0,
    -1,
    slice(None),
    slice(1, 5, 2),
    slice(None, None, -1),
    [0, 1],
    np.array([[1, 2], [3, 0]]),
    np.array(0),
    [],
    Ellipsis,
]
INDICES = [
    *((key,) for key in KEYS),
    *itertools.product(KEYS, KEYS),
    *itertools.product(KEYS, repeat=3),
]


@pytest.fixture(scope="module")
def array():
    return frames(6)


@pytest.fixture(scope="module")
def lazy(array, tmp_path_factory):
    return CXIStore(put(tmp_path_factory.mktemp("stack") / "a.cxi", {DATA: array}))["data"]


def test_any_index_means_what_it_means_in_numpy(array, lazy):
    for index in INDICES:
        try:
            expected = array[index]
        except (IndexError, ValueError):
            with pytest.raises((IndexError, ValueError)):
                lazy[index]
        else:
            got = lazy[index]
            assert np.shape(got) == expected.shape, index
            np.testing.assert_array_equal(got, expected, err_msg=str(index))


def test_boolean_masks_of_one_axis_and_of_all(array, lazy):
    some = np.arange(6) % 2 == 0
    np.testing.assert_array_equal(lazy[some], array[some])
    np.testing.assert_array_equal(lazy[array > 20], array[array > 20])


def test_an_int_of_a_detector_axis_reads_that_row_only(tmp_path):
    huge = put(tmp_path / "huge.h5", {})
    with h5py.File(huge, "r+") as h5:
        h5.create_dataset(DATA, (1000, 20000, 20000), "u2", chunks=(1, 100, 100), fillvalue=3)
    assert (CXIStore(huge)["data"][:, 3, 4] == 3).all()


def test_a_new_axis_and_too_many_indices_raise(lazy):
    with pytest.raises(FrameIndexError, match="newaxis"):
        lazy[None]
    with pytest.raises(FrameIndexError, match="too many"):
        lazy[0, 0, 0, 0]


@pytest.mark.parametrize(
    "key",
    [
        (0, 99), (0, slice(None), -9), 99, -99, (99, 0), (0, slice(None), [1, 99]),
        [[0, 1], [2, 99]],
        np.ones(3, bool), (slice(None), np.ones(3, bool)), (0, slice(None), [True] * 3),
        ([0, 1], [0, 1, 2]), ([0, 1], slice(None), [0, 1, 2]), (0, [[0, 1]], [0, 1, 2]),
        0.5, (0, 1.5), [0.5], (slice(None), slice(None), [1.0]), np.float64(1), "a", (0, "x"), {1},
    ],
    ids=repr,
)  # fmt: skip
def test_a_wrong_index_is_told_as_numpy_tells_it_before_anything_is_read(key, array, lazy):
    """The oracle is NumPy's own message: the axis, its size and the index are in both."""
    with pytest.raises(IndexError) as theirs:
        array[key]
    load = lazy._reader
    lazy._reader = lambda *_, **__: pytest.fail("it reads")
    try:
        with pytest.raises(FrameIndexError) as ours:
            lazy[key]
    finally:
        lazy._reader = load
    told = str(ours.value)
    axis = re.search(r"axis \d", str(theirs.value))
    assert axis is None or axis[0] in told
    assert set(re.findall(r"-?\d+", str(theirs.value))) <= set(re.findall(r"-?\d+", told))
    if "only integers" in str(theirs.value):
        keys = key if isinstance(key, tuple) else (key,)
        assert repr(keys[-1]) in told
        assert f"axis {len(keys) - 1} of 'data'" in told


def test_frames_rows_and_columns_that_are_not_there_are_named(tmp_path, array):
    store = CXIStore(put(tmp_path / "a.cxi", {DATA: array}))
    for words, message in [
        ({"idxs": 99}, "index 99 is out of bounds for axis 0 of 'data', which has 6 frames"),
        ({"idxs": [True] * 3}, r"axis 0: it has 6 frames, and the index has shape \(3,\)"),
        ({"idxs": 0.5}, "not by 0.5"),
        ({"ss_idxs": 99}, "index 99 is out of bounds for the slow axis of 5 pixels"),
        ({"fs_idxs": [True] * 3}, "the fast axis of 7 pixels: its size is 3"),
        ({"fs_idxs": 1.5}, "the fast axis .* not by 1.5"),
    ]:
        with pytest.raises(FrameIndexError, match=message):
            store.load_attribute("data", **words)


def test_as_an_array_of_another_type_it_is_cast_and_checked(tmp_path):
    lazy = CXIStore(put(tmp_path / "a.cxi", {DATA: np.full((1, 2, 2), 479, "u2")}))["data"]
    assert np.asarray(lazy, dtype="f4").dtype == np.float32
    with pytest.raises(CastError):
        np.asarray(lazy, dtype="u1")


def test_scalars_are_indexed_as_zero_dimensional_arrays(tmp_path):
    lazy = CXIStore(put(tmp_path / "a.cxi", {DISTANCE: 1.5}))["distance"]
    assert (lazy.shape, lazy[()], lazy[...]) == ((), 1.5, 1.5)


def test_a_lazy_stack_says_the_type_that_comes(tmp_path):
    store = CXIStore(put(tmp_path / "a.h5", {DATA: frames(2, dtype="int32")}))
    assert store["data"].dtype == store["data"][0].dtype == np.uint32


# ---------------------------------------------------------------- cast and transformed


def test_astype_and_transform_read_nothing_and_load_as_load_attribute_does(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(6)})
    store = CXIStore(name)
    roi, small = Crop([0, 4, 1, 7]), Downscale(2, mode="sum")
    lazy = store["data"].transform(roi).transform(small).astype("float32")
    assert (lazy.shape, lazy.dtype, lazy.nbytes) == ((6, 2, 3), np.float32, 144)
    whole = store.load_attribute("data", transform=[roi, small], dtype="float32")
    for got in (lazy[...], np.asarray(lazy), np.stack(list(lazy))):
        np.testing.assert_array_equal(got, whole)
        assert got.dtype == np.float32
    assert store["data"].shape == (6, 5, 7)  # the first one is what it was


def test_transforms_of_a_lazy_array_follow_one_another(tmp_path, array):
    data = CXIStore(put(tmp_path / "a.cxi", {DATA: array}))["data"]
    twice = data.transform(Crop([1, 5, 2, 7])).transform([Crop([1, 3, 0, 4]), Downscale(2)])
    np.testing.assert_array_equal(twice[1], array[1, 2:4, 2:6][::2, ::2])
    assert data.transform(None).shape == data.shape


def test_what_does_not_fit_is_told_before_anything_is_read(tmp_path):
    values = {DATA: frames(2), TRANSLATIONS: np.zeros((2, 3))}
    store = CXIStore(put(tmp_path / "a.cxi", values))
    with pytest.raises(LayoutError, match="leaves the frame"):
        store["data"].transform(Crop([0, 9, 0, 9]))
    with pytest.raises(ValueError, match="a transform acts on frames, and 'translations'"):
        store["translations"].transform(Crop([0, 1, 0, 1]))
    with pytest.raises(TypeError, match="nothing is cast to such a type"):
        store["data"].astype("U5")


def test_a_cast_is_checked_when_it_is_read(tmp_path):
    data = CXIStore(put(tmp_path / "a.cxi", {DATA: np.full((2, 2, 2), 479, "u2")}))["data"]
    with pytest.raises(CastError):
        data.astype("u1")[0]
    assert (data.astype("u1", casting="unsafe")[0] == 479 % 256).all()


def test_a_second_cast_is_refused_where_the_first_may_change_values(tmp_path):
    data = CXIStore(put(tmp_path / "a.cxi", {DATA: np.full((2, 2, 2), 479, "u2")}))["data"]
    assert data.astype("f4").astype("f8").dtype == np.float64
    narrow = data.astype("u1", casting="unsafe")
    with pytest.raises(ValueError, match=r"one astype\(\) is enough"):
        narrow.astype("f4")
    # NumPy has no such choice: what was cast once is cast again.
    np.testing.assert_array_equal(np.asarray(narrow, "f4"), np.full((2, 2, 2), 223, "f4"))


# ---------------------------------------------------------------- pickled, and given away


def test_it_is_pickled_as_words_and_reads_in_a_spawned_process(tmp_path):
    parts = [frames(40, (30, 40)), frames(20, (30, 40), start=7)]
    store = CXIStore(many_files(tmp_path, parts))
    lazy = store["data"].transform(Crop([0, 4, 1, 7])).astype("float32")
    lazy[0]
    pickled = pickle.dumps(lazy)
    assert len(pickled) < 6000  # frames are 4.8 kB each
    assert parts[0][0].tobytes() not in pickled
    whole = np.concatenate(parts)[:, :4, 1:7]
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        got = pool.submit(np.asarray, lazy).result(60)
        np.testing.assert_array_equal(got, whole)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(pool.submit(_picked, lazy).result(60), whole[[41, 3], 1])


def _picked(lazy):
    assert lazy.shape == (60, 4, 6)
    return pickle.loads(pickle.dumps(lazy))[[41, 3], 1]


def test_an_unpickled_one_reads_the_files_as_they_are_now(tmp_path, array):
    name = put(tmp_path / "a.cxi", {DATA: array})
    pickled = pickle.dumps(CXIStore(name)["data"])
    for count, start in ((6, 900), (8, 50)):
        put(tmp_path / "b.cxi", {DATA: frames(count, start=start)})
        (tmp_path / "b.cxi").replace(name)
        got = pickle.loads(pickled)
        np.testing.assert_array_equal(got[...], frames(count, start=start)[:6])
    for other in (frames(5), frames(6, (5, 8)), frames(6, dtype="int64")):
        put(tmp_path / "b.cxi", {DATA: other})
        (tmp_path / "b.cxi").replace(name)
        with pytest.raises((FileChangedError, FrameIndexError)):
            pickle.loads(pickled)[0:6]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_reads_by_files_of_its_own(tmp_path, array):
    lazy = CXIStore(many_files(tmp_path, [array, array + 1]))["data"].astype("float32")
    lazy[0]
    child = os.fork()
    if not child:
        os._exit(0 if np.array_equal(lazy[::-1], np.concatenate([array, array + 1])[::-1]) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(lazy[5:8, 1], np.concatenate([array, array + 1])[5:8, 1])


def test_dlpack_gives_what_is_read(tmp_path, array):
    store = CXIStore(put(tmp_path / "a.cxi", {DATA: array, MASK: good_mask((5, 7), [(1, 2)])}))
    np.testing.assert_array_equal(np.from_dlpack(store["data"]), array)
    np.testing.assert_array_equal(np.from_dlpack(store["data"][1:3]), array[1:3])
    mask = np.from_dlpack(store["mask"])  # one frame for all, which is read-only as an array
    np.testing.assert_array_equal(mask, np.broadcast_to(good_mask((5, 7), [(1, 2)]), (6, 5, 7)))
    with pytest.raises(BufferError, match="without a copy"):
        store["data"].__dlpack__(copy=False)
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(store["data"], copy=False)
