/* Undoes HDF5's deflate filter: one zlib stream, read whole. */
#include "filters.h"

#include <libdeflate.h>

int cxi_undo_deflate(struct cxi_decoder *decoder, const char *src, size_t len,
                     struct cxi_room *room)
{
    /* Bytes after the stream's end are ignored, as HDF5 does. */
    size_t read;
    switch (libdeflate_zlib_decompress_ex(decoder->deflate, src, len, room->dst, room->capacity,
                                          &read, &room->size)) {
    case LIBDEFLATE_SUCCESS:
        return room->exact && room->size != room->capacity ? CXI_WRONG_SIZE : CXI_DECODED;
    case LIBDEFLATE_INSUFFICIENT_SPACE:
        return CXI_WRONG_SIZE;
    default:
        return CXI_BAD_DEFLATE;
    }
}
