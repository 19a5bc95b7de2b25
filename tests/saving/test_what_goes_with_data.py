"""What is saved beside data has its shape, a mask is truth, a unit is known: by every door.

The oracle is the shape of the data beside it, as plain h5py tells it; what is refused leaves the
file as it was, byte by byte. Files that have it wrong already are written by plain h5py.
"""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from cxistack import (
    CastError,
    Crop,
    CXIProtocol,
    CXIStore,
    LayoutError,
    STData,
    convert,
)
from factory import DATA, frames, put

GRID = (6, 8)
STACK, MODULES = (40, *GRID), (5, 3, *GRID)  # of data
PATHS = {
    "mask": "/speckle_tracking/mask",
    "whitefield": "/speckle_tracking/whitefield",
    "whitefields": "/speckle_tracking/whitefields",
    "phase": "/speckle_tracking/phase",
    "pixel_map": "/speckle_tracking/pixel_map",
    "translations": "/speckle_tracking/translations",
    "pixel_translations": "/speckle_tracking/pixel_translations",
    "basis_vectors": "/speckle_tracking/basis_vectors",
    "good_frames": "/speckle_tracking/good_frames",
}


def array(attr, shape):
    if attr == "good_frames":
        return np.array(shape)
    return np.ones(shape, bool if attr == "mask" else float)


#: What does not go with data of a shape; of good_frames, the numbers.
WRONG = [
    ("mask", STACK, (8, 6)),
    ("mask", STACK, (3, *GRID)),
    ("mask", STACK, (39, *GRID)),
    ("mask", STACK, (40, 8, 6)),
    ("mask", STACK, (40, 2, *GRID)),
    ("mask", MODULES, (4, *GRID)),
    ("mask", MODULES, (5, 4, *GRID)),
    ("mask", MODULES, (4, 3, *GRID)),
    ("mask", MODULES, (8, 6)),
    ("whitefield", STACK, (8, 6)),
    ("whitefield", STACK, (40, *GRID)),
    ("whitefield", MODULES, (2, *GRID)),
    ("whitefields", STACK, (41, *GRID)),
    ("phase", STACK, (8, 6)),
    ("pixel_map", STACK, (2, 8, 6)),
    ("pixel_map", STACK, (6, 8, 2)),
    ("translations", STACK, (39, 3)),
    ("translations", STACK, (3, 40)),
    ("translations", MODULES, (15, 3)),
    ("pixel_translations", STACK, (41, 2)),
    ("basis_vectors", STACK, (39, 2, 3)),
    ("good_frames", STACK, (0, 40)),
    ("good_frames", MODULES, (14,)),
]
RIGHT = [
    ("mask", STACK, GRID),
    ("mask", STACK, STACK),
    ("mask", MODULES, GRID),
    ("mask", MODULES, MODULES[1:]),
    ("mask", MODULES, MODULES),
    ("whitefield", STACK, GRID),
    ("whitefield", MODULES, MODULES[1:]),
    ("whitefields", STACK, STACK),
    ("phase", STACK, GRID),
    ("pixel_map", STACK, (2, *GRID)),
    ("translations", STACK, (40, 3)),
    ("translations", MODULES, (5, 3)),
    ("basis_vectors", STACK, (2, 3)),
    ("basis_vectors", STACK, (40, 2, 3)),
    ("good_frames", STACK, (0, 39)),
]


@pytest.fixture
def run(tmp_path):
    """Return what writes a file of data of a shape, and of more."""

    def made(shape, name="run.cxi", **values):
        paths = {PATHS[attr]: value for attr, value in values.items()}
        return put(tmp_path / name, {DATA: np.zeros(shape, "u2"), **paths})

    return made


def by_save(name, attr, value):
    CXIStore(name, "r+").save_attribute(attr, value)


def by_save_in_place(name, attr, value):
    CXIStore(name, "r+", safe=False).save_attribute(attr, value)


def in_a_transaction(name, attr, value):
    store = CXIStore(name, "r+")
    with store.transaction():
        store.save_attribute("distance", 1.0)
        store.save_attribute(attr, value)


def by_container(name, attr, value):
    source = CXIStore(name)
    st = STData(source, output_file=CXIStore(name, "r+"))
    st.replace(**{attr: value}).save(attr, mode="overwrite")


def by_writer(name, attr, value):
    with CXIStore(name, "r+").writer(attr, value.shape[1:], value.dtype) as writer:
        for number in range(0, len(value), 7):
            writer.append(value[number : number + 7])


def by_conversion(name, attr, value):
    """Convert a run that has it wrong; the new file is the place of the old one."""
    put(name.replace("run.cxi", "wrong.h5"), {PATHS[attr]: value})
    with h5py.File(name) as old, h5py.File(name.replace("run.cxi", "wrong.h5"), "a") as h5:
        old.copy(DATA, h5, DATA)
    protocol = CXIProtocol.import_default()
    target = CXIStore(name, "w", protocol=protocol)
    convert(CXIStore(name.replace("run.cxi", "wrong.h5")), target, verbose=False)


DOORS = [by_save, by_save_in_place, in_a_transaction, by_container, by_writer, by_conversion]


def is_open(door, attr, value):
    """Tell whether a door leads to such a save at all."""
    kind = CXIProtocol.import_default().get_kind(attr)
    least = {"stack": 3, "sequence": 2}  # axes of several frames, of several rows
    return door is not by_writer or value.ndim >= least.get(kind, 9)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("attr", "data", "shape"), WRONG)
def test_what_does_not_go_with_data_is_refused(run, tmp_path, door, attr, data, shape):
    value = array(attr, shape)
    if not is_open(door, attr, value):
        pytest.skip("there is no such door")
    name = run(data)
    before = Path(name).read_bytes()
    with pytest.raises(LayoutError, match=rf"{attr}.*'data'|'data'.*{attr}"):
        door(name, attr, value)
    assert Path(name).read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} <= {"run.cxi", "wrong.h5"}


@pytest.mark.parametrize(("attr", "data", "shape"), WRONG)
def test_a_file_that_has_it_already_is_told_of(run, attr, data, shape):
    name = run(data, **{attr: array(attr, shape)})
    assert attr in {one.attribute for one in CXIStore(name).problems}
    command = [sys.executable, "-m", "cxistack", "check", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert attr in done.stdout


@pytest.mark.parametrize("door", [by_save, by_save_in_place, in_a_transaction])
@pytest.mark.parametrize(("attr", "data", "shape"), RIGHT)
def test_what_goes_with_data_is_saved(run, door, attr, data, shape):
    name, value = run(data), array(attr, shape)
    door(name, attr, value)
    with h5py.File(name) as h5:
        np.testing.assert_array_equal(h5[PATHS[attr]][()], value)


@pytest.mark.parametrize(("attr", "data", "shape"), [one for one in RIGHT if one[1] == STACK])
def test_a_sound_file_is_not_told_of(run, attr, data, shape):
    assert CXIStore(run(data, **{attr: array(attr, shape)})).problems == []


class TestOrder:
    def test_data_alone_may_be_ahead(self, run):
        name = run((4, *GRID), mask=np.ones((4, *GRID), bool))
        store = CXIStore(name, "r+")
        store.save_attribute("data", frames(2, GRID), "append")
        with pytest.raises(LayoutError, match="6 frames of 'data' and 5 of 'mask'"):
            store.save_attribute("mask", np.ones((1, *GRID), bool), "append")
        store.save_attribute("mask", np.ones((2, *GRID), bool), "append")
        assert store.problems == []

    def test_in_a_transaction_any_comes_first(self, run):
        name = run((4, *GRID), mask=np.ones((4, *GRID), bool))
        store = CXIStore(name, "r+")
        with store.transaction():
            store.save_attribute("mask", np.ones((3, *GRID), bool), "append")
            store.save_attribute("translations", np.ones((7, 3)))
            store.save_attribute("data", frames(3, GRID), "append")
            store.save_attribute("good_frames", [6])
        assert (store["mask"].shape, store.problems) == ((7, *GRID), [])

    def test_with_a_transform_the_whole_frames_count(self, run):
        store, crop = CXIStore(run(STACK), "r+"), Crop([1, 4, 2, 6])
        white = np.full((3, 4), 2.0)
        store.save_attribute("whitefield", white, transform=crop, frame_shape=GRID)
        np.testing.assert_array_equal(store["whitefield"][1:4, 2:6], white)
        with pytest.raises(LayoutError, match=r"'phase' of shape \(9, 9\) does not go"):
            store.save_attribute("phase", white, transform=crop, frame_shape=(9, 9))
        with pytest.raises(LayoutError, match=r"of shape \(3, 4\) does not go with 'data'"):
            store.save_attribute("phase", white)

    def test_of_a_container_too(self, run):
        name = run(STACK)
        crop = Crop([1, 4, 2, 6])
        st = STData(CXIStore(name), transform=crop, output_file=CXIStore(name, "r+"))
        st = st.replace(whitefield=np.full((3, 4), 2.0))
        st.save("whitefield", apply_transform=True, mode="overwrite")
        with h5py.File(name) as h5:
            assert h5[PATHS["whitefield"]].shape == GRID
        with pytest.raises(LayoutError, match="does not go with 'data'"):
            st.save("whitefield", mode="overwrite")

    def test_an_image_of_the_sample_has_pixels_of_its_own(self, tmp_path):
        store = CXIStore(tmp_path / "a.cxi", "w", protocol="cxi")
        store.save_attribute("data", frames(2, GRID))
        store.save_attribute("image", np.ones((20, 30)))
        assert store.problems == []


FLAGS = np.zeros(GRID, "u4")
FLAGS[2, 3], FLAGS[4, 4] = 1, 512
NO_TRUTH = {
    "flags": (FLAGS, r"512 at \(4, 4\)"),
    "fractions": (np.full(GRID, 0.5), r"0\.5 at \(0, 0\)"),
    "1 and 2": (np.where(FLAGS > 0, 2, 1), r"2 at \(2, 3\)"),
    "-1": (-(FLAGS == 1).astype("i1"), r"-1 at \(2, 3\)"),
    "nan": (np.where(FLAGS == 1, np.nan, 1), r"nan at \(2, 3\)"),
}


@pytest.mark.parametrize("protocol", ["default", "cxi", "nxmx"])
@pytest.mark.parametrize("door", ["save", "unsafe", "container", "writer", "writer of bool"])
@pytest.mark.parametrize("kind", NO_TRUTH)
def test_a_mask_of_other_than_truth_is_refused(tmp_path, protocol, door, kind):
    values, words = NO_TRUTH[kind]
    path = CXIProtocol.import_named(protocol).load_paths["data"][0]
    name = put(tmp_path / "run.cxi", {path: np.zeros((1, *GRID), "u2")})
    before = Path(name).read_bytes()
    store = CXIStore(name, "r+", protocol=protocol)

    def save():
        if door == "save":
            store.save_attribute("mask", values)
        elif door == "unsafe":
            store.save_attribute("mask", values[None], casting="unsafe")
        elif door == "container":
            STData(store, output_file=store).replace(mask=values).save("mask", mode="overwrite")
        else:
            with store.writer("mask", dtype=bool if "bool" in door else None) as writer:
                writer.append(values)

    where = words if door in ("save", "container") else words.replace(r"at \(", r"at \((0, )?")
    with pytest.raises(CastError, match=rf"'mask' is {where}: of CXI flags save mask == 0"):
        save()
    assert Path(name).read_bytes() == before


@pytest.mark.parametrize("values", [FLAGS == 0, (FLAGS == 0).astype("u1"), (FLAGS == 0) * 1.0])
@pytest.mark.parametrize("protocol", ["default", "cxi", "nxmx"])
def test_truth_in_any_type_is_saved(tmp_path, protocol, values):
    store = CXIStore(tmp_path / "new.cxi", "w", protocol=protocol)
    store.save_attribute("mask", values)
    np.testing.assert_array_equal(store["mask"][0], FLAGS == 0)


def test_flags_are_saved_as_such(tmp_path):
    store = CXIStore(tmp_path / "new.cxi", "w", protocol="cxi")
    store.save_attribute("mask", FLAGS, raw=True)
    np.testing.assert_array_equal(store.load_attribute("mask", raw=True)[0], FLAGS)


@pytest.mark.parametrize(("unit", "near"), [
    ("micorn", "micron"), ("milimeter", "millimeter"), ("angstorm", "angstrom"), ("degress", "deg"),
])  # fmt: skip
@pytest.mark.parametrize("protocol", ["default", "cxi"])
def test_a_unit_that_nobody_knows_is_refused_with_the_nearest(tmp_path, protocol, unit, near):
    store = CXIStore(tmp_path / "new.cxi", "w", protocol=protocol)
    words = rf"'x_pixel_size'.*'{unit}' is no unit that is known; did you mean '{near}"
    with pytest.raises(LayoutError, match=words):
        store.save_attribute("x_pixel_size", 75.0, unit=unit)
    assert not (tmp_path / "new.cxi").exists()


@pytest.mark.parametrize("unit", ["um", "micron", "furlong", "counts", "1/angstrom", "mrad", "°"])
def test_a_unit_that_pint_knows_is_taken(tmp_path, unit):
    protocol = CXIProtocol.import_default().add_attribute("x", "float", "/x", "scalar")
    CXIStore(tmp_path / "new.cxi", "w", protocol=protocol).save_attribute("x", 75.0, unit=unit)
    with h5py.File(tmp_path / "new.cxi") as h5:
        assert h5["/x"].attrs["units"] == unit


@pytest.mark.parametrize("dtype", [object, str, "S4", "M8[s]", "m8[s]", [("a", "i4")]])
@pytest.mark.parametrize("door", ["load", "writer", "convert"])
def test_a_type_to_which_nothing_is_cast_is_refused_as_that(run, tmp_path, dtype, door):
    name = run((2, *GRID))
    new = CXIStore(tmp_path / "new.cxi", "w")

    def do():
        if door == "load":
            CXIStore(name).load_attribute("data", dtype=dtype, verbose=False)
        elif door == "writer":
            with new.writer("data", dtype=dtype):
                pass
        else:
            convert(CXIStore(name), new, dtype=dtype, verbose=False)

    with pytest.raises(TypeError, match=r"^dtype=.*'data' is uint .* nothing is cast to such"):
        do()
    assert not (tmp_path / "new.cxi").exists()
