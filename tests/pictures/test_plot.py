"""``store.plot`` against NumPy and h5py: what is drawn, where, in which colours and units."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from cxistack import (
    AttributeMissingError,
    ComposeTransforms,
    Crop,
    CXIProtocol,
    CXIStore,
    Downscale,
    LayoutError,
    Mirror,
)

DETECTOR = "/entry_1/instrument_1/detector_1"
FRAMES = np.random.default_rng(3).poisson(30, (6, 40, 60)).astype(np.int32)
FRAMES[:, 5, 5] = 1_000_000  # a hot pixel
FRAMES[:, 0, 0] = -1  # a gap, by its mark
MASK = np.zeros((40, 60), np.uint32)
MASK[10:20, 20:40] = 1
GOOD = MASK == 0
GOOD[0, 0] = False


def write(path, **more):
    with h5py.File(path, "w") as h5:
        h5[f"{DETECTOR}/data"] = FRAMES
        h5[f"{DETECTOR}/mask"] = MASK
        h5[f"{DETECTOR}/x_pixel_size"] = 75e-6
        h5[f"{DETECTOR}/y_pixel_size"] = 0.1
        h5[f"{DETECTOR}/y_pixel_size"].attrs["units"] = "mm"
        h5["/speckle_tracking/pixel_map"] = np.stack([np.ones((40, 60)), np.full((40, 60), 7.0)])
        for name, value in more.items():
            del h5[f"{DETECTOR}/{name}"]
            if value is not None:
                h5[f"{DETECTOR}/{name}"] = value
    return CXIStore(str(path), protocol="cxi")


@pytest.fixture
def store(tmp_path):
    with write(tmp_path / "run.cxi") as store:
        yield store


@pytest.fixture
def ax():
    return Figure().subplots()


def shown(axes):
    return axes.images[0].get_array()


def test_it_draws_the_frame_with_its_bad_pixels_masked(store, ax):
    assert store.plot("data", 4, ax=ax) is ax
    np.testing.assert_array_equal(np.ma.getmaskarray(shown(ax)), ~GOOD)
    low, high = np.percentile(FRAMES[4][GOOD], (0.5, 99.5))
    np.testing.assert_array_equal(shown(ax)[GOOD], np.maximum(FRAMES[4][GOOD], low))
    assert (ax.images[0].norm.vmin, ax.images[0].norm.vmax) == (low, high)
    assert high < 100  # the hot pixel does not move it
    assert "frame 4 of 6" in ax.get_title()
    assert "201 pixels without a good value" in ax.get_title()


def test_the_scale_is_the_one_asked_for(store, ax):
    store.plot("data", 0, ax=ax, percentiles=(10, 90))
    assert ax.images[0].get_clim() == tuple(np.percentile(FRAMES[0][GOOD], (10, 90)))
    store.plot("data", 0, ax=(ax := Figure().subplots()), log=True, vmin=2, vmax=50)
    assert isinstance(ax.images[0].norm, LogNorm)
    assert ax.images[0].get_clim() == (2, 50)
    with pytest.raises(ValueError, match="vmin is above vmax"):
        store.plot("data", 0, ax=ax, vmin=3, vmax=2)


def test_a_mask_of_ones_own_is_refused_in_words(store, ax):
    with pytest.raises(TypeError, match="True or False"):
        store.plot("data", -1, ax=ax, mask=GOOD)


def test_without_the_mask_only_what_has_no_value_is_grey(store, ax):
    store.plot("data", -1, ax=ax, mask=False)
    assert np.argwhere(np.ma.getmaskarray(shown(ax))).tolist() == [[0, 0]]
    assert "frame 5 of 6" in ax.get_title()


def test_axes_are_the_detectors_own_in_pixels_or_millimetres(store):
    view = ComposeTransforms([Crop([10, 30, 20, 50]), Downscale(2, mode="sum")])
    ax = store.plot("data", 1, ax=Figure().subplots(), transform=view)
    assert (ax.get_xlim(), ax.get_ylim()) == ((19.5, 49.5), (29.5, 9.5))
    assert ax.get_xlabel() == "fast axis (pixel)"
    good = Downscale(2, mode="mean").forward(GOOD[10:30, 20:50])
    sums = FRAMES[1, 10:30, 20:50].reshape(10, 2, 15, 2).sum(axis=(1, 3))
    np.testing.assert_array_equal(np.ma.getmaskarray(shown(ax)), ~good)
    np.testing.assert_array_equal(shown(ax)[good].max(), sums[good].max())
    ax = store.plot("data", 1, ax=Figure().subplots(), transform=view, mm=True)
    assert ax.get_xlim() == pytest.approx((20 * 0.075, 50 * 0.075))
    assert ax.get_ylim() == pytest.approx((30 * 0.1, 10 * 0.1))
    assert ax.get_ylabel() == "slow axis (mm)"


def test_a_mirror_turns_the_numbers_of_the_axis(store, ax):
    store.plot("data", 0, ax=ax, transform=Mirror(1, (40, 60)))
    assert ax.get_xlim() == (59.5, -0.5)


def test_a_lazy_stack_draws_what_it_is(store):
    lazy = store["data"].transform(Crop([10, 30, 20, 50])).astype("float32")
    ax = lazy.plot(2, ax=Figure().subplots(), transform=Downscale(2), mask=False)
    assert shown(ax).shape == (10, 15)
    assert ax.get_xlim() == (19, 49)
    low = ax.images[0].norm.vmin
    np.testing.assert_array_equal(shown(ax), np.maximum(FRAMES[2, 10:30:2, 20:50:2], low))
    assert "float32" in ax.get_title()


def test_the_colour_bar_has_the_unit(tmp_path, store, ax):
    def label(axes):
        return axes.child_axes[0].get_ylabel()

    assert label(store.plot(ax=ax)) == "counts"
    store.close()
    with h5py.File(tmp_path / "run.cxi", "r+") as h5:
        h5[f"{DETECTOR}/data"].attrs["units"] = "photons"
    again = CXIStore(store.filenames(), protocol="cxi")
    assert label(again.plot(ax=Figure().subplots(), dtype="int32")) == "data (photons)"
    assert label(again.plot("mask", ax=Figure().subplots())) == "mask (1 is good)"
    bare = again.plot(ax=Figure().subplots(), colorbar=False)
    assert not bare.child_axes


def test_of_several_images_the_one_that_is_named_is_drawn(store, ax):
    store.plot("pixel_map", module=1, ax=ax)
    assert (shown(ax) == 7).all()
    assert "module 1 of 2" in ax.get_title()
    with pytest.raises(IndexError, match="module 2 is none of the 2"):
        store.plot("pixel_map", module=2, ax=ax)


def test_a_large_frame_is_drawn_as_bins_and_says_so(tmp_path, ax):
    frame = np.zeros((4, 2500), np.uint16)
    frame[:, 10:12] = 1000
    with h5py.File(tmp_path / "wide.h5", "w") as h5:
        h5["/entry/data/data"] = frame[None]
    CXIStore(str(tmp_path / "wide.h5")).plot(ax=ax)
    assert shown(ax).shape == (2, 1250)
    assert shown(ax)[0, 5] == 1000
    assert "bins of 2 × 2" in ax.get_title()
    assert ax.get_xlim() == (-0.5, 2499.5)


def test_a_mask_that_does_not_fit_is_not_used_and_that_is_said(tmp_path, ax):
    store = write(tmp_path / "other.cxi", mask=np.zeros((3, 3), np.uint32))
    with pytest.warns(RuntimeWarning, match="the mask is not used"):
        store.plot(ax=ax)
    assert np.ma.getmaskarray(shown(ax)).sum() == 1


@pytest.mark.parametrize(
    ("size", "error", "words"),
    [
        (None, AttributeMissingError, "axes in millimetres need x_pixel_size"),
        (np.array([1e-4, 2e-4]), LayoutError, "one length as x_pixel_size"),
        (0.0, LayoutError, "one length as x_pixel_size"),
    ],
)
def test_millimetres_need_the_size_of_a_pixel(tmp_path, ax, size, error, words):
    store = write(tmp_path / "run.cxi", x_pixel_size=size)
    with pytest.raises(error, match=words):
        store.plot(ax=ax, mm=True)


def test_what_is_no_picture_is_refused(store, ax):
    with pytest.raises(LayoutError, match="is a scalar"):
        store.plot("x_pixel_size", ax=ax)
    with pytest.raises(IndexError):
        store.plot("data", 6, ax=ax)


def test_floats_under_a_protocol_of_integers_are_drawn(tmp_path, ax):
    with h5py.File(tmp_path / "f.h5", "w") as h5:
        h5["/entry/data/data"] = np.linspace(0, 1, 200).reshape(2, 10, 10)
    protocol = CXIProtocol({"data": "uint"}, {"data": ["/entry/data/data"]}, {"data": "stack"})
    CXIStore(str(tmp_path / "f.h5"), protocol=protocol).plot("data", 1, ax=ax)
    assert shown(ax).max() == 1.0


def test_without_axes_a_figure_of_pyplot_is_made_and_nothing_is_shown(store):
    code = (
        "import sys, matplotlib; matplotlib.use('agg')\n"
        "from matplotlib import pyplot\n"
        "def show(*_): raise RuntimeError\n"
        "pyplot.show = show\n"
        "from cxistack import CXIStore\n"
        f"axes = CXIStore({store.filenames()!r}, protocol='cxi')['data'].plot(1)\n"
        "print(pyplot.get_fignums(), axes.figure is pyplot.gcf())\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[1] True\n"


def test_without_matplotlib_it_says_what_to_install(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'cxistack\[plot\]'"):
        store.plot()
