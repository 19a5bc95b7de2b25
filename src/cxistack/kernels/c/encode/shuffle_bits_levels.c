/* Chooses how to bit-shuffle as it is chosen how to undo it. */
#include "../decode/unshuffle.h"
#include "shuffle_bits.h"

#include <string.h>

cxi_planes cxi_shuffle_bits_for(const char *level)
{
    const char *name = cxi_unshuffle_for(level)->name;
#ifdef CXI_X86
    if (strcmp(name, "avx2") == 0)
        return cxi_shuffle_bits_avx2;
#endif
#ifdef CXI_GFNI
    if (strcmp(name, "gfni") == 0)
        return cxi_shuffle_bits_gfni;
#endif
    (void)name;
    return cxi_shuffle_bits_portable;
}
