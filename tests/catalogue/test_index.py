"""Which frames of an attribute belong to the frames of the data; what stands for all of them."""

import numpy as np
import pytest

import factory
from cxistack import CXIProtocol, CXIStore, LayoutError
from factory import BASIS, DATA, MASK, TRANSLATIONS, frames, good_mask, put


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


def test_a_dataset_of_too_few_axes_is_refused_with_what_can_be_done(tmp_path):
    file = put(tmp_path / "run.h5", {"/entry/data/data": np.float32(1)})
    with pytest.raises(LayoutError) as caught:
        CXIStore(file).load_attribute("data")
    told = "'data' is a stack, of 2 or more axes; if the file is right, give the store a protocol "
    assert told + "that gives 'data' another kind" in str(caught.value)


def test_the_advice_on_a_kind_helps(tmp_path):
    file = put(tmp_path / "run.h5", {"/entry/data/data": np.float32(1)})
    places = CXIProtocol.import_default().load_paths["data"]
    protocol = CXIProtocol.import_default().add_attribute("data", "number", places, "scalar")
    assert CXIStore(file, protocol=protocol).load_attribute("data") == 1
