# Stored chunks to the pixels above a threshold, for Cython modules that read them.
from libc.stdint cimport int64_t, uint32_t, uint64_t

cimport numpy as cnp

from cxistack.kernels._decode cimport cxi_bshuf, cxi_decoder, cxi_pipeline
from cxistack.kernels.hits cimport Hits


cdef extern from "decode/above.h" nogil:
    cdef struct cxi_above:
        uint32_t element
        int is_signed
        int is_big_endian
        uint64_t least
        const char *good

    cdef struct cxi_hits:
        int64_t *pixels
        char *values
        size_t count
        size_t room

    int cxi_above_check(const cxi_above *how) noexcept
    int cxi_bshuf_above(cxi_bshuf *it, const cxi_above *how, cxi_hits *hits) noexcept
    void cxi_above_raw(const char *src, size_t n, const cxi_above *how, size_t first,
                       cxi_hits *hits) noexcept


# What to look for in pixels of an integer type, as they are stored, from a value of it on. No mask
# is set.
cdef int set_above(cxi_above *how, cnp.dtype stored, object least) except -1

# All of a chunk whose only filter is bitshuffle with a codec, to a task of `hits`. Returns the
# decoders' status; after another than 0, the task has what was found before.
cdef int above_in_chunk(cxi_decoder *decoder, const cxi_pipeline *pipeline, uint32_t skip_mask,
                        const char *src, size_t src_len, const cxi_above *how, Hits hits,
                        Py_ssize_t task, char *scratch, size_t scratch_len) noexcept nogil

# A mask of pixels, each byte 0 or 1, as bits.
cdef cnp.ndarray mask_bits(cnp.ndarray mask)
