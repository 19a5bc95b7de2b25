"""Values that a load gives: types that come back, checked casting, scalars."""

import contextlib

import h5py
import numpy as np
import pytest

from cxistack import (
    AttributeMissingError,
    CastError,
    Crop,
    CXIError,
    CXIProtocol,
    CXIStore,
    Downscale,
)
from factory import DATA, DISTANCE, frames, put

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


class TestScalars:
    @pytest.mark.parametrize("value", [
        np.float64(0.25), np.array([0.25]), np.array([1.0, 2.0]), np.eye(3), np.zeros((0,)),
    ], ids=repr)  # fmt: skip
    def test_come_back_in_the_datasets_own_shape(self, tmp_path, value):
        loaded = CXIStore(put(tmp_path / "s.h5", {DISTANCE: value})).load_attribute("distance")
        np.testing.assert_array_equal(loaded, value, strict=True)

    def test_of_no_dimension_are_numpy_scalars(self, tmp_path):
        loaded = CXIStore(put(tmp_path / "s.h5", {DISTANCE: 0.25})).load_attribute("distance")
        assert isinstance(loaded, np.float64)

    def test_come_from_the_first_file_that_has_them(self, tmp_path):
        names = [
            put(tmp_path / "a.h5", {DATA: frames(1)}),
            put(tmp_path / "b.h5", {DISTANCE: 0.25}),
            put(tmp_path / "c.h5", {DISTANCE: 0.5}),
        ]
        assert CXIStore(names).load_attribute("distance") == 0.25
        assert CXIStore(names[::-1]).load_attribute("distance") == 0.5

    @pytest.mark.parametrize("source", [1, -1, "b.h5", "full name"])
    def test_source_picks_one(self, tmp_path, source):
        names = [put(tmp_path / f"{c}.h5", {DISTANCE: v}) for c, v in [("a", 1.0), ("b", 2.0)]]
        source = names[1] if source == "full name" else source
        assert CXIStore(names).load_attribute("distance", source=source) == 2.0

    @pytest.mark.parametrize("source", [2, -3, "c.h5", 0])
    def test_a_source_that_has_it_not_raises(self, tmp_path, source):
        names = [put(tmp_path / "a.h5", {DATA: frames(1)}), put(tmp_path / "b.h5", {DISTANCE: 2.0})]
        with pytest.raises(AttributeMissingError):
            CXIStore(names).load_attribute("distance", source=source)


def test_of_a_sum_that_does_not_fit_the_type_of_sums_is_named(tmp_path):
    store = CXIStore(put(tmp_path / "a.cxi", {DATA: np.full((2, 4, 4), 2**31, "u4")}))
    how = {"transform": Downscale(2, mode="sum"), "verbose": False}
    with pytest.raises(CastError, match=r"8589934592 .*Say dtype='uint64', in which sums are made"):
        store.load_attribute("data", dtype="uint32", **how)
    assert (store.load_attribute("data", dtype="uint64", **how) == 2**33).all()
    with pytest.raises(CastError, match="Say dtype='uint32' to keep the stored values"):
        store.load_attribute("data", dtype="uint8", verbose=False)
