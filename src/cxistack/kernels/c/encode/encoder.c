/* Opens and closes what a thread encodes with: contexts of the libraries, the SIMD level. */
#include "encode.h"
#include "shuffle_bits.h"

#include <libdeflate.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* For each level of zlib, the one of libdeflate that needs least time for as small a stream, to a
 * few percent (on frames of counts, masks, and floats, byte-shuffled as they are stored). */
static int libdeflate_level(int zlib)
{
    static const int levels[] = {0, 1, 1, 2, 3, 5, 7, 7, 8, 9};
    return levels[zlib];
}

int cxi_encoder_open(struct cxi_encoder *encoder, const struct cxi_encoding *encoding,
                     const char *simd)
{
    int is_whole = 1;
    memset(encoder, 0, sizeof *encoder);
    encoder->shuffle = cxi_shuffle_bits_for(simd);
    /* None that is not needed: a context takes up to megabytes. */
    for (int i = 0; i < encoding->pipeline.n; i++) {
        const int kind = encoding->pipeline.filter[i].kind;
        const int codec = kind == CXI_BITSHUFFLE ? encoding->pipeline.filter[i].codec : -1;
        if (kind == CXI_DEFLATE && !encoder->deflate) {
            encoder->deflate = libdeflate_alloc_compressor(libdeflate_level(encoding->level[i]));
            is_whole = is_whole && encoder->deflate;
        } else if ((kind == CXI_LZ4 || codec == CXI_CODEC_LZ4) && !encoder->lz4) {
            encoder->lz4 = malloc((size_t)LZ4_sizeofState());
            is_whole = is_whole && encoder->lz4;
        } else if ((kind == CXI_ZSTD || codec == CXI_CODEC_ZSTD) && !encoder->zstd) {
            encoder->zstd = ZSTD_createCCtx();
            is_whole = is_whole && encoder->zstd;
        }
    }
    if (is_whole)
        return 0;
    cxi_encoder_close(encoder);
    return CXI_ENCODE_FAILED;
}

void cxi_encoder_close(struct cxi_encoder *encoder)
{
    if (encoder->deflate)
        libdeflate_free_compressor(encoder->deflate);
    free(encoder->lz4);
    ZSTD_freeCCtx(encoder->zstd);
    memset(encoder, 0, sizeof *encoder);
}

const char *cxi_encode_explain(ptrdiff_t error)
{
    switch (error) {
    case CXI_ENCODE_BAD_FILTER:
        return "has a filter, or parameters of one, that cannot be applied here";
    case CXI_ENCODE_NO_ROOM:
        return "was given too little memory to be encoded into";
    default:
        return "could not be compressed";
    }
}
