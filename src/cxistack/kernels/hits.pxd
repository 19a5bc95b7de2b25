# Pixels found by tasks that do not know of one another, joined in order.
from libc.stdint cimport int64_t

cimport numpy as cnp

from cxistack.kernels.job cimport Job


# What a task has found; `frames` is NULL where the caller knows of which frame it is.
cdef struct Found:
    int64_t *frames
    int64_t *pixels
    char *values
    size_t count
    size_t room


cdef class Hits:
    cdef readonly Py_ssize_t tasks
    cdef Found *found
    cdef size_t _size
    cdef bint _has_frames

    cdef void _drop(self, Py_ssize_t task) noexcept nogil
    cdef bint _resize(self, Found *one, size_t room) noexcept nogil
    # Room for so many more of a task; False: there is no memory.
    cdef bint reserve(self, Py_ssize_t task, size_t more) noexcept nogil
    # Gives back what a finished task did not use.
    cdef void trim(self, Py_ssize_t task) noexcept nogil
    # As (frames, pixels, values) of the tasks named, in that order, each with the number given for
    # its frame, or (-1) those it wrote. A task may be named several times. Once: nothing is left.
    cdef tuple joined(self, const int64_t[::1] tasks, const int64_t[::1] numbers, cnp.dtype dtype,
                      object num_threads)
