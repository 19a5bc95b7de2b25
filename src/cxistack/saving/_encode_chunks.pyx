"""Makes the stored chunks of an array on all cores, for one thread that writes them in order."""

from cpython.buffer cimport PyBUF_READ
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport INT64_MAX, int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy
from posix.unistd cimport usleep

cimport numpy as cnp

from cxistack.kernels._encode cimport (
    EncodePipeline, cxi_encode_chunk, cxi_encode_explain, cxi_encoder, cxi_encoder_close,
    cxi_encoder_open
)
from cxistack.kernels.arrays cimport OPAQUE, pixel_code
from cxistack.kernels.job cimport Job
from cxistack.kernels.levels cimport current_rows
from cxistack.kernels.loop cimport MAX_RANK, Pass, run_pass, set_axes, set_opaque, set_rows
from cxistack.kernels.rows cimport (
    CXI_BOOL, cxi_atomic_add, cxi_atomic_load, cxi_atomic_min, cxi_atomic_store, cxi_atomic_take,
    cxi_swap
)

cnp.import_array()

cdef enum:
    TASK_BYTES = 1 << 20    # of pixels: small chunks are made, and handed over, many at a time
    PAUSE = 50              # microseconds, until a slot may be free


# Encoded chunks of one task, one after the other, until they are written.
cdef struct Slot:
    char *bytes
    size_t *sizes
    int64_t made            # number of the task whose chunks these are, plus one


cdef class Workspace:
    """Memory and library contexts of one thread."""

    cdef char *staged
    cdef char *scratch
    cdef cxi_encoder encoder
    cdef bint is_open

    def __cinit__(self, EncodePipeline pipeline):
        self.staged = <char *>malloc(pipeline.nbytes + 1)
        self.scratch = <char *>malloc(pipeline.scratch_bytes + 1)
        self.is_open = cxi_encoder_open(&self.encoder, &pipeline.c, current_rows().name) == 0
        if self.staged == NULL or self.scratch == NULL or not self.is_open:
            raise MemoryError(f"{pipeline.nbytes + pipeline.scratch_bytes} bytes to encode with")

    def __dealloc__(self):
        if self.is_open:
            cxi_encoder_close(&self.encoder)
        free(self.staged)
        free(self.scratch)


cdef class EncodeJob(Job):
    """Chunks of an array, cast to the stored type and encoded.

    Chunks are numbered: all those of the first rows of chunks, in C order, then those of the next.
    A thread that has made what there is room for waits until it was written.

    Parameters
    ----------
    data : ndarray
        The values; at least one axis, frames along the first.
    firsts, counts : ndarray of int64
        For each row of chunks, its first frame in `data` and how many there are of it.
    chunk : tuple of int
        Shape of a chunk.
    pipeline : EncodePipeline
        What makes a stored chunk.
    stored : numpy.dtype
        Type of the stored pixels; what does not fit is cast as NumPy does it.
    fill : ndarray of `stored`
        One pixel: what the parts of chunks hold that lie outside of the array.
    threads : int
        How many will work.
    """

    cdef const char *_data
    cdef const int64_t *_firsts
    cdef const int64_t *_counts
    cdef EncodePipeline _pipeline
    cdef object _keep
    cdef Pass _pass
    cdef cxi_swap _swap             # what was cast, to the stored byte order; or NULL
    cdef int _rank
    cdef Py_ssize_t _shape[MAX_RANK]
    cdef Py_ssize_t _step[MAX_RANK]
    cdef Py_ssize_t _chunk[MAX_RANK]
    cdef Py_ssize_t _chunk_step[MAX_RANK]
    cdef Py_ssize_t _grid[MAX_RANK]
    cdef bint _is_dense             # a whole chunk's bytes are those in memory
    cdef int64_t _cells             # chunks in a row of chunks
    cdef int64_t _chunks
    cdef int64_t _group             # chunks in a task
    cdef char _fill[32]
    cdef bytes _fill_bytes
    cdef Slot *_slots
    cdef int64_t _slot_count
    cdef int64_t _written           # tasks
    cdef list _idle
    cdef int64_t _failed
    cdef ptrdiff_t _error

    def __init__(self, cnp.ndarray data, const int64_t[::1] firsts, const int64_t[::1] counts,
                 chunk, EncodePipeline pipeline not None, cnp.dtype stored, fill,
                 Py_ssize_t threads):
        cdef Py_ssize_t i, size = stored.itemsize
        self._rank = cnp.PyArray_NDIM(data)
        self._pipeline = pipeline
        self._keep = (data, firsts, counts)
        self._data = cnp.PyArray_BYTES(data)
        self._idle = []
        self._failed = INT64_MAX
        self._set_types(data.dtype, stored, fill)
        if len(chunk) != self._rank or self._rank == 0 or not firsts.shape[0] == counts.shape[0]:
            raise ValueError("Chunks have the rank of the array, and rows have lengths")
        self._cells = 1
        for i in range(self._rank - 1, -1, -1):
            self._shape[i] = cnp.PyArray_DIM(data, i)
            self._step[i] = cnp.PyArray_STRIDE(data, i)
            self._chunk[i] = chunk[i]
            self._chunk_step[i] = size
            size *= self._chunk[i]
            if self._chunk[i] < 1 or self._shape[i] < 1:
                raise ValueError("There is no chunk without pixels")
            self._grid[i] = (self._shape[i] + self._chunk[i] - 1) // self._chunk[i]
            if i > 0:
                self._cells *= self._grid[i]
            if self._chunk[i] > 1 and self._step[i] != self._chunk_step[i]:
                self._is_dense = False
        if <size_t>size != pipeline.nbytes:
            raise ValueError(f"A chunk of {size} bytes for a pipeline of {pipeline.nbytes}")
        for i in range(firsts.shape[0]):
            if (firsts[i] < 0 or counts[i] < 1 or counts[i] > self._chunk[0]
                    or firsts[i] > self._shape[0] - counts[i]):
                raise ValueError("Frames that are not in the array")
        if firsts.shape[0]:
            self._firsts = &firsts[0]
            self._counts = &counts[0]
        self._chunks = firsts.shape[0] * self._cells
        self._group = max(1, <int64_t>TASK_BYTES // <int64_t>size)
        Job.__init__(self, (self._chunks + self._group - 1) // self._group)
        self._slot_count = 2 * threads
        self._slots = <Slot *>calloc(self._slot_count, sizeof(Slot))
        if self._slots == NULL:
            raise MemoryError("room for encoded chunks")
        for i in range(self._slot_count):
            self._slots[i].bytes = <char *>malloc(self._group * pipeline.bound + 1)
            self._slots[i].sizes = <size_t *>malloc(self._group * sizeof(size_t))
            if self._slots[i].bytes == NULL or self._slots[i].sizes == NULL:
                raise MemoryError(f"{self._group * pipeline.bound} bytes for encoded chunks")

    def __dealloc__(self):
        cdef int64_t i
        if self._slots != NULL:
            for i in range(self._slot_count):
                free(self._slots[i].bytes)
                free(self._slots[i].sizes)
        free(self._slots)

    cdef int _set_types(self, cnp.dtype source, cnp.dtype stored, fill) except -1:
        cdef int have = pixel_code(source), want = pixel_code(stored)
        cdef int number
        staged = stored
        self._swap = NULL
        if source == stored and want != CXI_BOOL:
            set_opaque(&self._pass, stored.itemsize)
        elif have != OPAQUE and want != OPAQUE:
            set_rows(&self._pass, have, want, not source.isnative)
            if not stored.isnative:
                number = {2: 1, 4: 2, 8: 3}[stored.itemsize]
                self._swap = self._pass.rows.swap[number]
                staged = stored.newbyteorder("=")
        else:
            raise TypeError(f"There is no cast from {source} to {stored}")
        self._pass.checked = self._pass.stream = False
        self._pass.index = self._pass.at = NULL
        self._pass.frames = 1
        self._pass.src_frame = self._pass.dst_frame = 0
        self._is_dense = (self._pass.cast == NULL and self._pass.swap == NULL
                          and self._swap == NULL)
        self._fill_bytes = fill.astype(staged).tobytes()
        if len(self._fill_bytes) != stored.itemsize or stored.itemsize > 32:
            raise ValueError("The fill value is one pixel of up to 32 bytes")
        memcpy(self._fill, <const char *>self._fill_bytes, stored.itemsize)
        return 0

    @property
    def chunks(self):
        """How many chunks there are."""
        return self._chunks

    @property
    def failure(self):
        """What is wrong with the first chunk that could not be encoded, or None."""
        if self._failed == INT64_MAX:
            return None
        return cxi_encode_explain(self._error).decode("ascii")

    def work(self, Py_ssize_t limit=-1):
        """Make chunks; with a limit, at most one task's, and never wait for long."""
        cdef int64_t k
        cdef Workspace space
        cdef bint writes = limit >= 0
        try:
            space = self._idle.pop()
        except IndexError:
            space = Workspace(self._pipeline)
        with nogil:
            while not self.stopped():
                k = cxi_atomic_take(&self._next, self._open())
                if k >= 0:
                    if self._make(k, space):
                        cxi_atomic_store(&self._stopped, 1)
                    cxi_atomic_add(&self._done, 1)
                elif cxi_atomic_load(&self._next) >= self.tasks:
                    break
                elif not (writes and self._is_ready()):
                    usleep(PAUSE)
                if writes:
                    break
        self._idle.append(space)
        return not self.stopped() and cxi_atomic_load(&self._next) < self.tasks

    def drain(self, write):
        """Hand over what is made, in order, and make room.

        Parameters
        ----------
        write : callable
            Gets a chunk's number and its bytes, which are gone when it returns.

        Returns
        -------
        bool
            Whether all is written.
        """
        cdef Slot *slot
        cdef char *at
        cdef int64_t k, i
        while self._written < self.tasks and self._is_ready():
            slot = &self._slots[self._written % self._slot_count]
            at = slot.bytes
            k = self._written * self._group
            for i in range(min(self._group, self._chunks - k)):
                write(k + i, PyMemoryView_FromMemory(at, slot.sizes[i], PyBUF_READ))
                at += slot.sizes[i]
            cxi_atomic_store(&self._written, self._written + 1)
        return self._written == self.tasks

    cdef int64_t _open(self) noexcept nogil:
        # The task before which there is room.
        return min(<int64_t>self.tasks, cxi_atomic_load(&self._written) + self._slot_count)

    cdef bint _is_ready(self) noexcept nogil:
        cdef Slot *slot = &self._slots[self._written % self._slot_count]
        return cxi_atomic_load(&slot.made) == self._written + 1

    cdef int _make(self, int64_t k, Workspace space) noexcept nogil:
        cdef Slot *slot = &self._slots[k % self._slot_count]
        cdef char *at = slot.bytes
        cdef int64_t i
        cdef ptrdiff_t size
        for i in range(min(self._group, self._chunks - k * self._group)):
            size = cxi_encode_chunk(
                &space.encoder, &self._pipeline.c, self._pixels(k * self._group + i, space),
                self._pipeline.nbytes, at, self._pipeline.bound, space.scratch,
                self._pipeline.scratch_bytes)
            if size < 0:
                cxi_atomic_min(&self._failed, k)
                self._error = size
                return 1
            slot.sizes[i] = size
            at += size
        cxi_atomic_store(&slot.made, k + 1)
        return 0

    cdef const char *_pixels(self, int64_t k, Workspace space) noexcept nogil:
        # The chunk as it is before the first filter: where it lies, or staged.
        cdef Pass p = self._pass
        cdef Py_ssize_t shape[MAX_RANK]
        cdef Py_ssize_t at, pixels = 1
        cdef int64_t row = k // self._cells
        cdef int64_t rest = k % self._cells
        cdef bint is_whole = True
        cdef int i
        p.src = self._data
        for i in range(self._rank - 1, -1, -1):
            if i > 0:
                at = rest % self._grid[i] * self._chunk[i]
                rest //= self._grid[i]
                shape[i] = min(self._chunk[i], self._shape[i] - at)
            else:
                at = self._firsts[row]
                shape[i] = self._counts[row]
            p.src += at * self._step[i]
            is_whole = is_whole and shape[i] == self._chunk[i]
            pixels *= self._chunk[i]
        if is_whole and self._is_dense:
            return p.src
        if not is_whole:
            self._prefill(space.staged, pixels)
        p.dst = space.staged
        set_axes(&p, self._rank, shape, self._step, self._chunk_step)
        run_pass(&p, 0, p.frame_pixels)
        if self._swap != NULL:
            self._swap(space.staged, space.staged, pixels)
        return space.staged

    cdef void _prefill(self, char *dst, Py_ssize_t pixels) noexcept nogil:
        # Doubling what is filled already.
        cdef size_t size = self._pass.dst_size
        cdef size_t done = size, total = pixels * size
        memcpy(dst, self._fill, size)
        while done < total:
            memcpy(dst + done, dst, min(done, total - done))
            done += min(done, total - done)
