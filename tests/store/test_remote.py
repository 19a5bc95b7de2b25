"""Files on a server are read as the same files here: right pixels, few requests, nothing else."""

import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from typer.testing import CliRunner

import cxistack
from cxistack import (
    Crop,
    CXIProtocol,
    CXIStore,
    FileChangedError,
    LayoutError,
    LinkError,
    convert,
)
from cxistack.cli import app
from cxistack.hdf5.remote import remotes
from factory import DATA, LAYOUTS, MASK, TRANSLATIONS, frames, good_mask, put
from factory.runs import FILTERS, PROTOCOL, write

pytest.importorskip("obstore")

SHAPE = (60, 50)


def run_of(server, files=2):
    """Return the names here and the addresses of a run, and its frames."""
    arrays = [frames(4, SHAPE, start=100 * n) for n in range(files)]
    options = {"chunks": (1, *SHAPE), **hdf5plugin.Bitshuffle()}
    names = []
    for n, array in enumerate(arrays):
        names.append(server.folder / f"run_{n}.cxi")
        with h5py.File(names[-1], "w") as h5:
            h5.create_dataset(DATA, data=array, **options)
            h5[MASK] = good_mask(SHAPE)
            h5[TRANSLATIONS] = np.arange(12.0).reshape(4, 3) + n
    return names, server.of(*names), np.concatenate(arrays)


@pytest.mark.parametrize("stored", FILTERS)
def test_pixels_are_those_of_the_file(server, stored):
    values = frames(9, SHAPE)
    options = {name: one for name, one in FILTERS[stored].items() if name != "chunks"}
    if "chunks" in FILTERS[stored]:
        options["chunks"] = tuple(min(n, s) for n, s in zip((4, 25, 20), values.shape, strict=True))
    with h5py.File(server.folder / "a.h5", "w") as h5:
        h5.create_dataset("/frames", data=values, **options)
    store = CXIStore(server.of("a.h5")[0], protocol=PROTOCOL)
    np.testing.assert_array_equal(store.load_attribute("data", verbose=False), values)
    some = store.load_attribute(
        "data", [7, 0, 0, -1], transform=Crop([3, 40, 20, 31]), dtype="float32", verbose=False
    )
    np.testing.assert_array_equal(some, values[[7, 0, 0, -1], 3:40, 20:31])
    np.testing.assert_array_equal(store["data"][5, ::-2, 3], values[5, ::-2, 3])


def test_a_run_has_everything_that_it_has_here(server):
    names, urls, data = run_of(server)
    here, there = CXIStore(names, protocol="cxi"), CXIStore(urls, protocol="cxi")
    assert there.found == here.found
    for attr in here.found:
        expected = here.load_attribute(attr, verbose=False)
        np.testing.assert_array_equal(there.load_attribute(attr, verbose=False), expected)
    np.testing.assert_array_equal(np.stack(list(there["data"])), data)
    batches = [frames.copy() for frames, _ in there.stream("data", batch=3)]
    np.testing.assert_array_equal(np.concatenate(batches), data)
    assert there.reduce("data", "max", verbose=False).max() == data.max()
    assert not there.check(verbose=False)
    assert there.problems == here.problems
    assert urls[0] in repr(there)


def test_a_file_that_is_small_takes_one_request(server):
    _, urls, data = run_of(server, 3)
    store = CXIStore(urls)
    np.testing.assert_array_equal(store.load_attribute("data", verbose=False), data)
    assert len(server.asked) <= 3


def large_run(server, shape=(400, 300)):
    values = np.random.default_rng(5).poisson(30, (12, *shape)).astype("u2")
    path = server.folder / "large.h5"
    with h5py.File(path, "w") as h5:
        options = {"chunks": (1, *shape), **hdf5plugin.Bitshuffle()}
        h5.create_dataset("/frames", data=values, **options)
        stored = h5["/frames"].id.get_storage_size()
    return values, CXIStore(server.of(path)[0], protocol=PROTOCOL), stored


def test_only_the_chunks_that_are_wanted_are_asked_for(server):
    values, store, stored = large_run(server)
    assert store["data"].shape == values.shape
    server.asked.clear()
    wanted = [1, 5, 9]
    np.testing.assert_array_equal(
        store.load_attribute("data", wanted, verbose=False), values[wanted]
    )
    assert server.given <= 1.2 * stored * len(wanted) / len(values)
    assert len(server.asked) <= 3
    server.asked.clear()
    np.testing.assert_array_equal(store.load_attribute("data", verbose=False), values)
    assert server.given <= 1.2 * stored
    assert len(server.asked) <= 3  # neighbours are asked for together


def test_of_bitshuffled_chunks_the_head_is_asked_for(server):
    values, store, stored = large_run(server, shape=(1000, 900))
    assert store["data"].shape == values.shape
    server.asked.clear()
    top = store.load_attribute("data", ss_idxs=slice(0, 50), verbose=False)
    np.testing.assert_array_equal(top, values[:, :50])
    assert server.given < 0.3 * stored


def test_a_head_that_is_too_short_is_followed_by_the_rest(server):
    values = np.zeros((8, 1000, 900), "u2")  # its first rows take most of its bytes
    values[:, :200] = np.random.default_rng(5).integers(0, 60000, (8, 200, 900))
    with h5py.File(server.folder / "uneven.h5", "w") as h5:
        chunks = {"chunks": (1, 1000, 900), **hdf5plugin.Bitshuffle(nelems=2048)}
        h5.create_dataset("/frames", data=values, **chunks)
    store = CXIStore(server.of("uneven.h5")[0], protocol=PROTOCOL)
    assert store["data"].shape == values.shape
    server.asked.clear()
    top = store.load_attribute("data", ss_idxs=slice(0, 190), verbose=False)
    np.testing.assert_array_equal(top, values[:, :190])
    assert len(server.asked) > 8  # a head of each, and rests


def test_what_was_in_memory_is_not_taken_for_the_rest(server):
    right = np.zeros((6, 1200, 900), "u2")
    right[:, :600] = np.random.default_rng(1).integers(0, 65536, (6, 600, 900))
    wrong = right.copy()
    wrong[:, 595:600, 7] ^= 1  # its blocks are as long, and lie where those of the other would
    for values, name in ((wrong, "wrong.h5"), (right, "right.h5")):
        how = {"chunks": (1, 1200, 900), **hdf5plugin.Bitshuffle()}
        with h5py.File(server.folder / name, "w") as h5:
            h5.create_dataset("/frames", data=values, **how)
    stores = [CXIStore(url, protocol=PROTOCOL) for url in server.of("wrong.h5", "right.h5")]
    for first in range(300, 600, 20):
        assert (stores[0].load_attribute("data", verbose=False) == wrong).all()
        got = stores[1].load_attribute("data", ss_idxs=slice(first, 600), verbose=False)
        assert (got == right[:, first:600]).all()


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_a_head_may_end_anywhere(server, codec):
    # Blocks are as long as their pixels, so that a head which is too short ends within one, of
    # which a part would decode as well.
    frames = np.zeros((3, 400, 600), "u2")
    frames[:, :200] = np.random.default_rng(2).integers(0, 65536, (3, 200, 600))
    with h5py.File(server.folder / "a.h5", "w") as h5:
        how = {"chunks": (1, 400, 600), **hdf5plugin.Bitshuffle(cname=codec)}
        h5.create_dataset("/frames", data=frames, **how)
    store = CXIStore(server.of("a.h5")[0], protocol=PROTOCOL)
    for last in range(60, 200):
        got = store.load_attribute("data", ss_idxs=slice(last - 1, last), verbose=False)
        assert (got == frames[:, last - 1 : last]).all()


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("growing", [False, True])
def test_of_many_chunks_few_are_found_without_reading_them(server, libver, growing):
    count, shape = 4200, (64, 64)
    values = np.random.default_rng(3).integers(0, 60000, (20, *shape), "u2")
    with h5py.File(server.folder / "many.h5", "w", libver=libver) as h5:
        options = {"chunks": (1, *shape), **hdf5plugin.Bitshuffle()}
        limit = (None if growing else count, *shape)
        data = h5.create_dataset("/frames", (count, *shape), "u2", maxshape=limit, **options)
        few = h5.create_dataset("/few", data=values, **options)
        encoded = [few.id.read_direct_chunk((n, 0, 0))[1] for n in range(20)]
        for number in range(count - 1):  # the last was never written
            data.id.write_direct_chunk((number, 0, 0), encoded[number % 20])
    store = CXIStore(server.of("many.h5")[0], protocol=PROTOCOL)
    assert store["data"].shape == (count, *shape)
    server.asked.clear()
    wanted = [3321, 17, 2500]
    got = store.load_attribute("data", wanted, verbose=False)
    np.testing.assert_array_equal(got, values[np.array(wanted) % 20])
    assert len(server.asked) <= 4 * len(wanted)
    assert not store["data"][count - 1].any()


def test_few_of_a_long_run_take_few_requests(server):
    shape = (101, 90)  # chunks reach beyond the edge in one of two
    values = np.random.default_rng(3).integers(0, 60000, (2000, *shape), "u2")
    with h5py.File(server.folder / "long.h5", "w") as h5:
        options = hdf5plugin.Bitshuffle(cname="none")
        h5.create_dataset("/frames", data=values, chunks=(1, *shape), **options)
        h5.create_dataset("/edges", data=values[:600], chunks=(1, 60, 90), compression="gzip")
    url = server.of("long.h5")[0]
    with CXIStore(url, protocol=PROTOCOL) as store:  # by HDF5, one by one
        np.testing.assert_array_equal(store["data"][1777], values[1777])
        assert len(server.asked) <= 5
    edges = CXIProtocol({"data": "uint"}, {"data": ["/edges"]}, {"data": "stack"})
    np.testing.assert_array_equal(CXIStore(url, protocol=edges)["data"][555], values[555])
    assert "by requests" in CXIStore(url, protocol=edges).explain("data", 555)


def test_a_lazy_array_is_pickled_for_another_process(server):
    _, urls, data = run_of(server)
    script = """
        import pickle, sys
        lazy = pickle.load(sys.stdin.buffer)
        print(int(lazy[5].sum()))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    store = CXIStore(urls, remote={"timeout": 20})
    done = subprocess.run(
        command, input=pickle.dumps(store["data"]), capture_output=True, check=True
    )
    assert int(done.stdout) == data[5].sum()


def test_it_may_be_left_open_when_python_ends(server):
    _, urls, _ = run_of(server, 1)
    script = f"""
        import cxistack
        store = cxistack.CXIStore({urls[0]!r})
        dataset = store.file[{DATA!r}]
        print(store["data"].shape)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "(4, 60, 50)\n", "")


def test_a_forked_process_is_told_that_it_cannot(server):
    large_run(server)
    url = server.of("large.h5")[0]
    script = f"""
        import os, cxistack
        paths, kinds = {{"data": ["/frames"]}}, {{"data": "stack"}}
        protocol = cxistack.CXIProtocol({{"data": "uint"}}, paths, kinds)
        store = cxistack.CXIStore({url!r}, protocol=protocol)
        store.load_attribute("data", verbose=False)
        if not os.fork():
            try:
                store.load_attribute("data", verbose=False)
            except OSError as error:
                print(error, flush=True)
            os._exit(0)
        os.wait()
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "spawn" in done.stdout
    assert url in done.stdout


def test_files_here_and_there_are_one_run(server, tmp_path):
    _, urls, data = run_of(server, 1)
    here = put(tmp_path / "here.cxi", {DATA: frames(3, SHAPE, start=7)})
    store = CXIStore([here, urls[0]])
    expected = np.concatenate([frames(3, SHAPE, start=7), data])
    np.testing.assert_array_equal(store.load_attribute("data", verbose=False), expected)


def test_links_and_virtual_sources_are_looked_for_beside_the_file(server, tmp_path, monkeypatch):
    names, _, data = run_of(server)
    layout = h5py.VirtualLayout(data.shape, data.dtype)
    for n, name in enumerate(names):
        layout[4 * n : 4 * n + 4] = h5py.VirtualSource(name.name, DATA, (4, *SHAPE))
    with h5py.File(server.folder / "master.h5", "w") as h5:
        h5.create_virtual_dataset("/frames", layout)
        h5["/link"] = h5py.ExternalLink("run_1.cxi", DATA)
    # Files of the same names here are not they.
    for name in names:
        put(tmp_path / name.name, {DATA: np.zeros((4, *SHAPE), "u2")})
    monkeypatch.chdir(tmp_path)
    url = server.of("master.h5")[0]
    np.testing.assert_array_equal(CXIStore(url, protocol=PROTOCOL)["data"][:], data)
    linked = CXIProtocol({"data": "uint"}, {"data": ["/link"]}, {"data": "stack"})
    np.testing.assert_array_equal(CXIStore(url, protocol=linked)["data"][:], data[4:])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_read_as_they_are_here(server, layout):
    arrays = [frames(4, (10, 12), start=50 * n) for n in range(3)]
    names = LAYOUTS[layout](server.folder, arrays)
    names = [names] if isinstance(names, str | Path) else list(names)
    urls = [f"{server.url}/{Path(name).relative_to(server.folder)}" for name in names]
    here, there = CXIStore(names), CXIStore(urls)
    assert there.found == here.found
    np.testing.assert_array_equal(there["data"][:], here["data"][:])
    assert there["data"].shape[0]


def test_a_dataset_there_has_a_name_in_a_line(server):
    values, store, _ = large_run(server)
    name = f"{store.filenames()[0]}::/frames[1:3, 5]"
    np.testing.assert_array_equal(cxistack.read(name), values[1:3, 5])


def test_links_may_be_kept_to_the_folder(server):
    names, _, data = run_of(server, 1)
    (server.folder / "below").mkdir()
    names[0].rename(server.folder / "below" / "run_0.cxi")
    for folder, target in (("", "below/run_0.cxi"), ("other", "../below/run_0.cxi")):
        (server.folder / folder).mkdir(exist_ok=True)
        with h5py.File(server.folder / folder / "master.h5", "w") as h5:
            h5["/frames"] = h5py.ExternalLink(target, DATA)
    url = f"{server.url}/master.h5"
    np.testing.assert_array_equal(CXIStore(url, protocol=PROTOCOL, links="tree")["data"][:], data)
    url = f"{server.url}/other/master.h5"
    np.testing.assert_array_equal(CXIStore(url, protocol=PROTOCOL)["data"][:], data)
    with pytest.raises(LinkError, match="outside the folders"):
        CXIStore(url, protocol=PROTOCOL, links="tree").load_attribute("data")


def test_what_is_missing_there_is_not_looked_for_here(server, tmp_path, monkeypatch):
    put(tmp_path / "run_9.cxi", {DATA: np.zeros((4, *SHAPE), "u2")})
    monkeypatch.chdir(tmp_path)
    with h5py.File(server.folder / "master.h5", "w", libver="latest") as h5:
        h5["/frames"] = h5py.ExternalLink("run_9.cxi", DATA)
        h5["/absolute"] = h5py.ExternalLink(str(tmp_path / "run_9.cxi"), DATA)
        layout = h5py.VirtualLayout((4, *SHAPE), "u2", maxshape=(None, *SHAPE))
        source = h5py.VirtualSource("run_9.cxi", DATA, (4, *SHAPE), maxshape=(None, *SHAPE))
        layout[: h5py.h5s.UNLIMITED] = source[: h5py.h5s.UNLIMITED]
        h5.create_virtual_dataset("/endless", layout)
    for path, error in (
        ("/frames", "needs the file"),
        ("/absolute", "needs the file"),
        ("/endless", "without an end"),
    ):
        protocol = CXIProtocol({"data": "uint"}, {"data": [path]}, {"data": "stack"})
        with pytest.raises((LinkError, LayoutError), match=error):
            CXIStore(f"{server.url}/master.h5", protocol=protocol).load_attribute("data")


def test_what_only_hdf5_puts_together_is_refused(server):
    with h5py.File(server.folder / "a.h5", "w") as h5:
        h5["/source"] = frames(6, SHAPE)
        layout = h5py.VirtualLayout((6, *SHAPE), "float32")
        layout[:] = h5py.VirtualSource(h5["/source"])
        h5.create_virtual_dataset("/frames", layout)
    store = CXIStore(server.of("a.h5")[0], protocol=PROTOCOL)
    with pytest.raises(LayoutError, match="cannot open its sources on a server") as caught:
        store.load_attribute("data", verbose=False)
    assert server.url in str(caught.value)


def test_explain_says_how_bytes_come(server):
    _, store, _ = large_run(server)
    told = store.explain("data")
    assert "by requests for ranges" in told
    write(server.folder / "lzf.h5", frames(4, (5, 7)), "lzf")
    told = CXIStore(server.of("lzf.h5")[0], protocol=PROTOCOL).explain("data")
    assert "read by h5py" in told
    assert "one request after another" in told


def test_commands_take_addresses(server, tmp_path):
    _, urls, data = run_of(server)
    run = CliRunner()
    for command in (["info", *urls], ["explain", *urls], ["check", *urls]):
        done = run.invoke(app, command)
        assert done.exit_code == 0, done.output
        assert "run_0.cxi" in done.output or command[0] == "check"
    picture = tmp_path / "a.png"
    assert run.invoke(app, ["view", urls[0], "-o", str(picture)]).exit_code == 0
    assert picture.exists()
    copy = CXIStore(tmp_path / "copy.cxi", mode="w")
    assert convert(CXIStore(urls), copy, verbose=False).frames == len(data)
    np.testing.assert_array_equal(CXIStore(tmp_path / "copy.cxi")["data"][:], data)


def test_nothing_is_written_there(server):
    _, urls, data = run_of(server, 1)
    for mode in ("r+", "a", "w", "x"):
        with pytest.raises(ValueError, match="only read"):
            CXIStore(urls, mode=mode)
    with pytest.raises(OSError, match="read-only"):
        CXIStore(urls).save_attribute("data", data)
    with pytest.raises(ValueError, match="cannot be followed"):
        CXIStore(urls).follow("data")
    with pytest.raises(ValueError, match="swmr"):
        CXIStore(urls, swmr=True)


def test_what_it_cannot_be_opened_with_is_said(server, tmp_path):
    _, urls, _ = run_of(server, 1)
    with pytest.raises(ValueError, match="pattern"):
        CXIStore(f"{server.url}/run_*.cxi")
    with pytest.raises(FileNotFoundError, match="no such file"):
        CXIStore([*urls, f"{server.url}/none.cxi"])
    with pytest.raises(ValueError, match="twice"):
        CXIStore([urls[0], urls[0]])
    with pytest.raises(ValueError, match="timeout, retries, requests, not 'time'"):
        CXIStore(urls, remote={"time": 3})
    with pytest.raises(ValueError, match="none is named"):
        CXIStore(put(tmp_path / "a.cxi", {DATA: frames(2)}), remote={"timeout": 3})
    (server.folder / "text.cxi").write_text("no HDF5 at all")
    with pytest.raises(OSError, match="no HDF5 signature"):
        CXIStore(f"{server.url}/text.cxi").load_attribute("data")


def test_a_virtual_file_over_a_server_is_refused(server, tmp_path):
    run_of(server, files=1)
    away = server.of(*sorted(one.name for one in server.folder.iterdir()))
    with pytest.raises(LayoutError, match="on a server, and HDF5 has no virtual datasets"):
        convert(CXIStore(away), CXIStore(tmp_path / "v.cxi", mode="w"), virtual=True)


def test_dask_and_tokens_know_a_file_by_its_tag(server, monkeypatch):
    dask = pytest.importorskip("dask")
    monkeypatch.setattr(remotes, "_JUST_NOW", 0.0)
    values, store, _ = large_run(server)
    lazy = store["data"]
    array, token = lazy.to_dask(chunks=1), dask.base.tokenize(lazy)
    np.testing.assert_array_equal(array[1].compute(), values[1])
    assert dask.base.tokenize(CXIStore(store.filenames(), protocol=PROTOCOL)["data"]) == token
    path = server.folder / "large.h5"
    second, rest = divmod(path.stat().st_mtime_ns, 10**9)
    moved = second * 10**9 + (rest + 10**8) % 10**9
    os.utime(path, ns=(moved, moved))  # all but its tag is as before
    store.update_indices()
    assert store["data"].to_dask(chunks=1).name != array.name
    assert dask.base.tokenize(store["data"]) != token
    with pytest.raises(FileChangedError):
        array[2].compute()
