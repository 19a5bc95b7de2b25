"""Medians of 3 x 3 pixels are SciPy's, and with a mask those of the good ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cxistack import kernels

from .conftest import PIXELS, extremes

Array = np.ndarray[Any, Any]


def by_scipy(frames: Array) -> Array:
    native = frames.astype(frames.dtype.newbyteorder("="))
    stack = native.reshape(-1, *frames.shape[-2:])
    if native.dtype.kind in "iu" and native.dtype.itemsize == 8:  # SciPy makes doubles of these
        medians = [np.sort(squares(one), axis=-1)[..., 4] for one in stack]
    else:
        medians = [ndimage.median_filter(one, 3, mode="reflect") for one in stack]
    return np.array(medians, native.dtype).reshape(frames.shape)


def squares(frame: Array) -> Array:
    """Return the nine pixels of each square, on the last axis."""
    wide = np.pad(frame, 1, mode="symmetric")
    view = np.lib.stride_tricks.sliding_window_view(wide, (3, 3))
    return view.reshape(*frame.shape, 9)


def of_good(frame: Array, mask: Array) -> Array:
    """Return the documented definition, pixel by pixel."""
    result = frame.copy()
    pixels, good = squares(frame), squares(mask)
    for place in np.ndindex(frame.shape):
        chosen = np.sort(pixels[place][good[place]])
        if not len(chosen):
            continue
        if frame.dtype.kind == "f":
            result[place] = np.median(chosen)
        else:
            result[place] = chosen[(len(chosen) - 1) // 2]
    return result


def drawn(dtype: str, shape: tuple[int, ...], seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    values = extremes(dtype)
    values = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    few = rng.choice(values, shape)
    small = rng.integers(0, 5, shape).astype(dtype)
    return np.where(rng.random(shape) < 0.5, few, small)


@pytest.mark.parametrize("dtype", PIXELS)
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 1030), (2, 40, 261), (2, 3, 33, 70)]
)
def test_medians_are_scipys(level: str, strategy: str, dtype: str, shape: tuple[int, ...]) -> None:
    frames = drawn(dtype, shape)
    result = kernels.median3x3(frames, num_threads=3)
    assert result.dtype == frames.dtype
    np.testing.assert_array_equal(result, by_scipy(frames))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_layout_and_rank(data: st.DataObject) -> None:
    rank = data.draw(st.integers(2, 5))
    shape = tuple(data.draw(st.integers(0, 3 if i < rank - 2 else 30)) for i in range(rank))
    stack = drawn(data.draw(st.sampled_from(PIXELS)), shape, data.draw(st.integers(0, 99)))
    if data.draw(st.booleans()):
        stack = stack.astype(stack.dtype.newbyteorder())
    step = data.draw(st.sampled_from([1, -1, 2, -3]))
    stack = stack[..., ::step] if data.draw(st.booleans()) else stack[..., ::step, :]
    if data.draw(st.booleans()):
        stack = stack.swapaxes(-1, -2)
    expected = by_scipy(stack) if stack.size else stack.astype(stack.dtype.newbyteorder("="))
    out = np.zeros((*stack.shape, 2), expected.dtype)[..., 1]
    assert kernels.median3x3(stack, out=out) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(kernels.median3x3(stack), expected)


@settings(max_examples=150, deadline=None)
@given(
    dtype=st.sampled_from(PIXELS),
    rows=st.integers(1, 12),
    columns=st.integers(1, 40),
    share=st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.99, 1.0]),
    each=st.booleans(),
    seed=st.integers(0, 99),
)
def test_medians_of_the_good_ones(
    dtype: str, rows: int, columns: int, share: float, each: bool, seed: int
) -> None:
    frames = drawn(dtype, (2, rows, columns), seed)
    if frames.dtype.kind == "f":
        frames = np.clip(np.nan_to_num(frames), -1e30, 1e30)
    mask = np.random.default_rng(seed).random(frames.shape if each else (rows, columns)) < share
    result = kernels.median3x3(frames, mask=mask)
    for number, frame in enumerate(frames):
        expected = of_good(frame, mask[number] if each else mask)
        np.testing.assert_array_equal(result[number], expected)


@pytest.mark.parametrize("dtype", PIXELS)
def test_a_mask_of_all_good_pixels_changes_nothing(level: str, strategy: str, dtype: str) -> None:
    frames = drawn(dtype, (2, 20, 1300))
    mask = np.ones((20, 1300), bool)
    expected = by_scipy(frames)
    np.testing.assert_array_equal(kernels.median3x3(frames, mask=mask), expected)
    mask[5, 1020:1030] = False
    result = kernels.median3x3(frames, mask=mask, num_threads=2)
    np.testing.assert_array_equal(result[0], of_good(frames[0], mask))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_nan_makes_nan_of_all_it_is_near(level: str, dtype: str) -> None:
    frame = np.random.default_rng(0).random((40, 700)).astype(dtype)
    frame[10, 300], frame[0, 0], frame[39, 699] = np.nan, np.nan, np.nan
    expected = np.median(squares(frame), axis=-1)
    assert np.isnan(expected).sum() == 9 + 4 + 4
    np.testing.assert_array_equal(kernels.median3x3(frame), expected)
    mask = ~np.isnan(frame)
    result = kernels.median3x3(frame, mask=mask)
    assert not np.isnan(result).any()
    np.testing.assert_array_equal(result, of_good(frame, mask))
    mask[10, 301] = False  # a NaN that counts as good, beside a pixel that does not
    mask[10, 300] = True
    assert np.isnan(kernels.median3x3(frame, mask=mask)[9:12, 299:302]).all()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_mean_of_two_large_numbers_is_one(dtype: str) -> None:
    largest = np.finfo(dtype).max
    frame = np.full((3, 3), largest, dtype)
    mask = np.zeros((3, 3), bool)
    mask[1, :2] = True
    assert kernels.median3x3(frame, mask=mask)[1, 1] == largest
    frame[1, 0] = np.inf
    assert kernels.median3x3(frame, mask=mask)[1, 1] == np.inf


def test_a_pixel_without_a_good_one_keeps_its_value(level: str) -> None:
    frame = np.arange(100, dtype="u2").reshape(10, 10)
    mask = np.zeros((10, 10), bool)
    mask[0, 0] = True
    expected = frame.copy()
    expected[:2, :2] = 0
    np.testing.assert_array_equal(kernels.median3x3(frame, mask=mask), expected)


def test_the_result_may_lie_in_the_frames() -> None:
    frames = np.random.default_rng(0).integers(0, 99, (3, 30, 40)).astype("u2")
    expected = by_scipy(frames)
    assert kernels.median3x3(frames, out=frames) is frames
    np.testing.assert_array_equal(frames, expected)


def test_what_has_no_median_says_so() -> None:
    frame = np.zeros((4, 4), "u2")
    with pytest.raises(TypeError, match="no medians of complex64"):
        kernels.median3x3(frame.astype("c8"))
    with pytest.raises(ValueError, match="last two axes"):
        kernels.median3x3(frame[0])
    with pytest.raises(TypeError, match="medians of uint16 are uint16"):
        kernels.median3x3(frame, out=np.zeros((4, 4), "f4"))
    with pytest.raises(TypeError, match="boolean, True for a good pixel"):
        kernels.median3x3(frame, mask=frame)
    with pytest.raises(ValueError, match=r"mask has shape \(4, 5\).*\(4, 4\)"):
        kernels.median3x3(frame, mask=np.ones((4, 5), bool))
    with pytest.raises(ValueError, match=r"\(4, 4\), or \(2, 4, 4\)"):
        kernels.median3x3(np.zeros((2, 4, 4)), mask=np.ones((3, 4, 4), bool))
    with pytest.raises(ValueError, match="num_threads"):
        kernels.median3x3(frame, num_threads=0)
    with pytest.raises(TypeError, match="masked arrays"):
        kernels.median3x3(np.ma.zeros((4, 4)))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_levels_agree_in_every_bit(dtype: str) -> None:
    rng = np.random.default_rng(0)
    frame = rng.choice(
        np.array([0.0, -0.0, 1.0, -1.0, np.nan], dtype), (40, 300), p=[0.3] * 3 + [0.09, 0.01]
    )
    mask = rng.random(frame.shape) < 0.9
    for words in ({}, {"mask": mask}):
        found = set()
        for name in kernels.simd_levels():
            with kernels.use_simd(name):
                found.add(kernels.median3x3(frame, **words).tobytes())
        assert len(found) == 1
