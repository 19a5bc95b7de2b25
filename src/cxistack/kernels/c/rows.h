/* The table of row kernels: one per SIMD level, all with the same results, bit for bit. */
#ifndef CXISTACK_ROWS_H
#define CXISTACK_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* Pixel types, in the order of every table below. */
enum cxi_pixel {
    CXI_BOOL,
    CXI_INT8, CXI_INT16, CXI_INT32, CXI_INT64,
    CXI_UINT8, CXI_UINT16, CXI_UINT32, CXI_UINT64,
    CXI_FLOAT32, CXI_FLOAT64,
    CXI_PIXELS
};

/* A row is n pixels one after another, at any address; src and dst do not overlap (except that
 * swap may work in place). A cast returns non-zero when a value was lost: a fraction, NaN,
 * infinity or out-of-range value to an integer, or a finite value that became infinite. */
typedef int (*cxi_cast)(const char *src, char *dst, size_t n);

/* Every step bytes (any sign, zero too) one pixel of the picker's size, into a row. */
typedef void (*cxi_pick)(const char *src, ptrdiff_t step, char *dst, size_t n);

/* A row of pixels of the other byte order. */
typedef void (*cxi_swap)(const char *src, char *dst, size_t n);

/* Whole cache lines past the caches: dst is 64-byte aligned, n a multiple of 64. */
typedef void (*cxi_stream)(const char *src, char *dst, size_t n);

/* dst[i] = (src[i] & bits) == 0. */
typedef void (*cxi_good)(const char *src, char *dst, size_t n, uint64_t bits);

/* Values from low to high, both included, of the pixel type that they are compared with; or, where
 * `outside` is not 0, all others. */
struct cxi_range {
    char low[8], high[8];
    int64_t outside;
};

/* dst[i] = whether src[i] lies in all of `count` ranges; with `both`, and dst[i] was 1 before. */
typedef void (*cxi_within)(const char *src, char *dst, size_t n, const struct cxi_range *ranges,
                           size_t count, int both);

/* The size classes of picks, swaps and flags: 1, 2, 4, 8 and 16 bytes are numbers 0 to 4. */
enum { CXI_SIZES = 5 };

/* How pixels of one type are binned. Lanes and totals are aligned scratch; they begin as zeros, or
 * as ones for booleans, and both add and fold add to what is there. */
enum { CXI_BIN_ROWS = 32767 };      /* rows that lanes can hold before they are folded */

struct cxi_bin {
    int sum_pixel, mean_pixel;      /* types of the result */
    size_t lane_size, total_size;
    void (*add)(const char *src, void *lanes, size_t n);
    void (*fold)(const void *lanes, size_t n_fs, void *totals, size_t n);
    /* Totals to results, which are a row; count is the bin's pixels. Non-zero: a sum overflowed. */
    int (*sum)(const void *totals, double count, char *dst, size_t n);
    int (*mean)(const void *totals, double count, char *dst, size_t n);
};

/* Where a piece of a result row comes to be, in L1. */
enum { CXI_LANES = 1024 };
struct cxi_bin_scratch {
    char lanes[CXI_LANES * 16] __attribute__((aligned(64)));
    char totals[CXI_LANES * 16] __attribute__((aligned(64)));
    char pixels[CXI_LANES * 8] __attribute__((aligned(64)));
    char results[CXI_LANES * 8] __attribute__((aligned(64)));
};

/* Sums and the like of several frames, pixel by pixel: k rows of as many frames, in their order. */
struct cxi_moment {
    int sum_lane, square_lane;      /* pixel types of what sum and squares add to */
    /* Returns the first pixel whose 64-bit sum wraps, or n; `rest` is of floats alone. */
    size_t (*sum)(const char *const *rows, size_t k, void *lanes, void *rest, size_t n);
    /* Of up to 16 bits, otherwise NULL: sums, and sums of squares. */
    void (*squares)(const char *const *rows, size_t k, void *lanes, void *squares, size_t n);
    /* Of more than 16 bits, otherwise NULL. */
    void (*spread)(const char *const *rows, size_t k, double *counts, double *means,
                   double *spreads, size_t n);
    void (*lowest)(const char *const *rows, size_t k, void *state, size_t n);
    void (*highest)(const char *const *rows, size_t k, void *state, size_t n);
    void (*reached)(const char *const *rows, size_t k, const void *limit, uint32_t *lanes,
                    size_t n);
};

enum {
    CXI_MOMENT_FRAMES = 65536,      /* that 32-bit lanes can hold of 16-bit pixels or 8-bit squares */
    CXI_MOMENT_ROWS = 4,            /* at a time */
    CXI_TILE = 1024                 /* pixels of a row */
};

struct cxi_rows {
    const char *name;
    cxi_cast cast[CXI_PIXELS][CXI_PIXELS];  /* [source][target] */
    cxi_pick pick[CXI_SIZES];
    cxi_swap swap[CXI_SIZES];               /* NULL where there is nothing to swap */
    cxi_good good[CXI_SIZES];               /* NULL for 16 bytes */
    cxi_within within[CXI_PIXELS];
    cxi_stream stream;
    struct cxi_bin bin[CXI_PIXELS];
    struct cxi_moment moment[CXI_PIXELS];
};

extern const struct cxi_rows cxi_rows_portable;
extern const struct cxi_rows cxi_rows_avx2;
extern const struct cxi_rows cxi_rows_avx512;

#endif
