"""Dask arrays of a run against NumPy's of what was written, and what is read for them."""

import os
import pickle
import sys

import dask
import dask.array as da
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import Crop, CXIStore, Downscale, FileChangedError, LayoutError
from cxistack.adapters.dask import Blocks, frame_blocks
from cxistack.catalogue.index import FrameIndex, Part
from factory import (
    DATA,
    LAYOUTS,
    MASK,
    TRANSLATIONS,
    attributes,
    frames,
    good_mask,
    many_files,
    put,
)

PARTS = [frames(5), frames(6, start=500), frames(20, start=2000)]
WHOLE = np.concatenate(PARTS)


@pytest.fixture(autouse=True)
def _one_thread():
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture
def names(tmp_path):
    return many_files(tmp_path, PARTS)


@pytest.fixture
def store(names):
    return CXIStore(names)


@pytest.fixture
def read(monkeypatch):
    """Return what lists the shapes of all blocks that are read."""
    shapes, own = [], Blocks.__getitem__

    def seen(blocks, index):
        block = own(blocks, index)
        shapes.append(block.shape)
        return block

    monkeypatch.setattr(Blocks, "__getitem__", seen)
    return shapes


def pixels(shapes):
    return sum(int(np.prod(shape)) for shape in shapes)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_is_what_numpy_has_in_every_layout(tmp_path, layout):
    parts = [frames(4), frames(3, start=300)]
    data = CXIStore(LAYOUTS[layout](tmp_path, parts))["data"].to_dask(chunks=2)
    assert (data.shape, data.dtype) == ((7, 5, 7), np.uint16)
    np.testing.assert_array_equal(data.compute(), np.concatenate(parts))
    np.testing.assert_array_equal(
        data[2:6, 1:3, ::2].compute(), np.concatenate(parts)[2:6, 1:3, ::2]
    )


class TestBlocks:
    def test_end_where_files_do_and_short_files_share_one(self, store):
        assert store["data"].to_dask(chunks=6).chunks == ((5, 6, 5, 5, 5, 5), (5,), (7,))
        assert store["data"].to_dask(chunks=11).chunks[0] == (11, 10, 10)
        assert store["data"].to_dask().chunks[0] == (31,)

    def test_end_where_chunks_do(self, tmp_path):
        put(tmp_path / "a.cxi", {DATA: frames(40)}, chunks=(7, 5, 7))
        data = CXIStore(tmp_path / "a.cxi")["data"]
        assert data.to_dask(chunks=15).chunks[0] == (14, 14, 12)
        assert data.to_dask(chunks=3).chunks[0] == (2, 3, 3) * 5 or all(
            one <= 3 for one in data.to_dask(chunks=3).chunks[0]
        )
        with dask.config.set({"array.chunk-size": f"{2 * 70}B"}):  # two frames: less than a chunk
            assert data.to_dask().chunks[0] == (7, 7, 7, 7, 7, 5)
        assert data.to_dask(chunks=f"{15 * 70} B").chunks[0] == (14, 14, 12)

    @given(
        counts=st.lists(
            st.tuples(st.integers(0, 60), st.integers(1, 9), st.integers(0, 20)),
            min_size=1,
            max_size=6,
        ),
        most=st.integers(1, 30),
        cuts=st.booleans(),
    )
    def test_are_within_their_bounds_for_all_files(self, counts, most, cuts):
        class Stored:
            assembly, shape = None, (9, 9, 9)

            def __init__(self, chunk):
                self.chunks = (chunk, 9, 9)

        parts = [Part(k, Stored(chunk), n, True, row) for k, (n, chunk, row) in enumerate(counts)]
        lengths = frame_blocks(FrameIndex.of(parts), most, cuts_chunks=cuts)
        assert sum(lengths) == sum(n for n, _, _ in counts)
        ends, first = set(np.cumsum(lengths).tolist()), 0
        allowed = {0}
        for part in parts:
            chunk = part.chunk_frames
            step = 1 if chunk > most and cuts else chunk
            allowed |= {first + n for n in range(part.count + 1) if (part.row + n) % step == 0} | {
                first + part.count
            }
            first += part.count
        assert ends <= allowed
        longest = max(part.chunk_frames for part in parts)
        assert max(lengths) <= (most if cuts else max(most, longest))
        assert 0 not in lengths or lengths == (0,)

    def test_as_dask_takes_them(self, store):
        data = store["data"]
        assert data.to_dask(chunks=("auto", 3, -1)).chunks[1:] == ((3, 2), (7,))
        assert data.to_dask(chunks={0: 6, 2: 4}).chunks[2] == (4, 3)
        assert data.to_dask(chunks=((1, 30), 5, (3, 4))).chunks == ((1, 30), (5,), (3, 4))
        assert data.to_dask(chunks=-1).chunks[0] == (31,)
        np.testing.assert_array_equal(data.to_dask(chunks=(4, 2, 3)).compute(), WHOLE)
        for chunks in (0, (1, 2)):
            with pytest.raises(ValueError, match=r"block|entries"):
                data.to_dask(chunks=chunks)

    def test_are_what_the_graph_is_of_and_not_frames(self, tmp_path):
        with h5py.File(tmp_path / "long.h5", "w") as h5:  # nothing of it is written
            h5.create_dataset(DATA, (1_000_000, 512, 512), "u2", chunks=(1, 512, 512))
        data = CXIStore(tmp_path / "long.h5")["data"].to_dask()
        assert data.npartitions == -(-1_000_000 // 256)
        assert len(data.dask) == data.npartitions + 1


class TestWhatIsRead:
    def test_of_a_crop_is_its_pixels(self, store, read):
        data = store["data"].to_dask(chunks=6)
        np.testing.assert_array_equal(data[3:20, 1:3, 2:6].compute(), WHOLE[3:20, 1:3, 2:6])
        assert pixels(read) == 17 * 2 * 4

    def test_of_a_crop_that_is_used_twice_is_its_pixels_once(self, store, read):
        roi = store["data"].to_dask(chunks=6)[:, 1:3, 2:6]
        flat = (roi / roi.mean(axis=0)).compute()
        expected = WHOLE[:, 1:3, 2:6] / WHOLE[:, 1:3, 2:6].mean(axis=0)
        np.testing.assert_allclose(flat, expected)
        assert pixels(read) == 31 * 2 * 4

    def test_of_chosen_frames_is_these(self, store, read):
        data = store["data"].to_dask(chunks=6)
        np.testing.assert_array_equal(data[[30, 2, 2]].compute(), WHOLE[[30, 2, 2]])
        np.testing.assert_array_equal(data[17].compute(), WHOLE[17])
        good = np.arange(31) % 5 == 0
        np.testing.assert_array_equal(data[good][:, 2].compute(), WHOLE[good][:, 2])
        assert pixels(read) == 35 * (3 + 1) + 7 * 7

    def test_reaches_the_files_as_a_view(self, store, monkeypatch):
        grids, own = [], type(store)._read

        def seen(run, attr, idxs=None, *args, **words):
            values = own(run, attr, idxs, *args, **words)
            grids.append(np.shape(values))
            return values

        monkeypatch.setattr(type(store), "_read", seen)
        store["data"].to_dask()[4:9, 1:3][:, :, 2:6].compute()
        assert grids == [(5, 2, 4)]

    def test_by_so_many_threads(self, store, monkeypatch):
        told, own = [], type(store)._read

        def seen(run, *args, num_threads=None, **words):
            told.append(num_threads)
            return own(run, *args, num_threads=num_threads, **words)

        monkeypatch.setattr(type(store), "_read", seen)
        store["data"].to_dask().compute()
        store["data"].to_dask(num_threads=3).compute()
        store["data"][:]
        assert told == [1, 3, None]


_slices = st.builds(
    slice,
    st.none() | st.integers(-40, 40),
    st.none() | st.integers(-40, 40),
    st.sampled_from([None, 1, 2, 3, -1, -2]),
)


@settings(max_examples=20, deadline=None)
@given(
    first=st.tuples(
        _slices
        | st.integers(-31, 30)
        | st.just([False, True] * 15 + [True])
        | st.lists(st.integers(-31, 30), min_size=1, max_size=9),
        _slices | st.integers(-5, 4),
        _slices,
    ),
    count=st.integers(0, 3),
    second=st.tuples(_slices, _slices | st.integers(-1, 0)),
    chunks=st.sampled_from([3, 6, (4, 2, 3), "auto"]),
)
def test_indices_are_numpys(tmp_path_factory, first, count, second, chunks):
    store = _kept(tmp_path_factory)
    index = first[:count] if count else ...
    expected = WHOLE[index]
    found = store["data"].to_dask(chunks=chunks)[index]
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found.compute(), expected)
    more = second[: max(0, expected.ndim - 1)]
    if all(expected.shape[: len(more)]):
        np.testing.assert_array_equal(found[more].compute(), expected[more])


_stores = {}


def _kept(factory):
    if not _stores:
        _stores[0] = CXIStore(many_files(factory.mktemp("dask"), PARTS))
    return _stores[0]


def test_other_indices_are_dasks(store):
    data = store["data"].to_dask(chunks=6)
    np.testing.assert_array_equal(data[None, 2:4].compute(), WHOLE[None, 2:4])
    np.testing.assert_array_equal(data[:, [3, 1]].compute(), WHOLE[:, [3, 1]])
    np.testing.assert_array_equal(
        data[data.max(axis=(1, 2)) > 600].compute(), WHOLE[6:][(WHOLE[6:].max(axis=(1, 2)) > 600)]
    )
    np.testing.assert_array_equal(
        data.vindex[[1, 2], [0, 4], [3, 3]].compute(), WHOLE[[1, 2], [0, 4], [3, 3]]
    )
    for index in (31, (0, 5), (0, 0, 0, 0)):
        with pytest.raises(IndexError):
            data[index]


def test_all_kinds_of_attributes(tmp_path):
    values = attributes(4)
    store = CXIStore(put(tmp_path / "a.cxi", {DATA: frames(4), **values}))
    for attr in store.found:
        array = store[attr].to_dask()
        assert isinstance(array, da.Array)
        assert (array.shape, array.dtype) == (store[attr].shape, store[attr].dtype)
        np.testing.assert_array_equal(array.compute(), store.load_attribute(attr, verbose=False))


def test_as_another_type_and_transformed(store):
    data = store["data"].transform([Crop([1, 5, 0, 6]), Downscale(2)]).astype("float32")
    expected = store.load_attribute(
        "data", transform=[Crop([1, 5, 0, 6]), Downscale(2)], dtype="float32", verbose=False
    )
    array = data.to_dask(chunks=6)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array.compute(), expected)
    np.testing.assert_array_equal(array[4:, 1].compute(), expected[4:, 1])


def test_one_mask_for_all_frames_is_read_once(tmp_path, read):
    mask = good_mask((5, 7), [(1, 2)])
    store = CXIStore(put(tmp_path / "a.cxi", {DATA: frames(9), MASK: mask}))
    array = store["mask"].to_dask(chunks=2)
    np.testing.assert_array_equal(array.compute(), np.broadcast_to(mask, (9, 5, 7)))
    np.testing.assert_array_equal(array[3:5, 1].compute(), np.broadcast_to(mask, (9, 5, 7))[3:5, 1])
    assert set(read) == {(5, 7)}
    both = da.where(array, store["data"].to_dask(chunks=2), 0)
    np.testing.assert_array_equal(both.compute(), np.where(mask, frames(9), 0))


def test_no_frames_at_all(tmp_path):
    store = CXIStore(put(tmp_path / "a.cxi", {DATA: frames(0)}))
    array = store["data"].to_dask()
    assert array.compute().shape == (0, 5, 7)
    assert array[:, 1:3].compute().shape == (0, 2, 7)


def test_what_cannot_be_one(tmp_path):
    names = ["run_1.cxi", "run_2.cxi"]
    put(tmp_path / names[0], {DATA: frames(4), TRANSLATIONS: np.zeros((3, 3))})
    put(tmp_path / names[1], {DATA: frames(4)})
    store = CXIStore([tmp_path / name for name in names])
    with pytest.raises(LayoutError, match="translations"):
        store["translations"].to_dask()


class TestTokens:
    def test_are_of_the_files_and_of_what_is_asked_for(self, store, names):
        one, two = store["data"].to_dask(), CXIStore(names)["data"].to_dask()
        assert one.name == two.name
        assert one[:, 1:3].name == two[:, 1:3].name
        others = [
            one,
            one[:, 1:3],
            one[:, 1:2],
            store["data"].to_dask(chunks=3),
            store["data"].astype("f4").to_dask(),
            store["data"].transform(Crop([0, 2, 0, 2])).to_dask(),
        ]
        assert len({array.name for array in others}) == len(others)

    def test_are_others_when_a_file_was_changed(self, store, names):
        before = store["data"].to_dask()
        changed(names[1], PARTS[1] + 1)
        store.update_indices()
        after = store["data"].to_dask()
        assert before.name != after.name
        np.testing.assert_array_equal(after[7].compute(), WHOLE[7] + 1)


def changed(name, values):
    """Write other values over those of a file, and leave all else as it is."""
    with h5py.File(name) as h5:
        offset = h5[DATA].id.get_offset()
    with open(name, "r+b") as file:  # noqa: PTH123
        file.seek(offset)
        file.write(values.tobytes())


class TestFilesThatAreChanged:
    def test_in_place(self, store, names):
        array = store["data"].to_dask(chunks=6)
        array[:3].compute()
        changed(names[0], PARTS[0] + 1)
        with pytest.raises(FileChangedError, match=r"make the array anew"):
            array.compute()

    def test_before_they_are_read_elsewhere(self, store, names):
        pickled = pickle.dumps(store["data"].to_dask())
        np.testing.assert_array_equal(pickle.loads(pickled)[4:6].compute(), WHOLE[4:6])
        os.utime(names[2], ns=(5, 5))
        with pytest.raises(FileChangedError, match="run_10"):
            pickle.loads(pickled)[4:6].compute()

    def test_saving_beside_the_data_is_a_change_too(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DATA: frames(4)})
        store = CXIStore(name, "r+")
        array = store["data"].to_dask()
        store.save_attribute("whitefield", np.ones((5, 7)))
        with pytest.raises(FileChangedError, match=r"a\.cxi"):
            array.compute()
        np.testing.assert_array_equal(store["data"].to_dask().compute(), frames(4))


def test_without_dask_it_says_how_to_get_it(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask.array", None)
    with pytest.raises(ImportError, match=r"pip install 'cxistack\[dask\]'"):
        store["data"].to_dask()


def test_on_worker_processes(store, two_workers):
    data = store["data"].to_dask(chunks=3)
    with dask.config.set(scheduler=two_workers):
        np.testing.assert_array_equal(data.compute(), WHOLE)
        roi = data[:, 1:3, 2:6]
        np.testing.assert_allclose(
            (roi - roi.mean(axis=0)).std().compute(),
            (WHOLE[:, 1:3, 2:6] - WHOLE[:, 1:3, 2:6].mean(axis=0)).std(),
        )
        np.testing.assert_array_equal(data[[30, 0, 7]].compute(), WHOLE[[30, 0, 7]])


def test_threads_compute_it(store):
    with dask.config.set(scheduler="threads"):
        np.testing.assert_array_equal(store["data"].to_dask(chunks=2).compute(), WHOLE)
