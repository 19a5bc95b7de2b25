"""Any mixture of indices means what NumPy means by it, of plain and of transformed frames."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack import Crop, CXIStore, Downscale, Mirror
from cxistack.store import picking
from cxistack.transforms.points import Points, Slices
from cxistack.transforms.steps import Axis
from factory import BASIS, DATA, MASK, TRANSLATIONS, WHITEFIELD, frames, good_mask, many_files, put

COUNT, SHAPE = 6, (5, 7)
WHOLE = frames(COUNT, SHAPE)
TRANSFORMS = {
    "none": None,
    "crop": Crop([1, 4, 2, 7]),
    "stride and mirror": [Downscale(2), Mirror(1, (3, 4))],
    "sum": [Crop([0, 4, 1, 7]), Downscale(2, mode="sum")],
    "mean": Downscale(2, mode="mean"),
    "points": Points(np.array([0, 4, 2, 2]), np.array([6, 0, 3, 3])),
}


@pytest.fixture(scope="module")
def lazies(tmp_path_factory):
    store = CXIStore(many_files(tmp_path_factory.mktemp("run"), [WHOLE[:4], WHOLE[4:]]))
    pairs = {}
    for name, transform in TRANSFORMS.items():
        lazy = store["data"] if transform is None else store["data"].transform(transform)
        pairs[name] = (lazy, store.load_attribute("data", transform=transform))
    modules = np.arange(4 * 3 * 5 * 6, dtype="uint16").reshape(4, 3, 5, 6)
    extra = put(tmp_path_factory.mktemp("more") / "a.cxi", {DATA: modules, WHITEFIELD: WHOLE[0]})
    more = CXIStore(extra)
    pairs["modules"] = (more["data"], modules)
    pairs["frame"] = (more["whitefield"], WHOLE[0].astype("float64"))
    return pairs


@st.composite
def keys(draw, size):
    """Draw an index of one axis."""
    integers = st.integers(-size, size - 1) if size else st.nothing()
    kinds = [
        st.slices(size),
        st.just(slice(None)),
        st.lists(integers, max_size=4),
        st.lists(st.booleans(), min_size=size, max_size=size).map(lambda b: np.array(b, bool)),
    ]
    if size:
        kinds += [
            integers,
            integers.map(np.int16),
            integers.map(np.array),
            st.tuples(integers, integers).map(lambda two: np.array(two)[:, None]),
            st.lists(integers, min_size=2, max_size=2).map(np.array),
        ]
    return draw(st.one_of(kinds))


@st.composite
def indices(draw, shape):
    """Draw an index of an array: of all axes, of the first, with an ellipsis or a wide mask."""
    full = [draw(keys(size)) for size in shape]
    how = draw(st.sampled_from(["full", "first", "dots", "mask", "one"]))
    if how == "first":
        return tuple(full[: draw(st.integers(0, len(full)))])
    if how == "dots":
        at, gone = draw(st.integers(0, len(full))), draw(st.integers(0, len(full)))
        return (*full[:at], ..., *full[at + gone :])
    if how == "mask":
        first = draw(st.integers(0, len(shape) - 2))
        last = draw(st.integers(first + 2, len(shape)))
        seed = draw(st.integers(0, 99))
        mask = np.random.default_rng(seed).random(shape[first:last]) < draw(st.floats(0, 1))
        return (*full[:first], mask, *full[last:])
    return full[0] if how == "one" and not isinstance(full[0], list) else tuple(full)


@pytest.mark.parametrize("name", [*TRANSFORMS, "modules", "frame"])
@given(data=st.data(), few=st.sampled_from([0, 1 << 22]))
def test_a_mixture_of_indices_is_numpys(lazies, name, data, few):
    lazy, array = lazies[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picking, "_FEW", few)  # of so few pixels, points are not picked by a load
        check_an_index(lazy, array, data)


def check_an_index(lazy, array, data):
    index = data.draw(indices(array.shape))
    try:
        expected = array[index]
    except (IndexError, ValueError):
        with pytest.raises(IndexError):
            lazy[index]
        return
    got = lazy[index]
    assert np.shape(got) == expected.shape
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


def test_true_and_false_add_an_axis_as_in_numpy(lazies):
    lazy, array = lazies["none"]
    for key in (True, False, np.bool_(True), (2, True), (..., np.array(False))):
        np.testing.assert_array_equal(lazy[key], array[key])


def test_a_mask_of_pixels_reads_these_pixels_only(tmp_path):
    huge = put(tmp_path / "huge.h5", {})
    with h5py.File(huge, "r+") as h5:
        h5.create_dataset(DATA, (1000, 5000, 5000), "u2", chunks=(1, 100, 100), fillvalue=3)
    some = np.zeros((5000, 5000), bool)
    some[[7, 4000], [3, 4]] = True
    data = CXIStore(huge)["data"]
    np.testing.assert_array_equal(data[:, some], np.full((1000, 2), 3))


def test_what_has_no_pixels_is_indexed_alike(tmp_path):
    rows, vectors = np.arange(12.0).reshape(4, 3), np.arange(24.0).reshape(4, 2, 3)
    values = {
        DATA: frames(4),
        TRANSLATIONS: rows,
        BASIS: vectors,
        MASK: good_mask((5, 7), [(1, 2)]),
    }
    store = CXIStore(put(tmp_path / "a.cxi", values))
    for attr, array in [("translations", rows), ("basis_vectors", vectors)]:
        for key in (2, [3, 0, 0], (slice(None, None, -1), 1), (..., [2, 0]), array > 7):
            np.testing.assert_array_equal(store[attr][key], array[key])
    mask = np.broadcast_to(values[MASK], (4, 5, 7))
    for key in (1, (slice(None), 1), ([0, 3], 1, [2, 4]), mask):
        np.testing.assert_array_equal(store["mask"][key], mask[key])


def test_slices_and_points_move_pixels_as_numpy_does():
    frame = np.arange(35).reshape(SHAPE)
    for transform, key in [
        (Slices(Axis(3, -1, 3), None), np.s_[3:0:-1]),
        (Slices(None, Axis(1, 3, 2)), np.s_[:, 1:5:3]),
        (Points(np.array([4, 0]), np.array([1, 6])), ([[4, 0]], [[1, 6]])),
    ]:
        np.testing.assert_array_equal(transform.forward(frame), frame[key])
        open_grid = np.ogrid[:5, :7]
        picked = np.broadcast_arrays(*transform.index_array(*open_grid))
        np.testing.assert_array_equal(frame[tuple(picked)], frame[key])


@pytest.mark.parametrize(
    "key",
    [
        np.s_[:2, [0, 1], ..., 2],
        np.s_[[0, 1], ..., [2, 3], :],
        np.s_[[0, 1], ..., [2, 3], [1, 1]],
        np.s_[..., [0, 1], 2],
        np.s_[0, [0, 1], 2, ...],
    ],
    ids=repr,
)
def test_an_ellipsis_of_no_axis_means_what_it_means_to_numpy(tmp_path, key):
    cube = frames(4, (4, 4))
    lazy = CXIStore(put(tmp_path / "a.cxi", {DATA: cube}))["data"]
    np.testing.assert_array_equal(lazy[key], cube[key], strict=True)
