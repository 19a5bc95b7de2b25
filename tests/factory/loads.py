"""Loads as a user may ask for them, drawn by hypothesis, and what must come of each."""

import numpy as np
import pytest
from hypothesis import strategies as st

from cxistack import CastError, ComposeTransforms, Crop, Downscale, Mirror

__all__ = ["check", "loads"]

TARGETS = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
TARGETS += ["float32", "float64"]


def indices(count):
    within = st.integers(-count, count - 1)
    return st.one_of(
        st.none(),
        within,
        st.slices(count),
        st.lists(within, max_size=8),
        st.lists(st.booleans(), min_size=count, max_size=count).map(lambda m: np.array(m, bool)),
    )


@st.composite
def transforms(draw, shape):
    """Return a transform, or None, and what it does to an array as NumPy would say it."""
    steps, doings = [], []
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 3]))):
        how = draw(st.sampled_from(["crop", "stride", "mirror", "sum", "mean"]))
        if how == "crop":
            edges = [sorted(draw(st.tuples(*[st.integers(0, n)] * 2))) for n in shape]
            if any(low == high for low, high in edges):
                continue
            (a, b), (c, d) = edges
            steps.append(Crop([a, b, c, d]))
            doings.append(lambda x, a=a, b=b, c=c, d=d: x[..., a:b, c:d])
            shape = (b - a, d - c)
        elif how == "mirror":
            axis = draw(st.integers(0, 1))
            steps.append(Mirror(axis, shape))
            doings.append(lambda x, axis=axis: np.flip(x, axis - 2))
        else:
            n = draw(st.integers(1, 4))
            if how == "stride":
                steps.append(Downscale(n))
                doings.append(lambda x, n=n: x[..., ::n, ::n])
                shape = (-(-shape[0] // n), -(-shape[1] // n))
            elif min(shape) >= n:
                steps.append(Downscale(n, mode=how))
                doings.append(lambda x, n=n, how=how: binned(x, n, how))
                shape = (shape[0] // n, shape[1] // n)
                break  # types of bins of bins are another test's
    if not steps:
        return None, lambda x: x
    transform = steps[0] if len(steps) == 1 else ComposeTransforms(steps)

    def do(x):
        for one in doings:
            x = one(x)
        return x

    return transform, do


def binned(x, n, how):
    rows, columns = x.shape[-2] // n, x.shape[-1] // n
    squares = x[..., : rows * n, : columns * n].reshape(*x.shape[:-2], rows, n, columns, n)
    if x.dtype.kind == "b":
        return squares.all(axis=(-3, -1))
    if how == "mean":
        return squares.astype(np.float64).mean(axis=(-3, -1))
    wide = {"i": np.int64, "u": np.uint64, "f": np.float64}[x.dtype.kind]
    return squares.sum(axis=(-3, -1), dtype=wide)


@st.composite
def loads(draw, shape):
    transform, do = draw(transforms(shape[-2:]))
    return {
        "idxs": draw(indices(shape[0])),
        "transform": transform,
        "do": do,
        "dtype": draw(st.one_of(st.none(), st.sampled_from(TARGETS))),
        "casting": draw(st.sampled_from(["checked", "unsafe"])),
        "out": draw(st.sampled_from(["new", "new", "given", "strided", "mirrored", "swapped"])),
        "threads": draw(st.sampled_from([1, 2, 3])),
    }


def changes(values, dtype):
    """Tell whether a checked cast must refuse, by exact arithmetic."""
    if dtype.kind == "b" or values.dtype.kind == "b":
        return False
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return bool((np.isfinite(values) & ~np.isfinite(values.astype(dtype))).any())
    limits = np.iinfo(dtype)
    return any(
        v != int(v) or not limits.min <= int(v) <= limits.max for v in values.ravel().tolist()
    )


def place(result_shape, dtype, how):
    if how == "given":
        return np.empty(result_shape, dtype)
    if how == "strided":
        wide = np.empty((2 * result_shape[0], *result_shape[1:-1], 3 * result_shape[-1] + 1), dtype)
        return wide[::2, ..., 1::3]
    if how == "mirrored":
        return np.empty(result_shape, dtype)[::-1, ..., ::-1]
    if how == "swapped":
        return np.empty(result_shape, dtype.newbyteorder(">"))
    return None


def check(store, whole, load):
    """Load once and compare; return what came of it."""
    idxs = load["idxs"]
    rows = slice(None) if idxs is None else [idxs] if isinstance(idxs, int) else idxs
    rows = np.array(rows, int) if isinstance(rows, list) else rows
    values = load["do"](whole[rows])
    dtype = np.dtype(load["dtype"]) if load["dtype"] else values.dtype.newbyteorder("=")
    unsafe_float = values.dtype.kind == "f" and dtype.kind in "iu"
    casting = "checked" if unsafe_float else load["casting"]  # undefined in C where it overflows
    is_binned = any(mode in repr(load["transform"]) for mode in ("'sum'", "'mean'"))
    if unsafe_float and is_binned:
        return "passed over"  # whether a sum of fractions is whole depends on the order of adding
    refused = casting == "checked" and changes(values, dtype)
    out = place(values.shape, dtype, load["out"])
    arguments = {"transform": load["transform"], "casting": casting}
    arguments |= {
        "dtype": None if out is not None else load["dtype"],
        "num_threads": load["threads"],
    }
    if refused:
        with pytest.raises(CastError):
            store.load_attribute("data", idxs, out=out, verbose=False, **arguments)
        return "refused"
    with np.errstate(over="ignore", invalid="ignore"):
        expected = values.astype(dtype)
    loaded = store.load_attribute("data", idxs, out=out, verbose=False, **arguments)
    assert out is None or loaded is out
    assert loaded.shape == expected.shape
    assert loaded.dtype.newbyteorder("=") == dtype
    if is_binned and values.dtype.kind == "f":
        np.testing.assert_allclose(loaded, expected, rtol=1e-6, atol=1e-9)
    else:
        np.testing.assert_array_equal(loaded, expected)
    return "loaded"
