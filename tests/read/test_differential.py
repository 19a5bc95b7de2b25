"""However frames are stored and whatever is asked of them, the engine gives what h5py gives."""

import contextlib
import itertools

import h5py
import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from cxistack import (
    CastError,
    ComposeTransforms,
    Crop,
    CXIProtocol,
    CXIStore,
    Downscale,
    Mirror,
)
from factory.pipelines import OWN_CODECS, PIPELINES, TYPES, Recipe, file_type, write

PATH = "/frames"
FAMILIES = {"b": "bool", "i": "int", "u": "uint", "f": "float"}
PROTOCOLS = {
    kind: CXIProtocol({"data": family}, {"data": [PATH]}, {"data": "stack"})
    for kind, family in FAMILIES.items()
}
TARGETS = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
TARGETS += ["float32", "float64"]
names = itertools.count()


@st.composite
def recipes(draw):
    rank = draw(st.sampled_from([3, 3, 3, 4, 5]))
    lead = tuple(draw(st.integers(1, 3)) for _ in range(rank - 3))
    side = st.sampled_from([1, 2, 3, 5, 8, 9, 16, 33])
    shape = (draw(st.integers(1, 6)), *lead, draw(side), draw(st.one_of(side, st.just(130))))
    frame = (1, *shape[1:])
    chunks = draw(
        st.one_of(
            st.none(),
            st.just(frame),
            st.just(shape),
            st.tuples(*(st.integers(1, n + 2) for n in shape)),
            st.tuples(st.integers(1, 8), *map(st.just, shape[1:])),
            st.tuples(st.just(1), *(st.integers(max(1, n // 3), n) for n in shape[1:])),
        )
    )
    if chunks is not None and np.prod(chunks) * 40 < np.prod(shape):
        chunks = frame  # thousands of tiny chunks take h5py too long to write
    mostly = st.lists(st.sampled_from([True, True, False]), min_size=1, max_size=4).map(tuple)
    return Recipe(
        shape,
        chunks,
        draw(st.sampled_from(TYPES)),
        draw(st.sampled_from(sorted(PIPELINES))),
        draw(st.sampled_from([None, None, 0, 1, 3, "never"])),
        draw(st.one_of(st.just((True,)), mostly)),
        draw(
            st.one_of(st.just((0,)), st.lists(st.integers(0, 3), max_size=4, min_size=1)).map(tuple)
        ),
        draw(st.sampled_from(["earliest", "latest"])),
        draw(st.sampled_from([0, 0, 512])),
        draw(st.integers(0, 3)),
    )


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


def is_fast(recipe):
    """Tell whether a dataset must be read beside libhdf5; None where either way will do."""
    if recipe.kind in ("float16", "12 bits") or recipe.fill == "never":
        return False
    if recipe.chunks is None or recipe.pipeline == "none":
        return True
    if recipe.pipeline not in OWN_CODECS:
        return False
    has_edges = any(n % c for n, c in zip(recipe.shape, recipe.chunks, strict=True))
    return None if has_edges else True  # an edge chunk of just its raw size is ambiguous


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


@settings(max_examples=700)
@given(recipe=recipes(), data=st.data())
def test_any_load_of_any_dataset_is_as_h5py_has_it(tmp_path_factory, recipe, data):
    path = tmp_path_factory.getbasetemp() / f"drawn_{next(names)}.h5"
    try:
        write(path, PATH, recipe)
        with h5py.File(path) as h5:
            whole = h5[PATH][...]
        if recipe.fill == "never" and (not all(recipe.written) or recipe.chunks is None):
            return  # what was never written has no value: nothing to compare with
        protocol = PROTOCOLS[file_type(recipe.kind)[1].kind]
        with CXIStore(path, protocol=protocol) as store:
            told = store.explain("data")
            event(f"beside libhdf5: {'beside libhdf5' in told}")
            if is_fast(recipe) is not None:
                assert ("read beside libhdf5" in told) == is_fast(recipe), told
            for _ in range(4):
                event(check(store, whole, data.draw(loads(recipe.shape))))
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("pipeline", sorted(PIPELINES))
def test_every_pipeline_of_every_type_and_by_which_way(tmp_path, pipeline, kind):
    recipe = Recipe((4, 16, 130), (2, 16, 130), kind, pipeline, 1, (True, False))
    write(tmp_path / "a.h5", PATH, recipe)
    with h5py.File(tmp_path / "a.h5") as h5:
        whole = h5[PATH][...]
    with CXIStore(tmp_path / "a.h5", protocol=PROTOCOLS[whole.dtype.kind]) as store:
        assert ("read beside libhdf5" in store.explain("data")) == is_fast(recipe)
        for idxs in (None, [3, 0, 0, -4, 1]):
            loaded = store.load_attribute("data", idxs)
            expected = whole if idxs is None else whole[idxs]
            np.testing.assert_array_equal(loaded, expected)
