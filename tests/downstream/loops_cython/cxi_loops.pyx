# cython: boundscheck=False, wraparound=False
"""Loops over frames in prange, without the GIL: kernels, and a prepared load."""

from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport parallel, prange
from libc.stdint cimport int64_t

from cxistack cimport capi

cdef const capi.cxistack_capi *cxi = capi.cxistack_import()


cdef int to_float(const unsigned short *src, float *dst, int64_t pixels) noexcept nogil:
    cdef capi.cxistack_pixels a, b
    a.data, a.type, a.swapped = <void *>src, capi.CXISTACK_UINT16, 0
    b.data, b.type, b.swapped = dst, capi.CXISTACK_FLOAT32, 0
    a.axes = b.axes = 1
    a.shape = b.shape = &pixels
    a.strides = b.strides = NULL
    return cxi.cast(&a, &b, 0)


def cast(const unsigned short[:, ::1] frames, float[:, ::1] out):
    """Cast frames, a thread for each of them."""
    cdef Py_ssize_t k
    cdef int64_t pixels = frames.shape[1]
    cdef int lost = 0
    for k in prange(frames.shape[0], nogil=True, num_threads=2):
        lost += to_float(&frames[k, 0], &out[k, 0], pixels)
    return lost


cdef int count_row(const unsigned short *src, const int64_t *shape, const int64_t *strides,
                   unsigned short least, int64_t *counts) noexcept nogil:
    cdef capi.cxistack_pixels a
    a.data, a.type, a.swapped = <void *>src, capi.CXISTACK_UINT16, 0
    a.axes, a.shape, a.strides = 2, shape, strides
    return cxi.count(&a, &least, NULL, 0, counts)


def count(const unsigned short[:, :, ::1] frames, unsigned short least, int64_t[:, ::1] counts):
    """Add how often each pixel is `least` or more, a thread for each row of the detector."""
    cdef Py_ssize_t y
    cdef int failed = 0
    cdef int64_t[2] shape, strides
    shape[0], shape[1] = frames.shape[0], frames.shape[2]
    strides[0], strides[1] = frames.strides[0], frames.strides[2]
    for y in prange(frames.shape[1], nogil=True, num_threads=2):
        failed += count_row(&frames[0, y, 0], shape, strides, least, &counts[y, 0]) != 0
    return failed


def load(capsule, float[:, :, ::1] out):
    """Read all frames of a load of float32, each into its place."""
    cdef char text[512]
    cdef void *handle = PyCapsule_GetPointer(capsule, "cxistack.load")
    cdef capi.cxistack_load *opened = cxi.open(handle, text, sizeof(text))
    cdef capi.cxistack_scratch *scratch
    cdef int64_t k, count
    cdef int failed = 0
    if opened == NULL:
        raise RuntimeError(text.decode())
    count = cxi.frame_count(opened)
    with nogil, parallel(num_threads=2):
        scratch = cxi.scratch_open(opened)
        for k in prange(count):
            failed += cxi.read(opened, &k, 1, &out[k, 0, 0], NULL, scratch, NULL, 0) != 0
        cxi.scratch_close(scratch)
    cxi.close(opened)
    return failed
