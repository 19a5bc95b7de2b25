"""The table of the C interface, called through ctypes: what it does is what C gets."""

import ctypes as c
import re
from pathlib import Path

import numpy as np

import cxistack
from cxistack import _capi

INTEGERS = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
TYPES = ["bool", *INTEGERS, "float32", "float64"]
HEADER = Path(cxistack.get_include()) / "cxistack" / "capi.h"

_pointer = c.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = c.c_void_p, [c.py_object, c.c_char_p]


def constants():
    """Return the numbers that the header names."""
    return {
        name: int(number)
        for name, number in re.findall(r"(CXISTACK_\w+) = (-?\d+)", HEADER.read_text())
    }


def fields():
    """Return the names of the table's functions, in order, each with its API."""
    table = (
        HEADER.read_text().split("typedef struct cxistack_capi {")[1].split("} cxistack_capi;")[0]
    )
    found, api = [], 0
    for since, name in re.findall(r"since API (\d+)|^    \w[\w ]*\*?\(\*(\w+)\)\(", table, re.M):
        if since:
            api = int(since)
        else:
            found.append((name, api))
    return found


def pointed(capsule, name):
    return _pointer(capsule, name)


class Pixels(c.Structure):
    _fields_ = [
        ("data", c.c_void_p),
        ("type", c.c_int32),
        ("swapped", c.c_int32),
        ("axes", c.c_int32),
        ("reserved", c.c_int32),
        ("shape", c.POINTER(c.c_int64)),
        ("strides", c.POINTER(c.c_int64)),
    ]


class Axis(c.Structure):
    _fields_ = [("start", c.c_int64), ("step", c.c_int64), ("count", c.c_int64)]


class Filter(c.Structure):
    _fields_ = [("number", c.c_uint32), ("count", c.c_uint32), ("values", c.POINTER(c.c_uint32))]


class Moments(c.Structure):
    STATES = ("count", "total", "rest", "squares", "mean", "spread", "lowest", "highest")
    _fields_ = [("frames", c.c_int64), *[(name, c.c_void_p) for name in STATES]]


def pixels(array):
    """Return what tells C of an array, which stays the caller's to keep."""
    lengths = c.c_int64 * array.ndim
    return Pixels(
        array.ctypes.data,
        TYPES.index(array.dtype.name),
        not array.dtype.isnative,
        array.ndim,
        0,
        lengths(*array.shape),
        lengths(*array.strides),
    )


def function(name, result=c.c_int):
    """Return a function of the table."""
    number = [one for one, _ in fields()].index(name)
    table = c.cast(pointed(_capi.table, b"cxistack._capi.table"), c.POINTER(c.c_void_p))
    return c.CFUNCTYPE(result)(table[2 + number])  # after abi, api and size


def call(name, *arguments):
    """Call a function that returns a status; arrays become what tells C of them."""
    return function(name)(*map(_argument, arguments))


def _argument(one):
    if isinstance(one, np.ndarray):
        return c.byref(pixels(one))
    if isinstance(one, c.Structure):
        return c.byref(one)
    if isinstance(one, float):
        return c.c_double(one)
    return c.c_int64(one) if isinstance(one, int) else one


def address(array):
    return c.c_void_p(None if array is None else array.ctypes.data)
