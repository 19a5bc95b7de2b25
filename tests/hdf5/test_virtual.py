"""Virtual datasets: which way they are read, what is told of it, and what is an error."""

import contextlib
import re
import subprocess
import sys

import h5py
import hdf5plugin
import numpy as np
import pytest

import factory
from cxistack import (
    CastError,
    Crop,
    CXIError,
    CXIProtocol,
    CXIStore,
    Downscale,
    LayoutError,
    LinkError,
)
from cxistack.hdf5 import virtual_sources
from factory import DATA, MASK, frames, put
from factory.storage import low_level

UNLIMITED = h5py.h5s.UNLIMITED
FRAME = (6, 8)


def protocol(convention="good", data="uint"):
    return CXIProtocol(
        {"data": data, "mask": "bool"},
        {"data": [DATA], "mask": [MASK]},
        {"data": "stack", "mask": "stack"},
        {"mask": [convention]},
    )


def virtual(path, layout, fill=None, name=DATA):
    with h5py.File(path, "a", libver="latest") as h5:
        h5.create_virtual_dataset(name, layout, fillvalue=fill)
    return str(path)


def mapped(path, shape, dtype, maps, fill=0, maxshape=None):
    """Write a virtual dataset of mappings (start, count, stride, block, file, path, space)."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_fill_value(np.array(fill, dtype))
    for *slab, file, source, there in maps:
        space = h5py.h5s.create_simple(shape, maxshape or shape)
        space.select_hyperslab(*slab)
        plist.set_virtual(space, file, source, there)
    kind = h5py.h5t.py_create(np.dtype(dtype))
    low_level(path, shape, kind, plist, maxshape, libver="latest").close()
    return str(path)


def endless(shape, start, stride=None, block=None):
    """Return a selection without end along the first axis."""
    space = h5py.h5s.create_simple(shape, (UNLIMITED, *shape[1:]))
    rest = (0,) * (len(shape) - 1)
    if stride is None:
        space.select_hyperslab((start, *rest), (1,) * len(shape), None, (UNLIMITED, *shape[1:]))
    else:
        ones = (1,) * (len(shape) - 1)
        space.select_hyperslab(
            (start, *rest), (UNLIMITED, *ones), (stride, *ones), (block, *shape[1:])
        )
    return space


@pytest.fixture
def modules(tmp_path):
    """Return a virtual dataset of four modules, of chunks of three frames, and its values."""
    values = frames(8, (4, *FRAME))
    layout = h5py.VirtualLayout(values.shape, "uint16")
    for m in range(4):
        options = {"chunks": (3, *FRAME), **hdf5plugin.Bitshuffle()}
        put(tmp_path / f"module_{m}.h5", {"/d": values[:, m]}, **options)
        layout[:, m] = h5py.VirtualSource(f"module_{m}.h5", "/d", (8, *FRAME))
    return virtual(tmp_path / "v.h5", layout), values


def test_explain_shows_the_sources_and_counts_the_bytes_of_wanted_chunks(modules, tmp_path):
    name, values = modules
    store = CXIStore(name, protocol=protocol())
    told = store.explain("data", [7, 6])
    stored = 0
    for m in range(4):
        assert f"module_{m}.h5:/d, uint16 (8, 6, 8), chunked, bitshuffle" in told
        with h5py.File(tmp_path / f"module_{m}.h5") as h5:
            stored += h5["/d"].id.get_chunk_info(2).size
    assert "put together of 4 datasets" in told
    assert f"4 of 12 chunks, at most {stored:,} of" in told
    np.testing.assert_array_equal(store.load_attribute("data", [7, 6]), values[[7, 6]])


def test_row_offsets_count_in_what_is_told_of_frames_in_a_row(tmp_path):
    sizes = []
    layout = h5py.VirtualLayout((4, *FRAME), "uint16")
    for k in range(2):
        values = np.random.default_rng(k).integers(0, 2 ** (4 * k + 4), (6, *FRAME))
        path = tmp_path / f"s{k}.h5"
        put(path, {"/d": values.astype("u2")}, chunks=(1, *FRAME), compression="gzip")
        layout[2 * k : 2 * k + 2] = h5py.VirtualSource(path.name, "/d", (6, *FRAME))[3:5]
        with h5py.File(path) as h5:
            sizes.append([h5["/d"].id.get_chunk_info(row).size for row in range(6)])
    store = CXIStore(virtual(tmp_path / "v.h5", layout), protocol=protocol())
    assert f"1 of 6 chunks, {sizes[1][4]:,} of {sum(sizes[1]):,} stored" in store.explain("data", 3)
    told = store.explain("data")
    for mine in sizes:
        assert f"2 of 6 chunks, {sum(mine[3:5]):,} of {sum(mine):,} stored bytes" in told


@pytest.mark.parametrize("width", [8, 4])
def test_a_chunk_with_several_pieces_is_read_once(tmp_path, width):
    """Two halves of each frame are swapped, and frames are sorted into even and odd ones."""
    values = np.random.default_rng(1).integers(0, 999, (8, *FRAME)).astype("u2")
    put(tmp_path / "s.h5", {"/d": values}, chunks=(4, 6, width), compression="gzip")
    chunks = 2 * 8 // width
    with h5py.File(tmp_path / "s.h5") as h5:
        stored = [h5["/d"].id.get_chunk_info(k).size for k in range(chunks)]
    source = h5py.VirtualSource("s.h5", "/d", values.shape)
    layout = h5py.VirtualLayout(values.shape, "u2")
    for odd in range(2):
        layout[4 * odd : 4 * odd + 4, :3] = source[odd::2, 3:]
        layout[4 * odd : 4 * odd + 4, 3:] = source[odd::2, :3]
    expected = np.roll(np.concatenate([values[::2], values[1::2]]), 3, axis=1)
    store = CXIStore(virtual(tmp_path / "v.h5", layout), protocol=protocol())
    told = f"{chunks} of {chunks} chunks, {sum(stored):,} of {sum(stored):,} stored"
    assert told in store.explain("data")
    for threads in (1, 2):
        loaded = store.load_attribute("data", num_threads=threads)
        np.testing.assert_array_equal(loaded, expected)
    part = store.load_attribute("data", [6, 1], transform=Crop([1, 5, 2, 7]), dtype="f4")
    np.testing.assert_array_equal(part, expected[[6, 1], 1:5, 2:7])


@pytest.mark.parametrize("convention", ["good", "cxi", "nexus"])
def test_a_mask_of_modules_is_static_or_a_stack_of_any_convention(tmp_path, convention):
    flags = np.arange(48, dtype="u4").reshape(FRAME) % 3 * 0x8000
    good = flags != 0 if convention == "good" else flags == 0
    if convention == "nexus":
        good = flags & 0xFFFF == 0
    layout = h5py.VirtualLayout(FRAME, "u4")
    for m in range(2):
        put(tmp_path / f"m{m}.h5", {"/mask": flags[:, 4 * m : 4 * m + 4]}, chunks=(2, 4))
        layout[:, 4 * m : 4 * m + 4] = h5py.VirtualSource(f"m{m}.h5", "/mask", (6, 4))
    name = virtual(tmp_path / "v.h5", layout, name=MASK)
    put(name, {DATA: frames(3, FRAME)})
    store = CXIStore(name, protocol=protocol(convention))
    mask = store.load_attribute("mask")
    np.testing.assert_array_equal(mask, np.broadcast_to(good, (3, *FRAME)), strict=True)
    assert not mask.flags.writeable
    binned = store.load_attribute("mask", [2], transform=Downscale(2, mode="sum"))
    np.testing.assert_array_equal(binned[0], good.reshape(3, 2, 4, 2).all(axis=(1, 3)))
    assert "read beside libhdf5" in store.explain("mask")


def test_fill_values_are_cast_as_pixels_are(tmp_path):
    values = frames(4, FRAME, "int32")
    put(tmp_path / "s.h5", {"/d": values})
    layout = h5py.VirtualLayout((6, *FRAME), "int32")
    layout[:4] = h5py.VirtualSource("s.h5", "/d", values.shape)
    layout[4:, :3] = h5py.VirtualSource("s.h5", "/d", values.shape)[:2, :3]
    name = virtual(tmp_path / "v.h5", layout, fill=-1)
    expected = np.full((6, *FRAME), -1, "int32")
    expected[:4], expected[4:, :3] = values, values[:2, :3]
    store = CXIStore(name, protocol=protocol(data="int"))
    np.testing.assert_array_equal(store.load_attribute("data"), expected)
    unsafe = store.load_attribute("data", dtype="uint16", casting="unsafe")
    np.testing.assert_array_equal(unsafe, expected.astype("uint16"))
    with pytest.raises(CastError, match=r"frame 4 .*24 pixels do not fit uint16"):
        store.load_attribute("data", dtype="uint16")
    # what is not wanted of a frame does not count
    top = store.load_attribute("data", dtype="uint16", transform=Crop([0, 3, 0, 8]))
    np.testing.assert_array_equal(top, expected[:, :3])


def test_the_last_of_overlapping_sources_counts_and_gaps_are_filled(tmp_path):
    layout = h5py.VirtualLayout((8, *FRAME), "u2")
    expected = np.full((8, *FRAME), 99, "u2")
    for k, (first, chunks) in enumerate([(2, None), (0, (2, *FRAME)), (3, None)]):
        values = frames(3, FRAME, start=1000 * k)
        put(tmp_path / f"s{k}.h5", {"/d": values}, chunks=chunks)
        layout[first : first + 3, :5] = h5py.VirtualSource(f"s{k}.h5", "/d", values.shape)[:, :5]
        expected[first : first + 3, :5] = values[:, :5]
    name = virtual(tmp_path / "v.h5", layout, fill=99)
    store = CXIStore(name, protocol=protocol())
    assert "its pieces overlap" in store.explain("data")
    np.testing.assert_array_equal(store.load_attribute("data"), expected)
    np.testing.assert_array_equal(store.load_attribute("data", [7, 2, 4]), expected[[7, 2, 4]])


def test_what_is_left_to_hdf5_says_why(tmp_path):
    put(tmp_path / "s.h5", {"/d": frames(2, (4, *FRAME)), "/small": frames(2, FRAME, "u1")})
    turned = h5py.VirtualLayout((4, *FRAME), "u2")
    turned[...] = h5py.VirtualSource("s.h5", "/d", (2, 4, *FRAME))[1]
    narrow = h5py.VirtualLayout((2, *FRAME), "u2")
    narrow[...] = h5py.VirtualSource("s.h5", "/small", (2, *FRAME))
    ragged = h5py.VirtualLayout((2, 4, *FRAME), "u2")
    ragged[0, [0, 1, 3]] = h5py.VirtualSource("s.h5", "/d", (2, 4, *FRAME))[1, :3]
    layouts = {
        "its frames are not along the first axis of": turned,
        "uint8, which is another type": narrow,
        "is no regular selection": ragged,
    }
    for number, (reason, layout) in enumerate(layouts.items()):
        name = virtual(tmp_path / f"{number}.h5", layout)
        with CXIStore(name, protocol=protocol()) as store, h5py.File(name) as h5:
            assert reason in store.explain("data")
            assert "read by h5py: it is virtual, and" in store.explain("data")
            np.testing.assert_array_equal(store.load_attribute("data"), h5[DATA][...])


@pytest.mark.parametrize("fault", ["missing", "no dataset", "too small", "clipped"])
def test_a_source_that_does_not_fit_raises_before_anything_is_read(modules, tmp_path, fault):
    name, _ = modules
    bad = tmp_path / "module_3.h5"
    bad.unlink()
    if fault != "missing":
        value = {"no dataset": (8, "u2", "/e"), "too small": (7, "u2", "/d")}.get(fault)
        count, dtype, path = value or (8, "i4", "/d")
        put(bad, {path: frames(count, FRAME, dtype)})
    with pytest.raises((LinkError, LayoutError), match=r"module_3\.h5"):
        CXIStore(name, protocol=protocol()).load_attribute("data", [0])


def test_each_source_is_looked_at_once(tmp_path, monkeypatch):
    put(tmp_path / "s.h5", {"/d": frames(50, FRAME)})
    layout = h5py.VirtualLayout((50, *FRAME), "u2")
    for k in range(50):
        layout[49 - k] = h5py.VirtualSource("s.h5", "/d", (50, *FRAME))[k]
    looked = []
    describe = virtual_sources.describe
    monkeypatch.setattr(
        virtual_sources, "describe", lambda *given: looked.append(0) or describe(*given)
    )
    store = CXIStore(virtual(tmp_path / "v.h5", layout), protocol=protocol())
    np.testing.assert_array_equal(store.load_attribute("data"), frames(50, FRAME)[::-1])
    assert len(looked) == 1


def test_sources_without_end_of_unequal_length(tmp_path):
    for k, count in enumerate([5, 3]):
        put(
            tmp_path / f"s{k}.h5",
            {"/d": frames(count, FRAME, start=500 * k)},
            maxshape=(None, *FRAME),
        )
    maps = []
    for k in range(2):
        slab = (k, 0, 0), (UNLIMITED, 1, 1), (2, 1, 1), (1, *FRAME)
        maps.append((*slab, f"s{k}.h5".encode(), b"/d", endless((1, *FRAME), 0)))
    name = mapped(tmp_path / "v.h5", (9, *FRAME), "u2", maps, 7, (UNLIMITED, *FRAME))
    expected = np.full((9, *FRAME), 7, "u2")
    expected[::2], expected[1:7:2] = frames(5, FRAME), frames(3, FRAME, start=500)
    with h5py.File(name) as h5:
        np.testing.assert_array_equal(h5[DATA][...], expected)
    store = CXIStore(name, protocol=protocol())
    assert "read beside libhdf5" in store.explain("data")
    np.testing.assert_array_equal(store.load_attribute("data"), expected)


class TestNumberedSources:
    def numbered(self, folder, count, file=b"block_%b.h5", path=b"/d", block=2):
        space = h5py.h5s.create_simple((block, *FRAME))
        slab = (0, 0, 0), (UNLIMITED, 1, 1), (block, 1, 1), (block, *FRAME)
        shape = (count * block, *FRAME)
        return mapped(
            folder / "v.h5", shape, "u2", [(*slab, file, path, space)], 0, (UNLIMITED, *FRAME)
        )

    def test_blocks_come_from_numbered_files(self, tmp_path):
        for b in range(3):
            put(tmp_path / f"block_{b}.h5", {"/d": frames(2, FRAME, start=100 * b)})
        name = self.numbered(tmp_path, 1)
        store = CXIStore(name, protocol=protocol())
        expected = np.concatenate([frames(2, FRAME, start=100 * b) for b in range(3)])
        np.testing.assert_array_equal(store.load_attribute("data"), expected)
        assert "h5py" not in store.explain("data")

    def test_blocks_come_from_numbered_datasets_with_percent_signs_in_names(self, tmp_path):
        values = {f"/100%/d_{b}": frames(2, FRAME, start=100 * b) for b in range(11)}
        put(tmp_path / "a%.h5", values)
        name = self.numbered(tmp_path, 1, b"a%%.h5", b"/100%%/d_%b")
        store = CXIStore(name, protocol=protocol())
        np.testing.assert_array_equal(
            store.load_attribute("data"), np.concatenate(list(values.values()))
        )

    @pytest.mark.parametrize("gap", [0, 1, 9])
    def test_a_gap_in_the_numbers_is_an_error_that_names_it(self, tmp_path, gap):
        for b in range(12):
            if b != gap:
                put(tmp_path / f"block_{b}.h5", {"/d": frames(2, FRAME)})
        name = self.numbered(tmp_path, 1)
        with h5py.File(name) as h5:
            assert len(h5[DATA]) == 2 * gap  # HDF5 says no word
        with pytest.raises(LinkError, match=rf"block_{gap}\.h5.*missing.*block_11\.h5"):
            CXIStore(name, protocol=protocol()).load_attribute("data")

    def test_a_gap_in_the_numbers_of_datasets(self, tmp_path):
        values = {f"/d_{b}": frames(2, FRAME) for b in (0, 1, 3)}
        name = self.numbered(tmp_path, 1, b"s.h5", b"/d_%b")
        put(tmp_path / "s.h5", values)
        with pytest.raises(LinkError, match=r"d_2.*d_3"):
            CXIStore(name, protocol=protocol()).load_attribute("data")

    def test_names_that_only_look_numbered_are_no_later_sources(self, tmp_path):
        for name in ("block_0.h5", "block_1.h5", "block_03.h5", "block_x.h5", "block_3.h5.bak"):
            put(tmp_path / name, {"/d": frames(2, FRAME)})
        name = self.numbered(tmp_path, 1)
        assert len(CXIStore(name, protocol=protocol()).load_attribute("data")) == 4


PREFIXED = """
import sys, h5py, numpy as np
from cxistack import CXIProtocol, CXIStore
with h5py.File(sys.argv[1]) as h5:
    expected = h5["/v"][...]
protocol = CXIProtocol({"data": "uint"}, {"data": ["/v"]}, {"data": "stack"})
loaded = CXIStore(sys.argv[1], protocol=protocol).load_attribute("data")
np.testing.assert_array_equal(loaded, expected)
print(expected[0, 0, 0])
"""


@pytest.mark.parametrize(
    ("variable", "value", "pixel"),
    [
        ("HDF5_VDS_PREFIX", "{}/none:{}/other", "2"),
        ("HDF5_VDS_PREFIX", "${{ORIGIN}}/other", "2"),
        ("HDF5_EXT_PREFIX", "{}/other", "1"),
    ],
)
def test_sources_are_looked_for_where_hdf5_looks(tmp_path, monkeypatch, variable, value, pixel):
    (tmp_path / "other").mkdir()
    for folder, number in ((tmp_path, 1), (tmp_path / "other", 2)):
        put(folder / "s.h5", {"/d": np.full((1, 2, 2), number, "u2")})
    layout = h5py.VirtualLayout((1, 2, 2), "u2")
    layout[...] = h5py.VirtualSource("s.h5", "/d", (1, 2, 2))
    name = virtual(tmp_path / "v.h5", layout, name="/v")
    monkeypatch.setenv(variable, value.format(tmp_path, tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", PREFIXED, name], capture_output=True, text=True, check=False
    )
    assert re.findall(r"^\d+$", done.stdout, re.M) == [pixel], done.stderr


def test_a_mapped_region_without_its_source_raises(tmp_path):
    store = CXIStore(factory.absent_source(tmp_path))
    with pytest.raises(CXIError, match=r"source_1\.h5"):
        store.load_attribute("data")
    assert [problem.attribute for problem in store.problems] == ["data"]


def test_a_numbered_source_that_is_gone_is_never_fill(tmp_path):
    store = CXIStore(factory.absent_source_printf(tmp_path))
    with contextlib.suppress(CXIError):  # HDF5 ends such a dataset at the first gap
        np.testing.assert_array_equal(store.load_attribute("data"), frames(1), strict=True)


def test_a_source_whose_dataset_is_gone_raises(tmp_path):
    name = factory.virtual(tmp_path, [frames(2), frames(2)])[0]
    with h5py.File(tmp_path / "source_1.h5", "a") as h5:
        del h5["/frames"]
    with pytest.raises(CXIError, match=r"source_1\.h5"):
        CXIStore(name).load_attribute("data")


def test_a_source_that_became_too_small_raises(tmp_path):
    name = factory.virtual(tmp_path, [frames(2), frames(3)])[0]
    put(tmp_path / "source_1.h5", {"/frames": frames(2)}, "w")
    with pytest.raises(CXIError, match=r"source_1\.h5"):
        CXIStore(name).load_attribute("data")


def test_an_unmapped_region_is_its_fill_value(tmp_path):
    name, expected = factory.virtual_with_a_hole(tmp_path, frames(3), fill=7)
    np.testing.assert_array_equal(CXIStore(name).load_attribute("data"), expected)
