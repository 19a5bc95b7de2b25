"""Sums, squares, means, extremes and counts over frames, pixel by pixel, all in one pass."""

cimport numpy as cnp
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy, memset

from cxistack.kernels.arrays cimport pixel_code
from cxistack.kernels.job cimport Job
from cxistack.kernels.loop cimport pixel_size, task_units
from cxistack.kernels.rows cimport (
    CXI_INT32, CXI_MOMENT_FRAMES, CXI_MOMENT_ROWS, CXI_TILE, CXI_UINT32, cxi_exchange
)
from cxistack.kernels.sources cimport as_frames, set_mask, set_source, tile_of

import numpy as np

from cxistack.kernels import threads

cnp.import_array()


# A state of one tile: the array's own piece, or lanes in L1 that are folded into it at the end.
cdef struct Part:
    char *at
    size_t size


# A tile of pixels at work, all of it in L1 and L2.
cdef struct Tile:
    int64_t start
    Py_ssize_t n
    Part parts[10]
    int part_count
    char *sums
    char *squares
    uint32_t *reached[2]
    double counts[1024]
    uint32_t lanes[4][1024]
    char rows[4][8192]
    char good[4][1024]
    char saved[10][8192]            # of the pixels that are bad
    int bad[1024]


cdef void _part(Tile *t, char *at, size_t size) noexcept nogil:
    t.parts[t.part_count].at = at
    t.parts[t.part_count].size = size
    t.part_count += 1


cdef char *_lanes(Tile *t, char *state, int lane, int number) noexcept nogil:
    # Where a sum is added to: lanes of 32 bits, or the state itself.
    if pixel_size(lane) == 8:
        _part(t, state + t.start * 8, 8)
        return state + t.start * 8
    memset(t.lanes[number], 0, t.n * 4)
    _part(t, <char *>t.lanes[number], 4)
    return <char *>t.lanes[number]


cdef void _begin(const Sums *s, Tile *t) noexcept nogil:
    # What is kept of the tile, for as many frames as lanes can hold.
    cdef Py_ssize_t i
    t.part_count = 0
    if s.total != NULL:
        t.sums = _lanes(t, s.total, s.how.sum_lane, 0)
    if s.rest != NULL:
        _part(t, <char *>(s.rest + t.start), 8)
    if s.squares != NULL:
        t.squares = _lanes(t, s.squares, s.how.square_lane, 1)
    if s.mean != NULL:
        _part(t, <char *>(s.mean + t.start), 8)
        _part(t, <char *>(s.spread + t.start), 8)
        _part(t, <char *>t.counts, 8)
    if s.lowest != NULL:
        _part(t, s.lowest + t.start * s.size, s.size)
    if s.highest != NULL:
        _part(t, s.highest + t.start * s.size, s.size)
    for i in range(2):
        if s.reached[i] != NULL:
            t.reached[i] = <uint32_t *>_lanes(t, NULL, CXI_UINT32, 2 + i)


cdef void _fold(char *state, const char *lanes, bint signed, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    if signed:
        for i in range(n):
            (<int64_t *>state)[i] += (<const int *>lanes)[i]
    else:
        for i in range(n):
            (<int64_t *>state)[i] += (<const uint32_t *>lanes)[i]


cdef void _end(const Sums *s, Tile *t, Py_ssize_t frames) noexcept nogil:
    cdef Py_ssize_t i
    if s.total != NULL and pixel_size(s.how.sum_lane) == 4:
        _fold(s.total + t.start * 8, t.sums, s.how.sum_lane == CXI_INT32, t.n)
    if s.squares != NULL and pixel_size(s.how.square_lane) == 4:
        _fold(s.squares + t.start * 8, t.squares, False, t.n)
    for i in range(2):
        if s.reached[i] != NULL:
            _fold(<char *>(s.reached[i] + t.start), <const char *>t.reached[i], False, t.n)
    if s.count != NULL:
        for i in range(t.n):
            s.count[t.start + i] += frames


cdef Py_ssize_t _add(const Sums *s, const char **rows, Py_ssize_t k, Tile *t) noexcept nogil:
    # So many frames, all pixels of the tile. Returns the pixel whose sum wraps, or n.
    cdef Py_ssize_t bad = t.n
    cdef int i
    if s.squares != NULL:
        s.how.squares(rows, k, t.sums, t.squares, t.n)
    elif s.total != NULL:
        bad = s.how.sum(rows, k, t.sums, s.rest + t.start, t.n)
    if s.mean != NULL:
        s.how.spread(rows, k, t.counts, s.mean + t.start, s.spread + t.start, t.n)
    if s.lowest != NULL:
        s.how.lowest(rows, k, s.lowest + t.start * s.size, t.n)
    if s.highest != NULL:
        s.how.highest(rows, k, s.highest + t.start * s.size, t.n)
    for i in range(2):
        if s.reached[i] != NULL:
            s.how.reached(rows, k, s.limits[i], t.reached[i], t.n)
    return bad


cdef Py_ssize_t _list_bad(const char *good, Tile *t) noexcept nogil:
    cdef Py_ssize_t count = 0
    cdef int i
    if memchr(good, 0, t.n) == NULL:
        return 0
    for i in range(<int>t.n):
        t.bad[count] = i
        count += good[i] == 0
    return count


cdef void _save(Tile *t, Py_ssize_t bad, bint back) noexcept nogil:
    # What the bad pixels had: the kernels know no masks, so these get it back.
    cdef int part
    for part in range(t.part_count):
        cxi_exchange(t.parts[part].at, t.saved[part], t.bad, bad, t.parts[part].size, back)


cdef Py_ssize_t _add_good(const Sums *s, const char **rows, Py_ssize_t k, Py_ssize_t bad,
                          Tile *t) noexcept nogil:
    # The same without the bad pixels that are listed.
    cdef Py_ssize_t wrapped, f, i
    if s.count != NULL:
        for i in range(bad):
            s.count[t.start + t.bad[i]] -= k
    if bad == t.n:
        return t.n
    if bad > 0:
        _save(t, bad, False)
        if s.size == 8 and s.rest == NULL:
            # Nothing that is bad may wrap.
            for f in range(k):
                if rows[f] != t.rows[f]:
                    memcpy(t.rows[f], rows[f], t.n * 8)
                    rows[f] = t.rows[f]
                for i in range(bad):
                    (<uint64_t *>t.rows[f])[t.bad[i]] = 0
    wrapped = _add(s, rows, k, t)
    if bad > 0:
        _save(t, bad, True)
    return wrapped


cdef Py_ssize_t _frames(const Sums *s, Py_ssize_t first, Py_ssize_t last,
                        Tile *t) noexcept nogil:
    # Frames first to last of one tile. Returns the pixel whose sum wraps, or n.
    cdef const char *rows[4]
    cdef Py_ssize_t f, k, i, wrapped
    cdef Py_ssize_t bad = 0
    cdef bint each = s.masked and s.mask.p.src_frame != 0
    if s.masked and not each:
        bad = _list_bad(tile_of(&s.mask, 0, t.start, t.n, t.good[0]), t)
    f = first
    while f < last:
        k = min(<Py_ssize_t>CXI_MOMENT_ROWS, last - f)
        if each:
            bad = _list_bad(tile_of(&s.mask, f, t.start, t.n, t.good[0]), t)
            i = 1
            while bad == 0 and i < k:
                if memchr(tile_of(&s.mask, f + i, t.start, t.n, t.good[i]), 0, t.n) != NULL:
                    break
                i += 1
            k = 1 if bad > 0 else i
        for i in range(k):
            rows[i] = tile_of(&s.frames, f + i, t.start, t.n, t.rows[i])
        wrapped = _add_good(s, rows, k, bad, t)
        if wrapped < t.n:
            return wrapped
        f += k
    return t.n


cdef int64_t sum_up(const Sums *s, int64_t start, int64_t stop) noexcept nogil:
    cdef Tile t
    cdef Py_ssize_t f, last, wrapped, i
    while start < stop:
        t.start = start
        t.n = min(<int64_t>CXI_TILE, stop - start)
        if s.mean != NULL:
            for i in range(t.n):
                t.counts[i] = <double>(s.before if s.count == NULL else s.count[start + i])
        f = 0
        while f < s.n:
            last = min(s.n, f + CXI_MOMENT_FRAMES)
            _begin(s, &t)
            wrapped = _frames(s, f, last, &t)
            if wrapped < t.n:
                return start + wrapped
            _end(s, &t, last - f)
            f = last
        start += t.n
    return -1


cdef class MomentJob(Job):
    """Frames' pixels cut into ranges; the arrays are the caller's to keep alive."""
    cdef Sums s
    cdef int64_t task_pixels

    cdef int run_task(self, Py_ssize_t k) noexcept nogil:
        cdef int64_t start = k * self.task_pixels
        cdef int64_t bad = sum_up(&self.s, start, min(start + self.task_pixels, self.s.pixels))
        if bad >= 0:
            self.report_bad(bad)
        return bad >= 0


cdef char *_state(dict states, str name, object dtype, Py_ssize_t size) except? NULL:
    cdef cnp.ndarray array
    value = states.get(name)
    if value is None:
        return NULL
    array = value
    if (array.dtype != dtype or cnp.PyArray_SIZE(array) != size
            or not cnp.PyArray_IS_C_CONTIGUOUS(array) or not cnp.PyArray_ISWRITEABLE(array)):
        raise ValueError(f"The state {name} is no array of {size} values of type {dtype}")
    return cnp.PyArray_BYTES(array)


cdef int set_sums(Sums *s, cnp.ndarray frames, cnp.dtype pixel, dict states, before,
                  mask) except -1:
    cdef int i
    cdef Py_ssize_t size
    set_source(&s.frames, frames, pixel)
    s.masked = set_mask(&s.mask, mask, frames)
    s.how = &s.frames.p.rows.moment[pixel_code(pixel)]
    s.n = cnp.PyArray_DIM(frames, 0)
    s.size = pixel.itemsize
    s.before = before
    s.pixels = size = s.frames.p.frame_pixels
    wide = "f8" if pixel.kind == c"f" else "i8" if pixel.kind == c"i" else "u8"
    s.total = _state(states, "total", wide, size)
    s.rest = <double *>_state(states, "rest", "f8", size)
    s.squares = _state(states, "squares", "u8", size)
    s.mean = <double *>_state(states, "mean", "f8", size)
    s.spread = <double *>_state(states, "spread", "f8", size)
    s.lowest = _state(states, "lowest", pixel, size)
    s.highest = _state(states, "highest", pixel, size)
    s.count = <int64_t *>_state(states, "count", "i8", size)
    for i, name in enumerate(("over", "saturated")):
        s.reached[i] = <int64_t *>_state(states, name, "i8", size)
        limit = states.get(name + "_limit")
        if limit is None:
            s.reached[i] = NULL         # no value of this type reaches it
        elif s.reached[i] != NULL:
            memcpy(s.limits[i], cnp.PyArray_BYTES(limit), s.size)
    return 0


def accumulate(frames, dict states, *, dtype, before=0, mask=None, num_threads=None):
    """Bring frames into states; return the number of the pixel whose sum would wrap, or None.

    `states` may hold arrays named total, rest, squares, mean, spread, lowest, highest, over,
    saturated and count, and the limits as arrays of one pixel: over_limit, saturated_limit.
    """
    cdef Sums s
    cdef MomentJob job
    cdef cnp.ndarray array = as_frames(frames)
    cdef int64_t tile, tiles, bad

    set_sums(&s, array, np.dtype(dtype), states, before, mask)
    if num_threads is not None:
        threads.count_threads(num_threads)
    if s.n == 0 or s.pixels == 0:
        return None
    tiles = (s.pixels + CXI_TILE - 1) // CXI_TILE
    tile = task_units(tiles, <int64_t>CXI_TILE * s.n * s.size)
    if tile == tiles:
        with nogil:
            bad = sum_up(&s, 0, s.pixels)
        return None if bad < 0 else bad
    job = MomentJob((tiles + tile - 1) // tile)
    job.s = s
    job.task_pixels = tile * CXI_TILE
    threads.run(job, num_threads)
    return job.first_bad
