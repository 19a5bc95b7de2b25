"""Bytes to stored HDF5 chunks: the C encoders, one chunk at a time."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport free, malloc

from cxistack.kernels._decode cimport (
    CXI_BITSHUFFLE, CXI_DEFLATE, CXI_LZ4, CXI_ZSTD, Pipeline
)
from cxistack.kernels.levels cimport current_rows


cdef extern from "encode/shuffle_bits.h" nogil:
    cdef struct cxi_shuffle_bits:
        pass
    const cxi_shuffle_bits *cxi_shuffle_bits_for(const char *level) noexcept
    void cxi_shuffle_block(const cxi_shuffle_bits *table, const char *src, char *dst, size_t n,
                           size_t element) noexcept


cdef enum:
    DEFLATE_LEVEL = 6       # zlib's
    ZSTD_LEVEL = 3          # libzstd's, and that of the published filters


cdef int _level(int kind, tuple values) except? -1:
    # Levels below zero are stored as the unsigned numbers of the same bits.
    if kind == CXI_DEFLATE:
        return values[0] if values else DEFLATE_LEVEL
    if kind == CXI_ZSTD:
        return <int32_t><uint32_t>values[0] if values else ZSTD_LEVEL
    if kind == CXI_BITSHUFFLE:
        return <int32_t><uint32_t>values[5] if len(values) > 5 else ZSTD_LEVEL
    return 0


cdef class EncodePipeline:
    """The filters that chunks are to go through, and the size of a chunk.

    Parameters
    ----------
    filters : sequence of (int, sequence of int)
        Each filter's HDF5 number and parameters, in the order of writing, as the creation
        property list's ``get_filter`` tells them.
    nbytes : int
        Bytes of a chunk before the first filter.

    Raises
    ------
    ValueError
        When a filter cannot be applied here, or its parameters make no sense.
    """

    def __init__(self, filters, nbytes):
        cdef Pipeline decoded = Pipeline(filters, nbytes)
        cdef int i
        self.filters = decoded.filters
        self.nbytes = decoded.nbytes
        self.c.pipeline = decoded.c
        for i, (kind, values) in enumerate(self.filters):
            self.c.level[i] = _level(kind, values)
            if kind == CXI_LZ4 and values:
                self.c.pipeline.filter[i].block = values[0]
        if cxi_encode_check(&self.c):
            raise ValueError(f"The filters {self.filters} cannot be applied here to chunks of "
                             f"{self.nbytes} bytes")
        self.bound = cxi_encode_bound(&self.c)
        self.scratch_bytes = cxi_encode_scratch(&self.c)


def encode(filters, chunk):
    """Encode one chunk.

    Parameters
    ----------
    filters : sequence of (int, sequence of int)
        As for `EncodePipeline`.
    chunk : bytes-like
        The pixels.

    Returns
    -------
    bytes
        What HDF5 would store.

    Raises
    ------
    ValueError
        When it cannot be encoded so.

    Examples
    --------
    >>> import zlib
    >>> zlib.decompress(encode([(1, (6,))], b"photons"))
    b'photons'
    """
    cdef const unsigned char[::1] view = chunk
    cdef EncodePipeline pipeline = EncodePipeline(filters, view.shape[0])
    cdef const char *src = <const char *>&view[0] if view.shape[0] else NULL
    cdef size_t length = view.shape[0]
    cdef cxi_encoder encoder
    cdef ptrdiff_t size
    cdef bytes out = PyBytes_FromStringAndSize(NULL, pipeline.bound)
    cdef char *scratch = <char *>malloc(pipeline.scratch_bytes + 1)
    if scratch == NULL or cxi_encoder_open(&encoder, &pipeline.c, current_rows().name):
        free(scratch)
        raise MemoryError(f"{pipeline.scratch_bytes} bytes to encode with")
    cdef char *dst = PyBytes_AS_STRING(out)
    with nogil:
        size = cxi_encode_chunk(&encoder, &pipeline.c, src, length, dst, pipeline.bound, scratch,
                                pipeline.scratch_bytes)
    cxi_encoder_close(&encoder)
    free(scratch)
    if size < 0:
        raise ValueError(f"The chunk {cxi_encode_explain(size).decode('ascii')}")
    return out[:size]


def shuffle_bits(const unsigned char[::1] data, size_t element, level):
    """Turn elements into bit planes.

    Parameters
    ----------
    data : bytes-like
        Whole groups of 8 elements.
    element : int
        Bytes in an element.
    level : str
        A level of the row kernels: ``"portable"``, ``"avx2"`` or ``"avx512"``.

    Returns
    -------
    bytes
    """
    cdef bytes name = level.encode("ascii")
    cdef bytes out
    if element == 0 or data.shape[0] % (8 * element):
        raise ValueError("Bit planes are made of whole groups of 8 elements")
    out = PyBytes_FromStringAndSize(NULL, data.shape[0])
    if data.shape[0]:
        cxi_shuffle_block(cxi_shuffle_bits_for(name), <const char *>&data[0],
                          PyBytes_AS_STRING(out), data.shape[0] // element, element)
    return out
