"""Which pixels of frames a load gives: those of transforms, index arrays and bins."""

import numpy as np
import pytest

import factory
from cxistack import (
    CastError,
    ComposeTransforms,
    Crop,
    CXIError,
    CXIStore,
    Downscale,
    FrameIndexError,
    LayoutError,
    Mirror,
    Transform,
)
from factory import BASIS, DATA, DISTANCE, MASK, TRANSLATIONS, WHITEFIELD, frames, good_mask, put

SHAPE = (9, 11)


def binned(array, n):
    """Return whole n x n squares of the last two axes as one more axis, at the end."""
    rows, columns = array.shape[-2] // n, array.shape[-1] // n
    array = array[..., : rows * n, : columns * n]
    array = array.reshape(*array.shape[:-2], rows, n, columns, n)
    return np.moveaxis(array, -3, -2).reshape(*array.shape[:-4], rows, columns, n * n)


@pytest.fixture
def values():
    return {
        DATA: frames(4, SHAPE, "int32"),
        MASK: good_mask((4, *SHAPE), [(0, 1, 1), (2, 8, 10), (3, 3, 4)]),
        WHITEFIELD: frames(1, SHAPE, "float32")[0] / 3,
        "/speckle_tracking/whitefields": frames(4, SHAPE, "float64") / 7,
        "/speckle_tracking/pixel_map": frames(2, SHAPE, "float64"),
        TRANSLATIONS: np.arange(12.0).reshape(4, 3),
        BASIS: np.arange(24.0).reshape(4, 2, 3),
        DISTANCE: np.eye(3),
        "/speckle_tracking/reference_image": np.ones(SHAPE),
    }


@pytest.fixture
def store(tmp_path, values):
    return CXIStore(put(tmp_path / "run.cxi", values))


class Diagonal(Transform):
    """A user's transform with nothing but index_array."""

    def index_array(self, ss_idxs, fs_idxs):
        rows = np.arange(min(ss_idxs.shape))[None]
        return ss_idxs[rows, rows], fs_idxs[rows, rows]


TRANSFORMS = {
    "crop": (Crop([2, 8, 1, 6]), np.s_[..., 2:8, 1:6]),
    "stride": (Downscale(3), np.s_[..., ::3, ::3]),
    "mirror rows": (Mirror(0, SHAPE), np.s_[..., ::-1, :]),
    "mirror columns": (Mirror(1, SHAPE), np.s_[..., ::-1]),
    "crop, stride, mirror": (
        ComposeTransforms([Crop([1, 8, 2, 10]), Downscale(2), Mirror(1, (4, 4))]),
        np.s_[..., 1:8:2, 8:1:-2],
    ),
    "mirror, stride": (
        ComposeTransforms([Mirror(0, SHAPE), Downscale(2)]), np.s_[..., ::-2, ::2]
    ),
    "mirror twice": (ComposeTransforms([Mirror(0, SHAPE), Mirror(0, SHAPE)]), np.s_[...]),
    "cut to the frame": (Crop([3, 99, 7, 99], clip=True), np.s_[..., 3:, 7:]),
    "a user's own": (Diagonal(), np.s_[..., [list(range(9))], [list(range(9))]]),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("dtype", [None, "float32"])
def test_frames_and_stacks_are_transformed(store, values, name, dtype):
    transform, index = TRANSFORMS[name]
    for attr, path in [
        ("data", DATA),
        ("whitefield", WHITEFIELD),
        ("whitefields", "/speckle_tracking/whitefields"),
        ("pixel_map", "/speckle_tracking/pixel_map"),
    ]:
        loaded = store.load_attribute(attr, transform=transform, dtype=dtype)
        expected = values[path][index]
        np.testing.assert_array_equal(loaded, expected.astype(dtype or expected.dtype))
    loaded = store.load_attribute("mask", [3, 0], transform=transform)
    np.testing.assert_array_equal(loaded, values[MASK][[3, 0]][index], strict=True)


def test_a_list_of_transforms_is_one_after_another(store, values):
    loaded = store.load_attribute("data", transform=[Crop([1, 8, 2, 10]), Downscale(2)])
    np.testing.assert_array_equal(loaded, values[DATA][..., 1:8:2, 2:10:2])
    with pytest.raises(TypeError, match="transform= takes a Transform or a list of them, not int"):
        store.load_attribute("data", transform=3)


def test_pixels_of_an_empty_slice_are_none(store, values):
    for attr, path in [("data", DATA), ("whitefield", WHITEFIELD)]:
        loaded = store.load_attribute(attr, ss_idxs=slice(3, 3))
        np.testing.assert_array_equal(loaded, values[path][..., 3:3, :])


@pytest.mark.parametrize("roi", [[0, 600, 0, 11], [3, 3, 0, 11], [40, 50, 0, 11]])
def test_a_crop_with_pixels_that_are_not_there_loads_nothing(store, roi):
    with pytest.raises(LayoutError, match=r"Crop\(.*leaves (the frame|no pixel)"):
        store.load_attribute("data", transform=Crop(roi))
    with pytest.raises(LayoutError, match="leaves"):
        store.describe("whitefield", transform=[Crop(roi), Downscale(2)])


@pytest.mark.parametrize("attr", ["translations", "basis_vectors", "distance", "reference_image"])
def test_sequences_and_scalars_are_not_transformed(store, attr):
    plain = store.load_attribute(attr)
    np.testing.assert_array_equal(store.load_attribute(attr, transform=Crop([0, 1, 0, 1])), plain)


def test_a_static_mask_is_transformed_once(tmp_path):
    mask = good_mask(SHAPE, [(3, 4)])
    store = CXIStore(put(tmp_path / "run.cxi", {DATA: frames(5, SHAPE), MASK: mask}))
    loaded = store.load_attribute("mask", transform=Crop([2, 6, 3, 9]))
    np.testing.assert_array_equal(loaded, np.broadcast_to(mask[2:6, 3:9], (5, 4, 6)))
    assert loaded.strides[0] == 0


def test_a_mirror_of_another_shape_raises(store):
    with pytest.raises(LayoutError, match=r"\(9, 11\)"):
        store.load_attribute("data", transform=Mirror(0, (5, 5)))


class TestDownscaleThatBins:
    @pytest.mark.parametrize("n", [1, 2, 3, 4, 10, 12])
    def test_sum_applies_to_data_and_whitefields(self, store, values, n):
        transform = Downscale(n, mode="sum")
        for attr, path in [
            ("data", DATA),
            ("whitefield", WHITEFIELD),
            ("whitefields", "/speckle_tracking/whitefields"),
        ]:
            loaded = store.load_attribute(attr, transform=transform)
            expected = binned(values[path].astype("float64"), n).sum(-1)
            np.testing.assert_allclose(loaded, expected, rtol=1e-12)
            assert loaded.shape == expected.shape

    @pytest.mark.parametrize("mode", ["sum", "mean"])
    def test_all_else_takes_the_mean(self, store, values, mode):
        loaded = store.load_attribute("pixel_map", transform=Downscale(2, mode=mode))
        expected = binned(values["/speckle_tracking/pixel_map"], 2).mean(-1)
        np.testing.assert_allclose(loaded, expected, rtol=1e-12)
        assert loaded.dtype == np.float64

    @pytest.mark.parametrize("mode", ["sum", "mean"])
    def test_a_mask_is_good_only_where_all_pixels_are(self, store, values, mode):
        loaded = store.load_attribute("mask", transform=Downscale(2, mode=mode))
        np.testing.assert_array_equal(loaded, binned(values[MASK], 2).all(-1), strict=True)
        assert not loaded[3, 1, 2]

    @pytest.mark.parametrize(("stored", "total"), [
        ("uint8", "uint64"), ("uint32", "uint64"), ("int32", "uint64"), ("int8", "uint64"),
    ])  # fmt: skip
    def test_sums_of_integers_are_wide(self, tmp_path, stored, total):
        top = np.iinfo(stored).max
        store = CXIStore(put(tmp_path / "a.h5", {DATA: np.full((1, 4, 4), top, stored)}))
        loaded = store.load_attribute("data", transform=Downscale(4, mode="sum"))
        np.testing.assert_array_equal(loaded, np.array([[[16 * top]]], total), strict=True)

    def test_sums_of_signed_data_are_int64(self, tmp_path):
        store = CXIStore(put(tmp_path / "a.h5", {DATA: np.full((1, 4, 4), -5, "int16")}))
        loaded = store.load_attribute("data", transform=Downscale(2, mode="sum"), dtype="int64")
        np.testing.assert_array_equal(loaded, np.full((1, 2, 2), -20), strict=True)

    def test_a_small_dtype_holds_the_sum_or_raises(self, tmp_path):
        store = CXIStore(put(tmp_path / "a.h5", {DATA: np.full((1, 4, 4), 60, "uint8")}))
        two, four = Downscale(2, mode="sum"), Downscale(4, mode="sum")
        assert (store.load_attribute("data", transform=two, dtype="uint8") == 240).all()
        with pytest.raises(ValueError, match="uint8"):
            store.load_attribute("data", transform=four, dtype="uint8")

    @pytest.mark.parametrize("stored", ["uint8", "int32", "float32"])
    def test_means_are_float64(self, tmp_path, stored):
        values = frames(2, SHAPE, stored)
        store = CXIStore(put(tmp_path / "a.h5", {DATA: values}))
        mean = Downscale(3, mode="mean")
        loaded = store.load_attribute("data", transform=mean, dtype="float64")
        np.testing.assert_allclose(loaded, binned(values.astype(float), 3).mean(-1), rtol=1e-12)

    def test_composes_with_views_before_and_after(self, store, values):
        transform = ComposeTransforms(
            [Crop([1, 9, 0, 11]), Downscale(2, mode="sum"), Mirror(1, (4, 5)), Crop([0, 3, 1, 5])]
        )
        loaded = store.load_attribute("data", [2, 2, 0], transform=transform)
        expected = binned(values[DATA][[2, 2, 0], 1:9], 2).sum(-1)[..., ::-1][..., :3, 1:]
        np.testing.assert_array_equal(loaded, expected)


@pytest.mark.parametrize("name", [name for name in TRANSFORMS if name != "a user's own"])
def test_points_move_as_pixels_do(store, values, name):
    transform, _ = TRANSFORMS[name]
    loaded = store.load_attribute("data", [0], transform=transform)[0]
    rows, columns = np.indices(loaded.shape)
    x, y = transform.backward_points(columns, rows)
    np.testing.assert_array_equal(loaded, values[DATA][0][y.astype(int), x.astype(int)])
    back = transform.forward_points(x, y)
    np.testing.assert_array_equal(back, (columns, rows))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_index_arrays_load_what_the_transform_loads(store, name):
    transform, _ = TRANSFORMS[name]
    ss_idxs, fs_idxs = transform.index_array(*np.indices(SHAPE))
    by_index = store.load_attribute("data", [1, 3], ss_idxs=ss_idxs, fs_idxs=fs_idxs)
    np.testing.assert_array_equal(
        by_index, store.load_attribute("data", [1, 3], transform=transform), strict=True
    )


def test_a_transform_applies_to_several_files(tmp_path):
    parts = [frames(2, SHAPE), frames(3, SHAPE, start=500)]
    store = CXIStore(factory.many_files(tmp_path, parts))
    loaded = store.load_attribute("data", [-1, 0], transform=Downscale(2, mode="sum"))
    expected = binned(np.concatenate(parts)[[-1, 0]].astype("uint64"), 2).sum(-1)
    np.testing.assert_array_equal(loaded, expected, strict=True)


class TestIndexArrays:
    @pytest.fixture
    def parts(self):
        return [frames(count, start=1000 * n) for n, count in enumerate((3, 1, 4))]

    @pytest.fixture
    def run(self, tmp_path, parts):
        return CXIStore(factory.many_files(tmp_path, parts))

    @pytest.mark.parametrize(("ss", "fs"), [
        (1, slice(None)),
        (slice(None), -2),
        (2, 3),
        (slice(4, 0, -2), slice(1, 6, 3)),
        ([0, 3, 3], slice(None)),
        ([0, 1, 4], [6, 0, -1]),
        (slice(1, 3), [5, 2]),
        (np.arange(5) > 2, slice(None)),
        (np.array([[0], [2]]), np.array([[1, 3, 5]])),
        (np.arange(5) % 2 == 0, [1, 2, 3]),
        (slice(0, 0), slice(None)),
    ], ids=repr)  # fmt: skip
    def test_ss_and_fs_idxs_mean_what_they_mean_in_numpy(self, run, parts, ss, fs):
        loaded = run.load_attribute("data", [5, 0], ss_idxs=ss, fs_idxs=fs)
        expected = np.stack([frame[..., ss, fs] for frame in np.concatenate(parts)[[5, 0]]])
        np.testing.assert_array_equal(loaded, expected, strict=True)

    @pytest.mark.parametrize(("ss", "fs"), [(5, slice(None)), (slice(None), [0, 7]), (-6, 0)])
    def test_a_pixel_that_is_not_there_raises(self, run, ss, fs):
        with pytest.raises(FrameIndexError):
            run.load_attribute("data", ss_idxs=ss, fs_idxs=fs)

    @pytest.mark.parametrize("pixels", [{"ss_idxs": [1]}, {"fs_idxs": slice(2)}])
    def test_index_arrays_together_with_a_transform_raise(self, run, pixels):
        with pytest.raises((CXIError, TypeError, ValueError), match="transform"):
            run.load_attribute("data", transform=Crop([0, 1, 0, 1]), **pixels)


class TestFramesOfAnyRank:
    def test_euxfel_modules_are_kept_and_views_act_on_the_last_two_axes(self, tmp_path):
        data = frames(6, (3, 5, 7))
        name = put(tmp_path / "xfel.h5", {DATA: data})
        store = CXIStore(name)
        loaded = store.load_attribute("data", [4, 1], transform=Crop([1, 4, 2, 6]))
        np.testing.assert_array_equal(loaded, data[[4, 1]][..., 1:4, 2:6], strict=True)
        loaded = store.load_attribute("data", [0], ss_idxs=[0, 2], fs_idxs=[6, 1])
        np.testing.assert_array_equal(loaded, data[[0]][..., [0, 2], [6, 1]], strict=True)
        np.testing.assert_array_equal(store["data"][3, 1, ::2], data[3, 1, ::2])
        assert store.read_shape() == (5, 7)

    def test_pixel_map_is_a_frame_of_two(self, tmp_path):
        pixel_map = frames(2, dtype="float64")
        name = put(tmp_path / "map.h5", {"/speckle_tracking/pixel_map": pixel_map})
        loaded = CXIStore(name).load_attribute("pixel_map", transform=Mirror(0, (5, 7)))
        np.testing.assert_array_equal(loaded, pixel_map[:, ::-1], strict=True)


def test_negative_pixels_are_not_summed_into_an_unsigned_result(tmp_path):
    data = np.full((1, 2, 2), 5, "i4")
    data[0, 0, 0] = -1
    store = CXIStore(put(tmp_path / "a.cxi", {DATA: data}))
    with pytest.raises(CastError):
        store.load_attribute("data", transform=Downscale(2, mode="sum"), dtype="u8")
    summed = store.load_attribute("data", transform=Downscale(2, mode="sum"), dtype="i8")
    assert summed.tolist() == [[[14]]]
