# The C decoders as Cython sees them, and a pipeline made from HDF5's own words.
from libc.stdint cimport uint32_t


cdef extern from "decode/decode.h" nogil:
    cdef enum:
        CXI_DEFLATE
        CXI_SHUFFLE
        CXI_FLETCHER32
        CXI_LZ4
        CXI_BITSHUFFLE
        CXI_ZSTD
        CXI_CODEC_NONE
        CXI_CODEC_LZ4
        CXI_MAX_FILTERS

    cdef enum:
        CXI_DECODED
        CXI_NO_MEMORY
        CXI_TRUNCATED
        CXI_WRONG_SIZE

    cdef struct cxi_filter:
        int kind
        uint32_t element
        uint32_t block
        int codec

    cdef struct cxi_pipeline:
        int n
        cxi_filter filter[8]
        size_t chunk_bytes

    cdef struct cxi_unshuffle:
        const char *name
        void (*planes)(const char *src, char *dst, size_t n, size_t element) noexcept nogil
        int (*lz4)(const char *src, size_t len, char *dst, size_t size) noexcept nogil

    cdef struct cxi_decoder:
        const cxi_unshuffle *unshuffle

    cdef struct cxi_bshuf:
        size_t index
        size_t offset
        size_t bytes
        size_t block_bytes
        const char *src

    const char *cxi_decode_error(int status) noexcept
    int cxi_decoder_open(cxi_decoder *decoder, const char *level) noexcept
    void cxi_decoder_close(cxi_decoder *decoder) noexcept
    int cxi_decode_check(const cxi_pipeline *pipeline) noexcept
    size_t cxi_decode_scratch(const cxi_pipeline *pipeline) noexcept
    int cxi_decode_chunk(cxi_decoder *decoder, const cxi_pipeline *pipeline, uint32_t skip_mask,
                         const char *src, size_t src_len, char *dst, size_t dst_len,
                         char *scratch, size_t scratch_len) noexcept
    int cxi_bshuf_open(cxi_bshuf *it, cxi_decoder *decoder, const cxi_filter *filter,
                       size_t chunk_bytes, const char *src, size_t src_len, char *scratch,
                       size_t scratch_len) noexcept
    int cxi_bshuf_next(cxi_bshuf *it, char *dst) noexcept
    void cxi_bshuf_seek(cxi_bshuf *it, size_t index, const char *src) noexcept


# One filter by its number and parameters; -1: none that is known, or parameters that are wrong.
cdef int set_filter(cxi_filter *f, uint32_t kind, const uint32_t *values, size_t n) noexcept nogil


cdef class Pipeline:
    # Never changes after it was made, so threads share it.
    cdef cxi_pipeline c
    cdef readonly tuple filters
    cdef readonly size_t nbytes
    cdef readonly size_t scratch_bytes
