"""One pass over an array of any layout: pick, swap, cast, and store or stream."""

from libc.stdint cimport INT64_MAX, int64_t, uint64_t
from libc.string cimport memcpy

from cxistack.kernels.job cimport Job
from cxistack.kernels.levels cimport current_rows
from cxistack.kernels.rows cimport (
    CXI_BOOL, CXI_PIXELS, CXI_SINK, CXI_SIZES, cxi_fence, cxi_pick_any, cxi_range, cxi_scatter,
    cxi_sink, cxi_sink_close, cxi_sink_dst, cxi_sink_next, cxi_sink_open, cxi_sink_pass,
    cxi_sink_put, cxi_sink_room
)

from cxistack.kernels import threads

cdef enum:
    SCRATCH = 8192              # bytes a row may rest in between two stages: well inside L1
    TASK_BYTES = 1 << 20        # of result: long against the counter, short against a signal
    STREAM_FROM_SIZE = 2048     # bytes of one plain row from which it skips the sink's buffer

# Measured: below this a thread takes longer to start than it saves, and a result that was
# streamed takes longer to be read again than it saved.
cdef Py_ssize_t _thread_bytes = 16 << 20
cdef Py_ssize_t _stream_bytes = 16 << 20
cdef Py_ssize_t _task_bytes = TASK_BYTES


def _tune(thread_bytes=None, stream_bytes=None, task_bytes=None):
    """Set the sizes at which strategies change; return those before. For tests."""
    global _thread_bytes, _stream_bytes, _task_bytes
    before = {
        "thread_bytes": _thread_bytes, "stream_bytes": _stream_bytes, "task_bytes": _task_bytes
    }
    if thread_bytes is not None:
        _thread_bytes = thread_bytes
    if stream_bytes is not None:
        _stream_bytes = stream_bytes
    if task_bytes is not None:
        _task_bytes = task_bytes
    return before


cdef int size_class(size_t size) noexcept nogil:
    cdef int number
    for number in range(CXI_SIZES):
        if size == <size_t>1 << number:
            return number
    return -1


cdef size_t *_pixel_sizes = [1, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8]


cdef size_t pixel_size(int pixel) noexcept nogil:
    return _pixel_sizes[pixel] if 0 <= pixel < CXI_PIXELS else 0


cdef void set_rows(Pass *p, int src_pixel, int dst_pixel, bint swapped) noexcept nogil:
    p.rows = current_rows()
    p.src_size = _pixel_sizes[src_pixel]
    p.dst_size = _pixel_sizes[dst_pixel]
    p.good = NULL
    p.within = NULL
    p.both = False
    cdef int size = size_class(p.src_size)
    p.pick = p.rows.pick[size]
    p.swap = p.rows.swap[size] if swapped else NULL
    # Booleans are cast to themselves: what is stored is 0 or 1, whatever the bytes were.
    if src_pixel == dst_pixel and src_pixel != CXI_BOOL:
        p.cast = NULL
    else:
        p.cast = p.rows.cast[src_pixel][dst_pixel]


cdef void set_good(Pass *p, uint64_t bits) noexcept nogil:
    # After set_rows for an integer or boolean source and a boolean target.
    p.cast = NULL
    p.good = p.rows.good[size_class(p.src_size)]
    p.bits = bits


cdef void set_within(Pass *p, int src_pixel, const cxi_range *ranges, size_t count,
                     bint both) noexcept nogil:
    # After set_rows for a boolean target. The ranges are the caller's to keep.
    p.cast = NULL
    p.within = p.rows.within[src_pixel]
    p.ranges = ranges
    p.range_count = count
    p.both = both


cdef bint is_moved(const Pass *p) noexcept nogil:
    return p.cast == NULL and p.good == NULL and p.within == NULL


cdef void set_opaque(Pass *p, size_t size) noexcept nogil:
    p.rows = current_rows()
    p.src_size = p.dst_size = size
    cdef int number = size_class(size)
    p.pick = p.rows.pick[number] if number >= 0 else NULL
    p.swap = NULL
    p.cast = NULL
    p.good = NULL
    p.within = NULL
    p.both = False


cdef void set_axes(Pass *p, int rank, const Py_ssize_t *shape, const Py_ssize_t *src_step,
                   const Py_ssize_t *dst_step) noexcept nogil:
    cdef int i, k = -1
    cdef Py_ssize_t pixels = 1
    for i in range(rank):
        pixels *= shape[i]
        if shape[i] == 1:
            continue
        if (k >= 0 and p.src_step[k] == src_step[i] * shape[i]
                and p.dst_step[k] == dst_step[i] * shape[i]):
            p.shape[k] *= shape[i]
        else:
            k += 1
            p.shape[k] = shape[i]
        p.src_step[k] = src_step[i]
        p.dst_step[k] = dst_step[i]
    if k < 0:
        k = 0
        p.shape[0] = 1
        p.src_step[0] = p.src_size
        p.dst_step[0] = p.dst_size
    p.rank = k + 1
    p.frame_pixels = pixels


cdef int make_row(const Pass *p, const char *src, Py_ssize_t step, char *dst, size_t n,
                  char *scratch) noexcept nogil:
    # Each stage reads the one before it from L1; the last stage writes dst.
    cdef char *stage = dst if is_moved(p) else scratch
    if <size_t>step != p.src_size:
        if p.pick != NULL:
            p.pick(src, step, stage, n)
        else:
            cxi_pick_any(src, step, stage, n, p.src_size)
        src = stage
    if p.swap != NULL:
        p.swap(src, stage, n)
        src = stage
    if p.cast != NULL:
        return p.cast(src, dst, n)
    if p.good != NULL:
        p.good(src, dst, n, p.bits)
        return 0
    if p.within != NULL:
        p.within(src, dst, n, p.ranges, p.range_count, p.both)
        return 0
    if src != dst:
        memcpy(dst, src, n * p.src_size)
    return 0


cdef size_t row_to_memory(const Pass *p, const char *src, Py_ssize_t step, char *dst,
                          Py_ssize_t dst_step, size_t n) noexcept nogil:
    cdef char scratch[SCRATCH]
    cdef char gaps[SCRATCH]
    cdef bint dense = <size_t>dst_step == p.dst_size or n == 1
    cdef size_t most = n
    cdef size_t i = 0, m
    cdef int lost
    if n == 1:
        step = p.src_size
    if not is_moved(p) and (<size_t>step != p.src_size or p.swap != NULL):
        most = SCRATCH // p.src_size
    if not dense and most > SCRATCH // p.dst_size:
        # An opaque pixel may be larger than the buffer: then it goes alone, and needs none.
        most = SCRATCH // p.dst_size
        if most == 0:
            for i in range(n):
                memcpy(dst + <Py_ssize_t>i * dst_step, src + <Py_ssize_t>i * step, p.dst_size)
            return n
    while i < n:
        m = min(most, n - i)
        if dense:
            lost = make_row(p, src, step, dst, m, scratch)
        else:
            if p.both:
                cxi_pick_any(dst, dst_step, gaps, m, p.dst_size)
            lost = make_row(p, src, step, gaps, m, scratch)
            cxi_scatter(gaps, dst, dst_step, m, p.dst_size)
        if lost and p.checked:
            return i
        src += <Py_ssize_t>m * step
        dst += <Py_ssize_t>m * dst_step
        i += m
    return n


cdef size_t _row_to_sink(const Pass *p, const char *src, Py_ssize_t step, cxi_sink *sink,
                         size_t n) noexcept nogil:
    cdef char scratch[SCRATCH]
    cdef bint plain = p.swap == NULL and <size_t>step == p.src_size
    cdef size_t i = 0, m
    cdef size_t most = n if plain else SCRATCH // p.src_size
    if plain and is_moved(p) and n * p.src_size >= STREAM_FROM_SIZE:
        cxi_sink_pass(sink, src, n * p.src_size)
        return n
    while i < n:
        m = min(min(most, n - i), cxi_sink_room(sink) // p.dst_size)
        if make_row(p, src, step, cxi_sink_next(sink), m, scratch) and p.checked:
            return i
        cxi_sink_put(sink, m * p.dst_size, p.dst_size)
        src += <Py_ssize_t>m * step
        i += m
    return n


cdef int64_t _frame(const Pass *p, const char *src, char *dst, int64_t start, int64_t stop,
                    cxi_sink *sink) noexcept nogil:
    # Pixels start to stop of one frame, row by row.
    cdef Py_ssize_t at[MAX_RANK]
    cdef int last = p.rank - 1
    cdef int axis
    cdef int64_t rest = start
    cdef size_t n, m
    for axis in range(last, -1, -1):
        at[axis] = rest % p.shape[axis]
        rest //= p.shape[axis]
        src += at[axis] * p.src_step[axis]
        dst += at[axis] * p.dst_step[axis]
    while start < stop:
        n = min(p.shape[last] - at[last], stop - start)
        if sink != NULL:
            m = _row_to_sink(p, src, p.src_step[last], sink, n)
        else:
            m = row_to_memory(p, src, p.src_step[last], dst, p.dst_step[last], n)
        if m < n:
            return start + m
        start += n
        src -= at[last] * p.src_step[last]
        dst -= at[last] * p.dst_step[last]
        at[last] = 0
        axis = last - 1
        while axis >= 0:
            at[axis] += 1
            src += p.src_step[axis]
            dst += p.dst_step[axis]
            if at[axis] < p.shape[axis]:
                break
            src -= at[axis] * p.src_step[axis]
            dst -= at[axis] * p.dst_step[axis]
            at[axis] = 0
            axis -= 1
    return -1


cdef int64_t _run_frames(const Pass *p, int64_t start, int64_t stop,
                         cxi_sink *sink) noexcept nogil:
    cdef const char *src
    cdef char *dst
    cdef int64_t k, first, end, bad
    while start < stop:
        k = start // p.frame_pixels
        first = start - k * p.frame_pixels
        end = min(<int64_t>p.frame_pixels, first + stop - start)
        src = p.src + (p.index[k] if p.index != NULL else k) * p.src_frame
        dst = p.dst + (p.at[k] if p.at != NULL else k) * p.dst_frame
        if sink != NULL and cxi_sink_dst(sink) != dst + first * <int64_t>p.dst_size:
            cxi_sink_close(sink)
            cxi_sink_open(sink, dst + first * <int64_t>p.dst_size)
        bad = _frame(p, src, dst, first, end, sink)
        if bad >= 0:
            return k * p.frame_pixels + bad
        start += end - first
    return -1


cdef int64_t _stream_frames(const Pass *p, int64_t start, int64_t stop) noexcept nogil:
    cdef cxi_sink sink
    cdef int64_t bad
    sink.stream = p.rows.stream
    cxi_sink_open(&sink, p.dst)
    bad = _run_frames(p, start, stop, &sink)
    cxi_sink_close(&sink)
    cxi_fence()
    return bad


cdef int64_t run_pass(const Pass *p, int64_t start, int64_t stop) noexcept nogil:
    if p.stream:
        return _stream_frames(p, start, stop)
    return _run_frames(p, start, stop, NULL)


cdef int64_t task_units(int64_t units, int64_t unit_bytes) noexcept nogil:
    if units * unit_bytes < _thread_bytes:
        return units
    return min(units, max(1, _task_bytes // max(1, unit_bytes)))


cdef bint is_streamed(int64_t nbytes) noexcept nogil:
    return nbytes >= _stream_bytes


cdef class PassJob(Job):
    """A pass cut into ranges of result pixels; the arrays are the caller's to keep alive."""

    cdef int run_task(self, Py_ssize_t k) noexcept nogil:
        cdef int64_t start = k * self.task_pixels
        cdef int64_t bad
        bad = run_pass(&self.p, start, min(start + self.task_pixels, self.pixels))
        if bad >= 0:
            self.report_bad(bad)
        return bad >= 0


cdef int64_t execute(Pass *p, object num_threads) except -2:
    cdef int64_t pixels, size, bad
    cdef PassJob job
    if num_threads is not None:
        threads.count_threads(num_threads)
    if p.frames == 0 or p.frame_pixels == 0:
        return -1
    # Indices may repeat, and strides be zero: arrays in memory do not bound the product.
    if p.frames > INT64_MAX // <int64_t>p.dst_size // <int64_t>p.frame_pixels:
        raise ValueError("The result is larger than memory can be addressed")
    pixels = <int64_t>p.frames * p.frame_pixels
    size = pixels * <int64_t>p.dst_size
    p.stream = p.stream and not p.both and size >= _stream_bytes and p.dst_size <= CXI_SINK // 8
    cdef int64_t task_pixels = task_units(pixels, p.dst_size)
    if task_pixels == pixels:
        with nogil:
            bad = run_pass(p, 0, pixels)
        return bad
    job = PassJob((pixels + task_pixels - 1) // task_pixels)
    job.p = p[0]
    job.pixels = pixels
    job.task_pixels = task_pixels
    threads.run(job, num_threads)
    bad_at = job.first_bad
    return -1 if bad_at is None else bad_at
