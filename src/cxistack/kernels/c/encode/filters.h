/* One function per filter: applies it to src, within dst_len bytes at dst. */
#ifndef CXISTACK_ENCODE_FILTERS_H
#define CXISTACK_ENCODE_FILTERS_H

#include "encode.h"

ptrdiff_t cxi_do_deflate(struct cxi_encoder *encoder, const char *src, size_t len, char *dst,
                         size_t dst_len);
ptrdiff_t cxi_do_zstd(struct cxi_encoder *encoder, int level, const char *src, size_t len,
                      char *dst, size_t dst_len);
ptrdiff_t cxi_do_lz4(struct cxi_encoder *encoder, size_t block, const char *src, size_t len,
                     char *dst, size_t dst_len);
ptrdiff_t cxi_do_shuffle(size_t element, const char *src, size_t len, char *dst, size_t dst_len);
ptrdiff_t cxi_do_bitshuffle(struct cxi_encoder *encoder, const struct cxi_filter *filter,
                            int level, const char *src, size_t len, char *dst, size_t dst_len,
                            char *scratch, size_t scratch_len);

/* Adds the checksum after the len bytes at dst. */
ptrdiff_t cxi_do_fletcher32(char *dst, size_t len, size_t dst_len);

/* How long a filter's output is at most. */
size_t cxi_deflate_bound(size_t len);
size_t cxi_zstd_bound(size_t len);
size_t cxi_lz4_bound(size_t block, size_t len);
size_t cxi_bitshuffle_bound(const struct cxi_filter *filter, size_t len);

size_t cxi_bitshuffle_scratch(const struct cxi_filter *filter, size_t len);

/* One block by the codec alone. */
ptrdiff_t cxi_lz4_compress(struct cxi_encoder *encoder, const char *src, size_t len, char *dst,
                           size_t dst_len);
size_t cxi_lz4_block_bound(size_t len);

static inline void cxi_put_big_endian_32(char *at, uint32_t value)
{
    unsigned char *b = (unsigned char *)at;
    b[0] = (unsigned char)(value >> 24);
    b[1] = (unsigned char)(value >> 16);
    b[2] = (unsigned char)(value >> 8);
    b[3] = (unsigned char)value;
}

static inline void cxi_put_big_endian_64(char *at, uint64_t value)
{
    cxi_put_big_endian_32(at, (uint32_t)(value >> 32));
    cxi_put_big_endian_32(at + 4, (uint32_t)value);
}

#endif
