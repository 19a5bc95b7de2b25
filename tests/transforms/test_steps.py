"""Views and index arrays mean what NumPy's indexing of the last two axes means."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack.errors import CastError, FrameIndexError, LayoutError
from cxistack.transforms.fold import Chain, view_of_indices
from cxistack.transforms.steps import Axis, Bin, FrameView, Pick

SIZES = st.integers(0, 7)
BOUNDS = st.none() | st.integers(-9, 9)
SLICES = st.builds(slice, BOUNDS, BOUNDS, st.none() | st.integers(-4, 4).filter(bool))


def stack(rows, columns):
    return np.arange(3 * rows * columns, dtype=np.int32).reshape(3, rows, columns)


def apply(steps, array):
    for step in steps:
        array = step.apply(array)
        assert array.shape[-2:] == step.shape
    return array


@given(SLICES, SIZES)
def test_an_axis_of_a_slice_holds_the_indices_of_that_slice(index, size):
    axis = Axis.of_slice(index, size)
    expected = np.arange(size)[index]
    np.testing.assert_array_equal(axis.indices(), expected)
    np.testing.assert_array_equal(np.arange(size)[axis.slice], expected)
    bounded = np.arange(size)[slice(*axis.bounds)]
    assert len(bounded) == (np.ptp(expected) + 1 if expected.size else 0)


@given(SLICES, SLICES, SIZES)
def test_axes_compose_to_one_axis(first, second, size):
    one = Axis.of_slice(first, size)
    both = one.then(Axis.of_slice(second, one.count))
    np.testing.assert_array_equal(both.indices(), np.arange(size)[first][second])


def test_equal_axes_compare_equal_however_they_were_made():
    assert Axis(4, -3, 1) == Axis(4, 1, 1)
    assert Axis(4, -3, 0) == Axis(0, 1, 0)
    assert Axis(np.int64(4), np.int8(-2), np.uint8(3)) == Axis(4, -2, 3)


@pytest.mark.parametrize("fields", [(0, 1, -1), (0, 0, 2), (-1, 1, 1), (3, -2, 3)])
def test_an_axis_that_does_not_exist_is_refused(fields):
    with pytest.raises(ValueError, match=r"does not exist|below 0"):
        Axis(*fields)


def test_an_axis_of_floats_is_refused():
    with pytest.raises(TypeError):
        Axis(0.0, 1, 2)


@given(SLICES, SLICES, SIZES, SIZES)
def test_a_view_sees_its_pixels_in_its_bounds(ss, fs, rows, columns):
    frames = stack(rows, columns)
    view = FrameView(Axis.of_slice(ss, rows), Axis.of_slice(fs, columns))
    seen = view.of(frames)
    np.testing.assert_array_equal(seen, frames[..., ss, fs])
    assert seen.base is not None
    assert seen.shape[1:] == view.shape
    region = frames[(..., *view.bounds())]
    np.testing.assert_array_equal(view.within_bounds().of(region), seen)
    np.testing.assert_array_equal(frames[(..., *view.indices())], seen)


def test_a_view_beyond_the_frame_is_refused_and_not_clamped():
    with pytest.raises(LayoutError, match=r"rows up to 3 .* shape \(2, 5\)"):
        FrameView.full((3, 5)).of(np.zeros((4, 2, 5)))
    with pytest.raises(LayoutError, match="beyond"):
        FrameView.full((3, 5)).then(FrameView.full((3, 6)))
    with pytest.raises(LayoutError, match=r"shape \(5,\)"):
        FrameView.full((1, 5)).of(np.zeros(5))


INTEGERS = st.integers(-7, 6)
ARRAY_SHAPES = st.lists(st.integers(0, 3), min_size=1, max_size=3)


def index_arrays(shape_of):
    return shape_of.flatmap(
        lambda shape: st.lists(INTEGERS, min_size=math.prod(shape), max_size=math.prod(shape)).map(
            lambda values: np.array(values, dtype=np.int16).reshape(shape)
        )
    )


BOOLEANS = st.lists(st.booleans(), min_size=6, max_size=8).map(np.array)
INDICES = INTEGERS | SLICES | st.lists(INTEGERS, max_size=4) | index_arrays(ARRAY_SHAPES) | BOOLEANS


@given(INDICES, INDICES)
def test_indices_mean_what_they_mean_in_numpy(ss, fs):
    frames = stack(7, 7)
    try:
        expected = frames[..., ss, fs]
    except IndexError:
        with pytest.raises(FrameIndexError):
            view_of_indices(ss, fs, (7, 7))
        return
    steps, shape = view_of_indices(ss, fs, (7, 7))
    assert len(steps) <= 1
    assert shape == expected.shape[1:]
    np.testing.assert_array_equal(apply(steps, frames).reshape(3, *shape), expected)


@given(SLICES, SLICES, st.booleans())
def test_a_regular_grid_of_index_arrays_is_a_view(ss, fs, dense):
    rows, columns = np.indices((7, 6), sparse=not dense)
    if dense:
        rows, columns = rows[ss, fs], columns[ss, fs]
    else:
        rows, columns = rows[ss], columns[:, fs]
    steps, shape = view_of_indices(rows, columns, (7, 6))
    expected = FrameView(Axis.of_slice(ss, 7), Axis.of_slice(fs, 6))
    assert shape == expected.shape
    if 0 not in shape or not dense:
        assert steps == Chain((7, 6)).then(expected).steps


def test_all_pixels_need_no_step():
    assert view_of_indices(slice(None), range(5), (4, 5)) == ((), (4, 5))


def test_an_index_array_along_one_axis_does_not_become_a_frame_of_indices():
    (step,), shape = view_of_indices(slice(0, 1000), [1, 5, 2], (2**40, 2**40))
    assert shape == (1000, 3)
    assert step.ss_idxs.size + step.fs_idxs.size == 1003


@pytest.mark.parametrize(
    "index",
    [7, -8, [0, 7], np.array([-8]), np.ones(6, bool), np.ones((7, 7), bool), True, 1.0, None, ...,
     np.array([]), "rows"],
)  # fmt: skip
def test_an_index_that_is_none_raises(index):
    with pytest.raises(FrameIndexError):
        view_of_indices(index, slice(None), (7, 7))
    with pytest.raises(FrameIndexError):
        view_of_indices(slice(None), index, (7, 7))


def test_an_index_out_of_bounds_is_named():
    with pytest.raises(FrameIndexError, match=r"index 9 is out of bounds for the fast axis of 7"):
        view_of_indices(0, [1, 9], (9, 7))
    with pytest.raises(IndexError, match=r"shapes \(2,\) and \(3,\)"):
        view_of_indices([0, 1], [0, 1, 2], (9, 7))


def test_unsigned_indices_count_from_the_start():
    steps, _ = view_of_indices(np.array([3, 1, 2], dtype=np.uint64), slice(None), (300, 5))
    np.testing.assert_array_equal(steps[0].indices()[0][:, 0], [3, 1, 2])


@given(index_arrays(st.just([3, 4])), index_arrays(st.just([3, 4])))
def test_a_pick_takes_its_pixels_from_its_bounds(ss, fs):
    pick = Pick(ss % 7, fs % 7)
    frames = stack(7, 7)
    region = frames[(..., *pick.bounds())]
    np.testing.assert_array_equal(pick.within_bounds().apply(region), pick.apply(frames))
    assert pick == Pick(ss % 7, fs % 7)
    assert hash(pick) == hash(Pick(ss % 7, fs % 7))


def test_a_pick_with_negative_indices_is_refused():
    with pytest.raises(ValueError, match="from 0"):
        Pick(np.array([[-1]]), np.array([[0]]))


BIN_TYPES = [
    ("u1", "u8", "f8"), ("i2", "i8", "f8"), ("u8", "u8", "f8"), ("f4", "f8", "f8"),
    ("f2", "f8", "f8"), ("?", "?", "?"), (">i4", "i8", "f8"),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "total", "mean"), BIN_TYPES)
def test_bins_have_the_type_that_holds_them(dtype, total, mean):
    frames = (stack(4, 6) % 120).astype(dtype)
    for mode, result in (("sum", total), ("mean", mean)):
        binned = Bin(2, mode, (2, 3)).apply(frames)
        assert binned.dtype == np.dtype(result)
        blocks = frames.reshape(3, 2, 2, 3, 2)
        if dtype == "?":
            expected = blocks.all((2, 4))
        else:
            expected = blocks.astype("f8").sum((2, 4)) / (4 if mode == "mean" else 1)
        np.testing.assert_array_equal(binned, expected)


def test_a_bin_of_complex_pixels_or_of_another_frame_is_refused():
    with pytest.raises(CastError, match="complex"):
        Bin(2, "sum", (1, 1)).apply(np.zeros((2, 2), complex))
    with pytest.raises(LayoutError, match=r"shape \(2, 3\)"):
        Bin(2, "sum", (1, 1)).apply(np.zeros((2, 3)))


@pytest.mark.parametrize("dtype", ["u8", "i8"])
def test_a_sum_beyond_64_bits_raises_and_does_not_wrap(dtype):
    frame = np.zeros((2, 2), dtype)
    frame[0, 0] = np.iinfo(dtype).max
    assert Bin(2, "sum", (1, 1)).apply(frame)[0, 0] == np.iinfo(dtype).max
    frame[1, 1] = 1
    with pytest.raises(CastError, match="2 x 2 pixels"):
        Bin(2, "sum", (1, 1)).apply(frame)
