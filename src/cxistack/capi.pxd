# The C interface, as Cython sees it: what each name means is said in cxistack/capi.h.
#
#     from cxistack cimport capi
#
#     cdef const capi.cxistack_capi *cxi = capi.cxistack_import()
#
# Compile with the folder that cxistack.get_include() returns.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t


cdef extern from "cxistack/capi.h" nogil:
    cdef enum:
        CXISTACK_ABI
        CXISTACK_API
        CXISTACK_TARGET_API

    cdef enum:
        CXISTACK_BOOL
        CXISTACK_INT8
        CXISTACK_INT16
        CXISTACK_INT32
        CXISTACK_INT64
        CXISTACK_UINT8
        CXISTACK_UINT16
        CXISTACK_UINT32
        CXISTACK_UINT64
        CXISTACK_FLOAT32
        CXISTACK_FLOAT64

    cdef enum:
        CXISTACK_OK
        CXISTACK_LOST
        CXISTACK_MORE
        CXISTACK_BAD_ARGUMENT
        CXISTACK_BAD_INDEX
        CXISTACK_NO_MEMORY
        CXISTACK_BAD_FILTER
        CXISTACK_BAD_CHUNK
        CXISTACK_DEAD_PIXEL
        CXISTACK_NOT_READ
        CXISTACK_CHANGED
        CXISTACK_NO_VALUE

    cdef enum:
        CXISTACK_MOST_AXES
        CXISTACK_UNSAFE
        CXISTACK_MEAN
        CXISTACK_LOWER

    ctypedef struct cxistack_pixels:
        void *data
        int32_t type
        int32_t swapped
        int32_t axes
        int32_t reserved
        const int64_t *shape
        const int64_t *strides

    ctypedef struct cxistack_axis:
        int64_t start
        int64_t step
        int64_t count

    ctypedef struct cxistack_filter:
        uint32_t number
        uint32_t count
        const uint32_t *values

    ctypedef struct cxistack_moments:
        int64_t frames
        int64_t *count
        void *total
        double *rest
        uint64_t *squares
        double *mean
        double *spread
        void *lowest
        void *highest

    ctypedef struct cxistack_codec:
        pass

    ctypedef struct cxistack_load:
        pass

    ctypedef struct cxistack_scratch:
        pass

    ctypedef struct cxistack_capi:
        uint32_t abi
        uint32_t api
        size_t size
        const char *(*explain)(int status) noexcept nogil
        size_t (*pixel_size)(int type) noexcept nogil
        int (*cast)(const cxistack_pixels *src, const cxistack_pixels *dst, int how) noexcept nogil
        int (*gather)(const cxistack_pixels *src, const int64_t *frames,
                      const cxistack_pixels *dst, int how) noexcept nogil
        int (*view)(const cxistack_pixels *src, const cxistack_axis *slow,
                    const cxistack_axis *fast, const cxistack_pixels *dst,
                    int how) noexcept nogil
        int (*bin)(const cxistack_pixels *src, int64_t slow, int64_t fast,
                   const cxistack_pixels *dst, int how) noexcept nogil
        cxistack_codec *(*codec_open)(const cxistack_filter *filters, size_t count,
                                      size_t chunk_bytes, int encodes,
                                      int *status) noexcept nogil
        void (*codec_close)(cxistack_codec *codec) noexcept nogil
        int (*decode)(cxistack_codec *codec, uint32_t mask, const void *src, size_t src_bytes,
                      void *dst, size_t dst_bytes) noexcept nogil
        const char *(*decode_error)(const cxistack_codec *codec) noexcept nogil
        size_t (*encode_bound)(const cxistack_codec *codec) noexcept nogil
        int (*encode)(cxistack_codec *codec, const void *src, void *dst, size_t dst_bytes,
                      size_t *stored) noexcept nogil
        cxistack_load *(*open)(void *handle, char *text, size_t text_bytes) noexcept nogil
        void (*close)(cxistack_load *load) noexcept nogil
        int64_t (*frame_count)(const cxistack_load *load) noexcept nogil
        int (*frame_shape)(const cxistack_load *load, int64_t *shape) noexcept nogil
        int (*frame_type)(const cxistack_load *load) noexcept nogil
        cxistack_scratch *(*scratch_open)(const cxistack_load *load) noexcept nogil
        void (*scratch_close)(cxistack_scratch *scratch) noexcept nogil
        int (*read)(const cxistack_load *load, const int64_t *frames, size_t count, void *dst,
                    const int64_t *strides, cxistack_scratch *scratch, char *text,
                    size_t text_bytes) noexcept nogil
        int (*median3x3)(const cxistack_pixels *src, const uint8_t *good,
                         const cxistack_pixels *dst) noexcept nogil
        int (*flat_field)(const cxistack_pixels *src, const void *dark, const void *white,
                          const uint8_t *good, double bad,
                          const cxistack_pixels *dst) noexcept nogil
        int (*above)(const cxistack_pixels *src, const void *least, const uint8_t *good,
                     size_t room, int64_t *numbers, void *values, size_t *found) noexcept nogil
        int (*accumulate)(const cxistack_pixels *src, const uint8_t *good, int64_t good_step,
                          cxistack_moments *moments) noexcept nogil
        int (*count)(const cxistack_pixels *src, const void *least, const uint8_t *good,
                     int64_t good_step, int64_t *counts) noexcept nogil
        size_t (*select_scratch)(const cxistack_pixels *src, size_t count) noexcept nogil
        int (*select)(const cxistack_pixels *src, const uint8_t *good, int64_t good_step,
                      const double *fractions, size_t count, const void *fill,
                      const cxistack_pixels *dst, int how, void *scratch,
                      size_t scratch_bytes) noexcept nogil


cdef extern from "cxistack/capi.h":
    const cxistack_capi *cxistack_import() except NULL
