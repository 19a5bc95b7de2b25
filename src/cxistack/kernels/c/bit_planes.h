/* What bit-shuffling and its undoing share: 8x8 matrices of bits, and a function a size. */
#ifndef CXISTACK_BIT_PLANES_H
#define CXISTACK_BIT_PLANES_H

#include <stddef.h>
#include <stdint.h>

/* Exchanges, in all bytes, the bits of a under mask << shift with those of b under mask. */
static inline void cxi_exchange_bits(uint64_t *a, uint64_t *b, int shift, uint64_t mask)
{
    const uint64_t t = (*a >> shift ^ *b) & mask;
    *b ^= t;
    *a ^= t << shift;
}

/* Byte j of the eight words is a matrix: bit k of word i becomes bit i of word k. */
static inline void cxi_transpose_bits(uint64_t word[8])
{
    for (int i = 0; i < 4; i++)
        cxi_exchange_bits(&word[i], &word[i + 4], 4, 0x0f0f0f0f0f0f0f0fu);
    for (int i = 0; i < 8; i += 4) {
        cxi_exchange_bits(&word[i], &word[i + 2], 2, 0x3333333333333333u);
        cxi_exchange_bits(&word[i + 1], &word[i + 3], 2, 0x3333333333333333u);
    }
    for (int i = 0; i < 8; i += 2)
        cxi_exchange_bits(&word[i], &word[i + 1], 1, 0x5555555555555555u);
}

/* Which of a table's functions takes elements of so many bytes; -1: the one for any. */
static inline int cxi_planes_size(size_t element)
{
    return element == 1 ? 0 : element == 2 ? 1 : element == 4 ? 2 : element == 8 ? 3 : -1;
}

/* From one inline `planes` that takes any size, a function for each size that has one. */
#define CXI_PLANES_OF(size)                                                             \
    static void planes_##size(const char *src, char *dst, size_t n, size_t element)     \
    {                                                                                   \
        (void)element;                                                                  \
        planes(src, dst, n, size);                                                      \
    }
#define CXI_PLANES_OF_ALL_SIZES                                                         \
    CXI_PLANES_OF(1)                                                                    \
    CXI_PLANES_OF(2)                                                                    \
    CXI_PLANES_OF(4)                                                                    \
    CXI_PLANES_OF(8)

#endif
