# Bins, for who has checked every bound.
from libc.stdint cimport int64_t

from cxistack.kernels.loop cimport MAX_RANK, Pass
from cxistack.kernels.rows cimport cxi_bin


# The result's rows, numbered through all frames in C order. `pixels` brings source pixels into
# rows of native byte order; `results` casts finished bins and stores them.
cdef struct Bins:
    cxi_bin how
    bint mean
    bint truth                      # booleans: whether all pixels are True
    bint checked
    Pass pixels
    Pass results
    const char *src
    char *dst
    Py_ssize_t n_ss
    Py_ssize_t n_fs
    Py_ssize_t rows                 # of a result frame
    Py_ssize_t columns
    int rank                        # of the axes before the last two
    Py_ssize_t shape[MAX_RANK]
    Py_ssize_t src_step[MAX_RANK]
    Py_ssize_t dst_step[MAX_RANK]


# Rows start to stop, numbered through all frames. Returns the number of the bin at which a piece
# begins that lost a value, or -1.
cdef int64_t bin_rows(const Bins *b, int64_t start, int64_t stop) noexcept nogil
