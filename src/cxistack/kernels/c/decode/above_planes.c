/* Bit planes compared with a value: meson compiles this file once per SIMD level.
 *
 * From the lowest bit up, "at least" is known of the bits so far: where the value's next bit is 1,
 * a pixel has it and was at least that; where it is 0, a pixel has it or was. */
#include "above_planes.h"
#include "../bit_planes.h"

#include <string.h>

#define JOIN(a, b) a##b
#define FUNCTION(level) JOIN(cxi_above_planes_, level)

enum { WORDS = 8, GROUP = 64 * WORDS };  /* of pixels that are compared side by side */
enum { FEW = 4 };  /* of 64: so many are picked bit by bit, more come from a transposition */

/* Bit i of the word is bit i % 8 of byte i / 8, on any machine. */
static inline uint64_t word_of(const char *bytes, size_t n)
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

static inline void put(char *values, size_t at, uint64_t value, size_t element)
{
    const uint8_t v1 = (uint8_t)value;
    const uint16_t v2 = (uint16_t)value;
    const uint32_t v4 = (uint32_t)value;
    memcpy(values + at * element,
           element == 1 ? (const void *)&v1 : element == 2 ? (const void *)&v2
           : element == 4 ? (const void *)&v4 : (const void *)&value, element);
}

/* All bits of one pixel. */
static inline __attribute__((always_inline)) uint64_t pick(const char *planes, size_t plane,
                                                           size_t pixel, size_t element, int big)
{
    const unsigned char *at = (const unsigned char *)planes + pixel / 8;
    uint64_t value = 0;
    for (size_t bit = 0; bit < 8 * element; bit++)
        value |= (uint64_t)(at[place(bit, element, big) * plane] >> pixel % 8 & 1) << bit;
    return value;
}

/* All bytes of 64 pixels, or of `groups` times 8: byte b of pixel 8 j + k is bytes[b][k][j]. */
static inline __attribute__((always_inline)) void
transpose(const char *planes, size_t plane, size_t groups, char bytes[8][8][8], size_t element,
          int big)
{
    for (size_t b = 0; b < element; b++) {
        uint64_t word[8];
        for (size_t k = 0; k < 8; k++) {
            word[k] = 0;
            memcpy(&word[k], planes + place(8 * b + k, element, big) * plane, groups);
        }
        cxi_transpose_bits(word);
        memcpy(bytes[b], word, sizeof word);
    }
}

static inline __attribute__((always_inline)) void
collect(const char *planes, size_t plane, uint64_t bits, size_t at, size_t groups, size_t first,
        struct cxi_hits *hits, size_t element, int big)
{
    size_t count = hits->count;
    if (__builtin_popcountll(bits) <= FEW) {
        for (; bits; bits &= bits - 1) {
            const size_t pixel = at + (size_t)__builtin_ctzll(bits);
            hits->pixels[count] = (int64_t)(first + pixel);
            put(hits->values, count++, pick(planes, plane, pixel, element, big), element);
        }
    } else {
        char bytes[8][8][8];
        transpose(planes + at / 8, plane, groups, bytes, element, big);
        for (; bits; bits &= bits - 1) {
            const size_t i = (size_t)__builtin_ctzll(bits);
            uint64_t value = 0;
            for (size_t b = 0; b < element; b++)
                value |= (uint64_t)(unsigned char)bytes[b][i % 8][i / 8] << 8 * b;
            hits->pixels[count] = (int64_t)(first + at + i);
            put(hits->values, count++, value, element);
        }
    }
    hits->count = count;
}

static inline __attribute__((always_inline)) void
look(const char *planes, size_t n, const struct cxi_above *how, size_t first,
     struct cxi_hits *hits, size_t element, int big)
{
    const size_t plane = n / 8, top = 8 * element - 1;
    const uint64_t least = how->least;
    const size_t lowest = least ? (size_t)__builtin_ctzll(least) : 8 * element;
    const char *good = how->good ? how->good + first / 8 : NULL;
    for (size_t at = 0; at < n; at += GROUP) {
        const size_t bytes = n - at < GROUP ? (n - at) / 8 : GROUP / 8;
        uint64_t is[WORDS], row[WORDS] = {0};
        for (size_t w = 0; w < WORDS; w++)
            is[w] = ~(uint64_t)0;
        /* The sign counts the other way round; `least` comes so already. */
        for (size_t bit = lowest; bit <= top; bit++) {
            const char *src = planes + place(bit, element, big) * plane + at / 8;
            const uint64_t turned = how->is_signed && bit == top ? ~(uint64_t)0 : 0;
            if (bytes == sizeof row)
                memcpy(row, src, sizeof row);
            else
                memcpy(row, src, bytes);
            if (least >> bit & 1)
                for (size_t w = 0; w < WORDS; w++)
                    is[w] &= row[w] ^ turned;
            else
                for (size_t w = 0; w < WORDS; w++)
                    is[w] |= row[w] ^ turned;
        }
        for (size_t w = 0; w < WORDS && 8 * w < bytes; w++) {
            const size_t groups = bytes - 8 * w < 8 ? bytes - 8 * w : 8;
            uint64_t bits = word_of((const char *)&is[w], 8);
            if (groups < 8)
                bits &= ((uint64_t)1 << 8 * groups) - 1;
            if (good)
                bits &= word_of(good + at / 8 + 8 * w, groups);
            if (bits)
                collect(planes, plane, bits, at + 64 * w, groups, first, hits, element, big);
        }
    }
}

#define LOOK(size)                                                                          \
    static __attribute__((noinline)) void look_##size(                                      \
        const char *planes, size_t n, const struct cxi_above *how, size_t first,            \
        struct cxi_hits *hits)                                                              \
    {                                                                                       \
        if (how->is_big_endian)                                                             \
            look(planes, n, how, first, hits, size, 1);                                     \
        else                                                                                \
            look(planes, n, how, first, hits, size, 0);                                     \
    }
LOOK(1)
LOOK(2)
LOOK(4)
LOOK(8)

void FUNCTION(CXI_LEVEL)(const char *planes, size_t n, const struct cxi_above *how, size_t first,
                         struct cxi_hits *hits)
{
    switch (how->element) {
    case 1:
        look_1(planes, n, how, first, hits);
        break;
    case 2:
        look_2(planes, n, how, first, hits);
        break;
    case 4:
        look_4(planes, n, how, first, hits);
        break;
    default:
        look_8(planes, n, how, first, hits);
    }
}
