/* Bit planes back to elements: one table per SIMD level, all with the same results. */
#ifndef CXISTACK_UNSHUFFLE_H
#define CXISTACK_UNSHUFFLE_H

#include "../bit_planes.h"
#include "above_planes.h"
#include "lz4_strides.h"

struct cxi_unshuffle {
    const char *name;
    cxi_planes planes;
    cxi_lz4_strides lz4;  /* not un-shuffling, but what comes before it, at the same level */
    cxi_above_planes above;  /* instead of un-shuffling */
};

extern const struct cxi_unshuffle cxi_unshuffle_portable;
extern const struct cxi_unshuffle cxi_unshuffle_avx2;
extern const struct cxi_unshuffle cxi_unshuffle_gfni;

/* The tables that can run here, slowest first; returns how many (at most 3). */
int cxi_unshuffles(const struct cxi_unshuffle *tables[3]);

/* The best table within a level of the row kernels, or of all for NULL. */
const struct cxi_unshuffle *cxi_unshuffle_for(const char *level);

#endif
