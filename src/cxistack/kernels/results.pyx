"""Memory of large results and of chunks: what one gives back, the next takes.

Fresh memory costs about as much as decoding: the system clears each page when it is first touched.
The C library gives large pieces back to the system when they, or their neighbours, are free.
"""

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_New

import numpy as np

cdef extern from *:
    """
    #include <pthread.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <string.h>
    #ifdef __linux__
    #include <sys/mman.h>
    #endif

    #define CXI_HEAD 64                      /* bytes before a piece; the first say its size */
    #define CXI_MOST_KEPT 32                 /* pieces, and bytes of them */
    #define CXI_MOST_BYTES ((size_t)64 << 20)
    #define CXI_LEAST_BYTES ((size_t)1 << 20) /* smaller ones the C library keeps well */

    /* It is not waited for: fresh memory does as well, and a fork may have left it locked. */
    static pthread_mutex_t cxi_lock = PTHREAD_MUTEX_INITIALIZER;
    static char *cxi_kept[CXI_MOST_KEPT]; /* the longest unused first */
    static int cxi_count = 0;
    static size_t cxi_bytes = 0;

    static size_t cxi_size(const char *piece)
    {
        return *(const size_t *)(const void *)piece;
    }

    static char *cxi_pick(int at)
    {
        char *piece = cxi_kept[at];

        cxi_bytes -= cxi_size(piece);
        cxi_count--;
        memmove(cxi_kept + at, cxi_kept + at + 1, sizeof *cxi_kept * (size_t)(cxi_count - at));
        return piece;
    }

    /* The smallest piece that is kept and not much too large, of equal ones the last, or NULL. */
    static char *cxi_find(size_t size)
    {
        char *piece = NULL;
        int k, best = -1;

        if (size < CXI_LEAST_BYTES || size > CXI_MOST_BYTES || pthread_mutex_trylock(&cxi_lock))
            return NULL;
        for (k = 0; k < cxi_count; k++) {
            size_t room = cxi_size(cxi_kept[k]);
            if (room >= size && room - size <= size / 4
                && (best < 0 || room <= cxi_size(cxi_kept[best])))
                best = k;
        }
        if (best >= 0)
            piece = cxi_pick(best);
        pthread_mutex_unlock(&cxi_lock);
        return piece;
    }

    static void *cxi_take(size_t size)
    {
        char *piece = cxi_find(size);
        void *fresh = NULL;

        if (piece != NULL)
            return piece + CXI_HEAD;
        if (size > SIZE_MAX - CXI_HEAD || posix_memalign(&fresh, CXI_HEAD, size + CXI_HEAD))
            return NULL;
        piece = (char *)fresh;
        *(size_t *)(void *)piece = size;
    #ifdef MADV_HUGEPAGE
        if (size >= (size_t)4 << 20) { /* as NumPy does: few large pages are cleared sooner */
            uintptr_t first = ((uintptr_t)piece + 4095) & ~(uintptr_t)4095;
            madvise((void *)first, size + CXI_HEAD - (size_t)(first - (uintptr_t)piece),
                    MADV_HUGEPAGE);
        }
    #endif
        return piece + CXI_HEAD;
    }

    static void cxi_give(void *at)
    {
        char *piece, *gone[CXI_MOST_KEPT];
        size_t size;
        int count = 0;

        if (at == NULL)
            return;
        piece = (char *)at - CXI_HEAD;
        size = cxi_size(piece);
        if (size < CXI_LEAST_BYTES || size > CXI_MOST_BYTES || pthread_mutex_trylock(&cxi_lock)) {
            free(piece);
            return;
        }
        while (cxi_count == CXI_MOST_KEPT || cxi_bytes + size > CXI_MOST_BYTES)
            gone[count++] = cxi_pick(0);
        cxi_kept[cxi_count++] = piece;
        cxi_bytes += size;
        pthread_mutex_unlock(&cxi_lock);
        while (count > 0)
            free(gone[--count]);
    }

    /* What NumPy asks for; arrays are told how large they are by their pieces. */
    static void *cxi_new_array(void *context, size_t size)
    {
        (void)context;
        return cxi_take(size);
    }

    static void *cxi_new_zeros(void *context, size_t count, size_t size)
    {
        void *at = size == 0 || count <= SIZE_MAX / size ? cxi_take(count * size) : NULL;

        (void)context;
        if (at != NULL)
            memset(at, 0, count * size);
        return at;
    }

    static void *cxi_resized(void *context, void *old, size_t size)
    {
        void *at = cxi_take(size);

        (void)context;
        if (at != NULL && old != NULL) {
            size_t room = cxi_size((char *)old - CXI_HEAD);
            memcpy(at, old, room < size ? room : size);
            cxi_give(old);
        }
        return at;
    }

    static void cxi_gone_array(void *context, void *at, size_t size)
    {
        (void)context;
        (void)size;
        cxi_give(at);
    }

    static PyDataMem_Handler cxi_handler = {
        "cxistack", 1, {NULL, cxi_new_array, cxi_new_zeros, cxi_resized, cxi_gone_array},
    };
    """
    void *cxi_handler_at "&cxi_handler"
    size_t cxi_bytes
    size_t CXI_MOST_BYTES
    size_t CXI_LEAST_BYTES
    void *cxi_take(size_t size) nogil
    void cxi_give(void *at) nogil

cdef extern from "numpy/arrayobject.h":
    object PyDataMem_SetHandler(object handler)

cnp.import_array()

cdef object _memory = PyCapsule_New(cxi_handler_at, "mem_handler", NULL)


cdef void *take(size_t size) noexcept nogil:
    return cxi_take(size)


cdef void give(void *at) noexcept nogil:
    cxi_give(at)


def kept_bytes():
    """Return how many bytes are kept for the next results."""
    return cxi_bytes


def empty(shape, dtype):
    """Return what :func:`numpy.empty` does; large arrays take memory that earlier ones gave back.

    Up to 64 MiB are kept, in pieces of 1 MiB or more; a result takes a piece that is no more than a
    quarter too large.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    dtype : numpy.dtype
        Type of its values.

    Returns
    -------
    ndarray
        The array, C-contiguous; it owns its memory. Its values are not defined.

    Raises
    ------
    MemoryError
        There is not as much memory.
    ValueError
        There are not as many addresses.
    """
    cdef object before
    cdef object size = dtype.itemsize
    for count in shape:
        size *= count
    if not CXI_LEAST_BYTES <= size <= CXI_MOST_BYTES or dtype.hasobject:
        return np.empty(shape, dtype)
    before = PyDataMem_SetHandler(_memory)
    try:
        return np.empty(shape, dtype)
    finally:
        PyDataMem_SetHandler(before)
