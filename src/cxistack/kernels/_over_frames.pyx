"""What C sums up, counts and ranks over frames, pixel by pixel, by the kernels of Python."""

from libc.math cimport INFINITY, NAN, floor
from libc.stdint cimport (
    INT8_MAX, INT8_MIN, INT16_MAX, INT16_MIN, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN,
    UINT32_MAX, int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t, uintptr_t
)
from libc.string cimport memcpy, memset

from cxistack.capi cimport (
    CXISTACK_BAD_ARGUMENT, CXISTACK_BOOL, CXISTACK_FLOAT32, CXISTACK_FLOAT64, CXISTACK_INT8,
    CXISTACK_INT16, CXISTACK_INT32, CXISTACK_INT64, CXISTACK_LOST, CXISTACK_LOWER, CXISTACK_MORE,
    CXISTACK_MOST_AXES, CXISTACK_NO_VALUE, CXISTACK_OK, cxistack_moments, cxistack_pixels
)
from cxistack.kernels._adapters cimport Checked, is_alike, take_pixels
from cxistack.kernels._moments cimport Sums, sum_up
from cxistack.kernels._ranks cimport Ranks, rank_tile
from cxistack.kernels.loop cimport Pass, is_moved, run_pass, set_axes, set_rows
from cxistack.kernels.rows cimport CXI_RANKED, cxi_cast
from cxistack.kernels.sources cimport Source, lay_source

cdef enum:
    LINE = 64               # where scratch begins: rows of it are read by whole vectors
    MOST_FRACTIONS = 65536

# So many values of 32 bits, or squares of 16, cannot pass 64 bits.
cdef int64_t MOST_FRAMES = <int64_t>1 << 31


cdef bint _is_aligned(const void *at, size_t size) noexcept nogil:
    return <uintptr_t>at % size == 0


cdef void _as_source(const Checked *c, Source *s) noexcept nogil:
    set_rows(&s.p, c.type, c.type, c.swapped)
    lay_source(s, c.at, c.rank - 1, &c.shape[1], &c.steps[1], c.steps[0])
    # The kernels take any byte that is not 0 for True, so booleans need no cast to themselves.
    s.direct = s.direct and (is_moved(&s.p) or c.type == CXISTACK_BOOL)


cdef void _as_flags(const Checked *c, const uint8_t *good, int64_t good_step,
                    Source *s) noexcept nogil:
    # A byte a pixel, in C order.
    cdef Py_ssize_t steps[CXISTACK_MOST_AXES]
    cdef Py_ssize_t step = 1
    cdef int axis
    for axis in range(c.rank - 1, 0, -1):
        steps[axis] = step
        step *= c.shape[axis]
    set_rows(&s.p, CXISTACK_BOOL, CXISTACK_BOOL, False)
    lay_source(s, <const char *>good, c.rank - 1, &c.shape[1], &steps[1], good_step)


cdef void _begin(Sums *s, const Checked *a, const uint8_t *good,
                 int64_t good_step) noexcept nogil:
    # All but the states.
    memset(s, 0, sizeof(Sums))
    _as_source(a, &s.frames)
    s.masked = good != NULL
    if s.masked:
        _as_flags(a, good, good_step, &s.mask)
    s.how = &s.frames.p.rows.moment[a.type]
    s.n, s.size = a.shape[0], a.size
    s.pixels = s.frames.p.frame_pixels


cdef bint _fits(const Sums *s, const Checked *a, const cxistack_moments *m) noexcept nogil:
    # Whether the states are those that there are of these pixels, and can be kept up.
    cdef bint is_float = a.type == CXISTACK_FLOAT32 or a.type == CXISTACK_FLOAT64
    if m.frames < 0 or (s.masked and m.count == NULL):
        return False
    if (m.rest != NULL) != (is_float and m.total != NULL):
        return False
    if m.squares != NULL and (s.how.squares == NULL or m.total == NULL):
        return False
    if (m.mean != NULL) != (m.spread != NULL) or (m.mean != NULL and s.how.spread == NULL):
        return False
    return (_is_aligned(m.count, 8) and _is_aligned(m.total, 8) and _is_aligned(m.rest, 8)
            and _is_aligned(m.squares, 8) and _is_aligned(m.mean, 8) and _is_aligned(m.spread, 8)
            and _is_aligned(m.lowest, a.size) and _is_aligned(m.highest, a.size))


cdef void _fill(char *at, const void *pixel, size_t size, int64_t n) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        memcpy(at + i * <int64_t>size, pixel, size)


cdef void _furthest(int type, bint above, char *to) noexcept nogil:
    # The value of a type that no other lies beyond.
    if type == CXISTACK_BOOL:
        (<uint8_t *>to)[0] = above
    elif type == CXISTACK_INT8:
        (<int8_t *>to)[0] = INT8_MAX if above else INT8_MIN
    elif type == CXISTACK_INT16:
        (<int16_t *>to)[0] = INT16_MAX if above else INT16_MIN
    elif type == CXISTACK_INT32:
        (<int32_t *>to)[0] = INT32_MAX if above else INT32_MIN
    elif type == CXISTACK_INT64:
        (<int64_t *>to)[0] = INT64_MAX if above else INT64_MIN
    elif type == CXISTACK_FLOAT32:
        (<float *>to)[0] = INFINITY if above else -INFINITY
    elif type == CXISTACK_FLOAT64:
        (<double *>to)[0] = INFINITY if above else -INFINITY
    else:
        memset(to, 0xff if above else 0, 8)


cdef void _clear(const Sums *s, int type, cxistack_moments *m) noexcept nogil:
    # States that have seen no frame.
    cdef int64_t pixel[1]
    cdef size_t nbytes = s.pixels * 8
    if m.count != NULL:
        memset(m.count, 0, nbytes)
    if m.total != NULL:
        memset(m.total, 0, nbytes)
    if m.rest != NULL:
        memset(m.rest, 0, nbytes)
    if m.squares != NULL:
        memset(m.squares, 0, nbytes)
    if m.mean != NULL:
        memset(m.mean, 0, nbytes)
        memset(m.spread, 0, nbytes)
    if m.lowest != NULL:
        _furthest(type, True, <char *>pixel)
        _fill(<char *>m.lowest, pixel, s.size, s.pixels)
    if m.highest != NULL:
        _furthest(type, False, <char *>pixel)
        _fill(<char *>m.highest, pixel, s.size, s.pixels)


cdef int accumulate(const cxistack_pixels *src, const uint8_t *good, int64_t good_step,
                    cxistack_moments *moments) noexcept nogil:
    cdef Checked a
    cdef Sums s
    if moments == NULL or not take_pixels(&a, src, True):
        return CXISTACK_BAD_ARGUMENT
    _begin(&s, &a, good, good_step)
    if not _fits(&s, &a, moments):
        return CXISTACK_BAD_ARGUMENT
    if (moments.frames > MOST_FRAMES - min(<int64_t>s.n, MOST_FRAMES)
            and a.type != CXISTACK_FLOAT32 and a.type != CXISTACK_FLOAT64):
        return CXISTACK_LOST
    if moments.frames == 0:
        _clear(&s, a.type, moments)
    s.before = moments.frames
    s.count, s.total, s.rest = moments.count, <char *>moments.total, moments.rest
    s.squares, s.mean, s.spread = <char *>moments.squares, moments.mean, moments.spread
    s.lowest, s.highest = <char *>moments.lowest, <char *>moments.highest
    moments.frames += s.n
    if s.n == 0:
        return CXISTACK_OK
    return CXISTACK_LOST if sum_up(&s, 0, s.pixels) >= 0 else CXISTACK_OK


cdef int count(const cxistack_pixels *src, const void *least, const uint8_t *good,
               int64_t good_step, int64_t *counts) noexcept nogil:
    cdef Checked a
    cdef Sums s
    if not take_pixels(&a, src, True) or least == NULL:
        return CXISTACK_BAD_ARGUMENT
    if a.pixels == 0:
        return CXISTACK_OK
    if counts == NULL or not _is_aligned(counts, 8):
        return CXISTACK_BAD_ARGUMENT
    _begin(&s, &a, good, good_step)
    s.reached[0] = counts
    memcpy(s.limits[0], least, a.size)
    sum_up(&s, 0, s.pixels)
    return CXISTACK_OK


cdef size_t select_scratch(const cxistack_pixels *src, size_t count) noexcept nogil:
    cdef Checked a
    if not take_pixels(&a, src, True) or count > MOST_FRACTIONS or a.shape[0] > UINT32_MAX:
        return 0
    # The keys of a tile of each frame, the values that lie beside each rank, two rows of double.
    return (<size_t>a.shape[0] * a.size + count * 2 * a.size + 16) * CXI_RANKED + LINE


cdef void _lay_results(Pass *p, const Checked *b) noexcept nogil:
    # From rows in C order to one frame of the results.
    cdef Py_ssize_t steps[CXISTACK_MOST_AXES]
    cdef Py_ssize_t step = b.size
    cdef int axis
    set_rows(p, b.type, b.type, False)
    for axis in range(b.rank - 1, 0, -1):
        steps[axis] = step
        step *= b.shape[axis]
    set_axes(p, b.rank - 1, &b.shape[1], &steps[1], &b.steps[1])
    p.index = p.at = NULL
    p.frames, p.src_frame, p.dst_frame = 1, 0, 0
    p.stream = p.checked = False


cdef void _as_doubles(const Ranks *r, int type, const char *values, double *to,
                      Py_ssize_t n) noexcept nogil:
    if type == CXISTACK_FLOAT64:
        memcpy(to, values, n * sizeof(double))
    else:
        r.frames.p.rows.cast[type][CXISTACK_FLOAT64](values, <char *>to, n)


cdef void _between(double *low, const double *high, const uint32_t *counts, double fraction,
                   Py_ssize_t n) noexcept nogil:
    # What lies a part of the way from low to high: rounded as NumPy does it, from the nearer one.
    cdef Py_ssize_t i
    cdef double place, part, step
    for i in range(n):
        if low[i] == high[i] or counts[i] == 0:
            continue
        place = (counts[i] - 1) * fraction
        part = place - floor(place)
        step = high[i] - low[i]
        if part == 0:
            continue
        if fraction == 0.5:
            low[i] = (low[i] + high[i]) / 2
        elif part >= 0.5:
            low[i] = high[i] - step * (1 - part)
        else:
            low[i] = low[i] + step * part


cdef int _mend(char *row, const Checked *b, const uint32_t *counts, const uint32_t *nans,
               const void *fill, Py_ssize_t n) noexcept nogil:
    # What has no value, and what a NaN makes NaN.
    cdef Py_ssize_t i
    for i in range(n):
        if counts[i] == 0:
            if fill == NULL:
                return CXISTACK_NO_VALUE
            memcpy(row + i * b.size, fill, b.size)
        elif nans[i] and b.type == CXISTACK_FLOAT32:
            (<float *>row)[i] = NAN
        elif nans[i] and b.type == CXISTACK_FLOAT64:
            (<double *>row)[i] = NAN
    return CXISTACK_OK


cdef int _select(const Ranks *r, const Checked *a, const Checked *b, const void *fill, bint lower,
                 char *scratch) noexcept nogil:
    # A tile after another; `scratch` is laid out as select_scratch counts it.
    cdef uint32_t counts[CXI_RANKED]
    cdef uint32_t nans[CXI_RANKED]
    cdef Pass out
    cdef Py_ssize_t nbytes = CXI_RANKED * <Py_ssize_t>r.size, k
    cdef Py_ssize_t width
    cdef int64_t start = 0
    cdef double *low = <double *>scratch
    cdef double *high = low + CXI_RANKED
    cdef char *tile = <char *>(high + CXI_RANKED)
    cdef char *lows = tile + r.n * nbytes
    cdef char *highs = lows + r.wanted * nbytes
    cdef char *row
    cdef cxi_cast to_float = r.frames.p.rows.cast[CXISTACK_FLOAT64][CXISTACK_FLOAT32]
    _lay_results(&out, b)
    while start < r.frames.p.frame_pixels:
        width = min(<int64_t>CXI_RANKED, r.frames.p.frame_pixels - start)
        rank_tile(r, start, width, tile, lows, highs, counts, nans)
        for k in range(r.wanted):
            row = lows + k * nbytes
            if not lower:
                _as_doubles(r, a.type, row, low, width)
                _as_doubles(r, a.type, highs + k * nbytes, high, width)
                _between(low, high, counts, r.fractions[k], width)
                row = <char *>low
                if b.type == CXISTACK_FLOAT32:
                    row = <char *>high
                    to_float(<char *>low, row, width)
            if _mend(row, b, counts, nans, fill, width):
                return CXISTACK_NO_VALUE
            out.src = row - start * <int64_t>b.size
            out.dst = b.at + k * b.steps[0]
            run_pass(&out, start, start + width)
        start += width
    return CXISTACK_OK


cdef int select(const cxistack_pixels *src, const uint8_t *good, int64_t good_step,
                const double *fractions, size_t count, const void *fill,
                const cxistack_pixels *dst, int how, void *scratch,
                size_t scratch_bytes) noexcept nogil:
    cdef Checked a, b
    cdef Ranks r
    cdef size_t k, needed = select_scratch(src, count)
    cdef bint lower = how & CXISTACK_LOWER != 0
    cdef char *at = <char *>scratch
    if needed == 0 or not take_pixels(&a, src, True) or not take_pixels(&b, dst, False):
        return CXISTACK_BAD_ARGUMENT
    if not is_alike(&a, &b, 1, a.rank) or <size_t>b.shape[0] != count:
        return CXISTACK_BAD_ARGUMENT
    if fractions == NULL and count > 0:
        return CXISTACK_BAD_ARGUMENT
    for k in range(count):
        if not 0 <= fractions[k] <= 1:
            return CXISTACK_BAD_ARGUMENT
    if b.type != a.type if lower else b.type not in (CXISTACK_FLOAT32, CXISTACK_FLOAT64):
        return CXISTACK_BAD_ARGUMENT
    if b.pixels == 0:
        return CXISTACK_OK
    if scratch == NULL or scratch_bytes < needed:
        return CXISTACK_MORE
    at += LINE - <uintptr_t>at % LINE
    _as_source(&a, &r.frames)
    r.masked = good != NULL
    if r.masked:
        _as_flags(&a, good, good_step, &r.mask)
    r.how = &r.frames.p.rows.rank[a.type]
    r.n, r.size = a.shape[0], a.size
    r.fractions, r.wanted = fractions, count
    r.step = CXI_RANKED * <int64_t>r.size
    return _select(&r, &a, &b, fill, lower, at)
