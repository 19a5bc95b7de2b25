"""Frames wait until they fill whole chunks; the oracle counts the chunks that are cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack.saving import buffer
from cxistack.saving.buffer import FrameBuffer


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(buffer, "_BYTES", 100)


@given(
    depth=st.integers(1, 40),
    row=st.integers(0, 50),
    counts=st.lists(st.integers(1, 60), max_size=8),
)
def test_all_but_the_last_batch_end_with_a_chunk(depth, row, counts):
    """A frame is 4 bytes, and room is for 100, or for a chunk."""
    waiting = FrameBuffer((2,), np.dtype("u2"), depth, row)
    values = np.arange(sum(counts))
    done, ends = [], []

    def write(batch):
        done.extend(batch)
        ends.append(row + len(done))

    for part in np.split(values, np.cumsum(counts)[:-1]) if counts else []:
        first = 0
        while first < len(part):
            assert waiting.room > 0
            count = waiting.passing(len(part) - first)
            if count:
                write(part[first : first + count])
                waiting.skip(count)
            else:
                count = min(waiting.room, len(part) - first)
                waiting.next(count)[...] = part[first : first + count, None]
                waiting.keep(count)
                assert waiting.count * 4 <= max(100, depth * 4)
                if not waiting.room:
                    write(waiting.take()[:, 0].tolist())
            first += count
    assert all(end % depth == 0 for end in ends)
    write(waiting.take()[:, 0].tolist())
    np.testing.assert_array_equal(done, values)


def test_a_frame_that_is_larger_than_the_room_is_taken_alone():
    waiting = FrameBuffer((1000,), np.dtype("u2"), 1, 0)
    assert waiting.room == 1
    assert waiting.passing(3) == 3


def test_what_there_is_room_for_waits():
    waiting = FrameBuffer((2,), np.dtype("u2"), 5, 3)
    assert waiting.room == 22
    assert waiting.passing(21) == 0
    assert waiting.passing(22) == 22
    assert waiting.passing(24) == 22
    waiting.keep(1)
    assert waiting.passing(100) == 0
