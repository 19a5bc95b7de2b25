"""Does a table of tasks: read a chunk, decode it, view and cast its pixels into their places."""

from libc.errno cimport EINTR, errno
from libc.stdint cimport INT64_MAX, int32_t, int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memmove, strerror

cimport numpy as cnp

from cxistack.kernels._decode cimport (
    CXI_TRUNCATED, cxi_bshuf, cxi_bshuf_next, cxi_bshuf_open,
    cxi_decode_chunk, cxi_decode_error, cxi_decoder_close, cxi_decoder_open
)
from cxistack.kernels.arrays cimport pixel_code, range_table
from cxistack.kernels.job cimport Job
from cxistack.kernels.levels cimport current_rows
from cxistack.kernels.loop cimport (
    MAX_RANK, Pass, is_moved, run_pass, set_axes, set_rows, set_within
)
from cxistack.kernels.rows cimport (
    cxi_atomic_add, cxi_atomic_load, cxi_atomic_min, cxi_atomic_store, cxi_range
)

cdef extern from *:
    """
    #include <errno.h>
    #include <stdint.h>
    #include <unistd.h>
    #include <sys/uio.h>

    /* pread; `at_hand`: only of what is in memory, EAGAIN where that is not so or not known. */
    static ssize_t cxi_pread(int fd, char *to, size_t count, int64_t offset, int at_hand)
    {
        if (!at_hand)
            return pread(fd, to, count, offset);
    #ifdef RWF_NOWAIT
        struct iovec piece = {to, count};
        return preadv2(fd, &piece, 1, offset, RWF_NOWAIT);
    #else
        errno = EAGAIN;
        return -1;
    #endif
    }
    """
    ssize_t cxi_pread(int fd, char *to, size_t count, int64_t offset, int at_hand) nogil

cnp.import_array()

cdef enum:
    LARGE = 1 << 20         # bytes of a chunk that takes a millisecond or more
    TILE = 65536            # decoded bytes that wait to be cast: they stay in L2
    HEAD_BYTES = 65536      # read of a chunk beyond what its head is guessed to take
    NOT_READ = -1           # statuses of our own, beside those of the decoders
    CUT_OFF = -2
    LOST = -3               # a value does not fit
    AWAY = -4               # what is to be read is not in memory

cdef double HEAD_MARGIN = 1.125


cdef class Workspace:
    """Memory and library contexts of one thread."""

    def __cinit__(self, size_t raw, size_t decoded, size_t scratch, size_t tile):
        self.raw = <char *>malloc(raw + 64)
        self.decoded = <char *>malloc(decoded + 64)
        self.scratch = <char *>malloc(scratch + 64)
        self.tile = <char *>malloc(tile + 64)
        self.raw_bytes = raw
        self.scratch_bytes = scratch
        self.is_open = cxi_decoder_open(&self.decoder, current_rows().name) == 0
        if (self.raw == NULL or self.decoded == NULL or self.scratch == NULL
                or self.tile == NULL or not self.is_open):
            raise MemoryError(f"{raw + decoded + scratch + tile} bytes to read chunks with")

    def __dealloc__(self):
        if self.is_open:
            cxi_decoder_close(&self.decoder)
        free(self.raw)
        free(self.decoded)
        free(self.scratch)
        free(self.tile)


cdef class ChunkJob(Job):
    """The tasks of datasets that are stored alike, done on threads.

    Every bound was checked by whoever made the tables; what comes from the files is checked here.

    Parameters
    ----------
    tasks : ndarray of tasks.TASK
        What to do.
    sources, places : ndarray of int64
        For each entry that a task names: the frame's row in its chunk, and its place in `out`.
    descriptors : ndarray of int32
        The files' descriptors.
    cells : sequence of tasks.Cell
        The pieces of a frame.
    pipeline : Pipeline or None
        What decodes a chunk.
    fill : ndarray of uint8
        A pixel's bytes where none was written.
    frame_bytes : int
        Bytes from one frame to the next in a chunk.
    stored : numpy.dtype
        Type of the stored pixels.
    out : ndarray
        The result; frames along its first axis, native byte order.
    checked : bool
        Whether a lost value ends the job.
    ranges : sequence of Range or None
        Pixels become whether they lie in all of these.
    both : bool
        With `ranges`: and are True in `out` already.
    """

    def __init__(self, const Task[::1] tasks, const int64_t[::1] sources,
                 const int64_t[::1] places, const int32_t[::1] descriptors, cells, pipeline,
                 const unsigned char[::1] fill, Py_ssize_t frame_bytes, cnp.dtype stored,
                 cnp.ndarray out not None, bint checked, ranges, bint both):
        cdef bint stream = cnp.PyArray_NBYTES(out) >= STREAM_BYTES
        self._take(tasks, sources, places, descriptors, out)
        self._set_up(cells, pipeline, fill, frame_bytes, stored, out.dtype,
                     (checked, stream, ranges, both))

    cdef _take(self, const Task[::1] tasks, const int64_t[::1] sources, const int64_t[::1] places,
               const int32_t[::1] descriptors, cnp.ndarray out):
        cdef Py_ssize_t k
        Job.__init__(self, tasks.shape[0])
        self._keep = (tasks, sources, places, descriptors, out)
        self._tasks = &tasks[0]
        self._sources = &sources[0]
        self._places = &places[0]
        self._descriptors = &descriptors[0]
        self._out = cnp.PyArray_BYTES(out)
        self._out_step = cnp.PyArray_STRIDE(out, 0)
        for k in range(tasks.shape[0]):
            if <size_t>tasks[k].size > self._raw_bytes:
                self._raw_bytes = tasks[k].size

    cdef _share(self, ChunkJob other):
        # All but the tasks is another's, which lives as long as this.
        self._owner = other
        self._ranges, self._both = other._ranges, other._both
        self._fill, self._frame_bytes = other._fill, other._frame_bytes
        self._cells, self._pipeline = other._cells, other._pipeline
        self._chunk_bytes, self._scratch_bytes = other._chunk_bytes, other._scratch_bytes
        self._tile_bytes, self._is_bitshuffled = other._tile_bytes, other._is_bitshuffled
        self._idle = []
        self._failed = INT64_MAX

    cdef _set_up(self, cells, pipeline, const unsigned char[::1] fill, Py_ssize_t frame_bytes,
                 cnp.dtype stored, cnp.dtype target, how):
        # All but the tasks; `how` is checked, stream, ranges, both.
        cdef Py_ssize_t k
        checked, stream, ranges, both = how
        self._ranges = None if ranges is None else range_table(ranges, stored)
        self._both = both
        self._fill_of = fill
        self._fill = <const char *>&fill[0]
        self._frame_bytes = frame_bytes
        self._idle = []
        self._failed = INT64_MAX
        self._cells = <CellPass *>malloc(len(cells) * sizeof(CellPass))
        if self._cells == NULL:
            raise MemoryError("the cells of a frame")
        if pipeline is not None:
            self._pipeline = pipeline
            self._chunk_bytes = self._pipeline.nbytes
            self._scratch_bytes = self._pipeline.scratch_bytes
            self._is_bitshuffled = self._pipeline.splits
        for k in range(len(cells)):
            self._set_cell(&self._cells[k], cells[k], stored, target, checked, stream)

    def __dealloc__(self):
        if self._owner is None:
            free(self._cells)

    cdef _set_cell(self, CellPass *c, cell, cnp.dtype stored, cnp.dtype target, bint checked,
                   bint stream):
        cdef Py_ssize_t shape[MAX_RANK]
        cdef Py_ssize_t src_step[MAX_RANK]
        cdef Py_ssize_t dst_step[MAX_RANK]
        cdef int i, rank = len(cell.shape)
        cdef Py_ssize_t dense
        set_rows(&c.p, pixel_code(stored), pixel_code(target), not stored.isnative)
        if self._ranges is not None:
            set_within(&c.p, pixel_code(stored), <const cxi_range *>cnp.PyArray_DATA(self._ranges),
                       cnp.PyArray_DIM(self._ranges, 0), self._both)
        c.p.checked = checked
        c.p.index = c.p.at = NULL
        c.p.frames = 1
        c.p.src_frame = self._frame_bytes
        for i in range(rank):
            shape[i] = cell.shape[i]
            src_step[i] = cell.src_steps[i]
            dst_step[i] = cell.dst_steps[i]
        set_axes(&c.p, rank, shape, src_step, dst_step)
        c.src = cell.src
        c.dst = cell.dst
        dense = c.p.frame_pixels * <Py_ssize_t>c.p.dst_size
        c.p.stream = (stream and not c.p.both and c.p.rank == 1
                      and c.p.dst_step[0] == <Py_ssize_t>c.p.dst_size)
        c.is_dense = (is_moved(&c.p) and c.p.swap == NULL and c.p.rank == 1
                      and c.p.dst_step[0] == <Py_ssize_t>c.p.dst_size
                      and c.p.src_step[0] == <Py_ssize_t>c.p.src_size)
        c.dense_bytes = dense
        c.is_tiled = rank == 2 and self._is_bitshuffled
        c.rows = shape[rank - 2]
        c.row_pixels = shape[rank - 1]
        c.pitch = abs(src_step[rank - 2])
        c.span = abs(src_step[rank - 1]) * (c.row_pixels - 1) + <Py_ssize_t>c.p.src_size
        c.first = cell.first
        c.last = cell.last
        c.is_upward = src_step[rank - 2] < 0
        c.is_sparse = c.pitch > c.span
        if c.is_tiled:
            # A row, and the blocks that it begins and ends in, fit at any time.
            self._tile_bytes = max(self._tile_bytes,
                                   TILE + <size_t>c.span + 2 * self._block_bytes())

    cdef size_t _block_bytes(self) noexcept:
        # A chunk may say another block size than its dataset does; open() bounds it by this.
        return self._scratch_bytes

    @property
    def bytes_read(self):
        """How many bytes came from the files so far."""
        return cxi_atomic_load(&self._read)

    @property
    def failure(self):
        """The first task that failed and what is wrong, as (task, sentence), or None."""
        if self._failed == INT64_MAX:
            return None
        if self._status == NOT_READ:
            return self._failed, f"cannot be read: {strerror(self._error).decode()}"
        if self._status == CUT_OFF:
            return self._failed, "lies beyond the end of the file"
        return self._failed, cxi_decode_error(self._status).decode("ascii")

    cdef bint is_away(self) noexcept nogil:
        # Whether a task failed for it waits for nothing.
        return self._failed != INT64_MAX and self._status == AWAY

    def work(self, Py_ssize_t limit=-1):
        """Do tasks until none is left or `limit` are done; return whether there may be more."""
        cdef int64_t k
        cdef Workspace space
        if self._raw_bytes + self._chunk_bytes > LARGE and limit > 1:
            limit = 1  # such a task is long enough for a signal to wait
        try:
            space = self._idle.pop()
        except IndexError:
            space = Workspace(self._raw_bytes, self._chunk_bytes if self._decodes_whole() else 0,
                              self._scratch_bytes, self._tile_bytes)
        with nogil:
            while limit != 0 and not self.stopped():
                k = cxi_atomic_add(&self._next, 1)
                if k >= self.tasks:
                    break
                if self._do(k, space):
                    cxi_atomic_store(&self._stopped, 1)
                cxi_atomic_add(&self._done, 1)
                limit -= 1
        self._idle.append(space)
        return not self.stopped() and cxi_atomic_load(&self._next) < self.tasks

    cdef bint _decodes_whole(self) noexcept nogil:
        # Memory that is asked for and not used makes the allocator give back what is: the next
        # result would be of fresh pages, which take longer to come than to fill.
        cdef Py_ssize_t k
        if self._cells == NULL:
            return False  # no pixel is placed
        for k in range(self.tasks):
            if not self._is_tiled(&self._tasks[k]):
                return True
        return False

    cdef bint _is_tiled(self, const Task *task) noexcept nogil:
        return self._cells[task.cell].is_tiled and task.mask == 0 and task.cells == 1

    cdef int _do(self, int64_t k, Workspace space) noexcept nogil:
        cdef const Task *task = &self._tasks[k]
        cdef const CellPass *cell = &self._cells[task.cell]
        cdef const char *pixels = self._fill
        cdef int status
        cdef int32_t c
        cdef bint whole
        cdef char *direct
        if task.address >= 0:
            if self._pipeline is None and cell.is_dense and self._is_run(task, cell):
                direct = self._out + self._places[task.place] * self._out_step + cell.dst
                status = self._fetch(task, direct, 0, task.size)
                return self._fail(k, status) if status else 0
            if self._is_tiled(task):
                return self._head(k, task, cell, space)
            status = self._fetch(task, space.raw, 0, task.size)
            if status:
                return self._fail(k, status)
            pixels = space.raw
            if self._pipeline is not None:
                whole = (cell.is_dense and task.count == 1 and task.cells == 1
                         and cell.dense_bytes == self._chunk_bytes)
                if whole:
                    direct = self._out + self._places[task.place] * self._out_step + cell.dst
                else:
                    direct = space.decoded
                status = cxi_decode_chunk(
                    &space.decoder, &self._pipeline.c, task.mask, space.raw, task.size,
                    direct, self._chunk_bytes, space.scratch, space.scratch_bytes)
                if status:
                    return self._fail(k, status)
                if whole:
                    return 0
                pixels = space.decoded
        for c in range(task.cells):
            if self._place(task, cell + c, pixels):
                return 1
        return 0

    cdef int _place(self, const Task *task, const CellPass *cell,
                    const char *pixels) noexcept nogil:
        cdef Pass p = cell.p
        cdef int axis
        p.src = pixels
        if task.address >= 0:
            p.src += cell.src - task.shift
        else:
            # The fill value is one pixel, again and again.
            p.src_frame = 0
            for axis in range(p.rank):
                p.src_step[axis] = 0
        p.dst = self._out + cell.dst
        p.dst_frame = self._out_step
        p.index = self._sources + task.place
        p.at = self._places + task.place
        p.frames = task.count
        if run_pass(&p, 0, <int64_t>p.frames * p.frame_pixels) >= 0:
            self.report_bad(task.place)
            return 1
        return 0

    cdef bint _is_run(self, const Task *task, const CellPass *cell) noexcept nogil:
        # Whether the task's bytes are those of the result, in one piece.
        cdef int64_t i
        if task.count == 1:
            return task.size == <int64_t>cell.dense_bytes
        if (task.size != <int64_t>cell.dense_bytes * task.count
                or self._out_step != <Py_ssize_t>cell.dense_bytes):
            return False
        for i in range(task.place + 1, task.place + task.count):
            if self._places[i] != self._places[i - 1] + 1:
                return False
            if self._sources[i] != self._sources[i - 1] + 1:
                return False
        return True

    cdef int _fetch(self, const Task *task, char *buffer, int64_t done,
                    int64_t stop) noexcept nogil:
        # Bytes done to stop of what the task reads, to the same places of the buffer.
        cdef int64_t begin = done
        cdef ssize_t n
        while done < stop:
            n = cxi_pread(self._descriptors[task.file], buffer + done, stop - done,
                          task.address + done, self._at_hand)
            if n < 0:
                if errno == EINTR:
                    continue
                if self._at_hand:
                    return AWAY  # or the system cannot tell: then it is read as it comes
                self._error = errno
                return NOT_READ
            if n == 0:
                return CUT_OFF
            done += n
        cxi_atomic_add(&self._read, done - begin)
        return 0

    cdef int _head(self, int64_t k, const Task *task, const CellPass *cell,
                   Workspace space) noexcept nogil:
        # Blocks come in order: of a chunk in which the wanted rows end early, the head will do. How
        # long it is stored is a guess, and where it is too short, the rest is read as well.
        cdef int64_t size = task.size
        cdef double part = (self._sources[task.place + task.count - 1] * self._frame_bytes
                            + cell.last) / <double>self._chunk_bytes
        cdef int64_t head = <int64_t>(part * HEAD_MARGIN * size) + HEAD_BYTES
        cdef int status
        if head > size:
            head = size
        status = self._fetch(task, space.raw, 0, head)
        if not status:
            status = self._tiles(task, cell, space, head)
        if status == CXI_TRUNCATED and head < size:
            status = self._fetch(task, space.raw, head, size)
            if not status:
                status = self._tiles(task, cell, space, size)
        if status == LOST:
            self.report_bad(task.place)
            return 1
        return self._fail(k, status) if status else 0

    cdef int _tiles(self, const Task *task, const CellPass *cell, Workspace space,
                    int64_t size) noexcept nogil:
        # Blocks without a wanted pixel are stepped over; the others are decoded side by side into
        # a tile, and leave it, cast, while they are in L2.
        cdef cxi_bshuf it
        cdef int64_t e = task.place, end = task.place + task.count, last
        cdef int64_t begin, stop          # the part of the chunk that the tile holds
        cdef int64_t base, want, row, ready
        cdef int status
        begin = stop = 0
        status = cxi_bshuf_open(&it, &space.decoder, &self._pipeline.c.filter[0],
                                self._chunk_bytes, space.raw, size, space.scratch,
                                space.scratch_bytes)
        if status:
            return status
        while e < end:
            last = e + 1
            while last < end and self._sources[last] == self._sources[e]:
                last += 1
            base = self._sources[e] * self._frame_bytes + cell.first
            row = 0
            while row < cell.rows:
                want = base + row * cell.pitch
                if want >= stop:
                    while it.bytes > 0 and <int64_t>(it.offset + it.bytes) <= want:
                        status = cxi_bshuf_next(&it, NULL)
                        if status:
                            return status
                    begin = stop = it.offset
                elif want > begin:
                    memmove(space.tile, space.tile + (want - begin), stop - want)
                    begin = want
                while (it.bytes > 0
                       and stop - begin + <int64_t>it.bytes <= <int64_t>self._tile_bytes
                       and (stop - begin < TILE or stop < want + cell.span)
                       and stop < base + (cell.rows - 1) * cell.pitch + cell.span):
                    if cell.is_sparse and self._is_between(cell, stop - base, it.bytes):
                        status = cxi_bshuf_next(&it, NULL)
                    else:
                        status = cxi_bshuf_next(&it, space.tile + (stop - begin))
                    if status:
                        return status
                    stop = it.offset
                if stop < want + cell.span:
                    return CXI_TRUNCATED
                ready = cell.rows
                if base + (cell.rows - 1) * cell.pitch + cell.span > stop:
                    ready = (stop - cell.span - base) // cell.pitch + 1
                if self._emit(cell, space.tile - begin + base - cell.first, e, last, row, ready):
                    return LOST
                row = ready
            e = last
        return 0

    cdef bint _is_between(self, const CellPass *cell, int64_t begin, int64_t size) noexcept nogil:
        # Whether a block lies between rows; begin counts from the first row's first pixel.
        cdef int64_t row = (begin - cell.span) // cell.pitch + 1 if begin >= cell.span else 0
        return row * cell.pitch >= begin + size

    cdef int _emit(self, const CellPass *cell, const char *frame, int64_t e, int64_t last,
                   int64_t row, int64_t ready) noexcept nogil:
        # Rows row to ready, as they are stored, of one frame to each of its places.
        cdef Pass p = cell.p
        cdef int64_t begin = row, stop = ready
        p.src = frame + cell.src
        if cell.is_upward:
            begin, stop = cell.rows - ready, cell.rows - row
        while e < last:
            p.dst = self._out + self._places[e] * self._out_step + cell.dst
            if run_pass(&p, begin * cell.row_pixels, stop * cell.row_pixels) >= 0:
                return 1
            e += 1
        return 0

    cdef int _fail(self, int64_t k, int status) noexcept nogil:
        # The task of the lowest number is told of; the word for it may be another's in a race of
        # two failures, never no failure's.
        if k < cxi_atomic_load(&self._failed):
            cxi_atomic_min(&self._failed, k)
            self._status = status
        return 1
