"""Any calls on one store, one after the other: each gives what plain h5py and NumPy give.

What a call leaves behind for the next must not be seen: whatever is asked, in whatever order, and
whatever its caller does to what he got.
"""

from pathlib import Path

import h5py
import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from cxistack import CXIProtocol, CXIStore
from factory.folders import fast_folder
from factory.loads import check, loads
from factory.pipelines import OWN_CODECS, PIPELINES

PROTOCOLS = {
    kind: CXIProtocol({"data": family}, {"data": ["/frames"]}, {"data": "stack"})
    for kind, family in {"b": "bool", "i": "int", "u": "uint", "f": "float"}.items()
}
DTYPES = ["bool", "uint8", "<u2", ">u2", "int16", "<i4", "<u4", ">i4", "int64", "<f4", ">f4", "f8"]
LAYOUTS = ["one file", "many files", "virtual", "external links"]
CALLS = 10


@st.composite
def stored(draw):
    """Draw the layout, the frames of each file, and how a dataset is stored."""
    layout = draw(st.sampled_from(LAYOUTS))
    files = 1 if layout == "one file" else draw(st.integers(1, 3))
    counts = [draw(st.integers(1, 7)) for _ in range(files)]
    shape = (draw(st.sampled_from([1, 3, 8, 17])), draw(st.sampled_from([1, 4, 9, 40])))
    pipeline = draw(st.sampled_from([None, *OWN_CODECS, "lzf"]))  # None: contiguous
    chunk = None
    if pipeline is not None:
        tile = tuple(-(-n // draw(st.sampled_from([1, 1, 2, 3]))) for n in shape)
        chunk = (draw(st.sampled_from([1, 1, 2, 3, 5])), *tile)
    return layout, counts, shape, pipeline, chunk, draw(st.sampled_from(DTYPES))


def values(count, shape, dtype, seed):
    """Return few large numbers among small ones, which a narrower type takes or refuses."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, (count, *shape)).astype(bool)
    if dtype.kind == "f":
        return rng.normal(0, 100, (count, *shape)).round(1).astype(dtype)
    small = rng.poisson(2.0, (count, *shape))
    large = rng.integers(0, min(2**40, np.iinfo(dtype).max), small.shape)
    return np.where(rng.random(small.shape) < 0.03, large, small).astype(dtype)


def write(folder, drawn):
    """Write the files; return the names of those that a store opens."""
    layout, counts, shape, pipeline, chunk, dtype = drawn
    options = {} if pipeline is None else {"chunks": chunk, **PIPELINES[pipeline]}
    if pipeline is not None:
        options["maxshape"] = (None, *shape)
    names = []
    for number, count in enumerate(counts):
        names.append(folder / f"part_{number}.h5")
        with h5py.File(names[-1], "w") as h5:
            frames = values(count, shape, dtype, number)
            h5.create_dataset("/frames", data=frames, **options)
    if layout == "virtual":
        virtual, begin = h5py.VirtualLayout((sum(counts), *shape), dtype), 0
        for name, count in zip(names, counts, strict=True):
            source = h5py.VirtualSource(name.name, "/frames", (count, *shape))
            virtual[begin : begin + count] = source
            begin += count
        with h5py.File(folder / "run.h5", "w", libver="latest") as h5:
            h5.create_virtual_dataset("/frames", virtual)
        return [folder / "run.h5"], names
    if layout == "external links":
        with h5py.File(folder / "run.h5", "w") as h5:
            for number, name in enumerate(names):
                h5[f"/frames/part_{number}"] = h5py.ExternalLink(name.name, "/frames")
        return [folder / "run.h5"], names
    return names, names


def axis(size):
    number = st.integers(-size, size - 1)
    bound = st.none() | st.integers(-size - 1, size + 1)
    step = st.none() | st.integers(-3, 3).filter(bool)
    return st.one_of(number, number, st.builds(slice, bound, bound, step))


@st.composite
def keys(draw, shape):
    """Draw an index of a lazy array: ints mostly, slices, and lists of frames."""
    first = st.one_of(axis(shape[0]), st.lists(st.integers(-shape[0], shape[0] - 1), max_size=6))
    key = [draw(first)]
    for size in shape[1 : 1 + draw(st.sampled_from([0, 0, 0, 1, 2]))]:
        key.append(draw(axis(size) if not isinstance(key[0], list) else st.just(slice(1, None))))
    return tuple(key)


def spoil(array):
    """Do to a result what its caller may do: nobody else may see it."""
    if isinstance(array, np.ndarray) and array.flags.writeable:
        array[...] = 1 if array.dtype.kind == "b" else 77


@settings(max_examples=150)
@given(drawn=stored(), data=st.data())
def test_any_sequence_of_calls_on_one_store(drawn, data):
    dtype = np.dtype(drawn[-1])
    with fast_folder() as scratch:
        names, parts = write(Path(scratch), drawn)
        whole = []
        for part in parts:
            with h5py.File(part) as h5:
                whole.append(h5["/frames"][...])
        whole = np.concatenate(whole)
        with CXIStore(names, protocol=PROTOCOLS[dtype.kind]) as store:
            lazy = store["data"]
            for _ in range(CALLS):
                how = data.draw(st.sampled_from(["load", "load", "index", "index", "go through"]))
                event(how)
                if how == "load":
                    check(store, whole, data.draw(loads(whole.shape)))
                elif how == "index":
                    key = data.draw(keys(whole.shape))
                    got = lazy[key]
                    np.testing.assert_array_equal(got, whole[_as_numpy(key)])
                    assert np.shape(got) == whole[_as_numpy(key)].shape
                    spoil(got)
                else:
                    stop = data.draw(st.integers(1, len(whole)))
                    for frame, expected in zip(lazy, whole[:stop], strict=False):
                        np.testing.assert_array_equal(frame, expected)
                        spoil(frame)
            loaded = store.load_attribute("data", verbose=False)
            np.testing.assert_array_equal(loaded, whole)


def _as_numpy(key):
    first = key[0]
    return (np.array(first, int), *key[1:]) if isinstance(first, list) else key
