/* One SIMD level's row kernels: meson compiles this file once per level, each with its flags. */
#include "rows.h"
#include "row_types.h"

#include <float.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "bin_rows.h"
#include "cast_rows.h"
#include "limit_rows.h"
#include "moment_rows.h"
#include "move_rows.h"

#define JOIN(a, b) a##b
#define TABLE(level) JOIN(cxi_rows_, level)
#define TEXT(x) #x
#define NAME(level) TEXT(level)

const struct cxi_rows TABLE(CXI_LEVEL) = {
    .name = NAME(CXI_LEVEL),
    .cast = {CASTS_FROM(b1), CASTS_FROM(i1), CASTS_FROM(i2), CASTS_FROM(i4), CASTS_FROM(i8),
             CASTS_FROM(u1), CASTS_FROM(u2), CASTS_FROM(u4), CASTS_FROM(u8), CASTS_FROM(f4),
             CASTS_FROM(f8)},
    .pick = {pick_0, pick_1, pick_2, pick_3, pick_4},
    .swap = {NULL, swap_1, swap_2, swap_3, NULL},
    .good = {good_0, good_1, good_2, good_3, NULL},
    .within = {within_b1, within_i1, within_i2, within_i4, within_i8, within_u1, within_u2, within_u4,
               within_u8, within_f4, within_f8},
    .stream = stream_lines,
    .bin = BINS,
    .moment = MOMENTS,
};
