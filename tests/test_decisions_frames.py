"""Decisions on behaviour: Frames. What frames there are, and which of them an index means."""

import numpy as np
import pytest

import factory
from cxistack import Crop, CXIError, CXIStore, FrameIndexError, LayoutError, Mirror
from factory import BASIS, DATA, MASK, TRANSLATIONS, WHITEFIELD, frames, good_mask, put

COUNTS = (3, 1, 4)


@pytest.fixture
def parts():
    return [frames(count, start=1000 * n) for n, count in enumerate(COUNTS)]


@pytest.fixture
def run(tmp_path, parts):
    return CXIStore(factory.many_files(tmp_path, parts))


class TestIdxsFollowNumPy:
    SELECTIONS = (
        slice(None),
        slice(2, 6),
        slice(None, None, -3),
        slice(5, 2),
        range(1, 8, 2),
        [7, 0, 0, 3],
        (1, 2),
        [-1, -8],
        np.array([4, 4, -2], np.int8),
        np.array([3, 1], np.uint64),
        np.arange(8) % 3 == 0,
        [True, False] * 4,
        np.zeros(8, bool),
        np.array([], int),
    )

    @pytest.mark.parametrize("idxs", SELECTIONS, ids=repr)
    def test_the_result_is_in_the_order_asked_for(self, run, parts, idxs):
        whole = np.concatenate(parts)
        expected = whole[idxs if isinstance(idxs, slice) else np.asarray(idxs)]
        np.testing.assert_array_equal(run.load_attribute("data", idxs=idxs), expected)
        idxs = list(idxs) if isinstance(idxs, tuple) else idxs  # a tuple indexes several axes
        np.testing.assert_array_equal(run["data"][idxs], whole[idxs], strict=True)

    def test_none_is_all_frames(self, run, parts):
        np.testing.assert_array_equal(run.load_attribute("data", None), np.concatenate(parts))

    @pytest.mark.parametrize("idx", [0, 5, -1, np.int64(3), np.uint8(7)])
    def test_an_int_keeps_the_frame_axis_and_the_lazy_stack_drops_it(self, run, parts, idx):
        frame = np.concatenate(parts)[idx]
        np.testing.assert_array_equal(run.load_attribute("data", idx), frame[None], strict=True)
        np.testing.assert_array_equal(run["data"][idx], frame, strict=True)

    @pytest.mark.parametrize("idxs", [8, -9, [0, 8], [-9], np.array([2**63], np.uint64), 2**70])
    def test_a_frame_that_is_not_there_raises(self, run, idxs):
        with pytest.raises(IndexError, match="8"):
            run.load_attribute("data", idxs=idxs)

    @pytest.mark.parametrize("idxs", [1.0, [0.5], np.array([1.0]), "1", ["a"], [[0, 1]], [None]])
    def test_what_is_not_an_index_raises(self, run, idxs):
        with pytest.raises((IndexError, TypeError, ValueError)):
            run.load_attribute("data", idxs=idxs)

    @pytest.mark.parametrize("length", [7, 9, 1])
    def test_a_boolean_mask_of_another_length_raises(self, run, length):
        with pytest.raises(FrameIndexError):
            run.load_attribute("data", idxs=np.ones(length, bool))

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


class TestIdxsNumberTheDataFrames:
    def test_sequences_and_stacks_count_as_data_does(self, tmp_path, parts):
        names = factory.many_files(tmp_path, parts)
        whole = {}
        for name, part in zip(names, parts, strict=True):
            for path, value in factory.attributes(len(part)).items():
                value = value + len(whole.get(path, ())) if path == TRANSLATIONS else value
                whole.setdefault(path, []).append(value)
                put(name, {path: value})
        store = CXIStore(names)
        idxs = [7, 2, 3, -8, 2]
        for attr, path in [
            ("translations", TRANSLATIONS),
            ("basis_vectors", BASIS),
            ("mask", MASK),
        ]:
            expected = np.concatenate(whole[path])[idxs]
            np.testing.assert_array_equal(store.load_attribute(attr, idxs), expected)

    def test_an_attribute_counts_its_own_frames_where_there_is_no_data(self, tmp_path):
        names = [put(tmp_path / f"{n}.h5", {TRANSLATIONS: np.full((n, 3), n)}) for n in (1, 2)]
        loaded = CXIStore(names).load_attribute("translations", [-1, 0])
        np.testing.assert_array_equal(loaded, [[2, 2, 2], [1, 1, 1]])

    @pytest.mark.parametrize(("attr", "path", "shape"), [
        ("translations", TRANSLATIONS, (3,)),
        ("mask", MASK, (5, 7)),
        ("basis_vectors", BASIS, (2, 3)),
    ])  # fmt: skip
    def test_another_number_of_frames_raises_when_indexed(self, tmp_path, parts, attr, path, shape):
        names = factory.many_files(tmp_path, parts)
        for name, count in zip(names, (3, 2, 4), strict=True):
            put(name, {path: np.ones((count, *shape), bool)})
        store = CXIStore(names)
        with pytest.raises(LayoutError) as caught:
            store.load_attribute(attr, idxs=[0])
        message = str(caught.value)
        assert "run_9.cxi" in message
        assert "2" in message
        assert "1" in message
        assert [problem.attribute for problem in store.problems] == [attr]

    def test_equal_totals_do_not_hide_unequal_files(self, tmp_path, parts):
        names = factory.many_files(tmp_path, parts)
        for name, count in zip(names, (1, 3, 4), strict=True):
            put(name, {TRANSLATIONS: np.ones((count, 3))})
        with pytest.raises(LayoutError, match=r"run_8\.cxi"):
            CXIStore(names).load_attribute("translations", idxs=slice(2))

    def test_without_idxs_all_that_is_there_loads(self, tmp_path, parts):
        name = factory.one_file(tmp_path, parts)[0]
        put(name, {TRANSLATIONS: np.arange(6.0).reshape(2, 3)})
        loaded = CXIStore(name).load_attribute("translations")
        np.testing.assert_array_equal(loaded, np.arange(6.0).reshape(2, 3))

    def test_a_file_without_the_attribute_raises_when_indexed(self, tmp_path, parts):
        names = factory.many_files(tmp_path, parts)
        put(names[0], {TRANSLATIONS: np.ones((3, 3))})
        with pytest.raises(LayoutError, match=r"run_9\.cxi"):
            CXIStore(names).load_attribute("translations", idxs=[0])

    def test_2d_basis_vectors_are_never_indexed(self, tmp_path, parts):
        vectors = np.arange(6.0).reshape(2, 3)
        name = put(factory.one_file(tmp_path, parts)[0], {BASIS: vectors})
        store = CXIStore(name)
        np.testing.assert_array_equal(store.load_attribute("basis_vectors", [5, 6, 7]), vectors)
        np.testing.assert_array_equal(store.load_attribute("basis_vectors"), vectors)
        assert not store.is_indexed("basis_vectors")
        assert store.problems == []

    def test_good_frames_are_never_indexed(self, tmp_path, parts):
        path = "/speckle_tracking/good_frames"
        name = put(factory.one_file(tmp_path, parts)[0], {path: [1, 4, 7]})
        store = CXIStore(name)
        for idxs in (None, [0], slice(6, 8)):
            np.testing.assert_array_equal(store.load_attribute("good_frames", idxs), [1, 4, 7])
        assert store.problems == []


class TestA2DDataset:
    def test_as_data_is_a_stack_of_one_frame(self, tmp_path):
        images = frames(3)
        store = CXIStore(factory.image_2d(tmp_path, [images]))
        np.testing.assert_array_equal(store.indices(), [0, 1, 2])
        np.testing.assert_array_equal(store.load_attribute("data"), images, strict=True)
        np.testing.assert_array_equal(store.load_attribute("data", [2, 0]), images[[2, 0]])

    def test_among_3d_data_counts_as_one_frame(self, tmp_path):
        names = [put(tmp_path / f"{v.ndim}.h5", {DATA: v}) for v in (frames(2), frames(1)[0])]
        assert CXIStore(names).load_attribute("data").shape == (3, 5, 7)

    def test_as_mask_stands_for_every_frame_of_its_file(self, tmp_path, parts):
        mask = good_mask((5, 7), [(1, 2), (4, 6)])
        name = put(factory.one_file(tmp_path, parts)[0], {MASK: mask})
        loaded = CXIStore(name).load_attribute("mask")
        np.testing.assert_array_equal(loaded, np.broadcast_to(mask, (8, 5, 7)), strict=True)
        assert CXIStore(name).load_attribute("mask", [3, 3]).shape == (2, 5, 7)

    def test_as_one_static_mask_is_a_readonly_broadcast(self, tmp_path, parts):
        name = put(factory.one_file(tmp_path, parts)[0], {MASK: good_mask((5, 7), [(1, 2)])})
        for idxs in (None, slice(2, 5), [1, 1]):
            loaded = CXIStore(name).load_attribute("mask", idxs)
            assert loaded.strides[0] == 0
            assert not loaded.flags.writeable

    def test_as_several_static_masks_is_materialised(self, tmp_path, parts):
        names = factory.many_files(tmp_path, parts)
        masks = [good_mask((5, 7), [(n, n)]) for n in range(3)]
        for name, mask in zip(names, masks, strict=True):
            put(name, {MASK: mask})
        loaded = CXIStore(names).load_attribute("mask", [7, 3, 0])
        np.testing.assert_array_equal(loaded, np.stack(masks)[[2, 1, 0]])
        assert loaded.flags.writeable

    def test_as_mask_of_a_file_without_data_stands_for_those_that_have_none(self, tmp_path, parts):
        names = factory.many_files(tmp_path, parts)
        own, shared = good_mask((5, 7), [(0, 0)]), good_mask((5, 7), [(4, 4)])
        put(names[1], {MASK: own})
        names.append(put(tmp_path / "mask.h5", {MASK: shared}))
        loaded = CXIStore(names).load_attribute("mask")
        np.testing.assert_array_equal(loaded, np.stack([*[shared] * 3, own, *[shared] * 4]))

    def test_as_the_only_mask_in_a_file_without_data_stands_for_all(self, tmp_path, parts):
        mask = good_mask((5, 7), [(4, 4)])
        names = [put(tmp_path / "mask.h5", {MASK: mask}), *factory.many_files(tmp_path, parts)]
        loaded = CXIStore(names).load_attribute("mask")
        np.testing.assert_array_equal(loaded, np.broadcast_to(mask, (8, 5, 7)))
        assert loaded.strides[0] == 0

    def test_beside_a_stack_of_masks_stands_for_its_own_file(self, tmp_path, parts):
        names = factory.many_files(tmp_path, parts[:2])
        stack, static = good_mask((3, 5, 7), [(2, 1, 1)]), good_mask((5, 7), [(0, 3)])
        put(names[0], {MASK: stack})
        put(names[1], {MASK: static})
        np.testing.assert_array_equal(
            CXIStore(names).load_attribute("mask", [3, 2, 0]), [static, stack[2], stack[0]]
        )


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

    @pytest.mark.parametrize(("attr", "path"), [("whitefield", WHITEFIELD), ("data", DATA)])
    @pytest.mark.parametrize("shape", [(), (35,)])
    def test_a_frame_of_less_than_two_axes_is_a_problem(self, tmp_path, attr, path, shape):
        store = CXIStore(put(tmp_path / "low.h5", {path: np.ones(shape)}))
        assert [problem.attribute for problem in store.problems] == [attr]
        with pytest.raises(LayoutError, match=r"low\.h5"):
            store.load_attribute(attr)
