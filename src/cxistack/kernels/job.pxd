# Work cut into tasks that threads take from a shared counter.
from libc.stdint cimport int64_t


cdef class Job:
    cdef readonly Py_ssize_t tasks
    cdef int64_t _next
    cdef int64_t _done
    cdef int64_t _stopped
    cdef int64_t _first_bad

    # Does task k; non-zero means that no task after it matters any more.
    cdef int run_task(self, Py_ssize_t k) noexcept nogil
    # For run_task: something at this offset does not fit; the smallest one is kept.
    cdef void report_bad(self, int64_t offset) noexcept nogil
    # For long tasks: whether to give up.
    cdef bint stopped(self) noexcept nogil
