/* Bit-shuffles with AVX2: elements of 1, 2, 4 and 8 bytes. */
#include "shuffle_bits.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* In each lane, bytes of the same place in their elements side by side. */
static inline __m256i group_order(size_t element)
{
    uint8_t at[32];
    for (size_t i = 0; i < 32; i++)
        at[i] = (uint8_t)(i % 16 % (16 / element) * element + i % 16 / (16 / element));
    return _mm256_loadu_si256((const __m256i *)at);
}

/* From `element` grouped vectors to one for each byte of an element, lane by lane. */
static inline __attribute__((always_inline)) void part_bytes(__m256i *x, size_t element)
{
    __m256i y[8];
    if (element == 2) {
        y[0] = _mm256_unpacklo_epi64(x[0], x[1]);
        y[1] = _mm256_unpackhi_epi64(x[0], x[1]);
    } else if (element == 4) {
        const __m256i a = _mm256_unpacklo_epi32(x[0], x[1]), b = _mm256_unpackhi_epi32(x[0], x[1]);
        const __m256i c = _mm256_unpacklo_epi32(x[2], x[3]), d = _mm256_unpackhi_epi32(x[2], x[3]);
        y[0] = _mm256_unpacklo_epi64(a, c);
        y[1] = _mm256_unpackhi_epi64(a, c);
        y[2] = _mm256_unpacklo_epi64(b, d);
        y[3] = _mm256_unpackhi_epi64(b, d);
    } else if (element == 8) {
        __m256i a[8], b[8];
        for (int i = 0; i < 8; i += 2) {
            a[i] = _mm256_unpacklo_epi16(x[i], x[i + 1]);
            a[i + 1] = _mm256_unpackhi_epi16(x[i], x[i + 1]);
        }
        for (int i = 0; i < 8; i += 4)
            for (int k = 0; k < 2; k++) {
                b[i + 2 * k] = _mm256_unpacklo_epi32(a[i + k], a[i + k + 2]);
                b[i + 2 * k + 1] = _mm256_unpackhi_epi32(a[i + k], a[i + k + 2]);
            }
        for (int k = 0; k < 4; k++) {
            y[2 * k] = _mm256_unpacklo_epi64(b[k], b[k + 4]);
            y[2 * k + 1] = _mm256_unpackhi_epi64(b[k], b[k + 4]);
        }
    }
    for (size_t b = 0; element > 1 && b < element; b++)
        x[b] = y[b];
}

/* 32 elements to `groups` (at most 4) bytes of each plane. A lane holds 16 elements, so that no
 * byte has to leave its lane. */
static inline __attribute__((always_inline)) void part(const char *src, char *dst, size_t plane,
                                                       size_t groups, __m256i order,
                                                       size_t element)
{
    __m256i x[8];
    for (size_t i = 0; i < element; i++) {
        const __m128i low = _mm_loadu_si128((const __m128i *)(src + 16 * i));
        const __m128i high = _mm_loadu_si128((const __m128i *)(src + 16 * (element + i)));
        x[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
        if (element > 1)
            x[i] = _mm256_shuffle_epi8(x[i], order);
    }
    part_bytes(x, element);
    for (size_t b = 0; b < element; b++)
        for (size_t k = 8; k-- > 0;) {
            const int bits = _mm256_movemask_epi8(x[b]);
            memcpy(dst + (8 * b + k) * plane, &bits, groups);
            x[b] = _mm256_add_epi8(x[b], x[b]);
        }
}

static inline __attribute__((always_inline)) void planes(const char *src, char *dst, size_t n,
                                                         size_t element)
{
    const __m256i order = group_order(element);
    const size_t plane = n / 8;
    size_t j = 0;
    for (; j + 4 <= plane; j += 4)
        part(src + 8 * j * element, dst + j, plane, 4, order, element);
    if (j < plane) {
        char rest[32 * 8] = {0};
        memcpy(rest, src + 8 * j * element, 8 * (plane - j) * element);
        part(rest, dst + j, plane, plane - j, order, element);
    }
}

CXI_PLANES(extern, cxi_shuffle_bits_avx2, cxi_shuffle_bits_portable)
