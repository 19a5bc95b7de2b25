"""store[attr] is indexed as the NumPy array it stands for, and reads what the index needs."""

import itertools
import re

import h5py
import numpy as np
import pytest

from cxistack import CastError, CXIStore, FrameIndexError
from factory import DATA, DISTANCE, frames, put

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
