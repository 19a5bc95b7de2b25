/* Elements to bit planes: one table per SIMD level, all with the same results. */
#ifndef CXISTACK_SHUFFLE_BITS_H
#define CXISTACK_SHUFFLE_BITS_H

#include "../bit_planes.h"

/* n elements, a multiple of 8. Plane p of dst, n / 8 bytes long, gets bit p % 8 of byte p / 8 of
 * all elements. */
typedef void (*cxi_shuffle_size)(const char *src, char *dst, size_t n, size_t element);

struct cxi_shuffle_bits {
    const char *name;
    cxi_shuffle_size size[4];  /* elements of 1, 2, 4 and 8 bytes */
    cxi_shuffle_size any;
};

extern const struct cxi_shuffle_bits cxi_shuffle_bits_portable;
extern const struct cxi_shuffle_bits cxi_shuffle_bits_avx2;
extern const struct cxi_shuffle_bits cxi_shuffle_bits_gfni;

/* The table of the same name as cxi_unshuffle_for chooses. */
const struct cxi_shuffle_bits *cxi_shuffle_bits_for(const char *level);

static inline void cxi_shuffle_block(const struct cxi_shuffle_bits *table, const char *src,
                                     char *dst, size_t n, size_t element)
{
    const int size = cxi_planes_size(element);
    (size < 0 ? table->any : table->size[size])(src, dst, n, element);
}

#endif
