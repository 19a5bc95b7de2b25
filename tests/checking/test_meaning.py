"""What a save would refuse today is told of in files that have it: masks of flags, misspelt units.

The oracle is the values that were written.
"""

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIStore
from cxistack.checking import decoding
from cxistack.cli import app
from cxistack.loading.prepare import prepare_stored

DATA = "/entry/data/data"
MASK = "/mask_maker/mask"
SIZE = "/entry_1/instrument_1/detector_1/x_pixel_size"
FLAGS = np.zeros((5, 7), "u4")
FLAGS[2, 3] = 512
TRUTH = FLAGS == 0


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "run.h5", "w") as h5:
        h5[DATA] = np.ones((4, 5, 7), "u2")
    return str(tmp_path / "run.h5")


def put(file, path, value, **attributes):
    with h5py.File(file, "a") as h5:
        h5[path] = value
        h5[path].attrs.update(attributes)


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (FLAGS, r"it is 512 at (2, 3)"),
        (np.where(TRUTH, 1, 2), r"it is 2 at (2, 3)"),
        (np.where(TRUTH, 0.5, 0), r"it is 0.5 at (0, 0)"),
        (np.where(TRUTH, np.nan, 1.0), r"it is nan at (0, 0)"),
        (np.full((5, 7), 0.7), r"it is 0.7 at (0, 0)"),
        (np.where(TRUTH, 255, 7).astype("u1"), r"it is 7 at (2, 3)"),
        (np.stack([TRUTH, TRUTH, FLAGS, TRUTH]).astype("u4"), r"it is 512 at (2, 2, 3)"),
    ],
)
def test_a_plain_mask_of_other_values_is_told_of(file, mask, told):
    put(file, MASK, mask)
    (found,) = CXIStore(file).check(verbose=False)
    assert (found.attribute, found.dataset) == ("mask", MASK)
    assert told in found.cause
    done = CliRunner().invoke(app, ["check", file])
    assert done.exit_code == 1
    assert told in done.output


@pytest.mark.parametrize(
    "mask", [TRUTH, TRUTH.astype("i4"), TRUTH.astype("f8"), np.ones((4, 5, 7)), ~FLAGS.astype(bool)]
)
def test_one_of_two_values_is_sound(file, mask):
    put(file, MASK, mask)
    assert CXIStore(file).check(verbose=False) == []


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (np.where(TRUTH, 255, 0).astype("u1"), "its values are 0 and 255, "),
        (np.where(TRUTH, 255, 1).astype("u1"), "its values are 1 and 255, "),
        (np.full((5, 7), 32767, "i2"), "its values are 32767, "),
    ],
)
def test_what_a_save_refuses_is_told_of_although_it_can_be_read(file, mask, told):
    put(file, MASK, mask)
    (found,) = CXIStore(file).check(verbose=False)
    assert (found.attribute, found.dataset, found.is_warning) == ("mask", MASK, False)
    assert told in found.cause
    assert CliRunner().invoke(app, ["check", file]).exit_code == 1


@pytest.mark.parametrize("mask", [np.zeros((4, 5, 7), "f4"), np.zeros((5, 7), "i8")])
def test_a_mask_of_which_all_is_bad_is_told_of_as_a_warning(file, mask):
    put(file, MASK, mask)
    (found,) = CXIStore(file).check(verbose=False)
    assert (found.attribute, found.dataset, found.is_warning) == ("mask", MASK, True)
    done = CliRunner().invoke(app, ["check", file])
    assert done.exit_code == 0
    told = "warning: mask: all of it is 0, so that every pixel is bad"
    assert told in done.output.replace("\n    ", " ")


def test_a_strange_value_is_found_where_it_is_in_a_large_mask(file, monkeypatch):
    monkeypatch.setattr(decoding, "_BLOCK_BYTES", 64)  # a few rows at a time
    mask = np.ones((4, 5, 7), "u4")
    mask[3, 4, 6] = 5
    with h5py.File(file, "a") as h5:
        h5.create_dataset(MASK, data=mask, chunks=(1, 2, 3), compression="gzip")
    (found,) = CXIStore(file).check(verbose=False)
    assert "it is 5 at (3, 4, 6)" in found.cause


def test_a_mask_that_is_something_else_too_is_looked_at(file):
    put(file, "/speckle_tracking/whitefield", FLAGS)
    with h5py.File(file, "a") as h5:
        h5[MASK] = h5["/speckle_tracking/whitefield"]
    (found,) = CXIStore(file).check(["whitefield", "mask"], verbose=False)
    assert (found.attribute, "it is 512 at (2, 3)" in found.cause) == ("mask", True)


def test_flags_of_a_convention_are_sound(file):
    put(file, "/entry_1/instrument_1/detector_1/mask", FLAGS)
    assert CXIStore(file).check(verbose=False) == []


def test_a_unit_that_nobody_knows_is_told_of(file):
    put(file, SIZE, 75.0, units="micorn")
    (found,) = CXIStore(file).check(verbose=False)
    assert "did you mean 'micron'" in found.cause
    assert CliRunner().invoke(app, ["check", file]).exit_code == 1


@pytest.mark.parametrize("unit", ["um", "micron", "m", "mm", ""])
def test_a_known_unit_or_none_is_sound(file, unit):
    put(file, SIZE, 75.0, units=unit)
    assert CXIStore(file).check(verbose=False) == []


def test_a_mask_that_all_files_link_to_is_read_once(file, tmp_path, monkeypatch):
    put(file, MASK, FLAGS)
    for name in ("a.h5", "b.h5"):
        with h5py.File(tmp_path / name, "w") as h5:
            h5[DATA] = np.ones((4, 5, 7), "u2")
            h5[MASK] = h5py.ExternalLink("run.h5", MASK)
    reads = []

    def counted(files, part, view):
        if part.stored.place.path == MASK:
            reads.append(part.stored.place)
        return prepare_stored(files, part, view)

    monkeypatch.setattr(decoding, "prepare_stored", counted)
    (found,) = CXIStore([file, str(tmp_path / "a.h5"), str(tmp_path / "b.h5")]).check(verbose=False)
    assert "it is 512" in found.cause
    assert len(reads) == 1
