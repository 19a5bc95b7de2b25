"""Links are followed to the dataset that they mean; where they lead nowhere, it is said where."""

import os

import h5py
import numpy as np
import pytest

import factory
from cxistack import AttributeMissingError, CXIError, CXIStore, LinkError
from factory import DATA, DETECTOR, frames, put


def opens(h5, path):
    """Tell whether HDF5 itself opens what is at a path."""
    try:
        return bool(h5[path])
    except KeyError:
        return False


@pytest.mark.parametrize("link", ["file", "path", "soft"])
def test_a_dangling_link_raises_and_is_named(tmp_path, link):
    name = factory.dangling_link(tmp_path, link)
    store = CXIStore(name)
    with pytest.raises(LinkError, match=rf"dangling_{link}.*gone|gone.*dangling_{link}"):
        store.load_attribute("data")
    (problem,) = store.problems
    assert problem.attribute == "data"
    assert "gone" in str(problem)
    assert "data" in store  # it is there, and broken: not the same as absent


@pytest.mark.parametrize("link", ["soft", "external"])
def test_a_circle_of_links_raises_and_is_named(tmp_path, link):
    with pytest.raises(LinkError, match=f"loop_{link}"):
        CXIStore(factory.link_loop(tmp_path, link)).load_attribute("data")


def test_a_virtual_dataset_over_itself_raises(tmp_path):
    layout = h5py.VirtualLayout((2, 5, 7), "uint16")
    layout[...] = h5py.VirtualSource("a.h5", DATA, (2, 5, 7))
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as h5:
        h5.create_virtual_dataset(DATA, layout)
    with pytest.raises(CXIError, match=r"a\.h5"):
        CXIStore(tmp_path / "a.h5").load_attribute("data")


def test_a_dangling_link_at_the_first_path_is_not_passed_over(tmp_path):
    name = put(tmp_path / "a.h5", {DATA: frames(2)})
    with h5py.File(name, "a") as h5:
        h5["/entry/data/data"] = h5py.ExternalLink("gone.h5", "/x")
    with pytest.raises(LinkError, match=r"gone\.h5"):
        CXIStore(name).load_attribute("data")


def test_a_dangling_link_in_a_group_of_datasets_raises(tmp_path):
    name = factory.external_master(tmp_path, [frames(2), frames(3), frames(1)])[0]
    (tmp_path / "data" / "part_1.h5").unlink()
    with pytest.raises(LinkError, match=r"part_1\.h5"):
        CXIStore(name).load_attribute("data")


def test_a_path_through_a_dataset_is_no_path(tmp_path):
    store = CXIStore(put(tmp_path / "a.h5", {DETECTOR: 5}))
    with pytest.raises(AttributeMissingError):
        store.load_attribute("data")


def test_a_path_through_a_broken_link_is_a_problem_or_absent_but_no_crash(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        h5["/entry_1/instrument_1"] = h5py.SoftLink("/gone")
    with pytest.raises(CXIError):
        CXIStore(tmp_path / "a.h5").load_attribute("data")


@pytest.mark.parametrize("target", ["../../raw/frames", "/raw/frames", "../../raw/../raw/frames"])
def test_soft_links_that_are_relative_resolve_as_hdf5_resolves_them(tmp_path, target):
    name = put(tmp_path / "a.h5", {"/raw/frames": frames(2)})
    with h5py.File(name, "a") as h5:
        h5[DATA] = h5py.SoftLink(target)
        follows = opens(h5, DATA)  # HDF5 knows no ".."
    store = CXIStore(name)
    if follows:
        np.testing.assert_array_equal(store.load_attribute("data"), frames(2))
    else:
        with pytest.raises(LinkError):
            store.load_attribute("data")


@pytest.mark.parametrize("target", ["./frames", "deeper/frames", "deeper/./frames"])
def test_soft_links_start_from_the_group_that_holds_them(tmp_path, target):
    where = "deeper/frames" if "deeper" in target else "frames"
    name = put(tmp_path / "a.h5", {f"{DETECTOR}/{where}": frames(2)})
    with h5py.File(name, "a") as h5:
        h5[DATA] = h5py.SoftLink(target)
        np.testing.assert_array_equal(h5[DATA][...], frames(2))
    np.testing.assert_array_equal(CXIStore(name).load_attribute("data"), frames(2))


def test_an_external_link_through_a_soft_linked_group(tmp_path):
    put(tmp_path / "raw.h5", {"/scan/detector/data": frames(2)})
    with h5py.File(tmp_path / "raw.h5", "a") as h5:
        h5["/latest"] = h5py.SoftLink("/scan")
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        h5["/entry_1/instrument_1"] = h5py.SoftLink("/elsewhere")
        h5["/elsewhere/detector_1"] = h5py.ExternalLink("raw.h5", "/latest/detector")
    np.testing.assert_array_equal(CXIStore(tmp_path / "a.h5").load_attribute("data"), frames(2))


def test_a_linked_name_is_found_from_the_folder_of_the_file_not_of_the_process(
    tmp_path, monkeypatch
):
    (tmp_path / "run").mkdir()
    (tmp_path / "here").mkdir()
    put(tmp_path / "here" / "raw.h5", {"/f": frames(1, start=500)})
    put(tmp_path / "run" / "raw.h5", {"/f": frames(1)})
    with h5py.File(tmp_path / "run" / "a.h5", "w") as h5:
        h5[DATA] = h5py.ExternalLink("raw.h5", "/f")
    monkeypatch.chdir(tmp_path / "here")
    with CXIStore("../run/a.h5") as store:
        np.testing.assert_array_equal(store.load_attribute("data"), frames(1))


def test_a_store_survives_a_change_of_folder(tmp_path, monkeypatch):
    put(tmp_path / "a.h5", {DATA: frames(1)})
    monkeypatch.chdir(tmp_path)
    store = CXIStore("a.h5")
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(store.load_attribute("data"), frames(1))


def test_a_symbolic_link_to_a_master_finds_what_is_beside_the_master(tmp_path):
    (tmp_path / "run").mkdir()
    names = factory.external_master(tmp_path / "run", [frames(2)])
    (tmp_path / "latest.h5").symlink_to(names[0])
    with h5py.File(tmp_path / "latest.h5") as h5:
        follows = opens(h5, "/entry/data/data/data_9")
    store = CXIStore(tmp_path / "latest.h5")
    if follows:  # as HDF5 does
        np.testing.assert_array_equal(store.load_attribute("data"), frames(2))
    else:
        with pytest.raises(LinkError, match="part_0"):
            store.load_attribute("data")


def test_a_symbolic_link_to_a_virtual_dataset_finds_its_sources_as_hdf5_does(tmp_path):
    (tmp_path / "run").mkdir()
    names = factory.virtual(tmp_path / "run", [frames(2, start=1)])
    (tmp_path / "latest.h5").symlink_to(names[0])
    with h5py.File(tmp_path / "latest.h5") as h5:
        follows = h5[DATA][...].any()  # zeros are HDF5's word for a source that is not there
    store = CXIStore(tmp_path / "latest.h5")
    if follows:
        np.testing.assert_array_equal(store.load_attribute("data"), frames(2, start=1))
    else:
        with pytest.raises(LinkError, match="source_0"):
            store.load_attribute("data")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_linked_file_that_may_not_be_read_raises_and_is_named(tmp_path):
    name = factory.external_master(tmp_path, [frames(2)])[0]
    (tmp_path / "data" / "part_0.h5").chmod(0)
    with pytest.raises(OSError, match=r"part_0\.h5"):
        CXIStore(name).load_attribute("data")


def test_names_in_any_script(tmp_path):
    put(tmp_path / "данные β.h5", {"/кадры/α β": frames(2)})
    with h5py.File(tmp_path / "главный.h5", "w") as h5:
        h5[DATA] = h5py.ExternalLink("данные β.h5", "/кадры/α β")
    loaded = CXIStore(tmp_path / "главный.h5").load_attribute("data")
    np.testing.assert_array_equal(loaded, frames(2))


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


def test_a_link_to_a_group_without_the_name_is_no_dangling_link(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(2)})
    with h5py.File(name, "r+") as h5:
        h5["/entry"] = h5py.SoftLink("/entry_1")
    store = CXIStore(name)
    assert not store.problems
    np.testing.assert_array_equal(store.load_attribute("data"), frames(2))
    assert "mask" not in store


def test_explain_shows_the_link_to_a_group_before_those_in_it(tmp_path):
    path = put(tmp_path / "a.h5", {"/stored/one": frames(3), "/inner/two": frames(2)})
    with h5py.File(path, "a") as h5:
        h5["/stored/two"] = h5py.SoftLink("/inner/two")
        h5[DATA] = h5py.SoftLink("/stored")
    with CXIStore(path) as store:
        told = store.explain("data")
    hops = [line.split("soft link ")[1] for line in told.splitlines() if "soft link" in line]
    to_group = f"{DATA} -> /stored"
    assert hops == [to_group, to_group, "/stored/two -> /inner/two"], told
