"""Transforms move pixels and points alike, whichever way they are computed."""

import itertools
import pickle
import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cxistack.errors import CastError, FrameIndexError, LayoutError
from cxistack.transforms.base import Transform
from cxistack.transforms.fold import fold
from cxistack.transforms.steps import Axis, Bin, FrameView, Pick
from cxistack.transforms.transforms import (
    ComposeTransforms,
    Crop,
    Downscale,
    Mirror,
    transform_of,
)


class Transpose(Transform):
    """A user's transform with nothing but index_array."""

    def index_array(self, ss_idxs, fs_idxs):
        return ss_idxs.T, fs_idxs.T


@dataclass
class Diagonal(Transform):
    """A user's dataclass whose pixels are no regular grid."""

    offset: int

    def index_array(self, ss_idxs, fs_idxs):
        rows = np.arange(min(ss_idxs.shape))[None, :]
        columns = (rows + self.offset) % ss_idxs.shape[1]
        return ss_idxs[rows, columns], fs_idxs[rows, columns]


def stack(shape, dtype=np.int32):
    return np.arange(2 * shape[0] * shape[1]).reshape(2, *shape).astype(dtype)


@st.composite
def crops(draw, shape):
    lowest, clip = draw(st.sampled_from([0, -99])), draw(st.booleans())
    beyond = 2 * clip
    sizes = (shape[0], shape[0], shape[1], shape[1])
    roi = [draw(st.integers(max(lowest, -n - beyond), n + beyond)) for n in sizes]
    assume(np.zeros(shape)[roi[0] : roi[1], roi[2] : roi[3]].size)
    return Crop(roi, clip)


@st.composite
def chains(draw, shape, *, bins=False, users=False, depth=2):
    """Return a transform for frames of `shape` and the shape of its result."""
    kinds = ["stride", "mirror"] + ["bin"] * bins + ["user", "diagonal"] * users
    kinds += ["crop"] * (min(shape) > 0)
    kind = draw(st.sampled_from(kinds + ["compose"] * (2 * (depth > 0))))
    if kind == "compose":
        parts, result = [], shape
        for _ in range(draw(st.integers(2, 3))):
            part, result = draw(chains(result, bins=bins, users=users, depth=depth - 1))
            parts.append(part)
        return ComposeTransforms(parts), result
    if kind == "crop":
        transform = draw(crops(shape))
    elif kind == "stride":
        transform = Downscale(draw(st.integers(1, 3)))
    elif kind == "mirror":
        transform = Mirror(draw(st.integers(0, 1)), shape)
    elif kind == "bin":
        transform = Downscale(draw(st.integers(1, 3)), draw(st.sampled_from(["sum", "mean"])))
    elif kind == "user":
        transform = Transpose()
    else:
        assume(min(shape) > 0)
        transform = Diagonal(draw(st.integers(0, 2)))
    return transform, one_by_one(transform, np.zeros(shape)).shape


def one_by_one(transform, frames):
    """Transform frames as the definition says, without folding anything."""
    if isinstance(transform, ComposeTransforms):
        for part in transform:
            frames = one_by_one(part, frames)
        return frames
    if isinstance(transform, Crop):
        y_min, y_max, x_min, x_max = transform.roi
        return frames[..., y_min:y_max, x_min:x_max]
    if isinstance(transform, Mirror):
        return np.flip(frames, transform.axis - 2)
    if isinstance(transform, Downscale):
        n = transform.scale
        if transform.mode == "stride":
            return frames[..., ::n, ::n]
        rows, columns = (size // n for size in frames.shape[-2:])
        frames = frames[..., : rows * n, : columns * n]
        frames = frames.reshape(*frames.shape[:-2], rows, n, columns, n)
        if frames.dtype == bool:
            return frames.all((-3, -1))
        return frames.sum((-3, -1)) if transform.mode == "sum" else frames.mean((-3, -1))
    rows, columns = np.indices(frames.shape[-2:])
    return frames[(..., *transform.index_array(rows, columns))]


SHAPES = st.tuples(st.integers(0, 9), st.integers(0, 9))
VIEWS = SHAPES.flatmap(lambda shape: chains(shape).map(lambda made: (shape, *made)))
WITH_BINS = SHAPES.flatmap(lambda s: chains(s, bins=True).map(lambda made: (s, *made)))
ANY = SHAPES.flatmap(lambda s: chains(s, bins=True, users=True).map(lambda made: (s, *made)))
WITH_USERS = SHAPES.flatmap(lambda s: chains(s, users=True).map(lambda made: (s, *made)))


@given(ANY, st.sampled_from(["i4", "f8", "?"]))
def test_folded_transforms_do_what_they_do_one_by_one(made, dtype):
    shape, transform, result_shape = made
    frames = stack(shape, dtype)
    expected = one_by_one(transform, frames)
    result = transform.forward(frames)
    assert result.shape[1:] == expected.shape[1:] == result_shape
    np.testing.assert_allclose(result, expected, rtol=1e-14)
    assert not np.may_share_memory(result, frames)


@given(VIEWS)
def test_crops_strides_and_mirrors_are_one_view(made):
    shape, transform, result_shape = made
    steps = fold(transform, shape)
    assert len(steps) <= 1
    assert all(isinstance(step, FrameView) for step in steps)
    assert (steps[0].shape if steps else shape) == result_shape


@given(WITH_BINS)
def test_what_does_not_fold_is_a_short_list(made):
    shape, transform, result_shape = made
    steps = fold(transform, shape)
    for first, second in itertools.pairwise(steps):
        assert isinstance(first, Bin) or isinstance(second, Bin)
    if steps:
        assert steps[-1].shape == result_shape


@given(WITH_USERS, st.booleans())
def test_index_arrays_say_the_same_as_folding(made, dense):
    shape, transform, _ = made
    assume(dense or ("Transpose" not in repr(transform) and "Diagonal" not in repr(transform)))
    rows, columns = transform.index_array(*np.indices(shape, sparse=not dense))
    frames = stack(shape)
    np.testing.assert_array_equal(frames[..., rows, columns], transform.forward(frames))


@given(VIEWS)
def test_points_move_as_pixels_do(made):
    shape, transform, result_shape = made
    assume(0 not in result_shape)
    y, x = np.indices(shape)
    try:
        new_x, new_y = transform.forward_points(transform.forward(x), transform.forward(y))
    except ValueError:
        assert "-" in repr(transform), "only negative bounds have no points"
        return
    rows, columns = np.indices(result_shape)
    np.testing.assert_allclose(new_x, columns, atol=1e-12)
    np.testing.assert_allclose(new_y, rows, atol=1e-12)


@given(WITH_BINS, st.floats(-50, 50), st.floats(-50, 50))
def test_backward_points_undoes_forward_points(made, x, y):
    _, transform, _ = made
    try:
        moved = transform.forward_points(x, y)
    except ValueError:
        return
    np.testing.assert_allclose(transform.backward_points(*moved), (x, y), atol=1e-12)
    there = transform.forward_points(*transform.backward_points(x, y))
    np.testing.assert_allclose(there, (x, y), atol=1e-12)


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_the_point_of_a_bin_is_the_centre_of_its_pixels(mode):
    transform = Downscale(3, mode)
    y, x = np.indices((7, 8))
    means = Downscale(3, "mean")
    x_new, y_new = transform.forward_points(means.forward(x), means.forward(y))
    rows, columns = np.indices((2, 2))
    np.testing.assert_allclose(x_new, columns)
    np.testing.assert_allclose(y_new, rows)


@given(WITH_USERS)
def test_backward_puts_every_pixel_where_it_came_from(made):
    shape, transform, _ = made
    frames = stack(shape)
    out = np.full_like(frames, -1)
    assert transform.backward(transform.forward(frames), out) is out
    kept = np.zeros(shape, bool)
    kept[transform.index_array(*np.indices(shape))] = True
    np.testing.assert_array_equal(out, np.where(kept, frames, -1))


def test_backward_of_a_bin_says_why_it_cannot():
    with pytest.raises(NotImplementedError, match=r"Downscale\(.*it bins"):
        Downscale(2, "sum").backward(np.zeros((2, 2)), np.zeros((4, 4)))
    with pytest.raises(NotImplementedError, match="no index_array"):
        Downscale(2, "mean").index_array(*np.indices((4, 4)))


def test_backward_changes_no_value_silently():
    crop = Crop([0, 1, 0, 2])
    out = np.zeros((2, 3), np.uint8)
    crop.backward([[1.0, 2.0]], out)
    np.testing.assert_array_equal(out[0], [1, 2, 0])
    for frame in ([[300, 0]], [[0.5, 0]], [[np.nan, 0]], [[-1, 0]]):
        with pytest.raises(CastError, match="uint8"):
            crop.backward(frame, out)
    np.testing.assert_array_equal(out[0], [1, 2, 0])
    with pytest.raises(LayoutError, match=r"shape \(1, 3\)"):
        crop.backward(np.zeros((1, 3)), out)
    with pytest.raises(TypeError, match="NumPy array"):
        crop.backward([[1, 2]], [[0, 0, 0]])


def test_folding_costs_the_same_for_a_tiny_and_a_huge_frame():
    side = 2**20
    transform = ComposeTransforms(
        [Crop([10, side - 10, 3, side]), Downscale(2), Downscale(4, "sum"), Crop([5, 9, 0, 3])]
    )
    tracemalloc.start()
    steps = fold(transform, (side, side))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000
    assert steps == (
        FrameView(Axis(50, 2, 16), Axis(3, 2, 12)),
        Bin(4, "sum", (4, 3)),
    )


def test_a_crop_behind_a_bin_is_a_crop_before_it():
    inner = FrameView(Axis(1, -1, 2), Axis(0, 1, 3))
    chain = ComposeTransforms(
        [Downscale(2, "mean"), Crop([3, 5, 1, 4]), Mirror(0, (2, 3))],
    )
    assert fold(chain, (20, 20)) == (
        FrameView(Axis(6, 1, 4), Axis(2, 1, 6)),
        Bin(2, "mean", (2, 3)),
        inner,
    )


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("roi", [[5, 2, 0, 3], [8, 20, 0, 3], [0, 0, 0, 0], [-1, 0, 2, 2]])
def test_a_crop_that_leaves_nothing_is_refused_in_every_way(roi, clip):
    empty, frames = Crop(roi, clip), stack((6, 5))
    assert not frames[..., roi[0] : roi[1], roi[2] : roi[3]].size
    for chain in (empty, ComposeTransforms([empty, Downscale(2)])):
        for use in (
            lambda chain=chain: chain.forward(frames),
            lambda chain=chain: chain.backward(np.zeros((2, 0, 3)), frames.copy()),
            lambda chain=chain: chain.index_array(*np.ogrid[:6, :5]),
            lambda chain=chain: fold(chain, (6, 5)),
        ):
            with pytest.raises(LayoutError, match=r"leaves no pixel|none is left"):
                use()


def test_nothing_stays_nothing_through_a_chain():
    frames = stack((0, 5))
    chain = ComposeTransforms([Downscale(2), Mirror(0, (0, 3)), Mirror(1, (0, 3))])
    assert chain.forward(frames).shape == (2, 0, 3)
    rows, columns = chain.index_array(*np.ogrid[:0, :5])
    assert frames[..., rows, columns].size == 0


@pytest.mark.parametrize(
    ("roi", "what"),
    [
        ([0, 600, 0, 8], "rows 0 to 600 of 6"),
        ([0, 6, 0, 9], "columns 0 to 9 of 8"),
        ([-7, 6, 0, 8], "rows -7 to 6 of 6"),
        ([0, 6, 2, -9], "columns 2 to -9 of 8"),
    ],
)
def test_a_crop_that_leaves_the_frame_is_told_of_and_cut_only_as_asked_for(roi, what):
    frames = stack((6, 8))
    with pytest.raises(LayoutError, match=f"leaves the frame: {what}"):
        Crop(roi).forward(frames)
    with pytest.raises(LayoutError, match="leaves the frame"):
        Crop(roi).index_array(*np.indices((6, 8)))
    expected = frames[..., roi[0] : roi[1], roi[2] : roi[3]]
    if expected.size:
        np.testing.assert_array_equal(Crop(roi, clip=True).forward(frames), expected)
    assert Crop(roi, clip=True) != Crop(roi)


def test_clip_is_true_or_false():
    with pytest.raises(TypeError, match="clip must be True or False, not 8"):
        Crop([0, 6, 0, 8], 8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Crop, "not the class Crop"),
        ("data", "not str 'data'"),
        (3, "not int 3"),
        ({"roi": [0, 1, 0, 1]}, "not dict"),
        (np.zeros(4), "not ndarray"),
        ([Downscale(2), None], "not NoneType None"),
        ([Crop], "not the class Crop"),
    ],
)
def test_what_is_no_transform_is_named(given, message):
    with pytest.raises(TypeError, match=f"takes a Transform or a list of them, {message}"):
        transform_of(given)


def test_a_list_of_transforms_is_one_after_another():
    crop, stride, own = Crop([0, 4, 1, 5]), Downscale(2), Transpose()
    assert transform_of(None) is None
    assert transform_of([]) is None
    assert transform_of(own) is own
    assert transform_of([crop]) is crop
    assert transform_of((crop, stride)) == ComposeTransforms([crop, stride])
    both = ComposeTransforms([crop, stride])
    assert transform_of(both) is both


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (Crop([0, 1, 0, 1]), TypeError, r"write ComposeTransforms\(\[Crop\(roi"),
        ([Crop([0, 1, 0, 1])], ValueError, r"two or more .*: write Crop\(roi=.* by itself"),
        ([Crop([0, 1, 0, 1]), 3], TypeError, "list of transforms, not int 3"),
        ([Crop, Downscale(2)], TypeError, "not the class Crop"),
    ],
)
def test_a_composition_says_what_to_write(given, error, message):
    with pytest.raises(error, match=message):
        ComposeTransforms(given)


def test_crop_with_negative_bounds_cannot_map_points():
    with pytest.raises(ValueError, match="counts from the end"):
        Crop([-3, 4, 0, 4]).forward_points(0, 0)
    assert Crop([1, -1, 2, -1]).forward_points(5, 5) == (3, 4)


def test_points_of_unsigned_and_narrow_integers_do_not_wrap():
    x, y = Crop([9, 20, 9, 20]).forward_points(np.uint8([3]), np.uint64([2]))
    assert (x, y) == ([-6], [-7])
    assert Downscale(100).backward_points(np.int8(100), np.int8(1)) == (10000, 100)
    x, y = Mirror(1, (4, 5)).forward_points([0, 1.5], [0, 1])
    np.testing.assert_array_equal(x, [4, 2.5])
    np.testing.assert_array_equal(y, [0, 1])


def test_mirror_meets_only_frames_of_its_shape():
    mirror = Mirror(0, (4, 5))
    with pytest.raises(
        LayoutError, match=r"Mirror\(axis=0, shape=\(4, 5\)\) is applied .*\(5, 5\)"
    ):
        mirror.forward(np.zeros((5, 5)))
    with pytest.raises(LayoutError):
        mirror.index_array(*np.indices((5, 5)))
    with pytest.raises(LayoutError):
        ComposeTransforms([Crop([0, 3, 0, 5]), mirror]).forward(np.zeros((4, 5)))


def test_frames_of_any_rank_are_transformed_and_arrays_of_no_frame_refused():
    modules = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(Crop([1, 3, 0, 2]).forward(modules), modules[..., 1:3, :2])
    assert Crop([0, 1, 0, 1]).forward([[7, 8]]).tolist() == [[7]]
    with pytest.raises(LayoutError, match="slow and a fast axis"):
        Crop([0, 1, 0, 1]).forward(np.zeros(4))


def test_a_transform_of_ones_own_needs_only_index_array():
    assert fold(Transpose(), (3, 3)) == (Pick(np.arange(3)[None, :], np.arange(3)[:, None]),)
    with pytest.raises(NotImplementedError, match=r"Transpose .* no forward_points"):
        Transpose().forward_points(0, 0)
    with pytest.raises(NotImplementedError, match="no backward_points"):
        ComposeTransforms([Crop([0, 1, 0, 1]), Transpose()]).backward_points(0, 0)
    assert Transpose() == Transpose()
    assert hash(Transpose()) == hash(Transpose())
    assert Diagonal(1).replace(offset=2) == Diagonal(2)


def test_a_regular_transform_of_ones_own_is_a_view():
    class Every3rd(Transform):
        def index_array(self, ss_idxs, fs_idxs):
            return ss_idxs[::-3, 1::3], fs_idxs[::-3, 1::3]

    assert fold(Every3rd(), (7, 7)) == (FrameView(Axis(6, -3, 3), Axis(1, 3, 2)),)


def test_the_index_array_of_a_subclass_counts():
    class Odd(Crop):
        def index_array(self, ss_idxs, fs_idxs):
            return ss_idxs[1::2], fs_idxs[1::2]

    frames = stack((5, 4))
    np.testing.assert_array_equal(Odd([0, 1, 0, 1]).forward(frames), frames[:, 1::2])


def test_wrong_index_arrays_of_ones_own_raise():
    class Beyond(Transform):
        def index_array(self, ss_idxs, fs_idxs):
            return ss_idxs + 1, fs_idxs

    class Flat(Transform):
        def index_array(self, ss_idxs, fs_idxs):
            return ss_idxs.ravel(), fs_idxs.ravel()

    with pytest.raises(FrameIndexError, match="index 4 is out of bounds for the slow axis"):
        Beyond().forward(np.zeros((4, 4)))
    with pytest.raises(LayoutError, match=r"Flat\.index_array must return"):
        Flat().forward(np.zeros((4, 4)))


EXAMPLES = [
    Crop([1, 2, 3, 4]),
    Crop([1, 2, 3, 4], clip=True),
    Downscale(2),
    Downscale(2, mode="sum"),
    Mirror(0, (4, 5)),
    ComposeTransforms([Crop(np.array([1, 2, 3, 4])), Downscale(3)]),
]


@pytest.mark.parametrize("transform", EXAMPLES, ids=repr)
def test_transforms_are_values(transform):
    same = transform.replace()
    assert same == transform
    assert hash(same) == hash(transform)
    assert repr(same) == repr(transform)
    assert pickle.loads(pickle.dumps(transform)) == transform
    assert [other for other in EXAMPLES if other == transform] == [transform]
    assert eval(repr(transform)) == transform
    assert type(transform)(**dict(transform)) == transform
    assert transform.contents() == transform.keys()
    assert transform.get(transform.keys()[0]) == transform.values()[0]
    assert transform.get("colour", 3) == 3


def test_a_composition_is_a_sequence_of_its_transforms():
    crop, downscale = Crop((1, 2, 3, 4)), Downscale(2)
    both = ComposeTransforms([crop, downscale])
    assert list(both) == [crop, downscale]
    assert both[-1] == downscale
    assert list(both[:1]) == [crop]
    assert len(both) == 2
    assert both["transforms"] == (crop, downscale)
    with pytest.raises(ValueError, match="two or more"):
        ComposeTransforms([crop])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Crop([1, 2, 3]), "y_min, y_max"),
        (lambda: Downscale(0), "1 or more"),
        (lambda: Downscale(2, "median"), "'median'"),
        (lambda: Mirror(2, (3, 4)), "axis"),
        (lambda: Mirror(0, (3,)), "shape"),
        (lambda: Crop([0, 1, 0, 1]).index_array([0, 1], [0, 1]), "two dimensions"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class TestDownscaleThatBins:
    def test_cannot_be_undone(self):
        with pytest.raises(NotImplementedError, match="bin"):
            Downscale(2, mode="sum").backward(np.ones((2, 2)), np.zeros((4, 4)))

    def test_maps_points_to_the_centres_of_squares(self):
        x, y = Downscale(4, mode="mean").forward_points(1.5, 5.5)
        assert (x, y) == (0, 1)
        assert Downscale(4, mode="mean").backward_points(0, 1) == (1.5, 5.5)
