"""Pixels from one array to another: cast, chosen frames, views, in one pass."""

cimport numpy as cnp
from libc.stdint cimport int64_t

from cxistack.kernels.arrays cimport (
    as_stack, is_checked, native, overlap, result_array, result_dtype, set_types
)
from cxistack.kernels.loop cimport MAX_RANK, Pass, execute, set_axes

import numpy as np

from cxistack.errors import FrameIndexError
from cxistack.kernels.offence import cast_error

cnp.import_array()


cdef cnp.ndarray _frame_table(object index, Py_ssize_t frames, str what):
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


cdef int _view_axis(tuple axis, str name, Py_ssize_t *shape, Py_ssize_t *step,
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


cdef object _move(object stack, object view, object index, object at, object dtype, object out,
                  object casting, object num_threads):
    cdef Pass p
    cdef Py_ssize_t shape[MAX_RANK]
    cdef Py_ssize_t src_step[MAX_RANK]
    cdef Py_ssize_t result_shape[MAX_RANK]
    cdef cnp.ndarray src = as_stack(stack)
    cdef cnp.ndarray result, table = None, places = None
    cdef int i, rank = cnp.PyArray_NDIM(src)
    cdef int64_t bad

    p.checked = is_checked(casting)
    target = result_dtype(native(src.dtype), dtype, out)
    set_types(&p, src, target)

    for i in range(rank):
        shape[i] = cnp.PyArray_DIM(src, i)
        src_step[i] = cnp.PyArray_STRIDE(src, i)
    p.src = cnp.PyArray_BYTES(src)
    if view is not None:
        if rank < 2 or (rank == 2 and index is not None):
            raise ValueError(f"A view acts on the last two axes of a stack, and an index on its "
                             f"first; this array has {rank} dimensions.")
        _view_axis(tuple(view.ss), "slow-axis", &shape[rank - 2], &src_step[rank - 2], &p.src)
        _view_axis(tuple(view.fs), "fast-axis", &shape[rank - 1], &src_step[rank - 1], &p.src)

    if index is not None:
        if rank == 0:
            raise ValueError("A 0-D array has no frames to choose from")
        table = _frame_table(index, shape[0], "index")
        shape[0] = cnp.PyArray_DIM(table, 0)
    for i in range(rank):
        result_shape[i] = shape[i]
    if at is not None:
        if table is None or not isinstance(out, np.ndarray) or cnp.PyArray_NDIM(out) != rank:
            raise ValueError(f"at says where in out each frame of index goes: it needs index, and "
                             f"an out of {rank} dimensions.")
        result_shape[0] = cnp.PyArray_DIM(out, 0)
        places = _frame_table(at, result_shape[0], "at")
        if cnp.PyArray_DIM(places, 0) != shape[0]:
            raise ValueError(f"at has {cnp.PyArray_DIM(places, 0)} entries, index has {shape[0]}")
    result = result_array(out, rank, result_shape, target)
    if out is not None and overlap(src, result):
        if not (view is None and index is None and _same_layout(src, result)):
            return _move(src.copy(), view, index, at, dtype, out, casting, num_threads)

    p.dst = cnp.PyArray_BYTES(result)
    cdef Py_ssize_t *dst_step = <Py_ssize_t *>cnp.PyArray_STRIDES(result)
    p.index = p.at = NULL
    p.frames = 1
    p.src_frame = p.dst_frame = 0
    cdef int first = 0
    if table is not None:
        first = 1
        p.frames = shape[0]
        p.index = <const int64_t *>cnp.PyArray_DATA(table)
        p.src_frame = src_step[0]
        p.dst_frame = dst_step[0]
        if places is not None:
            p.at = <const int64_t *>cnp.PyArray_DATA(places)
    p.stream = _is_dense(rank - first, shape + first, dst_step + first, p.dst_size)
    set_axes(&p, rank - first, shape + first, src_step + first, dst_step + first)
    bad = execute(&p, num_threads)
    if bad >= 0:
        raise cast_error(src, view, table, bad, result.dtype)
    return result


cdef bint _same_layout(cnp.ndarray a, cnp.ndarray b) noexcept:
    # Every pixel is written where it was read, after it was read.
    cdef int i
    if (cnp.PyArray_BYTES(a) != cnp.PyArray_BYTES(b)
            or cnp.PyArray_ITEMSIZE(a) != cnp.PyArray_ITEMSIZE(b)):
        return False
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_STRIDE(a, i) != cnp.PyArray_STRIDE(b, i):
            return False
    return True


cdef bint _is_dense(int rank, const Py_ssize_t *shape, const Py_ssize_t *step,
                    Py_ssize_t size) noexcept:
    cdef int i
    for i in range(rank - 1, -1, -1):
        if shape[i] != 1 and step[i] != size:
            return False
        size *= shape[i]
    return True


def cast(src, dtype=None, *, out=None, casting="checked", num_threads=None):
    """Cast an array of pixels to another type, and never lose a value silently.

    Parameters
    ----------
    src : ndarray
        Any shape, strides, alignment and byte order. Booleans, integers of 8 to 64 bits, float32
        and float64 are cast to one another; other types without Python objects are copied.
    dtype : dtype, optional
        The result's type; None is that of `out`, or else the one `src` has.
    out : ndarray, optional
        Where the result goes: the shape of `src`, native byte order, any strides.
    casting : {"checked", "unsafe"}
        ``"checked"`` raises where an integer result would differ from its source, and where a
        finite value would become infinite. Rounding to a float is allowed, and every non-zero
        value is a boolean True. ``"unsafe"`` is NumPy's; where NumPy leaves a float out of an
        integer's range undefined, it becomes the smallest int32 (for targets up to 32 bits; int64
        for uint32 and wider), of which the target keeps the low bits.
    num_threads : int, optional
        Threads for a large array; None is every core this process may use.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array.

    Raises
    ------
    CastError
        A value does not fit. Its `offence` names the first frame, along the first axis (an array
        of two dimensions or fewer is one frame), and its first pixel. `out` is then undefined.
    TypeError
        There is no such cast.
    ValueError
        `out` has another shape or is read-only.

    Examples
    --------
    >>> import numpy as np
    >>> cast(np.array([1, 2, 65535], dtype=np.uint16), np.float32)
    array([1.0000e+00, 2.0000e+00, 6.5535e+04], dtype=float32)
    >>> cast(np.array([3, -1], dtype=np.int32), np.uint16)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    cxistack.errors.CastError: Pixel (1,): the value -1 does not fit uint16. Keep ...
    """
    return _move(src, None, None, None, dtype, out, casting, num_threads)


def gather(stack, index, *, at=None, dtype=None, out=None, casting="checked", num_threads=None):
    """Choose frames of a stack by number, in any order, and cast them in the same pass.

    Parameters
    ----------
    stack : ndarray
        Frames along the first axis.
    index : sequence of int
        Which frames, in the order of the result; negative numbers count from the end, and a
        frame may come more than once.
    at : sequence of int, optional
        Where each frame goes: ``out[at[k]] = stack[index[k]]``. Needs `out`; if two frames go
        to one place, either may stay.
    dtype, out, casting, num_threads
        As in `cast`. With `at`, `out` may have any number of frames.

    Returns
    -------
    ndarray
        ``stack[index]``, or `out`.

    Raises
    ------
    FrameIndexError
        There is no such frame.
    CastError
        A value does not fit; its `offence` names the frame and the pixel in `stack`.

    Examples
    --------
    >>> import numpy as np
    >>> stack = np.arange(12, dtype=np.uint16).reshape(3, 2, 2)
    >>> gather(stack, [2, 0, -1], dtype="float32")[:, 0, 0]
    array([8., 0., 8.], dtype=float32)
    """
    if index is None:
        raise TypeError("index is a sequence of frame numbers, not None")
    return _move(stack, None, index, at, dtype, out, casting, num_threads)


def transform(stack, view, *, index=None, at=None, dtype=None, out=None, casting="checked",
              num_threads=None):
    """Crop, stride, mirror, choose frames and cast in one pass.

    Parameters
    ----------
    stack : ndarray
        Frames of any rank; the view acts on the last two axes.
    view : object
        Its attributes `ss` and `fs`, for the slow and the fast axis, are each a triple
        ``(start, step, count)`` of pixels; a negative step mirrors.
    index, at : sequence of int, optional
        Frames along the first axis, as in `gather`.
    dtype, out, casting, num_threads
        As in `cast`.

    Returns
    -------
    ndarray
        The pixels that the view takes, or `out`.

    Raises
    ------
    FrameIndexError
        The view leaves the frame, or there is no such frame.
    CastError
        A value does not fit; its `offence` names the frame and the pixel in `stack`.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> frame = np.arange(12, dtype=np.uint16).reshape(3, 4)
    >>> transform(frame, SimpleNamespace(ss=(1, 1, 2), fs=(3, -2, 2)), dtype="float64")
    array([[ 7.,  5.],
           [11.,  9.]])
    """
    if view is None:
        raise TypeError("view has the attributes ss and fs; None has not")
    return _move(stack, view, index, at, dtype, out, casting, num_threads)
