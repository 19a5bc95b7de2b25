"""Computed stacks: indexed as the arrays that they would be."""

import pickle
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from cxistack import FrameIndexError
from cxistack.processing import stacks as room
from cxistack.processing.stacks import ComputedStack, picked
from processing.references import unread

VALUES = np.arange(5 * 4 * 6).reshape(5, 4, 6)


def rows_of(values, numbers, rows):
    return values[numbers][..., rows, :]


@given(arrays.basic_indices(VALUES.shape, allow_newaxis=False))
def test_basic_indices(key):
    np.testing.assert_array_equal(unread(VALUES)[key], VALUES[key], strict=True)


@given(
    some.lists(some.integers(-5, 4), max_size=7),
    some.one_of(some.just(()), arrays.basic_indices((4, 6), allow_newaxis=False)),
)
def test_lists_of_frames(frames, more):
    more = more if isinstance(more, tuple) else (more,)
    key = (np.array(frames, int), *more)
    np.testing.assert_array_equal(unread(VALUES)[key], VALUES[key], strict=True)


@pytest.mark.parametrize(
    "key",
    [
        np.array([True, False, True, False, False]),
        [False] * 5,
        ([0, 2], [1, 3]),
        ([0, 2], slice(None), [1, 3]),
        (slice(None), [1, 3], 2),
        (0, np.array([True, False, False, True])),
        (np.int64(3), ..., -1),
    ],
)
def test_other_indices(key):
    np.testing.assert_array_equal(unread(VALUES)[key], VALUES[key], strict=True)


@pytest.mark.parametrize(
    "key", [5, -6, [5], (0, 4), (0, 0, 0, 0), None, (..., ...), VALUES > 3, 1.5]
)
def test_what_is_no_index_raises(key):
    with pytest.raises(IndexError):
        unread(VALUES)[key]
    assert issubclass(FrameIndexError, IndexError)


def test_it_is_a_stack_of_frames():
    stack = ComputedStack(VALUES.shape, "i8", partial(rows_of, VALUES))
    assert (len(stack), stack.ndim, stack.size, stack.nbytes) == (5, 3, 120, 960)
    assert "(5, 4, 6)" in repr(stack)
    np.testing.assert_array_equal(list(stack), VALUES)
    np.testing.assert_array_equal(np.asarray(stack, "f4"), VALUES.astype("f4"), strict=True)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stack)), VALUES)
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(stack, copy=False)


def test_only_what_is_asked_for_is_computed(monkeypatch):
    asked = []

    def rule(numbers, rows):
        asked.append((numbers.tolist(), rows.start, rows.stop))
        return VALUES[numbers][:, rows]

    monkeypatch.setattr(room, "BLOCK_BYTES", 2 * 4 * 6 * 8)
    stack = ComputedStack(VALUES.shape, "i8", rule)
    _ = stack[[3, 1, 3], 1:3], stack[-1, ..., 0]
    assert asked == [([1, 3], 1, 3), ([4], 0, 4)]
    asked.clear()
    np.asarray(stack)
    assert [numbers for numbers, _, _ in asked] == [[0, 1], [2, 3], [4]]


def test_some_frames_of_it():
    stack = picked(unread(VALUES), np.array([4, 0, 0]))
    np.testing.assert_array_equal(stack, VALUES[[4, 0, 0]])
    np.testing.assert_array_equal(stack[1:, 2:3], VALUES[[0, 0], 2:3])
