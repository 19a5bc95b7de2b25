"""The median of each pixel and its eight neighbours."""

cimport numpy as cnp
from libc.stdint cimport int64_t

from cxistack.kernels.arrays cimport (
    OPAQUE, as_stack, native, overlap, pixel_code, result_array, result_dtype, set_types
)
from cxistack.kernels.job cimport Job
from cxistack.kernels.loop cimport MAX_RANK, Pass, make_row, row_to_memory, task_units
from cxistack.kernels.stacks cimport frame_at, mask_beside, take_stack

from cxistack.kernels import threads

cnp.import_array()

cdef enum:
    COST = 8                # times as long as a pass that only moves pixels


# Three rows of a strip and one pixel more at each end; row k of the frame lies in place k % 3.
cdef struct Rows:
    char pixels[3][(STRIP + 2) * 8]
    char good[3][STRIP + 2]
    char result[STRIP * 8]


cdef void _take(const Pass *p, const char *src, Py_ssize_t step, Py_ssize_t columns,
                Py_ssize_t first, Py_ssize_t n, char *to) noexcept nogil:
    # Columns first - 1 to first + n of a row: where there is none, the nearest stands in.
    cdef Py_ssize_t size = p.src_size, i
    cdef Py_ssize_t begin = max(first - 1, 0), end = min(first + n + 1, columns)
    cdef char *at = to + (begin - first + 1) * size
    cdef char *last = to + (n + 1) * size
    cdef char row[(STRIP + 2) * 8]
    make_row(p, src + begin * step, step if end - begin > 1 else size, at, end - begin, row)
    if first == 0:
        for i in range(size):
            to[i] = at[i]
    if end == first + n:
        for i in range(size):
            last[i] = last[i - size]


cdef void _strip(const Medians *m, int64_t frame, Py_ssize_t start, Py_ssize_t stop,
                 Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    # Rows start to stop of n columns of a frame.
    cdef Rows rows
    cdef const char *near[3]
    cdef const char *flags[3]
    cdef const char *src = frame_at(&m.src, frame)
    cdef char *dst = frame_at(&m.dst, frame) + first * m.dst.step
    cdef char *to
    cdef Py_ssize_t height = m.src.rows, row, k, taken = max(start - 1, 0)
    cdef int i
    cdef bint is_direct = m.results.cast == NULL and m.dst.step == m.dst.size
    for row in range(start, stop):
        while taken < min(row + 2, height):
            i = taken % 3
            _take(&m.pixels, src + taken * m.src.row_step, m.src.step, m.src.columns, first, n,
                  rows.pixels[i])
            if m.good != NULL:
                _take(&m.truth, m.good + frame * m.good_frame + taken * m.src.columns, 1,
                      m.src.columns, first, n, rows.good[i])
            taken += 1
        for k in range(3):
            i = min(max(row + k - 1, 0), height - 1) % 3
            near[k] = rows.pixels[i]
            flags[k] = rows.good[i]
        to = dst + row * m.dst.row_step if is_direct else rows.result
        m.how.all(near, to, n)
        if m.good != NULL:
            m.how.good(near, flags, to, n)
        if not is_direct:
            row_to_memory(&m.results, rows.result, m.results.src_size, dst + row * m.dst.row_step,
                          m.dst.step, n)


cdef void median_rows(const Medians *m, int64_t frame, Py_ssize_t start,
                      Py_ssize_t stop) noexcept nogil:
    cdef Py_ssize_t first = 0
    while first < m.src.columns:
        _strip(m, frame, start, stop, first, min(<Py_ssize_t>STRIP, m.src.columns - first))
        first += STRIP


cdef class MedianJob(Job):
    """Medians cut into ranges of rows; the arrays are the caller's to keep alive."""
    cdef Medians m
    cdef int64_t rows
    cdef int64_t task_rows

    cdef int run_task(self, Py_ssize_t k) noexcept nogil:
        cdef int64_t row = k * self.task_rows
        cdef int64_t stop = min(row + self.task_rows, self.rows)
        cdef int64_t frame, begin, end
        while row < stop:
            frame = row // self.m.src.rows
            begin = row - frame * self.m.src.rows
            end = min(<int64_t>self.m.src.rows, begin + stop - row)
            median_rows(&self.m, frame, begin, end)
            row += end - begin
        return 0


def median3x3(frames, *, mask=None, out=None, num_threads=None):
    """Return the median of each pixel and its eight neighbours.

    Parameters
    ----------
    frames : ndarray
        Shape (..., ss, fs): booleans, integers of 8 to 64 bits, float32 or float64; any strides
        and byte order.
    mask : ndarray of bool, optional
        True for a good pixel; shape (ss, fs), or that of `frames`. The median is then that of the
        good ones among the nine, whether or not the one in the middle is good.
    out : ndarray, optional
        Where the result goes, of the type of `frames`.
    num_threads : int, optional
        As in `cast`.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array of the shape and type of `frames`.

    Raises
    ------
    TypeError
        Pixels of another type, or a mask that is not boolean.
    ValueError
        Fewer than two dimensions, or a mask or `out` of another shape.

    Notes
    -----
    At the edges, frames are reflected about the outer side of their last pixels, as by
    ``scipy.ndimage.median_filter(frame, 3, mode="reflect")``, whose result this is; so is the
    mask. Beyond that function:

    - Integers of 64 bits are compared as such, not as doubles.
    - A NaN among the nine (with a mask: among the good ones) makes NaN, as in `numpy.median`.
    - Of an even number of good pixels, the result is the mean of the two middle ones where pixels
      are floats, and the lower of the two where they are not.
    - A pixel without a good one among the nine keeps its own value.

    The median of nine is found by comparing sorted columns, after "Median Finding on a 3 x 3
    Grid", Graphics Gems (1990), 171-175.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.array([[1, 2, 3], [4, 900, 6], [7, 8, 9]], dtype=np.uint16)
    >>> median3x3(frame)
    array([[2, 3, 3],
           [4, 6, 6],
           [7, 8, 9]], dtype=uint16)
    >>> median3x3(frame, mask=frame < 900)[1, 1]
    np.uint16(4)
    """
    cdef Medians m
    cdef Py_ssize_t shape[MAX_RANK]
    cdef cnp.ndarray src = as_stack(frames)
    cdef cnp.ndarray result, flags
    cdef cnp.dtype target, truth
    cdef int i, pixel = pixel_code(src.dtype), rank = cnp.PyArray_NDIM(src)
    cdef int64_t rows
    cdef MedianJob job

    if pixel == OPAQUE:
        raise TypeError(f"There are no medians of {src.dtype}: only of booleans, integers of 8 to "
                        "64 bits, float32 and float64.")
    take_stack(&m.src, src, "Squares of 3 x 3 pixels")
    if num_threads is not None:
        threads.count_threads(num_threads)
    target = native(src.dtype)
    if result_dtype(target, None, out) != target:
        raise TypeError(f"out is of type {out.dtype}, but medians of {target} are {target}; "
                        "cast() changes the type.")
    for i in range(rank):
        shape[i] = cnp.PyArray_DIM(src, i)
    m.good = NULL
    m.good_frame = 0
    if mask is not None:
        flags = mask_beside(mask, src)
        truth = flags.dtype
        set_types(&m.truth, flags, truth)
        m.good = cnp.PyArray_BYTES(flags)
        if cnp.PyArray_NDIM(flags) > 2:
            m.good_frame = m.src.rows * m.src.columns
    result = result_array(out, rank, shape, target)
    if out is not None and overlap(src, result):
        src = src.copy()
        take_stack(&m.src, src, "")
    take_stack(&m.dst, result, "")
    if cnp.PyArray_SIZE(result) == 0:
        return result
    set_types(&m.pixels, src, src.dtype)
    set_types(&m.results, result, target)
    m.pixels.cast = NULL                # booleans are read as truth by what comes next
    m.results.cast = NULL
    m.how = m.pixels.rows.median[pixel]
    rows = m.src.frames * m.src.rows
    cdef int64_t task_rows = task_units(rows, m.src.columns * m.src.size * COST)
    job = MedianJob((rows + task_rows - 1) // task_rows)
    job.m = m
    job.rows = rows
    job.task_rows = task_rows
    threads.run(job, 1 if job.tasks == 1 else num_threads)
    return result
