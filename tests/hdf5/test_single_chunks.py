"""Few frames of a dataset of many chunks: each chunk is found by HDF5 and decoded by us."""

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import Crop, CXIStore, Downscale, StorageError
from cxistack.hdf5 import single_chunks
from factory import DATA

MANY = 6000  # a table that is not listed for a few of its chunks
CODECS = {
    "none": {},
    "deflate": {"compression": "gzip", "shuffle": True},
    "bitshuffle": dict(hdf5plugin.Bitshuffle(cname="lz4")),
}


@pytest.fixture(scope="module", params=CODECS)
def run(request, tmp_path_factory):
    """Return a file of many chunks and its frames."""
    name = tmp_path_factory.mktemp("many") / "run.h5"
    values = np.random.default_rng(0).poisson(3, (MANY, 6, 8)).astype("u2")
    with h5py.File(name, "w") as h5:
        h5.create_dataset(DATA, data=values, chunks=(1, 6, 8), **CODECS[request.param])
    return name, values


@settings(max_examples=30, deadline=None)
@given(
    idxs=st.lists(st.integers(-MANY, MANY - 1), max_size=12),
    transform=st.sampled_from([None, Crop([1, 5, 2, 7]), Downscale(2), Downscale(2, mode="sum")]),
    dtype=st.sampled_from([None, "float32"]),
    fetched=st.sampled_from([1, 300, 1 << 20]),
)
def test_frames_are_those_of_h5py(run, idxs, transform, dtype, fetched):
    name, values = run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cxistack.loading.direct._FETCHED", fetched)
        found = CXIStore(name).load_attribute("data", idxs, transform=transform, dtype=dtype)
    expected = values[idxs] if transform is None else transform.forward(values[idxs])
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == (dtype or expected.dtype)


def test_explain_tells_who_finds_the_chunks(run):
    name, _ = run
    store = CXIStore(name)
    assert "3 of 6,000 chunks, each found by HDF5" in store.explain("data", [5, 5, 9, 0])
    store.load_attribute("data")  # now the table is known
    assert "found by HDF5" not in store.explain("data", [5, 5, 9, 0])


def test_the_table_is_not_listed(run, monkeypatch):
    name, values = run
    monkeypatch.setattr(single_chunks, "locate_bytes", None)
    monkeypatch.setattr("cxistack.loading.route.locate_bytes", None)
    np.testing.assert_array_equal(CXIStore(name).load_attribute("data", [7, 3]), values[[7, 3]])


def test_a_chunk_that_was_never_written_is_the_fill_value(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        dataset = h5.create_dataset(DATA, (MANY, 6, 8), "u2", chunks=(1, 6, 8), fillvalue=7)
        dataset[4] = 1
    found = CXIStore(tmp_path / "a.h5").load_attribute("data", [4, 5])
    assert found[0].min() == found[0].max() == 1
    assert found[1].min() == found[1].max() == 7
    found = CXIStore(tmp_path / "a.h5").load_attribute("data", range(40))  # so many: it is listed
    np.testing.assert_array_equal(found[:, 0, 0], [7, 7, 7, 7, 1, *[7] * 35])


def test_chunks_that_reach_beyond_the_edge_are_left_to_h5py(tmp_path):
    values = np.arange(MANY * 35, dtype="u4").reshape(MANY, 5, 7)
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        h5.create_dataset(DATA, data=values, chunks=(1, 5, 4), compression="gzip")
    store = CXIStore(tmp_path / "a.h5")
    assert "read by h5py: few of its 12000 chunks are wanted" in store.explain("data", [1])
    np.testing.assert_array_equal(store.load_attribute("data", [1, -1]), values[[1, -1]])


def test_several_chunks_a_frame_and_several_frames_a_chunk(tmp_path):
    values = np.arange(MANY * 2 * 24, dtype="u4").reshape(MANY * 2, 4, 6)
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        h5.create_dataset(DATA, data=values, chunks=(2, 2, 3), compression="gzip")
    store = CXIStore(tmp_path / "a.h5")
    assert "8 of 24,000 chunks, each found by HDF5" in store.explain("data", [1, 0, 9])
    np.testing.assert_array_equal(store.load_attribute("data", [9, 1, 0]), values[[9, 1, 0]])


def test_a_chunk_that_cannot_be_decoded_is_named(tmp_path):
    name = tmp_path / "a.h5"
    with h5py.File(name, "w") as h5:
        dataset = h5.create_dataset(DATA, (MANY, 6, 8), "u2", chunks=(1, 6, 8), compression="gzip")
        dataset[:9] = 1
        dataset.id.write_direct_chunk((3, 0, 0), b"no deflate")
    with pytest.raises(StorageError, match=r"a\.h5:.*data, row 3: the chunk of 10 bytes "):
        CXIStore(name).load_attribute("data", [2, 3])
