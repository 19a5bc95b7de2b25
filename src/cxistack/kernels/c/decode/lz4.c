/* Undoes the LZ4 filter; also bitshuffle's LZ4 blocks. */
#include "filters.h"

#include <limits.h>
#include <lz4.h>
#include <string.h>

int cxi_lz4_block(const char *src, size_t len, char *dst, size_t size)
{
    if (len > INT_MAX || size > INT_MAX)
        return CXI_BAD_LZ4;
    return LZ4_decompress_safe(src, dst, (int)len, (int)size) == (int)size ? CXI_DECODED
                                                                           : CXI_BAD_LZ4;
}

int cxi_undo_lz4(const char *src, size_t len, struct cxi_room *room)
{
    if (len < 12)
        return CXI_TRUNCATED;
    const uint64_t total = cxi_big_endian_64(src);
    size_t block = cxi_big_endian_32(src + 8);
    src += 12;
    len -= 12;
    if (total > room->capacity || (room->exact && total != room->capacity))
        return CXI_WRONG_SIZE;
    if (block == 0)
        return CXI_BAD_HEADER;
    room->size = total;
    char *dst = room->dst;
    for (size_t left = total; left > 0; left -= block) {
        if (block > left)
            block = left;
        if (len < 4)
            return CXI_TRUNCATED;
        const size_t stored = cxi_big_endian_32(src);
        src += 4;
        len -= 4;
        if (stored > len)
            return CXI_TRUNCATED;
        if (stored == block) {  /* what LZ4 would not shrink is stored as it is */
            memcpy(dst, src, block);
        } else {
            const int status = cxi_lz4_block(src, stored, dst, block);
            if (status)
                return status;
        }
        src += stored;
        len -= stored;
        dst += block;
    }
    return CXI_DECODED;
}
