"""Where pixels are above a threshold, and what they are."""

cimport numpy as cnp
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from cxistack.kernels.arrays cimport OPAQUE, as_stack, native, pixel_code, set_types
from cxistack.kernels.hits cimport Found, Hits
from cxistack.kernels.job cimport Job
from cxistack.kernels.loop cimport Pass, make_row, task_units
from cxistack.kernels.rows cimport cxi_above_row
from cxistack.kernels.stacks cimport Stack, frame_at, join_rows, mask_beside, take_stack

import numpy as np

from cxistack.kernels import threads
from cxistack.kernels.threshold import least_above

cnp.import_array()

cdef enum:
    PIECE = 1024            # pixels that rest in L1, where they have to be brought in order
    LONG_PIECE = 8192       # and where they have not
    SHARE = 8               # of a task's pixels that there is room for at first: one in so many


cdef class AboveJob(Job):
    """Ranges of pixels, numbered through all frames; the arrays are the caller's to keep alive."""
    cdef Hits hits
    cdef Stack src
    cdef Pass pixels
    cdef cxi_above_row row
    cdef char[8] least
    cdef const char *good
    cdef Py_ssize_t good_frame
    cdef int64_t task_pixels
    cdef bint is_plain

    cdef int run_task(self, Py_ssize_t k) noexcept nogil:
        cdef int64_t size = self.src.rows * self.src.columns
        cdef int64_t at = k * self.task_pixels
        cdef int64_t stop = min(at + self.task_pixels, size * self.src.frames)
        cdef int64_t frame, first, end
        self.hits.reserve(k, (stop - at) // SHARE)
        while at < stop:
            frame = at // size
            first = at - frame * size
            end = min(size, first + stop - at)
            if not self._frame(k, frame, first, end):
                self.report_bad(k)
                return 1
            at += end - first
        self.hits.trim(k)
        return 0

    cdef bint _frame(self, Py_ssize_t k, int64_t frame, int64_t at, int64_t stop) noexcept nogil:
        # Pixels at to stop of a frame; False: there is no memory.
        cdef char row[PIECE * 8]
        cdef Found *found = &self.hits.found[k]
        cdef const char *base = frame_at(&self.src, frame)
        cdef const char *good = NULL
        cdef const char *src
        cdef size_t n, i, count
        cdef int64_t y, x, most = LONG_PIECE if self.is_plain else PIECE
        while at < stop:
            y = at // self.src.columns
            x = at - y * self.src.columns
            n = min(min(stop - at, self.src.columns - x), most)
            src = base + y * self.src.row_step + x * self.src.step
            if not self.is_plain:
                make_row(&self.pixels, src, self.src.step, row, n, NULL)
                src = row
            if self.good != NULL:
                good = self.good + frame * self.good_frame + at
            if not self.hits.reserve(k, n):
                return False
            count = self.row(src, good, n, self.least, at, found.pixels + found.count,
                             found.values + found.count * self.src.size)
            for i in range(found.count, found.count + count):
                found.frames[i] = frame
            found.count += count
            at += n
        return True


def above(frames, threshold, *, mask=None, num_threads=None):
    """Find the pixels above a threshold.

    Parameters
    ----------
    frames : ndarray
        Shape (..., ss, fs): booleans, integers of 8 to 64 bits, float32 or float64; any strides
        and byte order.
    threshold : float
        Values greater than this are found; a value equal to it is not.
    mask : ndarray of bool, optional
        True for a good pixel; (ss, fs), or the shape of `frames`. Others are not found.
    num_threads : int, optional
        As in `cast`.

    Returns
    -------
    frame : ndarray of int64
        Of each pixel found, in the order of frames and pixels, the number of its frame; the axes
        before the last two are counted through, in C order.
    pixel : ndarray of int64
        Its place in the frame: ``ss * fs_size + fs``.
    value : ndarray
        Its value, of the type of `frames`.

    Raises
    ------
    TypeError
        Pixels of another type, a threshold that is no real number, or a mask that is not boolean.
    ValueError
        Fewer than two dimensions, a mask of another shape, or a threshold that is NaN.
    MemoryError
        There is no memory for so many pixels.

    Notes
    -----
    It is ``numpy.nonzero((frames > threshold) & mask)`` of each flattened frame, with the values.
    Integers compare exactly with any number; floats with the threshold rounded to their type, as
    NumPy does it. NaN is not above anything. The rule, greater and not equal, is that of
    bslz4_to_sparse.

    Examples
    --------
    >>> import numpy as np
    >>> frames = np.array([[[0, 7], [1, 3]], [[5, 0], [0, 2]]], dtype=np.uint16)
    >>> frame, pixel, value = above(frames, 2)
    >>> frame, pixel, value
    (array([0, 0, 1]), array([1, 3, 0]), array([7, 3, 5], dtype=uint16))
    """
    cdef AboveJob job
    cdef Stack src
    cdef Pass pixels
    cdef cnp.ndarray stack = as_stack(frames)
    cdef cnp.ndarray flags = None
    cdef int64_t size, task
    cdef bytes low
    cdef int pixel = pixel_code(stack.dtype)
    if pixel == OPAQUE:
        raise TypeError(f"Pixels of {stack.dtype} are not compared here: only booleans, integers "
                        "of 8 to 64 bits, float32 and float64.")
    take_stack(&src, stack, "Frames")
    if num_threads is not None:
        threads.count_threads(num_threads)
    dtype = native(stack.dtype)
    least = least_above(threshold, dtype)
    if mask is not None:
        flags = mask_beside(mask, stack)
    size = src.rows * src.columns
    if least is None or size == 0 or src.frames == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, dtype)
    low = least.tobytes()
    join_rows(&src, NULL)
    set_types(&pixels, stack, stack.dtype)
    pixels.cast = NULL                  # booleans are read as truth by what comes next
    task = task_units(size * src.frames, src.size)
    job = AboveJob((size * src.frames + task - 1) // task)
    job.hits = Hits(job.tasks, src.size, True)
    job.src, job.pixels = src, pixels
    job.row = pixels.rows.above[pixel]
    memcpy(job.least, <const char *>low, len(low))
    job.good = cnp.PyArray_BYTES(flags) if flags is not None else NULL
    job.good_frame = size if flags is not None and cnp.PyArray_NDIM(flags) > 2 else 0
    job.task_pixels = task
    job.is_plain = pixels.swap == NULL and src.step == src.size
    threads.run(job, 1 if job.tasks == 1 else num_threads)
    if job.first_bad is not None:
        raise MemoryError("There is no memory for so many pixels above the threshold: raise it, "
                          "or take fewer frames")
    order = np.arange(job.tasks)
    return job.hits.joined(order, np.full(job.tasks, -1), dtype, num_threads)
