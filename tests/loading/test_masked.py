"""Bad pixels come as NaN or a value: `numpy.where` of the data and of the mask is the oracle."""

import numpy as np
import pytest

from cxistack import (
    AttributeMissingError,
    CastError,
    ComposeTransforms,
    Crop,
    CXIProtocol,
    CXIStore,
    Downscale,
    LayoutError,
    Mirror,
)
from cxistack.loading import masked as module
from factory import DATA, DISTANCE, MASK, WHITEFIELD, frames, put

SHAPE, COUNT = (9, 11), 7
VALUES = frames(COUNT, SHAPE)
GOOD = np.random.default_rng(1).random((COUNT, *SHAPE)) > 0.2
WHITE = np.linspace(1, 2, 99).reshape(SHAPE)


def run(path, mask=GOOD, data=VALUES):
    return put(path, {DATA: data, WHITEFIELD: WHITE, DISTANCE: 0.5, MASK: mask})


@pytest.fixture(params=["a mask a frame", "one mask", "flags", "two files"])
def store(request, tmp_path):
    match request.param:
        case "a mask a frame":
            return CXIStore(run(tmp_path / "a.cxi")), GOOD
        case "one mask":
            return CXIStore(run(tmp_path / "a.cxi", GOOD[0])), np.broadcast_to(GOOD[0], GOOD.shape)
        case "flags":
            return CXIStore(run(tmp_path / "a.cxi", np.where(GOOD, 0, 8).astype("u4"))), GOOD
    for n, rows in enumerate((slice(0, 3), slice(3, None))):
        run(tmp_path / f"{n}.cxi", GOOD[rows], VALUES[rows])
    return CXIStore(f"{tmp_path}/?.cxi"), GOOD


@pytest.mark.parametrize("idxs", [None, 2, [6, 0, 0], slice(5, 1, -2), []], ids=repr)
def test_nan_is_where_a_pixel_is_bad(store, idxs, monkeypatch):
    monkeypatch.setattr(module, "BATCH_BYTES", 150)  # a frame or two at a time
    store, good = store
    rows = (
        slice(None)
        if idxs is None
        else np.atleast_1d(idxs).astype(int)
        if idxs != slice(5, 1, -2)
        else idxs
    )
    loaded = store.load_attribute("data", idxs, dtype="float32", masked="nan", verbose=False)
    expected = np.where(good, VALUES.astype("f4"), np.float32(np.nan))[rows]
    np.testing.assert_array_equal(loaded, expected, strict=True)


@pytest.mark.parametrize("value", [0, 65535])
def test_a_value_keeps_the_type(store, value):
    store, good = store
    loaded = store.load_attribute("data", masked=value, verbose=False)
    np.testing.assert_array_equal(loaded, np.where(good, VALUES, value), strict=True)


GAP, WIDE = 2**32 - 1, VALUES.astype("i8")


@pytest.mark.parametrize("mask", [GOOD[0], GOOD], ids=["one", "of each frame"])
@pytest.mark.parametrize("batch", [1, 1 << 20])
def test_what_a_bad_pixel_has_need_not_fit(tmp_path, monkeypatch, mask, batch):
    monkeypatch.setattr(module, "BATCH_BYTES", batch)
    data = np.where(mask, WIDE, GAP).astype("u4")
    store = CXIStore(run(tmp_path / "a.cxi", mask, data))
    how = {"dtype": "int32", "masked": -1, "verbose": False}
    expected = np.where(mask, WIDE, -1).astype("i4")
    np.testing.assert_array_equal(store.load_attribute("data", **how), expected, strict=True)
    crop = {"transform": Crop([2, 8, 1, 7])}
    out = np.empty((3, 6, 6), "i4")
    got = store.load_attribute("data", [5, 0, -1], out=out, **crop, **how)
    assert got is out
    np.testing.assert_array_equal(out, expected[[5, 0, -1], 2:8, 1:7])
    np.testing.assert_array_equal(store.load_attribute("data", 2, **how), expected[2:3])
    streamed = [b.copy() for b in store.stream("data", 2, dtype="int32", masked=-1)]
    np.testing.assert_array_equal(np.concatenate([b.frames for b in streamed]), expected)
    assert "does not fit int32" in store.explain("data", dtype="int32", masked=-1)
    with pytest.raises(CastError, match=r"frame 0 .*4294967295"):
        store.load_attribute("data", dtype="int32", verbose=False)


def test_what_a_good_pixel_has_must_fit(tmp_path):
    data = np.where(GOOD, WIDE, GAP).astype("u4")
    place = tuple(int(n) for n in np.argwhere(GOOD)[-1])
    data[place] = 2**31
    store = CXIStore(run(tmp_path / "a.cxi", data=data))
    how = {"dtype": "int32", "masked": -1, "verbose": False}
    pattern = rf"frame {place[0]} .*a.cxi.*good pixels.*2147483648 at \[{place[1]}, {place[2]}\]"
    with pytest.raises(CastError, match=pattern) as raised:
        store.load_attribute("data", **how)
    assert raised.value.offence.frame == place[0]
    assert (store.load_attribute("data", [0], **how)[0] == np.where(GOOD, WIDE, -1)[0]).all()
    wrapped = store.load_attribute("data", casting="unsafe", **how)
    np.testing.assert_array_equal(wrapped, np.where(GOOD, data.astype("i4"), -1))


def test_truth_is_no_value(tmp_path):
    store = CXIStore(run(tmp_path / "a.cxi"))
    with pytest.raises(ValueError, match='masked= takes "nan" or one number, not True'):
        store.load_attribute("data", masked=True)


def test_of_one_image_too(tmp_path):
    white = np.where(GOOD[0], 5.0, 1e300)
    store = CXIStore(put(tmp_path / "a.cxi", {DATA: VALUES, WHITEFIELD: white, MASK: GOOD[0]}))
    loaded = store.load_attribute("whitefield", dtype="float32", masked="nan")
    np.testing.assert_array_equal(loaded, np.where(GOOD[0], np.float32(5), np.nan))


def test_gaps_may_be_nan(tmp_path):
    path = put(tmp_path / "a.cxi", {DATA: np.where(GOOD, WIDE, np.nan), MASK: GOOD})
    protocol = CXIProtocol.import_default().add_attribute("data", "float", [DATA], "stack")
    store = CXIStore(path, protocol=protocol)
    loaded = store.load_attribute("data", dtype="int64", masked=-1, verbose=False)
    np.testing.assert_array_equal(loaded, np.where(GOOD, WIDE, -1))


@pytest.mark.parametrize(
    ("transform", "made"),
    [
        (Crop([1, 8, 2, 10]), lambda x: x[..., 1:8, 2:10]),
        (
            ComposeTransforms([Crop([1, 8, 2, 10]), Downscale(2), Mirror(1, (4, 4))]),
            lambda x: x[..., 1:8:2, 8:1:-2],
        ),
        ([Mirror(0, SHAPE), Downscale(3)], lambda x: x[..., ::-3, ::3]),
    ],
)
def test_the_mask_goes_through_the_same_transform(store, transform, made):
    store, good = store
    words = {"dtype": "float64", "masked": "nan", "verbose": False}
    loaded = store.load_attribute("data", [4, 1], transform=transform, **words)
    expected = np.where(made(good), made(VALUES), np.nan)[[4, 1]]
    np.testing.assert_array_equal(loaded, expected)


def test_a_bin_with_a_bad_pixel_is_bad(store):
    store, good = store
    words = {"dtype": "float64", "masked": "nan", "verbose": False}
    loaded = store.load_attribute("data", transform=Downscale(2, mode="sum"), **words)
    square = (COUNT, 4, 2, 5, 2)
    sums = VALUES[:, :8, :10].reshape(square).sum((2, 4), dtype="f8")
    kept = good[:, :8, :10].reshape(square).all((2, 4))
    np.testing.assert_array_equal(loaded, np.where(kept, sums, np.nan))


def test_rows_and_columns_are_those_of_the_mask(store):
    store, good = store
    pixels = {"ss_idxs": slice(1, 7, 2), "fs_idxs": [0, 5, 3], "masked": 9, "verbose": False}
    loaded = store.load_attribute("data", [0, 3], **pixels)
    expected = np.where(good, VALUES, 9)[[0, 3]][:, 1:7:2][..., [0, 5, 3]]
    np.testing.assert_array_equal(loaded, expected)


def test_it_goes_into_out(store):
    store, good = store
    out = np.empty((COUNT, *SHAPE), "f8")
    assert store.load_attribute("data", out=out, masked="nan", verbose=False) is out
    np.testing.assert_array_equal(out, np.where(good, VALUES, np.nan))


def test_an_image_needs_a_mask_that_holds_for_all(store):
    store, good = store
    if (good == good[0]).all():
        loaded = store.load_attribute("whitefield", masked="nan", verbose=False)
        np.testing.assert_array_equal(loaded, np.where(good[0], WHITE, np.nan))
    else:
        with pytest.raises(LayoutError, match="'whitefield' is one image, and each frame"):
            store.load_attribute("whitefield", masked="nan", verbose=False)


class TestWhatIsRefused:
    @pytest.fixture
    def store(self, tmp_path):
        return CXIStore(run(tmp_path / "a.cxi"))

    @pytest.mark.parametrize(
        ("attr", "words", "error", "message"),
        [
            ("data", {"masked": "nan"}, CastError, "comes as uint16: say dtype='float32'"),
            ("data", {"masked": 0.5}, CastError, "masked=0.5 needs pixels of a float"),
            ("data", {"masked": -1}, CastError, "masked=-1 does not fit 'data'.* uint16"),
            ("data", {"masked": 70000}, CastError, "masked=70000 does not fit"),
            ("data", {"masked": "bad"}, ValueError, "takes \"nan\" or one number, not 'bad'"),
            ("data", {"masked": [1, 2]}, ValueError, "one number"),
            ("mask", {"masked": 0}, ValueError, "'mask' is a mask: leave masked= out"),
            ("distance", {"masked": "nan"}, ValueError, "'distance' is a scalar"),
        ],
    )
    def test_in_words(self, store, attr, words, error, message):
        with pytest.raises(error, match=message):
            store.load_attribute(attr, verbose=False, **words)

    def test_no_mask(self, tmp_path):
        store = CXIStore(put(tmp_path / "b.cxi", {DATA: VALUES}))
        with pytest.raises(AttributeMissingError, match="'mask' is in none of the files"):
            store.load_attribute("data", masked=0, verbose=False)

    def test_a_mask_of_other_pixels_or_frames(self, tmp_path):
        for mask, message in ((GOOD[:, 1:], r"its mask \(8, 11\)"), (GOOD[:5], "the mask 5")):
            name = run(tmp_path / "c.cxi", mask)
            with pytest.raises(LayoutError, match=message):
                CXIStore(name).load_attribute("data", masked=0, verbose=False)
            (tmp_path / "c.cxi").unlink()
