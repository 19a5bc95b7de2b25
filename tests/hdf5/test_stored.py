"""What HDF5 can hold is read as h5py reads it, or raises; never as something else."""

import contextlib
import zlib

import h5py
import numpy as np
import pytest

import factory
from cxistack import CXIError, CXIProtocol, CXIStore, Downscale
from factory import DATA, STORAGES, frames, put, stored_as
from factory.storage import low_level

ANY_TYPE = {family: CXIProtocol({"data": family}, {"data": [DATA]}, {"data": "stack"})
            for family in ("int", "uint", "float", "bool")}  # fmt: skip


def agrees(name, protocol=None):
    """Check that the store gives what h5py gives, whole and in part."""
    with h5py.File(name) as h5:
        expected = h5[DATA][...]
    with CXIStore(name, protocol=protocol) as store:
        dtype = expected.dtype.newbyteorder("=")
        loaded = store.load_attribute("data", dtype=dtype)
        np.testing.assert_array_equal(loaded, expected.astype(dtype), strict=True)
        loaded = store.load_attribute("data", [-1, 0], transform=Downscale(2), dtype=dtype)
        np.testing.assert_array_equal(loaded, expected[[-1, 0], ..., ::2, ::2].astype(dtype))
    return expected


@pytest.mark.parametrize("how", STORAGES)
@pytest.mark.parametrize("dtype", ["uint8", ">u2", "int32", ">f4", "float64"])
@pytest.mark.parametrize("shape", [(4, 5, 7), (3, 2, 4, 5)])
def test_every_storage_and_type(tmp_path, how, dtype, shape):
    family = {"u": "uint", "i": "int", "f": "float"}[np.dtype(dtype).kind]
    name = stored_as(tmp_path / "a.h5", DATA, frames(shape[0], shape[1:], dtype), how)
    agrees(name, protocol=ANY_TYPE[family])
    default = CXIStore(name, protocol=ANY_TYPE[family]).load_attribute("data").dtype
    assert default.newbyteorder("=") == np.dtype(dtype).newbyteorder("=")


class TestFindingTheBytes:
    @pytest.mark.parametrize("chunks", [None, (1, 5, 7), (2, 3, 4)])
    @pytest.mark.parametrize("fill", [None, 0, 42])
    def test_what_was_never_written_is_the_fill_value(self, tmp_path, chunks, fill):
        with h5py.File(tmp_path / "a.h5", "w") as h5:
            h5.create_dataset(DATA, (6, 5, 7), "uint16", chunks=chunks, fillvalue=fill)
        expected = agrees(tmp_path / "a.h5")
        assert (expected == (fill or 0)).all()

    @pytest.mark.parametrize("compression", [None, "gzip"])
    def test_some_chunks_written_and_some_not(self, tmp_path, compression):
        with h5py.File(tmp_path / "a.h5", "w") as h5:
            options = {"chunks": (2, 3, 4), "compression": compression}
            data = h5.create_dataset(DATA, (6, 5, 7), "int32", fillvalue=-9, **options)
            data[1, 1:3, 2:5] = 5
            data[5, 4, 6] = 6
        agrees(tmp_path / "a.h5", protocol=ANY_TYPE["int"])

    def test_chunks_without_a_fill_value_raise_or_agree(self, tmp_path):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1, 5, 7))
        plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        with low_level(tmp_path / "a.h5", (3, 5, 7), h5py.h5t.NATIVE_UINT16, plist) as h5:
            h5[DATA][1] = 8
        loaded = None
        with contextlib.suppress(CXIError):
            loaded = CXIStore(tmp_path / "a.h5").load_attribute("data", [1])
        assert loaded is None or (loaded == 8).all()

    def test_edge_chunks_hold_garbage_past_the_extent(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as h5:
            options = {"chunks": (3, 4, 4), "maxshape": (None, None, None)}
            data = h5.create_dataset(DATA, data=frames(9, (8, 8)), **options)
            data.resize((7, 6, 5))
        assert agrees(tmp_path / "a.h5").shape == (7, 6, 5)

    def test_a_virtual_dataset_over_an_unlimited_source_that_grew(self, tmp_path):
        name = put(tmp_path / "src.h5", {"/f": frames(2)}, maxshape=(None, 5, 7))
        unlimited = h5py.h5s.UNLIMITED
        layout = h5py.VirtualLayout((2, 5, 7), "uint16", maxshape=(None, 5, 7))
        source = h5py.VirtualSource("src.h5", "/f", (2, 5, 7), maxshape=(None, 5, 7))
        layout[0:unlimited] = source[0:unlimited]
        with h5py.File(tmp_path / "v.h5", "w", libver="latest") as h5:
            h5.create_virtual_dataset(DATA, layout)
        with h5py.File(name, "a") as h5:
            h5["/f"].resize((4, 5, 7))
            h5["/f"][...] = frames(4)
        assert len(agrees(tmp_path / "v.h5")) == 4

    def test_a_virtual_dataset_that_maps_parts_of_frames(self, tmp_path):
        values = frames(3, (4, 6))
        layout = h5py.VirtualLayout((3, 8, 6), "uint16")
        for half in range(2):
            put(tmp_path / f"h{half}.h5", {"/f": values + 100 * half})
            source = h5py.VirtualSource(f"h{half}.h5", "/f", (3, 4, 6))
            layout[:, half::2] = source
        with h5py.File(tmp_path / "v.h5", "w", libver="latest") as h5:
            h5.create_virtual_dataset(DATA, layout)
        agrees(tmp_path / "v.h5")

    def test_a_virtual_dataset_over_a_virtual_dataset(self, tmp_path):
        factory.virtual(tmp_path, [frames(2), frames(1, start=70)])
        layout = h5py.VirtualLayout((3, 5, 7), "uint16")
        layout[...] = h5py.VirtualSource("virtual.cxi", DATA, (3, 5, 7))
        with h5py.File(tmp_path / "over.h5", "w", libver="latest") as h5:
            h5.create_virtual_dataset(DATA, layout)
        agrees(tmp_path / "over.h5")
        (tmp_path / "source_1.h5").unlink()
        with pytest.raises(CXIError, match="source_1"):
            CXIStore(tmp_path / "over.h5").load_attribute("data")

    def test_values_that_a_virtual_dataset_would_clip_raise(self, tmp_path):
        put(tmp_path / "src.h5", {"/f": np.array([[[70000, -1, 5]]], "int32")})
        layout = h5py.VirtualLayout((1, 1, 3), "uint16")
        layout[...] = h5py.VirtualSource("src.h5", "/f", (1, 1, 3))
        with h5py.File(tmp_path / "v.h5", "w", libver="latest") as h5:
            h5.create_virtual_dataset(DATA, layout)
        with pytest.raises(CXIError, match="src"):
            CXIStore(tmp_path / "v.h5").load_attribute("data")

    def test_a_virtual_source_in_external_raw_storage_is_refused(self, tmp_path):
        factory.external_raw(tmp_path)
        layout = h5py.VirtualLayout((1, 5, 7), "uint16")
        layout[...] = h5py.VirtualSource("external.cxi", DATA, (1, 5, 7))
        with h5py.File(tmp_path / "v.h5", "w", libver="latest") as h5:
            h5.create_virtual_dataset(DATA, layout)
        with pytest.raises(CXIError, match="external"):
            CXIStore(tmp_path / "v.h5").load_attribute("data")


class TestWhatAChunkHolds:
    def test_a_filter_that_was_skipped_for_some_chunks(self, tmp_path):
        values = frames(3)
        with h5py.File(tmp_path / "a.h5", "w") as h5:
            options = {"chunks": (1, 5, 7), "compression": "gzip", "shuffle": True}
            data = h5.create_dataset(DATA, values.shape, values.dtype, **options)
            data[0] = values[0]
            data.id.write_direct_chunk((1, 0, 0), values[1].tobytes(), filter_mask=3)
            data.id.write_direct_chunk((2, 0, 0), zlib.compress(values[2].tobytes()), filter_mask=1)
        np.testing.assert_array_equal(agrees(tmp_path / "a.h5"), values)

    @pytest.mark.parametrize("compression", ["lzf", "gzip"])
    def test_noise_that_does_not_compress(self, tmp_path, compression):
        noise = np.random.default_rng(1).integers(0, 2**16, (2, 64, 96)).astype("uint16")
        put(tmp_path / "a.h5", {DATA: noise}, chunks=(1, 64, 96), compression=compression)
        agrees(tmp_path / "a.h5")

    def test_12_bits_in_16_at_an_offset(self, tmp_path):
        packed = h5py.h5t.NATIVE_UINT16.copy()
        packed.set_precision(12)
        packed.set_offset(4)
        with low_level(tmp_path / "a.h5", (2, 5, 7), packed) as h5:
            h5[DATA][...] = frames(2) * 50
        assert agrees(tmp_path / "a.h5").max() == 69 * 50

    def test_nbit_and_scale_offset_filters(self, tmp_path):
        packed = h5py.h5t.NATIVE_UINT16.copy()
        packed.set_precision(12)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1, 5, 7))
        plist.set_filter(h5py.h5z.FILTER_NBIT, h5py.h5z.FLAG_MANDATORY, ())
        with low_level(tmp_path / "a.h5", (2, 5, 7), packed, plist) as h5:
            h5[DATA][...] = frames(2)
        agrees(tmp_path / "a.h5")
        put(tmp_path / "b.h5", {DATA: frames(2)}, chunks=(1, 5, 7), scaleoffset=0)
        agrees(tmp_path / "b.h5")

    def test_an_enumeration_is_its_integers(self, tmp_path):
        kind = h5py.enum_dtype({"good": 0, "bad": 7}, basetype="uint8")
        with h5py.File(tmp_path / "a.h5", "w") as h5:
            h5.create_dataset(DATA, data=np.array([[[0, 7], [7, 0]]], kind), dtype=kind)
        loaded = CXIStore(tmp_path / "a.h5").load_attribute("data")
        np.testing.assert_array_equal(loaded, np.array([[[0, 7], [7, 0]]], "uint8"), strict=True)

    def test_booleans(self, tmp_path):
        put(tmp_path / "a.h5", {DATA: frames(2, dtype="bool")})
        loaded = CXIStore(tmp_path / "a.h5", protocol=ANY_TYPE["bool"]).load_attribute("data")
        np.testing.assert_array_equal(loaded, frames(2, dtype="bool"), strict=True)

    @pytest.mark.parametrize("dtype", ["<f2", ">f2"])
    def test_half_precision(self, tmp_path, dtype):
        put(tmp_path / "a.h5", {DATA: frames(2, dtype=dtype)})
        store = CXIStore(tmp_path / "a.h5", protocol=ANY_TYPE["float"])
        expected = frames(2, dtype="float16")
        np.testing.assert_array_equal(store.load_attribute("data"), expected, strict=True)
        wider = store.load_attribute("data", [1], dtype="float64")
        np.testing.assert_array_equal(wider, expected[[1]].astype("float64"), strict=True)

    @pytest.mark.parametrize("shape", [(0, 5, 7), (3, 0, 7), (3, 5, 0), (0, 0, 0)])
    def test_nothing_at_all(self, tmp_path, shape):
        name = put(tmp_path / "a.h5", {DATA: np.zeros(shape, "uint16")})
        loaded = CXIStore(name).load_attribute("data")
        np.testing.assert_array_equal(loaded, np.zeros(shape, "uint16"), strict=True)
        assert CXIStore(name).load_attribute(
            "data", ss_idxs=slice(0, 1), fs_idxs=slice(0, 1)
        ).size in (0, 3)

    def test_a_dataset_without_values_raises(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as h5:
            h5[DATA] = h5py.Empty("uint16")
        with pytest.raises(CXIError, match=r"a\.h5"):
            CXIStore(tmp_path / "a.h5").load_attribute("data")

    def test_a_compound_of_numbers_is_refused(self, tmp_path):
        pairs = np.zeros((1, 2, 2), [("a", "u2"), ("b", "f4")])
        with pytest.raises(CXIError, match=r"a\.h5"):
            CXIStore(put(tmp_path / "a.h5", {DATA: pairs})).load_attribute("data")
