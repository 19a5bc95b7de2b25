/* Un-bit-shuffles with AVX2: elements of 1, 2, 4 and 8 bytes. */
#include "unshuffle.h"

#include <immintrin.h>
#include <string.h>

/* Bits of a under mask << shift change places with those of b under mask; mask is of bytes. */
static inline void exchange(__m256i *a, __m256i *b, int shift, char mask)
{
    const __m256i t = _mm256_and_si256(_mm256_xor_si256(_mm256_srli_epi64(*a, shift), *b),
                                       _mm256_set1_epi8(mask));
    *b = _mm256_xor_si256(*b, t);
    *a = _mm256_xor_si256(*a, _mm256_slli_epi64(t, shift));
}

/* From bit planes to: byte j of row[k] is the byte of element 8 j + k. */
static inline void transpose_bits(__m256i row[8])
{
    for (int i = 0; i < 4; i++)
        exchange(&row[i], &row[i + 4], 4, 0x0f);
    for (int i = 0; i < 8; i += 4) {
        exchange(&row[i], &row[i + 2], 2, 0x33);
        exchange(&row[i + 1], &row[i + 3], 2, 0x33);
    }
    for (int i = 0; i < 8; i += 2)
        exchange(&row[i], &row[i + 1], 1, 0x55);
}

/* From there to: row[m] holds, in its lane L, elements 128 L + 16 m to 128 L + 16 m + 15. */
static inline void transpose_bytes(__m256i row[8])
{
    __m256i a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[i] = _mm256_unpacklo_epi8(row[2 * i], row[2 * i + 1]);
        a[i + 4] = _mm256_unpackhi_epi8(row[2 * i], row[2 * i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_unpacklo_epi16(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpacklo_epi16(a[i + 2], a[i + 3]);
        b[i + 2] = _mm256_unpackhi_epi16(a[i], a[i + 1]);
        b[i + 3] = _mm256_unpackhi_epi16(a[i + 2], a[i + 3]);
    }
    for (int i = 0; i < 8; i += 2) {
        row[i] = _mm256_unpacklo_epi32(b[i], b[i + 1]);
        row[i + 1] = _mm256_unpackhi_epi32(b[i], b[i + 1]);
    }
}

static inline void store(char *low, char *high, __m256i value)
{
    _mm_storeu_si128((__m128i *)low, _mm256_castsi256_si128(value));
    _mm_storeu_si128((__m128i *)high, _mm256_extracti128_si256(value, 1));
}

/* x[b] and x[b + width / 2] belong together, in every `width` of x: interleaved so, from the whole
 * element down to pairs, the order of bytes comes out right. */
static inline __attribute__((always_inline)) void weave(__m256i *x, size_t element, size_t width)
{
    __m256i y[8];
    const size_t half = width / 2;
    for (size_t part = 0; part < element; part += width)
        for (size_t b = 0; b < half; b++) {
            const __m256i p = x[part + b], q = x[part + b + half];
            y[part + b] = _mm256_unpacklo_epi8(p, q);
            y[part + half + b] = _mm256_unpackhi_epi8(p, q);
        }
    for (size_t b = 0; b < element; b++)
        x[b] = y[b];
}

/* Bytes of 16 elements in each lane, from `element` planes, to elements. */
static inline __attribute__((always_inline)) void interleave(__m256i *x, size_t element,
                                                             char *low, char *high)
{
    if (element > 1)
        weave(x, element, element);
    if (element > 2)
        weave(x, element, element / 2);
    if (element > 4)
        weave(x, element, element / 4);
    for (size_t i = 0; i < element; i++)
        store(low + 16 * i, high + 16 * i, x[i]);
}

static inline __attribute__((always_inline)) void planes(const char *src, char *dst, size_t n,
                                                         size_t element)
{
    const size_t plane = n / 8;
    char rest[256 * 8];
    for (size_t j = 0; j < plane; j += 32) {
        const size_t groups = plane - j < 32 ? plane - j : 32;
        char *to = groups == 32 ? dst + 8 * j * element : rest;
        __m256i bytes[8][8];
        for (size_t b = 0; b < element; b++) {
            for (size_t k = 0; k < 8; k++) {
                const char *at = src + (8 * b + k) * plane + j;
                if (groups == 32) {
                    bytes[b][k] = _mm256_loadu_si256((const __m256i *)at);
                } else {
                    char part[32] = {0};
                    memcpy(part, at, groups);
                    bytes[b][k] = _mm256_loadu_si256((const __m256i *)part);
                }
            }
            transpose_bits(bytes[b]);
            transpose_bytes(bytes[b]);
        }
        for (size_t m = 0; m < 8; m++) {
            __m256i x[8];
            for (size_t b = 0; b < element; b++)
                x[b] = bytes[b][m];
            interleave(x, element, to + 16 * m * element, to + (128 + 16 * m) * element);
        }
        if (groups < 32)
            memcpy(dst + 8 * j * element, rest, 8 * groups * element);
    }
}

CXI_PLANES(static, unshuffle, cxi_unshuffle_portable.planes)

const struct cxi_unshuffle cxi_unshuffle_avx2 = {
    .name = "avx2",
    .planes = unshuffle,
    .lz4 = cxi_lz4_strides_avx2,
    .above = cxi_above_planes_avx2,
};
