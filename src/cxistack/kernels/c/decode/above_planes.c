/* Bit planes compared with a value: meson compiles this file once per SIMD level.
 *
 * From the lowest bit up, "at least" is known of the bits so far: where the value's next bit is 1,
 * a pixel has it and was at least that; where it is 0, a pixel has it or was. */
#include "above_planes.h"

#include <string.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define JOIN(a, b) a##b
#define FUNCTION(level) JOIN(cxi_above_planes_, level)

/* Bytes of a vector, whose bits are pixels that are compared side by side. */
#if defined(__AVX512F__)
#define WIDE 64
#elif defined(__AVX2__)
#define WIDE 32
#else
#define WIDE 16
#endif
typedef uint64_t words __attribute__((vector_size(WIDE)));

enum {
    PART = 8192,     /* pixels whose bits are kept */
    DENSE = 16384,   /* bytes of a block that is un-shuffled whole, and stays in L1 */
    AT_ONCE = 4,     /* pixels of 64 that are put without a look at how many there are */
    MANY = 16,       /* pixels of 64 from which vectors are faster */
};

/* One pixel in so many makes it faster to un-shuffle the block than to pick bit after bit. */
#if defined(__AVX2__)
enum { ONE_IN = 128 };
#else
enum { ONE_IN = 16 };
#endif

/* Bit i of the word is bit i % 8 of byte i / 8, on any machine. */
static inline uint64_t word_of(const void *bytes, size_t n)
{
    uint64_t word = 0;
    memcpy(&word, bytes, n);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Where the plane of a bit of the value lies. */
static inline size_t place(size_t bit, size_t element, int is_big_endian)
{
    return is_big_endian ? 8 * (element - 1 - bit / 8) + bit % 8 : bit;
}

/* Bits of up to 8 * WIDE pixels, of which `bytes` of each plane are at src. */
static inline __attribute__((always_inline)) words
at_least(const char *src, size_t plane, size_t bytes, uint64_t least, int is_signed,
         size_t element, int big)
{
    const size_t top = 8 * element - 1;
    words is = ~(words){0}, row = {0};
    for (size_t bit = least ? (size_t)__builtin_ctzll(least) : top + 1; bit <= top; bit++) {
        const char *at = src + place(bit, element, big) * plane;
        if (bytes == WIDE)
            memcpy(&row, at, WIDE);
        else
            memcpy(&row, at, bytes);
        /* The sign counts the other way round; `least` comes so already. */
        const words these = is_signed && bit == top ? ~row : row;
        is = least >> bit & 1 ? is & these : is | these;
    }
    return is;
}

/* Bits of m pixels, of which the first is at `planes`; returns how many are set. */
static inline __attribute__((always_inline)) size_t
compare(const char *planes, size_t plane, size_t m, const struct cxi_above *how, const char *good,
        uint64_t *bits, size_t element, int big)
{
    const uint64_t least = how->least;
    const int is_signed = how->is_signed;
    size_t byte = 0, count = 0;
    for (; byte + WIDE <= m / 8; byte += WIDE) {
        const words is = at_least(planes + byte, plane, WIDE, least, is_signed, element, big);
        memcpy(bits + byte / 8, &is, WIDE);
    }
    if (byte < m / 8) {
        const size_t bytes = m / 8 - byte;
        const words is = at_least(planes + byte, plane, bytes, least, is_signed, element, big);
        memset(bits + byte / 8, 0, (bytes + 7) / 8 * 8);
        memcpy(bits + byte / 8, &is, bytes);
    }
    for (size_t w = 0; 64 * w < m; w++) {
        bits[w] = word_of(bits + w, 8);
        if (good)
            bits[w] &= word_of(good + 8 * w, m / 8 - 8 * w < 8 ? m / 8 - 8 * w : 8);
        count += (size_t)__builtin_popcountll(bits[w]);
    }
    return count;
}

static inline __attribute__((always_inline)) void put(char *values, size_t at, uint64_t value,
                                                      size_t element)
{
    const uint8_t v1 = (uint8_t)value;
    const uint16_t v2 = (uint16_t)value;
    const uint32_t v4 = (uint32_t)value;
    memcpy(values + at * element,
           element == 1 ? (const void *)&v1 : element == 2 ? (const void *)&v2
           : element == 4 ? (const void *)&v4 : (const void *)&value, element);
}

static inline __attribute__((always_inline)) uint64_t get(const char *dense, size_t at,
                                                          size_t element, int big)
{
    uint8_t v1 = 0;
    uint16_t v2 = 0;
    uint32_t v4 = 0;
    uint64_t v8 = 0;
    memcpy(element == 1 ? (void *)&v1 : element == 2 ? (void *)&v2
           : element == 4 ? (void *)&v4 : (void *)&v8, dense + at * element, element);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    big = !big;
#endif
    switch (element) {
    case 1:
        return v1;
    case 2:
        return big ? __builtin_bswap16(v2) : v2;
    case 4:
        return big ? __builtin_bswap32(v4) : v4;
    default:
        return big ? __builtin_bswap64(v8) : v8;
    }
}

/* Pixels whose bits are set, each put together from its planes. */
static inline __attribute__((always_inline)) void
pick(const char *planes, size_t plane, const uint64_t *bits, size_t at, size_t m, size_t first,
     struct cxi_hits *hits, size_t element, int big)
{
    size_t count = hits->count;
    for (size_t w = 0; 64 * w < m; w++)
        for (uint64_t left = bits[w]; left; left &= left - 1) {
            const size_t pixel = at + 64 * w + (size_t)__builtin_ctzll(left);
            const unsigned char *src = (const unsigned char *)planes + pixel / 8;
            uint64_t value = 0;
            for (size_t bit = 0; bit < 8 * element; bit++)
                value |= (uint64_t)(src[place(bit, element, big) * plane] >> pixel % 8 & 1) << bit;
            hits->pixels[count] = (int64_t)(first + pixel);
            put(hits->values, count++, value, element);
        }
    hits->count = count;
}

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__AVX512BW__)
/* Eight pixels at a time: whole vectors are written, of which the first are those. */
static inline __attribute__((always_inline)) size_t
take_many(const char *dense, uint64_t bits, size_t first, int64_t *pixels, char *values,
          size_t element)
{
    const __m512i eight = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    size_t count = 0;
    for (size_t i = 0; i < 64; i += 8, bits >>= 8) {
        const __mmask8 mask = (__mmask8)bits;
        const __m512i at = _mm512_add_epi64(_mm512_set1_epi64((long long)(first + i)), eight);
        const char *src = dense + i * element;
        char *to = values + count * element;
        if (!mask)
            continue;
        _mm512_storeu_si512(pixels + count, _mm512_maskz_compress_epi64(mask, at));
        if (element == 1) {
            const __m512i v = _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)src));
            _mm_storel_epi64((__m128i *)to,
                             _mm512_cvtepi64_epi8(_mm512_maskz_compress_epi64(mask, v)));
        } else if (element == 2) {
            const __m512i v = _mm512_cvtepu16_epi64(_mm_loadu_si128((const __m128i *)src));
            _mm_storeu_si128((__m128i *)to,
                             _mm512_cvtepi64_epi16(_mm512_maskz_compress_epi64(mask, v)));
        } else if (element == 4) {
            const __m256i v = _mm256_loadu_si256((const __m256i *)src);
            _mm256_storeu_si256((__m256i *)to, _mm256_maskz_compress_epi32(mask, v));
        } else {
            const __m512i v = _mm512_loadu_si512(src);
            _mm512_storeu_si512(to, _mm512_maskz_compress_epi64(mask, v));
        }
        count += (size_t)__builtin_popcount(mask);
    }
    return count;
}
#define HAS_MANY 1
#else
static inline size_t take_many(const char *dense, uint64_t bits, size_t first, int64_t *pixels,
                               char *values, size_t element)
{
    (void)dense, (void)bits, (void)first, (void)pixels, (void)values, (void)element;
    return 0;
}
#define HAS_MANY 0
#endif

/* Pixels of a block that is un-shuffled. The first few of 64 are put in any case, and written over
 * where there are fewer: a branch that nobody can foretell takes longer. */
static inline __attribute__((always_inline)) void
take(const char *dense, const uint64_t *bits, size_t n, size_t first, struct cxi_hits *hits,
     size_t element, int big)
{
    int64_t *restrict pixels = hits->pixels;
    char *restrict values = hits->values;
    size_t count = hits->count;
    for (size_t w = 0; 64 * w < n; w++) {
        uint64_t left = bits[w];
        const size_t here = (size_t)__builtin_popcountll(left);
        if (w % 8 == 0 && 64 * (w + 8) <= n
            && !(left | bits[w + 1] | bits[w + 2] | bits[w + 3] | bits[w + 4] | bits[w + 5]
                 | bits[w + 6] | bits[w + 7])) {
            w += 7;
            continue;
        }
        if (HAS_MANY && !big && here > MANY) {
            count += take_many(dense + 64 * w * element, left, first + 64 * w,
                               pixels + count, values + count * element, element);
            continue;
        }
        for (size_t k = 0; k < AT_ONCE; k++, left &= left - 1) {
            const size_t i = 64 * w + (size_t)__builtin_ctzll(left | (uint64_t)1 << 63);
            pixels[count + k] = (int64_t)(first + i);
            put(values, count + k, get(dense, i, element, big), element);
        }
        for (size_t k = AT_ONCE; k < here; k++, left &= left - 1) {
            const size_t i = 64 * w + (size_t)__builtin_ctzll(left);
            pixels[count + k] = (int64_t)(first + i);
            put(values, count + k, get(dense, i, element, big), element);
        }
        count += here;
    }
    hits->count = count;
}

static inline __attribute__((always_inline)) void
look(const char *planes, size_t n, const struct cxi_above *how, size_t first,
     struct cxi_hits *hits, cxi_planes unshuffle, size_t element, int big)
{
    uint64_t bits[PART / 64];
    char dense[DENSE + 64 * 8] __attribute__((aligned(64)));  /* more, for bits that are not set */
    const char *good = how->good ? how->good + first / 8 : NULL;
    for (size_t at = 0; at < n; at += PART) {
        const size_t m = n - at < PART ? n - at : PART;
        const size_t count = compare(planes + at / 8, n / 8, m, how, good ? good + at / 8 : NULL,
                                     bits, element, big);
        if (m < n || n * element > DENSE || count * ONE_IN <= n) {
            pick(planes, n / 8, bits, at, m, first, hits, element, big);
        } else if (count > 0) {
            unshuffle(planes, dense, n, element);
            take(dense, bits, n, first, hits, element, big);
        }
    }
}

#define LOOK(size)                                                                          \
    static __attribute__((noinline)) void look_##size(                                      \
        const char *planes, size_t n, const struct cxi_above *how, size_t first,            \
        struct cxi_hits *hits, cxi_planes unshuffle)                                        \
    {                                                                                       \
        if (how->is_big_endian)                                                             \
            look(planes, n, how, first, hits, unshuffle, size, 1);                          \
        else                                                                                \
            look(planes, n, how, first, hits, unshuffle, size, 0);                          \
    }
LOOK(1)
LOOK(2)
LOOK(4)
LOOK(8)

void FUNCTION(CXI_LEVEL)(const char *planes, size_t n, const struct cxi_above *how, size_t first,
                         struct cxi_hits *hits, cxi_planes unshuffle)
{
    switch (how->element) {
    case 1:
        look_1(planes, n, how, first, hits, unshuffle);
        break;
    case 2:
        look_2(planes, n, how, first, hits, unshuffle);
        break;
    case 4:
        look_4(planes, n, how, first, hits, unshuffle);
        break;
    default:
        look_8(planes, n, how, first, hits, unshuffle);
    }
}
