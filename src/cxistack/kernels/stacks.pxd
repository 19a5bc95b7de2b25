# Frames on the last two axes of an array, and what goes with each of their pixels.
from libc.stdint cimport int64_t

cimport numpy as cnp

from cxistack.kernels.loop cimport MAX_RANK


# The axes before the last two count frames, in C order.
cdef struct Stack:
    char *at
    int64_t frames
    Py_ssize_t rows                 # of a frame; where they lie in one piece, all are one row
    Py_ssize_t columns
    Py_ssize_t row_step             # bytes
    Py_ssize_t step
    Py_ssize_t size                 # bytes of a pixel
    int rank                        # of the axes before the last two
    Py_ssize_t shape[MAX_RANK]
    Py_ssize_t steps[MAX_RANK]


cdef int take_stack(Stack *stack, cnp.ndarray array, str what) except -1
# Makes each frame one row, where its rows lie in one piece: of both, or of a alone.
cdef void join_rows(Stack *a, Stack *b) noexcept nogil
cdef char *frame_at(const Stack *stack, int64_t frame) noexcept nogil
cdef bint is_dense(const Stack *stack) noexcept nogil

# What has the pixels of a frame, or of every frame, of a stack: C-contiguous, of a type.
cdef cnp.ndarray beside(object array, cnp.ndarray frames, cnp.dtype dtype, str name)
cdef cnp.ndarray mask_beside(object mask, cnp.ndarray frames)
