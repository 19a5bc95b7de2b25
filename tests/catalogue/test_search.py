"""Files of a run are looked into by what is known of those before: nothing that differs is missed.

The oracle is the way of a file that is like no other: each path is asked for, whatever other files
have.
"""

from dataclasses import astuple, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import CXIProtocol, CXIStore
from cxistack.catalogue.catalogue import Catalogue
from cxistack.catalogue.detectors import Chosen
from cxistack.hdf5.files import Files
from cxistack.hdf5.links import Place
from cxistack.hdf5.stored import describe
from factory import frames, put
from factory.folders import fast_folder

FIRST, SECOND, INSIDE = "/first/data", "/second/data", "/first/data/data"
PLACES = ("/first", "/second", FIRST, SECOND, "/first/x", "/second/x", "/first/data/data")
PROTOCOL = CXIProtocol(
    {"data": "number", "x": "float", "mask": "bool", "columns": "float", "module": "uint"},
    {
        "data": [FIRST, "second//./data/", INSIDE],
        "x": ["/first/x", "/second/x", "/first/data/x"],
        "mask": ["/second/{detector_1}/mask", "/first/data"],
        "columns": ["(/first/x, /second/x)", "/second/data"],
        "module": ["/second/{module}/data", "/second/x"],
    },
    {"data": "stack", "mask": "stack", "columns": "sequence", "module": "stack"},
    units={"x": ["m", "mm", "s"]},
)


def stored_as(h5, path, **how):
    shape, dtype = how.pop("shape", (2, 3, 4)), how.pop("dtype", "u2")
    units = how.pop("units", None)
    dataset = h5.create_dataset(path, shape, dtype, **how)
    if dataset.dtype.kind in "biufc":
        dataset[...] = 1
    if units is not None:
        dataset.attrs["units"] = units


def in_a_group(h5, path, names, **how):
    for name in names:
        stored_as(h5, f"{path}/{name}", **how)


def linked(h5, path, link):
    h5[path] = link


def of_a_named_type(h5, path):
    h5[f"{path}_type"] = np.dtype("u2")
    h5.create_dataset(path, (2, 3, 4), h5[f"{path}_type"])


def external_raw(h5, path):
    h5.create_dataset(path, (2, 3, 4), "u2", external=[("raw.bin", 0, 48)])


def virtual(h5, path):
    h5.require_dataset("/away/data", (2, 3, 4), "u2")
    layout = h5py.VirtualLayout((2, 3, 4), "u2")
    layout[...] = h5py.VirtualSource(".", "/away/data", (2, 3, 4))
    h5.create_virtual_dataset(path, layout)


def beside_many(h5, path):
    stored_as(h5, path)
    for number in range(250):
        h5[f"{path.rpartition('/')[0]}/other_{number}"] = number


def a_hard_link(h5, path):
    h5.require_dataset("/away/data", (2, 3, 4), "u2")
    h5[path] = h5["/away/data"]


SHAPES = st.sampled_from([(2, 3, 4), (3, 4), (5, 3, 4), (2,), (), (0, 3, 4), (1, 2, 3, 4)])
TYPES = st.sampled_from(["u2", ">u2", "f4", "i8", "?", "c8", h5py.string_dtype(), "S5", "V3"])
STORAGES = st.sampled_from(
    [
        {},
        {"chunks": True},
        {"chunks": True, "compression": "gzip"},
        {"chunks": True, "shuffle": True},
        {"chunks": True, "fletcher32": True},
    ]
)
UNITS = st.sampled_from([None, "m", "mm", np.bytes_(b"mm"), "", "parsec^3", ["m", "m"]])
DATASETS = st.builds(
    lambda shape, dtype, units, storage: (
        stored_as,
        {"shape": shape, "dtype": dtype, "units": units}
        | ({} if shape in ((), (0, 3, 4)) or dtype in ("V3",) else storage),
    ),
    SHAPES,
    TYPES,
    UNITS,
    STORAGES,
)
OTHERS = st.sampled_from(
    [
        (of_a_named_type, {}),
        (external_raw, {}),
        (virtual, {}),
        (beside_many, {}),
        (a_hard_link, {}),
        (linked, {"link": np.dtype("u2")}),
        (linked, {"link": h5py.Empty("u2")}),
        (linked, {"link": h5py.SoftLink("/away/data")}),
        (linked, {"link": h5py.SoftLink("/nowhere")}),
        (linked, {"link": h5py.SoftLink("/first")}),
        (linked, {"link": h5py.ExternalLink("away.h5", "/data")}),
        (linked, {"link": h5py.ExternalLink("lost.h5", "/data")}),
        (in_a_group, {"names": ["data", "x"]}),
        (in_a_group, {"names": ["data"]}),
        (in_a_group, {"names": ["1/data", "detector_1/mask", "4/data"]}),
        (in_a_group, {"names": ["part_1", "part_2", "axis"]}),
        (in_a_group, {"names": []}),
    ]
)
CHANGES = st.dictionaries(st.sampled_from(PLACES), DATASETS | OTHERS, max_size=5)
RUNS = st.lists(st.tuples(CHANGES, st.sampled_from([{}, {"libver": "latest"}])), max_size=3)


def write(path, things, **options):
    with h5py.File(path, "w", **options) as h5:
        for place, (make, how) in sorted(things.items()):
            try:
                make(h5, place, **how)
            except (ValueError, OSError, TypeError, KeyError, RuntimeError):
                continue  # something else is on its way there
    return str(path)


def told(found):
    """Return what there is, so that it can be compared: errors by their words."""
    if found is None:
        return None
    datasets = [
        (astuple(replace(one, assembly=None)), one.assembly and one.assembly.pieces)
        for one in (*found.datasets, *found.also)
    ]
    why = None if found.error is None else (type(found.error), str(found.error))
    return found.file, found.path, datasets, why, found.modules


def differences(names, protocol=PROTOCOL, chosen=Chosen(), attrs=None):  # noqa: B008 (frozen)
    """Return what is not found as it is in a file that is like no other."""
    files = Files(tuple(names))
    catalogue = Catalogue(files, range(len(names)), protocol, "follow", chosen)
    wrong = []
    search = catalogue._search(list(attrs or protocol))
    for number in range(len(names)):
        found = search.found(number)
        for attr in attrs or protocol:
            wanted = protocol.attribute(attr)
            plain = catalogue._look(number, wanted)
            if told(found.get(attr)) != told(plain):
                wrong.append((number, attr, told(found.get(attr)), told(plain)))
    return wrong


@settings(max_examples=200)
@given(
    base=CHANGES,
    changes=RUNS,
    order=st.permutations(range(6)),
    chosen=st.sampled_from([Chosen(), Chosen(), Chosen(detector="detector_1")]),
    attrs=st.sampled_from([None, ["data"], ["x", "mask"]]),
)
def test_every_file_of_a_run_is_found_to_have_what_it_has(base, changes, order, chosen, attrs):
    with fast_folder() as name:
        folder = Path(name)
        write(folder / "away.h5", {"/data": (stored_as, {})})
        kinds = [({**base, **change}, how) for change, how in [({}, {}), *changes]]
        some = [kinds[k % len(kinds)] for k in order]
        names = [write(folder / f"{k}.h5", *one[:1], **one[1]) for k, one in enumerate(some)]
        assert differences(names, chosen=chosen, attrs=attrs) == []


LIKE = {FIRST: (stored_as, {}), "/first/x": (stored_as, {"shape": (), "dtype": "f8", "units": "m"})}
UNLIKE = {
    "shape": {FIRST: (stored_as, {"shape": (3, 3, 4)})},
    "type": {FIRST: (stored_as, {"dtype": "i2"})},
    "byte order": {FIRST: (stored_as, {"dtype": ">u2"})},
    "chunks": {FIRST: (stored_as, {"chunks": (1, 3, 4)})},
    "filter": {FIRST: (stored_as, {"chunks": (2, 3, 4), "compression": "gzip"})},
    "unit": {"/first/x": (stored_as, {"shape": (), "dtype": "f8", "units": "mm"})},
    "no unit": {"/first/x": (stored_as, {"shape": (), "dtype": "f8"})},
    "null": {"/first/x": (linked, {"link": h5py.Empty("f8")})},
    "raw file": {FIRST: (external_raw, {})},
    "soft link": {
        FIRST: (linked, {"link": h5py.SoftLink("/second/data")}),
        SECOND: (stored_as, {}),
    },
    "group": {FIRST: (in_a_group, {"names": ["part_1", "part_2"]})},
    "missing": {FIRST: (linked, {"link": np.dtype("u2")})},
    "earlier": {"/first/z": (stored_as, {}), FIRST: (stored_as, {"shape": (7, 3, 4)})},
}


@pytest.mark.parametrize("where", [0, 1, 2])
@pytest.mark.parametrize("kind", list(UNLIKE))
def test_the_one_file_that_differs_is_told_from_others(tmp_path, kind, where):
    runs = [LIKE, LIKE, LIKE]
    runs[where] = {**LIKE, **UNLIKE[kind]}
    names = [write(tmp_path / f"{number}.h5", things) for number, things in enumerate(runs)]
    assert differences(names) == []


def test_a_dataset_at_an_earlier_path_of_one_file_is_found(tmp_path):
    protocol = CXIProtocol({"data": "uint"}, {"data": [FIRST, SECOND]}, {"data": "stack"})
    names = [put(tmp_path / f"{n}.h5", {SECOND: frames(2, start=100 * n)}) for n in range(3)]
    put(tmp_path / "1.h5", {FIRST: frames(2, start=500)})
    expected = np.concatenate([frames(2), frames(2, start=500), frames(2, start=200)])
    np.testing.assert_array_equal(CXIStore(names, protocol=protocol)["data"][...], expected)


def test_many_links_in_a_group_are_not_listed_and_found_all_the_same(tmp_path):
    kinds = [
        {FIRST: (beside_many, {})},
        {SECOND: (beside_many, {})},
        {"/first/z": (beside_many, {})},
    ]
    names = [write(tmp_path / f"{number}.h5", kind) for number, kind in enumerate(kinds)]
    assert differences(names) == []


def test_a_file_with_a_user_block_has_the_same_addresses(tmp_path):
    names = [write(tmp_path / f"{n}.h5", LIKE, userblock_size=512 * n) for n in (0, 1, 2)]
    assert differences(names) == []


def test_what_a_link_says_is_the_address_by_which_a_dataset_is_known(tmp_path):
    path = write(tmp_path / "a.h5", {**LIKE, SECOND: (a_hard_link, {})}, libver="latest")
    files = Files((path,))
    catalogue = Catalogue(files, (0,), PROTOCOL, "follow")
    for attr in ("data", "x"):
        stored = catalogue.found(attr)[0].datasets[0]
        place = Place(path, stored.place.path, (), True)
        assert stored.address == describe(files, place).address


@pytest.mark.parametrize("name", CXIProtocol.names())
def test_files_of_a_built_in_protocol_are_found_as_they_are(tmp_path, name):
    """Each path of the protocol is in a file of its own, and all are in one."""
    protocol = CXIProtocol.import_named(name)
    plain = [
        path
        for attr in protocol
        for path in protocol.attribute(attr).paths
        if "module" not in path and not path.startswith("(")
    ]
    plain = list(dict.fromkeys(plain))[::3]
    runs = [{path: (stored_as, {})} for path in plain] + [dict.fromkeys(plain, (stored_as, {}))]
    names = [write(tmp_path / f"{number}.h5", run) for number, run in enumerate(runs)]
    assert differences(names, protocol) == []


def test_a_mask_of_several_parts_comes_first_though_another_path_is_there(tmp_path):
    parts = {f"/entry/detector/{name}": np.eye(3, 4, dtype="u4") for name in ("pixel_mask", "data")}
    protocol = CXIProtocol(
        {"mask": "bool", "data": "uint"},
        {
            "mask": ["/first/mask", "/entry/{detector}/pixel_mask"],
            "data": ["/entry/{detector}/data"],
        },
        {"mask": "stack", "data": "stack"},
        conventions={"mask": ["good", "nexus"]},
    )
    trees = [
        {"/first/mask": np.ones((3, 4), bool)},
        parts,
        {"/first/mask": np.eye(3) == 1, **parts},
    ]
    names = [put(tmp_path / f"{number}.h5", tree) for number, tree in enumerate(trees)]
    assert differences(names, protocol) == []


def test_what_is_of_another_detector_than_the_one_named_is_left_out(tmp_path):
    protocol = CXIProtocol(
        {"data": "uint", "x": "float"},
        {"data": ["/entry/data", "/entry/{detector_1}/data"], "x": ["/entry/detector_1/x", "/x"]},
        {"data": "stack"},
    )
    tree = {f"/entry/detector_{n}/data": frames(2, start=n) for n in (1, 2)}
    tree |= {"/entry/detector_1/x": np.float64(1), "/x": np.float64(2)}
    names = [put(tmp_path / f"{number}.h5", tree) for number in range(2)]
    for name in names:
        with h5py.File(name, "r+") as h5:
            h5["/entry/data"] = h5["/entry/detector_1/data"]
    for detector in ("detector_1", "detector_2", None):
        assert differences(names, protocol, Chosen(detector)) == []


def test_a_damaged_group_in_one_file_is_told_of_as_it_is(tmp_path):
    names = [write(tmp_path / f"{number}.h5", LIKE) for number in range(3)]
    whole = Path(names[1]).read_bytes()
    places = [k for k in range(len(whole)) if whole.startswith(b"HEAP", k)]
    assert len(places) == 2  # of the root, and of /first
    for place in places:
        Path(names[1]).write_bytes(whole[:place] + b"LOST" + whole[place + 4 :])
        assert differences(names) == []
        assert len(CXIStore(names, protocol=PROTOCOL).problems) > 0


def test_nothing_that_is_kept_of_a_file_keeps_it_open(tmp_path):
    names = [write(tmp_path / f"{n}.h5", {FIRST: (of_a_named_type, {})}) for n in range(2)]
    store = CXIStore(names, protocol=PROTOCOL)
    search = store._catalogue._search(["data"])
    assert [search.found(number)["data"].error for number in range(2)] == [None, None]
    store.close()
    for name in names:
        with h5py.File(name, "r+") as h5:  # HDF5 refuses while it is open for reading
            h5["new"] = 1
