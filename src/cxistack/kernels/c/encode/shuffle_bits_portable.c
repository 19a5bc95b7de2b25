/* Bit-shuffles with 64-bit integers: any processor, elements of any size. */
#include "shuffle_bits.h"

#include <stdint.h>
#include <string.h>

/* One byte of `groups` (at most 8) groups of 8 elements, to their 8 planes. */
static inline void group_bytes(const char *src, size_t element, size_t groups, char *dst,
                               size_t plane)
{
    uint64_t word[8];
    char bytes[8][8] = {{0}};
    for (size_t j = 0; j < groups; j++)
        for (size_t k = 0; k < 8; k++)
            bytes[k][j] = src[(8 * j + k) * element];
    memcpy(word, bytes, sizeof bytes);
    cxi_transpose_bits(word);
    for (size_t k = 0; k < 8; k++)
        memcpy(dst + k * plane, &word[k], groups);
}

static inline __attribute__((always_inline)) void planes(const char *src, char *dst, size_t n,
                                                         size_t element)
{
    const size_t plane = n / 8;
    for (size_t j = 0; j < plane; j += 8) {
        const size_t groups = plane - j < 8 ? plane - j : 8;
        for (size_t byte = 0; byte < element; byte++) {
            const char *from = src + 8 * j * element + byte;
            char *to = dst + 8 * byte * plane + j;
            if (groups == 8)  /* a constant for the compiler */
                group_bytes(from, element, 8, to, plane);
            else
                group_bytes(from, element, groups, to, plane);
        }
    }
}

CXI_PLANES(extern, cxi_shuffle_bits_portable, planes)
