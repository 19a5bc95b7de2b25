# The C row kernels and the sink, as Cython sees them.
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from "rows.h" nogil:
    cdef enum:
        CXI_BOOL
        CXI_INT32
        CXI_UINT32
        CXI_PIXELS
        CXI_SIZES

    ctypedef int (*cxi_cast)(const char *src, char *dst, size_t n) noexcept nogil
    ctypedef void (*cxi_pick)(const char *src, ptrdiff_t step, char *dst, size_t n) noexcept nogil
    ctypedef void (*cxi_swap)(const char *src, char *dst, size_t n) noexcept nogil
    ctypedef void (*cxi_stream)(const char *src, char *dst, size_t n) noexcept nogil
    ctypedef void (*cxi_good)(const char *src, char *dst, size_t n, uint64_t bits) noexcept nogil

    cdef struct cxi_range:
        char low[8]
        char high[8]
        int64_t outside

    ctypedef void (*cxi_within)(const char *src, char *dst, size_t n, const cxi_range *ranges,
                                size_t count, int both) noexcept nogil

    cdef enum:
        CXI_BIN_ROWS
        CXI_LANES

    cdef struct cxi_bin:
        int sum_pixel
        int mean_pixel
        size_t lane_size
        size_t total_size
        void (*add)(const char *src, void *lanes, size_t n) noexcept nogil
        void (*fold)(const void *lanes, size_t n_fs, void *totals, size_t n) noexcept nogil
        int (*sum)(const void *totals, double count, char *dst, size_t n) noexcept nogil
        int (*mean)(const void *totals, double count, char *dst, size_t n) noexcept nogil

    cdef struct cxi_bin_scratch:
        char *lanes
        char *totals
        char *pixels
        char *results

    cdef struct cxi_moment:
        int sum_lane
        int square_lane
        size_t (*sum)(const char *const *rows, size_t k, void *lanes, void *rest,
                      size_t n) noexcept nogil
        void (*squares)(const char *const *rows, size_t k, void *lanes, void *squares,
                        size_t n) noexcept nogil
        void (*spread)(const char *const *rows, size_t k, double *counts, double *means,
                       double *spreads, size_t n) noexcept nogil
        void (*lowest)(const char *const *rows, size_t k, void *state, size_t n) noexcept nogil
        void (*highest)(const char *const *rows, size_t k, void *state, size_t n) noexcept nogil
        void (*reached)(const char *const *rows, size_t k, const void *limit, uint32_t *lanes,
                        size_t n) noexcept nogil

    cdef enum:
        CXI_MOMENT_FRAMES
        CXI_MOMENT_ROWS
        CXI_TILE

    cdef struct cxi_rows:
        const char *name
        cxi_cast cast[11][11]
        cxi_pick pick[5]
        cxi_swap swap[5]
        cxi_good good[5]
        cxi_within within[11]
        cxi_stream stream
        cxi_bin bin[11]
        cxi_moment moment[11]


cdef extern from "levels.h" nogil:
    int cxi_levels(const cxi_rows **tables) noexcept


cdef extern from "sink.h" nogil:
    cdef enum:
        CXI_SINK

    cdef struct cxi_sink:
        cxi_stream stream

    void cxi_sink_open(cxi_sink *sink, char *dst) noexcept
    char *cxi_sink_next(cxi_sink *sink) noexcept
    size_t cxi_sink_room(const cxi_sink *sink) noexcept
    char *cxi_sink_dst(const cxi_sink *sink) noexcept
    void cxi_sink_put(cxi_sink *sink, size_t n, size_t size) noexcept
    void cxi_sink_close(cxi_sink *sink) noexcept
    void cxi_sink_pass(cxi_sink *sink, const char *src, size_t n) noexcept
    void cxi_fence() noexcept


cdef extern from "scatter.h" nogil:
    void cxi_pick_any(const char *src, ptrdiff_t step, char *dst, size_t n, size_t size) noexcept
    void cxi_scatter(const char *src, char *dst, ptrdiff_t step, size_t n, size_t size) noexcept
    void cxi_exchange(char *row, char *buffer, const int *index, ptrdiff_t n, size_t size,
                      int back) noexcept


cdef extern from "atomics.h" nogil:
    int64_t cxi_atomic_add(int64_t *at, int64_t n) noexcept
    int64_t cxi_atomic_load(const int64_t *at) noexcept
    void cxi_atomic_store(int64_t *at, int64_t value) noexcept
    void cxi_atomic_min(int64_t *at, int64_t value) noexcept
    int64_t cxi_atomic_take(int64_t *at, int64_t limit) noexcept
