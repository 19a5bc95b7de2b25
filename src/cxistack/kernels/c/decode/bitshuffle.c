/* Undoes bitshuffle: block after block, decompressed into L1 and un-bit-shuffled from there. */
#include "filters.h"
#include "unshuffle.h"

#include <string.h>

/* The published format's constants: they decide how a chunk without a header is divided. */
enum { DEFAULT_BYTES = 8192, LEAST_ELEMENTS = 128 };

/* A header may announce larger blocks than the filter's parameters; up to this they are read. */
enum { BLOCK_ALLOWED = 1 << 18 };

/* Scratch is used from a line's begin, and decoders go past a block's end. */
enum { LINE = 64, AROUND = LINE + CXI_LZ4_SLACK };

size_t cxi_bitshuffle_block(size_t elements, uint32_t element)
{
    if (elements == 0) {
        elements = DEFAULT_BYTES / element / 8 * 8;
        if (elements < LEAST_ELEMENTS)
            elements = LEAST_ELEMENTS;
    }
    return elements > SIZE_MAX / element ? SIZE_MAX : elements * element;
}

size_t cxi_bshuf_scratch(const struct cxi_filter *filter, size_t chunk_bytes)
{
    if (filter->codec == CXI_CODEC_NONE || filter->element == 0)
        return 0;
    size_t block = cxi_bitshuffle_block(filter->block, filter->element);
    if (block < BLOCK_ALLOWED)
        block = BLOCK_ALLOWED;
    return (block < chunk_bytes ? block : chunk_bytes) + AROUND;
}

/* Sets bytes to those of the part that comes next. */
static void look_ahead(struct cxi_bshuf *it)
{
    const size_t left = it->total - it->offset;
    const size_t eight = (size_t)8 * it->element;
    if (left >= it->block_bytes)
        it->bytes = it->block_bytes;
    else if (left >= eight)
        it->bytes = left / eight * eight;
    else
        it->bytes = left;
}

int cxi_bshuf_open(struct cxi_bshuf *it, struct cxi_decoder *decoder,
                   const struct cxi_filter *filter, size_t chunk_bytes, const char *src,
                   size_t src_len, char *scratch, size_t scratch_len)
{
    memset(it, 0, sizeof *it);
    if (filter->element == 0 || filter->block % 8)
        return CXI_BAD_FILTER;
    it->block_bytes = cxi_bitshuffle_block(filter->block, filter->element);
    it->end = src + src_len;
    if (filter->codec == CXI_CODEC_NONE) {
        if (src_len != chunk_bytes)
            return CXI_WRONG_SIZE;
    } else {
        if (src_len < 12)
            return CXI_TRUNCATED;
        if (cxi_big_endian_64(src) != chunk_bytes)
            return CXI_WRONG_SIZE;
        it->block_bytes = cxi_big_endian_32(src + 8);
        src += 12;
        if (it->block_bytes % ((uint64_t)8 * filter->element))
            return CXI_BAD_HEADER;
        if (it->block_bytes == 0)  /* the reference takes that for the default, too */
            it->block_bytes = cxi_bitshuffle_block(0, filter->element);
        if ((it->block_bytes < chunk_bytes ? it->block_bytes : chunk_bytes) + AROUND > scratch_len)
            return CXI_BLOCK_TOO_LARGE;
        it->scratch = scratch + (-(uintptr_t)scratch % LINE);
    }
    if (chunk_bytes % filter->element)
        return CXI_WRONG_SIZE;
    it->decoder = decoder;
    it->src = src;
    it->total = chunk_bytes;
    it->element = filter->element;
    it->codec = filter->codec;
    look_ahead(it);
    return CXI_DECODED;
}

/* One block's stored bytes to bit planes at *planes. */
static int unpack(struct cxi_bshuf *it, const char *src, size_t len, const char **planes)
{
    *planes = it->codec == CXI_CODEC_NONE ? src : it->scratch;
    switch (it->codec) {
    case CXI_CODEC_NONE:
        return CXI_DECODED;
    case CXI_CODEC_LZ4:
        if ((size_t)(it->end - src) - len >= CXI_LZ4_SLACK
            && it->decoder->unshuffle->lz4(src, len, it->scratch, it->bytes))
            return CXI_DECODED;
        return cxi_lz4_block(src, len, it->scratch, it->bytes);
    case CXI_CODEC_ZSTD:
        return cxi_zstd_block(it->decoder, src, len, it->scratch, it->bytes);
    default:
        return CXI_BAD_FILTER;
    }
}

/* Whole groups of 8 are compressed; the last few elements never are. */
static int is_raw(const struct cxi_bshuf *it)
{
    return it->bytes < (size_t)8 * it->element;
}

int cxi_bshuf_stored(const struct cxi_bshuf *it, const char **stored, size_t *len)
{
    *stored = it->src;
    *len = it->bytes;
    if (!is_raw(it) && it->codec != CXI_CODEC_NONE) {
        if (it->end - it->src < 4)
            return CXI_TRUNCATED;
        *stored = it->src + 4;
        *len = cxi_big_endian_32(it->src);
    }
    return *len > (size_t)(it->end - *stored) ? CXI_TRUNCATED : CXI_DECODED;
}

/* To the part that follows. */
static void step(struct cxi_bshuf *it, const char *end)
{
    it->src = end;
    it->offset += it->bytes;
    it->index++;
    look_ahead(it);
}

int cxi_bshuf_planes(struct cxi_bshuf *it, const char **planes)
{
    const char *src;
    size_t len;
    int status = cxi_bshuf_stored(it, &src, &len);
    if (status)
        return status;
    *planes = src;
    if (!is_raw(it))
        status = unpack(it, src, len, planes);
    if (!status)
        step(it, src + len);
    return status;
}

int cxi_bshuf_next(struct cxi_bshuf *it, char *dst)
{
    const char *src, *planes;
    size_t len;
    if (it->bytes == 0)
        return CXI_DECODED;
    int status = cxi_bshuf_stored(it, &src, &len);
    if (status)
        return status;
    if (dst && is_raw(it)) {
        memcpy(dst, src, len);
    } else if (dst) {
        status = unpack(it, src, len, &planes);
        if (status)
            return status;
        it->decoder->unshuffle->planes(planes, dst, it->bytes / it->element, it->element);
    }
    step(it, src + len);
    return CXI_DECODED;
}

void cxi_bshuf_seek(struct cxi_bshuf *it, size_t index, const char *src)
{
    it->index = index;
    it->offset = index * it->block_bytes;
    it->src = src;
    look_ahead(it);
}

int cxi_undo_bitshuffle(struct cxi_decoder *decoder, const struct cxi_filter *filter,
                        const char *src, size_t len, struct cxi_room *room, char *scratch,
                        size_t scratch_len)
{
    struct cxi_bshuf it;
    size_t total = room->capacity;
    if (!room->exact && filter->codec == CXI_CODEC_NONE)
        total = len;
    else if (!room->exact && len >= 12)
        total = cxi_big_endian_64(src);
    if (total > room->capacity)
        return CXI_WRONG_SIZE;
    int status = cxi_bshuf_open(&it, decoder, filter, total, src, len, scratch, scratch_len);
    while (!status && it.bytes > 0)
        status = cxi_bshuf_next(&it, room->dst + it.offset);
    room->size = total;
    return status;
}
