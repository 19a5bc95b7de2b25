# One pass over an array of any layout: pick, swap, cast, and store or stream.
from libc.stdint cimport int64_t, uint64_t

from cxistack.kernels.job cimport Job
from cxistack.kernels.rows cimport (
    cxi_cast, cxi_good, cxi_pick, cxi_range, cxi_rows, cxi_swap, cxi_within
)

cdef enum:
    MAX_RANK = 64


# What to do with every pixel, and where pixels are. Frames are what an index table chooses from;
# where there is no table, everything is one frame. Whoever fills it has checked every bound.
cdef struct Pass:
    const cxi_rows *rows
    cxi_cast cast                   # NULL: pixels keep their type
    cxi_good good                   # instead of a cast: which pixels have none of the bits, or NULL
    uint64_t bits
    cxi_within within               # or: which pixels lie in all of the ranges, or NULL
    const cxi_range *ranges
    size_t range_count
    bint both                       # with `within`: and are True in dst before
    cxi_pick pick                   # NULL: pixels of an odd size
    cxi_swap swap                   # NULL: pixels are in native byte order
    size_t src_size
    size_t dst_size
    bint checked                    # a lost value ends the pass
    bint stream                     # frames are dense in dst, and too large to stay in cache
    const char *src
    char *dst
    Py_ssize_t frames
    const int64_t *index            # source frame of each, or NULL
    const int64_t *at               # target frame of each, or NULL
    Py_ssize_t src_frame            # bytes from a frame to the next
    Py_ssize_t dst_frame
    Py_ssize_t frame_pixels
    int rank                        # of a frame, its axes coalesced; at least 1
    Py_ssize_t shape[MAX_RANK]
    Py_ssize_t src_step[MAX_RANK]
    Py_ssize_t dst_step[MAX_RANK]


# Bytes of a pixel, or 0 if there is no such type; which kernel moves pixels of a size, or -1.
cdef size_t pixel_size(int pixel) noexcept nogil
cdef int size_class(size_t size) noexcept nogil

cdef void set_rows(Pass *p, int src_pixel, int dst_pixel, bint swapped) noexcept nogil
cdef void set_good(Pass *p, uint64_t bits) noexcept nogil
cdef void set_within(Pass *p, int src_pixel, const cxi_range *ranges, size_t count,
                     bint both) noexcept nogil
cdef void set_opaque(Pass *p, size_t size) noexcept nogil
# Whether pixels keep type and value.
cdef bint is_moved(const Pass *p) noexcept nogil
cdef void set_axes(Pass *p, int rank, const Py_ssize_t *shape, const Py_ssize_t *src_step,
                   const Py_ssize_t *dst_step) noexcept nogil

# n pixels a step apart to a row. Non-zero: a value was lost. When pixels are cast and do not lie in
# a row of native byte order already, scratch is n of them large, and dst otherwise.
cdef int make_row(const Pass *p, const char *src, Py_ssize_t step, char *dst, size_t n,
                  char *scratch) noexcept nogil

# The same to any target, of any length. Returns at which pixel the piece that lost a value
# begins, or n.
cdef size_t row_to_memory(const Pass *p, const char *src, Py_ssize_t step, char *dst,
                          Py_ssize_t dst_step, size_t n) noexcept nogil

# How many units of work make a task; all of them, if threads would not pay.
cdef int64_t task_units(int64_t units, int64_t unit_bytes) noexcept nogil

# Whether a dense result of this size bypasses the caches.
cdef bint is_streamed(int64_t nbytes) noexcept nogil

# Pixels start to stop, numbered through all frames in C order. Returns where the row piece that
# first lost a value begins, or -1.
cdef int64_t run_pass(const Pass *p, int64_t start, int64_t stop) noexcept nogil

# The whole pass, on threads if it is large. `num_threads` is an int or None.
cdef int64_t execute(Pass *p, object num_threads) except -2


cdef class PassJob(Job):
    cdef Pass p
    cdef int64_t pixels
    cdef int64_t task_pixels
