/* Elements to bit planes: one function per SIMD level, all with the same results. */
#ifndef CXISTACK_SHUFFLE_BITS_H
#define CXISTACK_SHUFFLE_BITS_H

#include "../bit_planes.h"

void cxi_shuffle_bits_portable(const char *src, char *dst, size_t n, size_t element);
void cxi_shuffle_bits_avx2(const char *src, char *dst, size_t n, size_t element);
void cxi_shuffle_bits_gfni(const char *src, char *dst, size_t n, size_t element);

/* The function for the table that cxi_unshuffle_for chooses. */
cxi_planes cxi_shuffle_bits_for(const char *level);

#endif
