"""Each fact of HDF5 that a reader beside libhdf5 must know of, as a file that shows it."""

import ctypes
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from cxistack import CXIError, CXIProtocol, CXIStore, Downscale
from factory.storage import low_level

PATH = "/entry/frames"
BESIDE = "read beside libhdf5"
UINT = CXIProtocol({"data": "uint"}, {"data": [PATH]}, {"data": "stack"})
BOOL = CXIProtocol({"data": "bool"}, {"data": [PATH]}, {"data": "stack"})


def frames(count=5, shape=(11, 13), start=0):
    size = count * int(np.prod(shape))
    return np.arange(start, start + size).reshape(count, *shape).astype("uint16")


def agrees(name, protocol=UINT):
    """Compare with h5py, whole and in part; return how the store says that it reads."""
    with h5py.File(name) as h5:
        expected = h5[PATH][...]
    with CXIStore(name, protocol=protocol) as store:
        np.testing.assert_array_equal(store.load_attribute("data"), expected)
        some = store.load_attribute("data", [-1, 0, 0], transform=Downscale(3), dtype="float32")
        np.testing.assert_array_equal(some, expected[[-1, 0, 0], ..., ::3, ::3])
        return store.explain("data")


def created(name, shape, plist, maxshape=None, **options):
    """Create a dataset by HDF5's own functions."""
    kind = h5py.h5t.STD_U16LE
    return low_level(name, shape, kind, plist, maxshape, name=PATH, **options)


def library():
    """Return the very libhdf5 that h5py uses, for what h5py cannot say."""
    maps = Path("/proc/self/maps").read_text().split()
    for name in sorted({word for word in maps if "libhdf5" in word and "_hl" not in word}):
        loaded = ctypes.CDLL(name)
        if hasattr(loaded, "H5Pset_chunk_opts"):
            return loaded
    pytest.skip("libhdf5 is not to be found among the loaded libraries")


def chunked(chunk, *, gzip=False, early=False):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(chunk)
    if gzip:
        plist.set_deflate(4)
    if early:
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    return plist


INDEXES = {
    "single chunk": ((5, 11, 13), (5, 11, 13), {}),
    "implicit": ((1, 4, 5), (5, 11, 13), {"early": True}),
    "implicit, larger later": ((1, 4, 5), (9, 15, 13), {"early": True}),
    "fixed array": ((1, 4, 5), (5, 11, 13), {}),
    "fixed array, larger later": ((1, 4, 5), (3000, 11, 40), {}),
    "extensible array": ((1, 4, 5), (h5py.h5s.UNLIMITED, 11, 13), {}),
    "version 2 B-tree": ((1, 4, 5), (h5py.h5s.UNLIMITED, h5py.h5s.UNLIMITED, 13), {}),
}


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
@pytest.mark.parametrize("gzip", [False, True])
@pytest.mark.parametrize("index", INDEXES)
def test_every_kind_of_chunk_index(tmp_path, index, gzip, libver):
    chunk, most, options = INDEXES[index]
    plist = chunked(chunk, gzip=gzip, **options)
    with created(tmp_path / "a.h5", (5, 11, 13), plist, most, libver=libver) as h5:
        h5[PATH][...] = frames() // 99  # no edge chunk has just its raw size, which is ambiguous
    assert BESIDE in agrees(tmp_path / "a.h5")


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("gzip", [False, True])
def test_a_dataset_that_grew_and_shrank(tmp_path, gzip, libver):
    plist = chunked((2, 4, 5), gzip=gzip)
    most = (h5py.h5s.UNLIMITED,) * 3
    with created(tmp_path / "a.h5", (5, 11, 13), plist, most, libver=libver) as h5:
        data = h5[PATH]
        data[...] = frames()
        data.resize((9, 14, 15))
        data[7] = 3
        data.resize((6, 7, 12))
        data.resize((8, 8, 14))
    agrees(tmp_path / "a.h5")


@pytest.mark.parametrize("size", [512, 4096])
@pytest.mark.parametrize("chunks", [None, (1, 4, 5)])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_user_block(tmp_path, libver, chunks, size):
    with h5py.File(tmp_path / "a.h5", "w", libver=libver, userblock_size=size) as h5:
        h5.create_dataset(PATH, data=frames(), chunks=chunks)
    assert BESIDE in agrees(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("shape", "way"), [((5, 11, 13), "only HDF5 knows"), ((4, 12, 10), BESIDE)]
)
def test_partial_chunks_that_are_not_filtered(tmp_path, shape, way):
    """Their mask says nothing of it."""
    plist = chunked((2, 4, 5), gzip=True)
    assert library().H5Pset_chunk_opts(ctypes.c_int64(plist.id), ctypes.c_uint(2)) >= 0
    most = (h5py.h5s.UNLIMITED,) * 3
    with created(tmp_path / "a.h5", shape, plist, most, libver="latest") as h5:
        h5[PATH][...] = frames(shape[0], shape[1:])
    assert way in agrees(tmp_path / "a.h5")


def test_filtered_partial_chunks_are_read_beside_libhdf5(tmp_path):
    with created(tmp_path / "a.h5", (5, 11, 13), chunked((2, 4, 5), gzip=True)) as h5:
        h5[PATH][...] = frames() // 99
    assert BESIDE in agrees(tmp_path / "a.h5")


@pytest.mark.parametrize("compression", ["gzip", "lzf", hdf5plugin.LZ4(), hdf5plugin.Zstd()])
def test_noise_that_takes_more_room_compressed(tmp_path, compression):
    noise = np.random.default_rng(1).integers(0, 2**16, (2, 64, 96)).astype("uint16")
    options = {"compression": compression} if isinstance(compression, str) else compression
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        h5.create_dataset(PATH, data=noise, chunks=(1, 64, 96), **options)
    agrees(tmp_path / "a.h5")


@pytest.mark.parametrize("fill", [None, 7])
@pytest.mark.parametrize("userblock", [0, 512, 4096])
def test_contiguous_storage_that_was_never_allocated(tmp_path, userblock, fill):
    """HDF5 adds the user block to the address that says "none", and gives that as the offset."""
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=userblock) as h5:
        h5.create_dataset(PATH, (5, 11, 13), "uint16", fillvalue=fill)
        h5["/more"] = np.arange(9999)
        assert h5[PATH].id.get_storage_size() == 0
    assert BESIDE in agrees(tmp_path / "a.h5")


def test_compact_storage_goes_through_h5py(tmp_path):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.COMPACT)
    with created(tmp_path / "a.h5", (5, 11, 13), plist) as h5:
        h5[PATH][...] = frames()
    assert "read by h5py: its storage is compact" in agrees(tmp_path / "a.h5")


def test_external_storage_is_refused(tmp_path):
    (tmp_path / "raw").write_bytes(bytes(2000))
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        external = [(str(tmp_path / "raw"), 0, 1430)]
        h5.create_dataset(PATH, (5, 11, 13), "uint16", external=external)
    with pytest.raises(CXIError, match=r"a\.h5.*frames.*external"):
        CXIStore(tmp_path / "a.h5", protocol=UINT).load_attribute("data")


def test_a_virtual_dataset_over_filtered_sources(tmp_path):
    layout = h5py.VirtualLayout((10, 11, 13), "uint16")
    for n in range(2):
        with h5py.File(tmp_path / f"s{n}.h5", "w") as h5:
            h5.create_dataset("f", data=frames(start=n), chunks=(2, 11, 13), compression="gzip")
        source = h5py.VirtualSource(f"s{n}.h5", "f", (5, 11, 13))
        layout[n::2] = source
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as h5:
        h5.create_virtual_dataset(PATH, layout)
    agrees(tmp_path / "a.h5")


@pytest.mark.parametrize("driver", ["core", "split", "family", "stdio"])
def test_files_of_other_drivers_agree_or_raise(tmp_path, driver):
    """An address in a family or a split file is none in the file that was named."""
    given = tmp_path / ("f%d.h5" if driver == "family" else "a.h5")
    options = {"memb_size": 1024} if driver == "family" else {}
    with h5py.File(given, "w", driver=driver, **options) as h5:
        h5.create_dataset(PATH, data=frames(), chunks=(1, 11, 13))
    made = sorted(tmp_path.iterdir())
    for name in made:
        try:
            with CXIStore(name, protocol=UINT) as store:
                loaded = store.load_attribute("data")
        except (CXIError, OSError):
            assert driver in ("split", "family")
        else:
            np.testing.assert_array_equal(loaded, frames())


@pytest.mark.parametrize("chunks", [None, (1, 4, 5), (5, 11, 13)])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_what_this_process_wrote_and_did_not_flush(tmp_path, chunks, libver):
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as h5:
        data = h5.create_dataset(PATH, data=frames(), chunks=chunks)
        with CXIStore(tmp_path / "a.h5", protocol=UINT) as store:
            np.testing.assert_array_equal(store.load_attribute("data"), data[...])
            for row in range(5):
                data[row, 3, 2:4] = [7000 + row, 8000]
                np.testing.assert_array_equal(store.load_attribute("data"), data[...])
            data[2] = 1
            np.testing.assert_array_equal(store.load_attribute("data"), data[...])


def test_a_boolean_that_is_neither_0_nor_1_is_true(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        data = h5.create_dataset(PATH, (2, 3, 4), bool, chunks=(1, 3, 4))
        data.id.write_direct_chunk((0, 0, 0), bytes(range(12)))
        data.id.write_direct_chunk((1, 0, 0), bytes(12))
    loaded = CXIStore(tmp_path / "a.h5", protocol=BOOL).load_attribute("data")
    assert loaded.view("uint8").tolist() == [[[0, 1, 1, 1], [1] * 4, [1] * 4], [[0] * 4] * 3]


def test_a_2d_dataset_in_chunks_stands_for_a_frame(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        options = {"chunks": (4, 5), "compression": "gzip", "shuffle": True}
        h5.create_dataset(PATH, data=frames(1)[0], **options)
    with CXIStore(tmp_path / "a.h5", protocol=UINT) as store:
        assert BESIDE in store.explain("data")
        np.testing.assert_array_equal(store.load_attribute("data"), frames(1))
        np.testing.assert_array_equal(store.load_attribute("data", [0, 0]), frames(1)[[0, 0]])


def test_files_stored_in_different_ways_make_one_result(tmp_path):
    ways = [{}, {"chunks": (1, 11, 13)}, {"chunks": (2, 4, 5), "compression": "gzip"}]
    ways += [{"chunks": (1, 11, 13), "compression": "lzf"}, {"chunks": (3, 11, 13)}]
    ways += [{"chunks": (1, 11, 13), "dtype": kind} for kind in (">u2", "uint8", "uint32")]
    ways += [{"chunks": (1, 11, 13), "fillvalue": 3, "compression": "gzip"}]
    names = []
    for n, options in enumerate(ways):
        names.append(tmp_path / f"a{n}.h5")
        with h5py.File(names[-1], "w") as h5:
            h5.create_dataset(PATH, data=frames(3, start=7 * n) % 250, **options)
    expected = np.concatenate([frames(3, start=7 * n) % 250 for n in range(len(ways))])
    with CXIStore(names, protocol=UINT) as store:
        np.testing.assert_array_equal(store.load_attribute("data"), expected)
        order = np.random.default_rng(2).integers(-27, 27, 60)
        loaded = store.load_attribute("data", order, dtype="float64", transform=Downscale(2))
        np.testing.assert_array_equal(loaded, expected[order, ::2, ::2])


@pytest.mark.parametrize("file_type", [">i2", "<f4", "<u4"])
def test_a_new_dataset_of_the_same_address_is_not_taken_for_the_old(tmp_path, file_type):
    """What was noted of a file's datasets is good as long as the file is the same."""
    name = tmp_path / "a.h5"
    for kind in ("uint16", file_type):
        name.unlink(missing_ok=True)
        with h5py.File(name, "w") as h5:
            h5.create_dataset(PATH, data=frames().astype(kind))
        protocol = CXIProtocol({"data": "float"}, {"data": [PATH]}, {"data": "stack"})
        with CXIStore(name, protocol=protocol) as store:
            np.testing.assert_array_equal(store.load_attribute("data"), frames())
