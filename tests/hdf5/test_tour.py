"""A tour sees every object of a file once, under all its names, whatever links there are."""

import re

import h5py
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from cxistack.hdf5.files import Files
from cxistack.hdf5.links import resolve
from cxistack.hdf5.tour import groups_of_class, tour
from factory import absent_source, external_raw, link_loop, put

NAMES = st.sampled_from(["a", "b", "c", "data", "mask_1", "ö"])


def toured(file, links="follow"):
    files = Files((str(file),))
    try:
        return tour(files, files.paths[0], links)
    finally:
        files.release()


def walked(h5):
    """Return the paths of all objects under hard links, an object once, by plain h5py."""
    found = {"/": None}

    def look(name, thing):
        found[f"/{name}"] = thing.shape if isinstance(thing, h5py.Dataset) else None

    h5.visititems(look)
    return found


@given(
    st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=4), st.booleans()), max_size=12),
    st.lists(st.tuples(NAMES, st.lists(NAMES, max_size=3)), max_size=4),
)
def test_any_tree_is_seen_as_h5py_sees_it(tmp_path_factory, paths, links):
    file = tmp_path_factory.mktemp("tree") / "tree.h5"
    with h5py.File(file, "w") as h5:
        for pieces, is_dataset in paths:
            path = "/" + "/".join(pieces)
            above = ["/" + "/".join(pieces[:n]) for n in range(1, len(pieces))]
            if path in h5 or any(isinstance(h5.get(one), h5py.Dataset) for one in above):
                continue
            if is_dataset:
                h5[path] = np.zeros((len(pieces), 2))
            else:
                h5.create_group(path)
        for name, target in links:
            if f"/link_{name}" not in h5:
                h5[f"/link_{name}"] = h5py.SoftLink("/" + "/".join(target))
        expected = walked(h5)
        dangling = {f"/link_{name}" for name, _ in links if h5.get(f"/link_{name}") is None}
    seen = toured(file)
    assert {path: one.shape for path, one in seen.seen.items()} == expected
    assert set(seen.troubles) == dangling


def test_a_hard_link_is_another_name_not_another_object(tmp_path):
    file = put(tmp_path / "a.h5", {"/x/data": np.zeros((2, 3))})
    with h5py.File(file, "a") as h5:
        h5["/y"] = h5["/x/data"]
        h5["/x/back"] = h5["/"]
    seen = toured(file)
    assert len(seen.datasets) == 1
    assert set(seen.datasets[0].paths) == {"/x/data", "/y"}
    assert set(seen.seen["/"].paths) == {"/", "/x/back"}


def test_groups_in_other_files_are_walked_into_and_circles_end(tmp_path):
    for name, other in (("a", "b"), ("b", "a")):
        put(tmp_path / f"{name}.h5", {f"/in_{name}": np.zeros(3)})
        with h5py.File(tmp_path / f"{name}.h5", "a") as h5:
            h5["/other"] = h5py.ExternalLink(f"{other}.h5", "/")
    seen = toured(tmp_path / "a.h5")
    assert {one.path for one in seen.datasets} == {"/in_a", "/other/in_b"}
    assert seen.seen["/other/in_b"].place.filename.endswith("b.h5")
    assert seen.at("/other/other/in_a") is seen.seen["/in_a"]
    assert seen.troubles == {}


def test_links_out_of_the_tree_are_told_and_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    put(tmp_path / "out.h5", {"/x": np.zeros(3)})
    with h5py.File(tmp_path / "in" / "a.h5", "w") as h5:
        h5["/link"] = h5py.ExternalLink("../out.h5", "/")
    assert "/link/x" in toured(tmp_path / "in" / "a.h5").seen
    seen = toured(tmp_path / "in" / "a.h5", "tree")
    assert set(seen.seen) == {"/"}
    assert "outside" in seen.troubles["/link"]


@pytest.mark.parametrize("link", ["soft", "external"])
def test_links_in_a_circle_are_told(tmp_path, link):
    seen = toured(link_loop(tmp_path, link))
    assert seen.datasets == []
    assert seen.troubles


def test_how_a_dataset_is_stored_is_told_without_reading_it(tmp_path):
    (tmp_path / "v").mkdir()
    file = tmp_path / "a.h5"
    with h5py.File(file, "w") as h5:
        h5.create_dataset("chunked", data=np.zeros((4, 4)), chunks=(2, 4))
        h5["contiguous"] = np.zeros((4, 4))
        h5["null"] = h5py.Empty("f8")
        h5["kind"] = np.dtype("i4")
    seen = toured(file).seen
    assert seen["/chunked"].storage == "chunked"
    assert seen["/contiguous"].storage == "contiguous"
    assert seen["/null"].shape == ()
    assert "/kind" not in seen
    assert toured(absent_source(tmp_path / "v")).datasets[0].storage == "virtual"
    assert toured(external_raw(tmp_path)).datasets[0].storage == "external"


def test_attributes_that_tell_what_it_is_come_as_text_and_numbers(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        h5.attrs["default"] = np.bytes_("entry")
        h5["x"] = np.zeros(3)
        h5["x"].attrs["units"] = np.array([b"mm"])
        h5["x"].attrs["axes"] = ["a", "b"]
        h5["x"].attrs["signal"] = np.int32(1)
        h5["x"].attrs["history"] = "not read"
        h5["cxi_version"] = np.array([160])
    seen = toured(tmp_path / "a.h5").seen
    assert seen["/"].attributes == {"default": "entry"}
    assert seen["/x"].attributes == {"units": "mm", "axes": ["a", "b"], "signal": 1}
    assert seen["/cxi_version"].value == 160


def test_a_walk_may_begin_below_and_stay_in_the_file(tmp_path):
    put(tmp_path / "b.h5", {"/inside/x": np.zeros(3)})
    file = put(tmp_path / "a.h5", {"/one/x": np.zeros(3), "/two/y": np.zeros(2), "/three": 1})
    with h5py.File(file, "a") as h5:
        h5["/one/two"] = h5py.SoftLink("/two")
        h5["/one/other"] = h5py.ExternalLink("b.h5", "/inside")
        h5["/one/gone"] = h5py.SoftLink("/nowhere")
    seen = tour(Files((file,)), file, begin=["/one", "/absent"])
    assert set(seen.seen) == {"/one", "/one/x", "/one/two", "/one/two/y", "/one/other"}
    assert seen.names_in("/one") == ["other", "two", "x"]
    assert set(seen.troubles) == {"/one/gone"}


def test_damaged_metadata_is_told_and_never_a_crash(tmp_path):
    file = put(tmp_path / "a.h5", {f"/g{n}/data": np.zeros((3, 4)) for n in range(8)})
    whole = (tmp_path / "a.h5").read_bytes()
    told = 0
    for at in range(800, len(whole) - 8, 97):
        (tmp_path / "a.h5").write_bytes(whole[:at] + b"\xff" * 8 + whole[at + 8 :])
        try:
            told += bool(toured(file).troubles)
        except OSError:
            told += 1
    assert told


def test_groups_of_a_class_are_known_by_it_and_by_name_only_where_none_is_said(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        for name, said in {
            "detector_10": None,
            "detector_9": None,
            "detector_2": "NXnote",
            "eiger": "NXdetector",
            "beam": None,
        }.items():
            group = h5.create_group(f"/instrument/{name}")
            if said is not None:
                group.attrs["NX_class"] = said
        h5["/instrument/detector_3"] = 1
    file = str(tmp_path / "a.h5")
    files = Files((file,))
    parent = resolve(files, file, "/instrument")
    named = re.compile(r"detector_[0-9]+")
    found = groups_of_class(files, parent, "NXdetector", named)
    files.release()
    assert found == ["detector_9", "detector_10", "eiger"]
