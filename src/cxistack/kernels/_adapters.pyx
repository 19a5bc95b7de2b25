"""The kernels as C calls them: each checks its arguments once, and calls what Python calls."""

from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from cxistack.capi cimport (
    CXISTACK_BAD_ARGUMENT, CXISTACK_BAD_CHUNK, CXISTACK_BAD_FILTER, CXISTACK_BAD_INDEX,
    CXISTACK_BOOL, CXISTACK_CHANGED, CXISTACK_DEAD_PIXEL, CXISTACK_FLOAT32, CXISTACK_FLOAT64,
    CXISTACK_LOST, CXISTACK_MEAN, CXISTACK_MORE, CXISTACK_MOST_AXES, CXISTACK_NO_MEMORY,
    CXISTACK_NOT_READ, CXISTACK_NO_VALUE, CXISTACK_OK, CXISTACK_UNSAFE, cxistack_axis,
    cxistack_codec, cxistack_filter, cxistack_pixels
)
from cxistack.kernels cimport loop
from cxistack.kernels._bin cimport Bins, bin_rows
from cxistack.kernels._decode cimport (
    CXI_MAX_FILTERS, cxi_decode_check, cxi_decode_chunk, cxi_decode_error, cxi_decode_scratch,
    cxi_decoder, cxi_decoder_close, cxi_decoder_open, set_filter
)
from cxistack.kernels._encode cimport (
    cxi_encode_bound, cxi_encode_check, cxi_encode_chunk, cxi_encode_scratch, cxi_encoder,
    cxi_encoder_close, cxi_encoder_open, cxi_encoding, set_level
)
from cxistack.kernels._flat cimport Correction, correct_block
from cxistack.kernels._median cimport Medians, median_rows
from cxistack.kernels.levels cimport current_rows
from cxistack.kernels.loop cimport (
    Pass, is_moved, is_streamed, make_row, run_pass, set_axes, set_rows
)
from cxistack.kernels.rows cimport CXI_FLOAT64
from cxistack.kernels.stacks cimport Stack, frame_at, join_rows

cdef enum:
    PIECE = 1024            # pixels that rest in L1
    NO_ROOM = -2            # CXI_ENCODE_NO_ROOM


cdef struct Codec:
    cxi_encoding how
    cxi_decoder decoder
    cxi_encoder encoder
    bint encodes
    char *scratch
    size_t scratch_bytes
    int status


cdef const char *explain(int status) noexcept nogil:
    if status == CXISTACK_OK:
        return "all is done"
    if status == CXISTACK_LOST:
        return "a value does not fit the type of the result"
    if status == CXISTACK_MORE:
        return "there is more than there is room for"
    if status == CXISTACK_BAD_ARGUMENT:
        return "there is no such type, or shapes, lengths or types do not fit one another"
    if status == CXISTACK_BAD_INDEX:
        return "there is no frame or pixel of this number"
    if status == CXISTACK_NO_MEMORY:
        return "there is no memory"
    if status == CXISTACK_BAD_FILTER:
        return "this build has no such filter, or its parameters make no sense"
    if status == CXISTACK_BAD_CHUNK:
        return "what is stored does not decode"
    if status == CXISTACK_DEAD_PIXEL:
        return ("the whitefield of a good pixel is 0, or it or the dark signal is no finite "
                "number, or the result is too large for its type")
    if status == CXISTACK_NOT_READ:
        return "the file cannot be read"
    if status == CXISTACK_CHANGED:
        return "the file is not what it was when the load was opened"
    if status == CXISTACK_NO_VALUE:
        return "a pixel has no good value, and no fill was given"
    return "there is no status of this number"


cdef size_t pixel_size(int type) noexcept nogil:
    return loop.pixel_size(type)


cdef bint take_pixels(Checked *c, const cxistack_pixels *p, bint is_read) noexcept nogil:
    # Whether they make sense; a result in the other byte order does not.
    cdef int axis
    cdef Py_ssize_t step
    if p == NULL or not 1 <= p.axes <= CXISTACK_MOST_AXES or p.shape == NULL:
        return False
    c.size = loop.pixel_size(p.type)
    if c.size == 0 or (p.swapped and not is_read):
        return False
    c.at, c.type, c.rank = <char *>p.data, p.type, p.axes
    c.swapped = p.swapped != 0 and c.size > 1
    c.pixels, c.is_dense = 1, True
    for axis in range(c.rank):
        c.shape[axis] = p.shape[axis]
        if c.shape[axis] < 0:
            return False
        if c.shape[axis] > 0 and c.pixels > INT64_MAX // 8 // c.shape[axis]:
            return False
        c.pixels *= c.shape[axis]
    step = c.size
    for axis in range(c.rank - 1, -1, -1):
        c.steps[axis] = step if p.strides == NULL else <Py_ssize_t>p.strides[axis]
        c.is_dense = c.is_dense and (c.shape[axis] == 1 or c.steps[axis] == step)
        step *= c.shape[axis]
    return c.at != NULL or c.pixels == 0


cdef bint is_alike(const Checked *a, const Checked *b, int first, int last) noexcept nogil:
    cdef int axis
    if a.rank != b.rank:
        return False
    for axis in range(first, last):
        if a.shape[axis] != b.shape[axis]:
            return False
    return True


cdef int _move(const Checked *src, const Checked *dst, const int64_t *frames,
               int how) noexcept nogil:
    # All of src, or frames of it, to all of dst.
    cdef Pass p
    cdef int first = frames != NULL
    set_rows(&p, src.type, dst.type, src.swapped)
    p.checked = not how & CXISTACK_UNSAFE
    p.src, p.dst = src.at, dst.at
    p.index, p.at = frames, NULL
    p.frames = dst.shape[0] if first else 1
    p.src_frame = src.steps[0] if first else 0
    p.dst_frame = dst.steps[0] if first else 0
    p.stream = dst.is_dense and is_streamed(dst.pixels * dst.size)
    set_axes(&p, dst.rank - first, &dst.shape[first], &src.steps[first], &dst.steps[first])
    return CXISTACK_LOST if run_pass(&p, 0, dst.pixels) >= 0 else CXISTACK_OK


cdef int cast(const cxistack_pixels *src, const cxistack_pixels *dst, int how) noexcept nogil:
    cdef Checked a, b
    if not take_pixels(&a, src, True) or not take_pixels(&b, dst, False):
        return CXISTACK_BAD_ARGUMENT
    if not is_alike(&a, &b, 0, a.rank):
        return CXISTACK_BAD_ARGUMENT
    return _move(&a, &b, NULL, how) if b.pixels else CXISTACK_OK


cdef int gather(const cxistack_pixels *src, const int64_t *frames, const cxistack_pixels *dst,
                int how) noexcept nogil:
    cdef Checked a, b
    cdef Py_ssize_t k
    if not take_pixels(&a, src, True) or not take_pixels(&b, dst, False):
        return CXISTACK_BAD_ARGUMENT
    if not is_alike(&a, &b, 1, a.rank) or (frames == NULL and b.shape[0]):
        return CXISTACK_BAD_ARGUMENT
    for k in range(b.shape[0]):
        if not 0 <= frames[k] < a.shape[0]:
            return CXISTACK_BAD_INDEX
    return _move(&a, &b, frames, how) if b.pixels else CXISTACK_OK


cdef bint _narrow(Checked *c, int axis, const cxistack_axis *to) noexcept nogil:
    # Whether all its pixels are there.
    cdef Py_ssize_t room
    if to.count > 0:
        if not 0 <= to.start < c.shape[axis]:
            return False
        room = c.shape[axis] - 1 - to.start if to.step > 0 else to.start
        if to.count > 1 and (to.count - 1) > room // (to.step if to.step > 0 else -to.step):
            return False
        c.at += to.start * c.steps[axis]
    c.shape[axis] = to.count
    if to.count > 1:
        c.steps[axis] *= to.step
    return True


cdef int view(const cxistack_pixels *src, const cxistack_axis *slow, const cxistack_axis *fast,
              const cxistack_pixels *dst, int how) noexcept nogil:
    cdef Checked a, b
    if not take_pixels(&a, src, True) or not take_pixels(&b, dst, False) or a.rank < 2:
        return CXISTACK_BAD_ARGUMENT
    if slow == NULL or fast == NULL or slow.count < 0 or fast.count < 0:
        return CXISTACK_BAD_ARGUMENT
    # A step as long as this leads out of any axis, and its negative is a number.
    if not -INT64_MAX <= slow.step <= INT64_MAX or not -INT64_MAX <= fast.step <= INT64_MAX:
        return CXISTACK_BAD_ARGUMENT
    if slow.step == 0 or fast.step == 0:
        return CXISTACK_BAD_ARGUMENT
    if not _narrow(&a, a.rank - 2, slow) or not _narrow(&a, a.rank - 1, fast):
        return CXISTACK_BAD_INDEX
    if not is_alike(&a, &b, 0, a.rank):
        return CXISTACK_BAD_ARGUMENT
    return _move(&a, &b, NULL, how) if b.pixels else CXISTACK_OK


cdef int bin(const cxistack_pixels *src, int64_t slow, int64_t fast, const cxistack_pixels *dst,
             int how) noexcept nogil:
    cdef Checked a, b
    cdef Bins bins
    cdef int axis, made
    cdef int64_t rows = 1
    if not take_pixels(&a, src, True) or not take_pixels(&b, dst, False) or a.rank < 2:
        return CXISTACK_BAD_ARGUMENT
    if slow < 1 or fast < 1 or not is_alike(&a, &b, 0, a.rank - 2):
        return CXISTACK_BAD_ARGUMENT
    if b.shape[b.rank - 2] != a.shape[a.rank - 2] // slow:
        return CXISTACK_BAD_ARGUMENT
    if b.shape[b.rank - 1] != a.shape[a.rank - 1] // fast:
        return CXISTACK_BAD_ARGUMENT
    if b.pixels == 0:
        return CXISTACK_OK
    bins.checked = not how & CXISTACK_UNSAFE
    bins.mean = how & CXISTACK_MEAN != 0
    bins.truth = a.type == CXISTACK_BOOL
    set_rows(&bins.pixels, a.type, a.type, a.swapped)
    bins.pixels.cast = NULL
    bins.how = bins.pixels.rows.bin[a.type]
    made = bins.how.mean_pixel if bins.mean else bins.how.sum_pixel
    set_rows(&bins.results, made, b.type, False)
    bins.results.checked = bins.checked
    bins.n_ss, bins.n_fs = slow, fast
    bins.rank = a.rank - 2
    for axis in range(a.rank):
        bins.shape[axis] = a.shape[axis]
        bins.src_step[axis] = a.steps[axis]
        bins.dst_step[axis] = b.steps[axis]
        if axis < bins.rank:
            rows *= a.shape[axis]
    bins.rows, bins.columns = b.shape[b.rank - 2], b.shape[b.rank - 1]
    bins.src, bins.dst = a.at, b.at
    return CXISTACK_LOST if bin_rows(&bins, 0, rows * bins.rows) >= 0 else CXISTACK_OK


cdef void _as_stack(const Checked *c, Stack *stack) noexcept nogil:
    cdef int axis
    stack.at = c.at
    stack.size = c.size
    stack.rank = c.rank - 2
    stack.frames = 1
    for axis in range(stack.rank):
        stack.shape[axis] = c.shape[axis]
        stack.steps[axis] = c.steps[axis]
        stack.frames *= c.shape[axis]
    stack.rows, stack.columns = c.shape[c.rank - 2], c.shape[c.rank - 1]
    stack.row_step, stack.step = c.steps[c.rank - 2], c.steps[c.rank - 1]


cdef int median3x3(const cxistack_pixels *src, const uint8_t *good,
                   const cxistack_pixels *dst) noexcept nogil:
    cdef Checked a, b
    cdef Medians m
    cdef int64_t frame
    if not take_pixels(&a, src, True) or not take_pixels(&b, dst, False) or a.rank < 2:
        return CXISTACK_BAD_ARGUMENT
    if a.type != b.type or not is_alike(&a, &b, 0, a.rank):
        return CXISTACK_BAD_ARGUMENT
    if b.pixels == 0:
        return CXISTACK_OK
    _as_stack(&a, &m.src)
    _as_stack(&b, &m.dst)
    set_rows(&m.pixels, a.type, a.type, a.swapped)
    set_rows(&m.truth, CXISTACK_BOOL, CXISTACK_BOOL, False)
    set_rows(&m.results, b.type, b.type, False)
    m.pixels.cast = m.results.cast = NULL
    m.how = m.pixels.rows.median[a.type]
    m.good, m.good_frame = <const char *>good, 0
    for frame in range(m.src.frames):
        median_rows(&m, frame, 0, m.src.rows)
    return CXISTACK_OK


cdef int flat_field(const cxistack_pixels *src, const void *dark, const void *white,
                    const uint8_t *good, double bad, const cxistack_pixels *dst) noexcept nogil:
    cdef Checked a, b
    cdef Correction c
    cdef int64_t frame
    if not take_pixels(&a, src, True) or not take_pixels(&b, dst, False) or a.rank < 2:
        return CXISTACK_BAD_ARGUMENT
    if b.type != CXISTACK_FLOAT32 and b.type != CXISTACK_FLOAT64:
        return CXISTACK_BAD_ARGUMENT
    if not is_alike(&a, &b, 0, a.rank):
        return CXISTACK_BAD_ARGUMENT
    if b.pixels == 0:
        return CXISTACK_OK
    _as_stack(&a, &c.src)
    _as_stack(&b, &c.dst)
    join_rows(&c.src, &c.dst)
    set_rows(&c.pixels, a.type, b.type, a.swapped)
    set_rows(&c.results, b.type, b.type, False)
    c.results.checked = True
    c.row = c.pixels.rows.flat[b.type == CXI_FLOAT64]
    c.is_plain = is_moved(&c.pixels) and c.pixels.swap == NULL and c.src.step == c.src.size
    c.how.dark, c.how.white, c.how.good = <char *>dark, <char *>white, <char *>good
    c.how.bad, c.how.strict = bad, True
    c.dark_frame = c.white_frame = c.good_frame = 0
    c.stream = False
    for frame in range(c.src.frames):
        if not correct_block(&c, frame, 0, c.src.rows * c.src.columns, NULL):
            return CXISTACK_DEAD_PIXEL
    return CXISTACK_OK


cdef int above(const cxistack_pixels *src, const void *least, const uint8_t *good, size_t room,
               int64_t *numbers, void *values, size_t *found) noexcept nogil:
    # Row by row: each row's pixels are counted on from those before.
    cdef Checked a
    cdef Stack stack
    cdef Pass pixels
    cdef char row[PIECE * 8]
    cdef int64_t at[PIECE]
    cdef char kept[PIECE * 8]
    cdef const char *piece
    cdef int64_t frame, y, x, number = 0
    cdef size_t n, count, told, total = 0
    cdef bint is_plain
    if not take_pixels(&a, src, True) or a.rank < 2 or least == NULL or found == NULL:
        return CXISTACK_BAD_ARGUMENT
    if room > 0 and (numbers == NULL or values == NULL):
        return CXISTACK_BAD_ARGUMENT
    found[0] = 0
    if a.pixels == 0:
        return CXISTACK_OK
    _as_stack(&a, &stack)
    set_rows(&pixels, a.type, a.type, a.swapped)
    pixels.cast = NULL
    is_plain = pixels.swap == NULL and stack.step == stack.size
    for frame in range(stack.frames):
        for y in range(stack.rows):
            x = 0
            while x < stack.columns:
                n = min(<int64_t>PIECE, stack.columns - x)
                piece = frame_at(&stack, frame) + y * stack.row_step + x * stack.step
                if not is_plain:
                    make_row(&pixels, piece, stack.step if n > 1 else stack.size, row, n, NULL)
                    piece = row
                count = pixels.rows.above[a.type](
                    piece, <const char *>good + y * stack.columns + x if good != NULL else NULL, n,
                    <const char *>least, number, at, kept)
                told = min(count, room - total if total < room else 0)
                if told:
                    memcpy(numbers + total, at, told * sizeof(int64_t))
                    memcpy(<char *>values + total * stack.size, kept, told * stack.size)
                total += count
                number += n
                x += n
    found[0] = total
    return CXISTACK_MORE if total > room else CXISTACK_OK


cdef cxistack_codec *_refused(Codec *codec, int why, int *status) noexcept nogil:
    if status != NULL:
        status[0] = why
    if codec != NULL:
        free(codec.scratch)
        free(codec)
    return NULL


cdef cxistack_codec *codec_open(const cxistack_filter *filters, size_t count, size_t chunk_bytes,
                                int encodes, int *status) noexcept nogil:
    cdef Codec *codec
    cdef size_t k
    if count > CXI_MAX_FILTERS:
        return _refused(NULL, CXISTACK_BAD_FILTER, status)
    if filters == NULL and count > 0:
        return _refused(NULL, CXISTACK_BAD_ARGUMENT, status)
    codec = <Codec *>calloc(1, sizeof(Codec))
    if codec == NULL:
        return _refused(NULL, CXISTACK_NO_MEMORY, status)
    codec.how.pipeline.n = <int>count
    codec.how.pipeline.chunk_bytes = chunk_bytes
    for k in range(count):
        if (filters[k].values == NULL and filters[k].count > 0
                or set_filter(&codec.how.pipeline.filter[k], filters[k].number, filters[k].values,
                              filters[k].count)):
            return _refused(codec, CXISTACK_BAD_FILTER, status)
        if encodes:
            set_level(&codec.how, <int>k, filters[k].values, filters[k].count)
    if cxi_decode_check(&codec.how.pipeline) or (encodes and cxi_encode_check(&codec.how)):
        return _refused(codec, CXISTACK_BAD_FILTER, status)
    codec.scratch_bytes = cxi_decode_scratch(&codec.how.pipeline)
    if encodes:
        codec.scratch_bytes = max(codec.scratch_bytes, cxi_encode_scratch(&codec.how))
    codec.scratch = <char *>malloc(codec.scratch_bytes + 64)
    if codec.scratch == NULL or cxi_decoder_open(&codec.decoder, current_rows().name):
        return _refused(codec, CXISTACK_NO_MEMORY, status)
    if encodes and cxi_encoder_open(&codec.encoder, &codec.how, current_rows().name):
        cxi_decoder_close(&codec.decoder)
        return _refused(codec, CXISTACK_NO_MEMORY, status)
    codec.encodes = encodes != 0
    if status != NULL:
        status[0] = CXISTACK_OK
    return <cxistack_codec *>codec


cdef void codec_close(cxistack_codec *codec) noexcept nogil:
    cdef Codec *c = <Codec *>codec
    if c == NULL:
        return
    cxi_decoder_close(&c.decoder)
    if c.encodes:
        cxi_encoder_close(&c.encoder)
    free(c.scratch)
    free(c)


cdef int decode(cxistack_codec *codec, uint32_t mask, const void *src, size_t src_bytes, void *dst,
                size_t dst_bytes) noexcept nogil:
    cdef Codec *c = <Codec *>codec
    if c == NULL or (src == NULL and src_bytes > 0) or (dst == NULL and dst_bytes > 0):
        return CXISTACK_BAD_ARGUMENT
    if dst_bytes < c.how.pipeline.chunk_bytes:
        return CXISTACK_MORE
    c.status = cxi_decode_chunk(&c.decoder, &c.how.pipeline, mask, <const char *>src, src_bytes,
                                <char *>dst, dst_bytes, c.scratch, c.scratch_bytes)
    return CXISTACK_BAD_CHUNK if c.status else CXISTACK_OK


cdef const char *decode_error(const cxistack_codec *codec) noexcept nogil:
    return cxi_decode_error((<const Codec *>codec).status if codec != NULL else 0)


cdef size_t encode_bound(const cxistack_codec *codec) noexcept nogil:
    if codec == NULL or not (<const Codec *>codec).encodes:
        return 0
    return cxi_encode_bound(&(<const Codec *>codec).how)


cdef int encode(cxistack_codec *codec, const void *src, void *dst, size_t dst_bytes,
                size_t *stored) noexcept nogil:
    cdef Codec *c = <Codec *>codec
    cdef Py_ssize_t size
    if c == NULL or not c.encodes or src == NULL or dst == NULL or stored == NULL:
        return CXISTACK_BAD_ARGUMENT
    size = cxi_encode_chunk(&c.encoder, &c.how, <const char *>src, c.how.pipeline.chunk_bytes,
                            <char *>dst, dst_bytes, c.scratch, c.scratch_bytes)
    if size < 0:
        return CXISTACK_MORE if size == NO_ROOM else CXISTACK_BAD_CHUNK
    stored[0] = size
    return CXISTACK_OK
