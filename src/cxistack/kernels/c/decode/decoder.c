/* Opens and closes what a thread decodes with: contexts of the libraries, the SIMD level. */
#include "decode.h"
#include "unshuffle.h"

#include <libdeflate.h>
#include <string.h>
#include <zstd.h>

int cxi_decoder_open(struct cxi_decoder *decoder, const char *level)
{
    decoder->unshuffle = cxi_unshuffle_for(level);
    decoder->deflate = libdeflate_alloc_decompressor();
    decoder->zstd = ZSTD_createDCtx();
    if (decoder->deflate && decoder->zstd)
        return CXI_DECODED;
    cxi_decoder_close(decoder);
    return CXI_NO_MEMORY;
}

void cxi_decoder_close(struct cxi_decoder *decoder)
{
    if (decoder->deflate)
        libdeflate_free_decompressor(decoder->deflate);
    ZSTD_freeDCtx(decoder->zstd);
    memset(decoder, 0, sizeof *decoder);
}
