# Sums, squares, means, extremes and counts over frames, pixel by pixel.
from libc.stdint cimport int64_t

cimport numpy as cnp

from cxistack.kernels.rows cimport cxi_moment
from cxistack.kernels.sources cimport Source


# States are one value for each pixel of a frame, in C order; NULL: not wanted.
cdef struct Sums:
    Source frames
    Source mask
    bint masked
    const cxi_moment *how
    Py_ssize_t n                    # frames
    Py_ssize_t size                 # bytes of a pixel
    int64_t pixels                  # of a frame
    int64_t before                  # frames that the states have seen
    int64_t *count                  # good frames of each pixel; NULL while all are good
    char *total
    double *rest
    char *squares
    double *mean
    double *spread
    char *lowest
    char *highest
    int64_t *reached[2]
    char limits[2][8]


# Brings pixels start to stop of all frames into the states. Returns the pixel whose sum wraps,
# or -1.
cdef int64_t sum_up(const Sums *s, int64_t start, int64_t stop) noexcept nogil

# The same of arrays: of frames, of pixels of a native type, into states by their names; see
# accumulate. All of them are the caller's to keep alive.
cdef int set_sums(Sums *s, cnp.ndarray frames, cnp.dtype pixel, dict states, before,
                  mask) except -1
