# What reads chunks, for who makes their tasks in compiled code.
from libc.stdint cimport int32_t, int64_t, uint32_t

cimport numpy as cnp

from cxistack.kernels._decode cimport Pipeline, cxi_decoder
from cxistack.kernels.job cimport Job
from cxistack.kernels.loop cimport Pass


# As numpy lays out tasks.TASK.
cdef struct Task:
    int64_t address
    int64_t size
    int64_t shift
    int64_t place
    int32_t count
    int32_t file
    int32_t cell
    uint32_t mask
    int32_t cells


cdef struct CellPass:
    Pass p
    Py_ssize_t src              # offset of the first pixel in a chunk's frame
    Py_ssize_t dst              # and in the result's frame
    bint is_dense               # bytes go as they are, and in one piece
    size_t dense_bytes
    # For tiles: rows in the order in which they are stored.
    bint is_tiled
    Py_ssize_t rows
    Py_ssize_t row_pixels
    Py_ssize_t first            # bytes of the chunk's frame before those of the first row
    Py_ssize_t last             # and to the end of the last one's
    Py_ssize_t pitch            # from one row's to the next
    Py_ssize_t span             # bytes that hold one row's pixels
    bint is_upward              # the result's last row is stored first
    bint is_sparse              # a block may lie between two rows, and hold no wanted pixel


cdef enum:
    STREAM_BYTES = 8 << 20  # results from here on bypass the caches, as in kernels/loop.pyx


cdef class Workspace:
    cdef char *raw
    cdef char *decoded
    cdef char *scratch
    cdef char *tile
    cdef size_t raw_bytes
    cdef size_t scratch_bytes
    cdef cxi_decoder decoder
    cdef bint is_open


cdef class ChunkJob(Job):
    cdef const Task *_tasks
    cdef const int64_t *_sources
    cdef const int64_t *_places
    cdef const int32_t *_descriptors
    cdef const char *_fill
    cdef char *_out
    cdef CellPass *_cells
    cdef Pipeline _pipeline
    cdef bint _is_bitshuffled
    cdef size_t _raw_bytes, _chunk_bytes, _scratch_bytes, _tile_bytes
    cdef Py_ssize_t _frame_bytes, _out_step
    cdef cnp.ndarray _ranges
    cdef bint _both
    cdef bint _at_hand          # nothing is waited for: what is not in memory fails
    cdef object _keep
    cdef ChunkJob _owner        # of the cells, where that is another
    cdef const unsigned char[::1] _fill_of
    cdef list _idle
    cdef int64_t _failed
    cdef int64_t _read
    cdef int _status
    cdef int _error

    cdef _take(self, const Task[::1] tasks, const int64_t[::1] sources, const int64_t[::1] places,
               const int32_t[::1] descriptors, cnp.ndarray out)
    cdef _share(self, ChunkJob other)
    cdef _set_up(self, cells, pipeline, const unsigned char[::1] fill, Py_ssize_t frame_bytes,
                 cnp.dtype stored, cnp.dtype target, how)
    cdef _set_cell(self, CellPass *c, cell, cnp.dtype stored, cnp.dtype target, bint checked,
                   bint stream)
    cdef size_t _block_bytes(self) noexcept
    cdef bint is_away(self) noexcept nogil
    cdef bint _decodes_whole(self) noexcept nogil
    cdef bint _is_tiled(self, const Task *task) noexcept nogil
    cdef int _do(self, int64_t k, Workspace space) noexcept nogil
    cdef int _place(self, const Task *task, const CellPass *cell, const char *pixels) noexcept nogil
    cdef bint _is_run(self, const Task *task, const CellPass *cell) noexcept nogil
    cdef int _fetch(self, const Task *task, char *buffer, int64_t done, int64_t stop) noexcept nogil
    cdef int _head(self, int64_t k, const Task *task, const CellPass *cell,
                   Workspace space) noexcept nogil
    cdef int _tiles(self, const Task *task, const CellPass *cell, Workspace space,
                    int64_t size) noexcept nogil
    cdef bint _is_between(self, const CellPass *cell, int64_t begin, int64_t size) noexcept nogil
    cdef int _emit(self, const CellPass *cell, const char *frame, int64_t e, int64_t last,
                   int64_t row, int64_t ready) noexcept nogil
    cdef int _fail(self, int64_t k, int status) noexcept nogil
