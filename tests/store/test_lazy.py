"""store[attr] is indexed as the NumPy array it stands for, and reads what the index needs."""

import itertools

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
