"""A disk of 1 MiB: what fits is saved, and what does not fails with the old file as it was."""

import os
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from cxistack import CXIStore, StorageError
from factory import DATA, WHITEFIELD, put
from factory.folders import names_in

NOISE = np.random.default_rng(0).integers(0, 2**16, (64, 32, 32), "u2")  # 128 KiB, incompressible


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no file system of 1 MiB can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("compression", ["none", "bitshuffle", "deflate", "zstd"])
@pytest.mark.parametrize("safe", [True, False])
def test_what_fits_is_saved(disk, compression, safe):
    name = put(disk / "run.cxi", {WHITEFIELD: np.ones((32, 32))})
    CXIStore(name, "r+", safe=safe).save_attribute("data", NOISE, compression=compression)
    with h5py.File(name) as h5:
        np.testing.assert_array_equal(h5["/entry/data/data"][()], NOISE)


@pytest.mark.parametrize("safe", [True, False])
def test_what_just_fits_is_saved(disk, safe):
    name = put(disk / "run.cxi", {WHITEFIELD: np.ones((4, 4))})
    whole = np.tile(NOISE, (5, 1, 1))  # 640 KiB: twice what is there at the end is not free
    CXIStore(name, "r+", safe=safe).save_attribute("data", whole, chunks=(1, 32, 32))
    with h5py.File(name) as h5:
        np.testing.assert_array_equal(h5["/entry/data/data"][()], whole)


def test_so_is_a_new_file_and_what_is_large_and_compresses_well(disk):
    CXIStore(disk / "new.cxi", "x").save_attribute("data", np.zeros((64, 256, 256), "u2"))  # 8 MiB
    with h5py.File(disk / "new.cxi") as h5:
        assert h5["/entry/data/data"].shape == (64, 256, 256)
    with CXIStore(disk / "new.cxi", "a") as store:
        store.save_attribute("data", np.zeros((3, 256, 256), "u2"), "append")


@pytest.mark.parametrize("compression", ["none", "bitshuffle"])
@pytest.mark.parametrize("mode", ["r+", "w"])
def test_what_does_not_fit_fails_before_the_old_file_is_touched(disk, compression, mode):
    name = put(disk / "run.cxi", {DATA: NOISE[:3]})
    before = Path(name).read_bytes()
    with pytest.raises(StorageError, match="No space left"):
        CXIStore(name, mode).save_attribute(
            "data", np.tile(NOISE, (16, 1, 1)), compression=compression
        )
    assert Path(name).read_bytes() == before
    assert names_in(disk) == ["run.cxi"]
    CXIStore(name, "r+").save_attribute("data", NOISE)
