# A prepared load, as the C interface reads it.
from libc.stdint cimport int64_t

from cxistack.capi cimport cxistack_load, cxistack_scratch


cdef cxistack_load *open_load(void *handle, char *text, size_t text_bytes) noexcept nogil
cdef void close_load(cxistack_load *load) noexcept nogil
cdef int64_t frame_count(const cxistack_load *load) noexcept nogil
cdef int frame_shape(const cxistack_load *load, int64_t *shape) noexcept nogil
cdef int frame_type(const cxistack_load *load) noexcept nogil
cdef cxistack_scratch *scratch_open(const cxistack_load *load) noexcept nogil
cdef void scratch_close(cxistack_scratch *scratch) noexcept nogil
cdef int read_frames(const cxistack_load *load, const int64_t *frames, size_t count, void *dst,
                     const int64_t *strides, cxistack_scratch *scratch, char *text,
                     size_t text_bytes) noexcept nogil
