/* The Zstandard filter, one frame; also bitshuffle's Zstandard blocks. */
#include "filters.h"

#include <zstd.h>

size_t cxi_zstd_bound(size_t len)
{
    return ZSTD_compressBound(len);
}

ptrdiff_t cxi_do_zstd(struct cxi_encoder *encoder, int level, const char *src, size_t len,
                      char *dst, size_t dst_len)
{
    const size_t size = ZSTD_compressCCtx(encoder->zstd, dst, dst_len, src, len, level);
    return ZSTD_isError(size) ? CXI_ENCODE_FAILED : (ptrdiff_t)size;
}
