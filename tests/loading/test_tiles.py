"""Bitshuffled frames larger than what is decoded at a time: a frame comes in several tiles."""

import h5py
import hdf5plugin
import numpy as np
import pytest

from cxistack import ComposeTransforms, Crop, CXIStore, Downscale, Mirror
from factory import DATA

SHAPE = (300, 411)  # 246 600 bytes of uint16; a tile has 65 536
VIEWS = {
    "as stored": (None, np.s_[:, :, :]),
    "slow axis": (Mirror(0, SHAPE), np.s_[:, ::-1, :]),
    "fast axis": (Mirror(1, SHAPE), np.s_[:, :, ::-1]),
    "both": (
        ComposeTransforms([Mirror(0, SHAPE), Mirror(1, SHAPE)]),
        np.s_[:, ::-1, ::-1],
    ),
    "strided": (ComposeTransforms([Mirror(0, SHAPE), Downscale(3)]), np.s_[:, ::-3, ::3]),
    "cropped": (
        ComposeTransforms([Crop([7, 291, 30, 401]), Mirror(0, (284, 371))]),
        np.s_[:, 290:6:-1, 30:401],
    ),
}


@pytest.fixture(scope="module", params=[(1, *SHAPE), (3, *SHAPE), (2, 211, SHAPE[1])])
def run(request, tmp_path_factory):
    name = tmp_path_factory.mktemp("tiles") / "run.h5"
    values = np.random.default_rng(3).poisson(40, (6, *SHAPE)).astype("u2")
    codec = hdf5plugin.Bitshuffle(cname="lz4")
    with h5py.File(name, "w") as h5:
        h5.create_dataset(DATA, data=values, chunks=request.param, **codec)
    return name, values


@pytest.mark.parametrize("dtype", [None, "float32"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_large_frames_is_numpys(run, view, dtype):
    """Every row differs, so that a tile of rows in the wrong order shows."""
    name, values = run
    transform, rows = VIEWS[view]
    store = CXIStore(name)
    assert "read beside libhdf5" in store.explain("data", transform=transform)
    loaded = store.load_attribute("data", transform=transform, dtype=dtype, verbose=False)
    np.testing.assert_array_equal(loaded, values[rows])
    some = store.load_attribute("data", [4, 1, 1], transform=transform, verbose=False)
    np.testing.assert_array_equal(some, values[[4, 1, 1]][rows])
