/* Pixels of a row from a value on: where they are, and what they are. */

enum { ABOVE_PIECE = 1024 };  /* pixels whose flags stay in L1 */

/* Bit i of the result: whether byte i of 64 is not 0; all are 0 or 1. */
static inline uint64_t bits_of_flags(const unsigned char *flags)
{
#if defined(__AVX512BW__)
    const __m512i v = _mm512_loadu_si512((const void *)flags);
    return _mm512_test_epi8_mask(v, v);
#elif defined(__AVX2__)
    uint64_t bits = 0;
    for (int k = 0; k < 2; k++) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(flags + 32 * k));
        const __m256i set = _mm256_cmpgt_epi8(v, _mm256_setzero_si256());
        bits |= (uint64_t)(uint32_t)_mm256_movemask_epi8(set) << 32 * k;
    }
    return bits;
#else
    uint64_t bits = 0;
    for (int i = 0; i < 64; i++)
        bits |= (uint64_t)flags[i] << i;
    return bits;
#endif
}

#define ABOVE(s, word, GET)                                                                       \
    static size_t above_##s(const char *src, const char *good, size_t n, const char *low,         \
                            int64_t first, int64_t *pixels, char *values)                         \
    {                                                                                             \
        unsigned char flags[ABOVE_PIECE] __attribute__((aligned(64)));                            \
        const s *restrict p = (const s *)src;                                                     \
        s *restrict q = (s *)values;                                                              \
        const word least = *(const s *)low;                                                       \
        size_t count = 0;                                                                         \
        for (size_t at = 0; at < n; at += ABOVE_PIECE, p += ABOVE_PIECE) {                        \
            const size_t m = n - at < ABOVE_PIECE ? n - at : ABOVE_PIECE;                         \
            for (size_t i = 0; i < m; i++)                                                        \
                flags[i] = GET(p[i]) >= least;                                                    \
            if (good)                                                                             \
                for (size_t i = 0; i < m; i++)                                                    \
                    flags[i] &= good[at + i] != 0;                                                \
            for (size_t i = m; i % 64; i++)                                                       \
                flags[i] = 0;                                                                     \
            for (size_t i = 0; i < m; i += 64)                                                    \
                for (uint64_t bits = bits_of_flags(flags + i); bits; bits &= bits - 1) {          \
                    const size_t k = i + (size_t)__builtin_ctzll(bits);                           \
                    pixels[count] = first + (int64_t)(at + k);                                    \
                    q[count++] = GET(p[k]);                                                       \
                }                                                                                 \
        }                                                                                         \
        return count;                                                                             \
    }

ABOVE(b1, uint8_t, AS_TRUTH)
ABOVE(i1, int8_t, AS_IT_IS)
ABOVE(i2, int16_t, AS_IT_IS)
ABOVE(i4, int32_t, AS_IT_IS)
ABOVE(i8, int64_t, AS_IT_IS)
ABOVE(u1, uint8_t, AS_IT_IS)
ABOVE(u2, uint16_t, AS_IT_IS)
ABOVE(u4, uint32_t, AS_IT_IS)
ABOVE(u8, uint64_t, AS_IT_IS)
ABOVE(f4, float, AS_IT_IS)
ABOVE(f8, double, AS_IT_IS)
