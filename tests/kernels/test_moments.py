"""Reductions over frames are NumPy's, of the good values, however frames are batched."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import kernels
from cxistack.kernels.moments import merged

from .conftest import PIXELS

Array = np.ndarray[Any, Any]
WORDS = ("sum", "mean", "std", "min", "max", "over", "saturated")


def drawn(data: st.DataObject, dtype: str, least: int = 0) -> tuple[Array, Array | None]:
    """Return frames of any layout, and a mask or none."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    shape = (data.draw(st.integers(least, 12)), data.draw(st.integers(1, 7)), 40)
    top = data.draw(st.sampled_from([3, 100, 2**15]))
    kind = np.dtype(dtype)
    if kind.kind == "f":
        frames = rng.normal(0, top, shape).astype(kind)
    elif kind.kind == "b":
        frames = rng.random(shape) > 0.5
    else:
        limits = np.iinfo(kind)
        frames = rng.integers(max(limits.min, -top), min(limits.max, top), shape, endpoint=True)
        frames = frames.astype(kind)
    if data.draw(st.booleans()):
        frames = frames.astype(kind.newbyteorder())
    frames = data.draw(
        st.sampled_from([frames, frames[..., ::2], frames[..., ::-1], frames.swapaxes(1, 2)])
    )
    how = data.draw(st.sampled_from(["none", "shared", "each"]))
    if how == "none":
        return frames, None
    size = frames.shape if how == "each" else frames.shape[1:]
    return frames, rng.random(size) < data.draw(st.sampled_from([0.0, 0.5, 0.98, 1.0]))


def moments(frames: Array, mask: Array | None, cuts: list[int], threads: int) -> kernels.Moments:
    made = kernels.Moments(frames.shape[1:], frames.dtype, WORDS, threshold=2, saturation=90)
    ends = [0, *sorted(cuts), len(frames)]
    for start, stop in itertools.pairwise(ends):
        part = mask[start:stop] if mask is not None and mask.ndim == frames.ndim else mask
        made.add(frames[start:stop], part, num_threads=threads)
    return made


@pytest.mark.parametrize("dtype", PIXELS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_moments_are_numpys(dtype: str, data: st.DataObject) -> None:
    frames, mask = drawn(data, dtype)
    made = moments(frames, mask, [], 1)
    good = np.broadcast_to(True if mask is None else mask, frames.shape)
    count = good.sum(0)
    np.testing.assert_array_equal(np.broadcast_to(made.count, count.shape), count)
    held = np.where(good, frames, frames.dtype.type(0))
    real = count > 0
    wide = "f8" if frames.dtype.kind == "f" else "i8"
    if frames.dtype.kind == "f":
        np.testing.assert_allclose(made.result("sum"), held.sum(0, wide), rtol=1e-10, atol=1e-8)
    else:
        np.testing.assert_array_equal(made.result("sum"), held.sum(0, wide))
    whole = np.ma.array(frames.astype("f8"), mask=~good)
    for word in ("mean", "std"):
        expected = getattr(whole, word)(0) if len(frames) else np.zeros(count.shape)
        np.testing.assert_allclose(
            made.result(word, fill=0)[real], np.asarray(expected)[real], rtol=1e-10, atol=1e-7
        )
    if len(frames):
        for word in ("min", "max"):
            expected = getattr(np.ma.array(frames, mask=~good), word)(0)
            np.testing.assert_array_equal(
                made.result(word, fill=0)[real], np.asarray(expected)[real]
            )
    np.testing.assert_array_equal(made.result("over"), ((frames > 2) & good).sum(0))
    np.testing.assert_array_equal(made.result("saturated"), ((frames >= 90) & good).sum(0))
    if not real.all():
        with pytest.raises(ValueError, match="no good frame"):
            made.result("mean")


@pytest.mark.parametrize("dtype", PIXELS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_batches_threads_and_levels_change_no_bit(dtype: str, data: st.DataObject) -> None:
    frames, mask = drawn(data, dtype)
    once = moments(frames, mask, [], 1)
    cuts = data.draw(st.lists(st.integers(0, len(frames)), max_size=4))
    with kernels.use_simd(data.draw(st.sampled_from(kernels.simd_levels()))):
        again = pickle.loads(pickle.dumps(moments(frames, mask, cuts, 2)))
    for word in WORDS:
        first, second = once.result(word, fill=0), again.result(word, fill=0)
        assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("dtype", PIXELS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_merged_moments_are_those_of_all(dtype: str, data: st.DataObject) -> None:
    frames, mask = drawn(data, dtype)
    cut = data.draw(st.integers(0, len(frames)))
    each = mask is not None and mask.ndim == frames.ndim
    once = moments(frames, mask, [], 1)
    left = moments(frames[:cut], mask[:cut] if each else mask, [], 1)
    right = moments(frames[cut:], mask[cut:] if each else mask, [], 1)
    before = pickle.dumps((left, right))
    merged(left, right).merge(right)
    assert pickle.dumps((left, right)) == before  # a worker may be asked for them again
    left.merge(right)
    assert left.frames == once.frames
    for word in WORDS:
        np.testing.assert_allclose(
            left.result(word, fill=0), once.result(word, fill=0), rtol=1e-9, atol=1e-7
        )


@pytest.mark.parametrize(("dtype", "worst"), [("i8", 2**63 - 1), ("u8", 2**64 - 1)])
def test_a_sum_past_64_bits_is_refused(level: str, dtype: str, worst: int) -> None:
    frames = np.zeros((2, 3, 5), dtype)
    frames[0, 1, 2] = worst
    made = kernels.Moments((3, 5), dtype, "sum")
    made.add(frames)
    assert made.result("sum")[1, 2] == worst
    frames[0] = 0
    frames[1, 1, 2] = 1
    mask = np.ones((3, 5), bool)
    mask[1, 2] = False
    made.add(frames, mask)
    with pytest.raises(OverflowError, match=r"pixel \(1, 2\)"):
        made.add(frames)


def test_nan_stays_and_a_small_rest_is_not_lost(level: str) -> None:
    frames = np.array([[1e16, np.nan, 1.0], [1.0, 2.0, 2.0], [-1e16, 3.0, np.inf]])
    made = kernels.Moments((3,), "f8", ["sum", "min", "max"])
    made.add(frames)
    np.testing.assert_array_equal(made.result("sum"), [1.0, np.nan, np.inf])
    np.testing.assert_array_equal(made.result("min"), frames.min(0))
    np.testing.assert_array_equal(made.result("max"), frames.max(0))


def test_what_has_no_moments_says_so() -> None:
    for dtype in ("c8", "f2", "O"):
        with pytest.raises(TypeError, match="no sums"):
            kernels.Moments((2,), dtype, "sum")
    with pytest.raises(ValueError, match="threshold="):
        kernels.Moments((2,), "u2", "over")
    with pytest.raises(ValueError, match="no 'median'"):
        kernels.Moments((2,), "u2", "median")  # type: ignore[arg-type]
    made = kernels.Moments((2,), "u2", "sum")
    with pytest.raises(TypeError, match="boolean"):
        made.add(np.zeros((3, 2), "u2"), np.ones(2, "u1"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="uint16"):
        made.add(np.zeros((3, 2), "u4"))
    with pytest.raises(ValueError, match="shape"):
        made.add(np.zeros((3, 3), "u2"))
