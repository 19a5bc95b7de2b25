"""Reads chunks of one frame each, and finds their pixels above a threshold as blocks decode."""

from libc.stdint cimport INT64_MAX, int32_t, int64_t

cimport numpy as cnp

from cxistack.kernels._above_chunk cimport above_in_chunk, cxi_above, mask_bits, set_above
from cxistack.kernels._decode cimport CXI_NO_MEMORY
from cxistack.kernels.hits cimport Hits
from cxistack.loading._read_chunks cimport ChunkJob, Space, Task, fail_task, fetch

import numpy as np

cnp.import_array()


cdef class AboveChunks(ChunkJob):
    """The chunks of datasets that are stored alike, each one frame; see :class:`ChunkJob`.

    Parameters
    ----------
    tasks : ndarray of tasks.TASK
        What to do: a chunk each.
    places : ndarray of int64
        For each entry that a task names: its place among the frames wanted.
    descriptors : ndarray of int32
        The files' descriptors.
    pipeline : Pipeline
        Bitshuffle with a codec, alone.
    fill : ndarray of uint8
        A pixel's bytes where none was written.
    stored : numpy.dtype
        Type of the pixels as they are stored: integers.
    least : numpy scalar
        The least value that counts.
    mask : ndarray of bool or None
        Good pixels: of a frame, or (frames, pixels) by place.
    """

    cdef cxi_above _how
    cdef Hits _hits
    cdef cnp.ndarray _bits
    cdef Py_ssize_t _bits_step
    cdef cnp.dtype _dtype

    def __init__(self, const Task[::1] tasks, const int64_t[::1] places,
                 const int32_t[::1] descriptors, pipeline, const unsigned char[::1] fill,
                 cnp.dtype stored not None, least, cnp.ndarray mask):
        self._take(tasks, places, places, descriptors, np.empty(1))
        self._dtype = (<object>stored).newbyteorder("=")
        self._begin()
        self._decode_by(pipeline)
        self._fill_of = fill
        self.w.fill = <const char *>&fill[0]
        set_above(&self._how, stored, least)
        if mask is not None:
            self._bits = _as_bits(mask)
            if cnp.PyArray_NDIM(self._bits) > 1:
                self._bits_step = cnp.PyArray_STRIDE(self._bits, 0)
        self._hits = Hits(tasks.shape[0], stored.itemsize, False)

    cdef int _do(self, int64_t k, Space *space) noexcept nogil:
        cdef const Task *task = &self.w.tasks[k]
        cdef cxi_above how = self._how
        cdef int status
        if task.address < 0:
            return 0    # nothing was written, and the fill value is not above the threshold
        if self._bits is not None:
            how.good = cnp.PyArray_BYTES(self._bits) + self.w.places[task.place] * self._bits_step
        status = fetch(&self.w, task, space.raw, 0, task.size)
        if not status:
            status = above_in_chunk(&space.decoder, self.w.pipeline, task.mask, space.raw,
                                    task.size, &how, self._hits, k, space.scratch,
                                    space.scratch_bytes)
        if status:
            return fail_task(&self.w, k, status)
        self._hits.trim(k)
        return 0

    @property
    def has_memory(self):
        """Whether it did not fail for want of memory."""
        return self.w.failed == INT64_MAX or self.w.status != CXI_NO_MEMORY

    def found(self, order, places, num_threads):
        """Return (place, pixel, value) of what tasks have found, in an order, with their places."""
        return self._hits.joined(order, places, self._dtype, num_threads)


cdef cnp.ndarray _as_bits(cnp.ndarray mask):
    # A row of bytes for each frame that has a mask of its own.
    if cnp.PyArray_NDIM(mask) == 1:
        return mask_bits(mask)
    return np.packbits(mask, axis=1, bitorder="little")
