/* Un-bit-shuffles with AVX-512, VBMI and GFNI: elements of 1, 2, 4 and 8 bytes. */
#include "unshuffle.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* Places of bytes within a vector of 64, made once for a call. */
struct order {
    __m512i load, join;
};

/* After the loads are permuted and their bytes transposed, register m holds the groups of 8
 * elements 8 m to 8 m + 7. Interleaving works in lanes of 16 bytes, so elements are first put
 * where they come out in order: lane L, place p takes element
 * 64 / size * (p / (16 / size)) + 16 / size * L + p % (16 / size). For 2 bytes that moves whole
 * groups, and the loads can do it; else join does. */
static inline struct order order_for(size_t element)
{
    uint8_t load[64], join[64];
    const size_t run = 16 / element;
    for (size_t i = 0; i < 64; i++) {
        const size_t lane = i / 16, place = i % 16;
        load[i] = (uint8_t)(element == 2 ? 4 * place + lane
                                         : 8 * (place / 2) + 2 * lane + place % 2);
        join[i] = (uint8_t)(64 / element * (place / run) + run * lane + place % run);
    }
    return (struct order){_mm512_loadu_si512(load), _mm512_loadu_si512(join)};
}

/* Qword by qword, 8 planes' bytes: the highest plane lowest, as the affine product wants it. */
static inline void transpose_bytes(__m512i row[8])
{
    __m512i a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[i] = _mm512_unpacklo_epi8(row[7 - 2 * i], row[6 - 2 * i]);
        a[i + 4] = _mm512_unpackhi_epi8(row[7 - 2 * i], row[6 - 2 * i]);
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm512_unpacklo_epi16(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpacklo_epi16(a[i + 2], a[i + 3]);
        b[i + 2] = _mm512_unpackhi_epi16(a[i], a[i + 1]);
        b[i + 3] = _mm512_unpackhi_epi16(a[i + 2], a[i + 3]);
    }
    for (int i = 0; i < 8; i += 2) {
        row[i] = _mm512_unpacklo_epi32(b[i], b[i + 1]);
        row[i + 1] = _mm512_unpackhi_epi32(b[i], b[i + 1]);
    }
}

/* In every qword, the 8x8 bits transposed: the product with the matrix of each unit byte. */
static inline __m512i transpose_bits(__m512i matrix)
{
    return _mm512_gf2p8affine_epi64_epi8(_mm512_set1_epi64((long long)0x8040201008040201u), matrix,
                                         0);
}

/* x[b] and x[b + width / 2] belong together, in every `width` of x: interleaved so, from the whole
 * element down to pairs, the order of bytes comes out right. */
static inline __attribute__((always_inline)) void weave(__m512i *x, size_t element, size_t width)
{
    __m512i y[8];
    const size_t half = width / 2;
    for (size_t part = 0; part < element; part += width)
        for (size_t b = 0; b < half; b++) {
            const __m512i p = x[part + b], q = x[part + b + half];
            y[part + b] = _mm512_unpacklo_epi8(p, q);
            y[part + half + b] = _mm512_unpackhi_epi8(p, q);
        }
    for (size_t b = 0; b < element; b++)
        x[b] = y[b];
}

/* Bytes of 64 elements, from `element` planes, to elements. */
static inline __attribute__((always_inline)) void interleave(__m512i *x, size_t element,
                                                             char *to)
{
    if (element > 1)
        weave(x, element, element);
    if (element > 2)
        weave(x, element, element / 2);
    if (element > 4)
        weave(x, element, element / 4);
    for (size_t i = 0; i < element; i++)
        _mm512_storeu_si512(to + 64 * i, x[i]);
}

/* 512 elements, or the last groups of 8 of a block. */
static inline __attribute__((always_inline)) void
part(const char *src, char *to, size_t plane, __mmask64 mask, struct order order, size_t element)
{
    __m512i bytes[8][8];
    for (size_t b = 0; b < element; b++) {
        for (size_t k = 0; k < 8; k++) {
            const char *at = src + (8 * b + k) * plane;
            const __m512i row = mask == ~(__mmask64)0 ? _mm512_loadu_si512(at)
                                                      : _mm512_maskz_loadu_epi8(mask, at);
            bytes[b][k] = _mm512_permutexvar_epi8(order.load, row);
        }
        transpose_bytes(bytes[b]);
        for (size_t k = 0; k < 8; k++) {
            bytes[b][k] = transpose_bits(bytes[b][k]);
            if (element > 2)
                bytes[b][k] = _mm512_permutexvar_epi8(order.join, bytes[b][k]);
        }
    }
    for (size_t m = 0; m < 8; m++) {
        __m512i x[8];
        for (size_t b = 0; b < element; b++)
            x[b] = bytes[b][m];
        interleave(x, element, to + 64 * m * element);
    }
}

static inline __attribute__((always_inline)) void planes(const char *src, char *dst, size_t n,
                                                         size_t element)
{
    const struct order order = order_for(element);
    const size_t plane = n / 8;
    size_t j = 0;
    for (; j + 64 <= plane; j += 64)
        part(src + j, dst + 8 * j * element, plane, ~(__mmask64)0, order, element);
    if (j < plane) {
        char rest[512 * 8];
        part(src + j, rest, plane, ((__mmask64)1 << (plane - j)) - 1, order, element);
        memcpy(dst + 8 * j * element, rest, 8 * (plane - j) * element);
    }
}

CXI_PLANES(static, unshuffle, cxi_unshuffle_portable.planes)

const struct cxi_unshuffle cxi_unshuffle_gfni = {
    .name = "gfni",
    .planes = unshuffle,
    .lz4 = cxi_lz4_strides_gfni,
    .above = cxi_above_planes_gfni,
};
