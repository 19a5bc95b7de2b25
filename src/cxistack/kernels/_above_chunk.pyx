"""Stored chunks to the pixels above a threshold, without the dense frame between."""

import sys

cimport numpy as cnp
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc

from cxistack.kernels._decode cimport (
    CXI_DECODED, CXI_NO_MEMORY, CXI_WRONG_SIZE, Pipeline, cxi_bshuf_open, cxi_decode_error,
    cxi_decoder_close, cxi_decoder_open
)
from cxistack.kernels.hits cimport Found
from cxistack.kernels.levels cimport current_rows

import numpy as np

from cxistack.kernels.threshold import least_above

cnp.import_array()

cdef enum:
    SHARE = 32              # of the pixels that there is room for at first: one in so many
    PIECE = 8192            # of pixels that lie as they are

cdef bint _is_big_endian = sys.byteorder == "big"


cdef int set_above(cxi_above *how, cnp.dtype stored, object least) except -1:
    if stored.kind != c"i" and stored.kind != c"u":
        raise TypeError(f"Chunks of {stored} are not compared while they are decoded: only those "
                        "of integers")
    how.element = stored.itemsize
    how.is_signed = stored.kind == c"i"
    how.is_big_endian = stored.itemsize > 1 and _is_big_endian == bool(stored.isnative)
    how.least = int.from_bytes(least.tobytes(), sys.byteorder)
    how.good = NULL
    return 0


cdef cnp.ndarray mask_bits(cnp.ndarray mask):
    return np.packbits(np.asarray(mask, np.bool_).reshape(-1), bitorder="little")


cdef int above_in_chunk(cxi_decoder *decoder, const cxi_pipeline *pipeline, uint32_t skip_mask,
                        const char *src, size_t src_len, const cxi_above *how, Hits hits,
                        Py_ssize_t task, char *scratch, size_t scratch_len) noexcept nogil:
    cdef cxi_bshuf it
    cdef int status = cxi_above_check(how)
    cdef size_t pixels, at = 0
    if status:
        return status
    pixels = pipeline.chunk_bytes // how.element
    if not hits.reserve(task, pixels // SHARE):
        return CXI_NO_MEMORY
    if skip_mask & 1:
        if src_len != pipeline.chunk_bytes:
            return CXI_WRONG_SIZE
        while at < pixels:
            status = _more(NULL, how, hits, task, src, at, min(pixels - at, <size_t>PIECE))
            if status:
                return status
            at += PIECE
        return CXI_DECODED
    status = cxi_bshuf_open(&it, decoder, &pipeline.filter[0], pipeline.chunk_bytes, src, src_len,
                            scratch, scratch_len)
    while status == CXI_DECODED and it.bytes > 0:
        status = _more(&it, how, hits, task, NULL, 0, it.bytes // how.element)
    return status


cdef int _more(cxi_bshuf *it, const cxi_above *how, Hits hits, Py_ssize_t task, const char *src,
               size_t first, size_t n) noexcept nogil:
    # Blocks, as many as there is room for, and n pixels at least; or pixels that lie as they are.
    cdef cxi_hits room
    cdef Found *found = &hits.found[task]
    cdef int status = CXI_DECODED
    if not hits.reserve(task, n):
        return CXI_NO_MEMORY
    room.pixels, room.values = found.pixels, found.values
    room.count, room.room = found.count, found.room
    if it != NULL:
        status = cxi_bshuf_above(it, how, &room)
    else:
        cxi_above_raw(src + first * how.element, n, how, first, &room)
    found.count = room.count
    return status


def chunk_above(const unsigned char[::1] chunk, threshold, Pipeline pipeline not None, dtype, *,
                mask=None, uint32_t filter_mask=0):
    """Find the pixels of a stored chunk that are above a threshold.

    Parameters
    ----------
    chunk : bytes-like
        The chunk as HDF5 stores it.
    threshold : float
        As in `cxistack.kernels.above`.
    pipeline : Pipeline
        Bitshuffle with LZ4 or Zstandard, alone.
    dtype : dtype
        Type of the stored pixels: integers.
    mask : ndarray of bool, optional
        True for a good pixel; as many as the chunk has.
    filter_mask : int
        A set first bit says that bitshuffle was skipped.

    Returns
    -------
    pixel : ndarray of int64
        Places in the flattened chunk, ascending.
    value : ndarray
        The pixels, in this machine's byte order.

    Raises
    ------
    ValueError
        The chunk is damaged, or is not of these filters.
    """
    cdef cxi_above how
    cdef cxi_decoder decoder
    cdef Hits hits
    cdef cnp.ndarray bits = None
    cdef char *scratch
    cdef const char *src = <const char *>&chunk[0] if chunk.shape[0] else NULL
    cdef int status
    stored = np.dtype(dtype)
    if not pipeline.splits or pipeline.nbytes % stored.itemsize:
        raise ValueError(f"Chunks of the filters {pipeline.filters} are not compared here")
    least = least_above(threshold, stored)
    if least is None:
        return np.empty(0, np.int64), np.empty(0, stored.newbyteorder("="))
    set_above(&how, stored, least)
    if mask is not None:
        if np.size(mask) * stored.itemsize != pipeline.nbytes:
            raise ValueError(f"The mask has {np.size(mask)} pixels, the chunk "
                             f"{pipeline.nbytes // stored.itemsize}")
        bits = mask_bits(mask)
        how.good = cnp.PyArray_BYTES(bits)
    hits = Hits(1, stored.itemsize, False)
    scratch = <char *>malloc(pipeline.scratch_bytes + 1)
    if scratch == NULL or cxi_decoder_open(&decoder, current_rows().name):
        free(scratch)
        raise MemoryError(f"{pipeline.scratch_bytes} bytes to decode with")
    with nogil:
        status = above_in_chunk(&decoder, &pipeline.c, filter_mask, src, chunk.shape[0], &how,
                                hits, 0, scratch, pipeline.scratch_bytes)
    cxi_decoder_close(&decoder)
    free(scratch)
    if status == CXI_NO_MEMORY:
        raise MemoryError("the pixels above the threshold")
    if status:
        raise ValueError(f"The chunk {cxi_decode_error(status).decode()}")
    one = np.zeros(1, np.int64)
    return hits.joined(one, one, stored.newbyteorder("="), 1)[1:]
