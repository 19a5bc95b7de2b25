"""Results of a region go back to their places; all other pixels stay as they are, or are filled."""

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack import (
    CastError,
    ComposeTransforms,
    Crop,
    CXIProtocol,
    CXIStore,
    Downscale,
    FrameIndexError,
    LayoutError,
    Mirror,
    STData,
    Transform,
)
from cxistack.saving import whole_frames
from factory import DATA, MASK, WHITEFIELD, frames, good_mask, put

SHAPE = (5, 7)
CROP = Crop([1, 4, 2, 6])
PHASE = "/speckle_tracking/phase"


class Transpose(Transform):
    """Pixels that are not a view: they are picked one by one."""

    def index_array(self, ss_idxs, fs_idxs):
        return ss_idxs.T, fs_idxs.T


TRANSFORMS = {
    "crop": CROP,
    "every second pixel": Downscale(2),
    "crop and stride": ComposeTransforms([CROP, Downscale(2)]),
    "mirror": ComposeTransforms([CROP, Mirror(1, (3, 4))]),
    "picked": ComposeTransforms([CROP, Transpose()]),
    "all": Crop([0, 5, 0, 7]),
}
STORED = {
    "contiguous": {},
    "chunks of frames": {"chunks": (2, 5, 7), "maxshape": (None, 5, 7), "compression": "gzip"},
    "chunks across": {"chunks": (3, 2, 4), "maxshape": (None, 5, 7), **hdf5plugin.Bitshuffle()},
    "chunks that cannot grow": {"chunks": (1, 5, 7)},
}


def stored(name, path=DATA):
    with h5py.File(name) as h5:
        return h5[path][...]


def picked_by(transform, shape=SHAPE):
    """Return which pixels of a frame a transform picks."""
    rows, columns = np.indices(shape)
    found = np.zeros(shape, bool)
    found[transform.forward(rows), transform.forward(columns)] = True
    return found


def painted(whole, transform, values):
    """Return whole frames with values in the region, pixel by pixel."""
    result = whole.copy()
    rows, columns = (transform.forward(one) for one in np.indices(SHAPE))
    for ss, fs in np.ndindex(rows.shape):
        result[..., rows[ss, fs], columns[ss, fs]] = values[..., ss, fs]
    return result


def expected_of(there, values, mode, rows, transform, fill=0):
    """Return what frames are to be after a save."""
    if mode == "overwrite":
        rows, length = np.arange(len(values)), len(values)
    elif mode == "append":
        rows = np.arange(len(there), len(there) + len(values))
        length = len(there) + len(values)
    else:
        length = max(len(there), max(rows, default=-1) + 1)
    whole = np.full((length, *SHAPE), fill, there.dtype)
    whole[: len(there)] = there[:length]
    for row, value in zip(rows, values, strict=True):
        whole[row] = painted(whole[row], transform, value)
    return whole


def values_for(transform, count, dtype="uint16"):
    shape = transform.forward(np.zeros(SHAPE)).shape
    return frames(count, shape, dtype, start=1000)


class TestStacks:
    @pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
    @pytest.mark.parametrize("options", STORED.values(), ids=STORED)
    @pytest.mark.parametrize(("mode", "count", "idxs"), [
        ("overwrite", 4, None), ("overwrite", 2, None), ("overwrite", 6, None),
        ("append", 3, None), ("insert", 3, [3, 0, 1]), ("insert", 3, [4, 2, 5]),
    ])  # fmt: skip
    def test_pixels_outside_stay(self, tmp_path, transform, options, mode, count, idxs):
        name = put(tmp_path / "run.cxi", {DATA: frames(4, dtype="int32")}, **options)
        values = values_for(transform, count)
        store = CXIStore(name, mode="r+")
        store.save_attribute("data", values, mode, idxs, transform=transform)
        expected = expected_of(frames(4, dtype="int32"), values, mode, idxs, transform)
        np.testing.assert_array_equal(stored(name), expected, strict=True)

    @given(data=st.data())
    def test_frames_by_frames_as_numpy_does(self, tmp_path_factory, data):
        there = data.draw(st.integers(0, 6), "there")
        mode = data.draw(st.sampled_from(["overwrite", "append", "insert"]), "mode")
        transform = data.draw(st.sampled_from(list(TRANSFORMS.values())), "transform")
        rows = None
        if mode == "insert":
            most = data.draw(st.integers(max(1, there), there + 4), "length")
            new = list(range(there, most))
            rows = data.draw(st.lists(st.integers(0, max(0, there - 1)), unique=True), "old")
            rows = data.draw(st.permutations([*(r for r in rows if r < there), *new]), "rows")
        count = len(rows) if rows is not None else data.draw(st.integers(0, 7), "count")
        name = str(tmp_path_factory.mktemp("run") / "run.cxi")
        options = data.draw(st.sampled_from(list(STORED.values())), "stored")
        chunks = options if there >= 3 or "chunks" not in options else {}
        put(name, {DATA: frames(there)}, **chunks)
        values = values_for(transform, count)
        CXIStore(name, mode="r+").save_attribute("data", values, mode, rows, transform=transform)
        expected = expected_of(frames(there), values, mode, rows, transform)
        np.testing.assert_array_equal(stored(name), expected)

    @pytest.mark.parametrize("options", [
        {}, {"chunks": (2, 7)}, {"chunks": (2, 7), "maxshape": (None, 7)},
    ], ids=["contiguous", "chunks", "chunks that grow"])  # fmt: skip
    @pytest.mark.parametrize("mode", ["overwrite", "append", "insert"])
    @pytest.mark.parametrize(("attr", "path"), [
        ("data", DATA), ("mask", MASK), ("whitefield", WHITEFIELD),
    ])  # fmt: skip
    def test_no_frames_leave_a_single_one_as_it_is(self, tmp_path, options, mode, attr, path):
        name = put(tmp_path / "run.cxi", {path: frames(1)[0]}, **options)
        nothing = np.empty((0, 3, 4), bool if attr == "mask" else "uint16")
        store = CXIStore(name, mode="r+")
        idxs = [] if mode == "insert" else None
        if mode == "overwrite" or attr == "whitefield":
            with pytest.raises(LayoutError, match=r"run\.cxi:.* has shape \(5, 7\), one frame"):
                store.save_attribute(attr, nothing, mode, idxs, transform=CROP)
        else:
            store.save_attribute(attr, nothing, mode, idxs, transform=CROP)
        np.testing.assert_array_equal(stored(name, path), frames(1)[0])

    def test_many_frames_are_done_a_few_at_a_time(self, tmp_path, monkeypatch):
        monkeypatch.setattr(whole_frames, "_BATCH", 3 * 5 * 7 * 2)
        name = put(tmp_path / "run.cxi", {DATA: frames(8)})
        values = values_for(CROP, 20)
        store = CXIStore(name, mode="r+")
        store.save_attribute("data", values, "overwrite", transform=CROP)
        expected = expected_of(frames(8), values, "overwrite", None, CROP)
        np.testing.assert_array_equal(stored(name), expected)
        store.save_attribute("data", values[:3], "overwrite", transform=CROP)
        np.testing.assert_array_equal(stored(name), expected[:3])

    @pytest.mark.parametrize("count", [2, 4, 6])
    def test_compression_is_done_as_told(self, tmp_path, count):
        name = put(tmp_path / "run.cxi", {DATA: frames(4)}, chunks=(1, 5, 7), compression="lzf")
        values = values_for(CROP, count)
        store = CXIStore(name, mode="r+")
        with pytest.raises(LayoutError, match="compressed otherwise"):
            store.save_attribute("data", values, "append", compression="gzip", transform=CROP)
        store.save_attribute("data", values, compression="gzip", transform=CROP)
        with h5py.File(name) as h5:
            assert h5[DATA].compression == "gzip"
        expected = expected_of(frames(4), values, "overwrite", None, CROP)
        np.testing.assert_array_equal(stored(name), expected)

    def test_values_that_could_not_be_loaded_stay(self, tmp_path):
        """-1 in gaps is no unsigned integer; it is neither loaded nor cast."""
        there = frames(3, dtype="int32")
        there[:, 0, 0] = -1
        name = put(tmp_path / "run.cxi", {DATA: there})
        CXIStore(name, mode="r+").save_attribute("data", values_for(CROP, 3), transform=CROP)
        assert (stored(name)[:, 0, 0] == -1).all()

    def test_one_image_is_a_stack_of_one(self, tmp_path):
        name = put(tmp_path / "run.cxi", {DATA: frames(1)[0]})
        values = values_for(CROP, 3)
        CXIStore(name, mode="r+").save_attribute("data", values, transform=CROP)
        expected = expected_of(frames(1), values, "overwrite", None, CROP)
        np.testing.assert_array_equal(stored(name), expected)

    def test_frames_of_another_shape_are_replaced(self, tmp_path):
        name = put(tmp_path / "run.cxi", {DATA: frames(2, (3, 4))})
        store = CXIStore(name, mode="r+")
        values = values_for(CROP, 3)
        with pytest.raises(LayoutError, match="no frames of shape"):
            store.save_attribute("data", values, "append", transform=CROP, frame_shape=SHAPE)
        store.save_attribute("data", values, transform=CROP, frame_shape=SHAPE)
        expected = painted(np.zeros((3, *SHAPE), "uint16"), CROP, values)
        np.testing.assert_array_equal(stored(name), expected)

    def test_other_axes_of_frames_stay_apart(self, tmp_path):
        there = frames(12).reshape(3, 4, *SHAPE)
        name = put(tmp_path / "run.cxi", {DATA: there})
        values = values_for(CROP, 12).reshape(3, 4, 3, 4)
        CXIStore(name, mode="r+").save_attribute("data", values, transform=CROP)
        np.testing.assert_array_equal(stored(name), painted(there, CROP, values))


class TestMasks:
    def test_a_pixel_that_nobody_looked_at_is_bad(self, tmp_path):
        store = CXIStore(tmp_path / "new.cxi", mode="w")
        good = np.ones((2, 3, 4), bool)
        how = {"transform": CROP, "frame_shape": SHAPE, "fill_value": 1}
        store.save_attribute("mask", good, **how)
        np.testing.assert_array_equal(store.load_attribute("mask"), [picked_by(CROP)] * 2)

    @pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7)], ids=["static", "by frame"])
    def test_reasons_outside_stay(self, tmp_path, shape):
        flags = np.arange(np.prod(shape), dtype="uint32").reshape(shape)
        name = put(tmp_path / "run.cxi", {DATA: frames(3), MASK: flags})
        mask = good_mask((*shape[:-2], 3, 4), [(..., 1, 1)])
        CXIStore(name, mode="r+").save_attribute("mask", mask, transform=CROP)
        after, picked = stored(name, MASK), picked_by(CROP)
        np.testing.assert_array_equal(after[..., ~picked], flags[..., ~picked])
        np.testing.assert_array_equal(CROP.forward(after) == 0, mask)
        assert (after[..., 2, 3] == flags[..., 2, 3]).all()  # bad before and after

    def test_of_frames_over_one_that_stands_for_all(self, tmp_path):
        flags = np.arange(35, dtype="uint32").reshape(SHAPE) * 2
        name = put(tmp_path / "run.cxi", {DATA: frames(3), MASK: flags})
        mask = good_mask((3, 3, 4), [(1, 1, 1)])
        CXIStore(name, mode="r+").save_attribute("mask", mask, transform=CROP)
        after, picked = stored(name, MASK), picked_by(CROP)
        assert after.shape == (3, *SHAPE)
        np.testing.assert_array_equal(after[:, ~picked], np.stack([flags[~picked]] * 3))
        np.testing.assert_array_equal(CROP.forward(after) == 0, mask)

    def test_one_that_stands_for_all_is_only_appended_to_by_the_same(self, tmp_path):
        name = put(tmp_path / "run.cxi", {DATA: frames(3), MASK: np.zeros(SHAPE, "uint32")})
        store = CXIStore(name, mode="r+")
        store.save_attribute("mask", np.ones((2, 3, 4), bool), "append", transform=CROP)
        assert not stored(name, MASK).any()
        for wrong in (np.zeros((2, 3, 4), bool), np.zeros((3, 4), bool)):
            with pytest.raises(LayoutError, match="stands for all"):
                store.save_attribute("mask", wrong, "append", transform=CROP)


class TestFrames:
    def test_pixels_outside_stay(self, tmp_path):
        there = np.arange(35.0).reshape(SHAPE)
        name = put(tmp_path / "run.cxi", {DATA: frames(2), WHITEFIELD: there})
        values = -np.ones((3, 4))
        for mode in ("overwrite", "append"):
            store = CXIStore(name, mode="r+")
            store.save_attribute("whitefield", values, mode, transform=CROP)
            np.testing.assert_array_equal(stored(name, WHITEFIELD), painted(there, CROP, values))

    @pytest.mark.parametrize(("attr", "fill", "expected"), [
        ("whitefield", None, 0), ("phase", None, np.nan), ("phase", -2, -2), ("whitefield", 7, 7),
        ("pixel_map", None, np.nan), ("data", None, 0), ("data", 9, 9),
    ])  # fmt: skip
    def test_new_ones_are_filled(self, tmp_path, attr, fill, expected):
        store = CXIStore(tmp_path / "new.cxi", mode="w")
        lead = {"pixel_map": (2,), "data": (2,)}.get(attr, ())
        values = np.ones((*lead, 3, 4), "uint16" if attr == "data" else "float32")
        how = {"transform": CROP, "frame_shape": SHAPE, "fill_value": fill}
        store.save_attribute(attr, values, **how)
        whole = store.load_attribute(attr, verbose=False)
        np.testing.assert_array_equal(CROP.forward(whole), values)
        outside = whole[..., ~picked_by(CROP)]
        np.testing.assert_array_equal(outside, np.full(outside.shape, expected))


class TestRefusals:
    def test_bins_have_no_pixels_to_put_back(self, tmp_path):
        name = put(tmp_path / "run.cxi", {DATA: frames(3)})
        before = Path(name).read_bytes()
        bins = Downscale(2, mode="sum")
        output = CXIStore(name, mode="r+")
        with pytest.raises(NotImplementedError, match=r"'data'.*bins.*lost"):
            output.save_attribute("data", np.ones((3, 2, 3), "uint16"), transform=bins)
        loaded = STData(CXIStore(name), transform=bins, output_file=output).load(verbose=False)
        with pytest.raises(NotImplementedError, match=r"'data'.*bins.*lost"):
            loaded.save("data", apply_transform=True)
        assert Path(name).read_bytes() == before

    @pytest.mark.parametrize(("how", "error", "match"), [
        ({"transform": Crop([0, 2, 0, 2])}, LayoutError, r"\(2, 2\)"),
        ({"transform": CROP, "fill_value": np.nan, "mode": "append"}, CastError, "fill_value"),
        ({"transform": CROP, "fill_value": -1}, CastError, "fill_value"),
        ({"fill_value": 1}, ValueError, "transform="),
        ({"frame_shape": SHAPE}, ValueError, "transform="),
        ({"transform": CROP, "mode": "insert", "idxs": [0, 8, 9]}, FrameIndexError, "frame 3"),
    ])  # fmt: skip
    def test_what_cannot_be_done(self, tmp_path, how, error, match):
        name = put(tmp_path / "run.cxi", {DATA: frames(3)})
        with pytest.raises(error, match=match):
            CXIStore(name, mode="r+").save_attribute("data", values_for(CROP, 3), **how)
        np.testing.assert_array_equal(stored(name), frames(3))

    def test_a_whole_shape_that_nobody_knows(self, tmp_path):
        store = CXIStore(tmp_path / "new.cxi", mode="w")
        with pytest.raises(ValueError, match="frame_shape="):
            store.save_attribute("data", values_for(CROP, 2), transform=CROP)

    def test_an_attribute_without_pixels(self, tmp_path):
        name = put(tmp_path / "run.cxi", {DATA: frames(3)})
        with pytest.raises(ValueError, match="no pixels"):
            CXIStore(name, mode="r+").save_attribute("distance", 1.0, transform=CROP)

    @pytest.mark.parametrize("start", [0, 2])
    def test_a_value_that_does_not_fit_is_named_by_its_frame(self, tmp_path, monkeypatch, start):
        monkeypatch.setattr(whole_frames, "_BATCH", 1)
        name = put(tmp_path / "run.cxi", {DATA: frames(3)}, maxshape=(None, 5, 7), chunks=(1, 5, 7))
        values = values_for(CROP, 6, "int64")
        values[4, 1, 2] = 70000
        store = CXIStore(name, mode="r+")
        with pytest.raises(CastError, match="70000") as caught:
            store.save_attribute("data", values, "insert", range(start, start + 6), transform=CROP)
        assert (caught.value.offence.frame, caught.value.offence.pixel) == (4, (1, 2))
        np.testing.assert_array_equal(stored(name), frames(3))


class TestContainer:
    @pytest.fixture
    def run(self, tmp_path):
        values = {DATA: frames(6), WHITEFIELD: np.full(SHAPE, 2.5), MASK: np.zeros(SHAPE, "uint32")}
        return put(tmp_path / "run.cxi", values)

    def test_into_the_file_that_it_came_from(self, run):
        container = STData(CXIStore(run), transform=CROP).load(idxs=[1, 4], verbose=False)
        container = container.replace(data=container.data * 0 + 7, whitefield=np.ones((3, 4)))
        container = container.update_output_file(CXIStore(run, mode="r+"))
        names = ["data", "whitefield"]
        container.save(names, apply_transform=True, mode="insert", idxs=[1, 4])
        expected = frames(6)
        expected[[1, 4]] = painted(expected[[1, 4]], CROP, np.full((2, 3, 4), 7))
        np.testing.assert_array_equal(stored(run), expected)
        white = painted(np.full(SHAPE, 2.5), CROP, np.ones((3, 4)))
        np.testing.assert_array_equal(stored(run, WHITEFIELD), white)

    def test_into_a_new_file(self, run, tmp_path):
        output = CXIStore(tmp_path / "new.cxi", mode="a")
        container = STData(CXIStore(run), transform=CROP, output_file=output).load(verbose=False)
        container = container.replace(phase=np.ones((3, 4)))
        container.mask_frames([0, 2]).save(apply_transform=True, fill_value=None)
        picked = picked_by(CROP)
        np.testing.assert_array_equal(output.load_attribute("data"), frames(6)[[0, 2]] * picked)
        mask = output.load_attribute("mask")
        np.testing.assert_array_equal(mask, np.broadcast_to(picked, mask.shape))
        np.testing.assert_array_equal(np.isnan(output.load_attribute("phase")), ~picked)

    def test_in_turns_from_two_regions(self, run, tmp_path):
        """Each region is reduced on its own, and both come to stand in one file."""
        output = CXIStore(tmp_path / "new.cxi", mode="a")
        for roi in ([0, 3, 0, 7], [3, 5, 0, 7]):
            container = STData(CXIStore(run), transform=Crop(roi), output_file=output)
            container.load(["data", "whitefield"], verbose=False).save(
                apply_transform=True, mode="overwrite"
            )
        np.testing.assert_array_equal(output.load_attribute("data"), frames(6))
        np.testing.assert_array_equal(output.load_attribute("whitefield"), np.full(SHAPE, 2.5))

    def test_a_fill_value_goes_with_apply_transform(self, run):
        container = STData(CXIStore(run), output_file=CXIStore(run, mode="r+"))
        with pytest.raises(ValueError, match="apply_transform"):
            container.load("data", verbose=False).save("data", fill_value=1)


def test_it_is_there_for_any_protocol(tmp_path):
    protocol = CXIProtocol({"dark": "float"}, {"dark": ["/dark"]}, {"dark": "frame"})
    name = put(tmp_path / "run.h5", {"/dark": np.zeros(SHAPE)})
    store = CXIStore(name, mode="r+", protocol=protocol)
    store.save_attribute("dark", np.ones((3, 4)), transform=CROP)
    np.testing.assert_array_equal(stored(name, "/dark"), picked_by(CROP))
