"""Whatever the layout, indices, pixels and types: a load equals NumPy on the joined frames."""

import tempfile
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import factory
from cxistack import (
    CastError,
    ComposeTransforms,
    Crop,
    CXIProtocol,
    CXIStore,
    Downscale,
    FrameIndexError,
    Mirror,
)
from factory import DATA, LAYOUTS, STORAGES, frames, put, stored_as

DTYPES = ["int8", "uint16", ">u2", "int32", ">i4", "uint32", "int64", "uint64", "float32", ">f8"]
SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 7))
COUNTS = st.lists(st.integers(0, 4), min_size=1, max_size=4).filter(any)


@contextmanager
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@st.composite
def run_parts(draw, dtypes=("uint16",)):
    """Draw the frames of each file of a run; some files have none."""
    shape, dtype = draw(SHAPES), draw(st.sampled_from(dtypes))
    counts = draw(COUNTS)
    starts = np.cumsum([0, *counts])
    return [
        frames(count, shape, dtype, start=int(start) * int(np.prod(shape)))
        for count, start in zip(counts, starts, strict=False)
    ]


def bounds(size):
    return st.none() | st.integers(-size - 2, size + 2)


def slices(size):
    return st.builds(slice, bounds(size), bounds(size), st.none() | st.integers(-3, 3).filter(bool))


@st.composite
def frame_selections(draw, total):
    """Draw idxs for `total` frames."""
    numbers = st.lists(st.integers(-total, total - 1), max_size=2 * total)
    dtypes = st.sampled_from(["int64", "int8", "int32"])
    return draw(
        st.none()
        | st.integers(-total, total - 1)
        | slices(total)
        | numbers
        | st.builds(np.array, numbers, dtypes)
        | npst.arrays(bool, total)
        | st.lists(st.booleans(), min_size=total, max_size=total)
    )


def picked(array, idxs):
    """Return the frames that idxs mean; an int keeps the axis."""
    if idxs is None:
        return array
    if isinstance(idxs, slice):
        return array[idxs]
    idxs = np.atleast_1d(np.asarray(idxs))
    return array[idxs if idxs.size else idxs.astype(int)]


@st.composite
def pixel_indices(draw, shape):
    """Draw (ss_idxs, fs_idxs) that index a frame of `shape` together."""
    rows, columns = shape
    one = lambda size: st.integers(-size, size - 1)  # noqa: E731
    lists = lambda size, n: st.lists(one(size), min_size=n, max_size=n)  # noqa: E731
    n = draw(st.integers(0, 4))
    kind = draw(st.sampled_from(["slices", "ints", "lists", "mixed", "boolean", "grid"]))
    match kind:
        case "slices":
            return draw(slices(rows)), draw(slices(columns))
        case "ints":
            return draw(one(rows)), draw(one(columns) | slices(columns))
        case "lists":
            return np.array(draw(lists(rows, n)), int), np.array(draw(lists(columns, n)), int)
        case "mixed":
            picks = np.array(draw(lists(columns, n)), int)
            return draw(slices(rows) | one(rows)), picks
        case "boolean":
            return draw(npst.arrays(bool, rows)), draw(slices(columns))
    transform = draw(transforms(shape))
    return transform.index_array(*np.indices(shape))


@st.composite
def transforms(draw, shape, depth=2):
    """Draw a transform without bins for frames of `shape`."""
    kind = draw(st.sampled_from(["crop", "stride", "mirror"] + ["compose"] * depth))
    match kind:
        case "crop":
            roi = [draw(st.integers(0, n + 1)) for n in np.repeat(shape, 2)]
            assume(np.zeros(shape)[roi[0] : roi[1], roi[2] : roi[3]].size)
            return Crop(roi, clip=True)
        case "stride":
            return Downscale(draw(st.integers(1, 4)))
        case "mirror":
            return Mirror(draw(st.integers(0, 1)), shape)
    parts = []
    for _ in range(draw(st.integers(2, 3))):
        parts.append(draw(transforms(shape, depth - 1)))
        shape = parts[-1].forward(np.zeros(shape)).shape
    return ComposeTransforms(parts)


@settings(max_examples=200)
@given(st.data())
def test_any_layout_any_frames_any_pixels(data):
    parts = data.draw(run_parts(DTYPES))
    layout = data.draw(st.sampled_from(list(LAYOUTS)))
    whole = np.concatenate(parts)
    idxs = data.draw(frame_selections(len(whole)))
    pixels = data.draw(st.none() | pixel_indices(whole.shape[1:]))
    with folder() as path, CXIStore(LAYOUTS[layout](path, parts)) as store:
        options = {} if pixels is None else dict(zip(("ss_idxs", "fs_idxs"), pixels, strict=True))
        options["num_threads"] = data.draw(st.sampled_from([None, 1, 3]))
        loaded = store.load_attribute("data", idxs, dtype=whole.dtype.newbyteorder("="), **options)
    expected = picked(whole, idxs)
    if pixels is not None:
        rows = [frame[..., pixels[0], pixels[1]] for frame in expected]
        empty = whole[0][..., pixels[0], pixels[1]]
        expected = np.stack(rows) if rows else np.empty((0, *empty.shape))
    np.testing.assert_array_equal(loaded, expected)


@settings(max_examples=150)
@given(st.data())
def test_any_transform_into_any_type(data):
    parts = data.draw(run_parts(DTYPES))
    whole = np.concatenate(parts)
    idxs = data.draw(frame_selections(len(whole)))
    transform = data.draw(transforms(whole.shape[1:]))
    dtype = np.dtype(data.draw(st.sampled_from(["int16", "uint8", "int64", "float32", "float64"])))
    casting = data.draw(st.sampled_from(["checked", "unsafe"]))
    expected = picked(whole, idxs)
    expected = np.stack([transform.forward(frame) for frame in [*expected, whole[0]]])[:-1]
    fits = expected.astype(dtype).astype(object) == expected.astype(object)
    out = np.full(expected.shape, 77, dtype) if data.draw(st.booleans()) else None
    with folder() as path, CXIStore(factory.many_files(path, parts)) as store:
        load = lambda: store.load_attribute(  # noqa: E731
            "data", idxs, transform=transform, dtype=dtype, casting=casting, out=out
        )
        if casting == "checked" and dtype.kind in "iu" and not np.all(fits):
            with pytest.raises(CastError):
                load()
            return
        loaded = load()
    assert out is None or loaded is out
    np.testing.assert_array_equal(loaded, expected.astype(dtype), strict=True)


@settings(max_examples=60)
@given(st.data(), st.sampled_from(STORAGES))
def test_any_storage(data, storage):
    dtype = data.draw(st.sampled_from(DTYPES))
    whole = frames(data.draw(st.integers(1, 6)), data.draw(SHAPES), dtype)
    idxs = data.draw(frame_selections(len(whole)))
    transform = data.draw(transforms(whole.shape[1:]))
    with folder() as path:
        name = stored_as(path / "run.cxi", DATA, whole, storage)
        with h5py.File(name) as h5:
            np.testing.assert_array_equal(h5[DATA][...], whole)
        with CXIStore(name) as store:
            loaded = store.load_attribute("data", idxs, transform=transform, dtype="float64")
    expected = [transform.forward(frame) for frame in [*picked(whole, idxs), whole[0]]]
    np.testing.assert_array_equal(loaded, np.stack(expected)[:-1].astype(float))


@settings(max_examples=60)
@given(st.data())
def test_a_lazy_stack_indexes_as_numpy(data):
    parts = data.draw(run_parts())
    whole = np.concatenate(parts)
    one = lambda size: st.integers(-size, size - 1)  # noqa: E731
    axes = [one(size) | slices(size) for size in whole.shape]
    key = tuple(data.draw(axis) for axis in axes[: data.draw(st.integers(0, 3))])
    if data.draw(st.booleans()):
        key = (*key, ...) if len(key) < 3 else key
    with folder() as path, CXIStore(factory.many_files(path, parts)) as store:
        lazy = store["data"]
        assert (lazy.shape, lazy.dtype) == (whole.shape, whole.dtype)
        np.testing.assert_array_equal(lazy[key], whole[key], strict=True)
        np.testing.assert_array_equal(np.asarray(lazy), whole, strict=True)


@given(st.data())
def test_a_bad_index_raises_and_never_returns(data):
    total = 5
    bad = data.draw(
        st.integers(total, 2**70)
        | st.integers(-(2**70), -total - 1)
        | st.lists(st.integers(-99, 99), min_size=1).filter(
            lambda numbers: any(not -total <= number < total for number in numbers)
        )
        | st.lists(st.booleans(), max_size=9).filter(lambda mask: 0 < len(mask) != total)
        | st.lists(st.floats(), min_size=1)
    )
    with folder() as path, CXIStore(put(path / "a.h5", {DATA: frames(total)})) as store:
        with pytest.raises((FrameIndexError, IndexError, TypeError)):
            store.load_attribute("data", bad)
        with pytest.raises((FrameIndexError, IndexError, TypeError)):
            store["data"][bad]


KINDS = {"scalar": (0, 1, 2), "sequence": (1, 2, 3), "frame": (2, 3), "stack": (3, 4)}
FAMILIES = {
    "float": ["float32", "float64"],
    "int": ["int8", "int16", "int32", "int64"],
    "uint": ["uint8", "uint16", "uint32", "uint64"],
    "bool": ["bool"],
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_what_was_saved_loads_again(kind, data):
    family = data.draw(st.sampled_from(list(FAMILIES)))
    dtype = data.draw(st.sampled_from(FAMILIES[family]))
    ndim = data.draw(st.sampled_from(KINDS[kind]))
    shape = data.draw(npst.array_shapes(min_dims=ndim, max_dims=ndim, max_side=5))
    value = data.draw(npst.arrays(dtype, shape))
    protocol = CXIProtocol({"x": family}, {"x": ["/a/b/x"]}, {"x": kind})
    with folder() as path:
        with CXIStore(path / "x.h5", mode="w", protocol=protocol) as store:
            store.save_attribute("x", value)
        with CXIStore(path / "x.h5", protocol=protocol) as store:
            loaded = store.load_attribute("x")
            np.testing.assert_array_equal(loaded, value, strict=True)
            assert store.describe("x") == (value.shape, value.dtype)
            if kind in ("sequence", "stack"):
                idxs = data.draw(frame_selections(len(value)))
                np.testing.assert_array_equal(store.load_attribute("x", idxs), picked(value, idxs))
            if kind in ("frame", "stack"):
                transform = data.draw(transforms(shape[-2:]))
                loaded = store.load_attribute("x", transform=transform)
                np.testing.assert_array_equal(loaded, transform.forward(value))
