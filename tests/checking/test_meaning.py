"""What a save would refuse today is told of in files that have it: masks of flags, misspelt units.

The oracle is the values that were written.
"""

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIStore
from cxistack.checking import meaning
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
    "mask", [TRUTH, TRUTH.astype("i4"), TRUTH.astype("f8"), np.where(TRUTH, 255, 0).astype("u1")]
)
def test_one_of_two_values_is_sound(file, mask):
    put(file, MASK, mask)
    assert CXIStore(file).check(verbose=False) == []


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
        reads.append(part.stored.place)
        return prepare_stored(files, part, view)

    monkeypatch.setattr(meaning, "prepare_stored", counted)
    (found,) = CXIStore([file, str(tmp_path / "a.h5"), str(tmp_path / "b.h5")]).check(verbose=False)
    assert "it is 512" in found.cause
    assert len(reads) == 1
