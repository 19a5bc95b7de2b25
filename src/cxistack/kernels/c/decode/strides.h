/* Copies in strides of a whole vector, which may go past the end by less than one. */
#ifndef CXISTACK_STRIDES_H
#define CXISTACK_STRIDES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Row `offset` repeats the first `offset` bytes of a vector over all of it; row 0 is not used. */
#define E4(o, i) (i) % (o), ((i) + 1) % (o), ((i) + 2) % (o), ((i) + 3) % (o)
#define E16(o, i) E4(o, i), E4(o, (i) + 4), E4(o, (i) + 8), E4(o, (i) + 12)

#if defined(__AVX512VBMI__)
#include <immintrin.h>
enum { WIDE = 64 };
#define ROW(o) {E16(o, 0), E16(o, 16), E16(o, 32), E16(o, 48)}
#define ROWS(o) ROW(o), ROW(o + 1), ROW(o + 2), ROW(o + 3), ROW(o + 4), ROW(o + 5), ROW(o + 6), \
                ROW(o + 7)
static const uint8_t repeats[WIDE][WIDE] __attribute__((aligned(64))) = {
    ROW(1), ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7),
    ROWS(8), ROWS(16), ROWS(24), ROWS(32), ROWS(40), ROWS(48), ROWS(56)};
typedef __m512i vector;
static inline vector load(const char *at) { return _mm512_loadu_si512(at); }
static inline void store(char *at, vector v) { _mm512_storeu_si512(at, v); }
static inline vector repeat(vector v, size_t offset)
{
    return _mm512_permutexvar_epi8(_mm512_load_si512(repeats[offset]), v);
}
#elif defined(__AVX2__)
#include <immintrin.h>
/* Byte permutes reach 16 bytes here, so vectors are no longer. */
enum { WIDE = 16 };
#define ROW(o) {E16(o, 0)}
static const uint8_t repeats[WIDE][WIDE] __attribute__((aligned(16))) = {
    ROW(1), ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7),
    ROW(8), ROW(9), ROW(10), ROW(11), ROW(12), ROW(13), ROW(14), ROW(15)};
typedef __m128i vector;
static inline vector load(const char *at) { return _mm_loadu_si128((const __m128i *)at); }
static inline void store(char *at, vector v) { _mm_storeu_si128((__m128i *)at, v); }
static inline vector repeat(vector v, size_t offset)
{
    return _mm_shuffle_epi8(v, _mm_load_si128((const __m128i *)repeats[offset]));
}
#else
enum { WIDE = 16 };
typedef struct { char bytes[WIDE]; } vector;
static inline vector load(const char *at)
{
    vector v;
    memcpy(&v, at, WIDE);
    return v;
}
static inline void store(char *at, vector v) { memcpy(at, &v, WIDE); }
static inline vector repeat(vector v, size_t offset)
{
    for (size_t i = offset; i < WIDE; i++)
        v.bytes[i] = v.bytes[i - offset];
    return v;
}
#endif

static inline void copy_16(char *dst, const char *src)
{
    char bytes[16];
    memcpy(bytes, src, 16);
    memcpy(dst, bytes, 16);
}

/* From src to dst, which may overlap as far as src + WIDE <= dst. */
static inline void copy_strides(char *dst, const char *src, size_t n)
{
    const char *const end = dst + n;
    do {
        store(dst, load(src));
        dst += WIDE;
        src += WIDE;
    } while (dst < end);
}

/* n bytes at dst repeat the `offset` bytes before it; offset is 1 to WIDE - 1. */
static inline void repeat_strides(char *dst, size_t offset, size_t n)
{
    const vector v = repeat(load(dst - offset), offset);
    const size_t stride = WIDE - WIDE % offset;
    const char *const end = dst + n;
    do {
        store(dst, v);
        dst += stride;
    } while (dst < end);
}

#endif
