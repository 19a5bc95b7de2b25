"""Decisions on behaviour: Files (modes, handles, links) and threads."""

import contextlib
import gc
from pathlib import Path

import h5py
import numpy as np
import pytest

import factory
from cxistack import AttributeMissingError, ClosedStoreError, CXIError, CXIStore, ReadOnlyStoreError
from factory import DATA, DISTANCE, MASK, frames, put


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


class TestLinks:
    def outside(self, folder):
        """Return a file in folder/run whose `data` is in folder/elsewhere."""
        (folder / "elsewhere").mkdir()
        (folder / "run").mkdir()
        put(folder / "elsewhere" / "raw.h5", {"/frames": frames(2)})
        name = folder / "run" / "master.cxi"
        with h5py.File(name, "w") as h5:
            h5[DATA] = h5py.ExternalLink("../elsewhere/raw.h5", "/frames")
        return str(name)

    def test_are_followed_wherever_they_point_and_explain_shows_it(self, tmp_path):
        store = CXIStore(self.outside(tmp_path))
        np.testing.assert_array_equal(store.load_attribute("data"), frames(2))
        assert "raw.h5" in store.explain("data")

    def test_are_followed_by_absolute_name(self, tmp_path):
        raw = put(tmp_path / "raw.h5", {"/frames": frames(2)})
        with h5py.File(tmp_path / "m.h5", "w") as h5:
            h5[DATA] = h5py.ExternalLink(raw, "/frames")
        assert len(CXIStore(tmp_path / "m.h5").load_attribute("data")) == 2

    def test_are_followed_one_by_one_each_from_its_own_folder(self, tmp_path):
        for name in ("a", "a/b"):
            (tmp_path / name).mkdir()
        put(tmp_path / "a" / "b" / "raw.h5", {"/frames": frames(2)})
        with h5py.File(tmp_path / "a" / "middle.h5", "w") as h5:
            h5["/here"] = h5py.ExternalLink("b/raw.h5", "/frames")
        with h5py.File(tmp_path / "master.h5", "w") as h5:
            h5[DATA] = h5py.ExternalLink("a/middle.h5", "/here")
        store = CXIStore(tmp_path / "master.h5")
        np.testing.assert_array_equal(store.load_attribute("data"), frames(2))
        assert "middle.h5" in store.explain("data")

    def test_to_a_whole_group_are_followed(self, tmp_path):
        put(tmp_path / "raw.h5", {"/detector/data": frames(2)})
        with h5py.File(tmp_path / "m.h5", "w") as h5:
            h5["/entry/instrument/detector"] = h5py.ExternalLink("raw.h5", "/detector")
        assert len(CXIStore(tmp_path / "m.h5").load_attribute("data")) == 2

    def test_out_of_the_tree_are_refused_when_the_tree_is_asked_for(self, tmp_path):
        store = CXIStore(self.outside(tmp_path), links="tree")
        with pytest.raises(CXIError, match=r"raw\.h5"):
            store.load_attribute("data")
        assert [problem.attribute for problem in store.problems] == ["data"]

    def test_within_the_tree_are_followed_when_it_is_asked_for(self, tmp_path):
        names = factory.external_master(tmp_path, [frames(2), frames(1)])
        assert len(CXIStore(names, links="tree").load_attribute("data")) == 3

    def test_of_virtual_datasets_are_held_to_the_tree_too(self, tmp_path):
        name = factory.virtual(tmp_path, [frames(2)])[0]
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "run").mkdir()
        (tmp_path / "source_0.h5").rename(tmp_path / "elsewhere" / "source_0.h5")
        layout = h5py.VirtualLayout((2, 5, 7), "uint16")
        layout[...] = h5py.VirtualSource("../elsewhere/source_0.h5", "/frames", (2, 5, 7))
        name = tmp_path / "run" / "virtual.cxi"
        with h5py.File(name, "w", libver="latest") as h5:
            h5.create_virtual_dataset(DATA, layout)
        np.testing.assert_array_equal(CXIStore(name).load_attribute("data"), frames(2))
        with pytest.raises(CXIError, match=r"source_0\.h5"):
            CXIStore(name, links="tree").load_attribute("data")

    @pytest.mark.parametrize("links", ["tree", "follow"])
    def test_to_external_raw_storage_are_always_refused(self, tmp_path, links):
        name = factory.external_raw(tmp_path)
        with pytest.raises(CXIError, match=r"external\.cxi"):
            CXIStore(name, links=links).load_attribute("data")

    def test_another_policy_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="links"):
            CXIStore(put(tmp_path / "run.cxi", {DATA: frames(1)}), links="none")


class TestVirtualDatasets:
    def test_a_mapped_region_without_its_source_raises(self, tmp_path):
        store = CXIStore(factory.absent_source(tmp_path))
        with pytest.raises(CXIError, match=r"source_1\.h5"):
            store.load_attribute("data")
        assert [problem.attribute for problem in store.problems] == ["data"]

    def test_a_numbered_source_that_is_gone_is_never_fill(self, tmp_path):
        store = CXIStore(factory.absent_source_printf(tmp_path))
        with contextlib.suppress(CXIError):  # HDF5 ends such a dataset at the first gap
            np.testing.assert_array_equal(store.load_attribute("data"), frames(1), strict=True)

    def test_a_source_whose_dataset_is_gone_raises(self, tmp_path):
        name = factory.virtual(tmp_path, [frames(2), frames(2)])[0]
        with h5py.File(tmp_path / "source_1.h5", "a") as h5:
            del h5["/frames"]
        with pytest.raises(CXIError, match=r"source_1\.h5"):
            CXIStore(name).load_attribute("data")

    def test_a_source_that_became_too_small_raises(self, tmp_path):
        name = factory.virtual(tmp_path, [frames(2), frames(3)])[0]
        put(tmp_path / "source_1.h5", {"/frames": frames(2)}, "w")
        with pytest.raises(CXIError, match=r"source_1\.h5"):
            CXIStore(name).load_attribute("data")

    def test_an_unmapped_region_is_its_fill_value(self, tmp_path):
        name, expected = factory.virtual_with_a_hole(tmp_path, frames(3), fill=7)
        np.testing.assert_array_equal(CXIStore(name).load_attribute("data"), expected)


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

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
    def test_files_are_opened_when_they_are_asked_for(self, tmp_path):
        names = factory.many_files(tmp_path, [frames(1)] * 5)
        gc.collect()  # other tests' stores
        before = len(list(Path("/proc/self/fd").iterdir()))
        store = CXIStore(names)
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        assert store.file_dict[names[3]].filename == names[3]
        assert len(list(Path("/proc/self/fd").iterdir())) == before + 1

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
    def test_close_leaves_no_descriptor_open(self, tmp_path):
        names = factory.many_files(tmp_path, [frames(1)] * 5)
        gc.collect()  # other tests' stores
        before = len(list(Path("/proc/self/fd").iterdir()))
        with CXIStore(names) as store:
            store.load_attribute("data")
        assert len(list(Path("/proc/self/fd").iterdir())) == before


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


class TestThreadsAndProgress:
    @pytest.mark.parametrize("processes", [None, 1, 2, 7])
    def test_the_result_does_not_depend_on_the_number_of_workers(self, tmp_path, processes):
        parts = [frames(5), frames(4, start=999)]
        store = CXIStore(factory.many_files(tmp_path, parts))
        idxs = [8, 0, 3, 3, 5]
        for options in ({"processes": processes}, {"num_threads": processes}):
            loaded = store.load_attribute("data", idxs, **options)
            np.testing.assert_array_equal(loaded, np.concatenate(parts)[idxs])

    @pytest.mark.parametrize("processes", [0, -1, 1.5, "2"])
    def test_a_number_that_is_none_is_refused(self, tmp_path, processes):
        store = CXIStore(put(tmp_path / "run.cxi", {DATA: frames(2)}))
        with pytest.raises((ValueError, TypeError)):
            store.load_attribute("data", processes=processes)

    def test_two_names_of_one_thing_must_agree(self, tmp_path):
        store = CXIStore(put(tmp_path / "run.cxi", {DATA: frames(2)}))
        with pytest.raises(ValueError, match="num_threads"):
            store.load_attribute("data", processes=1, num_threads=2)

    def test_library_code_never_prints(self, tmp_path, capfd):
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
