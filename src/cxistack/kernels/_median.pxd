# Medians of nine, for who has checked every bound.
from libc.stdint cimport int64_t

from cxistack.kernels.loop cimport Pass
from cxistack.kernels.rows cimport cxi_median
from cxistack.kernels.stacks cimport Stack


cdef struct Medians:
    cxi_median how
    Pass pixels             # to rows of native byte order
    Pass truth              # flags to rows of 0 and 1
    Pass results            # rows to where they go
    Stack src
    Stack dst
    const char *good        # of the first frame, or NULL
    Py_ssize_t good_frame   # from one frame's to the next


cdef enum:
    STRIP = 1024            # columns at a time, so that three rows of them stay in L1


# Rows start to stop of a frame.
cdef void median_rows(const Medians *m, int64_t frame, Py_ssize_t start,
                      Py_ssize_t stop) noexcept nogil
