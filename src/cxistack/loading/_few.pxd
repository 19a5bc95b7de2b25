# Where the rows of a load's parts lie, for who reads few of them.
from libc.stdint cimport int32_t, int64_t, uint32_t

cimport numpy as cnp

from cxistack.loading._read_chunks cimport ChunkJob, Task, Workspace


cdef struct Lead:
    # The first of cells that one chunk holds.
    int64_t number
    int32_t cell
    int32_t cells
    int64_t first
    int64_t last


# The last part that begins at or before a frame; empty ones begin there, too.
cdef inline Py_ssize_t part_of(const int64_t[::1] offsets, int64_t number) noexcept nogil:
    cdef Py_ssize_t low = 0, high = offsets.shape[0] - 1, middle
    while high - low > 1:
        middle = (low + high) // 2
        if offsets[middle] <= number:
            low = middle
        else:
            high = middle
    return low


# One past the last of the frames from `begin` on that are of a part, `stop` at most.
cdef inline Py_ssize_t end_of(const int64_t[::1] offsets, Py_ssize_t part, const int64_t *numbers,
                              Py_ssize_t begin, Py_ssize_t stop) noexcept nogil:
    cdef Py_ssize_t end = begin + 1
    while end < stop and offsets[part] <= numbers[end] < offsets[part + 1]:
        end += 1
    return end


cdef class Rows
cdef class Way


cdef class Kind:
    cdef readonly object cells
    cdef readonly tuple how
    cdef readonly bint splits
    cdef dict _idle, _plans
    cdef Lead *_leads
    cdef readonly Py_ssize_t tasks       # of a frame
    cdef readonly int64_t frames         # in a chunk
    cdef int64_t _inner
    cdef int64_t _step                   # bytes from a frame to the next in a chunk
    cdef int64_t frame_bytes             # to read of a frame
    cdef int64_t chunk_bytes             # to decode of a chunk; 0: chunks are not filtered
    cdef bint is_fast

    cdef bint is_tiny(self, const Task *tasks, int64_t count) noexcept nogil
    cdef int64_t plan(self, Way way, const int64_t *numbers, Py_ssize_t n, Task *tasks,
                      int64_t *entries, int64_t place, int32_t file, int64_t room) noexcept nogil
    cdef Rows take(self, steps)
    cdef give_back(self, steps, Rows rows)


cdef class Way:
    cdef readonly Kind kind
    cdef readonly object place, path, stamp, address
    cdef bytes _name
    cdef const char *_path
    cdef int64_t[4] _stamp
    cdef int64_t first, step
    cdef const int64_t[::1] addresses, sizes
    cdef const uint32_t[::1] masks
    cdef const int64_t *chunk_address
    cdef const int64_t *size
    cdef const uint32_t *mask
    cdef readonly int64_t offset
    cdef int64_t row
    cdef bint is_static

    cdef int64_t row_of(self, int64_t number) noexcept nogil
    cdef int64_t address_of(self, int64_t where) noexcept nogil
    cpdef bint is_as_it_was(self, int descriptor=*) noexcept
    cdef bint is_intact(self, int descriptor, int64_t *seen) noexcept nogil
    cdef bint _is_same(self, const int64_t *now) noexcept nogil
    cdef int64_t cost(self, const int64_t *numbers, Py_ssize_t n) noexcept nogil


cdef class ChunkCache:
    cdef readonly Py_ssize_t limit, held
    cdef object _chunks, _touched

    cdef cnp.ndarray find(self, key)
    cdef bint is_wanted(self, key, Py_ssize_t size)
    cdef keep(self, key, cnp.ndarray chunk, Py_ssize_t size)


cdef class Rows(ChunkJob):
    cdef Task *_few
    cdef int64_t *_entries
    cdef int64_t *_targets
    cdef int32_t _fd
    cdef bint _is_tiny
    cdef Workspace _space

    cdef int64_t plan(self, Way way, const int64_t *numbers, Py_ssize_t n,
                      int64_t place) noexcept nogil
    cdef bint run(self, Way way, int64_t count, char *out, Py_ssize_t step, int fd,
                  ChunkCache cache) except -1
    cdef int _do_one(self, int64_t k, Workspace space) except -1
    cdef bint _takes_all(self, const Task *task) noexcept nogil
    cdef int _from_cache(self, int64_t k, Way way, Workspace space, ChunkCache cache) except -1
    cdef int _decode(self, const Task *task, Workspace space, char *to) noexcept nogil
