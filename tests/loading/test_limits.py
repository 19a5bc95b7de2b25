"""Limits: a protocol says what good pixels are in numbers, and masks are made accordingly."""

import math
import operator
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack import (
    AttributeMissingError,
    ComposeTransforms,
    Crop,
    CXIProtocol,
    CXIStore,
    Downscale,
    LayoutError,
    Mirror,
    STData,
    StorageError,
    kernels,
)
from cxistack.loading import limit_masks
from cxistack.loading.ranges import ranges, within
from factory import frames, put
from factory.beamlines import LAYOUTS

COMPARE = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt,
           "==": operator.eq, "!=": operator.ne}  # fmt: skip
SHAPE = (5, 7)


def limited(*limits, data="float", top="float", convention="good", flags=None):
    """Return a protocol of `/data`, `/mask`, and two bounds."""
    return CXIProtocol(
        {"data": data, "mask": "bool", "top": top, "least": "int"},
        {name: [f"/{name}"] for name in ("data", "mask", "top", "least")},
        {"data": "stack", "mask": "stack"},
        {"mask": [convention]},
        flags={} if flags is None else {"mask": flags},
        limits={"mask": list(limits)},
    )


def fulfilled(values, comparison, bound):
    """Compare as loads do."""
    if values.dtype.str[1:] == "f2":
        values = values.astype("f4")  # as HDF5 does for the kernels
    found = ranges(values.dtype, [(comparison, bound)])
    good = kernels.within(values, found)
    truth = values.view("u1") if values.dtype == bool else values
    np.testing.assert_array_equal(good, within(truth, found), strict=True)
    return good


def exactly(values, comparison, bound):
    """Compare as numbers, which Python does without rounding."""
    compare = COMPARE[comparison]
    good = [compare(value, bound) for value in values.ravel().tolist()]
    return np.array(good, bool).reshape(values.shape)


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    "dtype", ["u1", "i2", "u4", "i8", "u8", "f2", "f4", "f8", "?", ">u2", ">f4"]
)
@given(data=st.data())
def test_pixels_compare_with_bounds_as_numbers_do(dtype, data):
    kind = np.dtype(dtype)
    bounds = st.floats(allow_nan=False) | st.integers(-(2**64), 2**64) | st.sampled_from([0.1, 2.5])
    bound, comparison = data.draw(bounds), data.draw(st.sampled_from(sorted(COMPARE)))
    if kind.kind == "f":
        values = np.array([0.0, 0.1, 2.5, np.inf, -np.inf, np.nan, 1e4, -1], kind)
        with np.errstate(over="ignore"):
            near = np.array([bound], "f8").astype(kind.newbyteorder("="))
            near = [
                *near,
                *np.nextafter(near, near.dtype.type(-np.inf)),
                *np.nextafter(near, near.dtype.type(np.inf)),
            ]
        values = np.array([*values, *near], kind)
    elif kind.kind == "b":
        values = np.array([True, False])
    else:
        ends = np.iinfo(kind)
        around = [math.floor(bound) + k for k in (-1, 0, 1, 2)] if math.isfinite(bound) else []
        inside = [v for v in around if ends.min <= v <= ends.max]
        values = np.array([ends.min, 0, 1, 2, ends.max, *inside], kind)
    np.testing.assert_array_equal(
        fulfilled(values, comparison, bound), exactly(values, comparison, bound), strict=True
    )


# ---------------------------------------------------------------- masks

TRANSFORMS = {
    "none": (None, lambda a: a),
    "crop": (Crop([1, 4, 2, 6]), lambda a: a[..., 1:4, 2:6]),
    "stride": (Downscale(2), lambda a: a[..., ::2, ::2]),
    "mirror": (ComposeTransforms([Crop([0, 4, 1, 7]), Mirror(1, (4, 6))]),
               lambda a: a[..., :4, 1:7][..., ::-1]),
    "bins": (Downscale(2, mode="sum"), lambda a: binned(a)),
    "crop, bins, crop": (
        ComposeTransforms([Crop([1, 5, 0, 7]), Downscale(2, mode="mean"), Crop([0, 1, 1, 3])]),
        lambda a: binned(a[..., 1:5, :])[..., :1, 1:3]),
}  # fmt: skip
SENTENCES = ["data < largest", "data <= top", "data > least", "data != -1", "data >= 0.5"]
VALUES = st.sampled_from([0, 1, 2, 40, 100])


def binned(a):
    rows, columns = a.shape[-2] // 2, a.shape[-1] // 2
    whole = a[..., : 2 * rows, : 2 * columns]
    return whole.reshape(*a.shape[:-2], rows, 2, columns, 2).all(axis=(-3, -1))


def pixels(rng, count, dtype):
    values = rng.integers(0, 100, (count, *SHAPE)).astype(dtype)
    marks = [0, 1, -1, np.iinfo(dtype).max] if np.dtype(dtype).kind in "iu" else [-1, np.nan, 0.5]
    marks = [m for m in marks if m >= 0 or np.dtype(dtype).kind != "u" or m != m]
    where = rng.random(values.shape) < 0.3
    values[where] = rng.choice(marks, where.sum())
    return values


@given(st.data())
def test_a_mask_is_what_numpy_makes_of_limits_flags_and_frames(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("limits")
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32), "seed"))
    sentences = data.draw(st.lists(st.sampled_from(SENTENCES), min_size=1, unique=True))
    how = data.draw(st.sampled_from(["none", "static", "frames"]), "mask")
    convention = data.draw(st.sampled_from(["good", "cxi", "nexus", "cheetah"]))
    flags = data.draw(st.sampled_from([None, ["noisy"]])) if convention != "good" else None
    files, contents, tops = [], [], []
    for n in range(data.draw(st.integers(1, 3), "files")):
        count = data.draw(st.integers(1, 3))
        dtype = data.draw(st.sampled_from(["uint8", "int16", "uint32", ">i4", "float32", "int64"]))
        values = {"data": pixels(rng, count, dtype)}
        if how != "none":
            lead = (count,) if how == "frames" else ()
            values["mask"] = rng.choice(np.array([0, 0, 1, 16, 0x400], "u4"), (*lead, *SHAPE))
        tops.append(data.draw(st.none() | VALUES | st.just(math.nan), "top"))
        if tops[-1] is not None:
            values["top"] = np.full(data.draw(st.sampled_from([(), (1,)])), float(tops[-1]))
        contents.append(values)
        files.append(put(folder / f"{n}.h5", values, chunks=None))
    least = data.draw(st.none() | VALUES, "least")
    if least is not None:
        put(files[-1], {"least": least})

    bad = {"cxi": ~0x1000, "nexus": 0xFFFF, "cheetah": 0x16DF}.get(convention)
    if flags:
        bad = 16 if convention == "nexus" else 0x400
    first_top = next((top for top in tops if top is not None), None)
    good, counted = [], how != "none"
    for values, own in zip(contents, tops, strict=True):
        stored = values["data"]
        part = np.ones(stored.shape, bool)
        if how != "none":
            truth = values["mask"] != 0 if bad is None else (values["mask"].astype("i8") & bad) == 0
            part &= truth
        for sentence in sentences:
            _, comparison, bound = sentence.split()
            if bound == "largest":
                bound = int(np.iinfo(stored.dtype).max) if stored.dtype.kind in "iu" else None
            elif bound == "top":
                bound = first_top if own is None else own
            elif bound == "least":
                bound = least
            else:
                bound = float(bound)
            if bound is not None:
                counted = True
                if bound == bound:
                    part &= exactly(stored, comparison, bound)
        good.append(part)
    good = np.concatenate(good)

    store = CXIStore(files, protocol=limited(*sentences, convention=convention, flags=flags))
    assert ("mask" in store) == ("mask" in store.found) == counted
    if not counted:
        with pytest.raises(AttributeMissingError):
            store.load_attribute("mask")
        return
    transform, view = TRANSFORMS[data.draw(st.sampled_from(sorted(TRANSFORMS)))]
    idxs = data.draw(st.sampled_from([None, [0], [-1, 0, 0], slice(None, None, -1), []]), "idxs")
    dtype = data.draw(st.sampled_from([None, "uint8", "float32"]))
    expected = view(good[slice(None) if idxs is None else idxs]).astype(dtype or bool)
    options = {"transform": transform, "dtype": dtype, "num_threads": data.draw(st.integers(1, 3))}
    loaded = store.load_attribute("mask", idxs, verbose=False, **options)
    np.testing.assert_array_equal(loaded, expected, strict=True)
    out = np.zeros((*expected.shape[:-1], 2 * expected.shape[-1]), expected.dtype)[..., ::2]
    assert store.load_attribute("mask", idxs, verbose=False, transform=transform, out=out) is out
    np.testing.assert_array_equal(out, expected)
    assert store.describe("mask") == (good.shape, np.dtype(bool))
    np.testing.assert_array_equal(store["mask"][0, 1:, 3], good[0, 1:, 3])
    assert store.explain("mask", idxs, transform=transform).startswith("mask: ")


class TestBounds:
    def test_are_each_files_own_or_the_first_files(self, tmp_path):
        names = [
            put(tmp_path / f"{n}.h5", {"data": frames(2), **({"top": top} if top else {})})
            for n, top in enumerate([0, 50, 20])
        ]
        store = CXIStore(names, protocol=limited("data <= top"))
        mask = store.load_attribute("mask")
        assert mask.sum(axis=(1, 2)).tolist() == [35, 16, 35, 16, 21, 0]
        told = store.explain("mask")
        assert told.count("data <= top = 50.0") == 2
        assert told.count("data <= top = 20.0") == 1

    def test_of_types_that_no_type_holds_are_taken_for_what_they_are(self, tmp_path):
        tops = [np.uint64(2**63 + 1), np.int64(2**62 + 1), np.float32(2.5)]
        values = np.array([[[2**63 + 2, 2**63 + 1, 2**62 + 2, 2**62 + 1, 3, 2]]], np.uint64)
        names = [
            put(tmp_path / f"{n}.h5", {"data": values, "top": top}) for n, top in enumerate(tops)
        ]
        store = CXIStore(names, protocol=limited("data <= top", data="number", top="number"))
        mask = store.load_attribute("mask", verbose=False)
        assert mask.sum(axis=(1, 2)).tolist() == [5, 3, 1]

    def test_in_no_file_do_not_count_and_explain_says_so(self, tmp_path):
        name = put(tmp_path / "a.h5", {"data": frames(2), "mask": np.eye(5, 7)})
        store = CXIStore(name, protocol=limited("data <= top", "data > least"))
        np.testing.assert_array_equal(store.load_attribute("mask")[1], np.eye(5, 7, dtype=bool))
        told = store.explain("mask")
        assert "data <= top does not count: no file has" in told
        assert "data > least does not count" in told
        assert "limits of" not in told

    def test_that_are_nan_or_largest_of_floats_do_not_count(self, tmp_path):
        values = frames(1, dtype="float32")
        name = put(tmp_path / "a.h5", {"data": values, "top": np.nan})
        store = CXIStore(name, protocol=limited("data <= top", "data < largest"))
        assert store.load_attribute("mask").all()
        assert "data <= top does not count: it is NaN" in store.explain("mask")
        assert "float32 is no integer type" not in store.explain("mask")  # no file has one
        only = CXIStore(name, protocol=limited("data < largest"))
        assert "mask" not in only

    def test_of_several_numbers_raise(self, tmp_path):
        name = put(tmp_path / "a.h5", {"data": frames(1), "top": [1.0, 2.0]})
        store = CXIStore(name, protocol=limited("data <= top"))
        with pytest.raises(LayoutError, match=r"/top has shape \(2,\).*'data <= top'"):
            store.load_attribute("mask")

    def test_look_at_values_as_stored_whatever_the_family(self, tmp_path):
        name = put(tmp_path / "a.h5", {"data": np.array([[[-1, 3], [70000, 0]]], "i4")})
        store = CXIStore(name, protocol=limited("data >= 0", "data < 70000", data="uint"))
        np.testing.assert_array_equal(store.load_attribute("mask")[0], [[0, 1], [0, 1]])


class TestStores:
    def test_show_a_mask_that_limits_make(self, tmp_path):
        name = put(tmp_path / "a.h5", {"data": frames(3)})
        store = CXIStore(name, protocol=limited("data < 40"))
        assert store.found == ["data", "mask"]
        assert len(store) == 2
        assert store["mask"].shape == (3, 5, 7)
        assert "made of limits" in repr(store)
        assert store.problems == []
        np.testing.assert_array_equal(np.asarray(store["mask"]), frames(3) < 40)

    def test_raw_knows_no_limits(self, tmp_path):
        name = put(tmp_path / "a.h5", {"data": frames(2), "mask": np.full((5, 7), 4, "u2")})
        store = CXIStore(name, protocol=limited("data < 40", convention="cxi"))
        assert (store.load_attribute("mask", raw=True) == 4).all()
        assert "the limits of" not in store.explain("mask", raw=True)
        other = CXIStore(put(tmp_path / "b.h5", {"data": frames(2)}), protocol=limited("data < 40"))
        with pytest.raises(AttributeMissingError):
            other.load_attribute("mask", raw=True)

    def test_give_a_container_the_same_mask(self, tmp_path):
        name = put(tmp_path / "a.h5", {"data": frames(4), "mask": np.eye(5, 7)})
        store = CXIStore(name, protocol=limited("data < 100", "data > 3"))
        crop = Crop([0, 3, 1, 5])
        st = STData(store, transform=crop).load(idxs=[3, 0])
        good = (frames(4) < 100) & (frames(4) > 3) & np.eye(5, 7, dtype=bool)
        np.testing.assert_array_equal(st.mask, good[[3, 0], :3, 1:5])

    def test_save_what_they_loaded(self, tmp_path):
        name = put(tmp_path / "a.h5", {"data": frames(3)})
        with CXIStore(name, "r+", limited("data < 40", convention="nexus")) as store:
            store.save_attribute("mask", store.load_attribute("mask"))
        plain = CXIStore(name, protocol=limited(convention="nexus"))
        np.testing.assert_array_equal(plain.load_attribute("mask"), frames(3) < 40)

    def test_read_in_batches(self, tmp_path, monkeypatch):
        monkeypatch.setattr(limit_masks, "BATCH_BYTES", 3 * 35)
        name = put(tmp_path / "a.h5", {"data": frames(20)}, chunks=(1, 5, 7))
        store = CXIStore(name, protocol=limited("data < 300", "data != 17"))
        good = (frames(20) < 300) & (frames(20) != 17)
        np.testing.assert_array_equal(store.load_attribute("mask"), good)
        order = [19, 3, 3, 0, *range(19)]
        np.testing.assert_array_equal(store.load_attribute("mask", order), good[order])
        numbers = store.load_attribute("mask", order, dtype="float32")
        np.testing.assert_array_equal(numbers, good[order].astype("f4"), strict=True)

    def test_of_frames_of_modules_have_masks_of_modules(self, tmp_path):
        name = put(tmp_path / "a.h5", {"data": frames(3, (2, 4, 6))})
        store = CXIStore(name, protocol=limited("data < 100"))
        mask = store.load_attribute("mask", [2, 0], transform=Downscale(2, mode="sum"))
        np.testing.assert_array_equal(mask, binned(frames(3, (2, 4, 6)) < 100)[[2, 0]])

    def test_share_a_mask_that_lies_in_a_file_of_its_own(self, tmp_path):
        names = [put(tmp_path / f"{n}.h5", {"data": frames(2, start=70 * n)}) for n in range(3)]
        names.append(put(tmp_path / "mask.h5", {"mask": np.eye(5, 7)}))
        store = CXIStore(names, protocol=limited("data != 8", "data < 150"))
        good = np.eye(5, 7, dtype=bool) & (frames(6) != 8) & (frames(6) < 150)
        np.testing.assert_array_equal(store.load_attribute("mask"), good)
        np.testing.assert_array_equal(store["mask"][[5, 2]], good[[5, 2]])

    def test_of_no_frames_are_empty(self, tmp_path):
        name = put(tmp_path / "a.h5", {"data": frames(0), "mask": np.ones((0, 5, 7), "u1")})
        store = CXIStore(name, protocol=limited("data < 40"))
        assert store.load_attribute("mask").shape == store["mask"].shape == (0, 5, 7)
        assert store.explain("mask")

    def test_look_at_several_stacks(self, tmp_path):
        stacks = {"data": frames(3), "mask": np.eye(5, 7), "gain": frames(3, dtype="i4")[::-1]}
        name = put(tmp_path / "a.h5", stacks)
        protocol = limited().add_attribute("gain", "int", "/gain", "stack")
        protocol = protocol.replace(limits={"mask": ["data < 90", "gain < 90", "data > 5"]})
        good = (frames(3) < 90) & (frames(3) > 5) & (frames(3)[::-1] < 90)
        for transform, view in TRANSFORMS.values():
            mask = CXIStore(name, protocol=protocol).load_attribute("mask", transform=transform)
            np.testing.assert_array_equal(mask, view(good & np.eye(5, 7, dtype=bool)))
        told = CXIStore(name, protocol=protocol).explain("mask")
        assert told.index("data as stored") < told.index("gain as stored")

    def test_pick_pixels_by_index(self, tmp_path):
        name = put(tmp_path / "a.h5", {"data": frames(3), "mask": np.eye(5, 7)})
        store = CXIStore(name, protocol=limited("data < 40"))
        good = (frames(3) < 40) & np.eye(5, 7, dtype=bool)
        for ss, fs in [([4, 0], slice(None)), (2, slice(1, 3)), (slice(None), -1), (1, 1)]:
            mask = store.load_attribute("mask", ss_idxs=ss, fs_idxs=fs)
            np.testing.assert_array_equal(mask, good[:, ss, fs], strict=True)


class TestErrors:
    def test_of_the_data_are_raised(self, tmp_path):
        name = put(tmp_path / "a.h5", {"data": frames(3)}, chunks=(1, 5, 7), compression="gzip")
        with h5py.File(name) as h5:
            chunk = h5["data"].id.get_chunk_info(1)
        with Path(name).open("r+b") as file:
            file.seek(chunk.byte_offset)
            file.write(b"\xff" * chunk.size)
        store = CXIStore(name, protocol=limited("data < 40"))
        assert store.load_attribute("mask", [0, 2]).shape == (2, 5, 7)
        with pytest.raises(StorageError, match=r"a\.h5:/data"):
            store.load_attribute("mask")

    def test_say_when_frames_do_not_go_together(self, tmp_path):
        mask = np.ones((3, 5, 7), bool)
        name = put(tmp_path / "a.h5", {"data": frames(2), "mask": mask})
        store = CXIStore(name, protocol=limited("data < 40"))
        with pytest.raises(LayoutError, match="2 frames of 'data' and 3 of 'mask'"):
            store.load_attribute("mask")
        other = put(tmp_path / "b.h5", {"data": frames(2), "mask": mask[0, 1:]})
        with pytest.raises(LayoutError, match=r"shapes \(4, 7\) and \(5, 7\)"):
            CXIStore(other, protocol=limited("data < 40")).load_attribute("mask")

    def test_about_the_view_are_those_of_a_mask(self, tmp_path):
        store = CXIStore(put(tmp_path / "a.h5", {"data": frames(2)}), protocol=limited("data < 40"))
        with pytest.raises(ValueError, match="casting"):
            store.load_attribute("mask", casting="none")
        with pytest.raises(ValueError, match="source="):
            store.load_attribute("mask", source=0)
        with pytest.raises(ValueError, match="out has shape"):
            store.load_attribute("mask", out=np.empty((1, 5, 7), bool))


@pytest.mark.parametrize("layout", [
    "cheetah", "diamond_nexgen", "diamond_odin", "lambda_nxmx", "dectris_master",
])  # fmt: skip
def test_the_masks_of_beamlines_can_have_limits(tmp_path, layout):
    run = LAYOUTS[layout](tmp_path)
    paths = {name: [run.paths[name]] for name in ("data", "mask")}
    convention = "nexus" if run.protocol == "nxmx" else "cheetah"
    protocol = CXIProtocol(
        {"data": "uint", "mask": "bool"}, paths, {"data": "stack", "mask": "stack"},
        {"mask": [convention]}, limits={"mask": ["data < largest", "data > 20"]},
    )  # fmt: skip
    mask = CXIStore(run.files, protocol=protocol).load_attribute("mask")
    bits = 0xFFFF if convention == "nexus" else 0x16DF
    good = (run.flags & bits == 0) & (run.data > 20) & (run.data < np.iinfo(run.data.dtype).max)
    np.testing.assert_array_equal(mask, good, strict=True)


def test_the_gaps_of_a_real_eiger_frame_are_bad(shared_data):
    protocol = CXIProtocol(
        {"data": "uint", "mask": "bool"}, {"data": ["/entry/data/data"], "mask": ["/mask"]},
        {"data": "stack", "mask": "stack"}, limits={"mask": ["data < largest"]},
    )  # fmt: skip
    store = CXIStore(shared_data / "eiger_bitshuffle_frame.h5", protocol=protocol)
    mask = store.load_attribute("mask")
    assert (mask.size - mask.sum(), mask.shape) == (251302, store["data"].shape)
    assert (store.load_attribute("data")[~mask] == 2**32 - 1).all()
