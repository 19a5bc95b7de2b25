/* One function per filter: undoes it for src, within capacity bytes at dst. */
#ifndef CXISTACK_DECODE_FILTERS_H
#define CXISTACK_DECODE_FILTERS_H

#include "decode.h"

/* Where a filter writes. The decoded size must be exactly capacity when exact is set, else it may
 * be less; size is set to it. */
struct cxi_room {
    char *dst;
    size_t capacity;
    int exact;
    size_t size;
};

int cxi_undo_deflate(struct cxi_decoder *decoder, const char *src, size_t len,
                     struct cxi_room *room);
int cxi_undo_zstd(struct cxi_decoder *decoder, const char *src, size_t len, struct cxi_room *room);
int cxi_undo_lz4(const char *src, size_t len, struct cxi_room *room);
int cxi_undo_shuffle(size_t element, const char *src, size_t len, struct cxi_room *room);
int cxi_undo_bitshuffle(struct cxi_decoder *decoder, const struct cxi_filter *filter,
                        const char *src, size_t len, struct cxi_room *room, char *scratch,
                        size_t scratch_len);

/* Checks, and takes the checksum off: there is nothing to write. */
int cxi_check_fletcher32(const char *src, size_t *len);
uint32_t cxi_fletcher32(const unsigned char *data, size_t len);

/* Bytes in a block of so many elements, 0 the default. Too many for a size_t are more than any
 * chunk's, and that is all that matters. */
size_t cxi_bitshuffle_block(size_t elements, uint32_t element);

/* The stored bytes of the block that comes next; it->bytes is not 0. */
int cxi_bshuf_stored(const struct cxi_bshuf *it, const char **stored, size_t *len);

/* Decompresses that block and moves on: *planes are its bit planes, good until the next call, or
 * where it is the fewer than 8 last elements, these. */
int cxi_bshuf_planes(struct cxi_bshuf *it, const char **planes);

/* Blocks of the two codecs, to exactly size bytes. */
int cxi_lz4_block(const char *src, size_t len, char *dst, size_t size);
int cxi_zstd_block(struct cxi_decoder *decoder, const char *src, size_t len, char *dst,
                   size_t size);

static inline uint32_t cxi_big_endian_32(const char *at)
{
    const unsigned char *b = (const unsigned char *)at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline uint64_t cxi_big_endian_64(const char *at)
{
    return (uint64_t)cxi_big_endian_32(at) << 32 | cxi_big_endian_32(at + 4);
}

#endif
