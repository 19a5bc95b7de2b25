"""Row kernels on raw buffers, without the GIL, for Cython modules of other packages.

There is nothing here for Python; `buffers.pxd` tells what to cimport.
"""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint64_t
from libc.string cimport memmove

from cxistack.kernels.levels cimport current_rows
from cxistack.kernels cimport loop
from cxistack.kernels.loop cimport Pass, row_to_memory, set_rows, size_class


cdef size_t pixel_size(int pixel) noexcept nogil:
    return loop.pixel_size(pixel)


cdef int cast(const void *src, size_t src_len, int src_pixel,
              void *dst, size_t dst_len, int dst_pixel) noexcept nogil:
    cdef size_t src_size = pixel_size(src_pixel)
    cdef size_t dst_size = pixel_size(dst_pixel)
    if src_size == 0 or dst_size == 0 or src_len % src_size or dst_len % dst_size:
        return BAD_ARGUMENT
    cdef size_t n = src_len // src_size
    if n != dst_len // dst_size:
        return BAD_ARGUMENT
    if n == 0:
        return FITS
    if current_rows().cast[src_pixel][dst_pixel](<const char *>src, <char *>dst, n):
        return LOST
    return FITS


cdef int cast_step(const void *src, size_t src_len, int src_pixel, size_t first, ptrdiff_t step,
                   void *dst, size_t dst_len, int dst_pixel) noexcept nogil:
    cdef Pass p
    cdef size_t src_size = pixel_size(src_pixel)
    cdef size_t dst_size = pixel_size(dst_pixel)
    cdef size_t n, room, reach, done
    if src_size == 0 or dst_size == 0 or dst_len % dst_size:
        return BAD_ARGUMENT
    n = dst_len // dst_size
    if n == 0:
        return FITS
    if src_len < src_size or first > src_len - src_size:
        return BAD_ARGUMENT
    if step < 0:
        room = first
        reach = 0 - <size_t>step
    else:
        room = src_len - src_size - first
        reach = <size_t>step
    if reach > 0 and n - 1 > room // reach:
        return BAD_ARGUMENT
    set_rows(&p, src_pixel, dst_pixel, False)
    p.checked = True
    src = <const char *>src + first
    done = row_to_memory(&p, <const char *>src, step, <char *>dst, dst_size, n)
    if done == n:
        return FITS
    # The check stopped there; the rest is done without it.
    p.checked = False
    row_to_memory(&p, <const char *>src + <ptrdiff_t>done * step, step,
                  <char *>dst + done * dst_size, dst_size, n - done)
    return LOST


cdef int swap(const void *src, size_t src_len, size_t size,
              void *dst, size_t dst_len) noexcept nogil:
    cdef int number = size_class(size)
    if not 0 <= number <= 3 or src_len != dst_len or src_len % size:
        return BAD_ARGUMENT
    if src_len == 0:
        return FITS
    if number == 0:
        memmove(dst, src, src_len)
    else:
        current_rows().swap[number](<const char *>src, <char *>dst, src_len // size)
    return FITS


cdef int good_pixels(const void *src, size_t src_len, int src_pixel, uint64_t bad_bits,
                     void *dst, size_t dst_len) noexcept nogil:
    cdef size_t size = pixel_size(src_pixel)
    if size == 0 or src_pixel >= FLOAT32 or src_len % size or src_len // size != dst_len:
        return BAD_ARGUMENT
    if dst_len > 0:
        current_rows().good[size_class(size)](<const char *>src, <char *>dst, dst_len, bad_bits)
    return FITS
