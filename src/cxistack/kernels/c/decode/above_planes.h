/* Bit planes compared with a value: one function per SIMD level. */
#ifndef CXISTACK_ABOVE_PLANES_H
#define CXISTACK_ABOVE_PLANES_H

#include "../bit_planes.h"
#include "above.h"

/* n pixels, a multiple of 8, from pixel `first` on, which is one too; there is room for n, and what
 * is behind the last that is found may be written to. `unshuffle` is that of the same level. */
typedef void (*cxi_above_planes)(const char *planes, size_t n, const struct cxi_above *how,
                                 size_t first, struct cxi_hits *hits, cxi_planes unshuffle);

void cxi_above_planes_portable(const char *planes, size_t n, const struct cxi_above *how,
                               size_t first, struct cxi_hits *hits, cxi_planes unshuffle);
void cxi_above_planes_avx2(const char *planes, size_t n, const struct cxi_above *how, size_t first,
                           struct cxi_hits *hits, cxi_planes unshuffle);
void cxi_above_planes_gfni(const char *planes, size_t n, const struct cxi_above *how, size_t first,
                           struct cxi_hits *hits, cxi_planes unshuffle);

#endif
