"""A protocol says what attributes are and where; it never guesses and never forgets."""

import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from cxistack import kernels
from cxistack.errors import AttributeMissingError, CastError, LayoutError, LinkError, ProtocolError
from cxistack.protocol.attribute import LoadPath
from cxistack.protocol.protocol import CXIProtocol
from factory import ROOT

SEED = "shared/seed/working_with_cxi_files.txt"


def small(**fields):
    parts = {
        "datatypes": {"data": "uint", "mask": "bool", "energy": "float"},
        "load_paths": {"data": ["/a", "/b"], "mask": ["/m"], "energy": ["/e"]},
        "kinds": {"data": "stack", "mask": "stack", "energy": "scalar"},
    }
    return CXIProtocol(**(parts | fields))


def seed_listing():
    """Return the three listings of the requirement, as lists of lines."""
    roots = [ROOT.parent]
    if "CXISTACK_SHARED" in os.environ:
        roots.insert(0, Path(os.environ["CXISTACK_SHARED"]).parent)
    for root in roots:
        if (root / SEED).is_file():
            text = (root / SEED).read_text(encoding="utf-8")
            break
    else:
        pytest.skip(f"the requirement ({SEED}) is not beside this repository")
    listings: list[list[str]] = [[]]
    for line in text.split("The protocol is given by:")[1].splitlines():
        if " = " in line:
            listings[-1].append(line)
        elif listings[-1]:
            listings.append([])
    return [listing for listing in listings if listing]


def test_the_default_protocol_is_that_of_the_requirement():
    datatypes, load_paths, kinds = seed_listing()
    default = CXIProtocol.import_default()
    assert [f"{attr} = {value}" for attr, value in default.datatypes.items()] == datatypes
    assert [f"{attr} = {value}" for attr, value in default.kinds.items()] == kinds
    expected = {}
    for line in load_paths:
        attr, paths = line.split(" = ")
        expected[attr] = tuple(path.strip() for path in paths.strip("[]").split(",") if path)
    assert list(default.load_paths.items()) == list(expected.items())


def test_the_default_protocol_knows_the_usual_attributes():
    default = CXIProtocol.import_default()
    assert len(default) == 19
    assert list(default)[:2] == ["basis_vectors", "data"]
    assert default.load_paths["data"] == (
        "/entry/data/data",
        "/entry/instrument/detector/data",
        "/entry_1/instrument_1/detector_1/data",
        "/entry_1/data_1/data",
    )
    assert default.load_paths["phase"] == ("/speckle_tracking/phase",)
    assert default.datatypes["good_frames"] == "uint"
    assert default.kinds["reference_image"] == "scalar"
    assert dict(default.conventions) == {"mask": ("good", "good", "cxi", "cxi")}
    assert CXIProtocol.import_default() == default


def test_a_protocol_is_a_value():
    one, same = small(), small()
    assert one == same
    assert hash(one) == hash(same)
    assert pickle.loads(pickle.dumps(one)) == one
    assert one != one.replace(kinds={**one.kinds, "energy": "sequence"})
    with pytest.raises(TypeError):
        one.datatypes["data"] = "int"
    with pytest.raises(AttributeError):
        one.datatypes = {}
    given = {"data": ["/a"]}
    protocol = CXIProtocol({"data": "uint"}, given)
    given["data"].append("/b")
    assert protocol.load_paths == {"data": ("/a",)}


def test_a_subclass_stays_one():
    class Mine(CXIProtocol):
        pass

    default = Mine.import_default()
    assert type(default) is Mine
    assert type(default.add_attribute("a", "int", "/a", "scalar")) is Mine
    assert repr(default) == "Mine(datatypes={...}, load_paths={...}, kinds={...})"


def test_printing_shows_where_attributes_are():
    lines = str(small(conventions={"mask": ["cxi"]})).splitlines()
    assert lines == [
        "attribute  type   kind    paths",
        "data       uint   stack   /a",
        "                          /b",
        "mask       bool   stack   /m (cxi)",
        "energy     float  scalar  /e",
    ]
    assert repr(small()) == "CXIProtocol(datatypes={...}, load_paths={...}, kinds={...})"


def test_what_datatypes_do_not_name_is_left_out():
    protocol = small(datatypes={"energy": "float"})
    assert list(protocol) == list(protocol.load_paths) == list(protocol.kinds) == ["energy"]
    assert "data" not in protocol
    assert small(kinds={}).get_kind("data") == "scalar"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"datatypes": {"data": "complex"}}, r"\[datatypes\], key data: 'complex'"),
        ({"datatypes": {"data 1": "int"}}, r"\[datatypes\], key data 1: .* identifier"),
        ({"load_paths": {}}, r"\[load_paths\], key data: .* at least one path"),
        ({"load_paths": {"data": [""]}}, r"\[load_paths\], key data: ''"),
        ({"load_paths": {"data": ["/a\0"]}}, r"\[load_paths\], key data"),
        ({"load_paths": {"data": [7]}}, r"\[load_paths\], key data: 7 is not a string"),
        ({"kinds": {"data": "image"}}, r"\[kinds\], key data: 'image'"),
        ({"conventions": {"data": ["cxi", "cxi"]}}, r"\[conventions\], key data: only masks"),
        ({"conventions": {"mask": ["cxi", "cxi"]}}, r"key mask: 2 are given for 1 load paths"),
        ({"conventions": {"mask": "bad"}}, r"\[conventions\], key mask: 'bad' is not one of"),
    ],
)
def test_a_faulty_protocol_is_refused_by_section_and_key(fields, message):
    with pytest.raises(ProtocolError, match=message):
        small(**fields)


def test_attributes_are_added_to_a_new_protocol():
    first = small()
    second = first.add_attribute("flags", "bool", ["/f", "/g"], "stack", "nexus")
    assert "flags" not in first
    assert list(second) == [*first, "flags"]
    assert second.conventions["flags"] == ("nexus", "nexus")
    third = second.add_attribute("flags", "bool", ["/f", "/g"], "frame", ["cxi", "good"])
    assert third.get_convention("flags", "/g") == "good"
    assert third.get_convention("flags", "/elsewhere") is None
    assert third.get_convention("data", "/a") is None
    assert third.add_attribute("flags", "uint", "/f", "frame").conventions == {}


def test_a_mask_keeps_its_conventions_path_by_path():
    default = CXIProtocol.import_default()
    paths = ["/my/mask", *default.load_paths["mask"][2:]]
    changed = default.replace(load_paths={**default.load_paths, "mask": paths})
    assert changed.conventions == {"mask": ("good", "cxi", "cxi")}
    raw = default.replace(datatypes={**default.datatypes, "mask": "uint"})
    assert raw.conventions == {}


def test_unknown_attributes_have_the_value_that_is_given():
    protocol = small()
    assert protocol.get_load_paths("gain") is None
    assert protocol.get_load_paths("gain", []) == []
    assert protocol.get_kind("gain") == "scalar"
    assert protocol.get_kind("gain", "none") == "none"
    assert protocol.get_ndim("gain") == 0
    assert protocol.get_ndim("data") == (3,)
    with pytest.raises(AttributeMissingError, match="'gain'"):
        protocol.get_dtype("gain")


TYPED = CXIProtocol(
    {"f": "float", "i": "int", "u": "uint", "b": "bool", "s": "str"},
    {name: [f"/{name}"] for name in "fiubs"},
)


@pytest.mark.parametrize(
    ("attr", "stored", "loaded"),
    [
        ("f", "f2", "f2"), ("f", ">f4", ">f4"), ("f", "g", "g"),
        ("f", "i1", "f8"), ("f", "u8", "f8"), ("f", "?", "f8"),
        ("i", "i2", "i2"), ("i", "u2", "i2"), ("i", ">u4", "i4"), ("i", "?", "i8"),
        ("u", "u1", "u1"), ("u", "i8", "u8"), ("u", "i4", "u4"), ("u", "?", "u8"),
        ("b", "?", "?"), ("b", "u4", "?"), ("b", "f4", "?"),
        ("s", "S3", "S3"), ("s", "U2", "U2"), ("s", "O", "O"),
        ("f", None, "f8"), ("i", None, "i8"), ("u", None, "u8"), ("b", None, "?"),
        ("s", None, "O"),
    ],
)  # fmt: skip
def test_a_type_is_kept_within_its_family(attr, stored, loaded):
    assert TYPED.get_dtype(attr, stored) == np.dtype(loaded)


@pytest.mark.parametrize(
    ("attr", "stored"),
    [("i", "f4"), ("u", "f8"), ("f", "c8"), ("s", "i4"), ("f", "O"), ("b", "S1"), ("u", "M8[s]")],
)
def test_a_type_that_has_no_default_conversion_raises(attr, stored):
    with pytest.raises(CastError, match=r"dtype=.* protocol"):
        TYPED.get_dtype(attr, stored)


def test_data_of_the_family_is_cast_to_itself():
    data = np.arange(3, dtype=">u2")
    assert TYPED.cast("u", data) is data
    assert TYPED.cast("s", "beam").dtype == np.dtype("U4")


@pytest.mark.skipif(not hasattr(kernels, "cast"), reason="cxistack.kernels.cast is not built yet")
def test_cast_changes_no_value():
    np.testing.assert_array_equal(TYPED.cast("f", [1, 2]), np.array([1.0, 2.0]))
    assert TYPED.cast("u", np.array([1, 2], "i4")).dtype == np.uint32
    with pytest.raises(CastError):
        TYPED.cast("u", np.array([1, -1], "i4"))


@pytest.fixture
def run(tmp_path):
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["b"] = np.zeros((4, 2, 3))
        file["e"] = 1.5
        file["m"] = np.ones((2, 3), bool)
        yield file


def test_the_first_path_that_is_there_counts(run):
    protocol = small()
    assert protocol.find_path("data", run) == "/b"
    run["a"] = np.zeros((1, 2, 3))
    assert protocol.find_path("data", run) == "/a"
    assert protocol.find_path("gain", run) == ""
    assert protocol.read_attribute_shapes("energy", run) == {"/e": ()}
    assert protocol.read_attribute_shapes("gain", run) == {}


def test_a_link_that_leads_nowhere_is_not_passed_over(run):
    for link in (h5py.ExternalLink("absent.h5", "x"), h5py.SoftLink("/absent")):
        run["a"] = link
        assert small().find_path("data", run) == "/a"
        with pytest.raises(LinkError, match=r"run\.h5: /a leads nowhere"):
            small().read_attribute_indices("data", [run])
        del run["a"]
        run["entry"] = link
        cut = small(load_paths={**small().load_paths, "data": ["/none/x", "/entry/data/x", "/b"]})
        assert cut.find_path("data", run) == "/entry/data/x"
        with pytest.raises(LinkError, match=r"run\.h5: /entry/data/x leads nowhere"):
            cut.read_attribute_shapes("data", run)
        del run["entry"]
    beneath = small(load_paths={**small().load_paths, "data": ["/e/x", "/b"]})
    assert beneath.find_path("data", run) == "/b"


def test_a_group_stands_for_its_datasets_once_and_in_natural_order(run):
    group = run.create_group("a")
    for number in (10, 2, 1):
        group[f"data_{number}"] = np.zeros((number, 2, 3))
    group["again"] = h5py.SoftLink("/a/data_2")
    group["other/data"] = np.zeros(3)
    with h5py.File(Path(run.filename).with_name("linked.h5"), "w") as linked:
        linked["x"] = np.zeros((5, 2, 3))
    group["data_3"] = h5py.ExternalLink("linked.h5", "x")
    shapes = small().read_dataset_shapes("/a", run)
    assert sum(shape[0] for shape in shapes.values()) == 10 + 2 + 1 + 5
    assert [path for path in shapes if "data" in path][-1] == "/a/data_10"
    group["data_4"] = h5py.ExternalLink("absent.h5", "x")
    with pytest.raises(LinkError, match="/a/data_4 leads nowhere"):
        small().read_dataset_shapes("/a", run)


@pytest.mark.parametrize("outside", [False, True])
def test_a_dataset_that_is_virtual_over_its_siblings_stands_for_them(run, outside):
    group = run.create_group("a")
    layout = h5py.VirtualLayout((6, 2, 3), "f8")
    for number in range(2):
        name = f"/a/part_{number}"
        if outside:
            with h5py.File(Path(run.filename).with_name("parts.h5"), "a") as parts:
                parts[f"x{number}"] = np.zeros((3, 2, 3))
            run[name] = h5py.ExternalLink("parts.h5", f"x{number}")
            source = h5py.VirtualSource("parts.h5", f"x{number}", (3, 2, 3))
        else:
            source = h5py.VirtualSource(run.create_dataset(name, data=np.zeros((3, 2, 3))))
        layout[3 * number : 3 * number + 3] = source
    group.create_virtual_dataset("whole", layout)
    assert small().read_dataset_shapes("/a", run) == {"/a/whole": (6, 2, 3)}


def test_indices_name_file_dataset_and_row(run):
    indices = small().read_attribute_indices("data", [run, run])
    assert indices.shape == (8, 3)
    assert indices[5].tolist() == [run.filename, "/b", 1]
    assert small().read_attribute_indices("energy", [run]).tolist() == [[run.filename, "/e", ()]]
    assert small().read_attribute_indices("mask", [run]).tolist() == [[run.filename, "/m", ()]]
    assert small().read_attribute_indices("gain", [run]).shape == (0, 3)


def test_what_cannot_be_an_attribute_is_named(run):
    protocol = small(load_paths={"data": ["/e"], "mask": ["/type"], "energy": ["/null"]})
    with pytest.raises(LayoutError, match=r"run.h5: /e has shape \(\), .* stack that data is"):
        protocol.read_attribute_indices("data", [run])
    run["null"] = h5py.Empty("f4")
    with pytest.raises(LayoutError, match="/null is a dataset without values"):
        protocol.read_attribute_indices("energy", [run])
    run["type"] = np.dtype("f4")
    with pytest.raises(LayoutError, match="neither a dataset nor a group"):
        protocol.read_attribute_indices("mask", [run])


# ---------------------------------------------------------------- units, flags and limits


def measured(**fields):
    """Return a protocol with a unit, flags and limits."""
    given = {
        "datatypes": {"data": "uint", "mask": "bool", "top": "float", "wavelength": "float"},
        "load_paths": {"data": "/d", "mask": ["/m", "/n"], "top": "/t", "wavelength": ["/w", "/e"]},
        "kinds": {"data": "stack", "mask": "stack"},
        "conventions": {"mask": ["nexus", "good"]},
        "units": {"wavelength": ["m", "J"]},
        "flags": {"mask": ["dead", "noisy"]},
        "limits": {"mask": ["data <= top", "data < largest", "data >= -1.5"]},
    }
    return CXIProtocol(**(given | fields))


def test_a_unit_belongs_to_a_path_and_that_of_the_first_to_the_values():
    protocol = measured()
    assert [protocol.get_unit("wavelength", path) for path in ("/w", "/e", "/x")] == [
        "m",
        "J",
        None,
    ]
    assert protocol.get_unit("wavelength") == "m"
    assert protocol.get_unit("top") is None
    energy = protocol.add_attribute("energy", "float", ["/a", "/b"], "scalar", unit="J")
    assert energy.units["energy"] == ("J", "J")
    moved = protocol.replace(load_paths={**protocol.load_paths, "wavelength": ["/e", "/new"]})
    assert moved.units["wavelength"] == ("J", "m")


def test_limits_are_sentences_about_another_stack():
    limits = measured().get_limits("mask")
    assert [str(limit) for limit in limits] == ["data <= top", "data < largest", "data >= -1.5"]
    assert [limit.bound for limit in limits] == ["top", "largest", -1.5]
    assert measured().get_limits("data") == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"units": {"wavelength": "m"}}, r"\[units\], key wavelength: 1 are given for 2"),
        ({"units": {"mask": ["m", "m"]}}, r"\[units\], key mask: only numbers have any, not bool"),
        ({"flags": {"data": ["dead"]}}, r"\[flags\], key data: only masks"),
        ({"limits": {"mask": ["data"]}}, r"\[limits\], key mask: 'data' is no limit"),
        ({"limits": {"mask": ["data < a-b"]}}, r"'a-b', neither a name nor a number"),
        ({"limits": {"mask": ["mask < 1"]}}, r"must compare the pixels of another stack"),
        ({"limits": {"mask": ["top < 1"]}}, r"must compare the pixels of another stack"),
        ({"limits": {"mask": ["data < data"]}}, r"needs a number: a scalar of the protocol"),
        ({"limits": {"mask": ["data < nothing"]}}, r"needs a number: a scalar of the protocol"),
    ],
)
def test_an_optional_field_that_does_not_fit_is_an_error(fields, message):
    with pytest.raises(ProtocolError, match=message):
        measured(**fields)


def test_what_is_no_mask_or_number_any_more_loses_what_only_these_have():
    changed = measured().replace(
        datatypes={"data": "uint", "mask": "uint", "top": "float", "wavelength": "str"}
    )
    assert (changed.conventions, changed.units, changed.flags, changed.limits) == ({}, {}, {}, {})


def test_optional_fields_go_through_an_ini_file(tmp_path):
    measured().to_ini(tmp_path / "p.ini")
    assert CXIProtocol.import_ini(tmp_path / "p.ini") == measured()


@pytest.mark.parametrize(
    ("written", "plain", "other"),
    [
        ("/a/{detector_1}/mask", "/a/detector_1/mask", "/a/detector_2/mask"),
        ("/a/{module}/mask", "/a/{module}/mask", None),
        ("/a/{module:0-3}/mask", "/a/{module:0-3}/mask", None),
    ],
)
def test_braces_are_a_detector_but_those_of_modules(written, plain, other):
    place = LoadPath(written)
    assert place.plain == plain
    assert place.means(plain)
    assert other is None or place.means(other)
    assert not place.means("/a/detector_1/b/mask")
