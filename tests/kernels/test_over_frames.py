"""What C sums up, counts and ranks over frames is what Python's kernels and NumPy find."""

import ctypes as c
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack import kernels
from factory.c_table import TYPES, Moments, address, call, constants, function, pixels

S = {name.removeprefix("CXISTACK_"): number for name, number in constants().items()}
NONE = c.c_void_p(None)
KEPT = []  # arrays that parameters have the address of


@st.composite
def stacks(draw):
    """Frames of any type, order of bytes, strides and place in memory; and flags, or none."""
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (draw(st.integers(0, 9)), draw(st.integers(1, 5)), draw(st.sampled_from([1, 7, 300])))
    top = draw(st.sampled_from([2, 100]))
    whole = rng.integers(0, top, [2 * one for one in shape]).astype(dtype)
    if draw(st.booleans()):
        whole = whole.astype(dtype.newbyteorder())
    steps = draw(st.tuples(*[st.sampled_from([1, 2, -1])] * 3))
    view = whole[tuple(slice(None, None, step) for step in steps)]
    frames = view[tuple(slice(0, one) for one in shape)]
    if draw(st.booleans()):
        memory = np.zeros(frames.nbytes + 1, "u1")
        odd = memory[1:].view(frames.dtype).reshape(shape)  # where no such pixel would lie
        odd[...] = frames
        frames = odd
    how = draw(st.sampled_from(["none", "one", "each"]))
    if how == "none":
        return frames, None
    part = draw(st.sampled_from([0.0, 0.5, 0.97, 1.0]))
    return frames, rng.random(shape if how == "each" else shape[1:]) < part


def flags(good, shape):
    """Return the two arguments that tell of them."""
    step = 0 if good is None or good.shape != shape else int(np.prod(shape[1:]))
    return address(good), step


def states_of(dtype):
    """Return the states that there are of pixels: each with its type."""
    total = {"f": "f8", "i": "i8"}.get(dtype.kind, "u8")
    found = {"count": "i8", "total": total, "lowest": dtype, "highest": dtype}
    if dtype.kind != "f" and dtype.itemsize <= 2:
        return found | {"squares": "u8"}
    return found | {"mean": "f8", "spread": "f8"} | ({"rest": "f8"} if dtype.kind == "f" else {})


def variance(found, count, frames):
    """Return it as the header says that it comes of the states."""
    if "spread" in found:
        return found["spread"] / count
    total = found["total"].astype("f8")
    return (found["squares"].astype("f8") - total * total / count) / count


@given(stacks(), st.data())
def test_moments_are_those_of_python_and_numpy(stack, data):
    frames, good = stack
    native = frames.dtype.newbyteorder("=")
    grid = frames.shape[1:]
    # The arrays hold anything before the first call.
    states = {name: np.full(grid, 77).astype(kind) for name, kind in states_of(native).items()}
    moments = Moments(0, *[address(states.get(name)) for name in Moments.STATES])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(frames)), max_size=2)))
    for start, stop in itertools.pairwise([0, *cuts, len(frames)]):
        part = frames[start:stop]
        some = good[start:stop].copy() if good is not None and good.ndim == 3 else good
        assert call("accumulate", part, *flags(some, part.shape), moments) == S["OK"]
    assert moments.frames == len(frames)

    real = np.broadcast_to(True if good is None else good, frames.shape)
    held = np.where(real, frames, native.type(0))
    count = real.sum(0)
    assert np.array_equal(states["count"], count)
    total = states["total"] + states.get("rest", 0)
    np.testing.assert_allclose(total, held.sum(0, total.dtype), rtol=1e-14)
    whole = kernels.Moments(grid, native, ["sum", "var", "min", "max"])
    whole.add(frames, good)
    assert np.array_equal(states["lowest"], whole._lowest())
    assert np.array_equal(states["highest"], whole._highest())
    some = np.maximum(count, 1)
    np.testing.assert_allclose(
        variance(states, some, frames), whole.result("var", fill=0) * (count > 0), atol=1e-8
    )
    if "mean" in states:
        assert states["mean"].tobytes() == whole._states["mean"].tobytes()
        assert states["spread"].tobytes() == whole._states["spread"].tobytes()
    if frames.size:
        wide = np.ma.array(frames.astype("f8"), mask=~real)
        expected = np.ma.filled(wide.min(0), 0)
        assert np.array_equal(np.where(count, states["lowest"], 0), expected)


def moments_of(**states):
    frames = states.pop("frames", 0)
    return Moments(frames, *[address(states.get(name)) for name in Moments.STATES])


@pytest.mark.parametrize(("dtype", "worst"), [("i8", 2**63 - 1), ("u8", 2**64 - 1)])
def test_a_sum_that_leaves_64_bits_is_lost(dtype, worst):
    frames = np.array([[1, 5], [worst, 6]], dtype)
    moments = moments_of(total=np.zeros(2, dtype))
    assert call("accumulate", frames, NONE, 0, moments) == S["LOST"]


def test_more_frames_than_sums_have_room_for_are_lost():
    frames, total = np.ones((2, 3), "u4"), np.zeros(3, "u8")
    assert call("accumulate", frames, NONE, 0, moments_of(frames=2**31 - 1, total=total)) == 1
    assert not total.any()
    assert call("accumulate", frames, NONE, 0, moments_of(frames=2**31 - 2, total=total)) == 0


def test_extremes_of_nothing_are_those_that_any_value_goes_beyond():
    for dtype in TYPES:
        info = np.iinfo if np.dtype(dtype).kind in "iu" else np.finfo
        lowest, highest = np.zeros(3, dtype), np.zeros(3, dtype)
        frames = np.zeros((0, 3), dtype)
        moments = moments_of(lowest=lowest, highest=highest)
        assert call("accumulate", frames, NONE, 0, moments) == S["OK"]
        if dtype == "bool":
            assert (lowest.tolist(), highest.tolist()) == ([True] * 3, [False] * 3)
        elif dtype[0] == "f":
            assert (lowest.tolist(), highest.tolist()) == ([np.inf] * 3, [-np.inf] * 3)
        else:
            assert (lowest[0], highest[0]) == (info(dtype).max, info(dtype).min)


@given(stacks(), st.integers(0, 99))
def test_count_adds_how_many_values_reach_a_limit(stack, least):
    frames, good = stack
    native = frames.dtype.newbyteorder("=")
    least = np.array(least).astype("u1" if native.kind == "b" else native)
    counts = np.arange(np.prod(frames.shape[1:])).reshape(frames.shape[1:])
    real = np.broadcast_to(True if good is None else good, frames.shape)
    want = counts + ((frames >= least) & real).sum(0)
    words = address(least), *flags(good, frames.shape), address(counts)
    assert call("count", frames, *words) == S["OK"]
    assert np.array_equal(counts, want)


def select(frames, good, fractions, dst, fill=None, how=0, room=None):
    fractions = np.array(fractions, "f8")
    needed = function("select_scratch", c.c_size_t)
    count = c.c_size_t(len(fractions))
    size = needed(c.byref(pixels(frames)), count) if room is None else room
    scratch = np.zeros(size + 1, "u1")[1:]  # at any address
    fill = None if fill is None else np.array(fill, dst.dtype)
    words = *flags(good, frames.shape), address(fractions), len(fractions), address(fill)
    return call("select", frames, *words, dst, how, address(scratch), size)


@given(stacks(), st.sampled_from(["f4", "f8"]), st.lists(st.floats(0, 1), max_size=3))
def test_select_gives_percentiles(stack, dtype, fractions):
    frames, good = stack
    dst = np.zeros((*frames.shape[:0:-1], len(fractions)), dtype).T  # the axes the other way round
    assert select(frames, good, fractions, dst, fill=-3) == S["OK"]
    if not len(frames):
        assert (dst == -3).all()
        return
    for made, fraction in zip(dst, fractions, strict=True):
        if fraction == 0.5:
            want = kernels.median(frames, mask=good, fill=-3)
        else:
            want = kernels.percentile(frames, 100 * fraction, mask=good, fill=-3)
        np.testing.assert_allclose(made, want, rtol=1e-6 if dtype == "f4" else 1e-12, atol=1e-9)


@given(stacks())
def test_select_gives_the_median_of_numpy(stack):
    frames, _ = stack
    dst = np.zeros((1, *frames.shape[1:]), "f8")
    if len(frames):
        assert select(frames, None, [0.5], dst) == S["OK"]
        assert np.array_equal(dst[0], np.median(frames.astype("f8"), axis=0))


@given(stacks(), st.floats(0, 1))
def test_select_gives_the_value_at_a_rank(stack, fraction):
    frames, good = stack
    dst = np.zeros((2, *frames.shape[1:]), frames.dtype.newbyteorder("="))
    assert select(frames, good, [0.5, fraction], dst, fill=1, how=S["LOWER"]) == S["OK"]
    if len(frames):
        assert np.array_equal(dst[0], kernels.lower_median(frames, mask=good, fill=1))
    real = np.broadcast_to(True if good is None else good, frames.shape)
    for pixel in np.ndindex(*frames.shape[1:]):
        values = np.sort(frames[(slice(None), *pixel)][real[(slice(None), *pixel)]])
        at = int(np.floor((len(values) - 1) * fraction))
        assert dst[(1, *pixel)] == (values[at] if len(values) else dst.dtype.type(1))


@pytest.mark.parametrize("how", [0, S["LOWER"]])
def test_a_nan_that_is_good_makes_nan(how):
    frames = np.array([[1, np.nan, 3], [2, 5, np.nan], [3, 4, 4]], "f4")
    good = np.array([[True] * 3, [True, True, False], [True] * 3])
    dst = np.zeros((1, 3), "f4")
    assert select(frames, None, [0.5], dst, how=how) == S["OK"]
    np.testing.assert_array_equal(dst[0], [2, np.nan, np.nan])
    assert select(frames, good, [0.5], dst, how=how) == S["OK"]
    np.testing.assert_array_equal(dst[0], [2, np.nan, 3 if how else 3.5])


def test_infinities_are_values():
    frames = np.array([[-np.inf], [np.inf], [1.0]])
    dst = np.zeros((3, 1), "f8")
    assert select(frames, None, [0, 0.5, 1], dst) == S["OK"]
    assert dst[:, 0].tolist() == [-np.inf, 1, np.inf]


def test_a_pixel_without_a_good_value_needs_a_fill():
    frames, dst = np.ones((4, 3), "u2"), np.zeros((1, 3), "f8")
    good = np.array([True, False, True])
    assert select(frames, good, [0.5], dst) == S["NO_VALUE"]
    assert select(frames, good, [0.5], dst, fill=-5) == S["OK"]
    assert dst[0].tolist() == [1, -5, 1]


def test_scratch_that_is_too_small_is_told_of_and_not_touched():
    frames, dst = np.ones((4, 3), "u2"), np.zeros((1, 3), "f8")
    assert select(frames, None, [0.5], dst, room=100) == S["MORE"]
    none = function("select_scratch", c.c_size_t)
    assert none(c.byref(pixels(frames)), c.c_size_t(1 << 40)) == 0
    assert none(None, c.c_size_t(1)) == 0


def refused():
    frames, floats = np.zeros((3, 4), "u2"), np.zeros((3, 4), "f4")
    eight = np.zeros(5, "f8")
    odd, good = eight.view("u1")[1:33].view("f8"), np.ones(4, bool)
    u8, f8 = np.zeros(4, "u8"), np.zeros(4)
    for told, why in (
        (moments_of(total=odd), "an address"),
        (moments_of(mean=f8), "a mean without its spread"),
        (moments_of(spread=f8), "a spread without its mean"),
        (moments_of(mean=f8, spread=f8), "a mean of integers of 16 bits"),
        (moments_of(squares=u8), "squares without sums"),
        (moments_of(total=u8, rest=f8), "a rest of integers"),
        (moments_of(frames=-1, total=u8), "less than no frame"),
    ):
        yield pytest.param("accumulate", (frames, NONE, 0, told), id=why)
    yield "accumulate", (frames, address(good), 0, moments_of(total=u8))
    yield "accumulate", (floats, NONE, 0, moments_of(total=f8))
    yield "accumulate", (floats, NONE, 0, moments_of(total=f8, rest=f8, squares=u8))
    yield "accumulate", (frames, NONE, 0, NONE)
    yield "accumulate", (NONE, NONE, 0, moments_of(total=u8))
    yield "count", (frames, NONE, NONE, 0, address(u8))
    yield "count", (frames, address(u8), NONE, 0, NONE)
    yield "count", (frames, address(u8), NONE, 0, address(odd))
    half, room = np.array([0.5]), np.zeros(10_000, "u1")
    KEPT.append((eight, good, u8, f8, half, room))
    rest = address(room), len(room)
    dst = np.zeros((1, 4))
    for fractions, to, how in (
        (half + 1, dst, 0),
        (half * np.nan, dst, 0),
        (None, dst, 0),
        (half, np.zeros((2, 4)), 0),
        (half, np.zeros((1, 5)), 0),
        (half, np.zeros((1, 4), "u2"), 0),
        (half, np.zeros((1, 4), "f4"), S["LOWER"]),
        (half, np.zeros((1, 4), ">f8"), 0),
    ):
        KEPT.append(fractions)
        yield "select", (frames, NONE, 0, address(fractions), 1, NONE, to, how, *rest)


@pytest.mark.parametrize(("name", "arguments"), list(refused()))
def test_what_does_not_fit_is_refused(name, arguments):
    assert call(name, *arguments) == S["BAD_ARGUMENT"]
