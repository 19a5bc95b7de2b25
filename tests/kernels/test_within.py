"""Pixels in ranges: bit for bit what NumPy's comparisons say, for every type and layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack import kernels

from .conftest import PIXELS, extremes

Array = np.ndarray[Any, Any]
Ranges = list[tuple[Any, Any, bool]]


def by_numpy(values: Array, ranges: Ranges) -> Array:
    if values.dtype.kind == "b":
        values = values.astype("u1")
    good = np.ones(values.shape, bool)
    for low, high, outside in ranges:
        inside = np.greater_equal(values, low) & np.less_equal(values, high)
        good &= ~inside if outside else inside
    return good


def ends(dtype: str) -> Array:
    """Return values of a type that a range can end at."""
    found = extremes(dtype)
    return found.astype("u1") if found.dtype.kind == "b" else found[~np.isnan(found)]


def some_ranges(data: st.DataObject, dtype: str) -> Ranges:
    end = st.sampled_from(ends(dtype).tolist())
    return data.draw(st.lists(st.tuples(end, end, st.booleans()), max_size=3), "ranges")


@pytest.mark.usefixtures("level", "strategy")
@pytest.mark.parametrize("dtype", PIXELS)
def test_all_extremes_against_all_others(dtype: str) -> None:
    values = np.tile(extremes(dtype), 100)
    for low in ends(dtype).tolist():
        for ranges in ([(low, ends(dtype)[-1].item(), False)], [(low, low, True)]):
            np.testing.assert_array_equal(
                kernels.within(values, ranges), by_numpy(values, ranges), strict=True
            )


@pytest.mark.parametrize("byte_order", ["=", "S"])
@pytest.mark.parametrize("dtype", PIXELS)
@given(data=st.data())
def test_any_layout(dtype: str, byte_order: str, data: st.DataObject) -> None:
    shape = (3, data.draw(st.integers(1, 7)), data.draw(st.integers(1, 5000)))
    seed = data.draw(st.integers(0, 2**32))
    values = np.random.default_rng(seed).choice(extremes(dtype), shape)
    values = values.astype(values.dtype.newbyteorder(byte_order))
    steps = data.draw(st.sampled_from([1, 2, -1, 3]))
    values = values[..., ::steps]
    ranges = some_ranges(data, dtype)
    index = data.draw(st.lists(st.integers(-3, 2), max_size=5))
    at = data.draw(st.permutations(range(5)))[: len(index)]
    out = np.random.default_rng(seed).choice([True, False], (5, shape[1], 2 * values.shape[2]))
    out = out[..., :: data.draw(st.sampled_from([2, -2]))]
    both = data.draw(st.booleans())
    expected = out.copy()
    good = by_numpy(values, ranges)[index]
    expected[at] = good & expected[at] if both else good

    kernels.within(values, ranges, index=index, at=at, out=out, both=both)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(kernels.within(values, ranges), by_numpy(values, ranges))


@pytest.mark.usefixtures("level", "strategy")
@pytest.mark.parametrize("count", [0, 1, 4095, 4096, 4097, 70_000])
def test_rows_of_any_length(count: int) -> None:
    values = np.random.default_rng(count).integers(0, 9, count).astype(np.uint16)
    ranges: Ranges = [(2, 7, False), (5, 5, True)]
    good = by_numpy(values, ranges)
    np.testing.assert_array_equal(kernels.within(values, ranges), good)
    out = values % 3 > 0
    expected = good & out
    assert kernels.within(values, ranges, out=out, both=True) is out
    np.testing.assert_array_equal(out, expected)


def test_every_other_byte_of_a_boolean_is_true() -> None:
    values = np.array([0, 1, 2, 255], np.uint8).view(bool)
    assert kernels.within(values, [(1, 1, False)]).tolist() == [False, True, True, True]


def test_pixels_that_make_room_for_the_answer_are_compared_with_every_range() -> None:
    values = np.arange(256, dtype=np.uint8)
    ranges: Ranges = [(1, 200, False), (5, 5, True)]
    good = by_numpy(values, ranges)
    kernels.within(values, ranges, out=values.view(bool))
    np.testing.assert_array_equal(values.view(bool), good)


def test_not_a_number_lies_outside_of_every_range() -> None:
    values = np.array([np.nan, 0.0, -0.0])
    assert kernels.within(values, [(-np.inf, np.inf, False)]).tolist() == [False, True, True]
    assert kernels.within(values, [(0.0, 0.0, True)]).tolist() == [True, False, False]


@pytest.mark.parametrize(("dtype", "end"), [("u1", 256), ("u1", -1), ("i4", 0.5), ("f4", 0.1)])
def test_an_end_that_is_no_pixel_raises(dtype: str, end: float) -> None:
    with pytest.raises(ValueError, match="no value of"):
        kernels.within(np.zeros(3, dtype), [(end, end, False)])


def test_what_cannot_be_compared_raises() -> None:
    with pytest.raises(TypeError, match="not compared"):
        kernels.within(np.zeros(3, "f2"), [])
    with pytest.raises(ValueError, match="give out"):
        kernels.within(np.zeros(3), [], both=True)
