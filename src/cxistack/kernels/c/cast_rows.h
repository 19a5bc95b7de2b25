/* Casts of a row, one function per pair of pixel types; included once by each SIMD level. */

/* How a value that does not fit is noticed: every loop gathers evidence in a word as wide as the
 * source pixel, without a branch, so that it vectorises; one test after the loop tells. */

#define CAST_BEGIN(s, d)                                                                          \
    static int cast_##s##_##d(const char *src, char *dst, size_t n)                               \
    {                                                                                             \
        const s *restrict p = (const s *)src;                                                     \
        d *restrict q = (d *)dst;                                                                 \
        size_t i;

/* A plain assignment that cannot lose: boolean or integer to float, float32 to float64, and,
 * through IS_TRUE, everything to and from a boolean. */
#define AS_IS(x) (x)
#define IS_TRUE(x) ((x) != 0)
#define CAST_FITS(s, d, value)                                                                    \
    CAST_BEGIN(s, d)                                                                              \
        for (i = 0; i < n; i++) q[i] = (d)value(p[i]);                                            \
        return 0;                                                                                 \
    }

#define CAST_SAME(s)                                                                              \
    static int cast_##s##_##s(const char *src, char *dst, size_t n)                               \
    {                                                                                             \
        memcpy(dst, src, n * sizeof(s));                                                          \
        return 0;                                                                                 \
    }

/* Integers: the largest target value is 2^k - 1, so the OR of all values exceeds it exactly when
 * one of them does. A negative value of a signed pair is folded to its complement first; to an
 * unsigned target it stays, and shows as a huge value once it is sign-extended. */
#define CAST_INT(s, s_wide, s_bits, d, d_max, fold)                                               \
    CAST_BEGIN(s, d)                                                                              \
        s seen = 0;                                                                               \
        for (i = 0; i < n; i++) {                                                                 \
            const s x = p[i];                                                                     \
            q[i] = (d)x;                                                                          \
            seen |= fold(x, s, s_bits);                                                           \
        }                                                                                         \
        return (uint64_t)(s_wide)seen > (uint64_t)(d_max);                                        \
    }
#define KEEP(x, s, s_bits) (x)
#define COMPLEMENT_NEGATIVE(x, s, s_bits) ((s)((x) ^ ((x) >> ((s_bits) - 1))))

/* Floats to integers go through int32 or int64, as scalar x86 code does: what that cannot hold
 * becomes its smallest value (without C's undefined conversion), then the target's width wraps.
 * The result read back as a float differs from the source exactly when something was lost. */
#define CAST_FLOAT_INT(s, bits, d, through, lowest, low, high)                                    \
    CAST_BEGIN(s, d)                                                                              \
        bits lost = 0;                                                                            \
        for (i = 0; i < n; i++) {                                                                 \
            const s x = p[i];                                                                     \
            const int fits = x >= (s)(low) && x < (s)(high);                                      \
            const through whole = (through)(fits ? x : (s)0);                                     \
            const d y = (d)(fits ? whole : (lowest));                                             \
            q[i] = y;                                                                             \
            lost |= (bits)((s)y != x ? 1 : 0);                                                    \
        }                                                                                         \
        return lost != 0;                                                                         \
    }

/* uint64 has no wider integer to go through: the upper half of its range is converted after
 * taking 2^63 off, and what fits neither half becomes 2^63, int64's smallest value. */
#define CAST_FLOAT_U8(s, bits)                                                                    \
    CAST_BEGIN(s, u8)                                                                             \
        const s half = (s)9223372036854775808.0;                                                  \
        bits lost = 0;                                                                            \
        for (i = 0; i < n; i++) {                                                                 \
            const s x = p[i];                                                                     \
            const int upper = x >= half;                                                          \
            const s rest = upper ? x - half : x;                                                  \
            const int fits = rest >= -half && rest < half;                                        \
            const int64_t whole = (int64_t)(fits ? rest : (s)0);                                  \
            const uint64_t top = (uint64_t)1 << 63;                                               \
            const uint64_t y = fits ? (uint64_t)whole + (upper ? top : 0) : top;                  \
            q[i] = y;                                                                             \
            lost |= (bits)((s)y != x ? 1 : 0);                                                    \
        }                                                                                         \
        return lost != 0;                                                                         \
    }

/* Infinity and NaN may pass; only a finite value that becomes infinite is lost. */
static int cast_f8_f4(const char *src, char *dst, size_t n)
{
    const f8 *restrict p = (const f8 *)src;
    f4 *restrict q = (f4 *)dst;
    size_t i;
    uint64_t lost = 0;
    for (i = 0; i < n; i++) {
        const double x = p[i];
        const float y = (float)x;
        q[i] = y;
        lost |= (uint64_t)(__builtin_fabs(x) <= DBL_MAX && __builtin_fabsf(y) > FLT_MAX ? 1 : 0);
    }
    return lost != 0;
}

#define FROM_SIGNED(s, bits)                                                                      \
    CAST_FITS(s, b1, IS_TRUE)                                                                     \
    CAST_FITS(s, f4, AS_IS)                                                                       \
    CAST_FITS(s, f8, AS_IS)                                                                       \
    CAST_INT(s, int64_t, bits, u1, UINT8_MAX, KEEP)                                               \
    CAST_INT(s, int64_t, bits, u2, UINT16_MAX, KEEP)                                              \
    CAST_INT(s, int64_t, bits, u4, UINT32_MAX, KEEP)                                              \
    CAST_INT(s, int64_t, bits, u8, INT64_MAX, KEEP)
#define FROM_UNSIGNED(s)                                                                          \
    CAST_FITS(s, b1, IS_TRUE)                                                                     \
    CAST_FITS(s, f4, AS_IS)                                                                       \
    CAST_FITS(s, f8, AS_IS)
#define FROM_FLOAT(s, bits)                                                                       \
    CAST_FITS(s, b1, IS_TRUE)                                                                     \
    CAST_FLOAT_INT(s, bits, i1, int32_t, INT32_MIN, -2147483648.0, 2147483648.0)                  \
    CAST_FLOAT_INT(s, bits, i2, int32_t, INT32_MIN, -2147483648.0, 2147483648.0)                  \
    CAST_FLOAT_INT(s, bits, i4, int32_t, INT32_MIN, -2147483648.0, 2147483648.0)                  \
    CAST_FLOAT_INT(s, bits, u1, int32_t, INT32_MIN, -2147483648.0, 2147483648.0)                  \
    CAST_FLOAT_INT(s, bits, u2, int32_t, INT32_MIN, -2147483648.0, 2147483648.0)                  \
    CAST_FLOAT_INT(s, bits, u4, int64_t, INT64_MIN, -9223372036854775808.0,                       \
                   9223372036854775808.0)                                                         \
    CAST_FLOAT_INT(s, bits, i8, int64_t, INT64_MIN, -9223372036854775808.0,                       \
                   9223372036854775808.0)                                                         \
    CAST_FLOAT_U8(s, bits)

#define NARROWER(s, bits, d, d_max) CAST_INT(s, int64_t, bits, d, d_max, COMPLEMENT_NEGATIVE)
#define UNSIGNED(s, bits, d, d_max) CAST_INT(s, uint64_t, bits, d, d_max, KEEP)

FROM_SIGNED(i1, 8)
FROM_SIGNED(i2, 16)
FROM_SIGNED(i4, 32)
FROM_SIGNED(i8, 64)
FROM_UNSIGNED(u1)
FROM_UNSIGNED(u2)
FROM_UNSIGNED(u4)
FROM_UNSIGNED(u8)
FROM_FLOAT(f4, uint32_t)
FROM_FLOAT(f8, uint64_t)
CAST_FITS(f4, f8, AS_IS)

CAST_FITS(b1, b1, IS_TRUE)
CAST_FITS(b1, i1, IS_TRUE)
CAST_FITS(b1, i2, IS_TRUE)
CAST_FITS(b1, i4, IS_TRUE)
CAST_FITS(b1, i8, IS_TRUE)
CAST_FITS(b1, u1, IS_TRUE)
CAST_FITS(b1, u2, IS_TRUE)
CAST_FITS(b1, u4, IS_TRUE)
CAST_FITS(b1, u8, IS_TRUE)
CAST_FITS(b1, f4, IS_TRUE)
CAST_FITS(b1, f8, IS_TRUE)

CAST_FITS(i1, i2, AS_IS)
CAST_FITS(i1, i4, AS_IS)
CAST_FITS(i1, i8, AS_IS)
NARROWER(i2, 16, i1, INT8_MAX)
CAST_FITS(i2, i4, AS_IS)
CAST_FITS(i2, i8, AS_IS)
NARROWER(i4, 32, i1, INT8_MAX)
NARROWER(i4, 32, i2, INT16_MAX)
CAST_FITS(i4, i8, AS_IS)
NARROWER(i8, 64, i1, INT8_MAX)
NARROWER(i8, 64, i2, INT16_MAX)
NARROWER(i8, 64, i4, INT32_MAX)

UNSIGNED(u1, 8, i1, INT8_MAX)
CAST_FITS(u1, i2, AS_IS)
CAST_FITS(u1, i4, AS_IS)
CAST_FITS(u1, i8, AS_IS)
CAST_FITS(u1, u2, AS_IS)
CAST_FITS(u1, u4, AS_IS)
CAST_FITS(u1, u8, AS_IS)

UNSIGNED(u2, 16, i1, INT8_MAX)
UNSIGNED(u2, 16, i2, INT16_MAX)
CAST_FITS(u2, i4, AS_IS)
CAST_FITS(u2, i8, AS_IS)
UNSIGNED(u2, 16, u1, UINT8_MAX)
CAST_FITS(u2, u4, AS_IS)
CAST_FITS(u2, u8, AS_IS)

UNSIGNED(u4, 32, i1, INT8_MAX)
UNSIGNED(u4, 32, i2, INT16_MAX)
UNSIGNED(u4, 32, i4, INT32_MAX)
CAST_FITS(u4, i8, AS_IS)
UNSIGNED(u4, 32, u1, UINT8_MAX)
UNSIGNED(u4, 32, u2, UINT16_MAX)
CAST_FITS(u4, u8, AS_IS)

UNSIGNED(u8, 64, i1, INT8_MAX)
UNSIGNED(u8, 64, i2, INT16_MAX)
UNSIGNED(u8, 64, i4, INT32_MAX)
UNSIGNED(u8, 64, i8, INT64_MAX)
UNSIGNED(u8, 64, u1, UINT8_MAX)
UNSIGNED(u8, 64, u2, UINT16_MAX)
UNSIGNED(u8, 64, u4, UINT32_MAX)

CAST_SAME(i1)
CAST_SAME(i2)
CAST_SAME(i4)
CAST_SAME(i8)
CAST_SAME(u1)
CAST_SAME(u2)
CAST_SAME(u4)
CAST_SAME(u8)
CAST_SAME(f4)
CAST_SAME(f8)

#define CASTS_FROM(s)                                                                             \
    {cast_##s##_b1, cast_##s##_i1, cast_##s##_i2, cast_##s##_i4, cast_##s##_i8, cast_##s##_u1,    \
     cast_##s##_u2, cast_##s##_u4, cast_##s##_u8, cast_##s##_f4, cast_##s##_f8}
