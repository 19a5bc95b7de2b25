/* LZ4 blocks of bit planes into L1, in wide strides: one function per SIMD level. */
#ifndef CXISTACK_LZ4_PLANES_H
#define CXISTACK_LZ4_PLANES_H

#include <stddef.h>

/* Past a block's end this many bytes must be readable in src, and writable in dst. */
enum { CXI_LZ4_SLACK = 64 };

/* Decodes a block of len bytes to exactly size bytes. Returns non-zero when it did; zero means
 * "ask liblz4": the block is damaged, or in a form that no compressor makes. Accepts only what
 * liblz4 accepts, with the same bytes.
 *
 * Counts small against their type leave the high bit planes zero, and the block ends in one long
 * run of zeros. It is not written out: *used is set to how many times `eight` bytes, eight planes,
 * of dst are valid, the last of them padded with zeros; all after that are zero. */
typedef int (*cxi_lz4_planes)(const char *src, size_t len, char *dst, size_t size, size_t eight,
                              size_t *used);

int cxi_lz4_planes_portable(const char *src, size_t len, char *dst, size_t size, size_t eight,
                            size_t *used);
int cxi_lz4_planes_avx2(const char *src, size_t len, char *dst, size_t size, size_t eight,
                        size_t *used);
int cxi_lz4_planes_gfni(const char *src, size_t len, char *dst, size_t size, size_t eight,
                        size_t *used);

#endif
