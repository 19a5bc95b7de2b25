"""Medians and percentiles of frames against NumPy, masked ones against those of the good values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cxistack import kernels

DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", ">u2", ">f4"]


@st.composite
def stacks(draw):
    """Draw frames of any type and layout, and a mask or none."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 5)), draw(st.sampled_from([1, 3, 140])))
    if draw(st.booleans()):
        seed = draw(st.integers(0, 99))
        values = np.random.default_rng(seed).integers(0, 6, shape).astype(dtype)
    else:
        elements = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else None
        size = (shape[0], 2, 3)
        values = draw(
            arrays.arrays(dtype, size, elements=elements and arrays.from_dtype(dtype, **elements))
        )
    values = draw(
        st.sampled_from([values, values[::-1], values[:, :, ::-1], values.swapaxes(1, 2)])
    )
    kind = draw(st.sampled_from([None, "one", "each"]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    mask = None if kind is None else rng.random(values.shape[kind == "one" :]) > 0.3
    return values, mask


def of_good(values, mask, function, fill):
    """Return what a function of NumPy makes of the good values of each pixel."""
    mask = np.broadcast_to(True if mask is None else mask, values.shape)
    made = np.full(values.shape[1:], fill, np.float64)
    for pixel in np.ndindex(*made.shape):
        good = values[(slice(None), *pixel)][mask[(slice(None), *pixel)]]
        if len(good):
            made[pixel] = function(good)
    return made


def wide(values):
    """Return values in a type in which NumPy's arithmetic does not wrap or overflow."""
    return values.astype(np.longdouble) if values.dtype.kind in "biu" else values.astype("f8")


@settings(max_examples=80, deadline=None)
@given(stack=stacks(), threads=st.integers(1, 3))
def test_a_median_is_numpys(stack, threads):
    values, mask = stack
    found = kernels.median(values, mask=mask, fill=-1, num_threads=threads)
    is_float = values.dtype.kind == "f"
    assert found.dtype == (values.dtype.newbyteorder("=") if is_float else np.float64)
    with np.errstate(over="ignore"):
        own = values if is_float else wide(values)
        expected = of_good(own, mask, np.median, -1)
    np.testing.assert_allclose(found, expected, rtol=1e-15 if not is_float else 1e-6)


@settings(max_examples=80, deadline=None)
@given(stack=stacks(), q=st.lists(st.floats(0, 100), min_size=1, max_size=3))
def test_percentiles_are_numpys(stack, q):
    values, mask = stack
    found = kernels.percentile(values, q, mask=mask, fill=7)
    for one, percent in zip(found, q, strict=True):
        expected = of_good(wide(values), mask, lambda good, p=percent: np.percentile(good, p), 7)
        scale = np.abs(values.astype("f8")).max(initial=1)
        tolerance = 2e-7 if values.dtype.itemsize == 4 and values.dtype.kind == "f" else 1e-12
        np.testing.assert_allclose(one, expected, rtol=tolerance, atol=tolerance * scale)


@settings(max_examples=60, deadline=None)
@given(stack=stacks())
def test_a_lower_median_is_one_of_the_values(stack):
    values, mask = stack
    found = kernels.lower_median(values, mask=mask, fill=0)
    assert found.dtype == values.dtype.newbyteorder("=")
    mask = np.broadcast_to(True if mask is None else mask, values.shape)
    for pixel in np.ndindex(*found.shape):
        good = np.sort(values[(slice(None), *pixel)][mask[(slice(None), *pixel)]])
        assert found[pixel] == (good[(len(good) - 1) // 2] if len(good) else 0)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_many_frames_are_counted_right(dtype):
    values = np.random.default_rng(1).integers(0, 200, (70_000, 3)).astype(dtype)
    np.testing.assert_array_equal(kernels.median(values), np.median(values, axis=0))
    values[:] = 9
    np.testing.assert_array_equal(kernels.median(values), [9, 9, 9])


def test_extreme_values_keep_their_order():
    for dtype in ("i1", "i8", "u8", "f4", "f8"):
        info = np.finfo(dtype) if dtype[0] == "f" else np.iinfo(dtype)
        values = np.array([[info.max], [info.min], [0]], dtype)
        assert kernels.lower_median(values)[0] == 0
        assert kernels.lower_median(values[:1])[0] == info.max
        assert kernels.lower_median(values[1:2])[0] == info.min
    values = np.array([[np.inf], [-np.inf], [1], [-0.0], [np.inf]])
    assert kernels.median(values)[0] == 1
    assert kernels.percentile(values, 100)[0] == np.inf


def test_nan_comes_through_where_it_is_good():
    values = np.array([[1, np.nan, 3], [2, 5, np.nan], [3, 4, 4]])
    np.testing.assert_array_equal(kernels.median(values), [2, np.nan, np.nan])
    mask = np.array([[True] * 3, [True, True, False], [True] * 3])
    np.testing.assert_array_equal(kernels.median(values, mask=mask), [2, np.nan, 3.5])
    assert np.isnan(kernels.lower_median(values)[1])


def test_a_pixel_without_a_good_value_is_told():
    values, mask = np.ones((4, 2, 3), "u2"), np.ones((2, 3), bool)
    mask[1, 2] = False
    with pytest.raises(ValueError, match=r"Pixel \(1, 2\) has no good frame; fill="):
        kernels.median(values, mask=mask)
    assert kernels.median(values, mask=mask, fill=-5)[1, 2] == -5
    with pytest.raises(ValueError, match="there are no frames"):
        kernels.percentile(values[:0], 50)


@pytest.mark.parametrize("q", [-1, 100.1, [[1, 2]], [50, np.nan]])
def test_percents_that_make_no_sense_are_told(q):
    with pytest.raises(ValueError, match="from 0 to 100"):
        kernels.percentile(np.ones((3, 2), "u2"), q)


def test_masks_and_types_that_do_not_fit_are_told():
    values = np.ones((3, 2), "u2")
    with pytest.raises(TypeError, match="boolean"):
        kernels.median(values, mask=np.ones(2))
    with pytest.raises(ValueError, match="mask has shape"):
        kernels.median(values, mask=np.ones(3, bool))
    with pytest.raises(TypeError, match="complex"):
        kernels.median(values.astype("c8"))
