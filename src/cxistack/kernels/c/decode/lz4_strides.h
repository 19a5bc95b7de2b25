/* LZ4 blocks into L1, in wide strides: one function per SIMD level. */
#ifndef CXISTACK_LZ4_STRIDES_H
#define CXISTACK_LZ4_STRIDES_H

#include <stddef.h>

/* Past a block's end this many bytes must be readable in src, and writable in dst. */
enum { CXI_LZ4_SLACK = 64 };

/* Decodes a block of len bytes to exactly size bytes. Returns non-zero when it did; zero means
 * "ask liblz4": the block is damaged, or in a form that no compressor makes. Accepts only what
 * liblz4 accepts, with the same bytes. */
typedef int (*cxi_lz4_strides)(const char *src, size_t len, char *dst, size_t size);

int cxi_lz4_strides_portable(const char *src, size_t len, char *dst, size_t size);
int cxi_lz4_strides_avx2(const char *src, size_t len, char *dst, size_t size);
int cxi_lz4_strides_gfni(const char *src, size_t len, char *dst, size_t size);

#endif
