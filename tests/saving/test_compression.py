"""What a user says of compression and chunks is what the file has; what it has stays."""

import signal
import sys
import time

import h5py
import hdf5plugin
import numpy as np
import pytest

from cxistack import CastError, CXIStore, LayoutError, STData, StorageError
from cxistack.saving.commit.transaction import Transaction
from factory import DATA, DISTANCE, MASK, TRANSLATIONS, WHITEFIELD, frames, put
from factory.children import ends_well, start

FIRST = "/entry/data/data"  # the default protocol's first
SHAPE = (90, 110)
SAID = {
    # what is said: the filters (number, last parameters) of uint16 frames
    None: [(32008, (2, 0, 2))],
    "bitshuffle": [(32008, (2, 0, 2))],
    "bitshuffle-lz4": [(32008, (2, 0, 2))],
    "bitshuffle-zstd": [(32008, (2, 0, 3, 3))],
    "bitshuffle-zstd:9": [(32008, (2, 0, 3, 9))],
    "zstd": [(2, (2,)), (32015, (3,))],
    "zstd:22": [(2, (2,)), (32015, (22,))],
    "deflate": [(2, (2,)), (1, (4,))],
    "gzip:0": [(2, (2,)), (1, (0,))],
    "deflate:9": [(2, (2,)), (1, (9,))],
    "lz4": [(2, (2,)), (32004, (0,))],
    "none": [],
}


def filters(name, path=FIRST):
    with h5py.File(name) as h5:
        plist = h5[path].id.get_create_plist()
        found = [plist.get_filter(n) for n in range(plist.get_nfilters())]
    return [(code, values[2:] if code == 32008 else values) for code, _, values, _ in found]


def stored(name, path=FIRST):
    with h5py.File(name) as h5:
        return h5[path].chunks, h5[path][...]


class TestNewStacks:
    @pytest.mark.parametrize("said", SAID)
    @pytest.mark.parametrize("dtype", ["uint16", ">i4", "float32", "bool"])
    def test_are_compressed_as_was_said(self, tmp_path, said, dtype):
        name, data = tmp_path / "a.cxi", frames(5, SHAPE, dtype)
        store = CXIStore(name, mode="w")
        attr = (
            "data"
            if dtype not in ("bool", "float32")
            else "mask"
            if dtype == "bool"
            else "whitefields"
        )
        store.save_attribute(attr, data, compression=said)
        path = store.find_dataset(attr)
        chunk, there = stored(name, path)
        np.testing.assert_array_equal(there, data)
        size = data.itemsize
        assert filters(name, path) == [
            (code, (size, *values[1:]) if code in (2, 32008) else values)
            for code, values in SAID[said]
        ]
        assert chunk == (min(5, max(1, (1 << 16) // data[0].nbytes)), *SHAPE)
        np.testing.assert_array_equal(store.load_attribute(attr), data)

    def test_have_a_frame_in_a_chunk(self, tmp_path):
        CXIStore(tmp_path / "a.cxi", mode="w").save_attribute("data", frames(3, (200, 300)))
        assert stored(tmp_path / "a.cxi")[0] == (1, 200, 300)

    @pytest.mark.parametrize("how", [
        hdf5plugin.Blosc(), hdf5plugin.Bitshuffle(nelems=64, cname="lz4"),
        {"compression": "gzip", "compression_opts": 9, "fletcher32": True}, {"compression": "lzf"},
        {"fletcher32": True},
    ], ids=["Blosc", "Bitshuffle", "gzip", "lzf", "fletcher32"])  # fmt: skip
    def test_may_have_what_h5py_and_hdf5plugin_offer(self, tmp_path, how):
        name, data = tmp_path / "a.cxi", frames(5, SHAPE)
        store = CXIStore(name, mode="w")
        store.save_attribute("data", data, compression=how, chunks=(1, *SHAPE))
        np.testing.assert_array_equal(stored(name)[1], data)
        put(tmp_path / "b.cxi", {FIRST: data}, chunks=(1, *SHAPE), **how)
        assert filters(name) == filters(tmp_path / "b.cxi")

    @pytest.mark.parametrize("chunk", [(1, 90, 110), (2, 40, 110), (5, 7, 9), (100, 200, 200)])
    def test_are_in_the_chunks_that_were_said(self, tmp_path, chunk):
        name, data = tmp_path / "a.cxi", frames(5, SHAPE)
        store = CXIStore(name, mode="w")
        store.save_attribute("data", data, chunks=chunk)
        there, values = stored(name)
        assert there == (chunk[0], min(90, chunk[1]), min(110, chunk[2]))
        np.testing.assert_array_equal(values, data)
        np.testing.assert_array_equal(store.load_attribute("data"), data)

    @pytest.mark.parametrize("shape", [(0, 5, 7), (3, 0, 7), (0, 0, 0)])
    def test_without_pixels(self, tmp_path, shape):
        name = tmp_path / "a.cxi"
        store = CXIStore(name, mode="w")
        store.save_attribute("data", np.zeros(shape, "uint16"))
        assert stored(name)[1].shape == shape
        if shape[1]:
            store.save_attribute("data", frames(2), mode="append")
            np.testing.assert_array_equal(store.load_attribute("data"), frames(2))

    @pytest.mark.parametrize("rows", [[4, 0, 3, 1, 2], [0, 1, 2, 3, 4]])
    def test_inserted_in_any_order(self, tmp_path, rows):
        data = frames(5, SHAPE)
        store = CXIStore(tmp_path / "a.cxi", mode="w")
        store.save_attribute("data", data, mode="insert", idxs=rows)
        expected = np.empty_like(data)
        expected[rows] = data
        np.testing.assert_array_equal(stored(tmp_path / "a.cxi")[1], expected)


class TestAllElse:
    def test_is_stored_as_it_is_unless_told(self, tmp_path):
        name = tmp_path / "a.cxi"
        for said, expected in ((None, []), ("zstd", [(2, (8,)), (32015, (3,))])):
            store = CXIStore(name, mode="w")
            store.save_attribute("whitefield", np.eye(9), compression=said)
            store.save_attribute("distance", 0.25, compression=said)
            assert filters(name, WHITEFIELD) == expected
            np.testing.assert_array_equal(stored(name, WHITEFIELD)[1], np.eye(9))
            assert store.load_attribute("distance") == 0.25

    def test_of_a_container(self, tmp_path):
        files = {DATA: frames(4, SHAPE), TRANSLATIONS: np.ones((4, 3)), DISTANCE: 0.5}
        source = CXIStore(put(tmp_path / "a.cxi", files))
        target = CXIStore(tmp_path / "b.cxi", mode="w")
        data = STData(source).load(verbose=False).update_output_file(target)
        data.save(compression="deflate:2")
        assert filters(tmp_path / "b.cxi", target.find_dataset("data"))[1:] == [(1, (2,))]
        assert filters(tmp_path / "b.cxi", target.find_dataset("translations"))[1:] == [(1, (2,))]
        np.testing.assert_array_equal(target.load_attribute("data"), frames(4, SHAPE))
        assert target.load_attribute("distance") == 0.5


class TestWordsThatMakeNoSense:
    @pytest.mark.parametrize(("words", "error", "message"), [
        ({"compression": "zip"}, ValueError, "there is no compression 'zip'; known are.*'lz4'"),
        ({"compression": "deflate:10"}, ValueError, "levels 0 to 9, not '10'"),
        ({"compression": "zstd:0"}, ValueError, "levels 1 to 22"),
        ({"compression": "zstd:"}, ValueError, "levels 1 to 22"),
        ({"compression": "bitshuffle:3"}, ValueError, "'bitshuffle' has no levels"),
        ({"compression": 4}, TypeError, "compression= takes a name"),
        ({"compression": {"scaleoffset": 3}}, ValueError, "not scaleoffset"),
        ({"chunks": (1, 5)}, ValueError, "as the array has axes"),
        ({"chunks": (1, 0, 7)}, ValueError, "above 0"),
        ({"chunks": (1, 1.5, 7)}, TypeError, "integer"),
    ])  # fmt: skip
    def test_are_refused_before_anything_is_touched(self, tmp_path, words, error, message):
        store = CXIStore(tmp_path / "a.cxi", mode="w")
        with pytest.raises(error, match=message):
            store.save_attribute("data", frames(3), **words)
        assert list(tmp_path.iterdir()) == []


class TestDatasetsThatAreThere:
    @pytest.fixture
    def name(self, tmp_path):
        name = put(
            tmp_path / "a.cxi", {FIRST: frames(6, SHAPE)}, chunks=(2, 50, 110),
            maxshape=(None, *SHAPE), compression="gzip", compression_opts=7, fillvalue=3,
        )  # fmt: skip
        with h5py.File(name, "a") as h5:
            h5[FIRST].attrs["units"] = "counts"
            h5["/second"] = h5[FIRST]
        return name

    @pytest.mark.parametrize("mode", ["overwrite", "append", "insert"])
    def test_keep_filters_and_chunks(self, name, mode):
        new = frames(5, SHAPE, start=777)
        idxs = [7, 2, 6, 5, 1] if mode == "insert" else None
        CXIStore(name, mode="r+").save_attribute("data", new, mode, idxs)
        chunk, there = stored(name)
        assert (chunk, filters(name)) == ((2, 50, 110), [(1, (7,))])
        expected = new if mode == "overwrite" else np.concatenate([frames(6, SHAPE), new])
        if mode == "insert":
            expected = expected[:8]
            expected[idxs] = new
        np.testing.assert_array_equal(there, expected)

    def test_are_stored_anew_when_overwritten_as_said(self, name):
        new = frames(3, SHAPE, start=50)
        CXIStore(name, mode="r+").save_attribute("data", new, compression="bitshuffle")
        assert filters(name) == [(32008, (2, 0, 2))]
        CXIStore(name, mode="r+").save_attribute("data", new, chunks=(1, 30, 30))
        assert filters(name) == [(32008, (2, 0, 2))]
        chunk, there = stored(name)
        assert chunk == (1, 30, 30)
        np.testing.assert_array_equal(there, new)
        with h5py.File(name) as h5:
            assert h5["/second"] == h5[FIRST]
            assert h5[FIRST].attrs["units"] == "counts"
            assert (h5[FIRST].fillvalue, h5[FIRST].maxshape) == (3, (None, *SHAPE))

    @pytest.mark.parametrize("cname", ["none", "lz4", "zstd"])
    def test_keep_bitshuffles_parameters_also_when_made_anew(self, tmp_path, cname):
        """The filter itself puts three numbers before its parameters, each time."""
        how = {"chunks": (1, *SHAPE), "fletcher32": True, **hdf5plugin.Bitshuffle(64, cname)}
        name = put(tmp_path / "a.cxi", {FIRST: frames(2, SHAPE)}, **how)
        before = filters(name)
        CXIStore(name, mode="r+").save_attribute("data", frames(4, SHAPE))
        assert filters(name) == before
        np.testing.assert_array_equal(stored(name)[1], frames(4, SHAPE))

    @pytest.mark.parametrize("words", [{"compression": "gzip:7"}, {"chunks": (2, 50, 110)}, {}])
    def test_stay_the_same_object_when_they_are_stored_so(self, name, words):
        """Deflate after byte shuffle is another thing than deflate."""
        if words == {"compression": "gzip:7"}:
            words = {"compression": {"compression": "gzip", "compression_opts": 7}}
        with h5py.File(name) as h5:
            before = h5py.h5o.get_info(h5[FIRST].id).addr
        CXIStore(name, mode="r+").save_attribute("data", frames(6, SHAPE, start=9), **words)
        with h5py.File(name) as h5:
            assert h5py.h5o.get_info(h5[FIRST].id).addr == before

    @pytest.mark.parametrize("name", ["zstd", "bitshuffle-zstd", "deflate"])
    def test_get_the_level_that_was_said(self, tmp_path, name):
        store = CXIStore(tmp_path / "b.cxi", mode="w")
        for level in (1, 9, 5):
            store.save_attribute("data", frames(5, SHAPE), compression=f"{name}:{level}")
            assert filters(tmp_path / "b.cxi") == [
                (code, (*values[:-1], level)) if code != 2 else (code, values)
                for code, values in SAID[name]
            ]

    @pytest.mark.parametrize("words", [{"compression": "zstd"}, {"chunks": (1, *SHAPE)}])
    @pytest.mark.parametrize("mode", ["append", "insert"])
    def test_are_not_added_to_in_another_way(self, name, words, mode):
        store = CXIStore(name, mode="r+")
        with pytest.raises(LayoutError, match=r"a\.cxi.*mode='overwrite' stores it anew"):
            store.save_attribute(
                "data", frames(1, SHAPE), mode, [0] if mode == "insert" else None, **words
            )
        np.testing.assert_array_equal(stored(name)[1], frames(6, SHAPE))

    def test_are_added_to_by_a_loop_that_says_the_same_each_time(self, tmp_path):
        for number, said in enumerate(["bitshuffle-zstd:5", "deflate:1", "lz4", "none"]):
            store = CXIStore(tmp_path / f"{number}.cxi", mode="w")
            for frame in frames(4, (200, 300)):
                store.save_attribute("data", frame[None], "append", compression=said)
            np.testing.assert_array_equal(store.load_attribute("data"), frames(4, (200, 300)))

    @pytest.mark.parametrize("dtype", ["uint32", ">u2", "uint8"])
    def test_get_the_flags_of_a_mask(self, tmp_path, dtype):
        given = np.arange(6 * 90 * 110).reshape(6, *SHAPE)
        options = {"chunks": (1, *SHAPE), **hdf5plugin.Bitshuffle(cname="lz4")}
        old = (given % 5 == 0).astype(dtype) * 8
        name = put(tmp_path / "m.cxi", {MASK: old}, **options)
        CXIStore(name, mode="r+").save_attribute("mask", given % 3 > 0)
        expected = np.where(given % 3 > 0, 0, np.where(old, old, 1)).astype(dtype)
        assert not ((stored(name, MASK)[1] == 0) ^ (expected == 0)).any()
        assert (stored(name, MASK)[1][(old > 0) & (given % 3 == 0)] == 8).all()

    def test_lose_nothing_by_a_value_that_does_not_fit(self, name):
        store, before = CXIStore(name, mode="r+"), frames(6, SHAPE)
        bad = frames(40, SHAPE, "int64") % 1000
        bad[38, 3, 4] = 1 << 20
        words = r"Frame 38, pixel \(3, 4\)"
        with pytest.raises(CastError, match=words):
            store.save_attribute("data", bad)
        np.testing.assert_array_equal(stored(name)[1], before)
        store.save_attribute("data", bad, casting="unsafe")
        np.testing.assert_array_equal(stored(name)[1], bad.astype("uint16"))


class TestFaults:
    def test_an_interrupt_leaves_the_old_file(self, tmp_path):
        name = put(tmp_path / "a.h5", {"/frames": frames(2, SHAPE)})
        code = f"""
            import threading
            store = CXIStore({name!r}, mode="r+", protocol=PROTOCOL)
            frame = np.random.default_rng(0).integers(0, 9, (900, 1100)).astype("u2")
            data = np.broadcast_to(frame, (4000, 900, 1100))
            for threads in (1, 2, 4):
                written = moved("wchar")
                try:
                    print("saving", flush=True)
                    store.save_attribute("data", data, compression="deflate:6", num_threads=threads)
                    print("done", flush=True)
                except KeyboardInterrupt:
                    print("interrupted", moved("wchar") - written, flush=True)
                assert not [t for t in threading.enumerate() if "cxistack" in t.name]
                assert os.listdir(os.path.dirname({name!r})) == ["a.h5"]
                assert store.load_attribute("data", verbose=False).shape == (2, 90, 110)
            """
        with start(code) as child:
            for _ in range(3):
                line = child.stdout.readline()
                assert line == "saving\n", child.stderr.read()
                time.sleep(0.2)
                child.send_signal(signal.SIGINT)
                line = child.stdout.readline()
                assert line.startswith("interrupted"), line or child.stderr.read()
                assert int(line.split()[1]) < 500 << 20  # bytes: most were not written any more
            assert child.wait() == 0, child.stderr.read()
        np.testing.assert_array_equal(stored(name, "/frames")[1], frames(2, SHAPE))

    @pytest.mark.parametrize("threads", [1, 3])
    def test_a_chunk_that_cannot_be_written(self, tmp_path, monkeypatch, threads):
        asked = []

        def full(transaction, extra):
            asked.append(extra)
            if len(asked) == 4:
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(Transaction, "reserve", full)
        store = CXIStore(tmp_path / "a.cxi", mode="w")
        with pytest.raises(StorageError, match="No space left"):
            store.save_attribute("data", frames(9, (200, 300)), num_threads=threads)
        assert list(tmp_path.iterdir()) == []
        store.save_attribute("data", frames(9, (200, 300)), num_threads=threads)
        np.testing.assert_array_equal(store.load_attribute("data"), frames(9, (200, 300)))

    @pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
    @pytest.mark.parametrize("said", ["bitshuffle", "deflate:1", "none"])
    @pytest.mark.parametrize("kind", ["u2", "i4"])
    def test_a_save_takes_little_memory_beside_its_input(self, tmp_path, said, kind):
        """The stored type is uint16; a frame is 6 MB."""
        code = f"""
            def high():
                text = open("/proc/self/status").read()
                return int(text.split("VmHWM:")[1].split()[0]) * 1024
            data = np.random.default_rng(0).integers(0, 9, (40, 1500, 2000), "u2").astype({kind!r})
            store = CXIStore({str(tmp_path / "a.h5")!r}, mode="a", protocol=PROTOCOL)
            store.save_attribute("data", data[:1].astype("u2"), compression={said!r})
            open("/proc/self/clear_refs", "w").write("5")
            before = high()
            store.save_attribute("data", data, "append", num_threads=2)
            print(high() - before)
            assert np.array_equal(store.load_attribute("data", verbose=False)[1:], data)
            """
        (line,) = ends_well(code)
        assert int(line) <= (64 << 20) + 2 * 6_000_000, f"{int(line) / 2**20:.0f} MiB"
