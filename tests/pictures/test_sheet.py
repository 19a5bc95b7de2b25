"""Several frames in one picture; where each mask lies is known to NumPy."""

import h5py
import numpy as np
import pytest

from cxistack import CXIStore
from cxistack.errors import LayoutError
from cxistack.pictures.frames import Look
from cxistack.pictures.sheet import sheet

DETECTOR = "/entry_1/instrument_1/detector_1"


@pytest.fixture
def scan(tmp_path):
    frames = np.random.default_rng(3).poisson(30, (24, 40, 60)).astype(np.uint16)
    mask = np.ones((24, 40, 60), bool)
    for number in range(24):
        mask[number, :, number : number + 20] = False
    with h5py.File(tmp_path / "scan.cxi", "w") as h5:
        h5[f"{DETECTOR}/data"] = frames
        h5[f"{DETECTOR}/mask"] = mask
        h5["/speckle_tracking/whitefield"] = frames[0].astype(float)
    with CXIStore(str(tmp_path / "scan.cxi"), protocol="cxi") as store:
        yield store


def test_each_frame_has_its_own_mask_and_all_one_scale(scan):
    figure = sheet(scan, "data", [2, 11], None).figure
    values = scan.load_attribute("data", [2, 11], verbose=False)
    good = scan.load_attribute("mask", [2, 11], verbose=False)
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in figure.axes[:2]] == ["frame 2", "frame 11"]
    low = np.percentile(values[good], 0.5)
    for image, pixels, mask in zip(images, values, good, strict=True):
        shown = image.get_array()
        np.testing.assert_array_equal(np.ma.getmaskarray(shown), ~mask)
        np.testing.assert_array_equal(shown[mask], np.maximum(pixels[mask], low))
    assert len({(image.norm.vmin, image.norm.vmax) for image in images}) == 1


def test_without_the_mask_nothing_is_grey(scan):
    figure = sheet(scan, "data", range(9), None, Look(has_mask=False)).figure
    masks = [np.ma.getmaskarray(axes.images[0].get_array()) for axes in figure.axes[:9]]
    assert not np.any(masks)


def test_more_than_a_sheet_shows_and_what_has_no_frames_are_refused(scan):
    with pytest.raises(ValueError, match="up to 100 frames, and these are 101"):
        sheet(scan, "data", [0] * 101, None)
    with pytest.raises(LayoutError, match="one image"):
        sheet(scan, "whitefield", [0], None)
