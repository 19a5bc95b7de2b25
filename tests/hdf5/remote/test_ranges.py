"""Which requests bring what is wanted, and where it lies then: held against bytes in memory."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cxistack.hdf5.remote import ranges
from cxistack.hdf5.remote.ranges import laid_out

SIZE = 1000
PARTS = st.lists(
    st.tuples(st.integers(0, SIZE - 1), st.integers(1, 100), st.integers(0, 100)),
    min_size=1,
    max_size=12,
)


@given(PARTS, st.integers(0, 50), st.integers(1, 60), st.integers(0, 7))
def test_every_wanted_byte_is_where_it_is_said_to_be(parts, gap, most, first):
    whole = np.random.default_rng(1).integers(0, 256, SIZE + 100, "u1")
    begin, size, head = np.array(parts, np.int64).T
    head = np.minimum(head, size)
    before = ranges._GAP, ranges._MOST
    ranges._GAP, ranges._MOST = gap, most
    try:
        layout = laid_out(begin, begin + size, first)
        requests = layout.requests(begin, begin + head)
        rest = layout.requests(begin + head, begin + size)
    finally:
        ranges._GAP, ranges._MOST = before
    memory = np.full(layout.stop, 300, int)
    for wanted in (requests, rest):
        for low, high, to in wanted:
            assert 0 < high - low <= most
            memory[to : to + high - low] = whole[low:high]
        for at, start, length, part in zip(layout.moved(begin), begin, size, head, strict=True):
            length = length if wanted is rest else part
            np.testing.assert_array_equal(memory[at : at + length], whole[start : start + length])
    assert (memory[:first] == 300).all()
    asked = sum(high - low for low, high, _ in requests)
    assert asked <= head.sum() + gap * len(parts)


def test_neighbours_share_a_request_and_large_ones_are_cut():
    begin = np.arange(10) * 1000
    assert len(laid_out(begin, begin + 900).requests(begin, begin + 900)) == 1
    far = np.arange(10) * (1 << 20)
    assert len(laid_out(far, far + 900).requests(far, far + 900)) == 10
    one = np.array([0])
    assert len(laid_out(one, one + (9 << 20)).requests(one, one + (9 << 20))) == 3


def test_nothing_wanted_is_nothing_asked():
    none = np.empty(0, np.int64)
    layout = laid_out(none, none)
    assert layout.stop == 0
    assert layout.requests(none, none) == []
