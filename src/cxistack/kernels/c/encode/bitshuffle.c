/* The bitshuffle filter: block after block, bit-shuffled into L1 and compressed from there. */
#include "../decode/filters.h"
#include "filters.h"

#include <string.h>

enum { HEADER = 12, LENGTH = 4 };

/* Of a whole block or of the last one; 0 when fewer than 8 elements are left. */
static size_t next_block(const struct cxi_filter *filter, size_t block, size_t left)
{
    const size_t eight = (size_t)8 * filter->element;
    return left >= block ? block : left / eight * eight;
}

static size_t codec_bound(int codec, size_t len)
{
    if (codec == CXI_CODEC_LZ4)
        return LENGTH + cxi_lz4_block_bound(len);
    if (codec == CXI_CODEC_ZSTD)
        return LENGTH + cxi_zstd_bound(len);
    return len;
}

size_t cxi_bitshuffle_bound(const struct cxi_filter *filter, size_t len)
{
    const size_t block = cxi_bitshuffle_block(filter->block, filter->element);
    const size_t last = len % block;
    size_t bound = filter->codec == CXI_CODEC_NONE ? 0 : HEADER;
    bound += len / block * codec_bound(filter->codec, block);
    return bound + (last ? codec_bound(filter->codec, last) + last : 0);
}

size_t cxi_bitshuffle_scratch(const struct cxi_filter *filter, size_t len)
{
    const size_t block = cxi_bitshuffle_block(filter->block, filter->element);
    return filter->codec == CXI_CODEC_NONE ? 0 : block < len ? block : len;
}

/* One block from bit planes at src to its length and its bytes at dst. */
static ptrdiff_t pack(struct cxi_encoder *encoder, int codec, int level, const char *src,
                      size_t len, char *dst, size_t dst_len)
{
    ptrdiff_t size;
    if (codec == CXI_CODEC_LZ4)
        size = cxi_lz4_compress(encoder, src, len, dst + LENGTH, dst_len - LENGTH);
    else
        size = cxi_do_zstd(encoder, level, src, len, dst + LENGTH, dst_len - LENGTH);
    if (size < 0)
        return size;
    cxi_put_big_endian_32(dst, (uint32_t)size);
    return LENGTH + size;
}

ptrdiff_t cxi_do_bitshuffle(struct cxi_encoder *encoder, const struct cxi_filter *filter,
                            int level, const char *src, size_t len, char *dst, size_t dst_len,
                            char *scratch, size_t scratch_len)
{
    const size_t block = cxi_bitshuffle_block(filter->block, filter->element);
    const int is_packed = filter->codec != CXI_CODEC_NONE;
    char *const begin = dst, *const end = dst + dst_len;
    if (len % filter->element)
        return CXI_ENCODE_BAD_FILTER;
    if (dst_len < cxi_bitshuffle_bound(filter, len)
        || scratch_len < cxi_bitshuffle_scratch(filter, len))
        return CXI_ENCODE_NO_ROOM;
    if (is_packed) {
        cxi_put_big_endian_64(dst, len);
        cxi_put_big_endian_32(dst + 8, (uint32_t)block);
        dst += HEADER;
    }
    for (size_t part; (part = next_block(filter, block, len)) > 0; src += part, len -= part) {
        encoder->shuffle(src, is_packed ? scratch : dst, part / filter->element, filter->element);
        ptrdiff_t size = (ptrdiff_t)part;
        if (is_packed)
            size = pack(encoder, filter->codec, level, scratch, part, dst, (size_t)(end - dst));
        if (size < 0)
            return size;
        dst += size;
    }
    memcpy(dst, src, len);  /* fewer than 8 elements are never shuffled */
    return dst + len - begin;
}
