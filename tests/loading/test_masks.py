"""Masks that are bit fields: which flags count, the bits as they are stored, what a save keeps."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack import (
    CastError,
    ComposeTransforms,
    Crop,
    CXIProtocol,
    CXIStore,
    Downscale,
    LayoutError,
    Mirror,
    ProtocolError,
)
from cxistack.masks import FLAGS
from factory import DATA, MASK, frames, put

# The bits that the formats' own documents give, written out once more.
CXI_BITS = {"invalid": 1, "saturated": 2, "hot": 4, "dead": 8, "shadowed": 16, "bad": 128,
            "missing": 0x200, "noisy": 0x400, "has_signal": 0x1000}  # fmt: skip
NEXUS_BITS = {"gap": 1, "dead": 2, "under_responding": 4, "over_responding": 8, "noisy": 16,
              "cluster": 64, "user": 256, "virtual_pixel": 2**31}  # fmt: skip
CHEETAH_BITS = {"in_peakmask": 32, "to_be_ignored": 64, "out_of_resolution_limits": 256,
                "artifact_corrected": 0x800, "failed_artifact_correction": 0x1000,
                "peak_for_hitfinder": 0x2000, "photon_background_corrected": 0x4000}  # fmt: skip
DEFAULT = {"cxi": ~0x1000, "nexus": 0xFFFF, "cheetah": 0x16DF}
TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", ">u4", "<i2"]


def flags_protocol(convention, flags=None):
    return CXIProtocol(
        {"mask": "bool"}, {"mask": ["/m"]}, {"mask": "stack"}, {"mask": [convention]},
        flags={} if flags is None else {"mask": flags},
    )  # fmt: skip


def stored(name, path="/m"):
    with h5py.File(name) as h5:
        return h5[path][()]


class TestNames:
    @pytest.mark.parametrize(("convention", "bits"), [
        ("cxi", CXI_BITS), ("nexus", NEXUS_BITS), ("cheetah", {**CXI_BITS, **CHEETAH_BITS}),
    ])  # fmt: skip
    def test_are_those_of_the_format(self, convention, bits):
        known = FLAGS[convention].names
        assert len(set(known.values())) == len(known)
        for name in set(bits) - ({"has_signal"} if convention == "cheetah" else set()):
            assert known[name] == bits[name]

    @pytest.mark.parametrize(("conventions", "flags", "said"), [
        (["cxi"], ["gap"], "'gap' is a flag of none.*invalid, saturated"),
        (["good"], ["dead"], "'dead' is a flag of none.*none of which is a bit field"),
        ([], ["dead"], r"\[flags\], key mask: 'dead'"),
        (["nexus", "cxi"], ["user", "hot", "warm"], "'warm'"),
        (["cheetah"], ["has_signal"], "'has_signal'"),
    ])  # fmt: skip
    def test_that_no_convention_knows_are_refused(self, conventions, flags, said):
        paths = [f"/{n}" for n in range(len(conventions))] or ["/m"]
        given = {"mask": conventions} if conventions else {}
        with pytest.raises(ProtocolError, match=said):
            CXIProtocol(
                {"mask": "bool"}, {"mask": paths}, {"mask": "stack"}, given, flags={"mask": flags}
            )

    def test_count_where_a_convention_knows_them(self, tmp_path):
        protocol = CXIProtocol(
            {"mask": "bool"}, {"mask": ["/n", "/c"]}, {"mask": "stack"},
            {"mask": ["nexus", "cxi"]}, flags={"mask": ["user", "dead"]},
        )  # fmt: skip
        bits = np.array([[0, 2, 8, 256]], "u4")
        for path, good in {"/n": [[1, 0, 1, 0]], "/c": [[1, 1, 0, 1]]}.items():
            store = CXIStore(put(tmp_path / f"{path[1:]}.h5", {path: bits}), protocol=protocol)
            np.testing.assert_array_equal(store.load_attribute("mask")[0], np.array(good, bool))

    def test_are_shown_by_explain(self, tmp_path):
        name = put(tmp_path / "a.h5", {"/m": np.zeros((2, 3), "u4")})
        store = CXIStore(name, protocol=flags_protocol("nexus", ["dead", "noisy"]))
        told = store.explain("mask")
        assert "flags: dead, noisy" in told
        assert "no bit of 0x12 is set" in told
        assert "flags" not in CXIStore(name, protocol=flags_protocol("nexus")).explain("mask")

    def test_survive_an_ini_file(self, tmp_path):
        protocol = flags_protocol("cheetah", ["hot", "in_jet"])
        protocol.to_ini(tmp_path / "p.ini")
        assert CXIProtocol.import_ini(tmp_path / "p.ini") == protocol


def test_a_pixel_with_signal_is_good_under_cxi_and_one_of_unknown_bits_is_not(tmp_path):
    bits = np.array([[0, 0x1000, 0x1001, 0x800, 0x10000, 0x2000]], "u4")
    store = CXIStore(put(tmp_path / "a.h5", {DATA: frames(2, (1, 6)), MASK: bits}))
    np.testing.assert_array_equal(store.load_attribute("mask")[1, 0], [1, 1, 0, 0, 0, 0])


@pytest.mark.parametrize(("convention", "true_is_good"), [
    ("good", True), ("cxi", True), ("cheetah", True), ("nexus", False),
])  # fmt: skip
def test_booleans_are_loaded_and_saved_alike(tmp_path, convention, true_is_good):
    values = np.array([[True, False, True]])
    name = put(tmp_path / "a.h5", {"/m": values})
    with CXIStore(name, "r+", flags_protocol(convention)) as store:
        np.testing.assert_array_equal(store.load_attribute("mask")[0], values == true_is_good)
        store.save_attribute("mask", ~values)
        np.testing.assert_array_equal(store.load_attribute("mask")[0], ~values)


VIEWS = {
    "none": (None, lambda a: a),
    "crop": (Crop([1, 4, 2, 6]), lambda a: a[..., 1:4, 2:6]),
    "stride": (Downscale(2), lambda a: a[..., ::2, ::2]),
    "both": (
        ComposeTransforms([Crop([0, 4, 1, 7]), Mirror(1, (4, 6))]),
        lambda a: a[..., :4, 1:7][..., ::-1],
    ),
}


@given(st.data())
def test_a_mask_is_what_numpy_makes_of_its_bits(tmp_path_factory, data):
    convention = data.draw(st.sampled_from(sorted(FLAGS)))
    names = data.draw(st.none() | st.lists(st.sampled_from(sorted(FLAGS[convention].names))))
    dtype = np.dtype(data.draw(st.sampled_from(TYPES)))
    shape = data.draw(st.sampled_from([(5, 7), (3, 5, 7)]))
    seed = data.draw(st.integers(0, 2**32))
    transform, view = VIEWS[data.draw(st.sampled_from(sorted(VIEWS)))]
    rng = np.random.default_rng(seed)
    bits = 1 << rng.integers(0, 8 * dtype.itemsize, shape).astype("u8")
    bits = np.where(rng.random(shape) < 0.3, 0, bits | bits[..., ::-1]).astype(f"u{dtype.itemsize}")
    values = bits.view(dtype.newbyteorder("=")).astype(dtype)
    wanted = (
        DEFAULT[convention] if names is None else sum({FLAGS[convention].names[n] for n in names})
    )
    good = (bits.astype("u8") & np.uint64(wanted % 2**64)) == 0
    idxs = (
        data.draw(st.sampled_from([None, [0], slice(None, None, -1)])) if len(shape) == 3 else None
    )

    name = put(tmp_path_factory.mktemp("mask") / "a.h5", {"/m": values})
    store = CXIStore(name, protocol=flags_protocol(convention, names))
    stack, whole = np.broadcast_to(good, (1, 5, 7)) if len(shape) == 2 else good, slice(None)
    loaded = store.load_attribute("mask", idxs, transform=transform)
    chosen = whole if idxs is None else idxs
    np.testing.assert_array_equal(loaded, view(stack[chosen]), strict=True)
    raw = store.load_attribute("mask", idxs, transform=transform, raw=True)
    np.testing.assert_array_equal(raw, view(values.reshape(-1, 5, 7)[chosen]))
    assert raw.dtype == dtype.newbyteorder("=")


class TestRaw:
    def test_bits_stay_for_a_static_mask_too(self, tmp_path):
        bits = np.array([[0, 4], [0x1000, 2**31]], "u4")
        store = CXIStore(put(tmp_path / "a.h5", {DATA: frames(3, (2, 2)), MASK: bits}))
        raw = store.load_attribute("mask", [2, 0], raw=True)
        np.testing.assert_array_equal(raw, np.stack([bits, bits]), strict=True)
        assert "as stored" in store.explain("mask", raw=True)
        assert "as stored" not in store.explain("mask")
        assert "good where" not in store.explain("mask", raw=True)

    @pytest.mark.parametrize("values", [
        np.array([[True, False]]), np.array([[0.5, -1]], "f4"), np.array([[3, 0]], "i2"),
    ], ids=["bool", "float", "int"])  # fmt: skip
    def test_is_as_stored_where_values_are_truth(self, tmp_path, values):
        store = CXIStore(put(tmp_path / "a.h5", {"/m": values}), protocol=flags_protocol("good"))
        np.testing.assert_array_equal(
            store.load_attribute("mask", raw=True)[0], values, strict=True
        )

    def test_takes_dtype_and_out(self, tmp_path):
        bits = np.arange(12, dtype="u2").reshape(2, 2, 3)
        store = CXIStore(put(tmp_path / "a.h5", {"/m": bits}), protocol=flags_protocol("cxi"))
        assert store.load_attribute("mask", raw=True, dtype="i8").dtype == np.int64
        out = np.empty((2, 2, 3), "u1")
        assert (store.load_attribute("mask", raw=True, out=out) == bits).all()

    def test_of_bins_or_of_no_mask_raises(self, tmp_path):
        name = put(tmp_path / "a.h5", {DATA: frames(2), MASK: np.zeros((5, 7), "u4")})
        store = CXIStore(name)
        with pytest.raises(ValueError, match="'mask' as they are stored cannot be binned"):
            store.load_attribute("mask", transform=Downscale(2, mode="mean"), raw=True)
        with pytest.raises(ValueError, match="'data' is none"):
            store.load_attribute("data", raw=True)
        with pytest.raises(ValueError, match="'data' is none"):
            store.explain("data", raw=True)


class TestASave:
    BITS = np.array([[0, 2, 0x1000, 0x1002, 0x10000]], "u4")

    def test_clears_what_was_bad_and_keeps_reasons_and_other_bits(self, tmp_path):
        name = put(tmp_path / "a.h5", {"/m": self.BITS})
        with CXIStore(name, "r+", flags_protocol("cxi", ["saturated", "invalid"])) as store:
            store.save_attribute("mask", np.array([[True, False, False, True, True]]))
        assert stored(name).tolist() == [[0, 2, 0x1001, 0x1000, 0x10000]]

    def test_of_frames_over_one_that_stood_for_all_keeps_its_reasons(self, tmp_path):
        name = put(tmp_path / "a.h5", {"/m": self.BITS})
        good = np.array([[[1, 0, 1, 0, 1]], [[0, 0, 0, 1, 1]]], bool)
        with CXIStore(name, "r+", flags_protocol("cxi")) as store:
            store.save_attribute("mask", good)
            np.testing.assert_array_equal(store.load_attribute("mask"), good)
        assert stored(name)[:, 0].tolist() == [
            [0, 2, 0x1000, 0x1002, 0], [1, 2, 0x1001, 0x1000, 0],
        ]  # fmt: skip

    def test_that_would_come_back_good_is_refused(self, tmp_path):
        name = put(tmp_path / "a.h5", {"/m": self.BITS})
        with CXIStore(name, "r+", flags_protocol("cxi", ["saturated"])) as store:
            with pytest.raises(CastError, match=r"'invalid'.*would come back good"):
                store.save_attribute("mask", np.zeros((1, 5), bool))
            # Where nothing becomes bad that was not, no flag is needed.
            store.save_attribute("mask", np.array([[True, False, True, False, True]]))
        assert (stored(name) == self.BITS).all()

    @pytest.mark.parametrize("dtype", ["i1", "i2", "i8"])
    def test_knows_the_sign_as_a_bit(self, tmp_path, dtype):
        values = np.array([[-1, np.iinfo(dtype).min, 0]], dtype)
        name = put(tmp_path / "a.h5", {"/m": values})
        with CXIStore(name, "r+", flags_protocol("nexus", ["user", "gap"])) as store:
            good = store.load_attribute("mask")[0]
            np.testing.assert_array_equal(good, [[False, True, True]])
            store.save_attribute("mask", np.array([[False, False, True]]))
            np.testing.assert_array_equal(store.load_attribute("mask")[0], [[0, 0, 1]])
        assert stored(name)[0, 0] == -1

    def test_of_flags_instead_of_truth_is_refused(self, tmp_path):
        name = put(tmp_path / "a.h5", {"/m": self.BITS})
        with CXIStore(name, "r+", flags_protocol("cxi")) as store:
            bits = store.load_attribute("mask", raw=True)[0]
            with pytest.raises(CastError, match="save where they are good"):
                store.save_attribute("mask", bits)
            store.save_attribute("mask", (bits == 0).astype("u1"))
            np.testing.assert_array_equal(store.load_attribute("mask")[0], bits == 0)

    @given(st.sampled_from(sorted(FLAGS)), st.sampled_from(TYPES), st.integers(0, 2**32))
    def test_comes_back_and_loses_no_reason(self, tmp_path_factory, convention, dtype, seed):
        rng, dtype = np.random.default_rng(seed), np.dtype(dtype)
        plain = f"u{dtype.itemsize}"
        bits = rng.integers(0, 2 ** (8 * dtype.itemsize), (4, 5), "u8", endpoint=False)
        bits = (bits * rng.integers(0, 2, (4, 5), "u8")).astype(plain)
        name = put(
            tmp_path_factory.mktemp("save") / "a.h5",
            {"/m": bits.view(dtype.newbyteorder("=")).astype(dtype)},
        )
        good = rng.random((4, 5)) < 0.5
        with CXIStore(name, "r+", flags_protocol(convention)) as store:
            was_good = store.load_attribute("mask")[0].copy()
            store.save_attribute("mask", good)
            np.testing.assert_array_equal(store.load_attribute("mask")[0], good)
        after = stored(name).astype(dtype.newbyteorder("=")).view(plain)
        counted = np.array(DEFAULT[convention] % 2**64, "u8").astype(plain)
        stays = ~good & ~was_good
        np.testing.assert_array_equal(after[stays], bits[stays])
        np.testing.assert_array_equal(after & ~counted, bits & ~counted)


class TestASaveOfBits:
    def store(self, tmp_path, convention="cxi", **values):
        name = put(tmp_path / "a.h5", values) if values else str(tmp_path / "a.h5")
        return CXIStore(name, "r+" if values else "w", protocol=flags_protocol(convention))

    @pytest.mark.parametrize("dtype", TYPES)
    def test_keeps_every_bit_in_a_new_file(self, tmp_path, dtype):
        store = self.store(tmp_path)
        bits = np.random.default_rng(1).integers(0, 256, (3, 4, 5 * 8), "u1").view(dtype)
        store.save_attribute("mask", bits, raw=True)
        saved = stored(tmp_path / "a.h5")
        unsigned = bits.astype(bits.dtype.newbyteorder("=")).view(f"u{bits.itemsize}")
        np.testing.assert_array_equal(saved, unsigned)
        assert saved.dtype == ("u8" if bits.itemsize == 8 else "u4")

    def test_keeps_them_where_a_sign_is_stored(self, tmp_path):
        old = np.zeros((2, 3, 4), "i4")
        bits = np.full((1, 3, 4), 2**31 + 4, "u4")
        store = self.store(tmp_path, m=old)
        store.save_attribute("mask", bits, "insert", idxs=[1], raw=True)
        np.testing.assert_array_equal(stored(tmp_path / "a.h5").view("u4")[1], bits[0])
        assert not stored(tmp_path / "a.h5")[0].any()

    def test_refuses_what_would_lose_them(self, tmp_path):
        bits = np.full((2, 3, 4), 2**20, "u4")
        with pytest.raises(CastError, match="does not fit"):
            self.store(tmp_path, m=np.zeros((2, 3, 4), "u1")).save_attribute("mask", bits, raw=True)

    def test_refuses_truth_and_places_of_truth(self, tmp_path):
        bits = np.ones((2, 3, 4), "u4")
        with pytest.raises(LayoutError, match="which bool does not hold"):
            self.store(tmp_path).save_attribute("mask", bits > 0, raw=True)
        with pytest.raises(ValueError, match="is none where it goes"):
            self.store(tmp_path, "good").save_attribute("mask", bits, raw=True)
        with pytest.raises(ValueError, match="parts of frames"):
            self.store(tmp_path).save_attribute(
                "mask", bits, raw=True, transform=Crop([0, 3, 0, 4])
            )
        with pytest.raises(LayoutError, match="which bool does not hold"):
            self.store(tmp_path, m=np.ones((2, 3, 4), bool)).save_attribute("mask", bits, raw=True)
