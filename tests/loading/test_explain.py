"""explain() and repr() tell what a load would do and what is there, without reading a pixel."""

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

import factory
from cxistack import (
    AttributeMissingError,
    ComposeTransforms,
    Crop,
    CXIProtocol,
    CXIStore,
    Downscale,
    FrameIndexError,
)
from factory import DATA, frames, put
from factory.values import MASK


@pytest.fixture
def run(tmp_path):
    options = {"chunks": (1, 5, 7), "compression": "gzip", "shuffle": True}
    return put(tmp_path / "run.cxi", {DATA: frames(4)}, **options)


def test_explain_names_file_dataset_storage_filters_and_result(run):
    text = CXIStore(run).explain("data", [1, 2], dtype="float32")
    for word in ("run.cxi", DATA, "chunk", "shuffle", "uint16", "float32", "(2, 5, 7)", "2 of 4"):
        assert word in text
    assert "gzip" in text or "deflate" in text


def test_explain_tells_each_file_of_a_run(tmp_path):
    names = factory.many_files(tmp_path, [frames(1), frames(2), frames(3)])
    text = CXIStore(names).explain("data")
    assert all(name in text for name in names)


def test_explain_tells_the_view_that_a_transform_folds_to(run):
    roi = ComposeTransforms([Crop([1, 5, 0, 6]), Downscale(2)])
    text = CXIStore(run).explain("data", transform=roi)
    assert "(4, 2, 3)" in text
    assert text.count("take frame[1:5:2, :6:2]") == 1
    assert "sum" in CXIStore(run).explain("data", transform=Downscale(2, mode="sum"))


def test_explain_reads_no_pixel(run):
    content = bytearray(Path(run).read_bytes())
    with h5py.File(run) as h5:
        info = h5[DATA].id.get_chunk_info(0)
    content[info.byte_offset : info.byte_offset + info.size] = bytes(info.size)
    Path(run).write_bytes(content)
    store = CXIStore(run)
    assert "(4, 5, 7)" in store.explain("data")
    assert "(4, 5, 7)" in repr(store)
    with pytest.raises(OSError, match=r"run\.cxi"):
        store.load_attribute("data")


def test_explain_raises_what_the_load_would_raise(run):
    store = CXIStore(run)
    for error, arguments in [
        (AttributeMissingError, ("phase",)),
        (AttributeMissingError, ("nonsense",)),
        (FrameIndexError, ("data", [4])),
    ]:
        with pytest.raises(error):
            store.explain(*arguments)
        with pytest.raises(error):
            store.load_attribute(*arguments)


def test_describe_is_what_comes(tmp_path):
    values = {DATA: frames(3, dtype="int32"), **factory.attributes(3)}
    store = CXIStore(put(tmp_path / "run.cxi", values))
    for attr in store:
        value = store.load_attribute(attr)
        assert store.describe(attr) == (np.shape(value), value.dtype)


def test_memory_of_earlier_loads_is_told(tmp_path):
    frames = np.zeros((8, 20, 30), "u2")
    names = [tmp_path / f"{number}.h5" for number in range(3)]
    for name in names:
        with h5py.File(name, "w") as file:
            file.create_dataset(DATA, data=frames, chunks=(4, 20, 30), **hdf5plugin.Bitshuffle())
    store = CXIStore(names)
    assert "kept: " not in store.explain("data")
    store["data"][9]
    told = store.explain("data", [9])
    assert "kept: where 1 of 3 datasets lie" in told
    assert "1 decoded chunks of the store, 4,800 bytes" in told
    store.update_indices()
    assert "kept: " not in store.explain("data")


def test_the_mask_of_masked_pixels_is_told(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file[DATA] = np.zeros((2, 4, 5), "f4")
        file[MASK] = np.ones((4, 5), bool)
    protocol = CXIProtocol(
        {"data": "float", "mask": "bool"},
        {"data": [DATA], "mask": [MASK]},
        {"data": "stack", "mask": "stack"},
    )
    told = CXIStore(tmp_path / "a.h5", protocol=protocol).explain("data", masked="nan")
    assert "\n  then nan where a pixel is bad by\n  mask: 2 of 2 frames" in told
    assert f"a.h5:{MASK}" in told


def test_a_large_chunk_that_threads_cannot_share(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, how in (("gzip", {"compression": "gzip"}), ("shared", hdf5plugin.Bitshuffle())):
            data = np.zeros((1, 800, 900), "u2")
            file.create_dataset(f"{name}/data", data=data, chunks=(1, 800, 900), **how)
    for name, is_told in (("gzip", True), ("shared", False)):
        protocol = CXIProtocol({"data": "uint"}, {"data": [f"{name}/data"]}, {"data": "stack"})
        told = CXIStore(tmp_path / "a.h5", protocol=protocol).explain("data")
        assert ("one thread for a chunk: deflate cannot be split" in told) == is_told
