"""The side file of a run: one request a file to open it, and never what is stale."""

import os
import pickle
import shutil

import h5py
import hdf5plugin
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIStore, StorageError
from cxistack.cli import app
from cxistack.hdf5.indexing import make_index
from factory import DATA, DISTANCE, TRANSLATIONS, frames

pytest.importorskip("obstore")

SHAPE = (8, 8)
COUNT = 4200  # chunks: more than are found in a file's first bytes


def write(path, values, libver):
    with h5py.File(path, "w", libver=libver) as h5:
        options = {"chunks": (1, *SHAPE), **hdf5plugin.Bitshuffle(nelems=0)}
        data = h5.create_dataset(DATA, (COUNT, *SHAPE), "u2", **options)
        data[: len(values)] = values
        raw = [data.id.read_direct_chunk((k, 0, 0))[1] for k in range(len(values))]
        filler = h5.create_dataset("/filler", (COUNT, 800), "u1", chunks=(1, 800))
        for k in range(COUNT):
            data.id.write_direct_chunk((k, 0, 0), raw[k % len(values)])
            filler.id.write_direct_chunk((k, 0), bytes(800))
        h5[TRANSLATIONS] = np.arange(3.0 * COUNT).reshape(COUNT, 3)
        h5[DISTANCE] = 0.5


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """Write what the tests copy: two files in each format; return their folder."""
    folder = tmp_path_factory.mktemp("templates")
    for libver in ("earliest", "latest"):
        for n in range(2):
            write(folder / f"{libver}_{n}.cxi", frames(20, SHAPE) + n, libver)
    return folder


@pytest.fixture
def run_of(templates):
    def run_of(server, files=2, libver="earliest"):
        names = [server.folder / f"run_{n}.cxi" for n in range(files)]
        for n, name in enumerate(names):
            shutil.copy(templates / f"{libver}_{n}.cxi", name)
        repeated = np.arange(COUNT) % 20
        expected = [(frames(20, SHAPE) + n)[repeated] for n in range(files)]
        return server.of(*names), np.concatenate(expected)

    return run_of


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_it_opens_files_by_one_request_each(server, run_of, tmp_path, libver):
    urls, expected = run_of(server, libver=libver)
    side = tmp_path / "run.index"
    make_index(urls, side)
    server.asked.clear()
    store = CXIStore(urls, protocol="cxi", index=side)
    assert repr(store)
    assert store["data"].shape == expected.shape
    assert store.load_attribute("distance") == 0.5
    assert [method for method, _, _ in server.asked] == ["HEAD", "HEAD"]
    some = [4199, 3, 4201, 8000]
    np.testing.assert_array_equal(store.load_attribute("data", some, verbose=False), expected[some])
    assert all(end - begin < 2000 for begin, end in server.ranges)
    np.testing.assert_array_equal(store.load_attribute("data", verbose=False), expected)
    lazy = pickle.loads(pickle.dumps(store["data"]))
    np.testing.assert_array_equal(lazy[7000], expected[7000])


@pytest.mark.parametrize("tags", ["etag", "weak", "time", "none"])
def test_one_that_is_stale_is_refused(server, run_of, tmp_path, tags):
    server.tags = tags
    urls, _ = run_of(server, 1)
    side = tmp_path / "run.index"
    make_index(urls, side)
    CXIStore(urls, index=side)
    with h5py.File(server.folder / "run_0.cxi", "a") as h5:
        h5["/more"] = np.arange(10000)
    os.utime(server.folder / "run_0.cxi", (2e9, 2e9))
    with pytest.raises(StorageError, match=r"run\.index is stale: .*run_0\.cxi has changed"):
        CXIStore(urls, index=side)
    make_index(urls, side)
    CXIStore(urls, index=side)


def test_it_is_found_by_the_last_piece_of_a_name(server, run_of, tmp_path):
    urls, expected = run_of(server, 1)
    make_index(urls, server.folder / "run.index")
    (server.folder / "moved").mkdir()
    (server.folder / "run_0.cxi").rename(server.folder / "moved" / "run_0.cxi")
    server.tags = "time"
    url = f"{server.url}/moved/run_0.cxi"
    index = f"{server.url}/run.index?sig=secret"
    with pytest.raises(StorageError, match="stale") as caught:  # made where there were tags
        CXIStore(url, index=index)
    assert "secret" not in str(caught.value)
    make_index(url, server.folder / "run.index")
    store = CXIStore(url, index=index)
    np.testing.assert_array_equal(store["data"][17], expected[17])


def test_files_that_it_does_not_know_are_opened_all_the_same(server, run_of, tmp_path):
    urls, expected = run_of(server)
    side = tmp_path / "run.index"
    make_index(urls[:1], side)
    store = CXIStore(urls, index=side)
    np.testing.assert_array_equal(store["data"][[0, 5000]], expected[[0, 5000]])


def test_what_is_no_index_is_refused(server, run_of, tmp_path):
    urls, _ = run_of(server, 1)
    side = tmp_path / "run.index"
    make_index(urls, side)
    whole = side.read_bytes()
    for broken in (b"", b"no index", whole[:-9], whole[:60] + b"x" * 20 + whole[80:]):
        side.write_bytes(broken)
        with pytest.raises(StorageError, match=r"run\.index is no index"):
            CXIStore(urls, index=side)
    with pytest.raises(FileNotFoundError):
        CXIStore(urls, index=tmp_path / "none.index")
    with pytest.raises(ValueError, match="is here"):
        make_index(str(server.folder / "run_0.cxi"), side)


def test_the_command_makes_it(server, run_of, tmp_path):
    urls, expected = run_of(server, 1)
    side = tmp_path / "run.index"
    done = CliRunner().invoke(app, ["index", *urls, "-o", str(side)])
    assert done.exit_code == 0, done.output
    assert CXIStore(urls, index=side)["data"].shape == expected.shape
    done = CliRunner().invoke(app, ["index", *urls, "-o", str(side)])
    assert done.exit_code == 2
    assert "--force" in done.output
