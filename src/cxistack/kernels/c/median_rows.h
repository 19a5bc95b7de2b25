/* Medians of 3 x 3 pixels: each column of three is sorted once, for the three squares it lies in. */

#define LESSER(a, b) ((a) < (b) ? (a) : (b))
#define GREATER(a, b) ((a) < (b) ? (b) : (a))
/* GREATER(LESSER(a, b), LESSER(GREATER(a, b), c)) */
#define MIDDLE(word, a, b, c)                                                                     \
    ({                                                                                            \
        const word less_ = LESSER(a, b), more_ = GREATER(a, b), rest_ = LESSER(more_, c);         \
        GREATER(less_, rest_);                                                                    \
    })

enum { MEDIAN_PIECE = 256 };  /* pixels whose sorted columns stay in L1 */

/* The median of nine is the middle one of: the greatest of the columns' least, the middle of their
 * middles, the least of their greatest. Of floats, a NaN among the nine makes NaN. */
#define MEDIAN(s, word, flag, GET, MARK, CHOOSE)                                                  \
    static void median_##s(const char *const rows[3], char *dst, size_t n)                        \
    {                                                                                             \
        word low[MEDIAN_PIECE + 2], middle[MEDIAN_PIECE + 2], high[MEDIAN_PIECE + 2];             \
        flag nan[MEDIAN_PIECE + 2];                                                               \
        (void)nan;                                                                                \
        for (size_t at = 0; at < n; at += MEDIAN_PIECE) {                                         \
            const size_t m = n - at < MEDIAN_PIECE ? n - at : MEDIAN_PIECE;                       \
            const s *restrict p = (const s *)rows[0] + at;                                        \
            const s *restrict q = (const s *)rows[1] + at;                                        \
            const s *restrict r = (const s *)rows[2] + at;                                        \
            s *restrict to = (s *)dst + at;                                                       \
            for (size_t i = 0; i < m + 2; i++) {                                                  \
                const word a = GET(p[i]), b = GET(q[i]), c = GET(r[i]);                           \
                const word less = LESSER(a, b), more = GREATER(a, b), rest = LESSER(more, c);     \
                low[i] = LESSER(less, rest);                                                      \
                middle[i] = GREATER(less, rest);                                                  \
                high[i] = GREATER(more, c);                                                       \
                MARK                                                                              \
            }                                                                                     \
            for (size_t i = 0; i < m; i++) {                                                      \
                const word l0 = GREATER(low[i], low[i + 1]), l = GREATER(l0, low[i + 2]);         \
                const word h0 = LESSER(high[i], high[i + 1]), h = LESSER(h0, high[i + 2]);        \
                const word m0 = MIDDLE(word, middle[i], middle[i + 1], middle[i + 2]);            \
                const word v = MIDDLE(word, l, m0, h);                                            \
                to[i] = CHOOSE;                                                                   \
            }                                                                                     \
        }                                                                                         \
    }

#define AS_IT_IS(x) (x)
#define AS_TRUTH(x) ((x) != 0)
#define MARK_NAN nan[i] = (a != a) | (b != b) | (c != c);
#define UNLESS_NAN(s) (nan[i] | nan[i + 1] | nan[i + 2]) ? (s)__builtin_nan("") : v

MEDIAN(b1, uint8_t, uint8_t, AS_TRUTH, , v)
MEDIAN(i1, int8_t, uint8_t, AS_IT_IS, , v)
MEDIAN(i2, int16_t, uint8_t, AS_IT_IS, , v)
MEDIAN(i4, int32_t, uint8_t, AS_IT_IS, , v)
MEDIAN(i8, int64_t, uint8_t, AS_IT_IS, , v)
MEDIAN(u1, uint8_t, uint8_t, AS_IT_IS, , v)
MEDIAN(u2, uint16_t, uint8_t, AS_IT_IS, , v)
MEDIAN(u4, uint32_t, uint8_t, AS_IT_IS, , v)
MEDIAN(u8, uint64_t, uint8_t, AS_IT_IS, , v)
MEDIAN(f4, float, uint32_t, AS_IT_IS, MARK_NAN, UNLESS_NAN(f4))
MEDIAN(f8, double, uint64_t, AS_IT_IS, MARK_NAN, UNLESS_NAN(f8))

/* Whether all of eight squares that lie side by side are good. */
static inline int squares_are_good(const unsigned char *columns)
{
    uint64_t a, b, c;
    memcpy(&a, columns, 8);
    memcpy(&b, columns + 1, 8);
    memcpy(&c, columns + 2, 8);
    return (a & b & c) == 0x0101010101010101u;
}

/* Of an even number of floats, the mean of the two middle ones, as NumPy has it; halves are added
 * where the sum of two numbers is none. */
#define MEAN_OF(word)                                                                             \
    static inline word mean_of_##word(word a, word b)                                             \
    {                                                                                             \
        const word sum = a + b;                                                                   \
        return sum - sum == 0 || a - a != 0 || b - b != 0 ? sum / 2 : a / 2 + b / 2;              \
    }
MEAN_OF(float)
MEAN_OF(double)

/* Writes again what is not the median of nine good pixels. */
#define MEDIAN_OF_GOOD(s, word, GET, IS_NAN, EVEN)                                                \
    static void median_good_##s(const char *const rows[3], const char *const good[3], char *dst,  \
                                size_t n)                                                         \
    {                                                                                             \
        unsigned char columns[MEDIAN_PIECE + 2];                                                  \
        s *to = (s *)dst;                                                                         \
        for (size_t at = 0; at < n; at += MEDIAN_PIECE) {                                         \
            const size_t m = n - at < MEDIAN_PIECE ? n - at : MEDIAN_PIECE;                       \
            for (size_t i = 0; i < m + 2; i++)                                                    \
                columns[i] = good[0][at + i] & good[1][at + i] & good[2][at + i];                 \
            for (size_t i = 0; i < m; i++) {                                                      \
                word sorted[9];                                                                   \
                int count = 0, nan = 0;                                                           \
                if (i + 8 <= m && squares_are_good(columns + i)) {                                \
                    i += 7;                                                                       \
                    continue;                                                                     \
                }                                                                                 \
                if (columns[i] & columns[i + 1] & columns[i + 2])                                 \
                    continue;                                                                     \
                for (size_t k = 0; k < 9; k++) {                                                  \
                    const size_t x = at + i + k % 3;                                              \
                    const word v = GET(((const s *)rows[k / 3])[x]);                              \
                    int place = count;                                                            \
                    if (!good[k / 3][x])                                                          \
                        continue;                                                                 \
                    nan |= IS_NAN(v);                                                             \
                    for (; place > 0 && v < sorted[place - 1]; place--)                           \
                        sorted[place] = sorted[place - 1];                                        \
                    sorted[place] = v;                                                            \
                    count++;                                                                      \
                }                                                                                 \
                if (nan)                                                                          \
                    to[at + i] = (s)NOT_A_NUMBER_##s;                                             \
                else if (count == 0)                                                              \
                    to[at + i] = (s)GET(((const s *)rows[1])[at + i + 1]);                        \
                else if (count % 2)                                                               \
                    to[at + i] = sorted[count / 2];                                               \
                else                                                                              \
                    to[at + i] = EVEN(sorted[count / 2 - 1], sorted[count / 2]);                  \
            }                                                                                     \
        }                                                                                         \
    }

#define NEVER(x) 0
#define IS_NAN_ITSELF(x) ((x) != (x))
#define LOWER(a, b) (a)
#define NOT_A_NUMBER_b1 0
#define NOT_A_NUMBER_i1 0
#define NOT_A_NUMBER_i2 0
#define NOT_A_NUMBER_i4 0
#define NOT_A_NUMBER_i8 0
#define NOT_A_NUMBER_u1 0
#define NOT_A_NUMBER_u2 0
#define NOT_A_NUMBER_u4 0
#define NOT_A_NUMBER_u8 0
#define NOT_A_NUMBER_f4 __builtin_nan("")
#define NOT_A_NUMBER_f8 __builtin_nan("")

MEDIAN_OF_GOOD(b1, uint8_t, AS_TRUTH, NEVER, LOWER)
MEDIAN_OF_GOOD(i1, int8_t, AS_IT_IS, NEVER, LOWER)
MEDIAN_OF_GOOD(i2, int16_t, AS_IT_IS, NEVER, LOWER)
MEDIAN_OF_GOOD(i4, int32_t, AS_IT_IS, NEVER, LOWER)
MEDIAN_OF_GOOD(i8, int64_t, AS_IT_IS, NEVER, LOWER)
MEDIAN_OF_GOOD(u1, uint8_t, AS_IT_IS, NEVER, LOWER)
MEDIAN_OF_GOOD(u2, uint16_t, AS_IT_IS, NEVER, LOWER)
MEDIAN_OF_GOOD(u4, uint32_t, AS_IT_IS, NEVER, LOWER)
MEDIAN_OF_GOOD(u8, uint64_t, AS_IT_IS, NEVER, LOWER)
MEDIAN_OF_GOOD(f4, float, AS_IT_IS, IS_NAN_ITSELF, mean_of_float)
MEDIAN_OF_GOOD(f8, double, AS_IT_IS, IS_NAN_ITSELF, mean_of_double)

#define MEDIANS_OF(s) {median_##s, median_good_##s}
#define MEDIANS                                                                                   \
    {                                                                                             \
        MEDIANS_OF(b1), MEDIANS_OF(i1), MEDIANS_OF(i2), MEDIANS_OF(i4), MEDIANS_OF(i8),           \
        MEDIANS_OF(u1), MEDIANS_OF(u2), MEDIANS_OF(u4), MEDIANS_OF(u8), MEDIANS_OF(f4),           \
        MEDIANS_OF(f8)                                                                            \
    }
