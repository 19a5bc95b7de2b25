"""Reads chunks of one frame each, and sums their pixels up as blocks decode."""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc

cimport numpy as cnp

from cxistack.kernels._decode cimport (
    CXI_WRONG_SIZE, cxi_bshuf, cxi_bshuf_next, cxi_bshuf_open, cxi_bshuf_seek
)
from cxistack.kernels._moments cimport Sums, set_sums, sum_up
from cxistack.kernels.job cimport Job
from cxistack.loading._read_chunks cimport ChunkJob, Space, Task, fail_task, fetch

import numpy as np

cnp.import_array()

cdef enum:
    MOST_TOGETHER = 32          # frames whose blocks are decoded before they are added
    LEAST_TOGETHER = 4          # as many as the kernels add at a time
    TOGETHER_BYTES = 256 << 10  # of them, which stay in L2


cdef class StoredChunks(ChunkJob):
    """Brings chunks into memory as they are stored, and notes where parts of them begin.

    Parameters
    ----------
    tasks : ndarray of tasks.TASK
        What to read: a chunk each, all of them written and filtered.
    descriptors : ndarray of int32
        The files' descriptors.
    pipeline : Pipeline
        Bitshuffle with a codec, alone.
    part_blocks : int
        Blocks of a part.
    memory : ndarray of uint8
        Where the chunks go.
    """

    cdef char *_bytes
    cdef unsigned char[::1] _room
    cdef int64_t[::1] _begins       # of chunks, in memory
    cdef int64_t[:, ::1] _marks     # of the parts of each, in it
    cdef size_t _block_bytes
    cdef size_t _part_bytes
    cdef Py_ssize_t _parts

    def __init__(self, const Task[::1] tasks, const int32_t[::1] descriptors, pipeline,
                 Py_ssize_t part_blocks, unsigned char[::1] memory):
        cdef Py_ssize_t count = tasks.shape[0]
        sizes = np.asarray(tasks)["size"]
        places = np.arange(count)
        self._take(tasks, places, places, descriptors, np.empty(1))
        self._begin()
        self._decode_by(pipeline)
        self.w.raw_bytes = 0  # they go where they stay
        self._block_bytes = pipeline.block_bytes
        self._part_bytes = self._block_bytes * part_blocks
        self._parts = (self.w.chunk_bytes + self._part_bytes - 1) // self._part_bytes
        self._begins = np.cumsum(sizes) - sizes
        self._marks = np.empty((count, self._parts), np.int64)
        if sizes.sum() > memory.shape[0]:
            raise ValueError(f"{sizes.sum()} bytes of chunks do not fit into {memory.shape[0]}")
        self._room = memory
        self._bytes = <char *>&memory[0]

    cdef int _open(self, cxi_bshuf *it, Py_ssize_t k, Space *space) noexcept nogil:
        return cxi_bshuf_open(it, &space.decoder, &self.w.pipeline.filter[0], self.w.chunk_bytes,
                              self._bytes + self._begins[k], self.w.tasks[k].size, space.scratch,
                              space.scratch_bytes)

    cdef int open_at(self, cxi_bshuf *it, Py_ssize_t k, Py_ssize_t part,
                     Space *space) noexcept nogil:
        cdef int status = self._open(it, k, space)
        if not status:
            cxi_bshuf_seek(it, part * (self._part_bytes // self._block_bytes),
                           self._bytes + self._marks[k, part])
        return status

    cdef int _do(self, int64_t k, Space *space) noexcept nogil:
        cdef const Task *task = &self.w.tasks[k]
        cdef int status = fetch(&self.w, task, self._bytes + self._begins[k], 0, task.size)
        if not status:
            status = self._mark(k, space)
        return fail_task(&self.w, k, status) if status else 0

    cdef int _mark(self, Py_ssize_t k, Space *space) noexcept nogil:
        cdef cxi_bshuf it
        cdef Py_ssize_t part
        cdef int status = self._open(&it, k, space)
        if status:
            return status
        if it.block_bytes != self._block_bytes:
            return CXI_WRONG_SIZE  # a chunk may say another one; those are loaded, then reduced
        for part in range(self._parts):
            while it.offset < part * self._part_bytes:
                status = cxi_bshuf_next(&it, NULL)
                if status:
                    return status
            self._marks[k, part] = it.src - self._bytes
        return 0


cdef class SumChunks(ChunkJob):
    """Sums up chunks that are in memory, a part of all of them in each task, and brings others.

    So threads that wait for a disk have others beside them that add.

    Parameters
    ----------
    chunks : StoredChunks
        What is summed up, after it was run.
    stored, pixel : numpy.dtype
        Type of the pixels as they are stored, and in this machine's byte order.
    moments : sequence of (dict, int)
        States by their names, and how many frames they have seen; see
        :func:`cxistack.kernels._moments.accumulate`.
    mask : ndarray of bool or None
        Good pixels of all frames, in one piece.
    following : StoredChunks or None
        What is brought into memory meanwhile.
    """

    cdef StoredChunks _chunks
    cdef StoredChunks _following
    cdef Py_ssize_t _brought
    cdef Sums *_sums
    cdef int _count
    cdef Py_ssize_t _together
    cdef Py_ssize_t _size
    cdef object _arrays

    def __init__(self, StoredChunks chunks not None, cnp.dtype stored not None,
                 cnp.dtype pixel not None, moments, mask, StoredChunks following):
        cdef cnp.ndarray frames = np.empty((1, chunks.w.chunk_bytes // stored.itemsize), stored)
        cdef Py_ssize_t together = TOGETHER_BYTES // chunks._block_bytes
        cdef int i
        self._brought = 0 if following is None else following.tasks
        Job.__init__(self, chunks._parts + self._brought)
        self._share(chunks)
        self._chunks, self._following = chunks, following
        self._together = max(LEAST_TOGETHER, min(MOST_TOGETHER, together))
        self._size = stored.itemsize
        self.w.tile_bytes = self._together * chunks._block_bytes
        self._arrays = moments, mask
        self._sums = <Sums *>malloc(len(moments) * sizeof(Sums))
        if self._sums == NULL:
            raise MemoryError("the states of sums")
        for i, (states, before) in enumerate(moments):
            set_sums(&self._sums[i], frames, pixel, states, before, mask)
        self._count = len(moments)

    def __dealloc__(self):
        free(self._sums)

    cdef int _do(self, int64_t k, Space *space) noexcept nogil:
        cdef Py_ssize_t first = 0, last, frames = self._chunks.tasks
        # What is brought comes evenly among what is added.
        cdef Py_ssize_t before = k * self._brought // self.tasks
        cdef int status = 0
        if before < (k + 1) * self._brought // self.tasks:
            return self._following._do(before, space)
        while first < frames and not status:
            last = min(frames, first + self._together)
            status = self._add(k - before, first, last, space)
            first = last
        return fail_task(&self.w, k, status) if status else 0

    cdef int _add(self, Py_ssize_t part, Py_ssize_t first, Py_ssize_t last,
                  Space *space) noexcept nogil:
        # A part of some frames: a block of each is decoded, then all are added.
        cdef cxi_bshuf its[MOST_TOGETHER]
        cdef size_t block = self._chunks._block_bytes
        cdef size_t at = part * self._chunks._part_bytes, size
        cdef size_t end = min(at + self._chunks._part_bytes, self.w.chunk_bytes)
        cdef Py_ssize_t f
        cdef int status
        for f in range(last - first):
            status = self._chunks.open_at(&its[f], first + f, part, space)
            if status:
                return status
        while at < end:
            size = its[0].bytes
            for f in range(last - first):
                status = cxi_bshuf_next(&its[f], space.tile + f * block)
                if status:
                    return status
            if self._add_blocks(space.tile, at, at + size, first, last):
                return CXI_WRONG_SIZE  # a sum of 64 bits wraps
            at += size
        return 0

    cdef bint _add_blocks(self, const char *blocks, int64_t begin, int64_t end,
                          Py_ssize_t first, Py_ssize_t last) noexcept nogil:
        cdef Sums s
        cdef int i
        for i in range(self._count):
            s = self._sums[i]
            s.frames.p.src = blocks - begin
            s.frames.p.src_frame = self._chunks._block_bytes
            s.n = last - first
            s.before += first
            if sum_up(&s, begin // self._size, end // self._size) >= 0:
                return True
        return False
