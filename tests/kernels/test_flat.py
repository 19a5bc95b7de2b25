"""Corrected frames are NumPy's, computed in floats; never infinite nor NaN without a word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import kernels
from cxistack.errors import CastError

from .conftest import PIXELS

Array = np.ndarray[Any, Any]


def by_numpy(
    frames: Array, dark: Array | None, white: Array | None, mask: Array | None, dtype: str
) -> Array:
    given = [one.dtype for one in (dark, white) if one is not None]
    computed = np.result_type(frames.dtype, *given, "f4") if dtype == "f4" else np.dtype("f8")
    result = frames.astype(computed)
    with np.errstate(all="ignore"):
        if dark is not None:
            result = result - dark.astype(computed)
        if white is not None:
            result = result / white.astype(computed)
    result = result.astype(dtype)
    return result if mask is None else np.where(mask, result, np.dtype(dtype).type(np.nan))


def drawn(dtype: str, shape: tuple[int, ...], seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 100, shape)
    return (values % 2 == 0) if dtype == "bool" else values.astype(dtype)


@pytest.mark.parametrize("dtype", PIXELS)
@pytest.mark.parametrize("target", ["f4", "f8"])
@pytest.mark.parametrize("kinds", [("f4", "f4"), ("u2", "f8"), (None, "f4"), ("f4", None)])
def test_corrections_are_numpys(
    level: str, strategy: str, dtype: str, target: str, kinds: tuple[str | None, str | None]
) -> None:
    rng = np.random.default_rng(2)
    frames = drawn(dtype, (5, 33, 70))
    dark, white = (
        None if kind is None else (1 + 20 * rng.random((33, 70))).astype(kind) for kind in kinds
    )
    for mask in (None, rng.random((33, 70)) < 0.9, rng.random((5, 33, 70)) < 0.9):
        result = kernels.flat_field(
            frames, dark=dark, whitefield=white, mask=mask, dtype=target, num_threads=3
        )
        assert result.dtype == target
        np.testing.assert_array_equal(result, by_numpy(frames, dark, white, mask, target))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_layout_and_rank(data: st.DataObject) -> None:
    rank = data.draw(st.integers(2, 5))
    shape = tuple(data.draw(st.integers(0, 3 if i < rank - 2 else 30)) for i in range(rank))
    frames = drawn(data.draw(st.sampled_from(PIXELS)), shape, data.draw(st.integers(0, 99)))
    if data.draw(st.booleans()):
        frames = frames.astype(frames.dtype.newbyteorder())
    step = data.draw(st.sampled_from([1, -1, 2, -3]))
    frames = frames[..., ::step] if data.draw(st.booleans()) else frames[..., ::step, :]
    if data.draw(st.booleans()):
        frames = frames.swapaxes(-1, -2)

    def beside(kind: str) -> Array | None:
        each = data.draw(st.sampled_from([None, False, True]))
        if each is None:
            return None
        values = drawn(kind, frames.shape if each else frames.shape[-2:]) + 1
        return values.T.copy().T if data.draw(st.booleans()) else values

    dark, white, mask = beside("u2"), beside(data.draw(st.sampled_from(["f4", "f8"]))), beside("u1")
    mask = None if mask is None else mask > 50
    target = data.draw(st.sampled_from(["f4", "f8"]))
    expected = by_numpy(frames, dark, white, mask, target)
    out = np.zeros((*frames.shape, 2), target)[..., 1]
    words = {"dark": dark, "whitefield": white, "mask": mask}
    assert kernels.flat_field(frames, **words, out=out) is out  # type: ignore[arg-type]
    np.testing.assert_array_equal(out, expected)
    result = kernels.flat_field(frames, **words, dtype=target)  # type: ignore[arg-type]
    np.testing.assert_array_equal(result, expected)


def test_nothing_wraps() -> None:
    frame = np.array([[3, 65535]], "u2")
    dark = np.array([[5, 1]], "u2")
    np.testing.assert_array_equal(kernels.flat_field(frame, dark=dark), [[-2, 65534]])
    large = np.array([[2**24 + 1]], "u4")
    assert kernels.flat_field(large, dark=np.full((1, 1), 2**24))[0, 0] == 1


@pytest.mark.parametrize("value", [0.0, -0.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["whitefield", "dark"])
@pytest.mark.parametrize("target", ["f4", "f8"])
def test_dead_pixels_raise_unless_they_may_be_bad(
    level: str, strategy: str, value: float, name: str, target: Any
) -> None:
    frames = drawn("u2", (6, 40, 50))
    values = np.ones((40, 50))
    values[7, 9] = values[8, 3] = value
    if name == "dark" and value == 0:
        kernels.flat_field(frames, dark=values)
        return
    what = "dark signal" if name == "dark" else name
    words: dict[str, Any] = {name: values, "dtype": target, "num_threads": 3}
    with pytest.raises(ValueError, match=rf"^Pixel \(7, 9\): the {what} is .* 1 more pixels.*dead"):
        kernels.flat_field(frames, **words)
    result = kernels.flat_field(frames, **words, dead="bad", bad=-1)
    assert (result[:, [7, 8], [9, 3]] == -1).all()
    assert np.isfinite(result).all()
    mask = np.ones((40, 50), bool)
    mask[7, 9] = mask[8, 3] = False
    np.testing.assert_array_equal(kernels.flat_field(frames, **words, mask=mask, bad=-1), result)
    mask[8, 3] = True
    with pytest.raises(ValueError, match=r"^Pixel \(8, 3\)"):
        kernels.flat_field(frames, **words, mask=mask)


def test_a_dead_pixel_of_one_frame_is_named_with_it() -> None:
    frames = drawn("u2", (6, 40, 50))
    white = np.ones((6, 40, 50), "f4")
    white[4, 3, 2] = 0
    with pytest.raises(ValueError, match=r"^Frame 4, pixel \(3, 2\): the whitefield is 0.0 there,"):
        kernels.flat_field(frames, whitefield=white)


def test_a_result_that_no_float_holds_raises(level: str, strategy: str) -> None:
    frames = np.ones((3, 30, 40), "f8")
    frames[1, 5, 6] = 1e300
    with pytest.raises(CastError, match=r'Frame 1, pixel \(5, 6\).*float32.*dtype="float64"') as no:
        kernels.flat_field(frames)
    assert no.value.offence is not None
    assert (no.value.offence.frame, no.value.offence.pixel) == (1, (5, 6))
    assert kernels.flat_field(frames, dtype="f8")[1, 5, 6] == 1e300
    white = np.full((30, 40), 1e-300)
    with pytest.raises(CastError, match=r"Frame 1.*float64"):
        kernels.flat_field(frames, whitefield=white, dtype="f8")
    mask = frames[1] < 2
    assert np.isnan(kernels.flat_field(frames, mask=mask)[1, 5, 6])


def test_nan_and_infinity_of_the_frames_stay() -> None:
    frame = np.array([[np.nan, np.inf, -np.inf, 1]], "f4")
    result = kernels.flat_field(frame, dark=np.ones((1, 4)), whitefield=np.full((1, 4), 2.0))
    np.testing.assert_array_equal(result, [[np.nan, np.inf, -np.inf, 0]])
    result = kernels.flat_field(frame, mask=np.isfinite(frame), bad=0)
    np.testing.assert_array_equal(result, [[0, 0, 0, 1]])


def test_the_result_may_lie_in_the_frames_but_not_in_the_corrections() -> None:
    frames = np.full((3, 4, 5), 6, "f4")
    white = np.full((4, 5), 2, "f4")
    assert kernels.flat_field(frames, whitefield=white, out=frames) is frames
    assert (frames == 3).all()
    with pytest.raises(ValueError, match="out lies in the memory"):
        kernels.flat_field(white, whitefield=white, out=white)


def test_what_cannot_be_corrected_says_so() -> None:
    frame = np.zeros((4, 4), "u2")
    with pytest.raises(TypeError, match="complex64 are not corrected"):
        kernels.flat_field(frame.astype("c8"))
    with pytest.raises(TypeError, match="float32 or float64, not uint16"):
        kernels.flat_field(frame, dtype="u2")
    with pytest.raises(TypeError, match="whitefield holds complex128"):
        kernels.flat_field(frame, whitefield=np.ones((4, 4), "c16"))
    with pytest.raises(TypeError, match="dark is a masked array"):
        kernels.flat_field(frame, dark=np.ma.ones((4, 4)))
    with pytest.raises(ValueError, match=r"whitefield has shape \(4,\)"):
        kernels.flat_field(frame, whitefield=np.ones(4))
    with pytest.raises(ValueError, match='"raise" or "bad"'):
        kernels.flat_field(frame, dead="nan")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"1e\+300 does not fit float32"):
        kernels.flat_field(frame, bad=1e300)
    with pytest.raises(TypeError, match="boolean"):
        kernels.flat_field(frame, mask=frame)
    with pytest.raises(ValueError, match="last two axes"):
        kernels.flat_field(frame[0])
    assert kernels.flat_field(np.zeros((0, 4, 4))).shape == (0, 4, 4)
