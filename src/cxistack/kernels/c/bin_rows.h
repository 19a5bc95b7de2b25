/* Sums of bins: rows are added column by column, then each bin's columns to one total. */

/* Lanes hold column sums: 32 bits wide for pixels of 8 and 16 bits, which is exact for
 * CXI_BIN_ROWS rows; 64 bits for those of 32; 128 for those of 64, so that no order of adding
 * overflows when the sum itself does not; double for floats. A boolean lane says "all True". */
__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 unsigned_wide;

#define ADD(s, lane)                                                                              \
    static void add_##s(const char *src, void *sums, size_t n)                                    \
    {                                                                                             \
        const s *restrict p = (const s *)src;                                                     \
        lane *restrict q = sums;                                                                  \
        for (size_t i = 0; i < n; i++) q[i] += p[i];                                              \
    }

static void add_b1(const char *src, void *sums, size_t n)
{
    const b1 *restrict p = (const b1 *)src;
    uint8_t *restrict q = sums;
    for (size_t i = 0; i < n; i++) q[i] &= p[i] != 0;
}

ADD(i1, int32_t)
ADD(i2, int32_t)
ADD(i4, int64_t)
ADD(i8, wide)
ADD(u1, uint32_t)
ADD(u2, uint32_t)
ADD(u4, uint64_t)
ADD(u8, unsigned_wide)
ADD(f4, double)
ADD(f8, double)

/* The usual widths get loops of their own, which vectorise. */
#define FOLD_BY(lane, total, n_fs)                                                                \
    for (size_t i = 0; i < n; i++) {                                                              \
        total t = q[i];                                                                           \
        for (size_t j = 0; j < (n_fs); j++) t += p[i * (n_fs) + j];                               \
        q[i] = t;                                                                                 \
    }
#define FOLD(name, lane, total)                                                                   \
    static void fold_##name(const void *sums, size_t n_fs, void *totals, size_t n)                \
    {                                                                                             \
        const lane *restrict p = sums;                                                            \
        total *restrict q = totals;                                                               \
        if (n_fs == 1) {                                                                          \
            FOLD_BY(lane, total, 1)                                                               \
        } else if (n_fs == 2) {                                                                   \
            FOLD_BY(lane, total, 2)                                                               \
        } else if (n_fs == 4) {                                                                   \
            FOLD_BY(lane, total, 4)                                                               \
        } else {                                                                                  \
            FOLD_BY(lane, total, n_fs)                                                            \
        }                                                                                         \
    }

static void fold_bool(const void *sums, size_t n_fs, void *totals, size_t n)
{
    const uint8_t *restrict p = sums;
    uint8_t *restrict q = totals;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n_fs; j++) q[i] &= p[i * n_fs + j];
}

FOLD(i4, int32_t, int64_t)
FOLD(u4, uint32_t, uint64_t)
FOLD(i8, int64_t, int64_t)
FOLD(u8, uint64_t, uint64_t)
FOLD(wide, wide, wide)
FOLD(unsigned_wide, unsigned_wide, unsigned_wide)
FOLD(f8, double, double)

/* Totals as int64 or uint64; a wide one that does not fit keeps its low bits, as NumPy's does. */
#define SUM_WIDE(name, total, result)                                                             \
    static int sum_##name(const void *totals, double count, char *dst, size_t n)                  \
    {                                                                                             \
        const total *restrict p = totals;                                                         \
        result *restrict q = (result *)dst;                                                       \
        int lost = 0;                                                                             \
        (void)count;                                                                              \
        for (size_t i = 0; i < n; i++) {                                                          \
            q[i] = (result)p[i];                                                                  \
            lost |= (total)q[i] != p[i];                                                          \
        }                                                                                         \
        return lost;                                                                              \
    }
#define MEAN(name, total)                                                                         \
    static int mean_##name(const void *totals, double count, char *dst, size_t n)                 \
    {                                                                                             \
        const total *restrict p = totals;                                                         \
        f8 *restrict q = (f8 *)dst;                                                               \
        for (size_t i = 0; i < n; i++) q[i] = (double)p[i] / count;                               \
        return 0;                                                                                 \
    }

static int sum_8_bytes(const void *totals, double count, char *dst, size_t n)
{
    (void)count;
    memcpy(dst, totals, 8 * n);
    return 0;
}

static int sum_bool(const void *totals, double count, char *dst, size_t n)
{
    (void)count;
    memcpy(dst, totals, n);
    return 0;
}

SUM_WIDE(wide, wide, i8)
SUM_WIDE(unsigned_wide, unsigned_wide, u8)
MEAN(i8, int64_t)
MEAN(u8, uint64_t)
MEAN(wide, wide)
MEAN(unsigned_wide, unsigned_wide)
MEAN(f8, double)

#define BINS                                                                                      \
    {                                                                                             \
        [CXI_BOOL] = {CXI_BOOL, CXI_BOOL, 1, 1, add_b1, fold_bool, sum_bool, sum_bool},           \
        [CXI_INT8] = {CXI_INT64, CXI_FLOAT64, 4, 8, add_i1, fold_i4, sum_8_bytes, mean_i8},       \
        [CXI_INT16] = {CXI_INT64, CXI_FLOAT64, 4, 8, add_i2, fold_i4, sum_8_bytes, mean_i8},      \
        [CXI_INT32] = {CXI_INT64, CXI_FLOAT64, 8, 8, add_i4, fold_i8, sum_8_bytes, mean_i8},      \
        [CXI_INT64] = {CXI_INT64, CXI_FLOAT64, 16, 16, add_i8, fold_wide, sum_wide, mean_wide},   \
        [CXI_UINT8] = {CXI_UINT64, CXI_FLOAT64, 4, 8, add_u1, fold_u4, sum_8_bytes, mean_u8},     \
        [CXI_UINT16] = {CXI_UINT64, CXI_FLOAT64, 4, 8, add_u2, fold_u4, sum_8_bytes, mean_u8},    \
        [CXI_UINT32] = {CXI_UINT64, CXI_FLOAT64, 8, 8, add_u4, fold_u8, sum_8_bytes, mean_u8},    \
        [CXI_UINT64] = {CXI_UINT64, CXI_FLOAT64, 16, 16, add_u8, fold_unsigned_wide,              \
                        sum_unsigned_wide, mean_unsigned_wide},                                   \
        [CXI_FLOAT32] = {CXI_FLOAT64, CXI_FLOAT64, 8, 8, add_f4, fold_f8, sum_8_bytes, mean_f8},  \
        [CXI_FLOAT64] = {CXI_FLOAT64, CXI_FLOAT64, 8, 8, add_f8, fold_f8, sum_8_bytes, mean_f8},  \
    }
