/* A chunk through its whole filter pipeline. */
#include "filters.h"

#include <string.h>

enum { LINE = 64, HIGHEST_DEFLATE = 9, LARGEST_BLOCK = 1 << 28, LARGEST_ELEMENT = 1 << 16 };

/* Whether bitshuffle can take all of such a chunk: whole elements, and blocks that LZ4 can take. */
static int fits_bitshuffle(const struct cxi_filter *filter, size_t len)
{
    return len % filter->element == 0
        && (uint64_t)filter->element * filter->block <= LARGEST_BLOCK
        && filter->element <= LARGEST_ELEMENT;
}

int cxi_encode_check(const struct cxi_encoding *encoding)
{
    const struct cxi_pipeline *pipeline = &encoding->pipeline;
    size_t len = pipeline->chunk_bytes;
    int deflate = -1, is_packed = 0;
    if (cxi_decode_check(pipeline))
        return CXI_ENCODE_BAD_FILTER;
    for (int i = 0; i < pipeline->n; i++) {
        const struct cxi_filter *filter = &pipeline->filter[i];
        if (filter->kind == CXI_BITSHUFFLE && (is_packed || !fits_bitshuffle(filter, len)))
            return CXI_ENCODE_BAD_FILTER;
        if (filter->kind == CXI_FLETCHER32)
            len += 4;
        else if (filter->kind != CXI_SHUFFLE)
            is_packed = 1;
        if (filter->kind != CXI_DEFLATE)
            continue;
        /* An encoder has one compressor. */
        if (deflate >= 0 && encoding->level[i] != deflate)
            return CXI_ENCODE_BAD_FILTER;
        deflate = encoding->level[i];
        if (deflate < 0 || deflate > HIGHEST_DEFLATE)
            return CXI_ENCODE_BAD_FILTER;
    }
    return 0;
}

static size_t bound(const struct cxi_filter *filter, size_t len)
{
    switch (filter->kind) {
    case CXI_DEFLATE:
        return cxi_deflate_bound(len);
    case CXI_FLETCHER32:
        return len + 4;
    case CXI_LZ4:
        return cxi_lz4_bound(filter->block, len);
    case CXI_ZSTD:
        return cxi_zstd_bound(len);
    case CXI_BITSHUFFLE:
        return cxi_bitshuffle_bound(filter, len);
    default:
        return len;
    }
}

size_t cxi_encode_bound(const struct cxi_encoding *encoding)
{
    size_t len = encoding->pipeline.chunk_bytes;
    for (int i = 0; i < encoding->pipeline.n; i++)
        len = bound(&encoding->pipeline.filter[i], len);
    return len;
}

static size_t align(size_t size)
{
    return (size + LINE - 1) / LINE * LINE;
}

/* The area that a filter's output rests in until the next one has read it, and what bitshuffle
 * needs for itself. */
static size_t area_size(const struct cxi_pipeline *pipeline, size_t *blocks)
{
    size_t area = 0, len = pipeline->chunk_bytes;
    *blocks = 0;
    for (int i = 0; i < pipeline->n; i++) {
        const struct cxi_filter *filter = &pipeline->filter[i];
        if (filter->kind == CXI_BITSHUFFLE && cxi_bitshuffle_scratch(filter, len) > *blocks)
            *blocks = cxi_bitshuffle_scratch(filter, len);
        len = bound(filter, len);
        if (i + 1 < pipeline->n && len > area)
            area = len;
    }
    *blocks = align(*blocks);
    return align(area);
}

static int areas(const struct cxi_pipeline *pipeline)
{
    return pipeline->n < 2 ? 0 : pipeline->n == 2 ? 1 : 2;
}

size_t cxi_encode_scratch(const struct cxi_encoding *encoding)
{
    size_t blocks;
    const size_t area = area_size(&encoding->pipeline, &blocks);
    return (size_t)areas(&encoding->pipeline) * area + blocks + LINE;
}

static ptrdiff_t apply(struct cxi_encoder *encoder, const struct cxi_filter *filter, int level,
                       const char *src, size_t len, char *dst, size_t dst_len, char *scratch,
                       size_t scratch_len)
{
    switch (filter->kind) {
    case CXI_DEFLATE:
        return cxi_do_deflate(encoder, src, len, dst, dst_len);
    case CXI_SHUFFLE:
        return cxi_do_shuffle(filter->element, src, len, dst, dst_len);
    case CXI_FLETCHER32:
        if (len > dst_len)
            return CXI_ENCODE_NO_ROOM;
        memcpy(dst, src, len);
        return cxi_do_fletcher32(dst, len, dst_len);
    case CXI_LZ4:
        return cxi_do_lz4(encoder, filter->block, src, len, dst, dst_len);
    case CXI_ZSTD:
        return cxi_do_zstd(encoder, level, src, len, dst, dst_len);
    case CXI_BITSHUFFLE:
        return cxi_do_bitshuffle(encoder, filter, level, src, len, dst, dst_len, scratch,
                                 scratch_len);
    default:
        return CXI_ENCODE_BAD_FILTER;
    }
}

ptrdiff_t cxi_encode_chunk(struct cxi_encoder *encoder, const struct cxi_encoding *encoding,
                           const char *src, size_t src_len, char *dst, size_t dst_len,
                           char *scratch, size_t scratch_len)
{
    const struct cxi_pipeline *pipeline = &encoding->pipeline;
    if (cxi_encode_check(encoding))
        return CXI_ENCODE_BAD_FILTER;
    if (src_len != pipeline->chunk_bytes || dst_len < cxi_encode_bound(encoding)
        || scratch_len < cxi_encode_scratch(encoding))
        return CXI_ENCODE_NO_ROOM;
    size_t blocks;
    char *const lines = scratch + (-(uintptr_t)scratch % LINE);
    const size_t area = area_size(pipeline, &blocks);
    char *const rest = lines + (size_t)areas(pipeline) * area;

    if (pipeline->n == 0)
        memcpy(dst, src, src_len);
    for (int i = 0; i < pipeline->n; i++) {
        const int is_last = i + 1 == pipeline->n;
        char *to = is_last ? dst : lines + (size_t)(i % 2) * area;
        const ptrdiff_t size = apply(encoder, &pipeline->filter[i], encoding->level[i], src,
                                     src_len, to, is_last ? dst_len : area, rest, blocks);
        if (size < 0)
            return size;
        src = to;
        src_len = (size_t)size;
    }
    return (ptrdiff_t)src_len;
}
