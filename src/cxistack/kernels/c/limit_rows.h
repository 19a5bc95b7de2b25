/* Which pixels of a row lie in ranges; included once by each SIMD level. */

enum { LIMIT_BLOCK = 4096 };        /* pixels that stay in L1 while range after range looks at them */

/* A pixel that is NaN lies in no range, and so outside of all. */
#define LIES(value) ((u1)(((value(p[i]) >= low) & (value(p[i]) <= high)) ^ outside))

#define WITHIN(s, value)                                                                          \
    static void within_##s(const char *src, char *dst, size_t n, const struct cxi_range *ranges,  \
                           size_t count, int both)                                                \
    {                                                                                             \
        for (size_t begin = 0; begin < n; begin += LIMIT_BLOCK) {                                 \
            const s *restrict p = (const s *)src + begin;                                         \
            u1 *restrict q = (u1 *)dst + begin;                                                   \
            const size_t m = n - begin < LIMIT_BLOCK ? n - begin : LIMIT_BLOCK;                   \
            if (!both && count == 0)                                                              \
                memset(q, 1, m);                                                                  \
            for (size_t k = 0; k < count; k++) {                                                  \
                const s low = *(const s *)ranges[k].low, high = *(const s *)ranges[k].high;       \
                const u1 outside = ranges[k].outside != 0;                                        \
                if (k == 0 && !both)                                                              \
                    for (size_t i = 0; i < m; i++) q[i] = LIES(value);                            \
                else                                                                              \
                    for (size_t i = 0; i < m; i++) q[i] &= LIES(value);                           \
            }                                                                                     \
        }                                                                                         \
    }

WITHIN(b1, IS_TRUE)
WITHIN(i1, AS_IS)
WITHIN(i2, AS_IS)
WITHIN(i4, AS_IS)
WITHIN(i8, AS_IS)
WITHIN(u1, AS_IS)
WITHIN(u2, AS_IS)
WITHIN(u4, AS_IS)
WITHIN(u8, AS_IS)
WITHIN(f4, AS_IS)
WITHIN(f8, AS_IS)
#undef LIES
