/* The LZ4 filter; also bitshuffle's LZ4 blocks. */
#include "filters.h"

#include <limits.h>
#include <lz4.h>
#include <string.h>

/* The published filter's: one block, as large as HDF5's chunks get. */
enum { DEFAULT_BLOCK = 1 << 30, HEADER = 12, LENGTH = 4 };

static size_t block_size(size_t block, size_t len)
{
    if (block == 0 || block > LZ4_MAX_INPUT_SIZE)
        block = DEFAULT_BLOCK;
    return block < len ? block : len;
}

size_t cxi_lz4_block_bound(size_t len)
{
    return len > LZ4_MAX_INPUT_SIZE ? 0 : (size_t)LZ4_compressBound((int)len);
}

size_t cxi_lz4_bound(size_t block, size_t len)
{
    block = block_size(block, len);
    return HEADER + len + (len ? ((len - 1) / block + 1) * LENGTH : 0);
}

ptrdiff_t cxi_lz4_compress(struct cxi_encoder *encoder, const char *src, size_t len, char *dst,
                           size_t dst_len)
{
    const int room = dst_len > INT_MAX ? INT_MAX : (int)dst_len;
    const int size = LZ4_compress_fast_extState(encoder->lz4, src, dst, (int)len, room, 1);
    return size > 0 ? size : CXI_ENCODE_NO_ROOM;
}

ptrdiff_t cxi_do_lz4(struct cxi_encoder *encoder, size_t block, const char *src, size_t len,
                     char *dst, size_t dst_len)
{
    char *const begin = dst;
    if (dst_len < cxi_lz4_bound(block, len))
        return CXI_ENCODE_NO_ROOM;
    block = block_size(block, len);
    cxi_put_big_endian_64(dst, len);
    cxi_put_big_endian_32(dst + 8, (uint32_t)block);
    dst += HEADER;
    while (len > 0) {
        const size_t part = block < len ? block : len;
        /* What does not become shorter is stored as it is, with its own length. */
        ptrdiff_t size = cxi_lz4_compress(encoder, src, part, dst + LENGTH, part - 1);
        if (size < 0) {
            size = (ptrdiff_t)part;
            memcpy(dst + LENGTH, src, part);
        }
        cxi_put_big_endian_32(dst, (uint32_t)size);
        dst += LENGTH + size;
        src += part;
        len -= part;
    }
    return dst - begin;
}
