# What the entries of the kernels share: arrays in, dtypes, results out.
from libc.stdint cimport int64_t

cimport numpy as cnp

from cxistack.kernels.loop cimport Pass

cdef enum:
    OPAQUE = -1         # moved as bytes, never cast


cdef cnp.ndarray as_stack(object src)
cdef bint is_checked(object casting) except -1
cdef int pixel_code(cnp.dtype dtype) noexcept
cdef cnp.dtype native(cnp.dtype dtype)
cdef cnp.dtype result_dtype(cnp.dtype default, object dtype, object out)
cdef cnp.ndarray result_array(object out, int rank, const Py_ssize_t *shape, cnp.dtype dtype)
cdef bint set_types(Pass *p, cnp.ndarray src, cnp.dtype target) except -1
cdef cnp.ndarray range_table(object ranges, cnp.dtype dtype)
cdef bint overlap(cnp.ndarray a, cnp.ndarray b) noexcept
