"""Frames and masks of any layout, a tile of pixels at a time."""

cimport numpy as cnp
from libc.stdint cimport int64_t

from cxistack.kernels.arrays cimport OPAQUE, as_stack, pixel_code, set_types
from cxistack.kernels.loop cimport MAX_RANK, Pass, run_pass, is_moved, set_axes


cnp.import_array()


cdef cnp.ndarray as_frames(object frames):
    cdef cnp.ndarray array = as_stack(frames)
    if cnp.PyArray_NDIM(array) == 0:
        raise ValueError("Frames lie along the first axis; a 0-D array has none.")
    if pixel_code(array.dtype) == OPAQUE:
        raise TypeError(f"There are no reductions of {array.dtype}: only of booleans, integers of "
                        "8 to 64 bits, float32 and float64.")
    return array


cdef void lay_source(Source *s, const char *at, int rank, const Py_ssize_t *shape,
                     const Py_ssize_t *steps, Py_ssize_t frame_step) noexcept nogil:
    cdef Py_ssize_t dst_step[MAX_RANK]
    cdef Py_ssize_t step = s.p.dst_size
    cdef int i
    for i in range(rank - 1, -1, -1):
        dst_step[i] = step
        step *= shape[i]
    set_axes(&s.p, rank, shape, steps, dst_step)
    s.p.src = at
    s.p.frames = 1
    s.p.src_frame = frame_step
    s.p.dst_frame = 0
    s.p.index = s.p.at = NULL
    s.p.stream = False
    s.p.checked = False
    s.direct = (s.p.swap == NULL and s.p.src_size == s.p.dst_size and s.p.rank == 1
                and (s.p.shape[0] <= 1 or s.p.src_step[0] == <Py_ssize_t>s.p.src_size))


cdef int _lay(Source *s, cnp.ndarray array, int first) except -1:
    # With `first` the frames' axis is the array's; otherwise every frame is the same one.
    cdef Py_ssize_t shape[MAX_RANK]
    cdef Py_ssize_t steps[MAX_RANK]
    cdef int i, rank = cnp.PyArray_NDIM(array) - first
    for i in range(rank):
        shape[i] = cnp.PyArray_DIM(array, first + i)
        steps[i] = cnp.PyArray_STRIDE(array, first + i)
    lay_source(s, cnp.PyArray_BYTES(array), rank, shape, steps,
               cnp.PyArray_STRIDE(array, 0) if first else 0)
    return 0


cdef int set_source(Source *s, cnp.ndarray frames, cnp.dtype target) except -1:
    set_types(&s.p, frames, target)
    _lay(s, frames, 1)
    # The kernels take any byte that is not 0 for True, so booleans need no cast to themselves.
    s.direct = s.direct and (is_moved(&s.p) or target.kind == c"b")
    return 0


cdef int set_mask(Source *s, object mask, cnp.ndarray frames) except -1:
    cdef cnp.ndarray array
    if mask is None:
        return 0
    array = as_stack(mask)
    if (<cnp.dtype>array.dtype).kind != c"b":
        raise TypeError(f"A mask is boolean, True where a pixel is good; this one holds "
                        f"{array.dtype}.")
    shape = (<object>frames).shape
    given = (<object>array).shape
    if given != shape and given != shape[1:]:
        raise ValueError(f"The mask has shape {given}; for these frames it is one for all, "
                         f"{shape[1:]}, or one for each, {shape}.")
    set_types(&s.p, array, array.dtype)
    _lay(s, array, 1 if given == shape else 0)
    return 1


cdef const char *tile_of(const Source *s, Py_ssize_t frame, int64_t start, Py_ssize_t n,
                         char *scratch) noexcept nogil:
    cdef Pass p
    if s.direct:
        return s.p.src + frame * s.p.src_frame + start * <int64_t>s.p.src_size
    p = s.p
    p.src += frame * s.p.src_frame
    p.dst = scratch - start * <int64_t>p.dst_size
    run_pass(&p, start, start + n)
    return scratch
