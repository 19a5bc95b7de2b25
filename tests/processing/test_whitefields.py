"""Whitefields by medians: those of the definitions, in memory and by parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from cxistack.processing import stacks as room
from cxistack.processing.whitefields import moving_medians, whitefield_of
from processing import references
from processing.references import stacks, unread


@given(stacks(), some.data())
def test_the_median_over_good_frames_of_good_pixels(drawn, more):
    data, mask = drawn
    good = np.array(more.draw(some.lists(some.integers(0, len(data) - 1), min_size=1)))
    expected = references.whitefield(data, mask, good)
    for stack, good_pixels in ((data, mask), (unread(data), mask), (unread(data), unread(mask))):
        np.testing.assert_array_equal(
            whitefield_of(stack, good_pixels, good), expected, strict=True
        )


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_bands_of_rows_change_nothing(monkeypatch, dtype):
    data = np.random.default_rng(1).poisson(20, (8, 30, 7)).astype(dtype)
    whole = whitefield_of(data, data > 15, np.arange(8))
    monkeypatch.setattr(room, "BAND_BYTES", 2 * 8 * 7 * 4)
    np.testing.assert_array_equal(whitefield_of(data, data > 15, np.arange(8)), whole)
    np.testing.assert_array_equal(whitefield_of(unread(data), data > 15, np.arange(8)), whole)


def test_frames_of_modules_are_frames_too():
    data = np.random.default_rng(1).poisson(20, (5, 2, 3, 4))
    expected = np.sort(data, axis=0)[2]
    np.testing.assert_array_equal(whitefield_of(data, None, np.arange(5)), expected)
    np.testing.assert_array_equal(whitefield_of(unread(data), None, np.arange(5)), expected)


def test_without_a_good_frame_there_is_none():
    with pytest.raises(ValueError, match="none of the 2 frames"):
        whitefield_of(np.ones((2, 3, 4)), None, np.arange(0))


def test_nan_is_told_unless_it_is_bad():
    data = np.ones((3, 2, 2), "f4")
    data[1, 0, 1] = np.nan
    with pytest.raises(ValueError, match="1 good pixels are NaN"):
        whitefield_of(data, None, np.arange(3))
    assert (whitefield_of(data, ~np.isnan(data), np.arange(3)) == 1).all()


@given(stacks(frames=(1, 5), most=3), some.integers(1, 12), some.data())
def test_moving_medians(drawn, size, more):
    data, mask = drawn
    white = np.clip(references.whitefield(data, None, np.arange(len(data))), 0, None)
    if more.draw(some.booleans()):
        white = white / 2 + 30
    expected = references.moving_medians(data, mask, white, size)
    found = moving_medians(data, mask, white, size)
    np.testing.assert_array_equal(found, expected, strict=True)
    np.testing.assert_array_equal(moving_medians(unread(data), mask, white, size), expected)
    assert found.flags.writeable


def test_blocks_of_frames_change_nothing(monkeypatch):
    data = np.random.default_rng(2).poisson(50, (20, 4, 5)).astype("u2")
    white = np.full((4, 5), 50)
    whole = moving_medians(data, None, white, 7)
    monkeypatch.setattr(room, "BLOCK_BYTES", 3 * 8 * 20)
    computed = moving_medians(unread(data), None, white, 7)
    assert computed.block == 3
    np.testing.assert_array_equal(computed, whole)
    np.testing.assert_array_equal(computed[[17, 2, 2]], whole[[17, 2, 2]])


def test_a_zero_whitefield_gives_zeros():
    white = np.array([[0, -4, 9]])
    made = moving_medians(np.full((4, 1, 3), 9, "i4"), None, white, 3)
    assert made.tolist() == [[[0, 0, 9]]] * 4


@pytest.mark.parametrize("white", [np.ones((2, 2)), np.array([[1.0, np.nan]])])
def test_a_whitefield_that_does_not_fit_is_refused(white):
    with pytest.raises(ValueError, match="whitefield"):
        moving_medians(np.ones((3, 1, 2)), None, white, 3)


def test_a_window_has_a_frame():
    with pytest.raises(ValueError, match="size"):
        moving_medians(np.ones((3, 1, 2)), None, np.ones((1, 2)), 0)
