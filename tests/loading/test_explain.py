"""explain() and repr() tell what a load would do and what is there, without reading a pixel."""

from pathlib import Path

import h5py
import numpy as np
import pytest

import factory
from cxistack import (
    AttributeMissingError,
    ComposeTransforms,
    Crop,
    CXIStore,
    Downscale,
    FrameIndexError,
)
from factory import DATA, frames, put


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
