"""Pixels are compared with limits where they lie, however that is; NumPy compares the truth."""

import itertools
import shutil

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import Crop, CXIProtocol, CXIStore, Downscale, LayoutError
from factory import STORAGES, put, stored_as
from factory.mosaics import mosaics, write

COMPARE = {"<=": np.less_equal, "<": np.less, ">=": np.greater_equal, ">": np.greater,
           "==": np.equal, "!=": np.not_equal}  # fmt: skip
LIMITS = [("<", 70), (">=", 20), ("!=", 49), (">", -3), ("<=", 99.5), ("==", 56), ("!=", 0)]
numbers = itertools.count()


def protocol(limits):
    return CXIProtocol(
        {"data": "number", "mask": "bool"},
        {"data": ["/virtual", "/entry/data"], "mask": ["/mask"]},
        {"data": "stack", "mask": "stack"},
        limits={"mask": [f"data {comparison} {bound}" for comparison, bound in limits]},
    )  # fmt: skip


def good(values, limits):
    truth = np.ones(values.shape, bool)
    for comparison, bound in limits:
        truth &= COMPARE[comparison](values.astype("f8"), bound)  # exact for these values
    return truth


@settings(max_examples=200)
@given(mosaic=mosaics(), data=st.data())
def test_of_any_virtual_dataset(tmp_path_factory, mosaic, data):
    folder = tmp_path_factory.getbasetemp() / f"limited_{next(numbers)}"
    folder.mkdir()
    try:
        whole, overlaps = write(folder, "virtual.h5", "/virtual", mosaic)
        if whole.ndim < 3:
            return
        limits = data.draw(st.lists(st.sampled_from(LIMITS), min_size=1, unique=True))
        expected = good(whole, limits)
        if data.draw(st.booleans(), "has a mask"):
            mask = np.random.default_rng(7).random(whole.shape) < 0.7
            put(folder / "virtual.h5", {"mask": mask})
            expected &= mask
        idxs = data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=5) | st.none(), "idxs")
        step = data.draw(st.sampled_from([1, 2]))
        with CXIStore(folder / "virtual.h5", protocol=protocol(limits)) as store:
            try:
                loaded = store.load_attribute("mask", idxs, transform=Downscale(step))
            except LayoutError as error:
                if overlaps and "HDF5 does not fill" in str(error):
                    return
                raise
        chosen = expected if idxs is None else expected[idxs]
        np.testing.assert_array_equal(loaded, chosen[..., ::step, ::step])
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("how", STORAGES)
@pytest.mark.parametrize("dtype", ["u2", ">i4", "f4", ">f8", "f2", "g", "?"])
def test_however_they_are_stored(tmp_path, how, dtype):
    values = (np.arange(6 * 9 * 11) * 7 % 113).reshape(6, 9, 11).astype(dtype)
    name = stored_as(tmp_path / "a.h5", "/entry/data", values, how)
    limits = [("<", 70), ("!=", 49), (">", 0)]
    mask = np.random.default_rng(7).random(values.shape) < 0.7
    expected = good(values, limits)
    with CXIStore(name, protocol=protocol(limits)) as store:
        np.testing.assert_array_equal(store.load_attribute("mask"), expected)
    put(name, {"mask": mask})
    expected &= mask
    with CXIStore(name, protocol=protocol(limits)) as store:
        idxs = [4, 0, 0, 5]
        np.testing.assert_array_equal(store.load_attribute("mask", idxs), expected[idxs])
        part = store.load_attribute("mask", idxs, transform=Crop([1, 8, 2, 10]), dtype="float32")
        np.testing.assert_array_equal(part, expected[idxs, 1:8, 2:10].astype("f4"), strict=True)


def test_pixels_over_fill_values_count_and_not_these(tmp_path):
    values = np.arange(1, 3 * 4 * 5 + 1).reshape(3, 4, 5)
    name = put(tmp_path / "a.h5", {"rows": values})
    layout = h5py.VirtualLayout((3, 9, 5), "i8")
    layout[:, :8:2] = h5py.VirtualSource(name, "rows", values.shape)
    with h5py.File(name, "a") as h5:
        h5.create_virtual_dataset("virtual", layout, fillvalue=0)
        whole = h5["virtual"][...]
    mask = np.random.default_rng(7).random(whole.shape) < 0.7
    put(name, {"mask": mask})
    with CXIStore(name, protocol=protocol([("!=", 0), ("<", 50)])) as store:
        np.testing.assert_array_equal(
            store.load_attribute("mask"), (whole != 0) & (whole < 50) & mask
        )


def test_explain_tells_what_comes_first(tmp_path):
    name = put(tmp_path / "a.h5", {"entry/data": np.arange(24).reshape(1, 4, 6)})
    with CXIStore(name, protocol=protocol([("<", 7)])) as store:
        told = store.explain("mask", transform=Downscale(2, mode="mean"))
    assert (
        told.index("beside libhdf5") < told.index("good where data < 7") < told.index("bins of 2")
    )
    assert "cast to" not in told


def test_of_more_than_the_caches_hold(tmp_path):
    values = np.random.default_rng(1).integers(0, 9, (9, 1000, 1100), np.uint8)
    mask = np.random.default_rng(2).random(values.shape) < 0.7
    name = put(tmp_path / "a.h5", {"entry/data": values, "mask": mask})
    with CXIStore(name, protocol=protocol([("<", 7), ("!=", 3)])) as store:
        np.testing.assert_array_equal(
            store.load_attribute("mask"), (values < 7) & (values != 3) & mask
        )
