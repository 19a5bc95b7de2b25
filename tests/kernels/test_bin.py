"""Bins are NumPy's reshape and sum; integers exactly, or an error where 64 bits do not do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import kernels
from cxistack.errors import CastError

from .conftest import PIXELS, extremes


def reshaped(stack: np.ndarray[Any, Any], n_ss: int, n_fs: int) -> np.ndarray[Any, Any]:
    """Return the bins' pixels on the axes -3 and -1."""
    rows, columns = stack.shape[-2] // n_ss, stack.shape[-1] // n_fs
    whole = stack[..., : rows * n_ss, : columns * n_fs]
    return whole.reshape(*stack.shape[:-2], rows, n_ss, columns, n_fs)


def exact(stack: np.ndarray[Any, Any], n_ss: int, n_fs: int, mode: str) -> np.ndarray[Any, Any]:
    bins = reshaped(stack, n_ss, n_fs)
    if stack.dtype.kind == "b":
        return bins.all(axis=(-3, -1))
    wide = bins.astype(f"{stack.dtype.kind}8")
    total = wide.sum(axis=(-3, -1))
    return total / (n_ss * n_fs) if mode == "mean" else total


@pytest.mark.parametrize("dtype", PIXELS)
@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, (5, 2), (1, 8), (7, 1)])
def test_bins_are_reshape_and_sum(
    level: str, strategy: str, dtype: str, mode: Any, n: int | tuple[int, int]
) -> None:
    kind = np.dtype(dtype)
    rng = np.random.default_rng(3)
    if kind.kind in "iu":
        # The widest values whose sums NumPy can hold.
        limits = np.iinfo(kind)
        shift = 7 if kind.itemsize == 8 else 0
        stack = rng.integers(
            int(limits.min) >> shift, int(limits.max) >> shift, (3, 31, 45), kind, endpoint=True
        )
    else:
        stack = (rng.integers(0, 2000, (3, 31, 45)) / 8).astype(kind)
    n_ss, n_fs = n if isinstance(n, tuple) else (n, n)
    expected = exact(stack, n_ss, n_fs, mode)
    result = kernels.bin(stack, n, mode, num_threads=2)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_layout_and_rank(data: st.DataObject) -> None:
    rank = data.draw(st.integers(2, 5))
    shape = [data.draw(st.integers(0, 4 if i < rank - 2 else 30)) for i in range(rank)]
    stack = (np.arange(int(np.prod(shape))) % 113).reshape(shape)
    stack = stack.astype(data.draw(st.sampled_from(PIXELS)))
    if data.draw(st.booleans()):
        stack = stack.astype(stack.dtype.newbyteorder())
    step = data.draw(st.sampled_from([1, -1, 2, -3]))
    stack = stack[..., ::step] if data.draw(st.booleans()) else stack[..., ::step, :]
    if data.draw(st.booleans()):
        stack = stack.swapaxes(-1, -2)
    n_ss, n_fs = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    expected = exact(stack, n_ss, n_fs, "sum")
    target = data.draw(st.sampled_from(["f4", "f8", "i8", None]))
    out = np.zeros((*expected.shape, 2), target or expected.dtype)[..., 1]
    assert kernels.bin(stack, (n_ss, n_fs), "sum", out=out) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(kernels.bin(stack, (n_ss, n_fs), dtype=target), expected)


@pytest.mark.parametrize("dtype", ["i2", "u2", "f4", "i8"])
def test_bins_wider_than_the_scratch(level: str, dtype: str) -> None:
    lowest = np.iinfo(dtype).min if dtype == "i2" else 1
    stack = np.full((1, 70001, 3), lowest, dtype)
    for tall in (stack, stack.swapaxes(1, 2)):
        n = (70000, 3) if tall.shape[1] > 3 else (3, 70000)
        assert kernels.bin(tall, n).item() == lowest * 210000
        assert kernels.bin(tall, n, "mean").item() == lowest


def test_floats_are_added_in_the_documented_order(level: str) -> None:
    stack = np.random.default_rng(5).normal(size=(2, 23, 37)) * 10.0 ** np.arange(37)
    bins = reshaped(stack, 5, 6)
    columns = np.zeros(bins.shape[:-3] + bins.shape[-2:])
    for row in range(5):
        columns = columns + bins[..., row, :, :]
    total = np.zeros(columns.shape[:-1])
    for column in range(6):
        total = total + columns[..., column]
    np.testing.assert_array_equal(kernels.bin(stack, (5, 6)), total)
    np.testing.assert_allclose(kernels.bin(stack, (5, 6)), exact(stack, 5, 6, "sum"), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_a_sum_is_refused_only_if_it_does_not_fit(level: str, strategy: str, dtype: str) -> None:
    limits = np.iinfo(dtype)
    stack = np.zeros((3, 8, 8), dtype)
    stack[1, 0, 0], stack[1, 0, 1] = limits.max, 1
    if dtype == "i8":
        stack[1, 1, 1] = -1  # passes the limit on its way to a sum that fits
        assert kernels.bin(stack, 2)[1, 0, 0] == limits.max
        stack[1, 1, 1] = 0
    with pytest.raises(CastError, match=r"Frame 1.*int64.*sum of 2 x 2.*mean") as caught:
        kernels.bin(stack, 2, num_threads=3)
    offence = caught.value.offence
    assert offence is not None
    assert (offence.frame, offence.pixel, offence.count) == (1, (0, 0), 1)
    assert offence.value == limits.max + 1
    assert kernels.bin(stack, 2, casting="unsafe")[1, 0, 0] == limits.min
    assert kernels.bin(stack, 2, "mean")[1, 0, 0] == float(2**61 if dtype == "i8" else 2**62)


def test_results_are_cast_and_checked(strategy: str) -> None:
    stack = np.ones((4, 40, 40), "u2")
    stack[2, 4:6, 6:8] = 65535
    assert kernels.bin(stack, 2, dtype="u4")[2, 2, 3] == 4 * 65535
    with pytest.raises(CastError, match=r"Frame 2, pixel \(2, 3\): the value 262140") as caught:
        kernels.bin(stack, 2, dtype="u2")
    assert caught.value.offence is not None
    assert caught.value.offence.count == 1
    assert kernels.bin(stack, 2, dtype="u2", casting="unsafe")[2, 2, 3] == 262140 % 65536
    stack[3, 0, 0] = 2
    with pytest.raises(CastError, match=r"Frame 3.*1\.25.*mean of 2 x 2"):
        kernels.bin(stack, 2, "mean", dtype="i4")


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_nan_and_infinity_stay_in_their_bin(level: str, dtype: str) -> None:
    values = extremes(dtype)
    stack = np.zeros((2, 2 * len(values)), dtype)
    stack[1, ::2] = values
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(kernels.bin(stack, 2)[0], values.astype("f8"))


def test_bins_may_lie_in_their_source() -> None:
    stack = np.arange(64, dtype="u8").reshape(8, 8)
    expected = exact(stack, 2, 2, "sum")
    kernels.bin(stack, 2, out=stack[1:5, 1:5])
    np.testing.assert_array_equal(stack[1:5, 1:5], expected)


def test_what_cannot_be_binned_says_so() -> None:
    frame = np.zeros((4, 4), "u2")
    for n in (0, -1, (2, 0)):
        with pytest.raises(ValueError, match="1 pixel wide or more"):
            kernels.bin(frame, n)
    with pytest.raises(ValueError, match="mode"):
        kernels.bin(frame, 2, "median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="last two axes"):
        kernels.bin(frame[0], 2)
    with pytest.raises(TypeError, match="no bins of complex64"):
        kernels.bin(frame.astype("c8"), 2)
    with pytest.raises(TypeError, match="no cast"):
        kernels.bin(frame, 2, dtype="c8")
    with pytest.raises(TypeError):
        kernels.bin(frame, 2.0)  # type: ignore[arg-type]
    assert kernels.bin(frame, 5).shape == (0, 0)
