"""xarray opens a run by the engine that it finds when this package is installed."""

from pathlib import Path

import numpy as np
import pytest

from cxistack import ClosedStoreError, Crop, CXIProtocol
from factory import DATA, DETECTOR, frames, put
from factory.folders import open_in

xr = pytest.importorskip("xarray")


@pytest.fixture
def parts():
    return [frames(3, start=200 * n) for n in range(2)]


@pytest.fixture
def names(tmp_path, parts):
    return [put(tmp_path / f"run_{n}.cxi", {DATA: part}) for n, part in enumerate(parts)]


def test_a_path_a_glob_or_a_list_is_one_run(names, parts):
    glob = str(Path(names[0]).with_name("run_*.cxi"))
    for given in (glob, names, [Path(name) for name in names]):
        with xr.open_dataset(given, engine="cxistack") as ds:
            np.testing.assert_array_equal(ds["data"], np.concatenate(parts))
    with xr.open_dataset(Path(names[1]), engine="cxistack") as ds:
        np.testing.assert_array_equal(ds["data"], parts[1])
        assert ds.encoding["source"] == names[1]


def test_words_of_a_store_are_taken(tmp_path):
    tree = {f"/entry_1/instrument_1/detector_{n}/data": frames(2, start=n) for n in (1, 2)}
    name = put(tmp_path / "two.cxi", {**tree, "/else": frames(2, (3, 4))})
    how = {"engine": "cxistack", "protocol": "cxi", "detector": "detector_2"}
    with xr.open_dataset(name, transform=Crop([1, 3, 0, 2]), dtype="float32", **how) as ds:
        np.testing.assert_array_equal(ds["data"], frames(2, start=2)[:, 1:3, :2])
        assert ds["data"].dtype == np.float32
    mine = CXIProtocol({"data": "uint"}, {"data": ["/else"]}, {"data": "stack"})
    with xr.open_dataset(name, engine="cxistack", protocol=mine) as ds:
        assert ds.sizes == {"frame": 2, "ss": 3, "fs": 4}


def test_only_cxi_is_taken_without_being_told(tmp_path, names, monkeypatch):
    backend = xr.backends.list_engines()["cxistack"]
    assert backend.guess_can_open(names[0])
    assert backend.guess_can_open(names)
    assert backend.guess_can_open(Path(names[0]))
    for other in ("a.h5", "a.nxs", "a.nc", ["a.cxi", "a.h5"], [], b"CDF", 3):
        assert not backend.guess_can_open(other)
    with xr.open_dataset(str(tmp_path / "run_*.cxi")) as ds:
        assert ds.sizes["frame"] == 6


def test_closing_the_dataset_closes_the_files(names, tmp_path):
    ds = xr.open_dataset(names, engine="cxistack", cache=False)
    ds["data"].load()
    other = xr.open_dataset(names, engine="cxistack", cache=False)
    assert open_in(tmp_path)
    ds.close()
    other.close()
    assert open_in(tmp_path) == []
    with pytest.raises(ClosedStoreError):
        _ = other["data"].values


def test_what_cannot_be_opened_leaves_nothing_open(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(2, dtype="float32")})
    with pytest.raises(ValueError, match="data is uint in the protocol"):
        xr.open_dataset(name, engine="cxistack")
    assert open_in(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        xr.open_dataset(str(tmp_path / "none.cxi"), engine="cxistack")


def test_pixel_sizes_make_places(tmp_path):
    name = put(
        tmp_path / "a.cxi",
        {DATA: frames(2), f"{DETECTOR}/x_pixel_size": 5e-5, f"{DETECTOR}/y_pixel_size": 7e-5},
    )
    with xr.open_dataset(name, protocol="cxi") as ds:
        assert ds["x"].attrs["units"] == "m"
        np.testing.assert_allclose(ds["y"], 7e-5 * np.arange(5))
        np.testing.assert_array_equal(ds.swap_dims(fs="x")["data"].sel(x=1e-4), frames(2)[:, :, 2])
