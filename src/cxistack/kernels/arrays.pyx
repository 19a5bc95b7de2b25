"""What the entries of the kernels share: arrays in, dtypes, results out; all checks are here."""

cimport numpy as cnp
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uintptr_t

from cxistack.kernels.loop cimport Pass, set_opaque, set_rows
from cxistack.kernels.rows cimport cxi_range

import numpy as np

cnp.import_array()


cdef extern from "numpy/arrayobject.h":
    int PyArray_DescrConverter(object, cnp.PyArray_Descr **) except 0
    cnp.ndarray PyArray_NewFromDescr(type, cnp.PyArray_Descr *, int, cnp.npy_intp *,
                                     cnp.npy_intp *, void *, int, object)
    bint PyDataType_REFCHK(cnp.PyArray_Descr *)
    bint PyArray_EquivTypes(cnp.PyArray_Descr *, cnp.PyArray_Descr *)


# NumPy's type numbers -> pixel codes; `long` and `long long` may be the same integer.
cdef int _codes[24]
cdef int _k
for _k in range(24):
    _codes[_k] = OPAQUE
for _k, _name in enumerate(
    ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
     "float32", "float64")
):
    for _char in "?bhilqBHILQfd":
        if np.dtype(_char) == np.dtype(_name):
            _codes[np.dtype(_char).num] = _k


cdef int pixel_code(cnp.dtype dtype) noexcept:
    return _codes[dtype.type_num] if 0 <= dtype.type_num < 24 else OPAQUE


cdef bint _is_swapped(cnp.dtype dtype) noexcept:
    return not cnp.PyArray_IsNativeByteOrder(dtype.byteorder)


cdef cnp.dtype native(cnp.dtype dtype):
    # A pixel type in this machine's byte order; other types stay as they are.
    if pixel_code(dtype) != OPAQUE and _is_swapped(dtype):
        return dtype.newbyteorder("=")
    return dtype


cdef cnp.ndarray as_stack(object src):
    if cnp.PyArray_CheckExact(src):
        return src
    if not isinstance(src, np.ndarray):
        raise TypeError(f"The kernels take NumPy arrays, not {type(src).__name__}; "
                        "numpy.asarray makes one.")
    if isinstance(src, np.ma.MaskedArray):
        raise TypeError("The kernels do not know masked arrays and would lose the mask; "
                        "pass .data or .filled() instead.")
    return np.asarray(src)


cdef bint is_checked(object casting) except -1:
    if casting == "checked":
        return True
    if casting == "unsafe":
        return False
    raise ValueError(f'casting is "checked" or "unsafe", not {casting!r}')


cdef cnp.dtype _as_dtype(object dtype):
    cdef cnp.PyArray_Descr *descr = NULL
    PyArray_DescrConverter(dtype, &descr)
    result = <object>descr
    Py_DECREF(result)  # the converter's own reference
    return result


cdef cnp.dtype result_dtype(cnp.dtype default, object dtype, object out):
    cdef cnp.dtype target
    if dtype is None:
        if out is None:
            return default
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out is a NumPy array, not {type(out).__name__}")
        target = (<cnp.ndarray>out).dtype
    else:
        target = _as_dtype(dtype)
        if out is not None and isinstance(out, np.ndarray) and out.dtype != target:
            raise TypeError(f"out is of type {out.dtype}, but dtype asks for {target}; "
                            "leave one of them away.")
    if pixel_code(target) != OPAQUE and _is_swapped(target):
        raise TypeError(f"Results are written in this machine's byte order, not as {target.str}; "
                        f"use {target.newbyteorder('=').str}.")
    return target


cdef cnp.ndarray result_array(object out, int rank, const Py_ssize_t *shape, cnp.dtype dtype):
    cdef cnp.ndarray array
    cdef int i
    if out is None:
        Py_INCREF(dtype)  # the new array takes it over
        return PyArray_NewFromDescr(cnp.ndarray, <cnp.PyArray_Descr *>dtype, rank,
                                    <cnp.npy_intp *>shape, NULL, NULL, 0, None)
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out is a NumPy array, not {type(out).__name__}")
    array = out
    cdef bint fits = cnp.PyArray_NDIM(array) == rank
    if fits:
        for i in range(rank):
            fits = fits and cnp.PyArray_DIM(array, i) == shape[i]
    if not fits:
        expected = tuple([shape[i] for i in range(rank)])
        raise ValueError(f"out has shape {out.shape}, but the result has shape {expected}")
    if not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError("out is read-only")
    return array


cdef bint set_types(Pass *p, cnp.ndarray src, cnp.dtype target) except -1:
    cdef cnp.dtype dtype = src.dtype
    cdef int have = pixel_code(dtype)
    cdef int want = pixel_code(target)
    if have != OPAQUE and want != OPAQUE:
        set_rows(p, have, want, _is_swapped(dtype))
        return True
    if PyDataType_REFCHK(<cnp.PyArray_Descr *>dtype) or dtype.type_num > 2000:
        raise TypeError(f"Arrays of type {dtype} hold Python objects or variable-length strings, "
                        "not pixels; copy them with numpy.")
    if not PyArray_EquivTypes(<cnp.PyArray_Descr *>dtype, <cnp.PyArray_Descr *>target):
        raise TypeError(f"There is no cast from {dtype} to {target}: the kernels cast booleans, "
                        "integers of 8 to 64 bits, float32 and float64, and copy other types "
                        "as they are.")
    set_opaque(p, cnp.PyArray_ITEMSIZE(src))
    return True


_range = np.dtype([("low", "V8"), ("high", "V8"), ("outside", "i8")])
assert _range.itemsize == sizeof(cxi_range)


cdef cnp.ndarray range_table(object ranges, cnp.dtype dtype):
    # As the row kernels for pixels of a type read it.
    if pixel_code(dtype) == OPAQUE:
        raise TypeError(f"Pixels of type {dtype} are not compared here: only booleans, integers of "
                        "8 to 64 bits, float32 and float64.")
    pixel = np.dtype("u1") if dtype.kind == c"b" else native(dtype)
    rows = []
    for low, high, outside in ranges:
        ends = []
        for end in (low, high):
            try:
                value = pixel.type(end)
            except OverflowError:
                value = None
            if value is None or value.item() != end:
                raise ValueError(f"{end} is no value of {pixel}, with which pixels are compared")
            ends.append(value.tobytes())
        rows.append((*ends, bool(outside)))
    return np.array(rows, _range)


cdef void _extent(cnp.ndarray a, uintptr_t *low, uintptr_t *high) noexcept:
    cdef int i
    cdef Py_ssize_t reach
    low[0] = high[0] = <uintptr_t>cnp.PyArray_BYTES(a)
    for i in range(cnp.PyArray_NDIM(a)):
        reach = (cnp.PyArray_DIM(a, i) - 1) * cnp.PyArray_STRIDE(a, i)
        if reach < 0:
            low[0] -= <uintptr_t>(-reach)
        else:
            high[0] += <uintptr_t>reach
    high[0] += <uintptr_t>cnp.PyArray_ITEMSIZE(a)


cdef bint overlap(cnp.ndarray a, cnp.ndarray b) noexcept:
    # By extents, so interleaved arrays count as overlapping too: that costs a copy, never a pixel.
    cdef uintptr_t a_low, a_high, b_low, b_high
    if cnp.PyArray_SIZE(a) == 0 or cnp.PyArray_SIZE(b) == 0:
        return False
    _extent(a, &a_low, &a_high)
    _extent(b, &b_low, &b_high)
    return a_low < b_high and b_low < a_high
