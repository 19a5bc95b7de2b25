"""napari opens a run by the manifest that is installed: what is shown, and what is read for it."""

import importlib.metadata
import importlib.resources
import importlib.util
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from cxistack import LazyArray
from cxistack.plugins.napari import layers_of, reader_of
from factory import DATA, DETECTOR, MASK, WHITEFIELD, frames, good_mask, put

PITCH = {f"{DETECTOR}/x_pixel_size": 5e-5, f"{DETECTOR}/y_pixel_size": 7.5e-5}
BAD = [(0, 1), (4, 6)]


@pytest.fixture
def names(tmp_path):
    return [
        put(
            tmp_path / f"run_{n}.cxi",
            {DATA: frames(4, start=140 * n), MASK: good_mask((5, 7), BAD), **PITCH},
        )
        for n in range(3)
    ]


@pytest.fixture
def asked(monkeypatch):
    """Return a list that grows by what is asked of lazy arrays."""
    found, plain = [], LazyArray.__getitem__

    def ask(array, key):
        values = plain(array, key)
        found.append((key, np.shape(values)))
        return values

    monkeypatch.setattr(LazyArray, "__getitem__", ask)
    return found


def by_name(layers):
    return {words["name"]: (array, words, kind) for array, words, kind in layers}


def test_frames_are_a_lazy_image_in_millimetres(names, asked):
    array, words, kind = by_name(layers_of(names))["data"]
    assert (kind, array.shape, array.dtype) == ("image", (12, 5, 7), np.uint16)
    assert words["scale"] == pytest.approx((1, 0.075, 0.05))
    assert words["units"] == ("pixel", "mm", "mm")
    assert words["axis_labels"] == ("frame", "ss", "fs")
    middle = frames(4, start=140)[2][good_mask((5, 7), BAD)]
    np.testing.assert_allclose(words["contrast_limits"], np.percentile(middle, [0.5, 99.9]))
    assert sum(np.prod(shape) for _, shape in asked) <= 3 * 35  # a frame, its mask, and no stack
    np.testing.assert_array_equal(array[9], frames(4, start=280)[1])


def test_bad_pixels_are_labelled(tmp_path, names):
    expected = np.zeros((5, 7), np.uint8)
    for pixel in BAD:
        expected[pixel] = 1
    one = by_name(layers_of(names[0]))["bad pixels"]
    assert one[2] == "labels"
    np.testing.assert_array_equal(one[0], expected)
    assert one[1]["scale"] == pytest.approx((0.075, 0.05))
    mask = good_mask((4, 5, 7), [(2, 1, 1)])
    own = put(tmp_path / "own.cxi", {DATA: frames(4), MASK: mask})
    array = by_name(layers_of(own))["bad pixels"][0]
    assert (array.shape, array.dtype, array.ndim) == ((4, 5, 7), np.uint8, 3)
    assert not isinstance(array, np.ndarray)
    np.testing.assert_array_equal(array[2], ~mask[2])
    np.testing.assert_array_equal(np.asarray(array), ~mask)


def test_a_whitefield_is_an_image_that_is_not_shown_at_first(tmp_path):
    white = np.linspace(0, 1, 35).reshape(5, 7)
    name = put(tmp_path / "a.cxi", {DATA: frames(2), WHITEFIELD: white})
    array, words, kind = by_name(layers_of(name))["whitefield"]
    assert (kind, words["visible"], words["units"]) == ("image", False, ("pixel", "pixel"))
    np.testing.assert_array_equal(array, white)


def test_gaps_and_even_frames_have_a_contrast(tmp_path):
    array = frames(3, dtype="uint16")
    array[:, 2] = 65535  # as DECTRIS marks a gap
    array[1] = 7
    for count, expected in ((3, (7, 8)), (1, (0.17, 33.966))):
        name = put(tmp_path / f"{count}.h5", {"/entry/data/data": array[:count]})
        limits = by_name(layers_of(name))["data"][1]["contrast_limits"]
        assert limits == pytest.approx(expected, abs=0.2)
    empty = put(tmp_path / "empty.cxi", {DATA: np.full((2, 3, 4), np.nan)})
    assert by_name(layers_of(empty))["data"][1]["contrast_limits"] == (0.0, 1.0)


def test_what_has_no_frames_is_left_to_other_readers(tmp_path):
    assert reader_of(put(tmp_path / "a.h5", {"/else": 1})) is None
    assert reader_of(str(tmp_path / "none.cxi")) is None
    (tmp_path / "text.h5").write_text("no HDF5")
    assert reader_of(str(tmp_path / "text.h5")) is None
    with pytest.raises(ValueError, match="no built-in protocol finds frames there"):
        layers_of(str(tmp_path / "a.h5"))


def test_real_files_are_shown_by_the_protocol_that_finds_most(shared_data):
    layers = by_name(layers_of(str(shared_data / "p25_near_field_ptycho.cxi")))
    assert layers["data"][1]["metadata"]["protocol"] == "cxi"
    assert layers["data"][1]["scale"] == pytest.approx((1, 0.055, 0.055))
    assert int(layers["bad pixels"][0].sum()) == 5
    layers = by_name(layers_of(str(shared_data / "eiger_bitshuffle_frame.h5")))
    assert layers["data"][0].shape[1:] == (2167, 2070)


def where_the_manifest_is():
    """Return the path of the manifest, and the package that holds it."""
    (entry,) = importlib.metadata.entry_points(group="napari.manifest", name="cxistack")
    module, _, file = entry.value.partition(":")
    return str(importlib.resources.files(module) / file), module


def manifest(npe2):
    """Return the manifest as npe2 finds it, if it looks into installed packages of this kind."""
    path, module = where_the_manifest_is()
    folders = importlib.util.find_spec(module).submodule_search_locations
    if any(Path(folder).is_dir() for folder in folders):
        return npe2.PluginManifest.from_distribution("cxistack")
    return npe2.PluginManifest.from_file(path)  # of an editable installation


@pytest.fixture
def plugins(monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what npe2 imports
        npe2 = pytest.importorskip("npe2")
        manager = npe2.PluginManager()
        manager.register(manifest(npe2))
        monkeypatch.setattr(npe2.PluginManager, "instance", lambda: manager)
        yield manager


def test_the_manifest_names_the_reader_and_its_files(plugins, names):
    for name in ("a.cxi", "A_master.h5", "run.nxs", "x.hdf5"):
        (found,) = plugins.iter_compatible_readers([name])
        assert found.plugin_name == "cxistack"
    assert list(plugins.iter_compatible_readers(["a.tif"])) == []
    reader = plugins.commands.execute("cxistack.read", [names[0]])
    assert {words["name"] for _, words, _ in reader(names[0])} == {"data", "bad pixels"}


def test_napari_shows_frames_and_reads_no_more_than_it_shows(plugins, names, asked):
    components = pytest.importorskip("napari.components")
    viewer = components.ViewerModel()
    viewer.open(names, plugin="cxistack", stack=True)
    data, bad = viewer.layers["data"], viewer.layers["bad pixels"]
    viewer.dims.set_point(0, 6)
    np.testing.assert_array_equal(data._data_view, frames(4, start=140)[2])
    assert bad._data_view.sum() == 2
    assert [str(unit) for unit in data.units] == ["pixel", "millimeter", "millimeter"]
    assert all(np.prod(shape) <= 35 for _, shape in asked)


HAS_WINDOWS = (
    shutil.which("xvfb-run") is not None
    and importlib.util.find_spec("napari") is not None
    and any(map(importlib.util.find_spec, ("PyQt6", "PySide6")))
)


@pytest.mark.skipif(not HAS_WINDOWS, reason="there is no napari, Qt or virtual screen")
def test_its_window_shows_the_frame_its_bad_pixels_and_the_pixels_shape(tmp_path):
    """The whole of napari, on a screen that nobody sees, finds the reader by itself."""
    data, mask = np.full((12, 40, 60), 500, np.uint16), np.ones((40, 60), bool)
    data[:, 16:24, 40:56] = 0
    for number, frame in enumerate(data):
        frame[4:12, 4 + 4 * number : 8 + 4 * number] = 1000
    data[:, 28:36, 20:30], mask[28:36, 20:30] = 60_000, False
    names = [
        put(tmp_path / f"run_{n}.cxi", {DATA: data[4 * n : 4 * n + 4], MASK: mask, **PITCH})
        for n in range(3)
    ]
    screen = ("xvfb-run", "--auto-servernum", "--server-args=-screen 0 1400x900x24")
    if subprocess.run([*screen, "true"], timeout=60).returncode:
        pytest.skip("no virtual screen starts here")
    canvas, window = tmp_path / "canvas.png", tmp_path / "window.png"
    manifest, _ = where_the_manifest_is()
    script = Path(__file__).with_name("napari_window.py")
    command = [*screen, sys.executable, script, manifest, "6", canvas, window, *names]
    settings = {"QT_QPA_PLATFORM": "xcb", "NAPARI_CONFIG": str(tmp_path / "settings.yaml")}
    subprocess.run(command, env={**os.environ, **settings}, check=True, timeout=180)
    assert min(imread(window).shape[:2]) > 500

    shown = imread(canvas)[..., :3]
    rows, columns = np.nonzero((shown > 0.2).any(axis=2))
    top, left = rows.min(), columns.min()
    height, width = rows.max() + 1 - top, columns.max() + 1 - left
    # 40 pixels of 75 um are as high as 60 of 50 um are wide.
    assert height == pytest.approx(width, rel=0.02)
    assert height > 300

    def colour(row, column):
        return shown[top + round(height * row / 40), left + round(width * column / 60)]

    np.testing.assert_allclose(colour(2, 2), 0.5, atol=0.02)
    np.testing.assert_allclose(colour(8, 26), 0.5, atol=0.02)  # where frame 5 is white
    np.testing.assert_allclose(colour(8, 30), 1, atol=0.02)  # where frame 6 is
    np.testing.assert_allclose(colour(20, 48), 0, atol=0.02)
    assert np.ptp(colour(32, 25)) > 0.2  # bad pixels have a colour
