"""Frames without their dark signal, over their whitefield, in one pass."""

cimport numpy as cnp
from libc.math cimport isfinite
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from cxistack.kernels.arrays cimport (
    OPAQUE, as_stack, overlap, pixel_code, result_array, result_dtype
)
from cxistack.kernels.job cimport Job
from cxistack.kernels.loop cimport (
    MAX_RANK, is_moved, is_streamed, make_row, row_to_memory, set_rows, task_units
)
from cxistack.kernels.rows cimport (
    CXI_FLOAT32, CXI_FLOAT64, cxi_fence, cxi_sink, cxi_sink_close,
    cxi_sink_next, cxi_sink_open, cxi_sink_put, cxi_sink_room
)
from cxistack.kernels.stacks cimport (
    beside, frame_at, is_dense, join_rows, mask_beside, take_stack
)

import numpy as np

from cxistack.kernels import threads
from cxistack.kernels.corrected import correction_error

cnp.import_array()

cdef enum:
    PIECE = 1024            # pixels that rest in L1
    BLOCK = 32768            # pixels of a frame, whose corrections stay in L2 for the next frames


cdef bint _loses_good(const Correction *c, const char *src, const char *row, const char *good,
                      size_t n) noexcept nogil:
    # Whether a double of a good pixel is beyond what the row, of floats, can hold.
    cdef char *bytes
    cdef double value
    cdef size_t i, k
    for i in range(n):
        if good != NULL and not good[i]:
            continue
        memcpy(&value, src + <Py_ssize_t>i * c.src.step, 8)
        if c.pixels.swap != NULL:
            bytes = <char *>&value
            for k in range(4):
                bytes[k], bytes[7 - k] = bytes[7 - k], bytes[k]
        if isfinite(value) and not isfinite((<const float *>row)[i]):
            return True
    return False


cdef bint correct_block(const Correction *c, int64_t frame, Py_ssize_t at, Py_ssize_t stop,
                        cxi_sink *sink) noexcept nogil:
    # Pixels at to stop of a frame; whether all have a result.
    cdef char pixels[PIECE * 8]
    cdef char scratch[PIECE * 8]
    cdef char made[PIECE * 8]
    cdef cxi_flat how = c.how
    cdef const char *src
    cdef const char *row
    cdef char *dst
    cdef char *to
    cdef const char *frame_src = frame_at(&c.src, frame)
    cdef char *frame_dst = frame_at(&c.dst, frame)
    cdef size_t n
    cdef Py_ssize_t y, x
    cdef bint is_direct = is_moved(&c.results)
    if how.dark != NULL:
        how.dark += frame * c.dark_frame
    if how.white != NULL:
        how.white += frame * c.white_frame
    if how.good != NULL:
        how.good += frame * c.good_frame
    if sink != NULL:
        cxi_sink_open(sink, frame_dst + at * c.dst.step)
    while at < stop:
        y = at // c.src.columns
        x = at - y * c.src.columns
        n = min(min(stop - at, c.src.columns - x), <Py_ssize_t>PIECE)
        src = frame_src + y * c.src.row_step + x * c.src.step
        dst = frame_dst + y * c.dst.row_step + x * c.dst.step
        if sink != NULL:
            n = min(n, cxi_sink_room(sink) // <size_t>c.dst.size)
            dst = cxi_sink_next(sink)
        row = src
        if not c.is_plain:
            if make_row(&c.pixels, src, c.src.step, pixels, n, scratch) and c.src.size == 8:
                if _loses_good(c, src, pixels, how.good + at if how.good != NULL else NULL, n):
                    return False
            row = pixels
        to = made
        if is_direct and (sink != NULL or c.dst.step == c.dst.size):
            to = dst
        if c.row(&how, at, row, to, n):
            return False
        if to == made:
            if sink != NULL:
                if make_row(&c.results, made, c.results.src_size, dst, n, scratch):
                    return False
            elif row_to_memory(&c.results, made, c.results.src_size, dst, c.dst.step, n) < n:
                return False
        if sink != NULL:
            cxi_sink_put(sink, n * c.dst.size, c.dst.size)
        at += n
    if sink != NULL:
        cxi_sink_close(sink)
    return True


cdef class CorrectionJob(Job):
    """Blocks of a frame, each of some frames; the arrays are the caller's to keep alive."""
    cdef Correction c
    cdef Py_ssize_t blocks              # of a frame
    cdef Py_ssize_t block
    cdef int64_t task_frames

    cdef int run_task(self, Py_ssize_t k) noexcept nogil:
        cdef cxi_sink sink
        cdef int64_t frame = k // self.blocks * self.task_frames
        cdef int64_t stop = min(frame + self.task_frames, self.c.src.frames)
        cdef Py_ssize_t at = k % self.blocks * self.block
        cdef Py_ssize_t end = min(at + self.block, self.c.src.rows * self.c.src.columns)
        cdef bint good = True
        sink.stream = self.c.pixels.rows.stream
        while good and frame < stop:
            good = correct_block(&self.c, frame, at, end, &sink if self.c.stream else NULL)
            frame += 1
        if self.c.stream:
            cxi_fence()
        if not good:
            self.report_bad(frame - 1)
        return not good


cdef bint _execute(Correction *c, object num_threads) except -1:
    # Whether every pixel has a result.
    cdef Py_ssize_t pixels = c.src.rows * c.src.columns
    cdef CorrectionJob job
    cdef int64_t task
    task = task_units(c.src.frames * pixels, c.dst.size)
    cdef bint is_one = task == c.src.frames * pixels
    cdef Py_ssize_t block = min(pixels, <Py_ssize_t>BLOCK)
    cdef Py_ssize_t blocks = (pixels + block - 1) // block
    cdef int64_t frames = c.src.frames if is_one else min(c.src.frames, max(1, task // block))
    job = CorrectionJob(blocks * ((c.src.frames + frames - 1) // frames))
    job.c = c[0]
    job.blocks = blocks
    job.block = block
    job.task_frames = frames
    threads.run(job, 1 if is_one else num_threads)
    return job.first_bad is None


cdef object _beside(object array, cnp.ndarray src, cnp.dtype dtype, str name, const char **at,
                    Py_ssize_t *step):
    # What an array of corrections is, and where a frame's are; None stays so.
    cdef cnp.ndarray found
    at[0] = NULL
    step[0] = 0
    if array is None:
        return None
    found = mask_beside(array, src) if name == "mask" else beside(array, src, dtype, name)
    at[0] = cnp.PyArray_BYTES(found)
    if cnp.PyArray_NDIM(found) > 2:
        step[0] = (cnp.PyArray_DIM(found, cnp.PyArray_NDIM(found) - 1)
                   * cnp.PyArray_DIM(found, cnp.PyArray_NDIM(found) - 2)
                   * cnp.PyArray_ITEMSIZE(found))
    return found


cdef double _bad_value(object bad, object dtype) except? -1:
    cdef double value = float(bad)
    with np.errstate(over="ignore"):
        is_lost = np.isfinite(value) and not np.isfinite(dtype.type(value))
    if is_lost:
        raise ValueError(f"bad={bad!r} does not fit {dtype}, which the result is of")
    return value


def flat_field(frames, *, dark=None, whitefield=None, mask=None, bad=np.nan, dead="raise",
               dtype=None, out=None, num_threads=None):
    """Subtract the dark signal and divide by the whitefield, as floats, in one pass.

    Parameters
    ----------
    frames : ndarray
        Shape (..., ss, fs): booleans, integers of 8 to 64 bits, float32 or float64; any strides
        and byte order.
    dark : array_like, optional
        What a pixel counts without light, in counts of a frame; (ss, fs), or the shape of
        `frames`. None: nothing is subtracted.
    whitefield : array_like, optional
        What a pixel counts without a sample, in counts of a frame less the dark signal; (ss, fs),
        or the shape of `frames`. None: nothing is divided.
    mask : ndarray of bool, optional
        True for a good pixel; (ss, fs), or the shape of `frames`. None: all are good.
    bad : float
        What pixels become that are not good.
    dead : {"raise", "bad"}
        What comes of a good pixel that is dead: its whitefield is 0, or its whitefield or dark
        signal is NaN or infinite. ``"raise"`` names the first, ``"bad"`` makes it `bad`.
    dtype : {float32, float64}, optional
        The result's type; None is that of `out`, or else float32.
    out : ndarray, optional
        Where the result goes.
    num_threads : int, optional
        As in `cast`.

    Returns
    -------
    ndarray
        ``(frames - dark) / whitefield``: `out`, or a new C-contiguous array.

    Raises
    ------
    ValueError
        A good pixel is dead, and `dead` is ``"raise"``; or an array has another shape. `out` is
        then undefined.
    CastError
        The result of a good pixel is beyond the largest number of `dtype`.
    TypeError
        Types other than these, or a mask that is not boolean.

    Notes
    -----
    Nothing wraps: all are made floats first. They are float32 where the result is and NumPy's
    promotion of `frames`, `dark`, `whitefield` and float32 is float32 too (booleans, integers of 8
    and 16 bits, float32), else float64, rounded once to `dtype`. NaN and infinity in a good pixel
    of `frames` are kept.

    The result is never infinite nor NaN but for those, and for `bad`.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.array([[12, 22], [2, 65535]], dtype=np.uint16)
    >>> white = np.array([[10.0, 20.0], [10.0, 0.0]], dtype=np.float32)
    >>> flat_field(frame, dark=np.full((2, 2), 2), whitefield=white, mask=white > 0)
    array([[ 1.,  1.],
           [ 0., nan]], dtype=float32)
    >>> flat_field(frame, whitefield=white)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: Pixel (1, 1): the whitefield is 0.0 there...
    """
    cdef Correction c
    cdef Py_ssize_t shape[MAX_RANK]
    cdef cnp.ndarray src = as_stack(frames)
    cdef cnp.ndarray result
    cdef cnp.dtype target, calc, source = src.dtype
    cdef int i, computed, pixel = pixel_code(source), rank = cnp.PyArray_NDIM(src)

    if pixel == OPAQUE:
        raise TypeError(f"Frames of {source} are not corrected here: only of booleans, integers of "
                        "8 to 64 bits, float32 and float64.")
    if dead != "raise" and dead != "bad":
        raise ValueError(f'dead is "raise" or "bad", not {dead!r}')
    take_stack(&c.src, src, "Frames")
    if num_threads is not None:
        threads.count_threads(num_threads)
    target = result_dtype(np.dtype(np.float32), dtype, out)
    if pixel_code(target) != CXI_FLOAT32 and pixel_code(target) != CXI_FLOAT64:
        raise TypeError(f"Corrected frames are float32 or float64, not {target}; cast() makes "
                        "integers of them.")
    given = [np.asarray(one).dtype for one in (dark, whitefield) if one is not None]
    calc = np.dtype(np.float32)
    if target != calc or np.result_type(source, *given, calc) != calc:
        calc = np.dtype(np.float64)
    computed = pixel_code(calc)
    keep = (
        _beside(dark, src, calc, "dark", &c.how.dark, &c.dark_frame),
        _beside(whitefield, src, calc, "whitefield", &c.how.white, &c.white_frame),
        _beside(mask, src, None, "mask", &c.how.good, &c.good_frame),
    )
    c.how.bad = _bad_value(bad, target)
    c.how.strict = dead == "raise"

    for i in range(rank):
        shape[i] = cnp.PyArray_DIM(src, i)
    result = result_array(out, rank, shape, target)
    if out is not None and overlap(src, result):
        src = src.copy()
        take_stack(&c.src, src, "")
    if out is not None:
        # A correction that lies in the result would be overwritten while it is needed.
        for one in keep:
            if one is not None and overlap(one, result):
                raise ValueError("out lies in the memory of dark, whitefield or mask")
    take_stack(&c.dst, result, "")
    if cnp.PyArray_SIZE(result) == 0:
        return result
    join_rows(&c.src, &c.dst)
    set_rows(&c.pixels, pixel, computed, not source.isnative)
    set_rows(&c.results, computed, pixel_code(target), False)
    c.results.checked = True
    c.row = c.pixels.rows.flat[computed == CXI_FLOAT64]
    c.is_plain = is_moved(&c.pixels) and c.pixels.swap == NULL and c.src.step == c.src.size
    c.stream = is_dense(&c.dst) and is_streamed(cnp.PyArray_NBYTES(result))
    if not _execute(&c, num_threads):
        raise correction_error(src, *keep, calc, target, dead == "raise")
    return result
