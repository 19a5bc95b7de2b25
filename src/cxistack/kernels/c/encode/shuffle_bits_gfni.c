/* Bit-shuffles with AVX-512, VBMI and GFNI: elements of 1, 2, 4 and 8 bytes. */
#include "shuffle_bits.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* Places of bytes within a vector of 64, made once for a call: `group` puts bytes of the same
 * place in their elements side by side, every 8 of them backwards, as the affine product wants
 * it; `spread` takes byte 8 q + k to 8 k + q. */
struct order {
    __m512i group, spread;
};

static inline struct order order_for(size_t element)
{
    uint8_t group[64], spread[64];
    const size_t run = 64 / element;
    for (size_t i = 0; i < 64; i++) {
        group[i] = (uint8_t)((i % run ^ 7) * element + i / run);
        spread[i] = (uint8_t)(i % 8 * 8 + i / 8);
    }
    return (struct order){_mm512_loadu_si512(group), _mm512_loadu_si512(spread)};
}

/* Qword i of row k and qword k of row i change places. */
static inline __attribute__((always_inline)) void transpose_qwords(__m512i row[8])
{
    __m512i a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm512_unpacklo_epi64(row[i], row[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi64(row[i], row[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int k = 0; k < 2; k++) {
            b[i + k] = _mm512_shuffle_i64x2(a[i + k], a[i + k + 2], 0x88);
            b[i + k + 2] = _mm512_shuffle_i64x2(a[i + k], a[i + k + 2], 0xdd);
        }
    for (int k = 0; k < 4; k++) {
        row[k] = _mm512_shuffle_i64x2(b[k], b[k + 4], 0x88);
        row[k + 4] = _mm512_shuffle_i64x2(b[k], b[k + 4], 0xdd);
    }
}

/* From `element` grouped vectors to one for each byte of an element. */
static inline __attribute__((always_inline)) void part_bytes(__m512i *x, size_t element)
{
    if (element == 2) {
        const __m512i low = x[0];
        x[0] = _mm512_shuffle_i64x2(low, x[1], 0x44);
        x[1] = _mm512_shuffle_i64x2(low, x[1], 0xee);
    } else if (element == 4) {
        const __m512i a = _mm512_shuffle_i64x2(x[0], x[1], 0x88);
        const __m512i b = _mm512_shuffle_i64x2(x[0], x[1], 0xdd);
        const __m512i c = _mm512_shuffle_i64x2(x[2], x[3], 0x88);
        const __m512i d = _mm512_shuffle_i64x2(x[2], x[3], 0xdd);
        x[0] = _mm512_shuffle_i64x2(a, c, 0x88);
        x[1] = _mm512_shuffle_i64x2(b, d, 0x88);
        x[2] = _mm512_shuffle_i64x2(a, c, 0xdd);
        x[3] = _mm512_shuffle_i64x2(b, d, 0xdd);
    } else if (element == 8) {
        transpose_qwords(x);
    }
}

/* In every qword, byte k gets bit k of all eight: the product with the matrix of each unit byte. */
static inline __m512i transpose_bits(__m512i matrix)
{
    return _mm512_gf2p8affine_epi64_epi8(_mm512_set1_epi64((long long)0x8040201008040201u), matrix,
                                         0);
}

/* 512 elements, or the last groups of 8 of a block, to `groups` bytes of each plane. */
static inline __attribute__((always_inline)) void part(const char *src, char *dst, size_t plane,
                                                       __mmask64 mask, struct order order,
                                                       size_t element)
{
    __m512i bytes[8][8];
    for (size_t s = 0; s < 8; s++) {
        __m512i x[8];
        for (size_t i = 0; i < element; i++)
            x[i] = _mm512_permutexvar_epi8(order.group,
                                           _mm512_loadu_si512(src + 64 * (element * s + i)));
        part_bytes(x, element);
        for (size_t b = 0; b < element; b++)
            bytes[b][s] = _mm512_permutexvar_epi8(order.spread, transpose_bits(x[b]));
    }
    for (size_t b = 0; b < element; b++) {
        transpose_qwords(bytes[b]);
        for (size_t k = 0; k < 8; k++)
            _mm512_mask_storeu_epi8(dst + (8 * b + k) * plane, mask, bytes[b][k]);
    }
}

static inline __attribute__((always_inline)) void planes(const char *src, char *dst, size_t n,
                                                         size_t element)
{
    const struct order order = order_for(element);
    const size_t plane = n / 8;
    size_t j = 0;
    for (; j + 64 <= plane; j += 64)
        part(src + 8 * j * element, dst + j, plane, ~(__mmask64)0, order, element);
    if (j < plane) {
        char rest[512 * 8];
        memcpy(rest, src + 8 * j * element, 8 * (plane - j) * element);
        memset(rest + 8 * (plane - j) * element, 0, (512 - 8 * (plane - j)) * element);
        part(rest, dst + j, plane, ((__mmask64)1 << (plane - j)) - 1, order, element);
    }
}

CXI_PLANES(extern, cxi_shuffle_bits_gfni, cxi_shuffle_bits_portable)
