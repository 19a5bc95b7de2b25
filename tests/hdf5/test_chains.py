"""Chains of links are followed further than by HDF5 itself; what is too long is told as that."""

import h5py
import numpy as np
import pytest

from cxistack import CXIStore, LinkError
from factory import DATA

VALUES = np.arange(24, dtype="u2").reshape(2, 3, 4)


def soft(folder, length):
    """Write a chain of soft links to a dataset; return the file's name."""
    with h5py.File(folder / "a.h5", "w") as h5:
        h5["l0"] = VALUES
        for k in range(1, length):
            h5[f"l{k}"] = h5py.SoftLink(f"/l{k - 1}")
        h5[DATA] = h5py.SoftLink(f"/l{length - 1}")
    return folder / "a.h5"


def external(folder, length):
    """Do the same with links from file to file."""
    for k in range(length):
        with h5py.File(folder / f"a{k}.h5", "w") as h5:
            h5[DATA] = h5py.ExternalLink(f"a{k + 1}.h5", DATA)
    with h5py.File(folder / f"a{length}.h5", "w") as h5:
        h5[DATA] = VALUES
    return folder / "a0.h5"


@pytest.mark.parametrize("chain", [soft, external])
@pytest.mark.parametrize("length", [1, 16, 17, 64])
def test_a_chain_is_followed_further_than_hdf5_does(tmp_path, chain, length):
    name = chain(tmp_path, length)
    np.testing.assert_array_equal(CXIStore(name).load_attribute("data"), VALUES)
    if length == 17:
        with (
            h5py.File(name) as h5,
            pytest.raises((KeyError, RuntimeError, OSError), match="too many links"),
        ):
            h5[DATA]


@pytest.mark.parametrize("chain", [soft, external])
def test_a_chain_that_is_too_long_is_not_called_a_circle(tmp_path, chain):
    name = chain(tmp_path, 65)
    with pytest.raises(LinkError, match=r"data: more than 64 links .*name the dataset's own path"):
        CXIStore(name).load_attribute("data")


def test_a_circle_is_one_however_its_names_grow(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        h5["a"] = h5py.SoftLink("/b/x")
        h5["b"] = h5py.SoftLink("/a/y")
        h5[DATA] = h5py.SoftLink("/a")
    with pytest.raises(LinkError, match="data: links turn in a circle"):
        CXIStore(tmp_path / "a.h5").load_attribute("data")
