"""Bins of pixels on the detector grid: their sums and means, cast in the same pass."""

cimport numpy as cnp
from libc.stdint cimport int64_t
from libc.string cimport memset

from cxistack.kernels.arrays cimport (
    OPAQUE, as_stack, is_checked, overlap, pixel_code, result_array, result_dtype, set_types
)
from cxistack.kernels.job cimport Job
from cxistack.kernels.loop cimport MAX_RANK, make_row, row_to_memory, set_rows, task_units
from cxistack.kernels.rows cimport (
    CXI_BIN_ROWS, CXI_BOOL, CXI_LANES, cxi_bin_scratch
)

import operator

import numpy as np

from cxistack.kernels import threads
from cxistack.kernels.offence import bin_error

cnp.import_array()


cdef void _add(const Bins *b, const char *src, Py_ssize_t bins, Py_ssize_t width,
               cxi_bin_scratch *scratch) noexcept nogil:
    # Adds, to so many totals, so many columns of each bin; bins x width is at most CXI_LANES.
    cdef Py_ssize_t row_step = b.src_step[b.rank]
    cdef Py_ssize_t step = b.src_step[b.rank + 1]
    cdef bint ready = b.pixels.swap == NULL and step == <Py_ssize_t>b.pixels.src_size
    cdef Py_ssize_t n = bins * width
    cdef Py_ssize_t most = CXI_BIN_ROWS if b.how.lane_size == 4 else b.n_ss
    cdef Py_ssize_t row = 0, end
    while row < b.n_ss:
        end = min(b.n_ss, row + most)
        memset(scratch.lanes, b.truth, n * b.how.lane_size)
        while row < end:
            if ready:
                b.how.add(src, scratch.lanes, n)
            else:
                make_row(&b.pixels, src, step, scratch.pixels, n, NULL)
                b.how.add(scratch.pixels, scratch.lanes, n)
            src += row_step
            row += 1
        b.how.fold(scratch.lanes, width, scratch.totals, bins)


cdef Py_ssize_t _row(const Bins *b, const char *src, char *dst,
                     cxi_bin_scratch *scratch) noexcept nogil:
    # One row of the result. Returns at which bin the piece that lost a value begins, or -1.
    cdef Py_ssize_t step = b.src_step[b.rank + 1]
    cdef Py_ssize_t dst_step = b.dst_step[b.rank + 1]
    cdef Py_ssize_t bins = max(1, CXI_LANES // b.n_fs)
    cdef Py_ssize_t i = 0, j, m
    cdef double count = <double>b.n_ss * <double>b.n_fs
    cdef int lost
    while i < b.columns:
        m = min(bins, b.columns - i)
        memset(scratch.totals, b.truth, m * b.how.total_size)
        if b.n_fs <= CXI_LANES:
            _add(b, src, m, b.n_fs, scratch)
        else:
            j = 0
            while j < b.n_fs:
                _add(b, src + j * step, 1, min(<Py_ssize_t>CXI_LANES, b.n_fs - j), scratch)
                j += CXI_LANES
        if b.mean:
            lost = b.how.mean(scratch.totals, count, scratch.results, m)
        else:
            lost = b.how.sum(scratch.totals, count, scratch.results, m)
        if lost and b.checked:
            return i
        j = row_to_memory(&b.results, scratch.results, b.results.src_size, dst, dst_step, m)
        if j < m:
            return i + j
        src += m * b.n_fs * step
        dst += m * dst_step
        i += m
    return -1


cdef int64_t bin_rows(const Bins *b, int64_t start, int64_t stop) noexcept nogil:
    # Rows start to stop. Returns the number of the bin at which a bad piece begins, or -1.
    cdef cxi_bin_scratch scratch
    cdef const char *src
    cdef char *dst
    cdef int64_t row = start, rest, at
    cdef Py_ssize_t bad
    cdef int axis
    while row < stop:
        at = row % b.rows
        rest = row // b.rows
        src = b.src + at * b.n_ss * b.src_step[b.rank]
        dst = b.dst + at * b.dst_step[b.rank]
        for axis in range(b.rank - 1, -1, -1):
            at = rest % b.shape[axis]
            rest //= b.shape[axis]
            src += at * b.src_step[axis]
            dst += at * b.dst_step[axis]
        bad = _row(b, src, dst, &scratch)
        if bad >= 0:
            return row * b.columns + bad
        row += 1
    return -1


cdef class BinJob(Job):
    """Bins cut into ranges of result rows; the arrays are the caller's to keep alive."""
    cdef Bins b
    cdef int64_t rows
    cdef int64_t task_rows

    cdef int run_task(self, Py_ssize_t k) noexcept nogil:
        cdef int64_t start = k * self.task_rows
        cdef int64_t bad = bin_rows(&self.b, start, min(start + self.task_rows, self.rows))
        if bad >= 0:
            self.report_bad(bad)
        return bad >= 0


cdef int64_t _execute(Bins *b, int64_t rows, object num_threads) except -2:
    cdef int64_t bad, task_rows
    cdef BinJob job
    if num_threads is not None:
        threads.count_threads(num_threads)
    if rows == 0 or b.columns == 0:
        return -1
    task_rows = task_units(rows, b.columns * b.n_fs * b.n_ss * <int64_t>b.pixels.src_size)
    if task_rows == rows:
        with nogil:
            bad = bin_rows(b, 0, rows)
        return bad
    job = BinJob((rows + task_rows - 1) // task_rows)
    job.b = b[0]
    job.rows = rows
    job.task_rows = task_rows
    threads.run(job, num_threads)
    bad_at = job.first_bad
    return -1 if bad_at is None else bad_at


cdef Py_ssize_t _width(object n) except -1:
    cdef Py_ssize_t width = operator.index(n)
    if width < 1:
        raise ValueError(f"A bin is 1 pixel wide or more; got {n}")
    return width


def bin(stack, n, mode="sum", *, dtype=None, out=None, casting="checked", num_threads=None):
    """Sum or average bins of pixels, and cast the result in the same pass.

    Parameters
    ----------
    stack : ndarray
        Frames of any rank; bins lie on the last two axes. Incomplete last bins are dropped.
    n : int or (int, int)
        Pixels along the slow and the fast axis of a bin.
    mode : {"sum", "mean"}
        Sums are int64, uint64 (of unsigned integers) or float64 (of floats), means are float64;
        a boolean stack is True, in either mode, where all pixels of the bin are.
    dtype : dtype, optional
        What sums or means are cast to.
    out, casting, num_threads
        As in `cast`. Under ``"unsafe"``, a sum that overflows 64 bits wraps.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array.

    Raises
    ------
    CastError
        A sum overflows 64 bits, or a result does not fit `dtype`. Its `offence` names the frame
        in `stack`, and the bin within that frame's result.
    ValueError
        The stack has fewer than two axes, or a bin no pixel.

    Notes
    -----
    Integer sums are exact, and a mean of integers is their exact sum, divided once. Floats are
    added as float64: the pixels of each column of a bin from its first row to its last, then the
    columns from the first to the last. The order does not depend on threads or processor.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.arange(15, dtype=np.uint16).reshape(3, 5)
    >>> bin(frame, 2)
    array([[12, 20]], dtype=uint64)
    >>> bin(frame, (3, 1), "mean", dtype="float32")
    array([[5., 6., 7., 8., 9.]], dtype=float32)
    """
    cdef Bins b
    cdef Py_ssize_t result_shape[MAX_RANK]
    cdef int64_t rows = 1, bad
    cdef int i, pixel, result_pixel, rank
    cdef cnp.ndarray src = as_stack(stack)
    cdef cnp.ndarray result
    cdef cnp.dtype target, source = src.dtype

    b.checked = is_checked(casting)
    if mode != "sum" and mode != "mean":
        raise ValueError(f'mode is "sum" or "mean", not {mode!r}')
    b.mean = mode == "mean"
    if isinstance(n, tuple):
        n_ss, n_fs = n
        b.n_ss, b.n_fs = _width(n_ss), _width(n_fs)
    else:
        b.n_ss = b.n_fs = _width(n)
    rank = cnp.PyArray_NDIM(src)
    if rank < 2:
        raise ValueError(f"Bins lie on the last two axes; this array has {rank} dimensions.")
    pixel = pixel_code(source)
    if pixel == OPAQUE:
        raise TypeError(f"There are no bins of {source}: only of booleans, integers of 8 to 64 "
                        "bits, float32 and float64.")

    set_types(&b.pixels, src, source)
    b.pixels.cast = NULL
    b.how = b.pixels.rows.bin[pixel]
    b.truth = pixel == CXI_BOOL
    result_pixel = b.how.mean_pixel if b.mean else b.how.sum_pixel
    target = result_dtype(_dtypes[result_pixel], dtype, out)
    if pixel_code(target) == OPAQUE:
        raise TypeError(f"There is no cast from {_dtypes[result_pixel]} to {target}")
    set_rows(&b.results, result_pixel, pixel_code(target), False)
    b.results.checked = b.checked

    b.rank = rank - 2
    for i in range(rank):
        b.shape[i] = result_shape[i] = cnp.PyArray_DIM(src, i)
        b.src_step[i] = cnp.PyArray_STRIDE(src, i)
        if i < b.rank:
            rows *= b.shape[i]
    b.rows = result_shape[rank - 2] = b.shape[rank - 2] // b.n_ss
    b.columns = result_shape[rank - 1] = b.shape[rank - 1] // b.n_fs
    rows *= b.rows
    result = result_array(out, rank, result_shape, target)
    if out is not None and overlap(src, result):
        src = src.copy()
        for i in range(rank):
            b.src_step[i] = cnp.PyArray_STRIDE(src, i)
    for i in range(rank):
        b.dst_step[i] = cnp.PyArray_STRIDE(result, i)
    b.src = cnp.PyArray_BYTES(src)
    b.dst = cnp.PyArray_BYTES(result)
    bad = _execute(&b, rows, num_threads)
    if bad >= 0:
        raise bin_error(bin, src, (b.n_ss, b.n_fs), mode, bad, target)
    return result


_dtypes = [np.dtype(_name) for _name in (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float32", "float64"
)]
