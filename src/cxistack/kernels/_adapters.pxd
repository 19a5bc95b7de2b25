# The kernels as the C interface calls them; cxistack/capi.h says what each takes and returns.
from libc.stdint cimport int64_t, uint8_t, uint32_t

from cxistack.capi cimport (
    CXISTACK_MOST_AXES, cxistack_axis, cxistack_codec, cxistack_filter, cxistack_pixels
)


# Pixels of which every number was checked.
cdef struct Checked:
    char *at
    int type
    int rank
    bint swapped
    bint is_dense
    int64_t pixels
    Py_ssize_t size
    Py_ssize_t shape[CXISTACK_MOST_AXES]
    Py_ssize_t steps[CXISTACK_MOST_AXES]


# Whether pixels make sense: those that are read, or those of a result.
cdef bint take_pixels(Checked *c, const cxistack_pixels *p, bint is_read) noexcept nogil
# Whether they have as many axes, and of these first to last are as long.
cdef bint is_alike(const Checked *a, const Checked *b, int first, int last) noexcept nogil

cdef const char *explain(int status) noexcept nogil
cdef size_t pixel_size(int type) noexcept nogil
cdef int cast(const cxistack_pixels *src, const cxistack_pixels *dst, int how) noexcept nogil
cdef int gather(const cxistack_pixels *src, const int64_t *frames, const cxistack_pixels *dst,
                int how) noexcept nogil
cdef int view(const cxistack_pixels *src, const cxistack_axis *slow, const cxistack_axis *fast,
              const cxistack_pixels *dst, int how) noexcept nogil
cdef int bin(const cxistack_pixels *src, int64_t slow, int64_t fast, const cxistack_pixels *dst,
             int how) noexcept nogil
cdef int median3x3(const cxistack_pixels *src, const uint8_t *good,
                   const cxistack_pixels *dst) noexcept nogil
cdef int flat_field(const cxistack_pixels *src, const void *dark, const void *white,
                    const uint8_t *good, double bad, const cxistack_pixels *dst) noexcept nogil
cdef int above(const cxistack_pixels *src, const void *least, const uint8_t *good, size_t room,
               int64_t *numbers, void *values, size_t *found) noexcept nogil

cdef cxistack_codec *codec_open(const cxistack_filter *filters, size_t count, size_t chunk_bytes,
                                int encodes, int *status) noexcept nogil
cdef void codec_close(cxistack_codec *codec) noexcept nogil
cdef int decode(cxistack_codec *codec, uint32_t mask, const void *src, size_t src_bytes, void *dst,
                size_t dst_bytes) noexcept nogil
cdef const char *decode_error(const cxistack_codec *codec) noexcept nogil
cdef size_t encode_bound(const cxistack_codec *codec) noexcept nogil
cdef int encode(cxistack_codec *codec, const void *src, void *dst, size_t dst_bytes,
                size_t *stored) noexcept nogil
