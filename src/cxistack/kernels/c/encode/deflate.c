/* HDF5's deflate filter: one zlib stream. */
#include "filters.h"

#include <libdeflate.h>

size_t cxi_deflate_bound(size_t len)
{
    return libdeflate_zlib_compress_bound(NULL, len);
}

ptrdiff_t cxi_do_deflate(struct cxi_encoder *encoder, const char *src, size_t len, char *dst,
                         size_t dst_len)
{
    const size_t size = libdeflate_zlib_compress(encoder->deflate, src, len, dst, dst_len);
    return size > 0 ? (ptrdiff_t)size : CXI_ENCODE_NO_ROOM;
}
