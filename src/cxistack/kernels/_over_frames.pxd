# What C sums up, counts and ranks over frames; cxistack/capi.h says what each takes and returns.
from libc.stdint cimport int64_t, uint8_t

from cxistack.capi cimport cxistack_moments, cxistack_pixels


cdef int accumulate(const cxistack_pixels *src, const uint8_t *good, int64_t good_step,
                    cxistack_moments *moments) noexcept nogil
cdef int count(const cxistack_pixels *src, const void *least, const uint8_t *good,
               int64_t good_step, int64_t *counts) noexcept nogil
cdef size_t select_scratch(const cxistack_pixels *src, size_t count) noexcept nogil
cdef int select(const cxistack_pixels *src, const uint8_t *good, int64_t good_step,
                const double *fractions, size_t count, const void *fill,
                const cxistack_pixels *dst, int how, void *scratch,
                size_t scratch_bytes) noexcept nogil
