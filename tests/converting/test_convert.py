"""Converting a run: the new file, read by plain h5py, holds what the old ones hold."""

import h5py
import numpy as np
import pytest

from cxistack import (
    CastError,
    ComposeTransforms,
    Crop,
    CXIProtocol,
    CXIStore,
    Downscale,
    Mirror,
    convert,
)
from cxistack.converting import carrier
from factory import DATA, DETECTOR, frames, put

NEW = "/entry/data/data"  # the default protocol's first path
PIXELS = "/entry/instrument/detector"


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Make batches of few frames, or one batch would be the whole run."""
    monkeypatch.setattr(carrier, "_BATCH_BYTES", 3 * frames(1).nbytes)


@pytest.fixture
def run(tmp_path):
    names = []
    for number in range(2):
        values = {
            DATA: frames(7) + number * 300,
            f"{PIXELS}/x_pixel_size": 2e-4,
            f"{PIXELS}/mask": MASK,
        }
        values |= {f"{PIXELS}/y_pixel_size": 1e-4, f"{PIXELS}/distance": 0.7}
        values["/speckle_tracking/translations"] = np.arange(21.0).reshape(7, 3) + number
        names.append(put(tmp_path / f"{number}.cxi", values))
    return CXIStore(names)


WHOLE = np.concatenate([frames(7), frames(7) + 300])
MASK = np.zeros(frames(1).shape[1:], np.uint32)
MASK[1, 2] = 4


def into(tmp_path, **options):
    return CXIStore(tmp_path / "new.cxi", "w", **options)


def test_all_that_is_there_is_written_as_it_is_loaded(run, tmp_path):
    done = convert(run, into(tmp_path), verbose=False)
    new = CXIStore(tmp_path / "new.cxi")
    assert set(done.written) == set(run.found) == set(new.found)
    assert (done.frames, list(done.changed), done.left_out) == (14, ["mask"], {})
    for attr in run.found:
        np.testing.assert_array_equal(new.load_attribute(attr), run.load_attribute(attr))
        assert new.describe(attr) == run.describe(attr)
    with h5py.File(tmp_path / "new.cxi") as h5:
        np.testing.assert_array_equal(h5[NEW][()], WHOLE)
        assert h5[NEW].chunks is not None


def test_frames_and_pixels_that_are_chosen(run, tmp_path):
    transform = ComposeTransforms([Crop([1, 5, 1, 7]), Mirror(1, (4, 6)), Downscale(2)])
    idxs = [13, 0, 0, 5]
    done = convert(run, into(tmp_path), idxs=idxs, transform=transform, verbose=False)
    new = CXIStore(tmp_path / "new.cxi")
    np.testing.assert_array_equal(new.load_attribute("data"), transform.forward(WHOLE[idxs]))
    np.testing.assert_array_equal(
        new.load_attribute("translations"), run.load_attribute("translations")[idxs]
    )
    mask = run.load_attribute("mask", idxs, transform=transform)
    np.testing.assert_array_equal(new.load_attribute("mask"), mask)
    assert new.load_attribute("x_pixel_size") == 4e-4
    assert new.load_attribute("y_pixel_size") == 2e-4
    assert set(done.changed) == {"mask", "x_pixel_size", "y_pixel_size"}


def test_bins_sum_counts_and_make_pixels_larger(run, tmp_path):
    bins = Downscale(2, mode="sum")
    convert(run, into(tmp_path), transform=bins, dtype="uint32", verbose=False)
    new = CXIStore(tmp_path / "new.cxi")
    np.testing.assert_array_equal(new.load_attribute("data"), bins.forward(WHOLE))
    assert new.describe("data")[1] == np.uint32
    assert new.load_attribute("x_pixel_size") == 4e-4


def test_vectors_that_would_not_describe_the_new_pixels_are_left_out(tmp_path):
    vectors = np.eye(3)[:2]
    values = {DATA: frames(3), f"{PIXELS}/basis_vectors": vectors}
    run = CXIStore(put(tmp_path / "a.cxi", values))
    assert "basis_vectors" in convert(run, into(tmp_path), verbose=False).written
    np.testing.assert_array_equal(
        CXIStore(tmp_path / "new.cxi").load_attribute("basis_vectors"), vectors
    )
    done = convert(run, into(tmp_path), transform=Downscale(2), verbose=False)
    assert list(done.left_out) == ["basis_vectors"]
    assert "basis_vectors" not in CXIStore(tmp_path / "new.cxi")


def test_good_frames_are_numbered_anew(tmp_path):
    values = {DATA: frames(6), "/speckle_tracking/good_frames": np.array([0, 2, 5], "u8")}
    run = CXIStore(put(tmp_path / "a.cxi", values))
    convert(run, into(tmp_path), idxs=[5, 1, 2], verbose=False)
    assert CXIStore(tmp_path / "new.cxi").load_attribute("good_frames").tolist() == [0, 2]
    assert convert(run, into(tmp_path), verbose=False).changed == {}
    assert CXIStore(tmp_path / "new.cxi").load_attribute("good_frames").tolist() == [0, 2, 5]


def test_what_the_new_protocol_does_not_know_is_told(run, tmp_path):
    protocol = CXIProtocol({"data": "uint"}, {"data": "/d"}, {"data": "stack"})
    done = convert(run, into(tmp_path, protocol=protocol), verbose=False)
    assert done.written == ("data",)
    assert set(done.left_out) == set(run.found) - {"data"}
    with pytest.raises(ValueError, match="no place for 'distance'"):
        convert(run, into(tmp_path, protocol=protocol), ["distance"], verbose=False)


def test_a_failure_leaves_no_file(run, tmp_path):
    with pytest.raises(CastError):
        convert(run, into(tmp_path), dtype="uint8", idxs=[0, 1, 13], verbose=False)
    assert not (tmp_path / "new.cxi").exists()


def test_a_run_without_frames(tmp_path):
    run = CXIStore(put(tmp_path / "a.cxi", {DATA: frames(0)}))
    convert(run, into(tmp_path), verbose=False)
    assert CXIStore(tmp_path / "new.cxi")["data"].shape == run["data"].shape


@pytest.mark.parametrize("protocol", ["default", "cxi"])
def test_values_come_in_the_units_of_the_new_file(tmp_path, protocol):
    name = put(tmp_path / "a.cxi", {DATA: frames(2), f"{PIXELS}/distance": 100.0})
    with h5py.File(name, "a") as h5:
        h5[f"{PIXELS}/distance"].attrs["units"] = "mm"
    convert(CXIStore(name), into(tmp_path, protocol=protocol), verbose=False)
    assert CXIStore(tmp_path / "new.cxi", protocol="cxi").load_attribute("distance") == 0.1


@pytest.mark.parametrize("protocol", ["default", "cxi"])
def test_a_unit_that_only_the_files_know_stays(tmp_path, protocol):
    names = [
        put(tmp_path / f"{k}.cxi", {DATA: frames(2), "/speckle_tracking/defocus_x": value})
        for k, value in enumerate((250.0, 0.25))
    ]
    for name, unit in zip(names, ("um", "mm"), strict=True):
        with h5py.File(name, "a") as h5:
            h5["/speckle_tracking/defocus_x"].attrs["units"] = unit
            h5[DATA].attrs["units"] = "counts"
    done = convert(CXIStore(names), into(tmp_path, protocol=protocol), verbose=False)
    assert done.changed == {}
    with h5py.File(tmp_path / "new.cxi") as h5:
        assert h5["/speckle_tracking/defocus_x"][()] == 250
        assert h5["/speckle_tracking/defocus_x"].attrs["units"] == "um"
        assert h5[DATA].attrs["units"] == "counts"


def test_values_over_those_in_another_unit(tmp_path):
    distance = f"{PIXELS}/distance"
    for name, value, unit in (("a.cxi", 0.1, "m"), ("new.cxi", 900.0, "mm")):
        put(tmp_path / name, {DATA: frames(2), distance: value})
        with h5py.File(tmp_path / name, "a") as h5:
            h5[distance].attrs["units"] = unit
    convert(CXIStore(tmp_path / "a.cxi"), CXIStore(tmp_path / "new.cxi", "r+"), verbose=False)
    assert CXIStore(tmp_path / "new.cxi", protocol="cxi").load_attribute("distance") == 0.1


def test_other_units_and_types_are_told(tmp_path):
    values = {DATA: frames(2, dtype="int16"), f"{PIXELS}/x_pixel_size": np.float64(75)}
    name = put(tmp_path / "a.cxi", {**values, "/speckle_tracking/whitefield": frames(1)[0]})
    with h5py.File(name, "a") as h5:
        h5[f"{PIXELS}/x_pixel_size"].attrs["units"] = "um"
    done = convert(CXIStore(name), into(tmp_path), transform=Downscale(2), verbose=False)
    assert done.changed == {
        "data": "as uint16, where the files have int16",
        "whitefield": "as float64, where the files have uint16",
        "x_pixel_size": "from um to m; 2 times as large, as the new pixels are",
    }


def test_chunks_of_stacks_are_not_those_of_images(tmp_path):
    white = np.ones(frames(1).shape[1:])
    values = {DATA: frames(4), "/speckle_tracking/whitefield": white, f"{PIXELS}/mask": MASK}
    run = CXIStore(put(tmp_path / "a.cxi", values))
    convert(run, into(tmp_path), chunks=(2, 3, 4), verbose=False)
    with h5py.File(tmp_path / "new.cxi") as h5:
        assert h5[NEW].chunks == (2, 3, 4)
        np.testing.assert_array_equal(h5["/speckle_tracking/whitefield"][()], white)


def test_rows_go_batch_by_batch(tmp_path, monkeypatch):
    rows = np.arange(30.0).reshape(10, 3)
    values = {DATA: frames(10), "/speckle_tracking/translations": rows}
    run = CXIStore(put(tmp_path / "a.cxi", values))
    monkeypatch.setattr(carrier, "_BATCH_BYTES", 4 * rows[0].nbytes)
    convert(run, into(tmp_path), idxs=range(9, -1, -1), verbose=False)
    with h5py.File(tmp_path / "new.cxi") as h5:
        np.testing.assert_array_equal(h5["/speckle_tracking/translations"][()], rows[::-1])


def test_a_run_of_results_without_data(tmp_path):
    values = {
        "/speckle_tracking/translations": np.arange(18.0).reshape(6, 3),
        "/speckle_tracking/whitefields": np.arange(60.0).reshape(3, 4, 5),
        "/speckle_tracking/good_frames": np.array([0, 2]),
        "/speckle_tracking/mask": np.eye(4, 5) == 0,
    }
    run = CXIStore(put(tmp_path / "a.cxi", values))
    done = convert(run, into(tmp_path), verbose=False)
    assert done.frames == 0
    new = CXIStore(tmp_path / "new.cxi")
    for attr in run.found:
        np.testing.assert_array_equal(new.load_attribute(attr), run.load_attribute(attr))
    with pytest.raises(ValueError, match="the run has none"):
        convert(run, into(tmp_path), idxs=[0], verbose=False)


def test_rows_of_a_run_whose_data_is_one_image_are_all_written(tmp_path):
    rows = np.arange(6.0).reshape(2, 3)
    kinds = {"data": "frame", "rows": "sequence"}
    protocol = CXIProtocol({"data": "uint", "rows": "float"}, {"data": "/d", "rows": "/r"}, kinds)
    run = CXIStore(put(tmp_path / "a.h5", {"/d": frames(1)[0], "/r": rows}), protocol=protocol)
    convert(run, CXIStore(tmp_path / "new.h5", "w", protocol=protocol), verbose=False)
    with h5py.File(tmp_path / "new.h5") as h5:
        np.testing.assert_array_equal(h5["/r"], rows)


def test_places_among_the_old_pixels_are_left_out(tmp_path):
    values = {DATA: frames(2), f"{DETECTOR}/corner_position": np.arange(3.0)}
    run = CXIStore(put(tmp_path / "a.cxi", values), protocol="cxi")
    target = into(tmp_path, protocol="cxi")
    assert "corner_position" in convert(run, target, verbose=False).written
    done = convert(run, into(tmp_path, protocol="cxi"), transform=Crop([0, 2, 0, 2]), verbose=False)
    assert list(done.left_out) == ["corner_position"]
    assert "corner_position" not in CXIStore(tmp_path / "new.cxi", protocol="cxi")


class TestReasonsOfBadPixels:
    PATH = f"{DETECTOR}/mask"
    FLAGS = (np.arange(35).reshape(5, 7) % 6 == 5) * np.uint32(0x1201)  # one that is no fault

    def run(self, tmp_path, *flags, protocol="cxi"):
        names = [
            put(tmp_path / f"{k}.cxi", {DATA: frames(4, start=k), self.PATH: values})
            for k, values in enumerate(flags)
        ]
        return CXIStore(names, protocol=protocol)

    def new(self, tmp_path):
        with h5py.File(tmp_path / "new.cxi") as h5:
            return h5[self.PATH][()]

    @pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", ">i4", "uint32"])
    def test_bits_go_over_as_they_are(self, tmp_path, dtype):
        bits = (np.random.default_rng(3).integers(0, 2**32, (4, 5, 7))).astype("u4")
        stored = bits.astype(f"u{np.dtype(dtype).itemsize}").view(np.dtype(dtype).newbyteorder("="))
        run = self.run(tmp_path, stored.astype(dtype), stored[0].astype(dtype))
        done = convert(run, into(tmp_path, protocol="cxi"), idxs=[7, 2, 3], verbose=False)
        assert done.changed == {}
        expected = np.stack([stored[0], stored[2], stored[3]])
        expected = expected.view(f"u{stored.itemsize}").astype("u4")
        np.testing.assert_array_equal(self.new(tmp_path), expected, strict=True)
        new = CXIStore(tmp_path / "new.cxi", protocol="cxi")
        np.testing.assert_array_equal(
            new.load_attribute("mask"), run.load_attribute("mask", [7, 2, 3])
        )

    def test_under_a_view_and_as_one_frame_for_all(self, tmp_path):
        run = self.run(tmp_path, self.FLAGS)
        done = convert(run, into(tmp_path, protocol="cxi"), transform=Downscale(2), verbose=False)
        assert "mask" not in done.changed
        np.testing.assert_array_equal(self.new(tmp_path), self.FLAGS[::2, ::2])

    def test_bins_have_no_reasons(self, tmp_path):
        bins = Downscale(2, mode="mean")
        run = self.run(tmp_path, self.FLAGS)
        done = convert(run, into(tmp_path, protocol="cxi"), ["mask"], transform=bins, verbose=False)
        assert "reasons" in done.changed["mask"]
        new = CXIStore(tmp_path / "new.cxi", protocol="cxi").load_attribute("mask")
        np.testing.assert_array_equal(new, run.load_attribute("mask", 0, transform=bins))

    def test_flags_that_are_counted_otherwise_or_limited_have_none(self, tmp_path):
        cxi = CXIProtocol.import_named("cxi")
        picked = cxi.replace(flags={"mask": ["invalid"]})
        limited = cxi.replace(limits={"mask": ["data <= 100"]})
        convention = cxi.replace(conventions={**cxi.conventions, "mask": ["cheetah"] * 8})
        for protocol in (picked, limited, convention):
            run = CXIStore(self.run(tmp_path, self.FLAGS).paths(), protocol=protocol)
            done = convert(run, into(tmp_path, protocol="cxi"), verbose=False)
            assert "reasons" in done.changed["mask"]
            new = CXIStore(tmp_path / "new.cxi", protocol="cxi").load_attribute("mask")
            np.testing.assert_array_equal(new, run.load_attribute("mask"))
            (tmp_path / "0.cxi").unlink()

    def test_a_mask_of_truth_in_one_file_makes_all_truth(self, tmp_path):
        run = self.run(tmp_path, self.FLAGS, self.FLAGS == 0)
        done = convert(run, into(tmp_path, protocol="cxi"), verbose=False)
        assert "reasons" in done.changed["mask"]
        new = CXIStore(tmp_path / "new.cxi", protocol="cxi").load_attribute("mask")
        np.testing.assert_array_equal(new, run.load_attribute("mask"))
