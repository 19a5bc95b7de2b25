/* Asks the processor which of the compiled levels it can run. */
#include "levels.h"

int cxi_levels(const struct cxi_rows *tables[3])
{
    int count = 0;
    tables[count++] = &cxi_rows_portable;
#ifdef CXI_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2"))
        tables[count++] = &cxi_rows_avx2;
    if (count == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        tables[count++] = &cxi_rows_avx512;
#endif
    return count;
}
