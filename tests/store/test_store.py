"""A store: the files that it opens and how, and the mapping of what is in them."""

from pathlib import Path

import numpy as np
import pytest

import factory
from cxistack import AttributeMissingError, ClosedStoreError, CXIStore, ReadOnlyStoreError
from factory import DATA, DISTANCE, MASK, frames, put
from factory.folders import open_in


class TestModes:
    def test_a_mode_applies_to_the_first_file_and_the_others_are_read(self, tmp_path):
        run = put(tmp_path / "run.cxi", {DATA: frames(2)})
        before = Path(run).read_bytes()
        with CXIStore([str(tmp_path / "new.cxi"), run], mode="a") as store:
            np.testing.assert_array_equal(store.load_attribute("data"), frames(2))
            store.save_attribute("distance", 0.5)
            assert store.load_attribute("distance") == 0.5
        assert Path(run).read_bytes() == before

    @pytest.mark.parametrize("mode", ["w", "w-", "x"])
    def test_modes_that_make_a_file_take_one_name(self, tmp_path, mode):
        names = [str(tmp_path / "new.cxi"), put(tmp_path / "run.cxi", {DATA: frames(2)})]
        with pytest.raises(ValueError, match=r"mode|file"):
            CXIStore(names, mode=mode)
        assert not Path(names[0]).exists()

    @pytest.mark.parametrize("mode", ["r", "r+"])
    def test_r_needs_the_file(self, tmp_path, mode):
        with pytest.raises(FileNotFoundError, match=r"none\.cxi"):
            CXIStore(str(tmp_path / "none.cxi"), mode=mode)

    def test_r_needs_every_file(self, tmp_path):
        names = [put(tmp_path / "a.cxi", {DATA: frames(2)}), str(tmp_path / "none.cxi")]
        with pytest.raises(FileNotFoundError, match=r"none\.cxi"):
            CXIStore(names)

    def test_r_does_not_save(self, tmp_path):
        store = CXIStore(put(tmp_path / "run.cxi", {DATA: frames(2)}))
        with pytest.raises(ReadOnlyStoreError):
            store.save_attribute("distance", 1.0)

    @pytest.mark.parametrize("mode", ["w-", "x"])
    def test_x_refuses_a_file_that_exists(self, tmp_path, mode):
        name = put(tmp_path / "run.cxi", {DATA: frames(2)})
        with pytest.raises(FileExistsError, match=r"run\.cxi"):
            CXIStore(name, mode=mode)

    @pytest.mark.parametrize("mode", ["w", "w-", "x"])
    def test_a_new_file_appears_at_the_first_save(self, tmp_path, mode):
        name = tmp_path / "new.cxi"
        with CXIStore(name, mode=mode) as store:
            assert len(store) == 0
            assert not name.exists()
            store.save_attribute("distance", 1.0)
            assert name.exists()
            store.save_attribute("wavelength", 2.0)
        assert set(CXIStore(name)) == {"distance", "wavelength"}

    def test_a_makes_the_file_that_is_not_there(self, tmp_path):
        with CXIStore(tmp_path / "new.cxi", mode="a") as store:
            assert len(store) == 0
            store.save_attribute("distance", 1.0)
        assert CXIStore(tmp_path / "new.cxi").load_attribute("distance") == 1.0

    def test_w_replaces_once_at_the_first_commit(self, tmp_path):
        name = put(tmp_path / "run.cxi", {DATA: frames(2), DISTANCE: 7.0})
        store = CXIStore(name, mode="w")
        assert "data" not in store
        assert set(CXIStore(name)) == {"data", "distance"}
        store.save_attribute("wavelength", 1.0)
        assert set(CXIStore(name)) == {"wavelength"}
        store.save_attribute("distance", 2.0)
        assert set(store) == {"wavelength", "distance"}

    def test_later_openings_of_a_w_store_keep_what_is_there(self, tmp_path):
        name = put(tmp_path / "run.cxi", {DATA: frames(2)})
        store = CXIStore(name, mode="w")
        store.save_attribute("wavelength", 1.0)
        store.close()
        with store:
            store.save_attribute("distance", 2.0)
        assert set(CXIStore(name)) == {"wavelength", "distance"}

    def test_a_w_store_that_saves_nothing_leaves_the_file_alone(self, tmp_path):
        name = put(tmp_path / "run.cxi", {DATA: frames(2)})
        before = Path(name).read_bytes()
        with CXIStore(name, mode="w"):
            pass
        assert Path(name).read_bytes() == before

    @pytest.mark.parametrize("mode", ["rw", "", None, "R", "rb"])
    def test_another_mode_is_refused(self, tmp_path, mode):
        with pytest.raises(ValueError, match="mode"):
            CXIStore(put(tmp_path / "run.cxi", {DATA: frames(2)}), mode=mode)


class TestHandles:
    def test_are_read_only_whatever_the_mode(self, tmp_path):
        names = [put(tmp_path / f"{n}.cxi", {DATA: frames(1)}) for n in range(2)]
        for mode in ("r", "r+", "a"):
            with CXIStore(names, mode=mode) as store:
                handles = [store.file, *store.files(), *store.file_dict.values()]
                assert [handle.mode for handle in handles] == ["r"] * 5
                assert list(store.file_dict) == store.filenames() == names
                np.testing.assert_array_equal(store.file[DATA][...], frames(1))

    def test_a_store_is_true_until_it_is_closed(self, tmp_path):
        store = CXIStore(put(tmp_path / "run.cxi", {DATA: frames(1)}))
        assert store
        store.file.close()
        assert store
        assert len(store.load_attribute("data")) == 1
        store.close()
        assert not store
        store.open()
        assert store
        assert len(store.load_attribute("data")) == 1

    def test_a_context_closes_and_a_second_one_opens_again(self, tmp_path):
        store = CXIStore(put(tmp_path / "run.cxi", {DATA: frames(1)}))
        for _ in range(2):
            with store as opened:
                assert opened is store
                assert "data" in store
            assert not store

    def test_a_closed_store_says_so(self, tmp_path):
        store = CXIStore(put(tmp_path / "run.cxi", {DATA: frames(1)}), mode="a")
        lazy = store["data"]
        store.close()
        store.close()
        for call in (
            lambda: store.load_attribute("data"),
            lambda: store.save_attribute("distance", 1.0),
            lambda: lazy[0],
            lambda: store.file,
            store.files,
            store.indices,
            lambda: "data" in store,
            lambda: store["data"],
        ):
            with pytest.raises(ClosedStoreError):
                call()
        assert "closed" in repr(store)

    def test_files_are_opened_when_they_are_asked_for(self, tmp_path):
        names = factory.many_files(tmp_path, [frames(1)] * 5)
        store = CXIStore(names)
        assert open_in(tmp_path) == []
        assert store.file_dict[names[3]].filename == names[3]
        assert open_in(tmp_path) == [names[3]]

    def test_close_leaves_no_descriptor_open(self, tmp_path):
        names = factory.many_files(tmp_path, [frames(1)] * 5)
        with CXIStore(names) as store:
            store.load_attribute("data")
            assert open_in(tmp_path)
        assert open_in(tmp_path) == []


class TestNames:
    def test_may_be_a_path_a_string_a_list_or_a_glob_in_natural_order(self, tmp_path):
        parts = [frames(1, start=100 * n) for n in range(4)]
        names = factory.many_files(tmp_path, parts)  # run_8 ... run_11
        assert CXIStore(str(tmp_path / "run_*.cxi")).filenames() == names
        assert CXIStore(Path(names[0])).filenames() == names[:1]
        assert CXIStore(names[::-1]).filenames() == names[::-1]
        assert CXIStore(tuple(map(Path, names))).filenames() == names

    def test_a_glob_without_a_match_raises(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nothing_\*"):
            CXIStore(str(tmp_path / "nothing_*.cxi"))

    def test_no_name_at_all_raises(self):
        with pytest.raises((ValueError, FileNotFoundError)):
            CXIStore([])

    @pytest.mark.parametrize("name", ["Ω 1.cxi", "a[1].cxi", "x*y.cxi", "%d.cxi", "plain"])
    def test_may_hold_any_character_when_the_file_exists(self, tmp_path, name):
        assert len(CXIStore(put(tmp_path / name, {DATA: frames(1)}))) == 1


def test_library_code_never_prints(tmp_path, capfd):
    values = {DATA: frames(2), MASK: np.ones(3), DISTANCE: "text"}
    store = CXIStore(put(tmp_path / "run.cxi", values), mode="a")
    store.load_attribute("data", verbose=False)
    store.save_attribute("wavelength", 1.0)
    repr(store)
    assert store.problems
    with pytest.raises(AttributeMissingError):
        store.load_attribute("phase")
    store.close()
    assert capfd.readouterr() == ("", "")


class TestTheMapping:
    @pytest.fixture
    def store(self, tmp_path):
        return CXIStore(put(tmp_path / "run.cxi", {DATA: frames(3), **factory.attributes(3)}))

    def test_holds_what_was_found_in_the_protocols_order(self, store):
        found = {"data", "mask", "basis_vectors", "translations", "whitefield", "distance"}
        assert list(store) == [attr for attr in store.protocol if attr in {*found, "wavelength"}]
        assert len(store) == 7
        assert list(store.keys()) == list(store)
        assert [attr for attr, _ in store.items()] == list(store)
        assert [value.shape for value in store.values()] == [store[a].shape for a in store]

    def test_contains_only_what_a_file_has(self, store):
        assert "data" in store
        assert "phase" not in store
        assert "nonsense" not in store
        assert 5 not in store

    def test_what_is_not_there_raises_a_key_error(self, store):
        for attr in ("phase", "nonsense"):
            with pytest.raises(KeyError, match=attr):
                store[attr]
            with pytest.raises(ValueError, match=attr):
                store.load_attribute(attr)

    def test_indices_and_read_shape(self, store, tmp_path):
        np.testing.assert_array_equal(store.indices(), [0, 1, 2])
        assert store.read_shape() == (5, 7)
        empty = CXIStore(put(tmp_path / "empty.cxi", {"/nothing": 1}))
        assert len(empty.indices()) == 0
        assert empty.read_shape() == (0, 0)
        assert len(empty) == 0

    def test_find_dataset_is_where_it_was_found_or_would_be_saved(self, store):
        assert store.find_dataset("data") == DATA
        assert store.find_dataset("phase") == "/speckle_tracking/phase"

    def test_repr_is_a_table(self, store):
        text = repr(store)
        for attr in store:
            assert attr in text
        assert "uint16" in text
        assert "(3, 5, 7)" in text
        assert DATA in text

    def test_update_indices_sees_new_attributes(self, tmp_path):
        name = put(tmp_path / "run.cxi", {DATA: frames(1)})
        store = CXIStore(name)
        assert "distance" not in store
        store.close()
        put(name, {factory.DISTANCE: 1.0})
        store.open()
        assert "distance" in store


def test_a_store_sees_what_another_store_saved(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(10)}, chunks=(1, 5, 7))
    reader, writer = CXIStore(name), CXIStore(name, "r+")
    assert len(reader.load_attribute("data")) == 10
    writer.save_attribute("data", frames(3))
    np.testing.assert_array_equal(reader.load_attribute("data"), frames(3))
    writer.save_attribute("data", frames(2), mode="append")
    assert len(reader.load_attribute("data")) == 5
