"""However a virtual dataset is put together, it is read as h5py and NumPy have it."""

import itertools
import shutil

import h5py
import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from cxistack import CXIProtocol, CXIStore
from factory.loads import check, loads
from factory.mosaics import mosaics, write

PATH = "/virtual"
FAMILIES = {"b": "bool", "i": "int", "u": "uint", "f": "float"}
PROTOCOLS = {
    kind: CXIProtocol({"data": family}, {"data": [PATH]}, {"data": "stack"})
    for kind, family in FAMILIES.items()
}
numbers = itertools.count()


@settings(max_examples=400)
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
            told = store.explain("data")
            event(f"beside libhdf5: {'beside libhdf5' in told}")
            event(f"is virtual: {'it is virtual' in told}")
            for _ in range(3):
                event(check(store, whole, data.draw(loads(whole.shape))))
    finally:
        shutil.rmtree(folder)
