/* Undoes the Zstandard filter; also bitshuffle's Zstandard blocks. */
#include "filters.h"

#include <zstd.h>
#include <zstd_errors.h>

int cxi_undo_zstd(struct cxi_decoder *decoder, const char *src, size_t len, struct cxi_room *room)
{
    /* The frame's own size field may be absent, and is never trusted. */
    const size_t size = ZSTD_decompressDCtx(decoder->zstd, room->dst, room->capacity, src, len);
    if (ZSTD_isError(size))
        return ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall ? CXI_WRONG_SIZE
                                                                      : CXI_BAD_ZSTD;
    room->size = size;
    return room->exact && size != room->capacity ? CXI_WRONG_SIZE : CXI_DECODED;
}

int cxi_zstd_block(struct cxi_decoder *decoder, const char *src, size_t len, char *dst, size_t size)
{
    const size_t made = ZSTD_decompressDCtx(decoder->zstd, dst, size, src, len);
    return made == size ? CXI_DECODED : CXI_BAD_ZSTD;
}
