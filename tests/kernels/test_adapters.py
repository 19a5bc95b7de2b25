"""The kernels as C calls them do what they do in Python; arguments that do not fit are refused."""

import ctypes as c

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack import kernels
from cxistack.kernels import _decode, _encode
from factory.c_table import TYPES, Axis, Filter, address, call, constants, function

S = {name.removeprefix("CXISTACK_"): number for name, number in constants().items()}
RNG = np.random.default_rng(14)


def frames(shape, dtype, most=100):
    return RNG.integers(0, 2 if dtype == "bool" else most, shape).astype(dtype)


@st.composite
def layouts(draw):
    """An array of any type, order of bytes and strides, of three axes."""
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    shape = draw(st.tuples(*[st.integers(0, 9)] * 3))
    steps = draw(st.tuples(*[st.sampled_from([1, 2, -1])] * 3))
    whole = frames(tuple(2 * one for one in shape), dtype.name)
    if draw(st.booleans()):
        whole = whole.astype(dtype.newbyteorder())
    view = whole[tuple(slice(None, None, step) for step in steps)]
    return view[tuple(slice(0, one) for one in shape)]


@given(layouts(), st.sampled_from(TYPES))
def test_cast(src, dtype):
    dst = np.zeros(src.shape, dtype)
    assert call("cast", src, dst, 0) == S["OK"]
    assert np.array_equal(dst, src.astype(dtype))


def test_cast_stops_where_a_value_is_lost_unless_told_not_to():
    src, dst = np.array([1, 300], "u2"), np.zeros(2, "u1")
    assert call("cast", src, dst, 0) == S["LOST"]
    assert call("cast", src, dst, S["UNSAFE"]) == S["OK"]
    assert dst.tolist() == [1, 44]


@given(layouts(), st.data())
def test_gather(src, data):
    count = data.draw(st.integers(0, 7)) if len(src) else 0
    index = np.array([data.draw(st.integers(0, len(src) - 1)) for _ in range(count)], np.int64)
    dst = np.zeros((count, *src.shape[1:]), "f8")
    assert call("gather", src, address(index), dst, 0) == S["OK"]
    assert np.array_equal(dst, src[index])


@pytest.mark.parametrize("number", [-1, 3, 1 << 62])
def test_gather_refuses_a_frame_that_is_not_there(number):
    src, dst, index = frames((3, 2, 2), "u2"), np.zeros((1, 2, 2), "u2"), np.array([number])
    assert call("gather", src, address(index), dst, 0) == S["BAD_INDEX"]


@given(layouts(), st.data())
def test_view(src, data):
    taken = []
    for length in src.shape[1:]:
        start = data.draw(st.integers(0, max(0, length - 1)))
        step = data.draw(st.sampled_from([-3, -1, 1, 2]))
        most = 0 if not length else (start // -step if step < 0 else (length - 1 - start) // step)
        taken.append((start, step, data.draw(st.integers(0, most + 1)) if length else 0))
    picks = [np.arange(count) * step + start for start, step, count in taken]
    want = src[:, picks[0]][:, :, picks[1]]
    dst = np.zeros(want.shape, src.dtype.newbyteorder("="))
    assert call("view", src, Axis(*taken[0]), Axis(*taken[1]), dst, 0) == S["OK"]
    assert np.array_equal(dst, want)


@pytest.mark.parametrize(
    "axis", [(4, 1, 1), (-1, 1, 1), (0, 1, 5), (3, -1, 5), (0, 1 << 62, 2), (1, -(1 << 62), 2)]
)
def test_view_refuses_pixels_that_are_not_there(axis):
    src, dst = frames((4, 4), "u2"), np.zeros((axis[2], 4), "u2")
    assert call("view", src, Axis(*axis), Axis(0, 1, 4), dst, 0) == S["BAD_INDEX"]


@given(layouts(), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_bin(src, slow, fast, is_mean):
    want = kernels.bin(src, (slow, fast), "mean" if is_mean else "sum")
    dst = np.zeros(want.shape, want.dtype)
    assert call("bin", src, slow, fast, dst, S["MEAN"] if is_mean else 0) == S["OK"]
    assert np.array_equal(dst, want)


@given(layouts(), st.booleans())
def test_median3x3(src, is_masked):
    good = frames(src.shape[1:], "bool") if is_masked else None
    want = kernels.median3x3(src, mask=good)
    dst = np.zeros(src.shape, src.dtype.newbyteorder("="))
    assert call("median3x3", src, address(good), dst) == S["OK"]
    assert np.array_equal(dst, want)


@given(layouts(), st.sampled_from(["float32", "float64"]), st.booleans(), st.booleans())
def test_flat_field(src, dtype, is_dark, is_masked):
    grid = src.shape[1:]
    white = frames(grid, dtype) + np.ones(grid, dtype)
    dark = frames(grid, dtype, 5) if is_dark else None
    good = frames(grid, "bool") if is_masked else None
    signal = src.astype(dtype) - (0 if dark is None else dark)
    want = np.where(True if good is None else good, signal / white, -1).astype(dtype)
    dst = np.zeros(src.shape, dtype)
    words = address(dark), address(white), address(good), -1.0, dst
    assert call("flat_field", src, *words) == S["OK"]
    assert np.array_equal(dst, want)


def test_a_dead_pixel_is_told_of():
    src, white, dst = frames((1, 2, 2), "u2"), np.zeros((2, 2), "f4"), np.zeros((1, 2, 2), "f4")
    words = None, address(white), None, 0.0, dst
    assert call("flat_field", src, *words) == S["DEAD_PIXEL"]


@pytest.mark.parametrize("swapped", [False, True])
def test_what_a_float_cannot_hold_is_told_of(swapped):
    src = np.array([[[1e300, 5.0, np.inf, np.nan]]]).astype(">f8" if swapped else "f8")
    dst, bad = np.zeros((1, 1, 4), "f4"), np.array([[0, 1, 1, 1]], "u1")
    assert call("flat_field", src, None, None, None, -1.0, dst) == S["DEAD_PIXEL"]
    assert call("flat_field", src, None, None, address(bad), -1.0, dst) == S["OK"]
    np.testing.assert_array_equal(dst[0, 0], np.array([-1, 5, np.inf, np.nan], "f4"))


@given(layouts(), st.integers(0, 99), st.booleans(), st.integers(0, 300))
def test_above(src, least, is_masked, room):
    native = src.dtype.newbyteorder("=")
    least = np.array(least).astype("u1" if native.kind == "b" else native)
    good = frames(src.shape[1:], "bool") if is_masked else None
    want = np.flatnonzero((src >= least) & (True if good is None else good))
    numbers, values, found = np.zeros(room, "i8"), np.zeros(room, native), c.c_size_t()
    arguments = address(least), address(good), room, address(numbers), address(values)
    status = call("above", src, *arguments, c.byref(found))
    assert found.value == len(want)
    assert status == (S["MORE"] if len(want) > room else S["OK"])
    told = min(room, len(want))
    assert np.array_equal(numbers[:told], want[:told])
    assert np.array_equal(values[:told], src.ravel()[want[:told]])


PIPELINES = [
    [],
    [(2, (2,)), (1, (6,))],
    [(32004, (0,))],
    [(32008, (0, 4, 2, 0, 2))],
    [(32008, (0, 4, 2, 0, 3, 1))],
    [(2, (2,)), (32015, (3,)), (3, ())],
]


def codec(pipeline, nbytes, encodes):
    lists = [(c.c_uint32 * max(1, len(values)))(*values) for _, values in pipeline]
    filters = (Filter * max(1, len(pipeline)))(
        *[
            Filter(number, len(values), one)
            for (number, values), one in zip(pipeline, lists, strict=True)
        ]
    )
    status = c.c_int()
    count, size = c.c_size_t(len(pipeline)), c.c_size_t(nbytes)
    opened = function("codec_open", c.c_void_p)(filters, count, size, encodes, c.byref(status))
    return c.c_void_p(opened), status.value


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_chunks_are_encoded_and_decoded_as_in_python(pipeline):
    chunk = frames((40, 50), "u2")
    one, status = codec(pipeline, chunk.nbytes, 1)
    assert status == S["OK"]
    bound = function("encode_bound", c.c_size_t)(one)
    stored, size = np.zeros(bound, "u1"), c.c_size_t()
    words = address(chunk), address(stored), c.c_size_t(bound), c.byref(size)
    assert call("encode", one, *words) == S["OK"]
    told = stored[: size.value].tobytes()
    assert told == _encode.encode(pipeline, chunk.tobytes())
    assert bytes(_decode.decode(pipeline, 0, told, chunk.nbytes)) == chunk.tobytes()
    back = np.zeros_like(chunk)
    words = address(stored), c.c_size_t(size.value), address(back), c.c_size_t(back.nbytes)
    assert call("decode", one, c.c_uint32(0), *words) == S["OK"]
    assert np.array_equal(back, chunk)
    words = address(stored), c.c_size_t(size.value), address(back), c.c_size_t(back.nbytes - 1)
    assert call("decode", one, c.c_uint32(0), *words) == S["MORE"]
    if pipeline:
        words = address(stored), c.c_size_t(size.value // 2), address(back)
        assert call("decode", one, c.c_uint32(0), *words, c.c_size_t(back.nbytes)) == S["BAD_CHUNK"]
        assert function("decode_error", c.c_char_p)(one)
    function("codec_close", None)(one)


@pytest.mark.parametrize("pipeline", [[(32001, (2,))], [(2, ())], [(32008, (0, 4))], [(1, ())] * 9])
def test_filters_that_are_not_known_are_refused(pipeline):
    opened, status = codec(pipeline, 100, 0)
    assert opened.value is None
    assert status == S["BAD_FILTER"]


def refused():
    a, b = np.zeros((3, 4), "u2"), np.zeros((3, 5), "u2")
    swapped = np.zeros((3, 4), ">u2")
    yield "cast", (a, b, 0)
    yield "cast", (a, swapped, 0)
    yield "cast", (a, a[0], 0)
    yield "cast", (None, a, 0)
    yield "gather", (a, None, a, 0)
    yield "view", (a, None, None, a, 0)
    yield "view", (a, Axis(0, 0, 3), Axis(0, 1, 4), a, 0)
    yield "bin", (a, 0, 1, a, 0)
    yield "bin", (a, 2, 2, a, 0)
    yield "median3x3", (a, None, b)
    yield "median3x3", (a, None, a.astype("u4"))
    yield "flat_field", (a, None, None, None, 0.0, a)
    yield "above", (a, None, None, 0, None, None, None)


@pytest.mark.parametrize(("name", "arguments"), list(refused()))
def test_what_does_not_fit_is_refused(name, arguments):
    assert call(name, *arguments) == S["BAD_ARGUMENT"]


def test_every_status_is_explained():
    explain = function("explain", c.c_char_p)
    told = {explain(S[name]) for name in S if S[name] < 0 or name in ("OK", "LOST", "MORE")}
    assert len(told) == 12
    assert explain(99) == b"there is no status of this number"
