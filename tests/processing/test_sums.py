"""Sums of good pixels over an axis of the detector."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from cxistack.processing.sums import integrated
from processing.references import stacks, unread


@given(stacks(), some.sampled_from([0, 1]))
def test_good_pixels_are_summed(drawn, axis):
    data, mask = drawn
    good = data if mask is None else data * mask
    expected = good.astype(data.dtype.newbyteorder("=")).sum(axis - 2, keepdims=True)
    found = integrated(data, mask, axis)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3, strict=True)
    if data.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
    computed = integrated(unread(data), unread(mask), axis)
    np.testing.assert_array_equal(computed, found, strict=True)


def test_bad_pixels_may_be_nan_and_good_ones_not():
    data = np.array([[[1.0, np.nan]]])
    assert integrated(data, ~np.isnan(data), 1).tolist() == [[[1.0]]]
    with pytest.raises(ValueError, match="NaN"):
        integrated(data, None, 1)
    with pytest.raises(ValueError, match="infinities"):
        integrated(np.array([[[np.inf, -np.inf]]]), None, 1)


@pytest.mark.parametrize(("dtype", "value"), [("u8", 1 << 63), ("i8", -(1 << 63)), ("i8", 1 << 62)])
def test_sums_that_do_not_fit_are_refused(dtype, value):
    with pytest.raises(ValueError, match="64 bits"):
        integrated(np.full((1, 2, 3), value, dtype), None, 0)


def test_of_no_frames_there_are_no_sums():
    assert integrated(np.zeros((0, 3, 4), "u2"), None, 0).shape == (0, 1, 4)


def test_an_axis_of_the_detector_is_needed():
    with pytest.raises(ValueError, match="axis"):
        integrated(np.zeros((1, 3, 4)), None, 2)
