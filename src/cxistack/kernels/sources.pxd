# Frames and masks, a tile of pixels at a time.
from libc.stdint cimport int64_t

cimport numpy as cnp

from cxistack.kernels.loop cimport Pass


# Pixels are numbered in C order within a frame, whatever the strides are.
cdef struct Source:
    Pass p
    bint direct             # pixels lie in that order already, as they are wanted


# Frames along the first axis, as pixels of a native type; the caller keeps the array.
cdef int set_source(Source *s, cnp.ndarray frames, cnp.dtype target) except -1
# Of frames, which pixels are good: one mask for all, or one for each. None is no mask: 0.
cdef int set_mask(Source *s, object mask, cnp.ndarray frames) except -1

# The same of memory, after set_rows: a frame's shape and strides, and from a frame to the next.
cdef void lay_source(Source *s, const char *at, int rank, const Py_ssize_t *shape,
                     const Py_ssize_t *steps, Py_ssize_t frame_step) noexcept nogil

# n pixels of a frame from one on; they are made in `scratch` unless they lie somewhere.
cdef const char *tile_of(const Source *s, Py_ssize_t frame, int64_t start, Py_ssize_t n,
                         char *scratch) noexcept nogil

# The frames' array and its pixels; what no reduction knows is refused.
cdef cnp.ndarray as_frames(object frames)
