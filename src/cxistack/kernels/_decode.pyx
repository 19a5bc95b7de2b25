"""Stored HDF5 chunks to bytes: the C decoders, one chunk at a time."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport INT32_MAX, uint32_t
from libc.stdlib cimport free, malloc

from cxistack.kernels.levels cimport current_rows


cdef extern from "decode/unshuffle.h" nogil:
    int cxi_unshuffles(const cxi_unshuffle *tables[3]) noexcept

cdef extern from "decode/filters.h" nogil:
    int cxi_lz4_block(const char *src, size_t len, char *dst, size_t size) noexcept
    int cxi_zstd_block(cxi_decoder *decoder, const char *src, size_t len, char *dst,
                       size_t size) noexcept
    uint32_t cxi_big_endian_32(const char *at) noexcept
    size_t cxi_bitshuffle_block(size_t elements, uint32_t element) noexcept

cdef extern from "decode/lz4_strides.h" nogil:
    cdef enum:
        CXI_LZ4_SLACK


cdef enum:
    MOST_VALUES = 6         # parameters of a filter


NAMES = {
    CXI_DEFLATE: "deflate",
    CXI_SHUFFLE: "shuffle",
    CXI_FLETCHER32: "fletcher32",
    CXI_LZ4: "lz4",
    CXI_BITSHUFFLE: "bitshuffle",
    CXI_ZSTD: "zstd",
}


cdef int set_filter(cxi_filter *f, uint32_t kind, const uint32_t *values, size_t n) noexcept nogil:
    f.kind = <int>kind
    f.element = f.block = 0
    f.codec = CXI_CODEC_NONE
    if kind == CXI_SHUFFLE:
        if n != 1:
            return -1
        f.element = values[0]
    elif kind == CXI_BITSHUFFLE:
        # Two numbers of its version come first; the codec's level may come last.
        if not 3 <= n <= MOST_VALUES:
            return -1
        f.element = values[2]
        if n > 3:
            f.block = values[3]
        if n > 4:
            f.codec = <int>values[4] if values[4] <= INT32_MAX else -1
    return 0 if (kind == CXI_DEFLATE or kind == CXI_SHUFFLE or kind == CXI_FLETCHER32
                 or kind == CXI_LZ4 or kind == CXI_BITSHUFFLE or kind == CXI_ZSTD) else -1


cdef cxi_filter _filter(int kind, tuple values) except *:
    cdef cxi_filter f
    cdef uint32_t numbers[MOST_VALUES]
    cdef size_t i, n = len(values)
    if kind not in NAMES:
        raise ValueError(f"There is no decoder of HDF5 filter {kind} here")
    for i in range(min(n, <size_t>MOST_VALUES)):
        numbers[i] = values[i]
    if set_filter(&f, kind, numbers, n):
        if kind == CXI_SHUFFLE:
            raise ValueError(f"The shuffle filter has the parameters {values}, not one")
        raise ValueError(f"The bitshuffle filter has the parameters {values}, not three to six")
    return f


cdef class Pipeline:
    """The filters of a dataset, as they are written, and the size of its chunks.

    Parameters
    ----------
    filters : sequence of (int, sequence of int)
        Each filter's HDF5 number and parameters, in the order of writing, as the creation
        property list's ``get_filter`` tells them.
    nbytes : int
        Bytes of a decoded chunk.

    Raises
    ------
    ValueError
        When a filter cannot be decoded here, or its parameters make no sense.
    """

    def __init__(self, filters, nbytes):
        self.filters = tuple([(int(kind), tuple(values)) for kind, values in filters])
        self.nbytes = nbytes
        if len(self.filters) > CXI_MAX_FILTERS:
            raise ValueError(f"There are {len(self.filters)} filters; up to {CXI_MAX_FILTERS} "
                             "can be decoded")
        self.c.n = 0
        self.c.chunk_bytes = self.nbytes
        for kind, values in self.filters:
            self.c.filter[self.c.n] = _filter(kind, values)
            self.c.n += 1
        if cxi_decode_check(&self.c):
            raise ValueError(f"The filters {self.filters} have parameters that make no sense")
        self.scratch_bytes = cxi_decode_scratch(&self.c)

    @property
    def splits(self):
        """Whether a chunk comes in blocks, of which some can be decoded without the others."""
        return (self.c.n == 1 and self.c.filter[0].kind == CXI_BITSHUFFLE
                and self.c.filter[0].codec != CXI_CODEC_NONE)

    @property
    def block_bytes(self):
        """Decoded bytes of a block, where a chunk comes in blocks; it may say another number."""
        return cxi_bitshuffle_block(self.c.filter[0].block, self.c.filter[0].element)

    @property
    def is_fast(self):
        """Whether a chunk is decoded about as fast as memory is copied."""
        return self.splits and self.c.filter[0].codec == CXI_CODEC_LZ4


cdef class Decoder:
    """Memory and library contexts to decode with, at the SIMD level in use when it is made.

    Parameters
    ----------
    pipeline : Pipeline
        What the chunks went through.
    """

    cdef readonly Pipeline pipeline
    cdef cxi_decoder _c
    cdef char *_scratch

    def __cinit__(self, Pipeline pipeline not None):
        self.pipeline = pipeline
        self._scratch = <char *>malloc(pipeline.scratch_bytes + 1)
        if self._scratch == NULL or cxi_decoder_open(&self._c, current_rows().name):
            raise MemoryError(f"{pipeline.scratch_bytes} bytes to decode with")

    def __dealloc__(self):
        cxi_decoder_close(&self._c)
        free(self._scratch)

    def into(self, const unsigned char[::1] chunk, unsigned char[::1] out, uint32_t filter_mask=0):
        """Decode a chunk to the start of ``out``; return the status, 0 when all is well."""
        cdef const char *src = <const char *>&chunk[0] if chunk.shape[0] else NULL
        cdef char *dst = <char *>&out[0] if out.shape[0] else NULL
        cdef int status
        with nogil:
            status = cxi_decode_chunk(&self._c, &self.pipeline.c, filter_mask, src, chunk.shape[0],
                                      dst, out.shape[0], self._scratch,
                                      self.pipeline.scratch_bytes)
        return status

    def codec_alone(self, const unsigned char[::1] chunk):
        """Let the library decode a whole bitshuffled chunk's blocks, and no more: for benchmarks.

        The chunk is what bitshuffle with a codec, the only filter, made; it is trusted.
        """
        cdef const char *src = <const char *>&chunk[12]
        cdef cxi_filter *f = &self.pipeline.c.filter[0]
        cdef size_t block = cxi_big_endian_32(src - 4), left = self.pipeline.nbytes
        cdef size_t eight = 8 * <size_t>f.element
        cdef int status = 0
        with nogil:
            while left >= eight and status == 0:
                block = min(block, left // eight * eight)
                if f.codec == CXI_CODEC_LZ4:
                    status = cxi_lz4_block(src + 4, cxi_big_endian_32(src), self._scratch, block)
                else:
                    status = cxi_zstd_block(&self._c, src + 4, cxi_big_endian_32(src),
                                            self._scratch, block)
                src += 4 + cxi_big_endian_32(src)
                left -= block
        return status

    def blocks(self, const unsigned char[::1] chunk, wanted):
        """Decode the blocks of a chunk that bitshuffle, the only filter, made.

        `wanted` is told a block's number, offset and size, and returns whether it is decoded.
        Returns of every block its offset, and its bytes, or None where it was stepped over.
        """
        cdef cxi_bshuf it
        cdef bytes block
        cdef int status
        parts = []
        status = cxi_bshuf_open(&it, &self._c, &self.pipeline.c.filter[0],
                                self.pipeline.nbytes, <const char *>&chunk[0], chunk.shape[0],
                                self._scratch, self.pipeline.scratch_bytes)
        while status == CXI_DECODED and it.bytes > 0:
            offset = it.offset
            if wanted(it.index, it.offset, it.bytes):
                block = PyBytes_FromStringAndSize(NULL, it.bytes)
                status = cxi_bshuf_next(&it, PyBytes_AS_STRING(block))
                parts.append((offset, block))
            else:
                status = cxi_bshuf_next(&it, NULL)
                parts.append((offset, None))
        if status:
            raise ValueError(f"The chunk {explain_status(status)}")
        return parts


def explain_status(int status):
    """Return what a status says of a chunk, as the end of a sentence."""
    return cxi_decode_error(status).decode("ascii")


def decode(filters, filter_mask, chunk, nbytes):
    """Decode one stored chunk.

    Parameters
    ----------
    filters : sequence of (int, sequence of int)
        As for `Pipeline`.
    filter_mask : int
        Bit i set: filter i was not applied to this chunk.
    chunk : bytes-like
        What the file holds.
    nbytes : int
        Bytes of the decoded chunk.

    Returns
    -------
    bytearray

    Raises
    ------
    ValueError
        When the chunk does not decode to exactly that many bytes.

    Examples
    --------
    >>> import zlib
    >>> bytes(decode([(1, (6,))], 0, zlib.compress(b"photons"), 7))
    b'photons'
    """
    out = bytearray(nbytes)
    status = Decoder(Pipeline(filters, nbytes)).into(chunk, out, filter_mask)
    if status:
        raise ValueError(f"The chunk {explain_status(status)}")
    return out


def unshuffle_levels():
    """Return the names of the ways to un-bit-shuffle that this processor can run."""
    cdef const cxi_unshuffle *tables[3]
    return tuple([tables[i].name.decode("ascii") for i in range(cxi_unshuffles(tables))])


def unshuffle(const unsigned char[::1] planes, size_t element, level):
    """Turn bit planes back into whole groups of 8 elements, at one of `unshuffle_levels`."""
    cdef const cxi_unshuffle *tables[3]
    cdef int which = unshuffle_levels().index(level)
    cdef size_t n
    cdef bytes out
    if element == 0 or planes.shape[0] % (8 * element):
        raise ValueError("Bit planes hold whole groups of 8 elements")
    n = planes.shape[0] // element
    out = PyBytes_FromStringAndSize(NULL, planes.shape[0])
    cxi_unshuffles(tables)
    if n:
        tables[which].planes(<const char *>&planes[0], PyBytes_AS_STRING(out), n, element)
    return out


def lz4_strides(const unsigned char[::1] block, size_t size, level):
    """Decode an LZ4 block by the stride decoder, and by liblz4, to `size` bytes.

    None where a decoder refused; ours may when liblz4 does not.
    """
    cdef const cxi_unshuffle *tables[3]
    cdef int which = unshuffle_levels().index(level)
    cdef size_t length = block.shape[0]
    cdef bytes padded = bytes(block) + bytes(CXI_LZ4_SLACK)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, size + CXI_LZ4_SLACK)
    cdef bytes reference = PyBytes_FromStringAndSize(NULL, size)
    ours = theirs = None
    cxi_unshuffles(tables)
    if tables[which].lz4(PyBytes_AS_STRING(padded), length, PyBytes_AS_STRING(out), size):
        ours = out[:size]
    if cxi_lz4_block(PyBytes_AS_STRING(padded), length, PyBytes_AS_STRING(reference),
                     size) == CXI_DECODED:
        theirs = reference
    return ours, theirs


def decoders():
    """Return the names of the filters that this build decodes by itself, by their numbers."""
    return dict(NAMES)
