"""A virtual dataset that shows some rows of its sources gives those rows, by whatever way."""

import h5py
import numpy as np
import pytest

from cxistack import Crop, CXIProtocol, CXIStore, LinkError
from factory import DATA, frames

WAYS = {
    "contiguous": {},
    "gzip": {"chunks": (2, 5, 7), "compression": "gzip"},
    "through h5py": {"chunks": (2, 5, 7), "compression": "lzf"},
}


@pytest.fixture(params=WAYS)
def run(request, tmp_path):
    """Return the name of a virtual dataset of rows 2 to 4, 0 to 2 and 3 to 5 of its sources."""
    spans = [(2, 5), (0, 3), (3, 6)]
    layout = h5py.VirtualLayout((9, 5, 7), "uint16")
    for number, (first, last) in enumerate(spans):
        with h5py.File(tmp_path / f"source_{number}.h5", "w") as h5:
            values = frames(6, start=1000 * number)
            h5.create_dataset("/frames", data=values, **WAYS[request.param])
        source = h5py.VirtualSource(f"source_{number}.h5", "/frames", (6, 5, 7))
        layout[3 * number : 3 * number + 3] = source[first:last]
    with h5py.File(tmp_path / "virtual.cxi", "w") as h5:
        h5.create_virtual_dataset(DATA, layout)
    expected = [
        frames(6, start=1000 * number)[first:last] for number, (first, last) in enumerate(spans)
    ]
    return str(tmp_path / "virtual.cxi"), np.concatenate(expected)


@pytest.mark.parametrize("idxs", [None, [8, 0, 4, 4], slice(None, None, -2), [3]])
def test_rows_are_those_that_are_mapped(run, idxs):
    name, expected = run
    chosen = expected if idxs is None else expected[idxs]
    store = CXIStore(name)
    assert "source_" in store.explain("data", idxs)
    np.testing.assert_array_equal(store.load_attribute("data", idxs), chosen)
    part = store.load_attribute("data", idxs, transform=Crop([1, 3, 2, 6]), dtype="float32")
    np.testing.assert_array_equal(part, chosen[:, 1:3, 2:6])


def nest(folder, values, depth):
    """Write virtual datasets over one another in one file; return its name."""
    name = folder / "nested.h5"
    with h5py.File(name, "w", libver="latest") as h5:
        h5["v0"] = values
        for k in range(depth):
            layout = h5py.VirtualLayout(values.shape, values.dtype)
            layout[...] = h5py.VirtualSource(".", f"v{k}", values.shape)
            h5.create_virtual_dataset(f"v{k + 1}", layout, fillvalue=9)
        h5[DATA] = h5py.SoftLink(f"/v{depth}")
    return name


@pytest.mark.parametrize("depth", [1, 17, 21, 60, 299])
def test_virtual_datasets_are_followed_as_deep_as_hdf5_does(tmp_path, depth):
    values = np.arange(24, dtype="u2").reshape(2, 3, 4)
    name = nest(tmp_path, values, depth)
    with h5py.File(name) as h5:
        np.testing.assert_array_equal(h5[DATA][...], values)
    np.testing.assert_array_equal(CXIStore(name).load_attribute("data"), values)


def test_a_nest_too_deep_is_not_called_a_circle(tmp_path):
    name = nest(tmp_path, np.ones((1, 2, 3), "u2"), 310)
    with pytest.raises(LinkError, match=r"nested\.h5:/v\d+: more than 300 virtual datasets are"):
        CXIStore(name).load_attribute("data")


def test_a_source_that_many_share_is_looked_at_once(tmp_path):
    stack = np.arange(2 * 5 * 7, dtype="u2").reshape(2, 5, 7)
    depth = 40  # of two datasets each, that both stand on both below: 2**40 ways down
    with h5py.File(tmp_path / "diamond.h5", "w") as h5:
        h5["a0"], h5["b0"] = stack, stack[::-1]
        for level in range(1, depth + 1):
            for name, frame in (("a", 0), ("b", 1)):
                layout = h5py.VirtualLayout(stack.shape, "u2")
                for k, source in enumerate((f"a{level - 1}", f"b{level - 1}")):
                    layout[k] = h5py.VirtualSource(".", source, stack.shape)[frame]
                h5.create_virtual_dataset(f"{name}{level}", layout)
    protocol = CXIProtocol({"data": "number"}, {"data": [f"/a{depth}"]}, {"data": "stack"})
    found = CXIStore(tmp_path / "diamond.h5", protocol=protocol).load_attribute("data")
    a, b = stack, stack[::-1]
    for _ in range(depth):  # the same by NumPy: HDF5 would take all ways
        a, b = np.stack([a[0], b[0]]), np.stack([a[1], b[1]])
    np.testing.assert_array_equal(found, a)
