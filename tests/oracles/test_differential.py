"""However frames are stored and whatever is asked of them, the engine gives what h5py gives."""

import contextlib
import itertools

import h5py
import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from cxistack import CXIProtocol, CXIStore
from factory.loads import check, loads
from factory.pipelines import OWN_CODECS, PIPELINES, TYPES, Recipe, file_type, write

PATH = "/frames"
FAMILIES = {"b": "bool", "i": "int", "u": "uint", "f": "float"}
PROTOCOLS = {
    kind: CXIProtocol({"data": family}, {"data": [PATH]}, {"data": "stack"})
    for kind, family in FAMILIES.items()
}
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
