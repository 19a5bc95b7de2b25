"""Pixels from one array to another: cast, chosen frames, views, in one pass."""

cimport numpy as cnp
from libc.stdint cimport int64_t

from cxistack.kernels.arrays cimport (
    as_stack, is_checked, native, overlap, pixel_code, range_table, result_array, result_dtype,
    set_types
)
from cxistack.kernels.frames cimport frame_table, take_view
from cxistack.kernels.loop cimport MAX_RANK, Pass, execute, set_axes, set_good, set_within
from cxistack.kernels.rows cimport cxi_range

import operator

import numpy as np

from cxistack.kernels.offence import cast_error

cnp.import_array()


cdef object _move(object stack, object view, object index, object at, object dtype, object out,
                  object casting, object num_threads, object bits=None, cnp.ndarray ranges=None,
                  bint both=False):
    # With `bits`, pixels become whether they have none of those, in place of a cast; with a table
    # of `ranges`, whether they lie in all of these, and with `both` in all that `out` is of.
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
    if bits is not None:
        set_good(&p, bits)
    if ranges is not None:
        set_within(&p, pixel_code(src.dtype), <const cxi_range *>cnp.PyArray_DATA(ranges),
                   cnp.PyArray_DIM(ranges, 0), both)

    for i in range(rank):
        shape[i] = cnp.PyArray_DIM(src, i)
        src_step[i] = cnp.PyArray_STRIDE(src, i)
    p.src = cnp.PyArray_BYTES(src)
    if view is not None:
        if rank < 2 or (rank == 2 and index is not None):
            raise ValueError(f"A view acts on the last two axes of a stack, and an index on its "
                             f"first; this array has {rank} dimensions.")
        take_view(view, rank, shape, src_step, &p.src)

    if index is not None:
        if rank == 0:
            raise ValueError("A 0-D array has no frames to choose from")
        table = frame_table(index, shape[0], "index")
        shape[0] = cnp.PyArray_DIM(table, 0)
    for i in range(rank):
        result_shape[i] = shape[i]
    if at is not None:
        if table is None or not isinstance(out, np.ndarray) or cnp.PyArray_NDIM(out) != rank:
            raise ValueError(f"at says where in out each frame of index goes: it needs index, and "
                             f"an out of {rank} dimensions.")
        result_shape[0] = cnp.PyArray_DIM(out, 0)
        places = frame_table(at, result_shape[0], "at")
        if cnp.PyArray_DIM(places, 0) != shape[0]:
            raise ValueError(f"at has {cnp.PyArray_DIM(places, 0)} entries, index has {shape[0]}")
    result = result_array(out, rank, result_shape, target)
    if out is not None and overlap(src, result):
        # In place, the second range would look at what the first has made of a pixel.
        if not (view is None and index is None and ranges is None and _same_layout(src, result)):
            return _move(src.copy(), view, index, at, dtype, out, casting,
                         num_threads, bits, ranges, both)

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


def good_pixels(src, bad_bits, *, view=None, index=None, at=None, out=None, num_threads=None):
    """Return where a bit field of flags has none of the bad bits.

    Parameters
    ----------
    src : ndarray
        Integers (or booleans, as integers of 8 bits), any shape and layout.
    bad_bits : int
        The bits that make a pixel bad; those beyond the width of `src` are left out.
    view : object, optional
        Which pixels of the last two axes, as in `transform`.
    index, at : sequence of int, optional
        Which frames of the first axis, as in `gather`.
    out : ndarray of bool, optional
        Where the result goes.
    num_threads : int, optional
        As in `cast`.

    Returns
    -------
    ndarray of bool
        True where ``(src & bad_bits) == 0``: where the pixel is good.

    Raises
    ------
    TypeError
        `src` holds no integers.
    ValueError
        `bad_bits` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> good_pixels(np.array([0, 1, 2, 256], dtype=np.uint32), 0xFF)
    array([ True, False, False,  True])
    """
    src = as_stack(src)
    if src.dtype.kind not in "biu":
        raise TypeError(f"Flags are integers, bit by bit; this array holds {src.dtype}.")
    bits = operator.index(bad_bits)
    if bits < 0:
        raise ValueError(f"bad_bits is a set of bits, 0 or more; got {bad_bits}")
    bits &= (1 << 8 * src.dtype.itemsize) - 1
    return _move(src, view, index, at, np.bool, out, "checked", num_threads, bits)


def within(src, ranges, *, index=None, at=None, out=None, both=False, num_threads=None):
    """Return where pixels lie in all of some ranges.

    Parameters
    ----------
    src : ndarray
        Booleans (as 0 and 1), integers or floats, any shape and layout.
    ranges : sequence of (low, high, outside)
        The lowest and the highest value of a range, each a value of the type of `src`; where
        `outside` is true, pixels must not lie in it. One that is NaN lies in none.
    index, at : sequence of int, optional
        Which frames of the first axis, as in `gather`.
    out : ndarray of bool, optional
        Where the result goes.
    both : bool
        Whether `out` stays False where it is so already. Needs `out`; with `at`, no place may come
        twice.
    num_threads : int, optional
        As in `cast`.

    Returns
    -------
    ndarray of bool
        `out`, or a new array.

    Raises
    ------
    TypeError
        `src` holds other types.
    ValueError
        An end of a range is no value of the type of `src`.

    Examples
    --------
    >>> import numpy as np
    >>> within(np.array([0, 1, 2, 256], dtype=np.uint16), [(1, 65535, False), (2, 2, True)])
    array([False,  True, False,  True])
    """
    src = as_stack(src)
    if both and out is None:
        raise ValueError("both means what out holds already; give out")
    return _move(src, None, index, at, np.bool, out, "checked", num_threads, None,
                 range_table(ranges, src.dtype), both)


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
