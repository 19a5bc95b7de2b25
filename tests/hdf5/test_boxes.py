"""Which pixel of a virtual dataset comes from where: arithmetic alone, without a file."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack.hdf5.boxes import cut, meet
from cxistack.hdf5.stored import Assembly, Piece, nested
from cxistack.hdf5.virtual_mappings import UNLIMITED, Slab, boxes, slabs
from cxistack.loading.assembled import gaps
from cxistack.transforms.steps import Axis

UP = st.builds(Axis, st.integers(0, 9), st.integers(1, 5), st.integers(0, 9))
ANY = st.one_of(UP, UP.map(lambda axis: axis.then(Axis(max(axis.count - 1, 0), -1, axis.count))))
SLABS = st.builds(Slab, st.integers(0, 3), st.integers(3, 6), st.integers(1, 4), st.integers(1, 3))


@given(one=ANY, other=ANY)
def test_two_axes_meet_where_their_indices_are_the_same(one, other):
    mine, theirs = list(one.indices()), list(other.indices())
    common = [index for index in mine if index in theirs]
    both = meet(one, other)
    if both is None:
        assert common == []
        return
    assert [mine[k] for k in both[0].indices()] == common
    assert [theirs[k] for k in both[1].indices()] == common


@given(target=st.tuples(UP, UP), wanted=st.tuples(ANY, ANY), turned=st.booleans())
def test_a_cut_takes_the_wanted_pixels_to_their_places(target, wanted, turned):
    pixels = np.arange(60 * 60).reshape(60, 60)
    whole = np.full((60, 60), -1)
    region = np.ix_(*(axis.indices() for axis in target))
    whole[region] = pixels[: target[0].count, : target[1].count]
    source = tuple(Axis(0, 1, axis.count) for axis in target)
    if turned:
        source = tuple(axis.then(Axis(max(axis.count - 1, 0), -1, axis.count)) for axis in source)
        whole[region] = pixels[np.ix_(*(axis.indices() for axis in source))]
    expected = whole[np.ix_(*(axis.indices() for axis in wanted))]
    result = np.full(expected.shape, -1)
    found = cut(target, source, wanted)
    if found is not None:
        places, taken = (np.ix_(*(axis.indices() for axis in box)) for box in found)
        result[places] = pixels[taken]
    np.testing.assert_array_equal(result, expected)


def indices(slab):
    return (
        slab.start + slab.stride * np.arange(slab.blocks)[:, None] + np.arange(slab.width)
    ).ravel()


@given(target=SLABS, source=SLABS)
def test_slabs_become_progressions_in_the_same_order(target, source):
    here, there = indices(target), indices(source)
    found = boxes([target], [source], (60,), (60,))
    if len(here) != len(there):
        assert found is None
    elif found is None:
        assert target.width != source.width
    else:
        order = [
            (int(a), int(b))
            for (mine,), (theirs,) in found
            for a, b in zip(mine.indices(), theirs.indices(), strict=True)
        ]
        assert sorted(order) == sorted(zip(here.tolist(), there.tolist(), strict=True))
        assert len(found) <= min(max(target.blocks, source.blocks), max(target.width, source.width))


def test_what_has_no_end_goes_as_far_as_both_have_pixels():
    endless = Slab(1, 2, UNLIMITED, 1)
    ((mine,), (theirs,)) = boxes([endless], [Slab(0, 1, 1, UNLIMITED)], (10,), (3,))[0]
    assert (mine, theirs) == (Axis(1, 2, 3), Axis(0, 1, 3))
    assert boxes([endless], [Slab(0, 1, 1, UNLIMITED)], (10,), (0,)) == []
    assert boxes([endless], [Slab(0, 1, 1, 3)], (10,), (3,)) is None


def test_selections_that_are_no_slabs_are_told_from_others():
    space = h5py.h5s.create_simple((4, 6))
    assert slabs(space, (4, 6)) == (Slab(0, 1, 1, 4), Slab(0, 1, 1, 6))
    space.select_hyperslab((0, 1), (2, 1), (2, 1), (1, 3))
    assert slabs(space, (4, 6)) == (Slab(0, 2, 2, 1), Slab(1, 1, 1, 3))
    space.select_hyperslab((3, 0), (1, 1), op=h5py.h5s.SELECT_OR)
    assert slabs(space, (4, 6)) is None
    space.select_elements([(0, 0), (1, 1)])
    assert slabs(space, (4, 6)) is None


def assembly(boxes, shape):
    pieces = [Piece(None, box, box) for box in boxes]
    return Assembly.of(pieces, shape, np.zeros((), "u2"))


@given(
    st.lists(st.tuples(UP, UP, UP).filter(lambda box: all(axis.count for axis in box)), max_size=6)
)
def test_overlaps_and_gaps_are_noticed(boxes):
    seen = np.zeros((50, 50, 50), np.uint8)
    for box in boxes:
        seen[np.ix_(*(axis.indices() for axis in box))] += 1
    whole = assembly(boxes, seen.shape)
    assert whole.overlaps == (seen > 1).any()
    assert not whole.is_complete
    rest = [
        tuple(Axis(int(k), 1, 1) for k in pixel) for pixel in np.argwhere(seen[:3, :3, :3] == 0)
    ]
    small = [box for box in boxes if all(axis.bounds[1] <= 3 for axis in box)]
    corner = assembly([*small, *rest], (3, 3, 3))
    seen = np.zeros((3, 3, 3), int)
    for box in (*small, *rest):
        seen[np.ix_(*(axis.indices() for axis in box))] += 1
    assert corner.is_complete == bool((seen == 1).all())


def test_many_pieces_take_time_in_proportion():
    # interleaved, in a row, and modules of sequences that end at different frames
    full = Axis(0, 1, 4)
    rows = [(Axis(4 * k, 1, 4), full, full) for k in range(20_000)]
    assert assembly(rows, (80_000, 4, 4)).is_complete
    modules = [
        (
            Axis(100 * k + 3 * m * (k > 0), 1, 100 + 3 * m * ((k == 0) - (k == 99))),
            Axis(m, 1, 1),
            full,
        )
        for k in range(100)
        for m in range(16)
    ]
    assert assembly(modules, (10_000, 16, 4)).is_complete
    turns = [(Axis(k, 500, 100), full, full) for k in range(500)]
    assert assembly(turns, (50_000, 4, 4)).is_complete
    assert assembly([*rows, rows[5]], (80_000, 4, 4)).overlaps


def test_pieces_of_pieces_are_pieces_of_the_innermost():
    inner = assembly([(Axis(0, 1, 3), Axis(0, 1, 4)), (Axis(3, 1, 3), Axis(0, 1, 4))], (6, 4))
    outer = Piece(None, (Axis(10, 1, 4), Axis(0, 2, 2)), (Axis(1, 1, 4), Axis(1, 2, 2)))
    found = [(piece.target, piece.source) for piece in nested(outer, inner)]
    assert found == [
        ((Axis(10, 1, 2), Axis(0, 2, 2)), (Axis(1, 1, 2), Axis(1, 2, 2))),
        ((Axis(12, 1, 2), Axis(0, 2, 2)), (Axis(3, 1, 2), Axis(1, 2, 2))),
    ]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_an_axis_of_one_pixel_goes_with_any(rank):
    one = Slab(2, 1, 1, 1)
    many = Slab(0, 1, 1, 5)
    ((target, source),) = boxes([one, many], [many] + [one] * rank, (9, 9), (9,) * (rank + 1))
    assert target == (Axis(2, 1, 1), Axis(0, 1, 5))
    assert source == (Axis(0, 1, 5),) + (Axis(2, 1, 1),) * rank


SPANS = st.tuples(st.integers(0, 7), st.integers(1, 4)).map(lambda a: (a[0], min(8, a[0] + a[1])))


@given(st.lists(st.tuples(SPANS, SPANS, SPANS), max_size=5))
def test_gaps_are_what_is_left_each_pixel_once(boxes):
    seen = np.zeros((8, 8, 8), int)
    for box in boxes:
        seen[tuple(slice(*span) for span in box)] = 1
    for box in gaps(boxes, seen.shape):
        seen[tuple(slice(*span) for span in box)] += 1
    assert (seen == 1).all()
