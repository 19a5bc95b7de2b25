/* Bit planes back to elements: one table per SIMD level, all with the same results. */
#ifndef CXISTACK_UNSHUFFLE_H
#define CXISTACK_UNSHUFFLE_H

#include "../bit_planes.h"
#include "lz4_strides.h"

/* n elements, a multiple of 8. Plane p of src, n / 8 bytes long, holds bit p % 8 of byte p / 8 of
 * all elements. */
typedef void (*cxi_unshuffle_size)(const char *src, char *dst, size_t n, size_t element);

struct cxi_unshuffle {
    const char *name;
    cxi_unshuffle_size size[4];  /* elements of 1, 2, 4 and 8 bytes */
    cxi_unshuffle_size any;
    cxi_lz4_strides lz4;  /* not un-shuffling, but what comes before it, at the same level */
};

extern const struct cxi_unshuffle cxi_unshuffle_portable;
extern const struct cxi_unshuffle cxi_unshuffle_avx2;
extern const struct cxi_unshuffle cxi_unshuffle_gfni;

/* The tables that can run here, slowest first; returns how many (at most 3). */
int cxi_unshuffles(const struct cxi_unshuffle *tables[3]);

/* The best table within a level of the row kernels, or of all for NULL. */
const struct cxi_unshuffle *cxi_unshuffle_for(const char *level);

static inline void cxi_unshuffle(const struct cxi_unshuffle *table, const char *src, char *dst,
                                 size_t n, size_t element)
{
    const int size = cxi_planes_size(element);
    (size < 0 ? table->any : table->size[size])(src, dst, n, element);
}

#endif
