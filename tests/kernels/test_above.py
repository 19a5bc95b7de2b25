"""Pixels above a threshold are numpy.nonzero's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import kernels
from cxistack.kernels.threshold import least_above

from .conftest import PIXELS, extremes

Array = np.ndarray[Any, Any]


def by_numpy(frames: Array, threshold: Any, mask: Array | None = None) -> tuple[Array, ...]:
    native = frames.astype(frames.dtype.newbyteorder("="))
    flat = native.reshape(math.prod(frames.shape[:-2]), math.prod(frames.shape[-2:]))
    found = flat > threshold
    if mask is not None:
        found &= np.broadcast_to(mask, frames.shape).reshape(flat.shape)
    frame, pixel = np.nonzero(found)
    return frame, pixel, flat[frame, pixel]


def same(found: tuple[Array, ...], wanted: tuple[Array, ...]) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def drawn(dtype: str, shape: tuple[int, ...], seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    few = rng.choice(extremes(dtype), shape)
    return np.where(rng.random(shape) < 0.3, few, rng.integers(0, 9, shape).astype(dtype))


@pytest.mark.parametrize("dtype", PIXELS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 63), (9, 65), (5, 33, 70), (2, 3, 40, 130)])
def test_it_is_nonzero(level: str, strategy: str, dtype: str, shape: tuple[int, ...]) -> None:
    frames = drawn(dtype, shape)
    rng = np.random.default_rng(1)
    for threshold in (-1, 0, 3, 7, 100, 65534):
        for mask in (None, rng.random(shape[-2:]) < 0.5, rng.random(shape) < 0.5):
            found = kernels.above(frames, threshold, mask=mask, num_threads=3)
            same(found, by_numpy(frames, threshold, mask))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_layout_and_rank(data: st.DataObject) -> None:
    rank = data.draw(st.integers(2, 5))
    shape = tuple(data.draw(st.integers(0, 3 if i < rank - 2 else 40)) for i in range(rank))
    stack = drawn(data.draw(st.sampled_from(PIXELS)), shape, data.draw(st.integers(0, 99)))
    if data.draw(st.booleans()):
        stack = stack.astype(stack.dtype.newbyteorder())
    step = data.draw(st.sampled_from([1, -1, 2, -3]))
    stack = stack[..., ::step] if data.draw(st.booleans()) else stack[..., ::step, :]
    if data.draw(st.booleans()):
        stack = stack.swapaxes(-1, -2)
    threshold = data.draw(st.integers(-3, 9))
    each = data.draw(st.sampled_from([None, False, True]))
    mask = None
    if each is not None:
        mask = np.random.default_rng(3).random(stack.shape if each else stack.shape[-2:]) < 0.5
    same(kernels.above(stack, threshold, mask=mask), by_numpy(stack, threshold, mask))


@settings(deadline=None)
@given(
    dtype=st.sampled_from(PIXELS),
    threshold=st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.just(math.inf),
)
def test_integers_compare_exactly_and_floats_as_numpy_compares(
    dtype: str, threshold: float
) -> None:
    values = extremes(dtype)
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            wanted = values > values.dtype.type(threshold)
    else:
        wanted = np.array([int(value) > threshold for value in values.tolist()])
    _, pixel, value = kernels.above(values[None], threshold)
    np.testing.assert_array_equal(pixel, np.flatnonzero(wanted))
    np.testing.assert_array_equal(value, values[wanted])


def test_more_hits_than_there_was_room_for(strategy: str) -> None:
    frames = np.ones((3, 100, 1000), "u2")
    same(kernels.above(frames, 0), by_numpy(frames, 0))


def test_nan_is_not_above_anything(level: str) -> None:
    frame = np.array([[np.nan, -np.inf, np.inf, 1.0, -0.0, 0.0, 5e-324]])
    assert kernels.above(frame, -math.inf)[1].tolist() == [2, 3, 4, 5, 6]
    assert kernels.above(frame, 0)[1].tolist() == [2, 3, 6]
    assert kernels.above(frame, -0.0)[1].tolist() == [2, 3, 6]
    assert kernels.above(frame, math.inf)[1].tolist() == []


def test_what_cannot_be_compared_says_so() -> None:
    frame = np.zeros((4, 4), "u2")
    with pytest.raises(TypeError, match="complex64 are not compared"):
        kernels.above(frame.astype("c8"), 0)
    with pytest.raises(ValueError, match="last two axes"):
        kernels.above(frame[0], 0)
    with pytest.raises(ValueError, match="NaN"):
        kernels.above(frame, math.nan)
    for threshold in ("3", [3, 4], None, 1j):
        with pytest.raises(TypeError):
            kernels.above(frame, threshold)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="boolean"):
        kernels.above(frame, 0, mask=frame)
    with pytest.raises(ValueError, match="mask has shape"):
        kernels.above(frame, 0, mask=np.ones((3, 4), bool))


def test_the_least_value_above() -> None:
    assert least_above(np.float32(2.0), np.dtype("u2")) == 3
    assert least_above(10**400, np.dtype("f4")) is None
    assert least_above(-(10**400), np.dtype("f8")) == -np.finfo("f8").max
    assert least_above(True, np.dtype("u1")) == 2
    assert least_above(0, np.dtype("?")) == 1
