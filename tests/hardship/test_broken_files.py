"""Files that are damaged, cut off or something else: an error names the file and the dataset."""

from pathlib import Path

import h5py
import pytest

import factory
from cxistack import CXIError, CXIStore
from factory import DATA, frames, put
from factory.storage import low_level


@pytest.mark.parametrize("options", [{"fletcher32": True}, {"compression": "gzip"}])
def test_a_damaged_chunk_raises_and_names_the_dataset(tmp_path, options):
    name = Path(put(tmp_path / "a.h5", {DATA: frames(3)}, chunks=(1, 5, 7), **options))
    with h5py.File(name) as h5:
        info = h5[DATA].id.get_chunk_info(1)
    content = bytearray(name.read_bytes())
    for offset in range(10):
        content[info.byte_offset + offset] ^= 0x55
    name.write_bytes(content)
    with pytest.raises(CXIError, match=r"a\.h5.*detector_1/data"):
        CXIStore(name).load_attribute("data")
    assert len(CXIStore(name).load_attribute("data", [0, 2])) == 2


def test_a_filter_that_nobody_has_raises_and_names_the_dataset(tmp_path):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((1, 5, 7))
    plist.set_filter(31999, h5py.h5z.FLAG_OPTIONAL, ())
    with low_level(tmp_path / "a.h5", (2, 5, 7), h5py.h5t.NATIVE_UINT16, plist) as h5:
        h5[DATA].id.write_direct_chunk((0, 0, 0), b"?" * 70)
    with pytest.raises(CXIError, match=r"a\.h5.*detector_1/data"):
        CXIStore(tmp_path / "a.h5").load_attribute("data")


@pytest.mark.parametrize("keep", [0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_raises_and_names_it(tmp_path, keep):
    name = factory.truncated(tmp_path, keep)
    with pytest.raises((CXIError, OSError), match=r"truncated\.cxi"):
        CXIStore(name).load_attribute("data")


@pytest.mark.parametrize("content", [b"", b"\x00", b"text", b"\x89HDF\r\n\x1a\n" + bytes(99)])
def test_a_file_that_is_not_hdf5_raises_and_names_it(tmp_path, content):
    name = factory.not_hdf5(tmp_path, content)
    with pytest.raises((CXIError, OSError), match=r"notes\.cxi"):
        CXIStore(name).load_attribute("data")


def test_an_absurd_shape_raises_memory_error_with_the_bytes(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        h5.create_dataset(DATA, (2**40, 2**12, 2**12), "uint16", chunks=(1, 64, 64))
    store = CXIStore(tmp_path / "a.h5")
    assert store["data"].shape == (2**40, 2**12, 2**12)
    with pytest.raises((MemoryError, CXIError, ValueError)):
        store.load_attribute("data")
    assert not store["data"][2**40 - 1, :2, :2].any()
