"""Decisions on behaviour: Values. Types that come back, checked casting, mask conventions."""

import contextlib

import h5py
import numpy as np
import pytest

from cxistack import CastError, Crop, CXIError, CXIProtocol, CXIStore
from factory import DATA, MASK, WHITEFIELD, frames, good_mask, put

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
SIGNED = ["int8", "int16", "int32", "int64"]


def store_of(folder, value, family, kind="scalar"):
    """Return a store of one attribute, `x`, that is of a family."""
    protocol = CXIProtocol({"x": family}, {"x": ["/x"]}, {"x": kind})
    return CXIStore(put(folder / "x.h5", {"/x": value}, "w"), protocol=protocol)


class TestTypesWithoutADtype:
    @pytest.mark.parametrize(("family", "types"), [
        ("float", ["float16", "float32", "float64"]),
        ("int", SIGNED),
        ("uint", ["uint8", "uint16", "uint32", "uint64"]),
        ("bool", ["bool"]),
    ])  # fmt: skip
    def test_a_type_of_the_family_is_kept(self, tmp_path, family, types):
        for dtype in types:
            values = np.array([0, 1, 1], dtype)
            loaded = store_of(tmp_path, values, family).load_attribute("x")
            np.testing.assert_array_equal(loaded, values, strict=True)

    @pytest.mark.parametrize("stored", INTEGERS)
    def test_int_and_uint_keep_the_width(self, tmp_path, stored):
        for family in ("int", "uint"):
            loaded = store_of(tmp_path, np.array([0, 1, 127], stored), family).load_attribute("x")
            np.testing.assert_array_equal(loaded, [0, 1, 127])
            assert loaded.dtype == np.dtype(f"{family}{8 * np.dtype(stored).itemsize}")

    @pytest.mark.parametrize("stored", INTEGERS)
    def test_integers_to_float_are_float64(self, tmp_path, stored):
        loaded = store_of(tmp_path, np.array([0, 99], stored), "float").load_attribute("x")
        np.testing.assert_array_equal(loaded, [0.0, 99.0], strict=True)

    @pytest.mark.parametrize("family", ["int", "uint"])
    def test_float_to_integer_has_no_default(self, tmp_path, family):
        store = store_of(tmp_path, np.array([1.0, 2.0]), family)
        with pytest.raises(CastError, match=r"x\.h5.*dtype=.*protocol"):
            store.load_attribute("x")
        loaded = store.load_attribute("x", dtype="int16")
        np.testing.assert_array_equal(loaded, np.array([1, 2], "int16"), strict=True)

    def test_strings_are_kept(self, tmp_path):
        for value in ("αβ", np.array([b"ab", b"c"]), np.array(["u", "vw"], h5py.string_dtype())):
            loaded = store_of(tmp_path, value, "str").load_attribute("x")
            expected = [v.decode() if isinstance(v, bytes) else v for v in np.atleast_1d(value)]
            assert list(np.atleast_1d(loaded)) == expected

    def test_text_is_no_number_and_a_number_no_text(self, tmp_path):
        for value, family in (("1.5", "float"), (1.5, "str"), ("a", "uint"), ("a", "bool")):
            with pytest.raises(CXIError, match=r"x\.h5"):
                store_of(tmp_path, value, family).load_attribute("x")

    @pytest.mark.parametrize("kind", ["stack", "frame", "sequence", "scalar"])
    @pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", np.float64])
    def test_dtype_overrides_everything(self, tmp_path, kind, dtype):
        values = frames(2, dtype="uint16")
        values = values[0] if kind in ("frame", "scalar") else values
        for family in ("float", "int", "uint"):
            loaded = store_of(tmp_path, values, family, kind).load_attribute("x", dtype=dtype)
            assert loaded.dtype == np.dtype(dtype)
            np.testing.assert_array_equal(loaded, values)

    def test_a_swapped_dtype_is_right_or_refused(self, tmp_path):
        store = store_of(tmp_path, frames(2), "uint", "stack")
        with contextlib.suppress(TypeError, CXIError):  # that says so
            loaded = store.load_attribute("x", dtype=">i4")
            np.testing.assert_array_equal(loaded, frames(2).astype(">i4"), strict=True)

    def test_a_swapped_out_takes_the_frames_of_many_files(self, tmp_path):
        names = [put(tmp_path / f"{n}.h5", {DATA: frames(2, start=n)}) for n in range(3)]
        out = np.empty((6, 5, 7), ">u2")
        assert CXIStore(names).load_attribute("data", out=out) is out
        np.testing.assert_array_equal(out, np.concatenate([frames(2, start=n) for n in range(3)]))

    def test_a_lazy_stack_says_the_type_that_comes(self, tmp_path):
        store = CXIStore(put(tmp_path / "a.h5", {DATA: frames(2, dtype="int32")}))
        assert store["data"].dtype == store["data"][0].dtype == np.uint32


class TestCastingIsChecked:
    @pytest.mark.parametrize(("value", "stored", "dtype"), [
        (0.5, "float32", "int32"),
        (np.nan, "float64", "int64"),
        (np.inf, "float64", "uint8"),
        (-np.inf, "float32", "int16"),
        (-1, "int8", "uint64"),
        (256, "uint16", "uint8"),
        (2**40, "int64", "uint32"),
        (2**63, "uint64", "int64"),
        (2.0**63, "float64", "int64"),
        (2.0**64, "float64", "uint64"),
        (-(2.0**63) - 2048, "float64", "int64"),
        (2.0**31, "float32", "int32"),
        (-0.5, "float64", "uint8"),
        (1e300, "float64", "float32"),
        (-1e39, "float64", "float32"),
    ])  # fmt: skip
    @pytest.mark.parametrize("kind", ["stack", "frame", "sequence", "scalar"])
    def test_a_value_that_would_change_raises(self, tmp_path, value, stored, dtype, kind):
        values = np.ones((3, 4, 5), stored)
        values[1, 2, 3] = value
        values = values[1] if kind in ("frame", "scalar") else values
        store = store_of(tmp_path, values, "float", kind)
        with pytest.raises(CastError, match=r"x\.h5"):
            store.load_attribute("x", dtype=dtype)

    @pytest.mark.parametrize(("value", "stored", "dtype"), [
        (2**62 + 1, "int64", "float64"),
        (2**24 + 1, "uint32", "float32"),
        (1 / 3, "float64", "float32"),
        (1e-300, "float64", "float32"),
        (np.nan, "float64", "float32"),
        (np.inf, "float64", "float32"),
        (-(2.0**63), "float64", "int64"),
        (255.0, "float32", "uint8"),
        (-0.0, "float64", "uint8"),
    ])  # fmt: skip
    def test_rounding_to_a_float_and_what_fits_are_allowed(self, tmp_path, value, stored, dtype):
        values = np.full((2, 3, 3), value, stored)
        loaded = store_of(tmp_path, values, "float", "stack").load_attribute("x", dtype=dtype)
        np.testing.assert_array_equal(loaded, values.astype(dtype), strict=True)

    @pytest.fixture
    def gaps(self, tmp_path):
        data = frames(6, dtype="int32")
        data[3, 2, 1] = data[3, 4, 6] = data[5] = -1
        names = [put(tmp_path / f"{n}.h5", {DATA: data[3 * n : 3 * n + 3]}) for n in range(2)]
        return CXIStore(names)

    def test_the_error_names_file_dataset_frame_pixel_count_and_a_way_out(self, gaps):
        with pytest.raises(CastError) as caught:
            gaps.load_attribute("data")
        offence = caught.value.offence
        assert (offence.frame, offence.pixel, offence.count, offence.value) == (3, (2, 1), 2, -1)
        for text in ("frame 3", "1.h5", DATA, "-1", "int32", "2 pixels", "[2, 1]"):
            assert text in str(caught.value)

    @pytest.mark.parametrize("num_threads", [1, 2, 5])
    def test_the_error_is_the_first_frames_however_many_threads(self, gaps, num_threads):
        for _ in range(5):
            with pytest.raises(CastError, match="frame 5 ") as caught:
                gaps.load_attribute("data", [0, 5, 3, 1], num_threads=num_threads)
            assert caught.value.offence.count == 35

    def test_the_error_counts_pixels_of_the_result(self, gaps):
        with pytest.raises(CastError) as caught:
            gaps.load_attribute("data", [3], transform=Crop([2, 4, 1, 7]))
        assert (caught.value.offence.pixel, caught.value.offence.count) == ((0, 0), 1)

    def test_what_is_not_asked_for_does_not_raise(self, gaps):
        assert gaps.load_attribute("data", [0, 1, 2, 4]).dtype == np.uint32
        assert gaps.load_attribute("data", [3], transform=Crop([0, 2, 0, 7])).shape == (1, 2, 7)

    def test_the_suggestion_works(self, gaps):
        assert gaps.load_attribute("data", dtype="int32")[3, 2, 1] == -1

    @pytest.mark.parametrize(("stored", "dtype"), [
        ("int32", "uint32"), ("int32", "uint8"), ("uint16", "int8"), ("int64", "uint32"),
    ])  # fmt: skip
    def test_unsafe_is_numpys(self, tmp_path, stored, dtype):
        values = frames(2, dtype=stored) * 37
        values[0, 0, 0] = np.array(-1).astype(stored)
        store = store_of(tmp_path, values, "int", "stack")
        loaded = store.load_attribute("x", dtype=dtype, casting="unsafe")
        np.testing.assert_array_equal(loaded, values.astype(dtype), strict=True)

    def test_unsafe_cuts_fractions_off(self, tmp_path):
        store = store_of(tmp_path, np.full((1, 2, 2), 2.75), "float", "stack")
        assert (store.load_attribute("x", dtype="int16", casting="unsafe") == 2).all()

    @pytest.mark.parametrize("casting", ["safe", "", None, "Checked"])
    def test_another_casting_is_refused(self, tmp_path, casting):
        with pytest.raises(ValueError, match="casting"):
            store_of(tmp_path, frames(1), "uint", "stack").load_attribute("x", casting=casting)


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


class TestOut:
    def test_counts_as_dtype_and_is_returned(self, tmp_path):
        store = CXIStore(put(tmp_path / "a.h5", {DATA: frames(4)}))
        out = np.empty((2, 5, 7), "float32")
        assert store.load_attribute("data", [3, 1], out=out) is out
        np.testing.assert_array_equal(out, frames(4)[[3, 1]])

    def test_may_be_strided(self, tmp_path):
        store = CXIStore(put(tmp_path / "a.h5", {DATA: frames(2)}))
        for out in (
            np.zeros((4, 10, 14), "int32")[::2, ::-2, 1::2],
            np.zeros((7, 5, 2), "uint16").T,
        ):
            store.load_attribute("data", out=out)
            np.testing.assert_array_equal(out, frames(2))

    @pytest.mark.parametrize("out", [
        np.empty((3, 5, 7), "uint16"), np.empty((2, 5), "uint16"), [[0]], np.empty(70, "uint16"),
    ], ids=repr)  # fmt: skip
    def test_of_another_shape_or_kind_raises(self, tmp_path, out):
        store = CXIStore(put(tmp_path / "a.h5", {DATA: frames(2)}))
        with pytest.raises((ValueError, TypeError)):
            store.load_attribute("data", out=out)

    def test_that_is_read_only_raises(self, tmp_path):
        store = CXIStore(put(tmp_path / "a.h5", {DATA: frames(2)}))
        out = np.broadcast_to(np.uint16(0), (2, 5, 7))
        with pytest.raises(ValueError, match=r"read-only|writeable"):
            store.load_attribute("data", out=out)

    def test_takes_a_static_mask_whole(self, tmp_path):
        mask = good_mask((5, 7), [(0, 1)])
        store = CXIStore(put(tmp_path / "a.h5", {DATA: frames(3), MASK: mask}))
        out = np.zeros((3, 5, 7), bool)
        assert store.load_attribute("mask", out=out) is out
        np.testing.assert_array_equal(out, np.broadcast_to(mask, (3, 5, 7)))

    def test_takes_a_frame_and_a_sequence(self, tmp_path):
        white = np.linspace(0, 1, 35).reshape(5, 7)
        store = CXIStore(put(tmp_path / "a.h5", {WHITEFIELD: white}))
        out = np.zeros((2, 3), "float32")
        store.load_attribute("whitefield", transform=Crop([1, 3, 2, 5]), out=out)
        np.testing.assert_array_equal(out, white[1:3, 2:5].astype("float32"))
