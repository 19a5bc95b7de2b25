"""Frames on the last two axes of an array, and what goes with each of their pixels; checked."""

cimport numpy as cnp
from libc.stdint cimport int64_t

import numpy as np

cnp.import_array()


cdef int take_stack(Stack *stack, cnp.ndarray array, str what) except -1:
    cdef int i, rank = cnp.PyArray_NDIM(array)
    if rank < 2:
        raise ValueError(f"{what} lie on the last two axes; this array has {rank} dimensions.")
    stack.at = cnp.PyArray_BYTES(array)
    stack.size = cnp.PyArray_ITEMSIZE(array)
    stack.rank = rank - 2
    stack.frames = 1
    for i in range(stack.rank):
        stack.shape[i] = cnp.PyArray_DIM(array, i)
        stack.steps[i] = cnp.PyArray_STRIDE(array, i)
        stack.frames *= stack.shape[i]
    stack.rows = cnp.PyArray_DIM(array, rank - 2)
    stack.columns = cnp.PyArray_DIM(array, rank - 1)
    stack.row_step = cnp.PyArray_STRIDE(array, rank - 2)
    stack.step = cnp.PyArray_STRIDE(array, rank - 1)
    return 0


cdef bint _is_in_one_piece(const Stack *stack) noexcept nogil:
    return stack.rows == 1 or stack.row_step == stack.columns * stack.step


cdef void join_rows(Stack *a, Stack *b) noexcept nogil:
    if _is_in_one_piece(a) and (b == NULL or _is_in_one_piece(b)):
        a.columns *= a.rows
        a.rows = 1
        if b != NULL:
            b.columns, b.rows = a.columns, 1


cdef char *frame_at(const Stack *stack, int64_t frame) noexcept nogil:
    cdef char *at = stack.at
    cdef int axis
    for axis in range(stack.rank - 1, -1, -1):
        at += frame % stack.shape[axis] * stack.steps[axis]
        frame //= stack.shape[axis]
    return at


cdef bint is_dense(const Stack *stack) noexcept nogil:
    # Whether the pixels of each frame lie one after another.
    return stack.step == stack.size and _is_in_one_piece(stack)


cdef cnp.ndarray beside(object array, cnp.ndarray frames, cnp.dtype dtype, str name):
    cdef cnp.ndarray found
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, and its mask would be lost; pass .data or "
                        ".filled() instead.")
    found = np.asarray(array)
    cdef tuple shape = (<object>found).shape, whole = (<object>frames).shape
    cdef tuple grid = whole[len(whole) - 2:]
    if shape != whole and shape != grid:
        each = "" if len(whole) == 2 else f", or {whole} with one for each frame"
        raise ValueError(f"{name} has shape {shape}; the frames need {grid}{each}")
    if (<object>found).dtype.kind not in "biuf":
        raise TypeError(f"{name} holds {found.dtype}, not real numbers")
    return np.ascontiguousarray(found, dtype)


cdef cnp.ndarray mask_beside(object mask, cnp.ndarray frames):
    cdef cnp.ndarray found = np.asarray(mask)
    cdef cnp.dtype own = found.dtype
    if own.kind != c"b":
        raise TypeError(f"mask holds {own}; it is boolean, True for a good pixel: "
                        "good_pixels makes one of flags.")
    return beside(mask, frames, own, "mask")
