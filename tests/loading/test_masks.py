"""Masks are true for a good pixel, whether a file has truth or flags; bits come as stored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack import ComposeTransforms, Crop, CXIError, CXIProtocol, CXIStore, Downscale, Mirror
from cxistack.protocol.masks import FLAGS
from factory import DATA, MASK, frames, good_mask, put
from factory.masks import DEFAULT, TYPES, flags_protocol

GOOD_MASK = "/speckle_tracking/mask"


class TestNames:
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


def test_a_pixel_with_signal_is_good_under_cxi_and_one_of_unknown_bits_is_not(tmp_path):
    bits = np.array([[0, 0x1000, 0x1001, 0x800, 0x10000, 0x2000]], "u4")
    store = CXIStore(put(tmp_path / "a.h5", {DATA: frames(2, (1, 6)), MASK: bits}))
    np.testing.assert_array_equal(store.load_attribute("mask")[1, 0], [1, 1, 0, 0, 0, 0])


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
        with pytest.raises(ValueError, match="bits of 'mask' cannot be binned"):
            store.load_attribute("mask", transform=Downscale(2, mode="mean"), raw=True)
        with pytest.raises(ValueError, match="'data' is no mask"):
            store.load_attribute("data", raw=True)
        with pytest.raises(ValueError, match="'data' is no mask"):
            store.explain("data", raw=True)


class TestMasksAreTrueForAGoodPixel:
    FLAGS = np.array([[0, 1, 2, 4], [8, 0x10, 0x80, 0x200], [0x400, 0x10000, 2**31, 0]], "uint32")

    def load(self, folder, path, values, **options):
        name = put(folder / "mask.cxi", {DATA: frames(3, (3, 4)), path: values}, "w")
        return CXIStore(name, **options).load_attribute("mask")

    @pytest.mark.parametrize("path", [MASK, "/entry/instrument/detector/mask"])
    @pytest.mark.parametrize("stored", ["uint32", "int64", "uint64"])
    def test_an_integer_detector_mask_is_a_bit_field_in_which_0_is_good(
        self, tmp_path, path, stored
    ):
        mask = self.load(tmp_path, path, self.FLAGS.astype(stored))
        np.testing.assert_array_equal(mask[1], self.FLAGS == 0, strict=True)

    def test_minus_one_in_a_bit_field_is_bad(self, tmp_path):
        values = np.array([[-1, 0], [0, -(2**31)]], "int32").repeat(2, 1)[[0, 1, 1]]
        np.testing.assert_array_equal(self.load(tmp_path, MASK, values)[0], values == 0)

    @pytest.mark.parametrize("path", [MASK, "/entry/instrument/detector/mask"])
    def test_a_boolean_detector_mask_is_true_for_a_good_pixel(self, tmp_path, path):
        good = good_mask((3, 4), [(1, 2), (0, 0)])
        np.testing.assert_array_equal(self.load(tmp_path, path, good)[2], good, strict=True)

    @pytest.mark.parametrize("path", ["/speckle_tracking/mask", "/mask_maker/mask"])
    @pytest.mark.parametrize("stored", ["bool", "uint8", "int64", "float32"])
    def test_elsewhere_true_or_non_zero_is_good(self, tmp_path, path, stored):
        values = (self.FLAGS % 3).astype(stored)
        np.testing.assert_array_equal(self.load(tmp_path, path, values)[0], values != 0)

    def test_in_nexus_the_low_16_bits_are_bad(self, tmp_path):
        protocol = CXIProtocol.import_default()
        protocol = protocol.add_attribute("mask", "bool", ["/pixel_mask"], "stack", "nexus")
        mask = self.load(tmp_path, "/pixel_mask", self.FLAGS, protocol=protocol)
        np.testing.assert_array_equal(mask[0], self.FLAGS & 0xFFFF == 0)

    def test_a_convention_comes_from_an_ini_section(self, tmp_path):
        ini = tmp_path / "p.ini"
        CXIProtocol.import_default().to_ini(ini)
        ini.write_text(ini.read_text().replace("[good, good, cxi, cxi]", "[good, good, good, cxi]"))
        mask = self.load(tmp_path, MASK, self.FLAGS, protocol=CXIProtocol.import_ini(ini))
        np.testing.assert_array_equal(mask[0], self.FLAGS != 0)

    @pytest.mark.parametrize("value", [0, 1])
    def test_a_convention_is_never_guessed_from_values(self, tmp_path, value):
        values = np.full((3, 4), value, "uint8")
        assert self.load(tmp_path, MASK, values).all() == (value == 0)
        assert self.load(tmp_path, "/mask_maker/mask", values).all() == (value == 1)

    def test_a_mask_that_is_float_and_a_bit_field_is_refused(self, tmp_path):
        with pytest.raises(CXIError, match=r"mask\.cxi"):
            self.load(tmp_path, MASK, np.ones((3, 4)))


@pytest.mark.parametrize("how", [{}, {"dtype": bool}, {"out": np.ones((1, 1, 1), bool)}])
def test_a_bin_with_a_bad_pixel_is_bad_whatever_type_is_asked_for(tmp_path, how):
    mask = np.ones((1, 2, 2), "u1")
    mask[0, 1, 0] = 0
    store = CXIStore(put(tmp_path / "a.cxi", {DATA: frames(1)[:, :2, :2], GOOD_MASK: mask}))
    assert not store.load_attribute("mask", transform=Downscale(2, mode="mean"), **how).any()


def test_a_mask_as_integers_is_0_and_1(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(1)[:, :1, :3], GOOD_MASK: np.array([[[0, 1, 7]]])})
    loaded = CXIStore(name).load_attribute("mask", dtype="u1")
    assert loaded.tolist() == [[[0, 1, 1]]]


def test_the_cxi_mask_of_a_detector_stays_a_bit_field(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(1), MASK: np.full((5, 7), 8, "u4")})
    assert not CXIStore(name).load_attribute("mask").any()
