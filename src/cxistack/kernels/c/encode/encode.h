/* Pixels to stored HDF5 chunks: the C interface of all encoders.
 *
 * Every function that encodes returns the number of bytes that it wrote to dst, or one of the
 * negative cxi_encode_error; after a failure dst and scratch hold anything. Nothing here allocates
 * but cxi_encoder_open. What is written, HDF5 and its published filters read. */
#ifndef CXISTACK_ENCODE_H
#define CXISTACK_ENCODE_H

#include "../decode/decode.h"

enum cxi_encode_error {
    CXI_ENCODE_BAD_FILTER = -1,
    CXI_ENCODE_NO_ROOM = -2,   /* the caller's dst or scratch is too small */
    CXI_ENCODE_FAILED = -3     /* a library would not compress */
};

/* What is wrong, to follow "a chunk" in a sentence: "was given too little memory". */
const char *cxi_encode_explain(ptrdiff_t error);

/* The filters, and how hard those that compress try. For LZ4, filter.block is in bytes. */
struct cxi_encoding {
    struct cxi_pipeline pipeline;
    int level[CXI_MAX_FILTERS];
};

/* What a thread encodes with; it belongs to one thread at a time, and to one encoding. simd is as
 * for cxi_decoder_open. */
struct cxi_encoder {
    void (*shuffle)(const char *src, char *dst, size_t n, size_t element);
    void *deflate;
    void *lz4;
    void *zstd;
};
int cxi_encoder_open(struct cxi_encoder *encoder, const struct cxi_encoding *encoding,
                     const char *simd);
void cxi_encoder_close(struct cxi_encoder *encoder);

/* 0 if these filters can be applied here and their parameters make sense, else the error. */
int cxi_encode_check(const struct cxi_encoding *encoding);

/* How many bytes an encoded chunk takes at most, and how many of scratch the encoders want. */
size_t cxi_encode_bound(const struct cxi_encoding *encoding);
size_t cxi_encode_scratch(const struct cxi_encoding *encoding);

/* The chunk_bytes bytes at src, through all filters, to at most cxi_encode_bound at dst. */
ptrdiff_t cxi_encode_chunk(struct cxi_encoder *encoder, const struct cxi_encoding *encoding,
                           const char *src, size_t src_len, char *dst, size_t dst_len,
                           char *scratch, size_t scratch_len);

#endif
