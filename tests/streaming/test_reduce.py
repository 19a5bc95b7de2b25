"""Reductions of a run against NumPy's of the array that was written, masked ones too."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import (
    Crop,
    CXIProtocol,
    CXIStore,
    Downscale,
    FileChangedError,
    LayoutError,
    Mirror,
    StorageError,
)
from cxistack.store import sources
from factory import DATA, LAYOUTS, TRANSLATIONS, frames

SHAPE = (9, 12)
RUN = np.random.default_rng(3).poisson(40, (31, *SHAPE)).astype("u2")
RUN[4] = 60000
PARTS = [RUN[:11], RUN[11:17], RUN[17:]]
OF = {
    "sum": lambda a, **w: a.sum(axis=0, dtype="f8" if a.dtype.kind == "f" else None, **w),
    "mean": lambda a, **w: a.mean(axis=0, dtype="f8", **w),
    "var": lambda a, **w: a.var(axis=0, dtype="f8", **w),
    "std": lambda a, **w: a.std(axis=0, dtype="f8", **w),
    "min": lambda a, **w: a.min(axis=0, **w),
    "max": lambda a, **w: a.max(axis=0, **w),
    "over:45": lambda a: (a > 45).sum(axis=0),
    "saturated:60000": lambda a: (a >= 60000).sum(axis=0),
    "median": lambda a: np.median(a, axis=0),
    "percentile:90": lambda a: np.percentile(a, 90, axis=0),
}
QUIET = {"verbose": False}


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    return LAYOUTS["many_files"](tmp_path_factory.mktemp("reduce"), PARTS)


@pytest.fixture
def store(names):
    return CXIStore(names)


def written(folder, values, mask=None, dtype="uint"):
    """Return a store of a protocol that keeps every type."""
    kinds = {"data": "stack", "mask": "stack"}
    protocol = CXIProtocol(
        {"data": dtype, "mask": "bool"},
        {"data": ["/data"], "mask": ["/speckle_tracking/mask"]},
        kinds,
    )
    file = folder / "run.h5"
    with h5py.File(file, "w") as h5:
        h5["/data"] = values
        if mask is not None:
            h5["/speckle_tracking/mask"] = mask
    return CXIStore(file, protocol=protocol)


def compare(found, expected):
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    else:
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype


@pytest.mark.parametrize("word", OF)
def test_each_word_is_numpys(store, word):
    compare(store.reduce("data", word, **QUIET), OF[word](RUN))


def test_several_come_by_their_names_from_one_pass(store):
    found = store.reduce("data", ["mean", "max", "std"], **QUIET)
    assert list(found) == ["mean", "max", "std"]
    for word, result in found.items():
        compare(result, OF[word](RUN))


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(st.sampled_from(sorted(OF)), min_size=1, max_size=4, unique=True),
    idxs=st.none() | st.lists(st.integers(-31, 30), min_size=1, max_size=12),
    transform=st.sampled_from(
        [None, Crop([1, 8, 2, 11]), Downscale(2), [Crop([1, 8, 2, 11]), Mirror(0, (7, 9))]]
    ),
    memory=st.sampled_from([None, 1, 2000, 5000]),
    mask=st.sampled_from([None, "frame", "frames"]),
    threads=st.integers(1, 3),
)
def test_reductions_are_those_of_what_is_loaded(
    names, words, idxs, transform, memory, mask, threads
):
    store = CXIStore(names)
    loaded = store.load_attribute("data", idxs, transform=transform, **QUIET)
    good = None
    if mask is not None:
        shape = loaded.shape[1:] if mask == "frame" else loaded.shape
        good = np.random.default_rng(1).random(shape) > 0.2
        loaded = np.ma.MaskedArray(loaded, mask=np.broadcast_to(~good, loaded.shape))
    found = store.reduce(
        "data",
        words,
        idxs,
        transform=transform,
        mask=good,
        fill=0,
        memory=memory,
        num_threads=threads,
        **QUIET,
    )
    for word in words:
        compare(found[word], expected_of(word, loaded))


def expected_of(word, loaded):
    if not isinstance(loaded, np.ma.MaskedArray):
        return OF[word](loaded)
    if word == "percentile:90":
        made = np.zeros(loaded.shape[1:])
        for pixel in np.ndindex(*made.shape):
            good = loaded[(slice(None), *pixel)].compressed()
            made[pixel] = np.percentile(good, 90) if len(good) else 0
        return made
    made = np.ma.median(loaded, axis=0) if word == "median" else OF[word](loaded)
    return np.ma.filled(made, 0)


@pytest.mark.parametrize("dtype", ["u1", "i4", "i8", "f4", "f8", "?"])
def test_every_type_of_pixel(tmp_path, dtype):
    values = (RUN % 251 - (40 if np.dtype(dtype).kind in "if" else 0)).astype(dtype)
    family = {"f": "float", "b": "bool"}.get(np.dtype(dtype).kind, "int")
    if dtype == "u1":
        family = "uint"
    store = written(tmp_path, values, dtype=family)
    for word in ("sum", "mean", "std", "min", "max", "median"):
        if dtype == "?" and word == "median":
            continue
        compare(store.reduce("data", word, **QUIET), OF[word](values))


@pytest.mark.parametrize("word", [one for one in OF if one != "sum"])
def test_results_do_not_depend_on_batches_or_bands(names, word, monkeypatch):
    whole = CXIStore(names).reduce("data", word, memory=1 << 30, **QUIET)
    monkeypatch.setattr(sources, "_BATCH_BYTES", 500)
    np.testing.assert_array_equal(CXIStore(names).reduce("data", word, memory=700, **QUIET), whole)


def test_percentiles_in_one_call(store):
    found = store.reduce("data", ("percentile", [5, 50, 95]), memory=1000, **QUIET)
    np.testing.assert_allclose(found, np.percentile(RUN, [5, 50, 95], axis=0), rtol=1e-12)


def test_a_histogram_is_numpys(store):
    edges = np.linspace(0, 70000, 12)
    found = store.reduce("data", ("histogram", edges), **QUIET)
    np.testing.assert_array_equal(found, np.histogram(RUN, edges)[0])


@pytest.mark.parametrize("shape", [SHAPE, RUN.shape])
def test_the_runs_own_mask(tmp_path, shape):
    good = np.random.default_rng(0).random(shape) > 0.3
    store = written(tmp_path, RUN, good)
    masked = np.ma.MaskedArray(RUN, mask=np.broadcast_to(~good, RUN.shape))
    crop = Crop([2, 8, 1, 9])
    for word in ("mean", "max", "median", "over:45"):
        found = store.reduce("data", word, mask=True, transform=crop, fill=7, memory=900, **QUIET)
        part = masked[:, 2:8, 1:9]
        expected = np.ma.median(part, axis=0) if word == "median" else OF[word](part)
        compare(found, np.ma.filled(expected, 0 if word[0] == "o" else 7))


def test_masks_are_reduced_as_they_are(tmp_path):
    good = np.random.default_rng(0).random(RUN.shape) > 0.3
    good[:, 2, 3] = False
    store = written(tmp_path, RUN, good)
    for word in ("mean", "sum", "max", "median", "std"):
        found = store.reduce("mask", word, **QUIET)
        np.testing.assert_allclose(found, getattr(np, word)(good, axis=0), atol=1e-12)
    np.testing.assert_array_equal(
        store.reduce("mask", "mean", axis=(1, 2), **QUIET), good.mean((1, 2))
    )


def test_text_is_not_reduced(tmp_path):
    protocol = CXIProtocol({"name": "str"}, {"name": ["/name"]}, {"name": "sequence"})
    with h5py.File(tmp_path / "run.h5", "w") as h5:
        h5["/name"] = ["one", "two"]
    store = CXIStore(tmp_path / "run.h5", protocol=protocol)
    for how in ("mean", "median", ("histogram", [0, 1])):
        with pytest.raises(ValueError, match="is text"):
            store.reduce("name", how, **QUIET)


def test_a_pixel_without_a_good_value_is_told(store):
    good = np.ones(SHAPE, bool)
    good[2, 5] = False
    for word in ("mean", "max", "median"):
        with pytest.raises(ValueError, match=r"fill"):
            store.reduce("data", word, mask=good, **QUIET)
    assert store.reduce("data", "sum", mask=good, **QUIET)[2, 5] == 0
    assert np.isnan(store.reduce("data", "mean", mask=good, fill=np.nan, **QUIET)[2, 5])


class Frames:
    """A user's own: how many frames there were, and the first pixel of each good one."""

    def init(self, shape, dtype):
        return []

    def step(self, state, frames, idxs):
        state += [(int(n), frame.ravel()[0]) for n, frame in zip(idxs, frames, strict=True)]

    def merge(self, a, b):
        return a + b

    def finish(self, state):
        return state


def test_a_users_own_object(store):
    own = Frames()
    found = store.reduce("data", own, idxs=[5, 2, 2], **QUIET)
    assert found == [(n, RUN[n, 0, 0]) for n in (5, 2, 2)]
    both = store.reduce("data", ["mean", own], mask=RUN[0] > 0, **QUIET)
    assert len(both[own]) == len(RUN)
    good = np.ones(SHAPE, bool)
    good[0, 0] = False
    assert store.reduce("data", own, mask=good, **QUIET)[0][1] is np.ma.masked


def test_sequences_are_reduced_too(tmp_path):
    values = np.random.default_rng(0).random((6, 3))
    with h5py.File(tmp_path / "run.cxi", "w") as h5:
        h5[DATA], h5[TRANSLATIONS] = frames(6), values
    store = CXIStore(tmp_path / "run.cxi")
    for word in ("mean", "median"):
        compare(store.reduce("translations", word, **QUIET), OF[word](values))


@pytest.mark.parametrize("word", ["sum", "mean", "var", "std", "min", "max", "over:45"])
@pytest.mark.parametrize("masked", [False, True])
def test_the_pixels_of_each_frame(store, word, masked):
    good = np.random.default_rng(0).random(SHAPE) > 0.3 if masked else np.ones(SHAPE, bool)
    values = RUN[:, good]
    expected = {
        "sum": lambda: values.sum(axis=1),
        "over:45": lambda: (values > 45).sum(axis=1),
    }.get(word, lambda: getattr(values, word)(axis=1))()
    found = store.reduce("data", word, axis=(1, 2), mask=good if masked else None, **QUIET)
    compare(found, expected)


def test_a_frame_without_a_good_pixel_is_told(store):
    good = np.ones(RUN.shape, bool)
    good[7] = False
    with pytest.raises(ValueError, match="frame 7 has no good pixel"):
        store.reduce("data", "mean", axis=(1, 2), mask=good, **QUIET)
    found = store.reduce("data", ["mean", "sum"], axis=(1, 2), mask=good, fill=-1, **QUIET)
    assert (found["mean"][7], found["sum"][7]) == (-1, 0)


class Unhashed:
    __hash__ = None

    def init(self, shape, dtype): ...
    def step(self, state, frames, idxs): ...
    def merge(self, a, b): ...
    def finish(self, state): ...


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("average", "there is no 'average'"),
        ("percentile", "needs a value"),
        ("mean:3", "takes no value"),
        ("percentile:high", "is no number"),
        ("histogram", "needs the edges"),
        ([], "names nothing"),
        (object(), "reduces nothing"),
        ("over:nan", "takes a number"),
        (("percentile", [5, 101]), "0 to 100"),
        (("percentile", "a"), "takes numbers"),
        (("histogram", 10), "edges of its bins"),
        (("histogram", [2, 1]), "edges of its bins"),
        ([Unhashed()], "has no hash"),
    ],
)
def test_words_that_mean_nothing_are_told(store, how, what):
    with pytest.raises(ValueError, match=what):
        store.reduce("data", how, **QUIET)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({"axis": 1}, "axis is 0"),
        ({"mask": np.ones((2, 2), bool)}, "mask has shape"),
        ({"idxs": []}, "no frames"),
    ],
)
def test_what_does_not_fit_is_told(store, words, what):
    with pytest.raises(ValueError, match=what):
        store.reduce("data", "mean", **words, **QUIET)


@pytest.mark.parametrize("fill", [-1, np.nan, 0.5])
@pytest.mark.parametrize("axis", [0, (1, 2)])
def test_a_fill_that_no_pixel_can_have_is_told(store, fill, axis):
    with pytest.raises(ValueError, match="no value of uint16"):
        store.reduce("data", ["mean", "max"], axis=axis, fill=fill, **QUIET)


def test_frames_without_pixels_are_told(tmp_path):
    store = written(tmp_path, np.zeros((3, 0, 4), "u2"))
    assert store.reduce("data", "sum", axis=(1, 2), **QUIET).tolist() == [0, 0, 0]
    for word in ("mean", "max"):
        with pytest.raises(ValueError, match="no pixels"):
            store.reduce("data", word, axis=(1, 2), **QUIET)


def test_a_pixel_of_any_band_is_told_by_its_place(store):
    good = np.ones(SHAPE, bool)
    good[-2, 3] = False
    for memory in (None, 1):
        with pytest.raises(ValueError, match=rf"Pixel \({SHAPE[0] - 2}, 3\)"):
            store.reduce("data", "median", mask=good, memory=memory, **QUIET)


@pytest.mark.parametrize(
    "words", [{"how": "mean"}, {"how": "median"}, {"how": "sum", "axis": (1, 2)}]
)
def test_a_mask_of_other_pixels_is_refused(tmp_path, words):
    store = written(tmp_path, RUN, np.ones((9, 11), bool))
    with pytest.raises(LayoutError, match=r"frames of \(9, 12\), and its mask \(9, 11\)"):
        store.reduce("data", mask=True, **words, **QUIET)


def test_a_mask_of_numbers_is_refused(store):
    with pytest.raises(TypeError, match="boolean"):
        store.reduce("data", "mean", mask=np.ones(SHAPE), **QUIET)


def test_a_sum_that_does_not_fit_is_refused(tmp_path):
    store = written(tmp_path, np.full((3, 2, 2), 2**63, "u8"))
    with pytest.raises(OverflowError):
        store.reduce("data", "sum", **QUIET)
    with pytest.raises(OverflowError):
        store.reduce("data", "sum", axis=(1, 2), **QUIET)


def test_frames_are_reduced_as_the_type_that_is_said(tmp_path):
    store = written(tmp_path, np.full((3, 2, 2), 2**63, "u8"))
    with pytest.raises(OverflowError, match="float64"):
        store.reduce("data", "mean", **QUIET)
    for memory in (1, None):
        words = {"dtype": "float64", "memory": memory, **QUIET}
        for word in ("mean", "median"):
            np.testing.assert_array_equal(store.reduce("data", word, **words), 2.0**63)


def test_a_damaged_frame_stops_it(tmp_path):
    file = tmp_path / "bad.cxi"
    with h5py.File(file, "w") as h5:
        data = h5.create_dataset(DATA, data=RUN, chunks=(1, *SHAPE), compression="gzip")
        where = data.id.get_chunk_info(7)
    with file.open("r+b") as stream:
        stream.seek(where.byte_offset)
        stream.write(b"\xff" * where.size)
    for word in ("mean", "median"):
        with pytest.raises(StorageError, match=r"bad\.cxi"):
            CXIStore(file).reduce("data", word, **QUIET)


def test_a_run_whose_frames_move_is_told(tmp_path):
    files = [str(tmp_path / f"{number}.cxi") for number in range(2)]
    for file in files:
        with h5py.File(file, "w") as h5:
            h5[DATA] = RUN[:4]
    with h5py.File(tmp_path / "new", "w") as h5:
        h5[DATA] = RUN[:6]

    class Growing:
        def init(self, shape, dtype):
            (tmp_path / "new").replace(files[0])

        def step(self, state, frames, idxs):
            return None

        def merge(self, a, b):
            return None

        def finish(self, state):
            return None

    with pytest.raises(FileChangedError, match="other numbers"):
        CXIStore(files).reduce("data", Growing(), **QUIET)
