"""A writer gathers frames; what plain h5py reads is what was appended, in its order.

After a flush that is all that was appended; after an error or a kill, what was flushed.
"""

import os
import signal
import threading
import tracemalloc
from contextlib import suppress
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import (
    CastError,
    CXIProtocol,
    CXIStore,
    FileInUseError,
    LayoutError,
    StorageError,
)
from cxistack.saving import buffer, cxi_layout, provenance
from factory import DATA, MASK, frames, put
from factory.children import run
from factory.folders import names_in

NEW = "/entry/data/data"  # the default protocol's first path
FRAME = (5, 7)  # 70 bytes


@pytest.fixture(scope="module", autouse=True)
def little_room():
    """Let five small frames fill the buffer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buffer, "_BYTES", 5 * 70)
        yield


def stored(name, path=NEW):
    with h5py.File(name) as h5:
        return h5[path][()]


def one_way(array, how):
    """Return an array of the same values that lies otherwise in memory."""
    match how:
        case "swapped":
            return array.astype(array.dtype.newbyteorder())
        case "reversed":
            return array[::-1, ::-1].copy()[::-1, ::-1]
        case "transposed":
            return np.ascontiguousarray(array.T).T
        case "wide":
            return np.repeat(array, 2, axis=-1)[..., ::2]
        case "int64":
            return array.astype("i8")
        case "list":
            return array.tolist()
    return array


WAYS = ["plain", "plain", "swapped", "reversed", "transposed", "wide", "int64", "list"]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 12), st.sampled_from(WAYS)),
        st.sampled_from(["flush", "other", "same", "frame"]),
    ),
    max_size=10,
)
FILTERS = {
    "none": {},
    "bitshuffle": {**hdf5plugin.Bitshuffle()},
    "deflate": {"compression": "gzip", "shuffle": True},
    "lzf": {"compression": "lzf"},  # encoded by HDF5 alone
}


@settings(max_examples=60, deadline=None)
@given(
    steps=STEPS,
    depth=st.sampled_from([None, 1, 2, 3, 7]),
    there=st.sampled_from([None, 0, 1, 4]),
    how=st.sampled_from([*FILTERS]),
    mode=st.sampled_from(["append", "overwrite"]),
    dtype=st.sampled_from(["u2", ">u2", "u4", "i4"]),
)
def test_any_order_of_appends_flushes_and_other_saves(
    tmp_path_factory, steps, depth, there, how, mode, dtype
):
    """Frames go to a new file, or into or over what is there, in its chunks and its type."""
    name, path = tmp_path_factory.mktemp("w") / "a.cxi", NEW
    expected = [np.zeros((0, *FRAME), "u2")]
    if there is not None:
        chunks = {} if depth is None and how == "none" else {"chunks": (depth or 1, *FRAME)}
        unlimited = {"maxshape": (None, *FRAME)} if chunks else {}
        with h5py.File(name, "w") as h5:
            h5.create_dataset(
                DATA, data=frames(there).astype(dtype), **chunks, **unlimited, **FILTERS[how]
            )
        path = DATA
        expected += [frames(there)] * (mode == "append")
    store = CXIStore(name, "a")
    number, words = 0, {} if depth is None or there is not None else {"chunks": (depth, *FRAME)}
    with store.writer("data", FRAME, "uint16", mode, **words) as writer:
        for step in steps:
            number += 100
            match step:
                case "flush":
                    writer.flush()
                    if writer.count:
                        np.testing.assert_array_equal(stored(name, path), np.concatenate(expected))
                case "other":
                    store.save_attribute("distance", number)
                case "same":
                    if writer.count:
                        store.save_attribute("data", frames(2, start=number), "append")
                        expected.append(frames(2, start=number))
                case "frame":
                    writer.append(frames(1, start=number)[0])
                    expected.append(frames(1, start=number))
                case count, way:
                    writer.append(
                        one_way(frames(count, start=number), way)
                        if count
                        else np.zeros((0, *FRAME))
                    )
                    expected.append(frames(count, start=number))
    if mode == "append" and there is None and len(expected) == 1:
        return  # there is nothing to make a dataset of
    np.testing.assert_array_equal(stored(name, path), np.concatenate(expected))
    np.testing.assert_array_equal(
        store.load_attribute("data", verbose=False), np.concatenate(expected)
    )
    if there is not None:
        with h5py.File(name) as h5:
            assert h5[path].dtype == dtype
            if depth is not None:
                assert h5[path].chunks == (depth, *FRAME)
    elif len(np.concatenate(expected)):
        with h5py.File(name) as h5:
            assert h5["/entry_1/experiment_identifier"].shape == h5[path].shape[:1]


def test_the_callers_array_is_free_when_append_returns(tmp_path):
    one, many = frames(1)[0].copy(), frames(40).copy()
    with CXIStore(tmp_path / "a.cxi", "w").writer("data") as writer:
        for part in (one, many, one):
            writer.append(part)
            part[...] = 9999
    expected = [*frames(1), *frames(40), np.full(FRAME, 9999)]
    np.testing.assert_array_equal(stored(tmp_path / "a.cxi"), expected)


def test_what_every_cxi_file_has_is_made_once(tmp_path, monkeypatch):
    calls = []
    for module, verb in ((cxi_layout, "follow"), (provenance, "record")):
        real = getattr(module, verb)
        monkeypatch.setattr(
            module, verb, lambda *a, real=real, verb=verb: (calls.append(verb), real(*a))
        )
    with CXIStore(tmp_path / "a.cxi", "w").writer("data") as writer:
        for frame in frames(30):
            writer.append(frame)
    assert sorted(calls) == ["follow", "follow", "record"]  # of no frames, and of all


def test_small_frames_share_a_chunk_also_when_they_come_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(buffer, "_BYTES", 16 << 20)
    whole = frames(70, (32, 32))
    with CXIStore(tmp_path / "a.cxi", "w").writer("data") as writer:
        for frame in whole:
            writer.append(frame)
    with h5py.File(tmp_path / "a.cxi") as h5:
        assert h5[NEW].chunks == (32, 32, 32)  # 64 KiB
        np.testing.assert_array_equal(h5[NEW][()], whole)


class TestMemory:
    def test_holds_no_more_than_was_said(self, tmp_path):
        """200 frames of 2 MB and an array of 30, in 16 MiB and what chunks take."""
        code = f"""
            def high():
                text = open("/proc/self/status").read()
                return int(text.split("VmHWM:")[1].split()[0]) * 1024
            frame = np.random.default_rng(0).integers(0, 9, (1000, 1000), "u2")
            many = np.repeat(frame[None], 30, axis=0)
            store = CXIStore({str(tmp_path / "a.cxi")!r}, "w")
            with store.writer("data", dtype="uint32", num_threads=2) as writer:
                writer.append(frame)
                before = high()
                for number in range(200):
                    writer.append(frame + np.uint16(number))
                writer.append(many)
                print(high() - before)
            with h5py.File({str(tmp_path / "a.cxi")!r}) as h5:
                found = h5["{NEW}"]
                print(all(np.array_equal(found[1 + k], frame + np.uint16(k)) for k in range(200)))
        """
        status, lines, err = run(code)
        assert status == 0, err
        more, is_right = int(lines[0]), lines[1]
        assert is_right == "True"
        assert more < (16 + 60) << 20  # of 800 MB

    @pytest.mark.parametrize("attr", ["data", "mask"])  # flags are saved as they come
    @pytest.mark.parametrize("safe", [True, False])
    def test_keeps_no_array_of_the_users(self, tmp_path, attr, safe):
        CXIStore(tmp_path / "a.cxi", "w").save_attribute("distance", 1.0)
        store = CXIStore(tmp_path / "a.cxi", "r+", protocol="cxi", safe=safe)
        tracemalloc.start()
        try:
            with store.writer(attr) as writer:
                for count in (400, 400, 1):  # 16 or 32 MB
                    writer.append(np.ones((count, 200, 200), bool if attr == "mask" else "u2"))
                    held, _ = tracemalloc.get_traced_memory()
                    assert held < 8 << 20
        finally:
            tracemalloc.stop()

    def test_a_frame_larger_than_the_room_is_written_as_it_comes(self, tmp_path):
        whole = frames(3, (40, 50))
        with CXIStore(tmp_path / "a.cxi", "w").writer("data") as writer:
            for frame in whole:
                writer.append(frame)
        np.testing.assert_array_equal(stored(tmp_path / "a.cxi"), whole)


class TestFlush:
    @pytest.fixture
    def store(self, tmp_path):
        return CXIStore(tmp_path / "a.cxi", "w")

    def test_lets_others_see_what_was_appended(self, store, tmp_path):
        with store.writer("data") as writer:
            writer.flush()  # of nothing
            assert names_in(tmp_path) == []
            for number in range(3):
                writer.append(frames(2, start=100 * number))
                assert store.frame_count == 2 * number  # what was not flushed is not seen
                writer.flush()
                assert len(stored(tmp_path / "a.cxi")) == 2 * number + 2
                assert store.frame_count == 2 * number + 2
                assert names_in(tmp_path) == ["a.cxi"]

    @pytest.mark.parametrize("where", ["the block", "append", "a kill"])
    def test_what_was_flushed_outlives(self, store, tmp_path, where):
        name = str(tmp_path / "a.cxi")
        code = f"""
            store = CXIStore({name!r}, "w")
            with store.writer("data") as writer:
                writer.append(np.full((3, 5, 7), 1, "u2"))
                writer.flush()
                writer.append(np.full((30, 5, 7), 2, "u2"))
                if {where!r} == "the block":
                    raise ZeroDivisionError
                if {where!r} == "append":
                    writer.append(np.zeros((3, 3)))
                os.kill(os.getpid(), signal.SIGKILL)
        """
        status, _, err = run(code)
        assert status == (-signal.SIGKILL if where == "a kill" else 1), err
        np.testing.assert_array_equal(stored(name), np.full((3, *FRAME), 1))
        assert where == "a kill" or names_in(tmp_path) == ["a.cxi"]

    def test_commits_the_other_saves_of_the_block(self, store, tmp_path):
        with suppress(ZeroDivisionError), store.writer("data") as writer:
            store.save_attribute("distance", 1.0)
            writer.append(frames(2))
            writer.flush()
            store.save_attribute("distance", 2.0)
            raise ZeroDivisionError
        assert CXIStore(tmp_path / "a.cxi").load_attribute("distance") == 1

    def test_of_one_writer_is_that_of_all(self, store, tmp_path):
        name = tmp_path / "a.cxi"

        def appends():
            with store.writer("data") as data, store.writer("translations") as moves:
                for number in range(7):
                    data.append(frames(1, start=number))
                    moves.append(np.full((1, 3), number))
                moves.flush()
                assert len(stored(name)) == 7
                found = stored(name, "/speckle_tracking/translations")
                np.testing.assert_array_equal(found[:, 0], range(7))
                data.append(frames(1))
                moves.append(np.zeros((2, 3)))
                with pytest.raises(LayoutError, match="8 frames of 'data' and 9 of 'translations'"):
                    data.flush()
                with pytest.raises(StorageError, match="block is saved but the 7 frames that were"):
                    data.append(frames(1))

        with pytest.raises(StorageError, match="nothing of this block is saved but the 7 frames"):
            appends()
        assert len(stored(name)) == 7

    def test_is_refused_within_a_transaction(self, store, tmp_path):
        with store.transaction(), store.writer("data") as writer:
            writer.append(frames(3))
            with pytest.raises(ValueError, match=r"flush\(\) would commit a part of a transaction"):
                writer.flush()
            writer.append(frames(2))
        assert len(stored(tmp_path / "a.cxi")) == 5
        with store.writer("data") as writer, store.transaction():
            writer.append(frames(1))
            with pytest.raises(ValueError, match="part of a transaction"):
                writer.flush()
        assert len(stored(tmp_path / "a.cxi")) == 1

    def test_that_fails_leaves_the_file_as_it_was(self, store, tmp_path, monkeypatch):
        store.save_attribute("data", frames(1))

        def appends():
            with store.writer("data", mode="append") as writer:
                writer.append(frames(2))
                with monkeypatch.context() as patch:
                    patch.setattr(os, "replace", None)
                    with pytest.raises(TypeError):
                        writer.flush()
                with pytest.raises(StorageError, match="nothing of this block is saved: frames"):
                    writer.append(frames(2))
                store.save_attribute("distance", 1.0)

        with pytest.raises(StorageError, match="nothing of this block is saved: frames"):
            appends()
        assert len(stored(tmp_path / "a.cxi")) == 1
        assert names_in(tmp_path) == ["a.cxi"]
        assert "distance" not in store
        store.save_attribute("data", frames(2))

    def test_others_may_save_after_it(self, store, tmp_path):
        with store.writer("data") as writer:
            writer.append(frames(2))
            writer.flush()
            with CXIStore(tmp_path / "a.cxi", "r+") as other:
                other.save_attribute("distance", 3.0)
                writer.append(frames(4))
                with pytest.raises(FileInUseError):
                    other.save_attribute("distance", 4.0)
        assert len(stored(tmp_path / "a.cxi")) == 6
        assert CXIStore(tmp_path / "a.cxi").load_attribute("distance") == 3

    def test_in_place_each_batch_stays(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DATA: frames(2)})
        with (
            suppress(ZeroDivisionError),
            CXIStore(name, "r+", safe=False).writer("data", mode="append") as writer,
        ):
            writer.append(frames(3))
            writer.flush()
            assert len(stored(name, DATA)) == 5
            writer.append(frames(2))
            raise ZeroDivisionError
        assert len(stored(name, DATA)) == 5


class TestErrors:
    def test_an_append_after_one_that_failed_is_refused(self, tmp_path):
        def appends():
            with CXIStore(tmp_path / "a.cxi", "w").writer("data") as writer:
                writer.append(frames(2))
                with pytest.raises(LayoutError):
                    writer.append(np.zeros((3, 3)))
                with pytest.raises(StorageError, match=r"nothing of this block .*\(3, 3\)"):
                    writer.append(frames(2))
                assert writer.count == 2

        with pytest.raises(StorageError, match="nothing of this block"):
            appends()
        assert names_in(tmp_path) == []

    @pytest.mark.parametrize("at", [0, 3, 8])
    def test_an_interrupt_commits_nothing_also_where_it_is_caught(self, tmp_path, monkeypatch, at):
        """It comes while frames are copied, or written."""
        name = put(tmp_path / "a.cxi", {DATA: frames(4)})
        before = Path(name).read_bytes()
        real, calls = np.copyto, []

        def copyto(*args, **words):
            calls.append(args)
            if len(calls) == at + 1:
                raise KeyboardInterrupt
            real(*args, **words)

        monkeypatch.setattr(np, "copyto", copyto)
        store = CXIStore(name, "r+")

        def appends():
            with store.writer("data") as writer:
                with pytest.raises(KeyboardInterrupt):  # noqa: PT012
                    for frame in frames(20):
                        writer.append(frame)
                assert writer.count == at

        with pytest.raises(StorageError, match=r"nothing of this block .*\(KeyboardInterrupt\)"):
            appends()
        assert Path(name).read_bytes() == before
        assert names_in(tmp_path) == ["a.cxi"]

    @pytest.mark.parametrize("count", [1, 3, 30])
    @pytest.mark.parametrize("first", [0, 2])
    @pytest.mark.parametrize("to", ["dtype", "stored type"])
    def test_a_value_that_does_not_fit_is_told_of_by_the_append_that_has_it(
        self, tmp_path, count, first, to
    ):
        name = put(tmp_path / "a.cxi", {DATA: frames(2, dtype="uint8") % 100})
        values = np.zeros((count, *FRAME), "u2")
        values[-1, 2, 3] = 300
        words = {"dtype": "uint8"} if to == "dtype" else {}
        store = CXIStore(name, "r+")

        def appends():
            with store.writer("data", mode="append", **words) as writer:
                writer.append(np.zeros((first, *FRAME), "u2"))
                with pytest.raises(CastError) as raised:
                    writer.append(values)
                assert raised.value.offence.frame == count - 1
                assert raised.value.offence.pixel == (2, 3)
                assert f"'data' cannot be saved to {name}:{DATA}: Frame {count - 1}, pixel" in str(
                    raised.value
                )

        with pytest.raises(StorageError, match="nothing of this block"):
            appends()
        assert len(stored(name, DATA)) == 2

    def test_rows_are_numbered_in_the_array_that_was_given(self, tmp_path):
        protocol = CXIProtocol.import_default().add_attribute("x", "int", "/x", "sequence")
        store = CXIStore(tmp_path / "a.cxi", "w", protocol=protocol)
        values = np.zeros((200, 3), "i8")
        values[190, 1] = 1 << 40
        with (
            pytest.raises(CastError, match=r"/x: Pixel \(190, 1\)"),
            store.writer("x", dtype="int16") as writer,
        ):
            writer.append(values)

    def test_what_speaks_against_it_is_said_at_the_first_append(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DATA: frames(2)})
        for words, match in (
            ({"chunks": (2, 5, 7)}, "is stored in chunks of"),
            ({"compression": "deflate"}, "is compressed otherwise"),
            ({}, "to which no frames of shape"),
        ):
            shape = FRAME if words else (3, 4)
            with (
                pytest.raises(StorageError, match="nothing of this block"),
                CXIStore(name, "r+").writer("data", mode="append", **words) as writer,
                pytest.raises(LayoutError, match=match),
            ):
                writer.append(np.zeros(shape, "u2"))

    def test_a_masked_array_is_refused(self, tmp_path):
        store = CXIStore(tmp_path / "a.cxi", "w")
        with pytest.raises(TypeError, match="would lose its mask"), store.writer("data") as writer:
            writer.append(np.ma.masked_equal(frames(2), 3))

    def test_a_write_that_fails_is_told_of_by_the_append_that_waits_for_it(
        self, tmp_path, monkeypatch
    ):
        name = put(tmp_path / "a.cxi", {DATA: frames(2)})
        store = CXIStore(name, "r+")

        def full(*args):
            raise OSError(28, "No space left on device")

        def appends():
            with store.writer("data", mode="append") as writer:
                for frame in frames(4):
                    writer.append(frame)
                monkeypatch.setattr("cxistack.saving.commit.transaction.Transaction.reserve", full)
                with pytest.raises(StorageError, match=r"a\.cxi.* No space left"):
                    writer.append(frames(1)[0])

        with pytest.raises(StorageError, match="nothing of this block is saved"):
            appends()
        assert len(stored(name, DATA)) == 2


class TestThreads:
    def test_any_thread_may_append(self, tmp_path):
        store, failed = CXIStore(tmp_path / "a.cxi", "w"), []

        def append(writer, number):
            try:
                for k in range(25):
                    writer.append(np.full(FRAME, 100 * number + k, "u2"))
            except BaseException as error:  # noqa: BLE001
                failed.append(error)

        with store.writer("data", FRAME, "uint16") as writer:
            threads = [threading.Thread(target=append, args=(writer, k)) for k in range(4)]
            for thread in threads:
                thread.start()
            for _ in range(5):
                store.save_attribute("distance", 1.0)
            for thread in threads:
                thread.join(60)
                assert not thread.is_alive()
        assert not failed
        values = stored(tmp_path / "a.cxi")
        assert (values == values[:, :1, :1]).all()
        for number in range(4):  # those of a thread are in its order
            mine = [v for v in values[:, 0, 0] if v // 100 == number]
            assert mine == [100 * number + k for k in range(25)]

    def test_a_save_of_another_thread_waits_for_the_block(self, tmp_path):
        store = CXIStore(tmp_path / "a.cxi", "w")
        with store.writer("data") as writer:
            writer.append(frames(2))
            saving = threading.Thread(target=store.save_attribute, args=("distance", 2.0))
            saving.start()
            saving.join(0.2)
            assert saving.is_alive()
            writer.append(frames(1))
        saving.join(60)
        assert len(stored(tmp_path / "a.cxi")) == 3
        assert store.load_attribute("distance") == 2

    def test_an_append_after_the_block_is_refused(self, tmp_path):
        with CXIStore(tmp_path / "a.cxi", "w").writer("data") as writer:
            writer.append(frames(2))
        for action in (lambda: writer.append(frames(1)), writer.flush):
            with pytest.raises(ValueError, match="has ended"):
                action()


class TestKinds:
    def test_text_is_written_as_it_comes(self, tmp_path):
        protocol = CXIProtocol.import_default().add_attribute("names", "str", "/names", "sequence")
        store = CXIStore(tmp_path / "a.cxi", "w", protocol=protocol)
        with store.writer("names") as writer:
            writer.append(["first", "second"])
        assert list(store.load_attribute("names")) == ["first", "second"]

    @pytest.mark.parametrize("raw", [True, False])
    @pytest.mark.parametrize("at_once", [True, False])
    def test_masks_of_flags(self, tmp_path, raw, at_once):
        """Frames that are all there keep the reasons of bad pixels when all come at once."""
        old = np.full((12, *FRAME), 4, "u4")
        good = np.arange(12 * 35).reshape(12, *FRAME) % 3 > 0
        flags = (np.arange(12 * 35, dtype="u4").reshape(12, *FRAME) * 7919) % (1 << 20)
        path = "/entry_1/instrument_1/detector_1"
        name = put(tmp_path / "a.cxi", {f"{path}/data": frames(12), f"{path}/mask": old})
        store = CXIStore(name, "r+", protocol="cxi")
        values = flags if raw else good
        with store.writer("mask", raw=raw) as writer:
            for part in [values] if at_once else np.split(values, [3, 4, 11]):
                writer.append(part)
        found = stored(name, f"{path}/mask")
        if raw:
            np.testing.assert_array_equal(found, flags)
        else:
            np.testing.assert_array_equal(found == 0, good)
            assert not at_once or (found[~good] == 4).all()

    def test_one_frame_that_stands_for_all_goes_on_doing_so(self, tmp_path):
        good = np.ones(FRAME, bool)
        good[2, 3] = False
        name = put(tmp_path / "a.cxi", {DATA: frames(30), MASK: good})
        store = CXIStore(name, "r+")
        with store.writer("mask", mode="append") as writer:
            for _ in range(8):
                writer.append(good)
        assert stored(name, MASK).shape == FRAME
        with (
            pytest.raises(LayoutError, match="stands for all frames"),
            store.writer("mask", mode="append") as writer,
        ):
            writer.append(np.array([~good] * 8))

    def test_frame_numbers_of_all_appends_are_looked_at(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DATA: frames(6)})
        store = CXIStore(name, "r+")

        def by_writer():
            with store.writer("good_frames") as writer:
                writer.append([9])
                writer.append([1])

        def by_saves():
            with store.transaction():
                store.save_attribute("good_frames", [9])
                store.save_attribute("good_frames", [1], "append")

        for save in (by_writer, by_saves):
            with pytest.raises(LayoutError, match="names frame 9"):
                save()
        with store.writer("good_frames") as writer:
            writer.append([5, 1])
        assert list(store.load_attribute("good_frames")) == [5, 1]


def test_a_child_cannot_append_for_its_parent(tmp_path):
    name = str(tmp_path / "a.cxi")
    code = f"""
        store = CXIStore({name!r}, "w")
        with store.writer("data") as writer:
            writer.append(np.zeros((2, 5, 7), "u2"))
            pid = os.fork()
            if not pid:
                try:
                    writer.append(np.ones((1 << 20, 5, 7), "u2"))
                except CXIError as error:
                    print(error, flush=True)
                os._exit(0)
            os.waitpid(pid, 0)
        with h5py.File({name!r}) as h5:
            print(h5[{NEW!r}].shape)
    """
    status, lines, err = run(code)
    assert status == 0, err
    assert "a forked process cannot save" in lines[0]
    assert lines[1] == "(2, 5, 7)"


def test_a_child_does_not_wait_for_a_thread_that_its_parent_had(tmp_path):
    name = str(tmp_path / "a.cxi")
    code = f"""
        import threading
        store, within, real = CXIStore({name!r}, "w"), threading.Event(), np.copyto
        def copyto(*args):
            within.set()
            time.sleep(1)
            real(*args)
        np.copyto = copyto
        with store.writer("data", (5, 7), "u2") as writer:
            thread = threading.Thread(target=writer.append, args=(np.zeros((2, 5, 7), "u2"),))
            thread.start()
            within.wait()
            pid = os.fork()
            if not pid:
                signal.alarm(5)
                try:
                    writer.append(np.ones((1 << 20, 5, 7), "u2"))
                except CXIError as error:
                    print(error, flush=True)
                os._exit(0)
            print(os.waitpid(pid, 0)[1])
            thread.join()
        print(store["data"].shape)
    """
    status, lines, err = run(code)
    assert status == 0, err
    assert "a forked process cannot save" in lines[0]
    assert lines[1:] == ["0", "(2, 5, 7)"]
