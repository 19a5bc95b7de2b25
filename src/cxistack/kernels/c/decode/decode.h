/* Stored HDF5 chunks to pixels: the C interface of all decoders.
 *
 * Whatever the stored bytes are, nothing outside src, dst and scratch is read or written: every
 * length found in a chunk is checked before it is followed. Nothing here allocates but
 * cxi_decoder_open. Functions return CXI_DECODED (0) or another cxi_decode_status; after a
 * failure dst and scratch hold anything. */
#ifndef CXISTACK_DECODE_H
#define CXISTACK_DECODE_H

#include <stddef.h>
#include <stdint.h>

/* Filters by their HDF5 numbers. */
enum cxi_filter_kind {
    CXI_DEFLATE = 1,
    CXI_SHUFFLE = 2,
    CXI_FLETCHER32 = 3,
    CXI_LZ4 = 32004,
    CXI_BITSHUFFLE = 32008,
    CXI_ZSTD = 32015
};

/* What bitshuffle's blocks are compressed with, by the numbers of its fifth parameter. */
enum cxi_codec { CXI_CODEC_NONE = 0, CXI_CODEC_LZ4 = 2, CXI_CODEC_ZSTD = 3 };

enum { CXI_MAX_FILTERS = 8 };

struct cxi_filter {
    int kind;
    uint32_t element;  /* bytes in an element: shuffle, bitshuffle */
    uint32_t block;    /* elements in a block, 0 the default: bitshuffle */
    int codec;         /* bitshuffle */
};

/* In the order of writing, as HDF5 keeps it. */
struct cxi_pipeline {
    int n;
    struct cxi_filter filter[CXI_MAX_FILTERS];
    size_t chunk_bytes;  /* of a decoded chunk */
};

enum cxi_decode_status {
    CXI_DECODED,
    CXI_BAD_FILTER,
    CXI_BAD_HEADER,
    CXI_TRUNCATED,
    CXI_WRONG_SIZE,
    CXI_BAD_DEFLATE,
    CXI_BAD_LZ4,
    CXI_BAD_ZSTD,
    CXI_BAD_CHECKSUM,
    CXI_BLOCK_TOO_LARGE,  /* valid perhaps, but more than cxi_decode_scratch provides for */
    CXI_NO_ROOM,          /* the caller's dst or scratch is too small */
    CXI_NO_MEMORY,
    CXI_STATUSES
};

/* What is wrong, to follow "the chunk" in a sentence: "ends before its last block". */
const char *cxi_decode_error(int status);

/* What a thread decodes with; it belongs to one thread at a time. level is one of the names that
 * struct cxi_rows bears ("portable", "avx2", "avx512"), or NULL for the processor's best. */
struct cxi_unshuffle;
struct cxi_decoder {
    const struct cxi_unshuffle *unshuffle;
    void *deflate;
    void *zstd;
};
int cxi_decoder_open(struct cxi_decoder *decoder, const char *level);
void cxi_decoder_close(struct cxi_decoder *decoder);

/* Whether these filters can be decoded here and their parameters make sense. */
int cxi_decode_check(const struct cxi_pipeline *pipeline);

/* How many bytes of scratch a chunk of this pipeline needs, whatever its filter mask. */
size_t cxi_decode_scratch(const struct cxi_pipeline *pipeline);

/* One stored chunk to the chunk_bytes bytes at dst. A set bit i of skip_mask says that filter i
 * was not applied to this chunk. dst_len may exceed chunk_bytes; nothing past it is touched. */
int cxi_decode_chunk(struct cxi_decoder *decoder, const struct cxi_pipeline *pipeline,
                     uint32_t skip_mask, const char *src, size_t src_len, char *dst,
                     size_t dst_len, char *scratch, size_t scratch_len);

/* Block after block of a bitshuffled chunk, so that blocks without a wanted pixel are stepped
 * over and the others can be used while they are in L1.
 *
 * offset and bytes say which part of the decoded chunk comes next; bytes is 0 after the last.
 * The last part may be the fewer than 8 elements that are stored as they are. */
struct cxi_bshuf {
    size_t index;   /* of the block that comes next */
    size_t offset;  /* its first byte's place in the decoded chunk */
    size_t bytes;   /* its decoded size */
    size_t block_bytes;  /* of every block but the last ones */
    const char *src;     /* where it is stored */
    /* The rest is the decoder's. */
    struct cxi_decoder *decoder;
    const char *end;
    char *scratch;
    size_t total;
    uint32_t element;
    int codec;
};

/* Scratch that cxi_bshuf_open wants for chunks of this filter. */
size_t cxi_bshuf_scratch(const struct cxi_filter *filter, size_t chunk_bytes);

/* src is the chunk as bitshuffle left it. Fails when it does not announce chunk_bytes. */
int cxi_bshuf_open(struct cxi_bshuf *it, struct cxi_decoder *decoder,
                   const struct cxi_filter *filter, size_t chunk_bytes, const char *src,
                   size_t src_len, char *scratch, size_t scratch_len);

/* Decodes the next block to the it->bytes bytes at dst and moves on; NULL only steps over it. */
int cxi_bshuf_next(struct cxi_bshuf *it, char *dst);

/* Goes to a block, of which it->src was seen by who came there block by block. */
void cxi_bshuf_seek(struct cxi_bshuf *it, size_t index, const char *src);

#endif
