# What reads chunks, for who makes their tasks in compiled code.
from libc.stdint cimport int32_t, int64_t, uint32_t

cimport numpy as cnp

from cxistack.kernels._decode cimport Pipeline, cxi_decoder, cxi_pipeline
from cxistack.kernels.job cimport Job
from cxistack.kernels.loop cimport MAX_RANK, Pass
from cxistack.kernels.rows cimport cxi_range


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

cdef enum:
    NOT_READ = -1           # statuses of our own, beside those of the decoders
    CUT_OFF = -2
    LOST = -3               # a value does not fit
    AWAY = -4               # what is to be read is not in memory


# A piece of a frame, as tasks.Cell tells of it.
cdef struct Piece:
    int rank
    Py_ssize_t src
    Py_ssize_t dst
    Py_ssize_t first
    Py_ssize_t last
    Py_ssize_t shape[MAX_RANK]
    Py_ssize_t src_step[MAX_RANK]
    Py_ssize_t dst_step[MAX_RANK]


# What happens to pixels.
cdef struct Pixels:
    int stored
    int target
    bint swapped
    bint checked
    bint stream
    const cxi_range *ranges         # or NULL
    size_t range_count
    bint both


# Memory and library contexts of one thread; all zero before it is opened.
cdef struct Space:
    char *raw
    char *decoded
    char *scratch
    char *tile
    size_t raw_bytes
    size_t scratch_bytes
    cxi_decoder decoder
    bint is_open


# Tasks, and all that doing them takes. Every bound in it was checked by who made it.
cdef struct Work:
    const Task *tasks
    const int64_t *sources
    const int64_t *places
    const int32_t *descriptors      # of a negative one the bytes lie in memory
    const char *memory
    int64_t memory_bytes
    const char *fill
    char *out
    CellPass *cells
    const cxi_pipeline *pipeline    # NULL: chunks are not filtered
    bint is_bitshuffled
    size_t raw_bytes
    size_t chunk_bytes
    size_t scratch_bytes
    size_t tile_bytes
    Py_ssize_t frame_bytes
    Py_ssize_t out_step
    bint at_hand                    # nothing is waited for: what is not in memory fails
    int64_t *first_bad              # the first entry of which a value does not fit
    int64_t failed                  # the first task that failed, and of what
    int status
    int error
    int64_t read                    # bytes


# 0, or -1: there is no memory, and nothing is to be closed.
cdef int open_space(Space *space, size_t raw, size_t decoded, size_t scratch,
                    size_t tile) noexcept nogil
cdef int grow_space(Space *space, size_t raw) noexcept nogil  # its old raw bytes are lost
cdef void close_space(Space *space) noexcept nogil

cdef how_pixels(Pixels *pixels, cnp.dtype stored, cnp.dtype target, bint checked, bint stream)
cdef take_cell(Piece *piece, cell)
# Needs of the work: frame_bytes, scratch_bytes and is_bitshuffled; its tile_bytes grow with cells.
cdef void set_cell(Work *w, CellPass *c, const Piece *piece, const Pixels *pixels) noexcept nogil

# What to say of a chunk after a status, as the end of a sentence.
cdef const char *why_failed(int status) noexcept nogil

# Does one task; non-zero: it failed, or a value does not fit.
cdef int do_task(Work *w, int64_t k, Space *space) noexcept nogil
cdef int place_pixels(Work *w, const Task *task, const CellPass *cell,
                      const char *pixels) noexcept nogil
cdef int fetch(Work *w, const Task *task, char *buffer, int64_t done,
               int64_t stop) noexcept nogil
cdef int fail_task(Work *w, int64_t k, int status) noexcept nogil


cdef class Workspace:
    cdef Space c


cdef class ChunkJob(Job):
    cdef Work w
    cdef Pipeline _pipeline
    cdef cnp.ndarray _ranges
    cdef bint _both
    cdef object _keep
    cdef ChunkJob _owner        # of the cells, where that is another
    cdef bint _owns_cells       # a collection may have taken `_owner` before this is freed
    cdef const unsigned char[::1] _fill_of
    cdef const unsigned char[::1] _memory
    cdef list _idle

    cdef _take(self, const Task[::1] tasks, const int64_t[::1] sources, const int64_t[::1] places,
               const int32_t[::1] descriptors, cnp.ndarray out)
    cdef _share(self, ChunkJob other)
    cdef _begin(self)
    cdef _set_up(self, cells, pipeline, const unsigned char[::1] fill, Py_ssize_t frame_bytes,
                 cnp.dtype stored, cnp.dtype target, how)
    cdef _decode_by(self, Pipeline pipeline)
    cdef bint is_away(self) noexcept nogil
    cdef int _do(self, int64_t k, Space *space) noexcept nogil
