"""Masks of bad pixels: those of the definitions, in memory and by parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from cxistack.processing import masks
from cxistack.processing.stacks import ComputedStack
from processing import references
from processing.references import stacks, unread

PERCENTS = some.tuples(some.floats(0, 100), some.floats(0, 100)).map(sorted)


@given(stacks(), some.integers(-5, 300), some.integers(1, 300))
def test_range_masks(drawn, vmin, more):
    data, _ = drawn
    expected = (data >= vmin) & (data < vmin + more)
    np.testing.assert_array_equal(masks.range_mask(data, vmin, vmin + more), expected, strict=True)
    computed = masks.range_mask(unread(data), vmin, vmin + more)
    assert isinstance(computed, ComputedStack)
    np.testing.assert_array_equal(computed, expected, strict=True)


def test_nan_is_out_of_range():
    data = np.array([[[np.nan, 1.0, np.inf]]])
    assert masks.range_mask(data, 0, 10).tolist() == [[[False, True, False]]]


@given(stacks(), PERCENTS)
def test_percentile_masks(drawn, percents):
    data, _ = drawn
    expected = references.percentile_mask(data, *percents)
    np.testing.assert_array_equal(masks.percentile_mask(data, *percents), expected, strict=True)
    computed = masks.percentile_mask(unread(data), *percents)
    np.testing.assert_array_equal(computed, expected, strict=True)


@given(stacks(frames=(1, 3)), PERCENTS, some.data())
def test_rows_of_a_computed_mask_are_those_of_all_of_it(drawn, percents, data):
    mask = masks.percentile_mask(unread(drawn[0]), *percents)
    first = data.draw(some.integers(0, mask.shape[1]))
    last = data.draw(some.integers(first, mask.shape[1]))
    np.testing.assert_array_equal(mask[:, first:last], np.asarray(mask)[:, first:last])


@given(stacks())
def test_bad_pixels_count_as_0(drawn):
    data, mask = drawn
    expected = data if mask is None else np.where(mask, data, 0).astype(data.dtype)
    np.testing.assert_array_equal(masks.zeroed(data, mask), expected, strict=True)
    np.testing.assert_array_equal(masks.zeroed(unread(data), unread(mask)), expected)


def test_a_constant_stack_is_all_good():
    assert masks.percentile_mask(np.full((3, 4, 5), 7, "u2"), 0, 99.99).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_has_no_difference_from_its_neighbours_is_told(value):
    data = np.ones((2, 3, 4))
    data[1, 1, 1] = value
    with pytest.raises(ValueError, match="NaN or infinite"):
        masks.percentile_mask(data, 0, 99.99)


@pytest.mark.parametrize(("dtype", "value"), [("u8", (1 << 63) + 1), ("i8", -(1 << 63))])
def test_differences_that_may_not_fit_are_refused(dtype, value):
    with pytest.raises(ValueError, match=r"2\*\*62"):
        masks.percentile_mask(np.full((1, 2, 2), value, dtype), 0, 99.99)


def test_large_32_bit_pixels_do_not_wrap_around():
    data = np.zeros((1, 5, 5), "u4")
    data[0, 2, 2] = 4294967295
    assert np.argwhere(~masks.percentile_mask(data, 0, 90)).tolist() == [[0, 2, 2]]


@given(stacks())
def test_frames_with_a_pixel_above_0(drawn):
    data, _ = drawn
    expected = [n for n, frame in enumerate(data) if np.any(frame > 0)]
    assert masks.filled_frames(data).tolist() == expected
    assert masks.filled_frames(unread(data)).tolist() == expected


def test_of_no_frames_none_is_filled():
    assert masks.filled_frames(np.empty((0, 3, 4))).tolist() == []
