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
    ctypedef void (*cxi_planes)(const char *src, char *dst, size_t n, size_t element) noexcept nogil
    cxi_planes cxi_shuffle_bits_for(const char *level) noexcept

cdef extern from "encode/filters.h" nogil:
    ptrdiff_t cxi_lz4_compress(cxi_encoder *encoder, const char *src, size_t len, char *dst,
                               size_t dst_len) noexcept


cdef enum:
    MOST_VALUES = 6         # parameters of a filter
    DEFLATE_LEVEL = 6       # zlib's
    ZSTD_LEVEL = 3          # libzstd's, and that of the published filters


cdef void set_level(cxi_encoding *encoding, int i, const uint32_t *values,
                    size_t n) noexcept nogil:
    # Levels below zero are stored as the unsigned numbers of the same bits.
    cdef int kind = encoding.pipeline.filter[i].kind
    encoding.level[i] = 0
    if kind == CXI_DEFLATE:
        encoding.level[i] = <int32_t>values[0] if n else DEFLATE_LEVEL
    elif kind == CXI_ZSTD:
        encoding.level[i] = <int32_t>values[0] if n else ZSTD_LEVEL
    elif kind == CXI_BITSHUFFLE:
        encoding.level[i] = <int32_t>values[5] if n > 5 else ZSTD_LEVEL
    elif kind == CXI_LZ4 and n:
        encoding.pipeline.filter[i].block = values[0]


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
        cdef int i, k
        cdef uint32_t numbers[MOST_VALUES]
        self.filters = decoded.filters
        self.nbytes = decoded.nbytes
        self.c.pipeline = decoded.c
        for i, (_, values) in enumerate(self.filters):
            for k in range(min(len(values), MOST_VALUES)):
                numbers[k] = values[k]
            set_level(&self.c, i, numbers, len(values))
        if cxi_encode_check(&self.c):
            raise ValueError(f"The filters {self.filters} cannot be applied here to chunks of "
                             f"{self.nbytes} bytes")
        self.bound = cxi_encode_bound(&self.c)
        self.scratch_bytes = cxi_encode_scratch(&self.c)


cdef class Encoder:
    """Memory and library contexts to encode with, at the SIMD level in use when it is made.

    Parameters
    ----------
    pipeline : EncodePipeline
        What chunks are to go through.
    """

    cdef readonly EncodePipeline pipeline
    cdef cxi_encoder _c
    cdef char *_scratch
    cdef bint _is_open

    def __cinit__(self, EncodePipeline pipeline not None):
        self.pipeline = pipeline
        self._scratch = <char *>malloc(pipeline.scratch_bytes + 1)
        self._is_open = cxi_encoder_open(&self._c, &pipeline.c, current_rows().name) == 0
        if self._scratch == NULL or not self._is_open:
            raise MemoryError(f"{pipeline.scratch_bytes} bytes to encode with")

    def __dealloc__(self):
        if self._is_open:
            cxi_encoder_close(&self._c)
        free(self._scratch)

    def into(self, const unsigned char[::1] chunk, unsigned char[::1] out):
        """Encode a chunk to the start of ``out``; return its size, or a negative error."""
        cdef const char *src = <const char *>&chunk[0] if chunk.shape[0] else NULL
        cdef char *dst = <char *>&out[0] if out.shape[0] else NULL
        cdef ptrdiff_t size
        with nogil:
            size = cxi_encode_chunk(&self._c, &self.pipeline.c, src, chunk.shape[0], dst,
                                    out.shape[0], self._scratch, self.pipeline.scratch_bytes)
        return size

    def codec_alone(self, const unsigned char[::1] planes, size_t block,
                    unsigned char[::1] out):
        """Let liblz4 compress blocks, one after the other, and no more: for benchmarks.

        The planes are bit-shuffled already; each block of so many bytes goes to `out` in its turn,
        which is as large as the pipeline's bound. Returns the bytes of all blocks together.
        """
        cdef size_t at = 0, total = 0, length = planes.shape[0]
        if not 0 < block <= length or <size_t>out.shape[0] < self.pipeline.bound:
            raise ValueError("Blocks are parts of what is compressed")
        with nogil:
            while at + block <= length:
                total += cxi_lz4_compress(&self._c, <const char *>&planes[at], block,
                                          <char *>&out[0], out.shape[0])
                at += block
        return total


def explain_error(ptrdiff_t error):
    """Return what a negative size says of a chunk, as the end of a sentence."""
    return cxi_encode_explain(error).decode("ascii")


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
    pipeline = EncodePipeline(filters, view.shape[0])
    out = bytearray(pipeline.bound)
    size = Encoder(pipeline).into(view, out)
    if size < 0:
        raise ValueError(f"The chunk {explain_error(size)}")
    return bytes(memoryview(out)[:size])


def shuffle_bits(const unsigned char[::1] data, size_t element, level):
    """Turn whole groups of 8 elements into bit planes, at a level of the row kernels."""
    cdef bytes name = level.encode("ascii")
    cdef bytes out
    if element == 0 or data.shape[0] % (8 * element):
        raise ValueError("Bit planes are made of whole groups of 8 elements")
    out = PyBytes_FromStringAndSize(NULL, data.shape[0])
    if data.shape[0]:
        cxi_shuffle_bits_for(name)(<const char *>&data[0], PyBytes_AS_STRING(out),
                                   data.shape[0] // element, element)
    return out
