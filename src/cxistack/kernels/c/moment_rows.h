/* Sums, squares, extremes and counts of several frames, pixel by pixel; included once by each SIMD
 * level. */

/* Each kernel takes k rows of as many frames, in their order. Four frames at a time are taken in
 * registers, so that a state is loaded and stored once for them. */
#define MOMENT_ROWS const char *const *rows, size_t k

#define EACH_FRAME(s, load, step, store)                                                          \
    size_t f = 0;                                                                                 \
    for (; f + 4 <= k; f += 4) {                                                                  \
        const s *restrict a = (const s *)rows[f], *restrict b = (const s *)rows[f + 1],           \
                *restrict c = (const s *)rows[f + 2], *restrict d = (const s *)rows[f + 3];       \
        for (size_t i = 0; i < n; i++) {                                                          \
            load step(a[i]) step(b[i]) step(c[i]) step(d[i]) store                                \
        }                                                                                         \
    }                                                                                             \
    for (; f < k; f++) {                                                                          \
        const s *restrict a = (const s *)rows[f];                                                 \
        for (size_t i = 0; i < n; i++) {                                                          \
            load step(a[i]) store                                                                 \
        }                                                                                         \
    }

/* Sums that cannot overflow: the caller folds 32-bit lanes in time, and knows how many frames
 * 64-bit ones have seen. */
#define SUM_LOAD(lane) lane t = q[i];
#define SUM_STEP(x) t += (x);
#define TRUE_STEP(x) t += (x) != 0;
#define SUM_STORE q[i] = t;
#define SUM(s, lane, step)                                                                        \
    static size_t sum_##s(MOMENT_ROWS, void *state, void *unused, size_t n)                       \
    {                                                                                             \
        lane *restrict q = state;                                                                 \
        (void)unused;                                                                             \
        EACH_FRAME(s, SUM_LOAD(lane), step, SUM_STORE)                                            \
        return n;                                                                                 \
    }

SUM(b1, uint32_t, TRUE_STEP)
SUM(i1, int32_t, SUM_STEP)
SUM(i2, int32_t, SUM_STEP)
SUM(i4, int64_t, SUM_STEP)
SUM(u1, uint32_t, SUM_STEP)
SUM(u2, uint32_t, SUM_STEP)
SUM(u4, uint64_t, SUM_STEP)

/* Pixels of 64 bits: a sum that wraps is noticed after the row, and looked for. */
#define WRAPS_SIGNED(before, x, after) ((((before) ^ (after)) & ((x) ^ (after))) >> 63)
#define WRAPS_UNSIGNED(before, x, after) ((after) < (x))
#define SUM_CHECKED(s, wraps)                                                                     \
    static size_t sum_##s(MOMENT_ROWS, void *state, void *unused, size_t n)                       \
    {                                                                                             \
        uint64_t *restrict q = state;                                                             \
        (void)unused;                                                                             \
        for (size_t f = 0; f < k; f++) {                                                          \
            const u8 *restrict a = (const u8 *)rows[f];                                           \
            uint64_t wrapped = 0;                                                                 \
            for (size_t i = 0; i < n; i++) {                                                      \
                const uint64_t before = q[i], x = a[i], after = before + x;                       \
                wrapped |= wraps(before, x, after);                                               \
                q[i] = after;                                                                     \
            }                                                                                     \
            if (wrapped != 0)                                                                     \
                for (size_t i = 0; i < n; i++)                                                    \
                    if (wraps(q[i] - a[i], a[i], q[i]))                                           \
                        return i;                                                                 \
        }                                                                                         \
        return n;                                                                                 \
    }

SUM_CHECKED(i8, WRAPS_SIGNED)
SUM_CHECKED(u8, WRAPS_UNSIGNED)

/* Floats: what each addition rounds away is exact (Knuth's TwoSum) and is summed beside, as in
 * Neumaier's sum; of a total that is no longer finite there is no rest. */
#define FLOAT_LOAD double t = q[i]; double r = e[i];
#define FLOAT_STORE q[i] = t; e[i] = r;
#define FLOAT_STEP(x)                                                                             \
    {                                                                                             \
        const double y = (x), sum = t + y, part = sum - t;                                        \
        const double lost = (t - (sum - part)) + (y - part);                                      \
        r += __builtin_fabs(sum) <= DBL_MAX ? lost : 0.0;                                         \
        t = sum;                                                                                  \
    }
#define SUM_FLOAT(s)                                                                              \
    static size_t sum_##s(MOMENT_ROWS, void *state, void *beside, size_t n)                       \
    {                                                                                             \
        double *restrict q = state;                                                               \
        double *restrict e = beside;                                                              \
        EACH_FRAME(s, FLOAT_LOAD, FLOAT_STEP, FLOAT_STORE)                                        \
        return n;                                                                                 \
    }

SUM_FLOAT(f4)
SUM_FLOAT(f8)

/* Of up to 16 bits, sums and the sums of squares together, exact. */
#define SQUARES_LOAD(lane, square) lane t = q[i]; square v = e[i];
#define SQUARES_STEP(x) t += (x); v += (uint32_t)(x) * (uint32_t)(x);
#define SQUARES_STORE q[i] = t; e[i] = v;
#define SQUARES(s, lane, square)                                                                  \
    static void squares_##s(MOMENT_ROWS, void *state, void *beside, size_t n)                     \
    {                                                                                             \
        lane *restrict q = state;                                                                 \
        square *restrict e = beside;                                                              \
        EACH_FRAME(s, SQUARES_LOAD(lane, square), SQUARES_STEP, SQUARES_STORE)                    \
    }

SQUARES(i1, int32_t, uint32_t)
SQUARES(u1, uint32_t, uint32_t)

/* Four squares of 16 bits fit 32 bits but for extreme values: they are widened once. */
#define SQUARES_OF_FOUR(s, lane, is_extreme)                                                      \
    SQUARES(s, lane, uint64_t)                                                                    \
    static void four_squares_##s(MOMENT_ROWS, void *state, void *beside, size_t n)                \
    {                                                                                             \
        lane *restrict q = state;                                                                 \
        uint64_t *restrict e = beside;                                                            \
        if (k != 4) {                                                                             \
            squares_##s(rows, k, state, beside, n);                                               \
            return;                                                                               \
        }                                                                                         \
        const s *restrict a = (const s *)rows[0], *restrict b = (const s *)rows[1],               \
                *restrict c = (const s *)rows[2], *restrict d = (const s *)rows[3];               \
        u2 extreme = 0;                                                                           \
        for (size_t i = 0; i < n; i++)                                                            \
            extreme |= is_extreme(a[i]) | is_extreme(b[i]) | is_extreme(c[i]) | is_extreme(d[i]); \
        if (extreme != 0) {                                                                       \
            squares_##s(rows, k, state, beside, n);                                               \
            return;                                                                               \
        }                                                                                         \
        for (size_t i = 0; i < n; i++) {                                                          \
            const lane w = a[i], x = b[i], y = c[i], z = d[i];                                    \
            q[i] += w + x + y + z;                                                                \
            e[i] += (uint32_t)(w * w) + (uint32_t)(x * x) + (uint32_t)(y * y) + (uint32_t)(z * z); \
        }                                                                                         \
    }

#define TOP_BIT(x) (u2)((x) & 0x8000)
#define IS_LEAST(x) (u2)((x) == INT16_MIN)

SQUARES_OF_FOUR(i2, int32_t, IS_LEAST)
SQUARES_OF_FOUR(u2, uint32_t, TOP_BIT)

static void squares_b1(MOMENT_ROWS, void *state, void *beside, size_t n)
{
    sum_b1(rows, k, state, NULL, n);
    sum_b1(rows, k, beside, NULL, n);
}

/* Mean, and sum of squared distances from it: B. P. Welford, Technometrics 4 (1962) 419. */
#define SPREAD_LOAD double count = counts[i]; double m = means[i]; double v = spreads[i];
#define SPREAD_STORE counts[i] = count; means[i] = m; spreads[i] = v;
#define SPREAD_STEP(x)                                                                            \
    {                                                                                             \
        const double y = (double)(x), away = y - m;                                               \
        count += 1.0;                                                                             \
        m += away / count;                                                                        \
        v += away * (y - m);                                                                      \
    }
#define SPREAD(s)                                                                                 \
    static void spread_##s(MOMENT_ROWS, double *restrict counts, double *restrict means,          \
                           double *restrict spreads, size_t n)                                    \
    {                                                                                             \
        EACH_FRAME(s, SPREAD_LOAD, SPREAD_STEP, SPREAD_STORE)                                     \
    }

SPREAD(i4)
SPREAD(i8)
SPREAD(u4)
SPREAD(u8)
SPREAD(f4)
SPREAD(f8)

/* NaN comes to stay, as in numpy.minimum and numpy.maximum. */
#define LESS(x) t = (x) < t ? (x) : t;
#define MORE(x) t = (x) > t ? (x) : t;
#define LESS_OR_NAN(x) t = ((x) < t) | ((x) != (x)) ? (x) : t;
#define MORE_OR_NAN(x) t = ((x) > t) | ((x) != (x)) ? (x) : t;
#define BOTH_TRUE(x) t = (u1)(((x) != 0) & t);
#define ONE_TRUE(x) t = (u1)(((x) != 0) | t);
#define EXTREME(name, s, step)                                                                    \
    static void name##_##s(MOMENT_ROWS, void *state, size_t n)                                    \
    {                                                                                             \
        s *restrict q = (s *)state;                                                               \
        EACH_FRAME(s, SUM_LOAD(s), step, SUM_STORE)                                               \
    }
#define EXTREMES(s, less, more) EXTREME(lowest, s, less) EXTREME(highest, s, more)

EXTREMES(b1, BOTH_TRUE, ONE_TRUE)
EXTREMES(i1, LESS, MORE)
EXTREMES(i2, LESS, MORE)
EXTREMES(i4, LESS, MORE)
EXTREMES(i8, LESS, MORE)
EXTREMES(u1, LESS, MORE)
EXTREMES(u2, LESS, MORE)
EXTREMES(u4, LESS, MORE)
EXTREMES(u8, LESS, MORE)
EXTREMES(f4, LESS_OR_NAN, MORE_OR_NAN)
EXTREMES(f8, LESS_OR_NAN, MORE_OR_NAN)

/* How often a value is the limit or more, in 32-bit lanes; NaN never is. Frames of one load are
 * counted in a word as wide as a pixel. */
#define REACHED_LOAD(word) word t = 0;
#define REACHED_STEP(x) t += (x) >= limit;
#define REACHED_TRUE(x) t += ((x) != 0) >= limit;
#define REACHED_STORE q[i] += t;
#define REACHED(s, word, step)                                                                    \
    static void reached_##s(MOMENT_ROWS, const void *least, uint32_t *restrict q, size_t n)       \
    {                                                                                             \
        const s limit = *(const s *)least;                                                        \
        EACH_FRAME(s, REACHED_LOAD(word), step, REACHED_STORE)                                    \
    }

REACHED(b1, uint8_t, REACHED_TRUE)
REACHED(i1, uint8_t, REACHED_STEP)
REACHED(i2, uint16_t, REACHED_STEP)
REACHED(i4, uint32_t, REACHED_STEP)
REACHED(i8, uint32_t, REACHED_STEP)
REACHED(u1, uint8_t, REACHED_STEP)
REACHED(u2, uint16_t, REACHED_STEP)
REACHED(u4, uint32_t, REACHED_STEP)
REACHED(u8, uint32_t, REACHED_STEP)
REACHED(f4, uint32_t, REACHED_STEP)
REACHED(f8, uint32_t, REACHED_STEP)

#define MOMENT(s, sum_lane, square_lane, squares, spread)                                         \
    {sum_lane, square_lane, sum_##s, squares, spread, lowest_##s, highest_##s, reached_##s}
#define MOMENTS                                                                                   \
    {                                                                                             \
        [CXI_BOOL] = MOMENT(b1, CXI_UINT32, CXI_UINT32, squares_b1, NULL),                        \
        [CXI_INT8] = MOMENT(i1, CXI_INT32, CXI_UINT32, squares_i1, NULL),                         \
        [CXI_INT16] = MOMENT(i2, CXI_INT32, CXI_UINT64, four_squares_i2, NULL),                        \
        [CXI_INT32] = MOMENT(i4, CXI_INT64, CXI_UINT64, NULL, spread_i4),                         \
        [CXI_INT64] = MOMENT(i8, CXI_INT64, CXI_UINT64, NULL, spread_i8),                         \
        [CXI_UINT8] = MOMENT(u1, CXI_UINT32, CXI_UINT32, squares_u1, NULL),                       \
        [CXI_UINT16] = MOMENT(u2, CXI_UINT32, CXI_UINT64, four_squares_u2, NULL),                      \
        [CXI_UINT32] = MOMENT(u4, CXI_UINT64, CXI_UINT64, NULL, spread_u4),                       \
        [CXI_UINT64] = MOMENT(u8, CXI_UINT64, CXI_UINT64, NULL, spread_u8),                       \
        [CXI_FLOAT32] = MOMENT(f4, CXI_FLOAT64, CXI_UINT64, NULL, spread_f4),                     \
        [CXI_FLOAT64] = MOMENT(f8, CXI_FLOAT64, CXI_UINT64, NULL, spread_f8),                     \
    }
