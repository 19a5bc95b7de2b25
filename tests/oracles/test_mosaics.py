"""However a virtual dataset is put together, it is read as h5py and NumPy have it."""

import itertools
import shutil

import h5py
import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from cxistack import CXIProtocol, CXIStore, LayoutError
from factory.loads import check, loads
from factory.mosaics import Mosaic, Plain, mosaics, write

PATH = "/virtual"
FAMILIES = {"b": "bool", "i": "int", "u": "uint", "f": "float"}
PROTOCOLS = {
    kind: CXIProtocol({"data": family}, {"data": [PATH]}, {"data": "stack"})
    for kind, family in FAMILIES.items()
}
numbers = itertools.count()


@settings(max_examples=250)
@given(mosaic=mosaics(), data=st.data())
def test_any_virtual_dataset_is_read_as_h5py_has_it(tmp_path_factory, mosaic, data):
    folder = tmp_path_factory.getbasetemp() / f"mosaic_{next(numbers)}"
    folder.mkdir()
    try:
        whole, overlaps = write(folder, "virtual.h5", PATH, mosaic)
        with h5py.File(folder / "virtual.h5") as h5:
            theirs = h5[PATH][...]
        event(f"pieces overlap: {overlaps}")
        if not overlaps:  # of pixels in no piece, HDF5 forgets some where others overlap
            np.testing.assert_array_equal(whole, theirs)
        with CXIStore(folder / "virtual.h5", protocol=PROTOCOLS[whole.dtype.kind]) as store:
            try:
                told = store.explain("data")
            except LayoutError as error:
                if overlaps and "HDF5 does not fill" in str(error):
                    event("refused")
                    return
                raise
            event(f"beside libhdf5: {'beside libhdf5' in told}")
            event(f"is virtual: {'it is virtual' in told}")
            for _ in range(3):
                event(check(store, whole, data.draw(loads(whole.shape))))
    finally:
        shutil.rmtree(folder)


def plain(*shape):
    return Plain(shape=shape, dtype="<u2", storage="bitshuffle", chunks=shape)


def box(*axes):
    return tuple((start, 1, 1, width) for start, width in axes)


def load(folder, mosaic):
    whole, _ = write(folder, "virtual.h5", PATH, mosaic)
    with CXIStore(folder / "virtual.h5", protocol=PROTOCOLS["u"]) as store:
        return whole, store.load_attribute("data")


def test_the_gap_of_a_source_lies_over_what_was_mapped_before_it(tmp_path):
    first, second = box((0, 1), (0, 1), (0, 1)), box((0, 1), (0, 1), (1, 1))
    before = Mosaic((1, 1, 1), "u2", None, [(first, first, plain(1, 1, 1), False)])
    with_gap = Mosaic((1, 1, 2), "u2", 5, [(second, second, plain(1, 1, 2), False)])
    mappings = [
        (box((1, 1), (0, 1), (0, 1)), first, plain(1, 1, 1), False),
        (first, first, before, False),
        (first, first, with_gap, False),
    ]
    whole, loaded = load(tmp_path, Mosaic((2, 1, 1), "u2", 5, mappings))
    assert whole[0, 0, 0] == 5
    np.testing.assert_array_equal(loaded, whole)


@pytest.mark.parametrize("fill", [5, None])
def test_gaps_that_hdf5_does_not_fill_are_filled_or_refused(tmp_path, fill):
    overlapping = [box((0, 1), (0, 1), (0, width)) for width in (2, 3)]
    inner = [(one, one, plain(1, 1, 5), False) for one in overlapping]
    whole_row = box((0, 1), (0, 1), (0, 5))
    mappings = [(whole_row, whole_row, Mosaic((1, 1, 5), "u2", 5, inner), False)]
    mosaic = Mosaic((2, 1, 5), "u2", fill, mappings)
    if fill is None:
        with pytest.raises(LayoutError, match="HDF5 does not fill"):
            load(tmp_path, mosaic)
        return
    whole, loaded = load(tmp_path, mosaic)
    np.testing.assert_array_equal(loaded, whole)
