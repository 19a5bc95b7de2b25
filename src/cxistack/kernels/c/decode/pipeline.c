/* A chunk through its whole filter pipeline, backwards. */
#include "filters.h"

#include <string.h>

enum { LINE = 64 };

static int known(const struct cxi_filter *filter)
{
    switch (filter->kind) {
    case CXI_DEFLATE:
    case CXI_FLETCHER32:
    case CXI_LZ4:
    case CXI_ZSTD:
        return 1;
    case CXI_SHUFFLE:
        return filter->element > 0;
    case CXI_BITSHUFFLE:
        return filter->element > 0 && filter->block % 8 == 0
            && (filter->codec == CXI_CODEC_NONE || filter->codec == CXI_CODEC_LZ4
                || filter->codec == CXI_CODEC_ZSTD);
    default:
        return 0;
    }
}

int cxi_decode_check(const struct cxi_pipeline *pipeline)
{
    if (pipeline->n < 0 || pipeline->n > CXI_MAX_FILTERS || pipeline->chunk_bytes > SIZE_MAX / 64)
        return CXI_BAD_FILTER;
    for (int i = 0; i < pipeline->n; i++)
        if (!known(&pipeline->filter[i]))
            return CXI_BAD_FILTER;
    return CXI_DECODED;
}

/* Whether the filter's output is as long as its input, but for a checksum. */
static int keeps_size(const struct cxi_filter *filter)
{
    return filter->kind == CXI_SHUFFLE || filter->kind == CXI_FLETCHER32
        || (filter->kind == CXI_BITSHUFFLE && filter->codec == CXI_CODEC_NONE);
}

/* How long the chunk was when filter i got it: exactly, or at most, where an earlier filter
 * compressed it. That is what the smallest blocks make of bytes that do not shrink: six of each
 * byte, where deflate stores them one by one; bitshuffle's and LZ4's make less. */
static size_t size_before(const struct cxi_pipeline *pipeline, uint32_t skip_mask, int i,
                          int *exact)
{
    size_t size = pipeline->chunk_bytes;
    *exact = 1;
    for (int k = 0; k < i; k++) {
        const struct cxi_filter *filter = &pipeline->filter[k];
        if (skip_mask >> k & 1)
            continue;
        if (filter->kind == CXI_FLETCHER32) {
            size += 4;
        } else if (!keeps_size(filter)) {
            size = size > SIZE_MAX / 16 ? size : 6 * size + 4096;
            *exact = 0;
        }
    }
    return size;
}

static size_t align(size_t size)
{
    return (size + LINE - 1) / LINE * LINE;
}

/* Two areas that filters write to in turns, as far as there are filters that need them. */
static size_t area_size(const struct cxi_pipeline *pipeline, int *areas)
{
    size_t size = 0;
    *areas = 0;
    for (int i = 1; i < pipeline->n; i++) {
        int exact;
        const size_t before = align(size_before(pipeline, 0, i, &exact));
        if (pipeline->filter[i].kind == CXI_FLETCHER32)
            continue;
        if (before > size)
            size = before;
        if (*areas < 2)
            *areas += 1;
    }
    return size;
}

static size_t block_scratch(const struct cxi_pipeline *pipeline)
{
    size_t most = 0;
    for (int i = 0; i < pipeline->n; i++) {
        int exact;
        if (pipeline->filter[i].kind != CXI_BITSHUFFLE)
            continue;
        const size_t bytes = size_before(pipeline, 0, i, &exact);
        const size_t size = align(cxi_bshuf_scratch(&pipeline->filter[i], bytes));
        if (size > most)
            most = size;
    }
    return most;
}

size_t cxi_decode_scratch(const struct cxi_pipeline *pipeline)
{
    int areas;
    const size_t size = area_size(pipeline, &areas);
    return (size_t)areas * size + block_scratch(pipeline);
}

static int undo(struct cxi_decoder *decoder, const struct cxi_filter *filter, const char *src,
                size_t len, struct cxi_room *room, char *scratch, size_t scratch_len)
{
    switch (filter->kind) {
    case CXI_DEFLATE:
        return cxi_undo_deflate(decoder, src, len, room);
    case CXI_SHUFFLE:
        return cxi_undo_shuffle(filter->element, src, len, room);
    case CXI_LZ4:
        return cxi_undo_lz4(src, len, room);
    case CXI_ZSTD:
        return cxi_undo_zstd(decoder, src, len, room);
    case CXI_BITSHUFFLE:
        return cxi_undo_bitshuffle(decoder, filter, src, len, room, scratch, scratch_len);
    default:
        return CXI_BAD_FILTER;
    }
}

int cxi_decode_chunk(struct cxi_decoder *decoder, const struct cxi_pipeline *pipeline,
                     uint32_t skip_mask, const char *src, size_t src_len, char *dst,
                     size_t dst_len, char *scratch, size_t scratch_len)
{
    int status = cxi_decode_check(pipeline);
    if (status)
        return status;
    if (dst_len < pipeline->chunk_bytes || scratch_len < cxi_decode_scratch(pipeline))
        return CXI_NO_ROOM;
    int areas, turn = 0;
    const size_t area = area_size(pipeline, &areas);
    char *blocks = scratch + (size_t)areas * area;

    for (int i = pipeline->n - 1; i >= 0; i--) {
        const struct cxi_filter *filter = &pipeline->filter[i];
        if (skip_mask >> i & 1)
            continue;
        if (filter->kind == CXI_FLETCHER32) {
            status = cxi_check_fletcher32(src, &src_len);
            if (status)
                return status;
            continue;
        }
        struct cxi_room room = {.dst = dst};
        room.capacity = size_before(pipeline, skip_mask, i, &room.exact);
        /* The last filter to be undone writes to dst; those before, each where the next one
         * does not write. */
        if (i > 0 && (~skip_mask & ((1u << i) - 1))) {
            room.dst = scratch + (size_t)turn * area;
            turn = 1 - turn;
        }
        status = undo(decoder, filter, src, src_len, &room, blocks,
                      scratch_len - (size_t)(blocks - scratch));
        if (status)
            return status;
        src = room.dst;
        src_len = room.size;
    }
    if (src_len != pipeline->chunk_bytes)
        return CXI_WRONG_SIZE;
    if (src != dst && src_len > 0)
        memcpy(dst, src, src_len);
    return CXI_DECODED;
}
