"""What a file is that is no whole HDF5 file, and what it is called."""

import os

import h5py
import numpy as np
import pytest

from cxistack import CXIStore, LinkError, StorageError, discover
from factory import DATA, put

FAMILY = "one of a set of files .HDF5's family driver.; h5repart joins them"
MULTI = "one of a set of files .HDF5's split or multi driver."


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("pattern", ["f%d.h5", "run_7_%03d.h5", "part%d"])
def test_a_member_of_a_family(tmp_path, pattern, libver):
    name = tmp_path / pattern
    with h5py.File(name, "w", driver="family", memb_size=4096, libver=libver) as h5:
        h5[DATA] = np.ones((30, 20, 30), "u2")
    members = sorted(tmp_path.iterdir())
    assert len(members) > 5
    for member in members:
        with pytest.raises(StorageError, match=f"{member.name} cannot be opened as .*{FAMILY}"):
            CXIStore(member).load_attribute("data")


def test_a_part_of_a_split_file(tmp_path):
    with h5py.File(tmp_path / "run", "w", driver="split") as h5:
        h5[DATA] = np.ones((3, 20, 30), "u2")
    for member in tmp_path.iterdir():
        with pytest.raises(StorageError, match=f"{member.name} cannot be opened as .*{MULTI}"):
            CXIStore(member).load_attribute("data")


def test_other_files_are_told_as_before(tmp_path):
    put(tmp_path / "run_0.h5", {DATA: np.ones((30, 20, 30), "u2")})
    whole = (tmp_path / "run_0.h5").read_bytes()
    (tmp_path / "run_1.h5").write_bytes(b"no signature")
    (tmp_path / "run_2.h5").write_bytes(whole[:9000])
    for number, why in enumerate(["it has no HDF5 signature", "it is truncated, 9000 of"], 1):
        with pytest.raises(StorageError, match=why):
            CXIStore(tmp_path / f"run_{number}.h5").load_attribute("data")


def test_a_file_name_that_is_not_utf_8(tmp_path):
    """What a store says of itself can be printed wherever UTF-8 can."""
    put(tmp_path / "a.h5", {DATA: np.ones((2, 3, 4), "u2")})
    other = str(tmp_path / os.fsdecode(b"na\xffme.h5"))
    (tmp_path / "a.h5").rename(other)
    store = CXIStore(other)
    assert store.load_attribute("data").sum() == 24
    assert store.filenames() == [other]
    for text in (str(store), str(store.explain("data"))):
        assert b"na\\xffme.h5" in text.encode("utf-8")


def test_an_error_that_names_what_is_not_utf_8_can_be_printed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        group = h5.create_group(DATA.rpartition("/")[0])
        group.id.links.create_external(b"data", b"\xb5.h5", b"/x")
    with pytest.raises(LinkError) as caught:
        CXIStore(tmp_path / "a.h5").load_attribute("data")
    assert rb"needs the file '\xb5.h5', which is not there" in str(caught.value).encode()


def test_a_discovery_of_names_that_are_not_utf_8_can_be_printed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        group = h5.create_group("g")
        group["data"] = np.ones((2, 20, 30), "u2")
        h5.id.links.move(b"g", h5.id, b"\xb5")
    told = str(discover(tmp_path / "a.h5")).encode()
    assert rb"/\xb5/data has a name that is not UTF-8" in told
