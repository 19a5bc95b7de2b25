"""STData: what was loaded of a run, by name; loads, moves, selects and saves it."""

import pickle

import h5py
import numpy as np
import pytest

import factory
from cxistack import (
    AttributeMissingError,
    ComposeTransforms,
    Crop,
    CXIProtocol,
    CXIStore,
    Downscale,
    LayoutError,
    STData,
)
from factory import DATA, MASK, frames, good_mask, put

CROP = Crop([1, 4, 2, 6])


@pytest.fixture
def run(tmp_path):
    values = {DATA: frames(6), **factory.attributes(6)}
    return put(tmp_path / "run.cxi", values)


@pytest.fixture
def st(run):
    return STData(CXIStore(run)).load(verbose=False)


@pytest.fixture
def output(tmp_path):
    return CXIStore(tmp_path / "results.cxi", mode="a")


class TestAMappingAndAnObject:
    def test_attributes_are_the_protocols(self, run):
        protocol = CXIProtocol.import_default().add_attribute("pulse", "uint", "/pulse", "sequence")
        st = STData(CXIStore(run, protocol=protocol), pulse=np.arange(3))
        assert set(protocol) <= set(st.keys())
        np.testing.assert_array_equal(st.pulse, [0, 1, 2])
        assert st["pulse"] is st.pulse is st.get("pulse")

    def test_what_has_no_value_is_none(self, run):
        st = STData(CXIStore(run))
        assert st.data is None
        assert st["whitefield"] is None
        assert "whitefield" in st
        assert st.contents() == ["input_file"]

    def test_keys_values_and_items_go_together(self, st):
        assert list(st) == list(st.keys())
        assert len(list(st.values())) == len(st) == len(list(st.keys()))
        assert [key for key, _ in st.items()] == list(st.keys())
        assert all(value is st[key] or np.array_equal(value, st[key]) for key, value in st.items())
        assert [key for key, value in st.items() if value is not None] == st.contents()

    def test_an_unknown_name_raises(self, st, run):
        for call in (
            lambda: st["nonsense"],
            lambda: st.replace(nonsense=1),
            lambda: STData(CXIStore(run), nonsense=1),
            lambda: st.load("nonsense"),
            lambda: st.clear("nonsense"),
        ):
            with pytest.raises(
                (AttributeMissingError, TypeError, AttributeError), match="nonsense"
            ):
                call()
        with pytest.raises(AttributeError):
            _ = st.nonsense
        assert st.get("nonsense", 5) == 5

    def test_pickles_with_its_values(self, st):
        copy = pickle.loads(pickle.dumps(st))
        assert copy.contents() == st.contents()
        np.testing.assert_array_equal(copy.data, st.data)
        np.testing.assert_array_equal(
            copy.load("data", idxs=[1], verbose=False).data, frames(6)[1:2]
        )

    def test_repr_tells_what_is_there(self, st):
        assert "data" in repr(st)
        assert "(6, 5, 7)" in repr(st)

    def test_shape_is_frames_and_grid(self, st, run):
        assert st.shape == (6, 5, 7)
        assert STData(CXIStore(run)).shape == (0, 0, 0)
        assert STData(CXIStore(run), whitefield=np.ones((5, 7))).shape == (0, 5, 7)
        assert STData(CXIStore(run), mask=np.ones((5, 7), bool)).shape == (0, 5, 7)
        assert STData(CXIStore(run), mask=np.ones((3, 5, 7), bool)).shape == (3, 5, 7)
        assert STData(CXIStore(run), basis_vectors=np.ones((2, 3))).shape == (0, 0, 0)


class TestWhatAppearsByItself:
    def test_good_frames_and_an_all_good_mask_come_with_data(self, tmp_path):
        st = STData(CXIStore(put(tmp_path / "a.cxi", {DATA: frames(4)}))).load(verbose=False)
        np.testing.assert_array_equal(st.good_frames, range(4))
        np.testing.assert_array_equal(st.mask, np.ones((4, 5, 7), bool), strict=True)

    def test_without_data_there_are_none(self, run):
        st = STData(CXIStore(run)).load("translations", verbose=False)
        assert st.mask is None
        assert st.good_frames is None

    def test_they_fit_the_data_that_replace_gives(self, run):
        st = STData(CXIStore(run)).replace(data=frames(2, (3, 3)))
        assert st.mask.shape == (2, 3, 3)
        np.testing.assert_array_equal(st.good_frames, [0, 1])

    def test_what_was_loaded_is_kept(self, st):
        assert not st.mask[0, 1, 1]
        assert st.mask.sum() == 6 * 35 - 1


class TestReplacing:
    def test_returns_a_new_container(self, st):
        new = st.replace(whitefield=np.zeros((5, 7)))
        assert new is not st
        assert st.whitefield.any()
        assert not new.whitefield.any()
        assert new.data is st.data

    def test_clear_drops_arrays_by_name_or_all(self, st):
        some = st.clear(["data", "mask"])
        assert some.data is None
        assert some.whitefield is not None
        assert some.clear("whitefield").whitefield is None
        assert not any(isinstance(value, np.ndarray) for value in st.clear().values())
        assert st.clear().input_file is st.input_file
        assert st.data is not None

    def test_update_output_file(self, st, output):
        assert st.update_output_file(output).output_file is output
        assert st.output_file is None

    def test_update_transform_transforms_what_was_loaded_whole(self, st):
        new = st.update_transform(CROP)
        np.testing.assert_array_equal(new.data, st.data[:, 1:4, 2:6])
        np.testing.assert_array_equal(new.mask, st.mask[:, 1:4, 2:6])
        np.testing.assert_array_equal(new.whitefield, st.whitefield[1:4, 2:6])
        np.testing.assert_array_equal(new.translations, st.translations)
        assert new.transform == CROP

    def test_update_transform_drops_what_was_loaded_through_another(self, run):
        st = STData(CXIStore(run), transform=CROP).load(verbose=False)
        new = st.update_transform(Downscale(2))
        assert new.data is None
        assert new.whitefield is None
        np.testing.assert_array_equal(new.translations, st.translations)
        np.testing.assert_array_equal(new.load("data", verbose=False).data, frames(6)[:, ::2, ::2])


class TestLoading:
    def test_all_that_the_files_have(self, st, run):
        store = CXIStore(run)
        assert set(store) <= set(st.contents())
        for attr in store:
            np.testing.assert_array_equal(st[attr], store.load_attribute(attr), strict=True)
        np.testing.assert_array_equal(st.frames, range(6))

    @pytest.mark.parametrize("idxs", [[4, 1, 1], slice(1, 5, 2), range(2, 4), [-1], 3])
    def test_some_frames(self, run, idxs):
        st = STData(CXIStore(run)).load(idxs=idxs, verbose=False)
        numbers = np.atleast_1d(np.arange(6)[idxs])
        np.testing.assert_array_equal(st.frames, numbers)
        np.testing.assert_array_equal(st.data, frames(6)[numbers])
        np.testing.assert_array_equal(st.good_frames, range(len(numbers)))
        for attr in ("mask", "translations", "basis_vectors"):
            whole = CXIStore(run).load_attribute(attr)
            np.testing.assert_array_equal(st[attr], whole[numbers])
        np.testing.assert_array_equal(st.whitefield, CXIStore(run).load_attribute("whitefield"))

    def test_by_name_keeps_what_was_there(self, run):
        st = STData(CXIStore(run), distance=9.0).load(["data", "translations"], verbose=False)
        assert st.distance == 9.0
        assert "pixel_map" not in st.contents()
        assert st.load("whitefield", verbose=False).data is st.data

    def test_through_the_transform(self, run):
        transform = ComposeTransforms([CROP, Downscale(2)])
        st = STData(CXIStore(run), transform=transform).load(idxs=[2, 5], verbose=False)
        np.testing.assert_array_equal(st.data, frames(6)[[2, 5], 1:4:2, 2:6:2])
        assert st.mask.shape == (2, 2, 2)
        assert st.whitefield.shape == (2, 2)

    def test_nothing_is_left_out_without_a_word(self, run, tmp_path):
        put(run, {"/speckle_tracking/phase": np.ones(5)})
        with pytest.raises(LayoutError, match="phase"):
            STData(CXIStore(run)).load(verbose=False)
        with pytest.raises(AttributeMissingError, match="pixel_map"):
            STData(CXIStore(run)).load("pixel_map", verbose=False)

    def test_from_a_closed_store_opens_it_for_the_load(self, run):
        store = CXIStore(run)
        store.close()
        st = STData(store).load(idxs=[0], verbose=False)
        assert len(st.data) == 1
        assert not store

    @pytest.mark.parametrize("processes", [None, 1, 3])
    def test_with_any_number_of_workers(self, run, processes):
        st = STData(CXIStore(run)).load("data", processes=processes, verbose=False)
        np.testing.assert_array_equal(st.data, frames(6))


class TestSaving:
    def test_everything_comes_back(self, st, output):
        st.update_output_file(output).save()
        back = STData(output).load(verbose=False)
        for attr in ("data", "mask", "whitefield", "translations", "distance", "wavelength"):
            np.testing.assert_array_equal(back[attr], st[attr], strict=True)

    def test_only_good_frames_of_stacks_and_sequences(self, st, output):
        good = st.mask_frames([0, 3, 4]).update_output_file(output)
        good.save()
        np.testing.assert_array_equal(output.load_attribute("data"), st.data[[0, 3, 4]])
        np.testing.assert_array_equal(output.load_attribute("mask"), st.mask[[0, 3, 4]])
        expected = st.translations[[0, 3, 4]]
        np.testing.assert_array_equal(output.load_attribute("translations"), expected)
        np.testing.assert_array_equal(output.load_attribute("whitefield"), good.whitefield)

    def test_appends_unless_told_otherwise(self, st, output):
        st = st.update_output_file(output)
        st.save(["data", "translations"])
        st.mask_frames([5]).save(["data", "translations"])
        assert len(output.load_attribute("data")) == len(output.load_attribute("translations")) == 7
        st.save("data", mode="overwrite")
        assert len(output.load_attribute("data")) == 6

    def test_inserts_at_idxs(self, st, output):
        st = st.update_output_file(output)
        st.save("data")
        st.mask_frames([0, 1]).save("data", mode="insert", idxs=[6, 2])
        expected = np.concatenate([st.data, st.data[:1]])
        expected[2] = st.data[1]
        np.testing.assert_array_equal(output.load_attribute("data"), expected)

    @pytest.mark.parametrize("transform", [CROP, ComposeTransforms([CROP, Downscale(2)])])
    def test_apply_transform_puts_pixels_back_into_whole_frames(self, run, output, transform):
        st = STData(CXIStore(run), transform=transform, output_file=output).load(verbose=False)
        st.save(apply_transform=True)
        for attr in ("data", "mask", "whitefield"):
            whole = output.load_attribute(attr)
            assert whole.shape[-2:] == (5, 7)
            np.testing.assert_array_equal(transform.forward(whole), st[attr])
            rest = np.ones((5, 7), bool)
            transform.backward(np.zeros(st.data.shape[1:], bool), rest)
            assert not whole[..., rest].any()

    def test_without_apply_transform_frames_are_saved_as_they_are(self, run, output):
        st = STData(CXIStore(run), transform=CROP, output_file=output).load(verbose=False)
        st.save("data")
        np.testing.assert_array_equal(output.load_attribute("data"), st.data)

    def test_by_name(self, st, output):
        st.update_output_file(output).save(["whitefield"])
        assert set(output) == {"whitefield"}

    def test_what_is_named_needs_a_value_and_a_place(self, st, tmp_path):
        protocol = CXIProtocol({"phase": "float"}, {"phase": "/phase"}, {"phase": "frame"})
        st = st.update_output_file(CXIStore(tmp_path / "new.cxi", "w", protocol=protocol))
        with pytest.raises(ValueError, match="no value of 'phase'"):
            st.save("phase")
        with pytest.raises(ValueError, match=r"'whitefield' .* no place"):
            st.save("whitefield")

    def test_needs_an_output_file(self, st):
        with pytest.raises(ValueError, match="output"):
            st.save()

    def test_into_the_input_file(self, run):
        with CXIStore(run, mode="r+") as store:
            st = STData(store, output_file=store).load(verbose=False)
            st.replace(whitefield=np.full((5, 7), 3.0)).save("whitefield")
            assert (store.load_attribute("whitefield") == 3).all()
            np.testing.assert_array_equal(store.load_attribute("data"), frames(6))

    def test_a_static_mask_twice_stays_right(self, tmp_path, output):
        mask = good_mask((5, 7), [(2, 2)])
        name = put(tmp_path / "a.cxi", {DATA: frames(3), MASK: mask})
        st = STData(CXIStore(name), output_file=output).load(verbose=False)
        for count in (3, 6):
            st.save(["data", "mask"])
            loaded = output.load_attribute("mask", slice(None))
            np.testing.assert_array_equal(loaded, np.broadcast_to(mask, (count, 5, 7)))


def test_good_frames_number_the_frames_that_were_loaded(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(8)})
    with h5py.File(name, "r+") as h5:
        h5["/speckle_tracking/good_frames"] = np.array([0, 1, 6])
    st = STData(CXIStore(name), transform=Crop([0, 2, 0, 2])).load(idxs=[5, 6, 0])
    assert st.frames.tolist() == [5, 6, 0]
    assert st.good_frames.tolist() == [1, 2]
