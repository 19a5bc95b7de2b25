# Corrections of frames, for who has checked every bound.
from libc.stdint cimport int64_t

from cxistack.kernels.loop cimport Pass
from cxistack.kernels.rows cimport cxi_flat, cxi_flat_row, cxi_sink
from cxistack.kernels.stacks cimport Stack


cdef struct Correction:
    cxi_flat how
    cxi_flat_row row
    Pass pixels             # to rows of the type that is computed with
    Pass results            # from there to where they go
    Stack src
    Stack dst
    Py_ssize_t dark_frame   # bytes from one frame's to the next, 0 where all have the same
    Py_ssize_t white_frame
    Py_ssize_t good_frame
    bint is_plain           # pixels lie in rows of that type
    bint stream


# Pixels at to stop of a frame, through a sink or (NULL) not; whether all have a result.
cdef bint correct_block(const Correction *c, int64_t frame, Py_ssize_t at, Py_ssize_t stop,
                        cxi_sink *sink) noexcept nogil
