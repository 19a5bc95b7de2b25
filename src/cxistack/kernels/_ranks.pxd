# Values by their rank among frames, pixel by pixel.
from libc.stdint cimport int64_t, uint32_t

from cxistack.kernels.rows cimport cxi_rank
from cxistack.kernels.sources cimport Source


cdef struct Ranks:
    Source frames
    Source mask
    bint masked
    const cxi_rank *how
    Py_ssize_t n                # frames
    size_t size                 # bytes of a pixel
    const double *fractions
    Py_ssize_t wanted
    int64_t step                # bytes from the results of a fraction to those of the next


# CXI_RANKED pixels from `start` on, or fewer at the end: the values below and above the rank of
# each fraction, how many are good, and how many of these NaN. counts and nans have room for
# CXI_RANKED; the tile for as many of each frame, and lies where its type may.
cdef void rank_tile(const Ranks *r, int64_t start, Py_ssize_t width, char *tile, char *lows,
                    char *highs, uint32_t *counts, uint32_t *nans) noexcept nogil
