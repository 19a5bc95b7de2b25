/* Asks the processor which of the compiled ways to un-bit-shuffle it can run. */
#include "unshuffle.h"

#include <string.h>

int cxi_unshuffles(const struct cxi_unshuffle *tables[3])
{
    int count = 0;
    tables[count++] = &cxi_unshuffle_portable;
#ifdef CXI_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2"))
        tables[count++] = &cxi_unshuffle_avx2;
#endif
#ifdef CXI_GFNI
    if (count == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("gfni"))
        tables[count++] = &cxi_unshuffle_gfni;
#endif
    return count;
}

const struct cxi_unshuffle *cxi_unshuffle_for(const char *level)
{
    const struct cxi_unshuffle *tables[3];
    int count = cxi_unshuffles(tables);
    /* AVX-512 without GFNI gains nothing here, so "avx512" is AVX2 on such a processor. */
    if (level && strcmp(level, "portable") == 0)
        count = 1;
    else if (level && strcmp(level, "avx2") == 0 && count > 2)
        count = 2;
    return tables[count - 1];
}
