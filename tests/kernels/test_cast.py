"""A cast gives NumPy's values, for every pair of types and every layout, or says what is lost."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cxistack import kernels
from cxistack.errors import CastError
from cxistack.kernels import loop

from .conftest import PIXELS, extremes, fitting, misfits

PAIRS = list(itertools.product(PIXELS, PIXELS))


def as_numpy(values: np.ndarray[Any, Any], target: str) -> np.ndarray[Any, Any]:
    with np.errstate(all="ignore"):
        return values.astype(target)


def same(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> bool:
    """Compare bit for bit, except for the payload of a NaN."""
    nan = (ours != ours) & (theirs != theirs)
    return (
        ours.dtype == theirs.dtype
        and ours.shape == theirs.shape
        and bool(
            (nan | (ours == theirs) & (np.signbit(ours) == np.signbit(theirs))).all()
            if ours.dtype.kind == "f"
            else (ours == theirs).all()
        )
    )


def wrapped(values: np.ndarray[Any, Any], target: str) -> np.ndarray[Any, Any]:
    """Cast floats to an integer as documented: through int32 or int64, then modulo."""
    limits = np.iinfo(target)
    bits = 64 if limits.bits == 64 or target == "uint32" else 32
    lowest = -(2 ** (bits - 1))
    end = 2**64 if target == "uint64" else -lowest
    whole = [
        int(v) if np.isfinite(v) and lowest <= int(v) < end and v >= lowest else lowest
        for v in values.tolist()
    ]
    modulus = 2**limits.bits
    return np.array([(w - int(limits.min)) % modulus + int(limits.min) for w in whole], target)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_value_that_fits_is_numpys(level: str, source: str, target: str) -> None:
    values = np.resize(fitting(source, target), 300)
    assert same(kernels.cast(values, target), as_numpy(values, target))


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_each_value_that_does_not_fit_is_refused_alone(
    level: str, source: str, target: str
) -> None:
    values = extremes(source)
    for value in values[misfits(values, target)]:
        for place in (0, 17, 70):
            frame = np.zeros(71, dtype=source)
            frame[place] = value
            with pytest.raises(CastError) as caught:
                kernels.cast(frame, target)
            offence = caught.value.offence
            assert offence is not None
            assert (offence.frame, offence.pixel, offence.count) == (0, (place,), 1)
            assert offence.value == value or value != value


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_unsafe_is_numpys_and_where_that_is_undefined_goes_through_int32_or_int64(
    level: str, source: str, target: str
) -> None:
    values = np.resize(extremes(source), 300)
    ours = kernels.cast(values, target, casting="unsafe")
    if np.dtype(source).kind == "f" and np.dtype(target).kind in "iu":
        np.testing.assert_array_equal(ours, wrapped(values, target))
    else:
        assert same(ours, as_numpy(values, target))


@pytest.mark.parametrize("target", PIXELS)
def test_a_boolean_byte_that_is_not_zero_is_true(level: str, target: str) -> None:
    odd = np.array([0, 1, 2, 128, 255], dtype=np.uint8).view(bool)
    assert kernels.cast(odd, target).view(f"u{np.dtype(target).itemsize}").tolist() == (
        np.array([0, 1, 1, 1, 1], dtype=target).view(f"u{np.dtype(target).itemsize}").tolist()
    )


@st.composite
def layouts(draw: st.DrawFn, *, target: bool = False) -> np.ndarray[Any, Any]:
    """Draw an array of any rank, strides and alignment; a source may be swapped or repeat."""
    dtype = np.dtype(draw(st.sampled_from(PIXELS)))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=6, min_side=0, max_side=7))
    steps = [draw(st.sampled_from([1, 1, 2, -1, -2, 3])) for _ in shape]
    room = np.zeros([n * abs(s) for n, s in zip(shape, steps, strict=True)], dtype=dtype)
    if not target and draw(st.booleans()):
        room = room.astype(dtype.newbyteorder())
    if draw(st.booleans()):
        raw = np.zeros(room.nbytes + 1, dtype=np.uint8)
        room = np.ndarray(room.shape, room.dtype, buffer=raw.data, offset=1)
    array = room[(..., *[slice(None, None, s) for s in steps])]
    array[...] = (np.arange(array.size) % 100).reshape(shape).astype(dtype)
    if draw(st.booleans()):
        array = array.transpose(draw(st.permutations(range(array.ndim))))
    if not target and array.ndim < 6 and draw(st.booleans()):
        array = np.broadcast_to(array, (draw(st.integers(0, 3)), *array.shape))
    return array


@settings(max_examples=300, deadline=None)
@given(layouts(), st.sampled_from(PIXELS))
def test_any_layout_in(array: np.ndarray[Any, Any], target: str) -> None:
    result = kernels.cast(array, target)
    assert result.flags.c_contiguous
    assert same(result, array.astype(target))


@settings(max_examples=300, deadline=None)
@given(layouts(target=True), st.sampled_from(PIXELS))
def test_any_layout_out(room: np.ndarray[Any, Any], source: str) -> None:
    array = (np.arange(room.size) % 120).reshape(room.shape).astype(source)
    assert kernels.cast(array, out=room) is room
    assert same(np.array(room), array.astype(room.dtype))


@pytest.mark.parametrize("cut", [slice(None), slice(3, None), slice(None, None, 2)])
@pytest.mark.parametrize(
    ("source", "target"), [("u2", "f4"), ("u2", "u2"), (">u2", "f8"), ("i8", "u1")]
)
def test_large_arrays_go_the_same_way(
    strategy: str, level: str, source: str, target: str, cut: slice
) -> None:
    values = (np.arange(30 * 31 * 37) % 251).astype(source).reshape(30, 31, 37)[..., cut]
    room = np.zeros(values.size + 5, dtype=target)
    for offset in range(5):
        room[:] = 7
        out = room[offset : offset + values.size].reshape(values.shape)
        kernels.cast(values, out=out, num_threads=3)
        np.testing.assert_array_equal(out, values)
        assert (room[:offset] == 7).all()
        assert (room[offset + values.size :] == 7).all()


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_the_first_offender_is_named_whoever_meets_it(strategy: str, threads: int) -> None:
    stack = np.zeros((9, 40, 50), dtype="i4")
    stack[6, 20, 3] = stack[6, 20, 40] = stack[6, 39, 49] = -1
    stack[7:] = -5
    with pytest.raises(
        CastError, match=r"Frame 6, pixel .*-1 .*uint16.* 3 pixels .*int32"
    ) as caught:
        kernels.cast(stack, "uint16", num_threads=threads)
    offence = caught.value.offence
    assert offence is not None
    assert (offence.frame, offence.pixel, offence.count, offence.value) == (6, (20, 3), 3, -1)


def test_the_first_offender_is_named_though_others_are_met_later() -> None:
    # A task a frame: the first meets its offender half way, the next one at its end.
    stack = np.zeros((6, 1500, 1500), dtype="i2")
    stack[0, 750, 0] = stack[1:, -1, -1] = -1
    before = loop._tune(thread_bytes=0, task_bytes=1500 * 1500)
    for _ in range(20):
        with pytest.raises(CastError, match="Frame 0, pixel"):
            kernels.cast(stack, "u1", num_threads=4)
    loop._tune(**before)


def test_out_may_overlap_its_source(strategy: str) -> None:
    for step in (1, -1):
        memory = np.arange(5000, dtype="u2")
        expected = memory[:4000][::step].copy()
        kernels.cast(memory[:4000][::step], out=memory[1000:])
        np.testing.assert_array_equal(memory[1000:], expected)
    memory = np.arange(4000, dtype="i4")
    kernels.cast(memory, out=memory.view("f4"))
    np.testing.assert_array_equal(memory.view("f4"), np.arange(4000))


@pytest.mark.parametrize(
    "dtype", ["f2", "c8", "c16", "S3", "U5", "M8[s]", "i4,f8,S5", "V40000", "g"]
)
def test_other_plain_types_are_copied_as_they_are(strategy: str, dtype: str) -> None:
    rng = np.random.default_rng(1)
    size = np.dtype(dtype).itemsize
    values = rng.integers(0, 100, (4, 6, size), dtype="u1").view(dtype)[..., 0]
    for array in (values, values[::-1, ::2], values.T):
        copy = kernels.cast(array)
        assert copy.dtype == array.dtype
        assert copy.flags.c_contiguous
        assert copy.tobytes() == array.tobytes()
        room = np.zeros((*array.shape, 2), dtype=dtype)[..., 1]
        kernels.cast(array, out=room)
        assert room.tobytes() == array.tobytes()


def test_what_cannot_be_cast_says_so() -> None:
    frame = np.zeros((3, 4), "u2")
    with pytest.raises(TypeError, match="no cast from complex128 to float32"):
        kernels.cast(np.zeros(3, "c16"), "f4")
    with pytest.raises(TypeError, match="Python objects"):
        kernels.cast(np.zeros(3, object))
    with pytest.raises(TypeError, match="Python objects or variable-length"):
        kernels.cast(np.zeros(3, np.dtypes.StringDType()))
    with pytest.raises(TypeError, match="byte order"):
        kernels.cast(frame, ">f4")
    with pytest.raises(TypeError, match="leave one of them away"):
        kernels.cast(frame, "f4", out=np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"shape \(4, 3\).*\(3, 4\)"):
        kernels.cast(frame, out=np.zeros((4, 3)))
    with pytest.raises(ValueError, match="read-only"):
        kernels.cast(frame, out=np.broadcast_to(np.zeros(4), (3, 4)))
    with pytest.raises(ValueError, match="checked"):
        kernels.cast(frame, casting="same_kind")
    with pytest.raises(ValueError, match="num_threads"):
        kernels.cast(frame, num_threads=0)
    with pytest.raises(TypeError, match="masked"):
        kernels.cast(np.ma.zeros(3))
    with pytest.raises(TypeError, match="list"):
        kernels.cast([1, 2])


def test_a_result_that_fits_its_dtype_and_out_alike_is_out() -> None:
    out = np.zeros(3, "f4")
    assert kernels.cast(np.arange(3, dtype="u1"), np.float32, out=out) is out
