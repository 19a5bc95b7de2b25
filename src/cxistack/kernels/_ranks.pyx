"""Values by their rank among frames, pixel by pixel."""

cimport numpy as cnp
from libc.math cimport floor
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from cxistack.kernels.arrays cimport native, pixel_code
from cxistack.kernels.job cimport Job
from cxistack.kernels.loop cimport task_units
from cxistack.kernels.rows cimport CXI_RANKED
from cxistack.kernels.sources cimport as_frames, set_mask, set_source, tile_of

import numpy as np

from cxistack.kernels import threads

cnp.import_array()


cdef void rank_tile(const Ranks *r, int64_t start, Py_ssize_t width, char *tile, char *lows,
                    char *highs, uint32_t *counts, uint32_t *nans) noexcept nogil:
    cdef char row[CXI_RANKED * 8]
    cdef char good[CXI_RANKED]
    cdef char low[CXI_RANKED * 8]
    cdef char high[CXI_RANKED * 8]
    cdef char all_bits[8]
    cdef uint32_t ranks[CXI_RANKED]
    cdef const char *flags = NULL
    cdef Py_ssize_t f, i, k
    if width < CXI_RANKED:
        memset(tile, 0, r.n * CXI_RANKED * r.size)
    memset(all_bits, 0, 8)
    memset(counts, 0, CXI_RANKED * sizeof(uint32_t))
    memset(nans, 0, CXI_RANKED * sizeof(uint32_t))
    for f in range(r.n):
        if r.masked:
            flags = tile_of(&r.mask, f, start, width, good)
        r.how.keys(tile_of(&r.frames, f, start, width, row), flags,
                   tile + f * CXI_RANKED * r.size, all_bits, counts, nans, width)
    if not r.masked:
        for i in range(width):
            counts[i] = <uint32_t>r.n
    for k in range(r.wanted):
        memset(ranks, 0, sizeof(ranks))
        for i in range(width):
            if counts[i]:
                ranks[i] = <uint32_t>floor((counts[i] - 1) * r.fractions[k])
        r.how.ranked(tile, r.n, all_bits, ranks, low, high)
        for i in range(width):
            if ranks[i] + 1 >= counts[i]:
                memcpy(high + i * r.size, low + i * r.size, r.size)
        r.how.values(low, lows + k * r.step, width)
        r.how.values(high, highs + k * r.step, width)


cdef class RankJob(Job):
    """Frames' pixels cut into ranges; the arrays are the caller's to keep alive."""
    cdef Ranks r
    cdef int64_t pixels
    cdef int64_t task_pixels
    cdef char *lows
    cdef char *highs
    cdef uint32_t *counts
    cdef char *nans
    cdef bint no_memory

    cdef int run_task(self, Py_ssize_t k) noexcept nogil:
        cdef uint32_t counts[CXI_RANKED]
        cdef uint32_t nans[CXI_RANKED]
        cdef int64_t start = k * self.task_pixels, at
        cdef int64_t stop = min(start + self.task_pixels, self.pixels)
        cdef Py_ssize_t width, i
        cdef char *tile = <char *>malloc(self.r.n * CXI_RANKED * self.r.size)
        if tile == NULL:
            self.no_memory = True
            return 1
        while start < stop:
            width = min(<int64_t>CXI_RANKED, stop - start)
            at = start * <int64_t>self.r.size
            rank_tile(&self.r, start, width, tile, self.lows + at, self.highs + at, counts, nans)
            for i in range(width):
                self.nans[start + i] = nans[i] != 0
            if self.r.masked:
                memcpy(self.counts + start, counts, width * sizeof(uint32_t))
            start += CXI_RANKED
        free(tile)
        return 0


def neighbours(frames, fractions, *, mask=None, num_threads=None):
    """Return, of each pixel, the values between which some fractions of its values lie.

    Parameters
    ----------
    frames : ndarray, shape (n, ...)
        Booleans, integers or floats.
    fractions : sequence of float
        From 0, the least, to 1, the largest.
    mask : ndarray of bool, optional
        True is good: of a frame's shape, or of all.
    num_threads : int, optional
        How many threads work.

    Returns
    -------
    lows, highs : ndarray, shape (fractions, ...)
        The values at the rank below and the rank above; the last where there is none above.
    counts : int or ndarray of uint32
        How many good values there are; an array where there is a mask.
    nans : ndarray of bool
        Where a good value is NaN.
    """
    cdef cnp.ndarray array = as_frames(frames)
    cdef cnp.dtype dtype = native(array.dtype)
    cdef cnp.ndarray lows, highs, counts, nans
    cdef cnp.ndarray wanted = np.ascontiguousarray(fractions, np.float64)
    cdef RankJob job
    cdef int64_t tiles, tile, pixels
    cdef tuple shape = (<object>array).shape[1:]
    job = RankJob(0)
    set_source(&job.r.frames, array, dtype)
    job.r.masked = set_mask(&job.r.mask, mask, array)
    job.r.how = &job.r.frames.p.rows.rank[pixel_code(dtype)]
    job.r.n = cnp.PyArray_DIM(array, 0)
    job.r.size = dtype.itemsize
    pixels = job.pixels = job.r.frames.p.frame_pixels
    job.r.step = pixels * <int64_t>job.r.size
    lows = np.empty((len(fractions), *shape), dtype)
    highs = np.empty((len(fractions), *shape), dtype)
    nans = np.zeros(shape, np.bool_)
    counts = np.zeros(shape if job.r.masked else (), np.uint32)
    if num_threads is not None:
        threads.count_threads(num_threads)
    if job.r.n == 0 or pixels == 0:
        return lows, highs, (counts if job.r.masked else 0), nans
    job.r.fractions = <const double *>cnp.PyArray_DATA(wanted)
    job.r.wanted = cnp.PyArray_DIM(wanted, 0)
    job.lows, job.highs = cnp.PyArray_BYTES(lows), cnp.PyArray_BYTES(highs)
    job.counts = <uint32_t *>cnp.PyArray_DATA(counts)
    job.nans = cnp.PyArray_BYTES(nans)
    tiles = (pixels + CXI_RANKED - 1) // CXI_RANKED
    tile = task_units(tiles, <int64_t>CXI_RANKED * job.r.n * <int64_t>job.r.size * 16)
    job.tasks = (tiles + tile - 1) // tile
    job.task_pixels = tile * CXI_RANKED
    threads.run(job, num_threads)
    if job.no_memory:
        raise MemoryError(f"{CXI_RANKED} pixels of {job.r.n} frames")
    return lows, highs, (counts if job.r.masked else int(job.r.n)), nans
