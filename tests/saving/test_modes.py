"""A save changes the object that a path resolves to, and keeps all else that the file tells."""

import os
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import CastError, CXIProtocol, CXIStore, FrameIndexError
from factory import DATA, DISTANCE, MASK, WHITEFIELD, frames, good_mask, put

SHAPES = {"same shape": 4, "fewer frames": 2, "more frames": 7}


def read(name, path=DATA):
    with h5py.File(name) as h5:
        return h5[path][...]


def plist_of(name, path=DATA):
    """Return filters (code, options) and stored type of a dataset."""
    with h5py.File(name) as h5:
        plist = h5[path].id.get_create_plist()
        filters = [plist.get_filter(n) for n in range(plist.get_nfilters())]
        return [(code, values) for code, _, values, _ in filters], h5[path].dtype


class TestOverwriting:
    @pytest.mark.parametrize("count", SHAPES.values(), ids=SHAPES)
    def test_keeps_hdf5_attributes(self, tmp_path, count):
        name = put(tmp_path / "run.cxi", {DATA: frames(4)})
        reference = np.arange(3, dtype="int8")
        with h5py.File(name, "a") as h5:
            h5[DATA].attrs.update(units="counts", axes="experiment_identifier:y:x", list=reference)
        CXIStore(name, mode="r+").save_attribute("data", frames(count, start=50))
        np.testing.assert_array_equal(read(name), frames(count, start=50))
        with h5py.File(name) as h5:
            attrs = dict(h5[DATA].attrs)
        assert (attrs["units"], attrs["axes"]) == ("counts", "experiment_identifier:y:x")
        np.testing.assert_array_equal(attrs["list"], reference, strict=True)

    @pytest.mark.parametrize("count", SHAPES.values(), ids=SHAPES)
    @pytest.mark.parametrize("mode", ["overwrite", "append"])
    def test_keeps_all_names_of_the_object(self, tmp_path, count, mode):
        name = put(tmp_path / "run.cxi", {"/raw/frames": frames(4)})
        with h5py.File(name, "a") as h5:
            h5[DATA] = h5py.SoftLink("/raw/frames")
            h5["/second/name"] = h5["/raw/frames"]
            h5["/entry_1/data_1/data"] = h5py.SoftLink(DATA)
        CXIStore(name, mode="r+").save_attribute("data", frames(count, start=50), mode)
        expected = frames(count, start=50)
        if mode == "append":
            expected = np.concatenate([frames(4), expected])
        with h5py.File(name) as h5:
            assert isinstance(h5.get(DATA, getlink=True), h5py.SoftLink)
            assert h5["/raw/frames"] == h5["/second/name"] == h5["/entry_1/data_1/data"]
            for path in (DATA, "/second/name", "/raw/frames"):
                np.testing.assert_array_equal(h5[path][...], expected)

    @pytest.mark.parametrize("count", SHAPES.values(), ids=SHAPES)
    @pytest.mark.parametrize("options", [
        {"compression": "gzip", "compression_opts": 7, "shuffle": True, "fletcher32": True},
        {"compression": "lzf"},
        {"chunks": (1, 5, 7), **hdf5plugin.Bitshuffle(cname="lz4")},
        {"chunks": (1, 5, 7), "maxshape": (None, 5, 7), **hdf5plugin.Zstd(clevel=9)},
    ], ids=["gzip", "lzf", "bitshuffle", "zstd"])  # fmt: skip
    def test_keeps_filters_and_stored_type(self, tmp_path, count, options):
        name = put(tmp_path / "run.cxi", {DATA: frames(4, dtype=">i4")}, **options)
        before = plist_of(name)
        CXIStore(name, mode="r+").save_attribute("data", frames(count, dtype="uint16", start=9))
        filters, dtype = plist_of(name)
        assert dtype == before[1] == np.dtype(">i4")
        assert [code for code, _ in filters] == [code for code, _ in before[0]]
        np.testing.assert_array_equal(read(name), frames(count, start=9))

    def test_leaves_all_other_objects_as_they_are(self, tmp_path):
        name = put(tmp_path / "run.cxi", {DATA: frames(4), "/mine/notes": "hands off", DISTANCE: 2})
        with h5py.File(name, "a") as h5:
            h5.attrs["made by"] = "me"
            h5["/mine/broken"] = h5py.SoftLink("/nowhere")
            h5["/mine/far"] = h5py.ExternalLink("gone.h5", "/x")
        CXIStore(name, mode="r+").save_attribute("data", frames(1))
        with h5py.File(name) as h5:
            assert h5.attrs["made by"] == "me"
            assert h5["/mine/notes"].asstr()[()] == "hands off"
            assert h5[DISTANCE][()] == 2
            assert h5["/mine"].get("broken", getlink=True).path == "/nowhere"
            assert h5["/mine"].get("far", getlink=True).filename == "gone.h5"

    @pytest.mark.parametrize("old", [(5, 7), (2, 5, 7)])
    @pytest.mark.parametrize("new", [(5, 7), (3, 5, 7), (3, 4, 6)])
    def test_may_change_rank_and_frame_shape(self, tmp_path, old, new):
        name = put(tmp_path / "run.cxi", {MASK: np.ones(old, bool)})
        mask = np.arange(np.prod(new)).reshape(new) % 2 == 0
        CXIStore(name, mode="r+").save_attribute("mask", mask)
        np.testing.assert_array_equal(read(name, MASK), mask)

    @pytest.mark.parametrize(("attr", "path", "value"), [
        ("distance", DISTANCE, 0.25),
        ("distance", DISTANCE, np.array([1.0, 2.0])),
        ("whitefield", WHITEFIELD, np.eye(5, 7)),
        ("whitefield", WHITEFIELD, np.eye(3)),
    ])  # fmt: skip
    def test_replaces_scalars_and_frames_in_any_mode(self, tmp_path, attr, path, value):
        for mode in ("overwrite", "append"):
            old = {DISTANCE: 1.0, WHITEFIELD: np.ones((5, 7))}
            name = put(tmp_path / "run.cxi", old, "w")
            CXIStore(name, mode="r+").save_attribute(attr, value, mode)
            np.testing.assert_array_equal(read(name, path), value)

    def test_of_text(self, tmp_path):
        protocol = CXIProtocol({"t": "str"}, {"t": ["/title"]}, {"t": "scalar"})
        name = tmp_path / "run.cxi"
        for text in ("short", "a longer title, with α"):
            store = CXIStore(name, mode="a", protocol=protocol)
            store.save_attribute("t", text)
            assert store.load_attribute("t") == text

    def test_show_in_the_modification_time(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DATA: frames(2)})
        os.utime(name, (1e9, 1e9))
        CXIStore(name, "r+").save_attribute("distance", 1.0)
        assert Path(name).stat().st_mtime > 1e9

    def test_over_the_same_shape_do_not_grow_the_file(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DATA: frames(2)})
        store = CXIStore(name, "r+")
        store.save_attribute("data", frames(2) + 1)
        size = Path(name).stat().st_size
        store.save_attribute("data", frames(2))
        assert Path(name).stat().st_size == size < 20_000


class TestSavingAnew:
    def test_goes_to_the_protocols_first_path(self, tmp_path):
        store = CXIStore(tmp_path / "new.cxi", mode="w")
        store.save_attribute("data", frames(3))
        store.save_attribute("wavelength", 1e-10)
        paths = store.protocol.load_paths
        with h5py.File(tmp_path / "new.cxi") as h5:
            np.testing.assert_array_equal(h5[paths["data"][0]][...], frames(3), strict=True)
            assert h5[paths["wavelength"][0]][()] == 1e-10

    @pytest.mark.parametrize("mode", ["append", "insert"])
    def test_in_any_mode_starts_with_these_frames(self, tmp_path, mode):
        store = CXIStore(tmp_path / "new.cxi", mode="w")
        store.save_attribute("data", frames(3), mode, idxs=[0, 1, 2] if mode == "insert" else None)
        np.testing.assert_array_equal(store.load_attribute("data"), frames(3))

    def test_frames_appended_one_by_one_are_one_stack(self, tmp_path):
        store = CXIStore(tmp_path / "new.cxi", mode="w")
        for frame in frames(5):
            store.save_attribute("data", frame[None], mode="append")
        np.testing.assert_array_equal(store.load_attribute("data"), frames(5), strict=True)


class TestInserting:
    @pytest.fixture
    def store(self, tmp_path):
        return CXIStore(put(tmp_path / "run.cxi", {DATA: frames(4)}), mode="r+")

    @pytest.mark.parametrize("idxs", [[1], [3, 0], [2, 4], [5, 4], [0, 1, 2, 3, 4], range(4, 6)])
    def test_puts_frames_where_it_is_told(self, store, idxs):
        new = frames(len(idxs), start=5000)
        expected = np.concatenate([frames(4), np.zeros((2, 5, 7), "uint16")])
        expected[list(idxs)] = new
        store.save_attribute("data", new, mode="insert", idxs=idxs)
        expected = expected[: max(4, max(idxs) + 1)]
        np.testing.assert_array_equal(store.load_attribute("data"), expected)

    def test_of_nothing_changes_nothing(self, store):
        store.save_attribute("data", frames(0), mode="insert", idxs=[])
        np.testing.assert_array_equal(store.load_attribute("data"), frames(4))


class TestMaskConventions:
    @pytest.fixture
    def mask(self):
        return good_mask((3, 5, 7), [(0, 1, 2), (2, 4, 4)])

    @pytest.mark.parametrize("dtype", ["uint32", "int32", "uint8", "uint64"])
    @pytest.mark.parametrize("mode", ["overwrite", "append", "insert"])
    def test_a_bit_field_stays_one(self, tmp_path, mask, dtype, mode):
        name = put(tmp_path / "run.cxi", {MASK: np.zeros((3, 5, 7), dtype)})
        store = CXIStore(name, mode="r+")
        store.save_attribute("mask", mask, mode, idxs=[0, 1, 2] if mode == "insert" else None)
        stored = read(name, MASK)
        assert stored.dtype == dtype
        np.testing.assert_array_equal(stored[-3:] == 0, mask)
        np.testing.assert_array_equal(store.load_attribute("mask")[-3:], mask, strict=True)

    @pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
    def test_where_good_is_true_it_stays_so(self, tmp_path, mask, dtype):
        path = "/speckle_tracking/mask"
        name = put(tmp_path / "run.cxi", {path: np.zeros((3, 5, 7), dtype)})
        CXIStore(name, mode="r+").save_attribute("mask", mask)
        np.testing.assert_array_equal(read(name, path), mask.astype(dtype), strict=True)

    def test_nexus_bits_below_16_mark_a_bad_pixel(self, tmp_path, mask):
        protocol = CXIProtocol.import_default()
        protocol = protocol.add_attribute("mask", "bool", ["/pixel_mask"], "stack", "nexus")
        name = put(tmp_path / "run.cxi", {"/pixel_mask": np.zeros((3, 5, 7), "uint32")})
        store = CXIStore(name, mode="r+", protocol=protocol)
        store.save_attribute("mask", mask)
        np.testing.assert_array_equal(read(name, "/pixel_mask") & 0xFFFF == 0, mask)
        np.testing.assert_array_equal(store.load_attribute("mask"), mask)

    def test_a_new_mask_is_true_for_a_good_pixel(self, tmp_path, mask):
        store = CXIStore(tmp_path / "new.cxi", mode="w")
        store.save_attribute("mask", mask)
        assert store.find_dataset("mask") == "/speckle_tracking/mask"
        np.testing.assert_array_equal(read(tmp_path / "new.cxi", "/speckle_tracking/mask"), mask)


class TestWhoSeesASave:
    def test_the_store_that_saved_at_once(self, tmp_path):
        store = CXIStore(put(tmp_path / "run.cxi", {DATA: frames(2)}), mode="r+")
        store.save_attribute("data", frames(3, start=9), mode="append")
        np.testing.assert_array_equal(store.indices(), range(5))
        np.testing.assert_array_equal(store["data"][2:], frames(3, start=9))

    @pytest.mark.parametrize("how", ["update", "reopen", "new"])
    def test_another_store_once_it_looks_anew(self, tmp_path, how):
        name = put(tmp_path / "run.cxi", {DATA: frames(2)})
        writer, reader = CXIStore(name, mode="r+"), CXIStore(name)
        np.testing.assert_array_equal(reader.load_attribute("data"), frames(2))
        writer.save_attribute("data", frames(3, start=9))
        if how == "update":
            reader.update_indices()
        elif how == "reopen":
            reader.close()
            reader.open()
        else:
            reader = CXIStore(name)
        np.testing.assert_array_equal(reader.load_attribute("data"), frames(3, start=9))

    def test_each_save_is_in_the_file_before_close(self, tmp_path):
        store = CXIStore(tmp_path / "new.cxi", mode="w")
        for count in (1, 2, 3):
            store.save_attribute("data", frames(count))
            np.testing.assert_array_equal(
                read(tmp_path / "new.cxi", "/entry/data/data"), frames(count)
            )


OPERATION = st.tuples(
    st.sampled_from(["overwrite", "append", "insert"]), st.integers(0, 3), st.randoms()
)


@settings(max_examples=30)
@given(
    st.lists(OPERATION, min_size=1, max_size=6),
    st.sampled_from(["data", "translations", "whitefields", "mask"]),
)
def test_any_order_of_saves_does_what_it_does_to_an_array(tmp_path_factory, operations, attr):
    name = tmp_path_factory.mktemp("saves") / "run.cxi"
    shape = (3,) if attr == "translations" else (3, 4)
    dtype = {"data": "uint16", "mask": "bool"}.get(attr, "float64")
    model, start = np.zeros((0, *shape), dtype), 0
    for mode, count, random in operations:
        new = frames(count, shape, dtype, start)
        start += count * len(shape)
        idxs = None
        if mode == "overwrite":
            model = new
        elif mode == "append":
            model = np.concatenate([model, new])
        else:
            grown = len(model) + random.randint(0, count)
            idxs = [*range(len(model), grown)]  # no gaps: all that is new is given
            free = [n for n in range(len(model)) if n not in idxs]
            idxs += random.sample(free, min(len(free), count - len(idxs)))
            random.shuffle(idxs)
            new = new[: len(idxs)]
            model = np.concatenate([model, np.zeros((grown - len(model), *shape), dtype)])
            model[idxs] = new
        with CXIStore(name, mode="a") as store:
            store.save_attribute(attr, new, mode, idxs)
            np.testing.assert_array_equal(store.load_attribute(attr), model, strict=True)
    assert [path.name for path in Path(name).parent.iterdir()] == ["run.cxi"]


def test_frames_are_not_counted_from_an_end_that_a_transaction_has_moved(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(3)})
    store = CXIStore(name, "r+")
    for idxs in ([-1], slice(3, None)):
        with pytest.raises(FrameIndexError, match="number the frames from the start"):
            _append_and_insert(store, idxs)
        assert store.frame_count == 3
    _append_and_insert(store, [4])
    expected = [*frames(3), *frames(1, start=800), *frames(1, start=900)]
    np.testing.assert_array_equal(store.load_attribute("data"), expected)


def _append_and_insert(store, idxs):
    with store.transaction():
        store.save_attribute("data", np.concatenate([frames(1, start=800)] * 2), mode="append")
        store.save_attribute("data", frames(1, start=900), mode="insert", idxs=idxs)


def test_a_boolean_mask_of_where_frames_go_is_of_all_that_are_there(tmp_path):
    store = CXIStore(put(tmp_path / "a.cxi", {DATA: frames(3)}), "r+")
    with pytest.raises(FrameIndexError, match="boolean mask of 2 frames, and 3 are there"):
        store.save_attribute("data", frames(1, start=900), mode="insert", idxs=[False, True])
    store.save_attribute("data", frames(2, start=900), "insert", idxs=[False, True, False, True])
    expected = np.concatenate([frames(3), frames(1)])
    expected[[1, 3]] = frames(2, start=900)
    np.testing.assert_array_equal(store["data"][:], expected)


def test_in_a_run_of_several_files_only_the_first_files_frames_are_named(tmp_path):
    one, two = (put(tmp_path / f"{n}.cxi", {DATA: frames(n, start=n * 500)}) for n in (3, 2))
    store = CXIStore([one, two], "r+")
    before = store.load_attribute("data")
    for idxs in ([3], [4], [-1], slice(2, 3), slice(-1, None)):
        with pytest.raises(FrameIndexError, match=r"saves go to .*3\.cxi, which has the first 3"):
            store.save_attribute("data", frames(1), mode="insert", idxs=idxs)
    store.save_attribute("data", frames(1, start=900), mode="insert", idxs=[2])
    before[2] = frames(1, start=900)
    np.testing.assert_array_equal(store.load_attribute("data"), before)


@pytest.mark.parametrize("attr", ["mask", "x"])
def test_nan_is_no_good_pixel(tmp_path, attr):
    protocol = CXIProtocol.import_default().add_attribute("x", "bool", "/x", "scalar")
    store = CXIStore(tmp_path / "new.cxi", mode="w", protocol=protocol)
    values = np.ones((5, 7))
    store.save_attribute(attr, values)
    values[1, 2] = np.nan
    with pytest.raises(CastError, match=rf"'{attr}' is nan at \(1, 2\)"):
        store.save_attribute(attr, values)
    assert store.load_attribute(attr, slice(None) if attr == "mask" else None).all()
