# The C encoders as Cython sees them, and a pipeline made from HDF5's own words.
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint32_t

from cxistack.kernels._decode cimport cxi_pipeline


cdef extern from "encode/encode.h" nogil:
    cdef struct cxi_encoding:
        cxi_pipeline pipeline
        int level[8]

    cdef struct cxi_encoder:
        pass

    const char *cxi_encode_explain(ptrdiff_t error) noexcept
    int cxi_encoder_open(cxi_encoder *encoder, const cxi_encoding *encoding,
                         const char *simd) noexcept
    void cxi_encoder_close(cxi_encoder *encoder) noexcept
    int cxi_encode_check(const cxi_encoding *encoding) noexcept
    size_t cxi_encode_bound(const cxi_encoding *encoding) noexcept
    size_t cxi_encode_scratch(const cxi_encoding *encoding) noexcept
    ptrdiff_t cxi_encode_chunk(cxi_encoder *encoder, const cxi_encoding *encoding, const char *src,
                               size_t src_len, char *dst, size_t dst_len, char *scratch,
                               size_t scratch_len) noexcept


# What the parameters of filter i say of how hard it tries; the filter is in the pipeline already.
cdef void set_level(cxi_encoding *encoding, int i, const uint32_t *values,
                    size_t n) noexcept nogil


cdef class EncodePipeline:
    # Never changes after it was made, so threads share it.
    cdef cxi_encoding c
    cdef readonly tuple filters
    cdef readonly size_t nbytes
    cdef readonly size_t bound
    cdef readonly size_t scratch_bytes
