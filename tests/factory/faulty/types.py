"""Types that are no numbers, no text, or not those that the protocol says."""

import h5py
import numpy as np

from cxistack import CastError, LayoutError, StorageError

from ..values import DATA, DISTANCE, MASK, WHITEFIELD, frames
from .row import NAMES, TITLE, faulty, run


@faulty(
    LayoutError,
    r"complex numbers; 'whitefield' is real, unless you say dtype='complex64'",
    attr="whitefield",
    path=WHITEFIELD,
)
def complex_for_a_real_attribute(folder):
    """A compound of {r, i}: complex numbers, where real ones are expected."""
    return run(folder, {WHITEFIELD: np.ones((5, 7), "complex64")})


@faulty(LayoutError, r"of a compound type with the fields x, y, which is neither numbers nor text")
def compound_type(folder):
    """A table of records."""
    return run(folder, {DATA: np.zeros((2, 5, 7), [("x", "f4"), ("y", "f4")])})


@faulty(LayoutError, r"of an opaque type of 6 bytes, which is neither numbers nor text")
def opaque_type(folder):
    """Bytes without a meaning."""
    return run(folder, {DATA: np.zeros((2, 5, 7), "V6")})


@faulty(LayoutError, r"of a type of references, which is neither numbers nor text")
def reference_type(folder):
    """References to other objects (MATLAB writes cells so)."""
    name = run(folder)
    with h5py.File(name, "a") as h5:
        h5.create_dataset(DATA, (2, 5, 7), h5py.ref_dtype)
    return name


@faulty(LayoutError, r"of a type of variable-length rows of uint16, which is neither numbers nor")
def variable_length_type(folder):
    """Rows of different lengths."""
    name = run(folder)
    with h5py.File(name, "a") as h5:
        rows = h5.create_dataset(DATA, (2, 5), h5py.vlen_dtype("uint16"))
        rows[0, 0] = np.arange(7, dtype="uint16")
    return name


@faulty(LayoutError, r"of an array type, uint16 of \(5, 7\) each, which is neither numbers nor")
def array_type(folder):
    """Each element is an array: a stack whose frames are hidden in its type."""
    name = run(folder)
    with h5py.File(name, "a") as h5:
        h5.create_dataset(DATA, (2, 3), np.dtype(("uint16", (5, 7))))
    return name


@faulty(
    LayoutError,
    r"holds text, and 'distance' is of type float in the protocol",
    attr="distance",
    path=DISTANCE,
    rest=False,
    shows=True,
)
def text_for_a_number(folder):
    """A distance that was written as text."""
    return run(folder, {DISTANCE: "0.25 m"})


@faulty(LayoutError, r"holds float64, and 'title' is of type str in the protocol", **TITLE)
def number_for_text(folder):
    """A number where the protocol says text."""
    return run(folder, {"/title": 0.5})


@faulty(
    StorageError,
    r"holds text that is not UTF-8, although it says so: \\xb5m",
    shows=False,
    **TITLE,
)
def text_in_another_encoding(folder):
    """Text of Latin-1 in a dataset that says UTF-8."""
    text = np.array(b"\xb5m", h5py.string_dtype("utf-8", 4))
    return run(folder, {"/title": text})


@faulty(None, "", gives=frames(2, dtype="uint8") % 3, shows=False)
def enum_of_numbers(folder):
    """An enumeration that is no boolean: its numbers are what is stored, and come."""
    name = run(folder)
    with h5py.File(name, "a") as h5:
        dtype = h5py.enum_dtype({"DARK": 0, "DIM": 1, "BRIGHT": 2}, basetype="uint8")
        h5.create_dataset(DATA, data=frames(2, dtype="uint8") % 3, dtype=dtype)
    return name


@faulty(
    CastError, r"data is uint in the protocol but its data is float64.*give a dtype=", shows=False
)
def floats_for_counts(folder):
    """Floats where the protocol says unsigned integers: nobody said how to round them."""
    return run(folder, {DATA: frames(2, dtype="float64") / 2})


@faulty(
    CastError,
    r"1 value does not fit uint32; the first is nan",
    attr="distance",
    path=DISTANCE,
    ask={"dtype": "uint32"},
    rest=False,
    shows=False,
)
def nan_asked_as_an_integer(folder):
    """A distance of NaN, asked for as an unsigned integer."""
    return run(folder, {DISTANCE: np.nan})


@faulty(
    LayoutError,
    r"of type float64; a mask of convention 'cxi' is a bit field of integers",
    attr="mask",
    path=MASK,
)
def flags_that_are_floats(folder):
    """A mask of flags that was written as floats."""
    return run(folder, {MASK: np.ones((5, 7))})


@faulty(LayoutError, r"holds float64, and 'names' is of type str", file="second.cxi", **NAMES)
def files_of_text_and_numbers(folder):
    """Names that are text in one file and numbers in the other."""
    first = run(folder, {"/names": ["a", "b"]})
    return [first, run(folder, {"/names": [1.0, 2.0]}, "second.cxi")]


def _of_type(folder, dtype):
    """Write zeros of a type that h5py knows no name for."""
    name = run(folder)
    with h5py.File(name, "a") as h5:
        h5py.h5d.create(h5.id, DATA.encode(), dtype, h5py.h5s.create_simple((2, 5, 7)))
    return name


@faulty(LayoutError, r"has a type that NumPy does not have.*u3")
def integers_of_three_bytes(folder):
    """Integers of 24 bits, as some digitisers have."""
    dtype = h5py.h5t.STD_U32LE.copy()
    dtype.set_size(3)
    return _of_type(folder, dtype)


@faulty(LayoutError, r"has a type that NumPy does not have.*Time")
def time_type(folder):
    """HDF5's own type of times."""
    return _of_type(folder, h5py.h5t.UNIX_D32LE)
