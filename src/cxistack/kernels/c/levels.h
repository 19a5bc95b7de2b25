/* Which SIMD levels this build holds and this processor can run. */
#ifndef CXISTACK_LEVELS_H
#define CXISTACK_LEVELS_H

#include "rows.h"

/* The tables that can run here, from the portable one up; returns how many (at most 3). */
int cxi_levels(const struct cxi_rows *tables[3]);

#endif
