# Row kernels on raw buffers, for Cython modules of other packages:
#
#     from cxistack.kernels.buffers cimport FITS, FLOAT32, UINT16, cast
#
# Functions need no GIL, allocate nothing, and check lengths. Lengths are in bytes; addresses need
# no alignment; source and target do not overlap. Work is done on the calling thread.
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint64_t

# Pixel types: values stay the same in all versions.
cdef enum:
    BOOL = 0
    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT32 = 9
    FLOAT64 = 10

# What functions return.
cdef enum:
    FITS = 0                # done, and every value is in the target
    LOST = 1                # done as by casting="unsafe", but a value did not fit
    BAD_ARGUMENT = -1       # nothing done: no such type, or a length that does not fit the others


# Bytes of a pixel, or 0 if there is no such type.
cdef size_t pixel_size(int pixel) noexcept nogil

# All pixels of src, in native byte order, to as many of dst.
cdef int cast(const void *src, size_t src_len, int src_pixel,
              void *dst, size_t dst_len, int dst_pixel) noexcept nogil

# The pixels at bytes first, first + step, ... of src, as many as dst holds; any sign of step.
cdef int cast_step(const void *src, size_t src_len, int src_pixel, size_t first, ptrdiff_t step,
                   void *dst, size_t dst_len, int dst_pixel) noexcept nogil

# The other byte order, for pixels of 1, 2, 4 or 8 bytes; src may be dst.
cdef int swap(const void *src, size_t src_len, size_t size,
              void *dst, size_t dst_len) noexcept nogil

# One byte for each pixel of integers or booleans: 1 where it has none of the bits.
cdef int good_pixels(const void *src, size_t src_len, int src_pixel, uint64_t bad_bits,
                     void *dst, size_t dst_len) noexcept nogil
