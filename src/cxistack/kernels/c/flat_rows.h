/* Frames without their dark signal, over their whitefield; floats of one type throughout. */

#define IS_FINITE(x) ((x) - (x) == 0)

/* A pixel is dead where its whitefield is 0 or no number, or its dark signal no number: then it is
 * `bad` like one that is not good, or with `strict` a loss, and so is a number that became none. */
#define FLAT_ROW(s, word, flag)                                                                   \
    static inline __attribute__((always_inline)) int flat_row_##s(                                \
        const struct cxi_flat *how, size_t at, const char *src, char *dst, size_t n, int has_dark,\
        int has_white, int has_good)                                                              \
    {                                                                                             \
        const s *restrict p = (const s *)src;                                                     \
        const s *restrict d = (const s *)how->dark + (has_dark ? at : 0);                         \
        const s *restrict w = (const s *)how->white + (has_white ? at : 0);                       \
        const u1 *restrict g = (const u1 *)how->good + (has_good ? at : 0);                       \
        s *restrict q = (s *)dst;                                                                 \
        const word bad = (word)how->bad;                                                          \
        const flag strict = how->strict != 0;                                                     \
        flag lost = 0;                                                                            \
        for (size_t i = 0; i < n; i++) {                                                          \
            const word x = p[i], less = has_dark ? x - d[i] : x;                                  \
            const word v = has_white ? less / w[i] : less;                                        \
            flag dead = 0, good = 1;                                                              \
            if (has_white)                                                                        \
                dead = (flag)(w[i] == 0) | (flag)!IS_FINITE(w[i]);                                \
            if (has_dark)                                                                         \
                dead |= (flag)!IS_FINITE(d[i]);                                                   \
            if (has_good)                                                                         \
                good = g[i] != 0;                                                                 \
            lost |= good & ((dead & strict)                                                       \
                            | ((flag)IS_FINITE(x) & (flag)!IS_FINITE(v) & (dead ^ 1)));           \
            q[i] = (good & (dead ^ 1)) ? v : bad;                                                 \
        }                                                                                         \
        return lost != 0;                                                                         \
    }

/* The same where no pixel is dead and every result is a number; else it is non-zero, and dst holds
 * anything. */
#define FLAT_PLAIN(s, word, flag)                                                                 \
    static inline __attribute__((always_inline)) int flat_plain_##s(                              \
        const struct cxi_flat *how, size_t at, const char *src, char *dst, size_t n, int has_dark,\
        int has_white, int has_good)                                                              \
    {                                                                                             \
        const s *restrict p = (const s *)src;                                                     \
        const s *restrict d = (const s *)how->dark + (has_dark ? at : 0);                         \
        const s *restrict w = (const s *)how->white + (has_white ? at : 0);                       \
        const u1 *restrict g = (const u1 *)how->good + (has_good ? at : 0);                       \
        s *restrict q = (s *)dst;                                                                 \
        const word bad = (word)how->bad;                                                          \
        flag lost = 0;                                                                            \
        for (size_t i = 0; i < n; i++) {                                                          \
            const word less = has_dark ? p[i] - d[i] : p[i];                                      \
            const word v = has_white ? less / w[i] : less;                                        \
            /* 0 of a number, NaN of what is none: a whitefield of 0 shows in v */                \
            const word none = has_white ? (v - v) + (w[i] - w[i]) : v - v;                        \
            const flag good = has_good ? -(flag)(g[i] != 0) : ~(flag)0;                           \
            flag bits;                                                                            \
            memcpy(&bits, &none, sizeof bits);                                                    \
            lost |= bits & good;                                                                  \
            q[i] = good ? v : bad;                                                                \
        }                                                                                         \
        return lost != 0;                                                                         \
    }

#define FLAT_EITHER(s, d, w, g)                                                                   \
    flat_plain_##s(how, at, src, dst, n, d, w, g)                                                 \
        && flat_row_##s(how, at, src, dst, n, d, w, g)

#define FLAT(s)                                                                                   \
    static int flat_##s(const struct cxi_flat *how, size_t at, const char *src, char *dst,        \
                        size_t n)                                                                 \
    {                                                                                             \
        switch ((how->dark != NULL) | (how->white != NULL) << 1 | (how->good != NULL) << 2) {     \
        case 0:                                                                                   \
            return FLAT_EITHER(s, 0, 0, 0);                                                   \
        case 1:                                                                                   \
            return FLAT_EITHER(s, 1, 0, 0);                                                   \
        case 2:                                                                                   \
            return FLAT_EITHER(s, 0, 1, 0);                                                   \
        case 3:                                                                                   \
            return FLAT_EITHER(s, 1, 1, 0);                                                   \
        case 4:                                                                                   \
            return FLAT_EITHER(s, 0, 0, 1);                                                   \
        case 5:                                                                                   \
            return FLAT_EITHER(s, 1, 0, 1);                                                   \
        case 6:                                                                                   \
            return FLAT_EITHER(s, 0, 1, 1);                                                   \
        default:                                                                                  \
            return FLAT_EITHER(s, 1, 1, 1);                                                   \
        }                                                                                         \
    }

FLAT_ROW(f4, float, uint32_t)
FLAT_ROW(f8, double, uint64_t)
FLAT_PLAIN(f4, float, uint32_t)
FLAT_PLAIN(f8, double, uint64_t)
FLAT(f4)
FLAT(f8)
