"""Which frames and which pixels of them: index tables and views, checked."""

cimport numpy as cnp
from libc.stdint cimport int64_t

import numpy as np

from cxistack.errors import FrameIndexError

cnp.import_array()


cdef cnp.ndarray frame_table(object index, Py_ssize_t frames, str what):
    # A private, checked int64 copy: what the loop trusts, nobody else can change meanwhile.
    cdef cnp.ndarray given, table
    cdef cnp.dtype dtype
    cdef const int64_t *source
    cdef int64_t *checked
    cdef int64_t frame
    cdef Py_ssize_t i, n
    given = index if isinstance(index, np.ndarray) else np.asarray(index)
    if cnp.PyArray_NDIM(given) != 1:
        raise TypeError(f"{what} is a one-dimensional sequence of integers; "
                        f"this one has {cnp.PyArray_NDIM(given)} dimensions.")
    dtype = given.dtype
    if dtype.kind == c"b":
        raise TypeError(f"{what} holds booleans; frames are chosen by number here: "
                        "numpy.flatnonzero turns a selection into numbers.")
    n = cnp.PyArray_DIM(given, 0)
    if dtype.kind == c"u" and dtype.itemsize == 8:
        # Would wrap to negative numbers, which are valid ones.
        given = np.minimum(given, np.uint64(np.iinfo(np.int64).max))
    elif dtype.kind != c"i" and dtype.kind != c"u" and n > 0:
        raise TypeError(f"{what} holds {dtype}, not integers")
    given = cnp.PyArray_FROMANY(given, cnp.NPY_INT64, 1, 1,
                                cnp.NPY_ARRAY_CARRAY_RO | cnp.NPY_ARRAY_FORCECAST)
    table = cnp.PyArray_SimpleNew(1, cnp.PyArray_DIMS(given), cnp.NPY_INT64)
    source = <const int64_t *>cnp.PyArray_DATA(given)
    checked = <int64_t *>cnp.PyArray_DATA(table)
    for i in range(n):
        frame = source[i]
        if frame < 0:
            frame += frames
        if frame < 0 or frame >= frames:
            raise FrameIndexError(f"{what}[{i}] is {source[i]}, but there are {frames} frames: "
                                  f"they are numbered from 0 to {frames - 1}, or from -{frames} "
                                  "to -1.")
        checked[i] = frame
    return table


cdef int _take_axis(tuple axis, str name, Py_ssize_t *shape, Py_ssize_t *step,
                    const char **src) except -1:
    # Moves src to the axis's first pixel and makes shape and step those of the view.
    cdef Py_ssize_t start, stride, count, length = shape[0], room
    start, stride, count = axis
    if count < 0:
        raise FrameIndexError(f"The view wants {count} pixels along {name}")
    if stride == 0:
        raise FrameIndexError(f"The view's step along {name} is 0")
    if count == 0:
        shape[0] = 0
        return 0
    if start < 0 or start >= length:
        raise FrameIndexError(f"The view begins at {name} pixel {start}, but the frame has "
                              f"pixels 0 to {length - 1} there.")
    if count == 1:
        stride = 1
    elif stride > length or stride < -length:
        room = 1
        if count > room:
            raise FrameIndexError(f"The view's step of {stride} along {name} leaves the frame, "
                                  f"which has {length} pixels there.")
    else:
        room = (length - 1 - start) // stride if stride > 0 else start // -stride
        if count - 1 > room:
            raise FrameIndexError(
                f"The view takes {count} {name} pixels from {start} in steps of {stride}, "
                f"but the frame has pixels 0 to {length - 1} there.")
    src[0] += start * step[0]
    step[0] *= stride
    shape[0] = count
    return 0


cdef int take_view(object view, int rank, Py_ssize_t *shape, Py_ssize_t *step,
                   const char **src) except -1:
    # Of the last two axes; the caller knows that there are two.
    _take_axis(tuple(view.ss), "slow-axis", &shape[rank - 2], &step[rank - 2], src)
    _take_axis(tuple(view.fs), "fast-axis", &shape[rank - 1], &step[rank - 1], src)
    return 0
