"""Memory of results: taken again when it is free, never while somebody has it."""

import gc
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack import CXIStore
from cxistack.kernels.results import empty, kept_bytes

MIB = 1 << 20
MOST = 64 * MIB


def address(array):
    return array.ctypes.data


def test_the_next_result_takes_what_the_last_gave_back():
    gc.collect()  # what others have left gives its memory back now
    several = [empty((3, MIB), np.dtype("uint8")) for _ in range(3)]
    several.clear()  # of equal pieces the last is taken: it may still be in a CPU's cache
    first = empty((3, MIB), np.dtype("uint8"))
    where = address(first)
    del first
    again = empty((3, MIB), np.dtype("uint8"))
    assert address(again) == where
    other = empty((3, MIB), np.dtype("uint8"))
    assert not np.shares_memory(again, other)


def test_a_view_keeps_the_memory():
    first = empty((4 * MIB,), np.dtype("uint8"))
    first[:] = 7
    view = first[100:200]
    del first
    other = empty((4 * MIB,), np.dtype("uint8"))
    other[:] = 9
    assert (view == 7).all()


def test_pieces_that_are_much_too_large_are_not_taken():
    where = address(empty((40 * MIB,), np.dtype("uint8")))
    small = empty((2 * MIB,), np.dtype("uint8"))
    assert not where <= address(small) < where + 40 * MIB


@pytest.mark.parametrize("shape", [(), (0,), (0, 5 * MIB), (3,), (MIB,), (65 * MIB,)])
def test_it_is_what_numpy_gives(shape):
    array = empty(shape, np.dtype("uint8"))
    assert array.shape == shape
    assert array.flags.c_contiguous
    assert array.flags.owndata
    assert array.flags.writeable


def test_objects_and_more_than_there_is():
    assert empty((MIB,), np.dtype(object))[0] is None
    with pytest.raises(MemoryError):
        empty((1 << 55,), np.dtype("uint8"))
    with pytest.raises(ValueError, match=r"too (big|large)"):
        empty((1 << 62, 4), np.dtype("float64"))


def test_arrays_can_be_resized_and_taken_over():
    array = empty((2 * MIB,), np.dtype("uint8"))
    array[:] = np.arange(2 * MIB) % 251
    array.resize(5 * MIB, refcheck=False)
    np.testing.assert_array_equal(array[: 2 * MIB], np.arange(2 * MIB) % 251)
    array.resize(100, refcheck=False)
    np.testing.assert_array_equal(array, np.arange(100) % 251)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 6)), max_size=40))
def test_no_two_arrays_share_memory(draws):
    held = {}
    for number, (size, drop) in enumerate(draws):
        held.pop(drop, None)
        held[number % 7] = array = empty((size * MIB + number,), np.dtype("uint8"))
        array[0] = array[-1] = number
        array[:: MIB // 2] = number
        assert kept_bytes() <= MOST
    arrays = list(held.values())
    for array in arrays:
        assert (array[:: MIB // 2] == array[0]).all()
        assert array[-1] == array[0]
    for k, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[k + 1 :])


def test_loads_take_it(tmp_path):
    frames = np.arange(8 * 600 * 500, dtype="uint16").reshape(8, 600, 500)
    store = CXIStore(tmp_path / "a.cxi", "a")
    store.save_attribute("data", frames)
    first = store.load_attribute("data", verbose=False)
    where, kept = address(first), first[3].copy()
    assert sys.getrefcount(first) == 2
    del first
    gc.collect()
    second = store.load_attribute("data", verbose=False)
    assert address(second) == where
    np.testing.assert_array_equal(second, frames)
    np.testing.assert_array_equal(second[3], kept)
