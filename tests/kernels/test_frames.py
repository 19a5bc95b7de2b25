"""Chosen frames and views are NumPy's, whatever is composed with what, and bounds hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import kernels
from cxistack.errors import CastError, FrameIndexError
from cxistack.kernels import loop

from .conftest import PIXELS


@dataclass(frozen=True)
class View:
    ss: tuple[int, int, int]
    fs: tuple[int, int, int]

    def take(self, stack: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Do what the kernels do, by index lists."""
        for axis, (start, step, count) in ((-2, self.ss), (-1, self.fs)):
            stack = np.take(stack, [start + step * i for i in range(count)], axis=axis)
        return stack


@st.composite
def axis_views(draw: st.DrawFn, length: int) -> tuple[int, int, int]:
    start = draw(st.integers(0, length - 1))
    step = draw(st.sampled_from([1, 2, 3, -1, -2, 7, -length, length]))
    room = (length - 1 - start) // step if step > 0 else start // -step
    return start, step, draw(st.integers(0, room + 1))


@st.composite
def stacks(draw: st.DrawFn, min_rank: int = 2) -> np.ndarray[Any, Any]:
    rank = draw(st.integers(min_rank, 5))
    shape = [draw(st.integers(1, 6 if i < rank - 2 else 40)) for i in range(rank)]
    dtype = np.dtype(draw(st.sampled_from(PIXELS)))
    stack = (np.arange(int(np.prod(shape))) % 127).reshape(shape).astype(dtype)
    if draw(st.booleans()):
        stack = stack.astype(dtype.newbyteorder())
    return stack[..., ::-1] if draw(st.booleans()) else stack


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_view_is_the_same_index_lists(data: st.DataObject) -> None:
    stack = data.draw(stacks())
    view = View(data.draw(axis_views(stack.shape[-2])), data.draw(axis_views(stack.shape[-1])))
    target = data.draw(st.sampled_from(PIXELS))
    result = kernels.transform(stack, view, dtype=target)
    np.testing.assert_array_equal(result, view.take(stack).astype(target))


@settings(max_examples=200, deadline=None)
@given(st.data(), st.booleans())
def test_frames_come_in_the_order_asked_for(data: st.DataObject, streamed: bool) -> None:
    stack = data.draw(stacks(min_rank=3))
    n = len(stack)
    index = data.draw(st.lists(st.integers(-n, n - 1), max_size=9))
    view = View(data.draw(axis_views(stack.shape[-2])), data.draw(axis_views(stack.shape[-1])))
    before = loop._tune(stream_bytes=0) if streamed else loop._tune()
    try:
        expected = stack[np.array(index, dtype=int)]
        np.testing.assert_array_equal(kernels.gather(stack, index), expected)
        viewed = kernels.transform(stack, view, index=index, dtype="f8")
        np.testing.assert_array_equal(viewed, view.take(expected).astype("f8"))
        room = data.draw(st.integers(len(index), 12))
        at = data.draw(st.permutations(range(room)))[: len(index)]
        out = np.full((room, *viewed.shape[1:]), -7.0)
        rest = [place for place in range(room) if place not in at]
        kernels.transform(stack, view, index=index, at=at, out=out)
        np.testing.assert_array_equal(out[np.array(at, dtype=int)], viewed)
        assert (out[rest] == -7).all()
    finally:
        loop._tune(**before)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_large_gathers_on_any_number_of_threads(strategy: str, threads: int) -> None:
    stack = np.arange(20 * 33 * 35, dtype="u2").reshape(20, 33, 35)
    index = [3, 3, -1, 0, 19, 7, 2] * 5
    for dtype in ("u2", "f4"):
        result = kernels.gather(stack, index, dtype=dtype, num_threads=threads)
        np.testing.assert_array_equal(result, stack[index])
        at = np.random.default_rng(0).permutation(35)
        out = np.zeros((35, 33, 40), dtype)[..., 2:37]
        kernels.gather(stack, index, at=at, out=out, num_threads=threads)
        np.testing.assert_array_equal(out[at], stack[index])


@pytest.mark.parametrize(
    "index", [[0, 2], (0, 2), np.array([0, 2], "u1"), np.array([0, 2], ">i4"), range(0, 3, 2), []]
)
def test_any_sequence_of_integers_is_an_index(index: Any) -> None:
    stack = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(kernels.gather(stack, index), stack[list(index)])


@pytest.mark.parametrize(
    ("index", "error", "words"),
    [
        ([0, 3], FrameIndexError, r"index\[1\] is 3, but there are 3 frames"),
        ([-4], FrameIndexError, r"index\[0\] is -4"),
        (np.array([2**64 - 1], "u8"), FrameIndexError, r"index\[0\] is"),
        (np.array([True, False, True]), TypeError, "booleans.*numpy.flatnonzero"),
        ([0.0], TypeError, "float64, not integers"),
        ([[0]], TypeError, "one-dimensional"),
        (1, TypeError, "one-dimensional"),
        (None, TypeError, "not None"),
    ],
)
def test_a_wrong_index_says_what_is_wrong(index: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        kernels.gather(np.zeros((3, 4)), index)


def test_places_are_checked_like_frames() -> None:
    stack, out = np.zeros((3, 4), "u2"), np.zeros((2, 4), "u2")
    with pytest.raises(FrameIndexError, match=r"at\[0\] is 2"):
        kernels.gather(stack, [0], at=[2], out=out)
    with pytest.raises(ValueError, match="at has 1 entries, index has 2"):
        kernels.gather(stack, [0, 1], at=[0], out=out)
    with pytest.raises(ValueError, match="needs index, and an out"):
        kernels.gather(stack, [0], at=[0])
    with pytest.raises(ValueError, match="shape"):
        kernels.gather(stack, [0], at=[0], out=np.zeros((2, 5), "u2"))


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ((0, 1, 6), "takes 6 slow-axis pixels from 0 in steps of 1"),
        ((5, 1, 1), "begins at slow-axis pixel 5"),
        ((-1, 1, 1), "begins at slow-axis pixel -1"),
        ((4, -2, 4), "takes 4 slow-axis pixels from 4 in steps of -2"),
        ((0, 2**62, 2), "leaves the frame"),
        ((0, -(2**63), 2), "leaves the frame"),
        ((0, 0, 2), "step along slow-axis is 0"),
        ((0, 1, -1), "wants -1 pixels"),
    ],
)
def test_a_view_may_not_leave_the_frame(axis: tuple[int, int, int], words: str) -> None:
    with pytest.raises(FrameIndexError, match=words):
        kernels.transform(np.zeros((2, 5, 5)), View(axis, (0, 1, 5)))


def test_a_result_beyond_all_memory_is_refused() -> None:
    huge = np.broadcast_to(np.zeros((), "u1"), (2, 2**60))
    out = np.lib.stride_tricks.as_strided(np.zeros(1, "u1"), (1, 2**60), (0, 0))
    with pytest.raises(ValueError, match="larger than memory"):
        kernels.gather(huge, [0] * 20, at=[0] * 20, out=out)


def test_a_view_needs_two_axes_beside_the_index() -> None:
    whole = View((0, 1, 3), (0, 1, 3))
    with pytest.raises(ValueError, match="last two axes"):
        kernels.transform(np.zeros(3), whole)
    with pytest.raises(ValueError, match="last two axes"):
        kernels.transform(np.zeros((3, 3)), whole, index=[0])
    with pytest.raises(AttributeError):
        kernels.transform(np.zeros((3, 3)), slice(0))  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [1, 3])
def test_an_offence_is_named_where_it_lies_in_the_stack(strategy: str, threads: int) -> None:
    stack = np.zeros((8, 40, 50), "f4")
    stack[2, 11, 7] = 0.5
    stack[5, 31, 9] = np.inf
    stack[5, 30, 10] = np.nan  # no pixel of the view
    stack[5, 11, 29] = -0.25
    view = View((39, -4, 10), (1, 2, 20))
    with pytest.raises(CastError) as caught:
        kernels.transform(stack, view, index=[0, 7, 5, 2], dtype="u2", num_threads=threads)
    offence = caught.value.offence
    assert offence is not None
    assert (offence.frame, offence.pixel, offence.count) == (5, (31, 9), 2)
    assert stack[offence.frame][offence.pixel] == offence.value


def test_gathering_within_one_array() -> None:
    stack = np.arange(60.0).reshape(5, 3, 4)
    expected = stack[[4, 3, 2, 1, 0]]
    kernels.gather(stack, [4, 3, 2, 1, 0], out=stack)
    np.testing.assert_array_equal(stack, expected)


@settings(max_examples=100, deadline=None)
@given(stacks(), st.integers(0, 2**64 - 1))
def test_good_pixels_have_no_bad_bit(stack: np.ndarray[Any, Any], bits: int) -> None:
    if stack.dtype.kind == "f":
        with pytest.raises(TypeError, match="integers"):
            kernels.good_pixels(stack, bits)
        return
    unsigned = stack.astype(stack.dtype.newbyteorder("=")).view(f"u{stack.dtype.itemsize}")
    masked = unsigned.dtype.type(bits & int(np.iinfo(unsigned.dtype).max))
    result = kernels.good_pixels(stack, bits)
    assert result.dtype == bool
    np.testing.assert_array_equal(result, (unsigned & masked) == 0)


@pytest.mark.parametrize("dtype", ["i1", "u2", ">i4", "u8", "bool"])
def test_good_pixels_of_views_at_every_level(level: str, strategy: str, dtype: str) -> None:
    flags = np.random.default_rng(0).integers(0, 127, (5, 40, 70)).astype(dtype)
    view = View((30, -1, 31), (3, 2, 30))
    expected = (view.take(flags)[[4, 0]] & flags.dtype.type(9)) == 0
    np.testing.assert_array_equal(
        kernels.good_pixels(flags, 9, view=view, index=[4, 0], num_threads=2), expected
    )
    negative = np.array([-1, -128, 0], "i1")
    assert kernels.good_pixels(negative, 0x7F).tolist() == [False, True, True]
    with pytest.raises(ValueError, match="0 or more"):
        kernels.good_pixels(flags, -1)
