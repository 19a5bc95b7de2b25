/* What bit-shuffling and its undoing share: 8x8 matrices of bits, and the choice by size. */
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

/* n elements, a multiple of 8, to bit planes or back. A plane p, n / 8 bytes long, holds bit p % 8
 * of byte p / 8 of all elements. */
typedef void (*cxi_planes)(const char *src, char *dst, size_t n, size_t element);

/* Defines a function from an inline `planes`: one more for each usual size of elements, which the
 * compiler then knows, and `any` for others. */
#define CXI_PLANES_OF(size)                                                                 \
    static __attribute__((noinline)) void planes_##size(const char *src, char *dst, size_t n)\
    {                                                                                       \
        planes(src, dst, n, size);                                                          \
    }
#define CXI_PLANES(linkage, function, any)                                                  \
    CXI_PLANES_OF(1)                                                                        \
    CXI_PLANES_OF(2)                                                                        \
    CXI_PLANES_OF(4)                                                                        \
    CXI_PLANES_OF(8)                                                                        \
    linkage void function(const char *src, char *dst, size_t n, size_t element)             \
    {                                                                                       \
        switch (element) {                                                                  \
        case 1:                                                                             \
            planes_1(src, dst, n);                                                          \
            break;                                                                          \
        case 2:                                                                             \
            planes_2(src, dst, n);                                                          \
            break;                                                                          \
        case 4:                                                                             \
            planes_4(src, dst, n);                                                          \
            break;                                                                          \
        case 8:                                                                             \
            planes_8(src, dst, n);                                                          \
            break;                                                                          \
        default:                                                                            \
            any(src, dst, n, element);                                                      \
        }                                                                                   \
    }

#endif
