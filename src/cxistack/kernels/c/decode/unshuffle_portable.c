/* Un-bit-shuffles with 64-bit integers: any processor, elements of any size. */
#include "unshuffle.h"

#include <stdint.h>
#include <string.h>

/* Byte `byte` of `groups` (at most 8) groups of 8 elements, from their 8 planes. */
static inline void group_bytes(const char *src, size_t plane, size_t groups, char *dst,
                               size_t element)
{
    uint64_t word[8];
    char bytes[8][8];
    for (int k = 0; k < 8; k++) {
        word[k] = 0;
        memcpy(&word[k], src + k * plane, groups);
    }
    cxi_transpose_bits(word);
    memcpy(bytes, word, sizeof bytes);
    for (size_t j = 0; j < groups; j++)
        for (size_t k = 0; k < 8; k++)
            dst[(8 * j + k) * element] = bytes[k][j];
}

static inline __attribute__((always_inline)) void planes(const char *src, char *dst, size_t n,
                                                         size_t element)
{
    const size_t plane = n / 8;
    for (size_t j = 0; j < plane; j += 8) {
        const size_t groups = plane - j < 8 ? plane - j : 8;
        for (size_t byte = 0; byte < element; byte++) {
            char *to = dst + 8 * j * element + byte;
            if (groups == 8)  /* a constant for the compiler */
                group_bytes(src + 8 * byte * plane + j, plane, 8, to, element);
            else
                group_bytes(src + 8 * byte * plane + j, plane, groups, to, element);
        }
    }
}

CXI_PLANES(static, unshuffle, planes)

const struct cxi_unshuffle cxi_unshuffle_portable = {
    .name = "portable",
    .planes = unshuffle,
    .lz4 = cxi_lz4_strides_portable,
    .above = cxi_above_planes_portable,
};
