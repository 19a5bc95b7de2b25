"""Does a table of tasks: read a chunk, decode it, view and cast its pixels into their places."""

from libc.errno cimport EINTR, errno
from libc.stdint cimport INT64_MAX, int32_t, int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove, memset, strerror

cimport numpy as cnp

from cxistack.kernels._decode cimport (
    CXI_TRUNCATED, cxi_bshuf, cxi_bshuf_next, cxi_bshuf_open,
    cxi_decode_chunk, cxi_decode_error, cxi_decoder_close, cxi_decoder_open
)
from cxistack.kernels.arrays cimport pixel_code, range_table
from cxistack.kernels.job cimport Job
from cxistack.kernels.levels cimport current_rows
from cxistack.kernels.loop cimport (
    Pass, is_moved, run_pass, set_axes, set_rows, set_within
)
from cxistack.kernels.results cimport give, take
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

cdef double HEAD_MARGIN = 1.125
HEAD = (HEAD_MARGIN, HEAD_BYTES)


cdef int open_space(Space *space, size_t raw, size_t decoded, size_t scratch,
                    size_t tile) noexcept nogil:
    space.raw = <char *>take(raw + 64)
    space.decoded = <char *>take(decoded + 64)
    space.scratch = <char *>take(scratch + 64)
    space.tile = <char *>take(tile + 64)
    space.raw_bytes = raw
    space.scratch_bytes = scratch
    space.is_open = cxi_decoder_open(&space.decoder, current_rows().name) == 0
    if (space.raw == NULL or space.decoded == NULL or space.scratch == NULL or space.tile == NULL
            or not space.is_open):
        close_space(space)
        return -1
    return 0


cdef int grow_space(Space *space, size_t raw) noexcept nogil:
    cdef char *more = <char *>take(raw + 64)
    if more == NULL:
        return -1
    give(space.raw)
    space.raw, space.raw_bytes = more, raw
    return 0


cdef void close_space(Space *space) noexcept nogil:
    if space.is_open:
        cxi_decoder_close(&space.decoder)
    give(space.raw)
    give(space.decoded)
    give(space.scratch)
    give(space.tile)
    memset(space, 0, sizeof(Space))


cdef class Workspace:
    """Memory and library contexts of one thread."""

    def __cinit__(self, size_t raw, size_t decoded, size_t scratch, size_t tile):
        if open_space(&self.c, raw, decoded, scratch, tile):
            raise MemoryError(f"{raw + decoded + scratch + tile} bytes to read chunks with")

    def __dealloc__(self):
        close_space(&self.c)


cdef const char *why_failed(int status) noexcept nogil:
    if status == NOT_READ:
        return "cannot be read"
    if status == CUT_OFF:
        return "lies beyond the end of the file"
    return cxi_decode_error(status)


cdef how_pixels(Pixels *pixels, cnp.dtype stored, cnp.dtype target, bint checked, bint stream):
    pixels.stored, pixels.target = pixel_code(stored), pixel_code(target)
    pixels.swapped = not stored.isnative
    pixels.checked, pixels.stream = checked, stream
    pixels.ranges = NULL


cdef take_cell(Piece *piece, cell):
    cdef int i
    piece.rank = len(cell.shape)
    for i in range(piece.rank):
        piece.shape[i] = cell.shape[i]
        piece.src_step[i] = cell.src_steps[i]
        piece.dst_step[i] = cell.dst_steps[i]
    piece.src, piece.dst = cell.src, cell.dst
    piece.first, piece.last = cell.first, cell.last


cdef void set_cell(Work *w, CellPass *c, const Piece *piece,
                   const Pixels *pixels) noexcept nogil:
    cdef int rank = piece.rank
    cdef Py_ssize_t slow = piece.src_step[rank - 2], fast = piece.src_step[rank - 1]
    cdef bint is_packed
    set_rows(&c.p, pixels.stored, pixels.target, pixels.swapped)
    if pixels.ranges != NULL:
        set_within(&c.p, pixels.stored, pixels.ranges, pixels.range_count, pixels.both)
    c.p.checked = pixels.checked
    c.p.index = c.p.at = NULL
    c.p.frames = 1
    c.p.src_frame = w.frame_bytes
    c.p.dst_frame = 0               # each frame's place is told when it is there
    set_axes(&c.p, rank, piece.shape, piece.src_step, piece.dst_step)
    c.src = piece.src
    c.dst = piece.dst
    is_packed = c.p.rank == 1 and c.p.dst_step[0] == <Py_ssize_t>c.p.dst_size
    c.p.stream = pixels.stream and not c.p.both and is_packed
    c.is_dense = (is_moved(&c.p) and c.p.swap == NULL and is_packed
                  and c.p.src_step[0] == <Py_ssize_t>c.p.src_size)
    c.dense_bytes = c.p.frame_pixels * <Py_ssize_t>c.p.dst_size
    c.is_tiled = rank == 2 and w.is_bitshuffled
    c.rows = piece.shape[rank - 2]
    c.row_pixels = piece.shape[rank - 1]
    c.pitch = slow if slow >= 0 else -slow
    c.span = ((fast if fast >= 0 else -fast) * (c.row_pixels - 1)
              + <Py_ssize_t>c.p.src_size)
    c.first = piece.first
    c.last = piece.last
    c.is_upward = slow < 0
    c.is_sparse = c.pitch > c.span
    if c.is_tiled:
        # A row, and the blocks that it begins and ends in, fit at any time. A chunk may say another
        # block size than its dataset does; cxi_bshuf_open bounds it by the scratch.
        w.tile_bytes = max(w.tile_bytes, TILE + <size_t>c.span + 2 * w.scratch_bytes)


cdef bint decodes_whole(const Work *w, Py_ssize_t tasks) noexcept nogil:
    # Memory that is asked for and not used makes the allocator give back what is: the next
    # result would be of fresh pages, which take longer to come than to fill.
    cdef Py_ssize_t k
    if w.cells == NULL:
        return False  # no pixel is placed
    for k in range(tasks):
        if not _is_tiled(w, &w.tasks[k]):
            return True
    return False


cdef bint _is_tiled(const Work *w, const Task *task) noexcept nogil:
    return w.cells[task.cell].is_tiled and task.mask == 0 and task.cells == 1


cdef int do_task(Work *w, int64_t k, Space *space) noexcept nogil:
    cdef const Task *task = &w.tasks[k]
    cdef const CellPass *cell = &w.cells[task.cell]
    cdef const char *pixels = w.fill
    cdef int status
    cdef int32_t c
    cdef bint whole
    cdef char *direct
    if task.address >= 0:
        if w.pipeline == NULL and cell.is_dense and _is_run(w, task, cell):
            direct = w.out + w.places[task.place] * w.out_step + cell.dst
            status = fetch(w, task, direct, 0, task.size)
            return fail_task(w, k, status) if status else 0
        if _is_tiled(w, task):
            return _head(w, k, task, cell, space)
        status = fetch(w, task, space.raw, 0, task.size)
        if status:
            return fail_task(w, k, status)
        pixels = space.raw
        if w.pipeline != NULL:
            whole = (cell.is_dense and task.count == 1 and task.cells == 1
                     and cell.dense_bytes == w.chunk_bytes)
            if whole:
                direct = w.out + w.places[task.place] * w.out_step + cell.dst
            else:
                direct = space.decoded
            status = cxi_decode_chunk(
                &space.decoder, w.pipeline, task.mask, space.raw, task.size,
                direct, w.chunk_bytes, space.scratch, space.scratch_bytes)
            if status:
                return fail_task(w, k, status)
            if whole:
                return 0
            pixels = space.decoded
    for c in range(task.cells):
        if place_pixels(w, task, cell + c, pixels):
            return 1
    return 0


cdef int place_pixels(Work *w, const Task *task, const CellPass *cell,
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
    p.dst = w.out + cell.dst
    p.dst_frame = w.out_step
    p.index = w.sources + task.place
    p.at = w.places + task.place
    p.frames = task.count
    if run_pass(&p, 0, <int64_t>p.frames * p.frame_pixels) >= 0:
        cxi_atomic_min(w.first_bad, task.place)
        return 1
    return 0


cdef bint _is_run(const Work *w, const Task *task, const CellPass *cell) noexcept nogil:
    # Whether the task's bytes are those of the result, in one piece.
    cdef int64_t i
    if task.count == 1:
        return task.size == <int64_t>cell.dense_bytes
    if (task.size != <int64_t>cell.dense_bytes * task.count
            or w.out_step != <Py_ssize_t>cell.dense_bytes):
        return False
    for i in range(task.place + 1, task.place + task.count):
        if w.places[i] != w.places[i - 1] + 1:
            return False
        if w.sources[i] != w.sources[i - 1] + 1:
            return False
    return True


cdef int fetch(Work *w, const Task *task, char *buffer, int64_t done,
               int64_t stop) noexcept nogil:
    # Bytes done to stop of what the task reads, to the same places of the buffer.
    cdef int64_t begin = done
    cdef ssize_t n
    if w.descriptors[task.file] < 0:
        if task.address + stop > w.memory_bytes:
            return CUT_OFF
        memcpy(buffer + done, w.memory + task.address + done, stop - done)
        done = stop
    while done < stop:
        n = cxi_pread(w.descriptors[task.file], buffer + done, stop - done,
                      task.address + done, w.at_hand)
        if n < 0:
            if errno == EINTR:
                continue
            if w.at_hand:
                return AWAY  # or the system cannot tell: then it is read as it comes
            w.error = errno
            return NOT_READ
        if n == 0:
            return CUT_OFF
        done += n
    cxi_atomic_add(&w.read, done - begin)
    return 0


cdef int _head(Work *w, int64_t k, const Task *task, const CellPass *cell,
               Space *space) noexcept nogil:
    # Blocks come in order: of a chunk in which the wanted rows end early, the head will do. How
    # long it is stored is a guess, and where it is too short, the rest is read as well.
    cdef int64_t size = task.size
    cdef double part = (w.sources[task.place + task.count - 1] * w.frame_bytes
                        + cell.last) / <double>w.chunk_bytes
    cdef int64_t head = <int64_t>(part * HEAD_MARGIN * size) + HEAD_BYTES
    cdef int status
    if head > size or w.descriptors[task.file] < 0:
        head = size                     # in memory is only what is wanted
    status = fetch(w, task, space.raw, 0, head)
    if not status:
        status = _tiles(w, task, cell, space, head)
    if status == CXI_TRUNCATED and head < size:
        status = fetch(w, task, space.raw, head, size)
        if not status:
            status = _tiles(w, task, cell, space, size)
    if status == LOST:
        cxi_atomic_min(w.first_bad, task.place)
        return 1
    return fail_task(w, k, status) if status else 0


cdef int _tiles(Work *w, const Task *task, const CellPass *cell, Space *space,
                int64_t size) noexcept nogil:
    # Blocks without a wanted pixel are stepped over; the others are decoded side by side into
    # a tile, and leave it, cast, while they are in L2.
    cdef cxi_bshuf it
    cdef int64_t e = task.place, end = task.place + task.count, last
    cdef int64_t begin, stop          # the part of the chunk that the tile holds
    cdef int64_t base, want, row, ready
    cdef int status
    begin = stop = 0
    status = cxi_bshuf_open(&it, &space.decoder, &w.pipeline.filter[0],
                            w.chunk_bytes, space.raw, size, space.scratch,
                            space.scratch_bytes)
    if status:
        return status
    while e < end:
        last = e + 1
        while last < end and w.sources[last] == w.sources[e]:
            last += 1
        base = w.sources[e] * w.frame_bytes + cell.first
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
                   and stop - begin + <int64_t>it.bytes <= <int64_t>w.tile_bytes
                   and (stop - begin < TILE or stop < want + cell.span)
                   and stop < base + (cell.rows - 1) * cell.pitch + cell.span):
                if cell.is_sparse and _is_between(cell, stop - base, it.bytes):
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
            if _emit(w, cell, space.tile - begin + base - cell.first, e, last, row, ready):
                return LOST
            row = ready
        e = last
    return 0


cdef bint _is_between(const CellPass *cell, int64_t begin, int64_t size) noexcept nogil:
    # Whether a block lies between rows; begin counts from the first row's first pixel.
    cdef int64_t row = (begin - cell.span) // cell.pitch + 1 if begin >= cell.span else 0
    return row * cell.pitch >= begin + size


cdef int _emit(Work *w, const CellPass *cell, const char *frame, int64_t e, int64_t last,
               int64_t row, int64_t ready) noexcept nogil:
    # Rows row to ready, as they are stored, of one frame to each of its places.
    cdef Pass p = cell.p
    cdef int64_t begin = row, stop = ready
    p.src = frame + cell.src
    if cell.is_upward:
        begin, stop = cell.rows - ready, cell.rows - row
    while e < last:
        p.dst = w.out + w.places[e] * w.out_step + cell.dst
        if run_pass(&p, begin * cell.row_pixels, stop * cell.row_pixels) >= 0:
            return 1
        e += 1
    return 0


cdef int fail_task(Work *w, int64_t k, int status) noexcept nogil:
    # The task of the lowest number is told of; the word for it may be another's in a race of
    # two failures, never no failure's.
    if k < cxi_atomic_load(&w.failed):
        cxi_atomic_min(&w.failed, k)
        w.status = status
    return 1


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

    def read_memory(self, const unsigned char[::1] memory):
        """Take what files of negative descriptors hold from `memory`, where tasks then lie."""
        self._memory = memory
        self.w.memory = <const char *>&memory[0] if memory.shape[0] else NULL
        self.w.memory_bytes = memory.shape[0]

    cdef _take(self, const Task[::1] tasks, const int64_t[::1] sources, const int64_t[::1] places,
               const int32_t[::1] descriptors, cnp.ndarray out):
        cdef Py_ssize_t k
        Job.__init__(self, tasks.shape[0])
        self._keep = (tasks, sources, places, descriptors, out)
        self.w.tasks = &tasks[0]
        self.w.sources = &sources[0]
        self.w.places = &places[0]
        self.w.descriptors = &descriptors[0]
        self.w.out = cnp.PyArray_BYTES(out)
        self.w.out_step = cnp.PyArray_STRIDE(out, 0)
        for k in range(tasks.shape[0]):
            if <size_t>tasks[k].size > self.w.raw_bytes:
                self.w.raw_bytes = tasks[k].size

    cdef _share(self, ChunkJob other):
        # All but the tasks is another's, which lives as long as this.
        self._owner = other
        self._ranges, self._both, self._pipeline = other._ranges, other._both, other._pipeline
        self.w = other.w
        self._begin()

    cdef _begin(self):
        self.w.first_bad = &self._first_bad
        self.w.read = 0
        self.w.failed = INT64_MAX
        self._idle = []

    cdef _set_up(self, cells, pipeline, const unsigned char[::1] fill, Py_ssize_t frame_bytes,
                 cnp.dtype stored, cnp.dtype target, how):
        # All but the tasks; `how` is checked, stream, ranges, both.
        cdef Py_ssize_t k
        cdef Pixels pixels
        cdef Piece piece
        checked, stream, ranges, both = how
        self._ranges = None if ranges is None else range_table(ranges, stored)
        self._both = both
        self._fill_of = fill
        self.w.fill = <const char *>&fill[0]
        self.w.frame_bytes = frame_bytes
        self._begin()
        self.w.cells = <CellPass *>malloc(len(cells) * sizeof(CellPass))
        if self.w.cells == NULL:
            raise MemoryError("the cells of a frame")
        self._owns_cells = True
        if pipeline is not None:
            self._decode_by(pipeline)
        how_pixels(&pixels, stored, target, checked, stream)
        if self._ranges is not None:
            pixels.ranges = <const cxi_range *>cnp.PyArray_DATA(self._ranges)
            pixels.range_count = cnp.PyArray_DIM(self._ranges, 0)
            pixels.both = both
        for k in range(len(cells)):
            take_cell(&piece, cells[k])
            set_cell(&self.w, &self.w.cells[k], &piece, &pixels)

    cdef _decode_by(self, Pipeline pipeline):
        self._pipeline = pipeline
        self.w.pipeline = &pipeline.c
        self.w.chunk_bytes = pipeline.nbytes
        self.w.scratch_bytes = pipeline.scratch_bytes
        self.w.is_bitshuffled = pipeline.splits

    def __dealloc__(self):
        if self._owns_cells:
            free(self.w.cells)

    @property
    def bytes_read(self):
        """How many bytes came from the files so far."""
        return cxi_atomic_load(&self.w.read)

    @property
    def failure(self):
        """The first task that failed and what is wrong, as (task, sentence), or None."""
        if self.w.failed == INT64_MAX:
            return None
        if self.w.status == NOT_READ:
            return self.w.failed, f"cannot be read: {strerror(self.w.error).decode()}"
        return self.w.failed, why_failed(self.w.status).decode("ascii")

    cdef bint is_away(self) noexcept nogil:
        # Whether a task failed for it waits for nothing.
        return self.w.failed != INT64_MAX and self.w.status == AWAY

    def work(self, Py_ssize_t limit=-1):
        """Do tasks until none is left or `limit` are done; return whether there may be more."""
        cdef int64_t k
        cdef size_t decoded
        cdef Workspace space
        if self.w.raw_bytes + self.w.chunk_bytes > LARGE and limit > 1:
            limit = 1  # such a task is long enough for a signal to wait
        try:
            space = self._idle.pop()
        except IndexError:
            decoded = self.w.chunk_bytes if decodes_whole(&self.w, self.tasks) else 0
            space = Workspace(self.w.raw_bytes, decoded, self.w.scratch_bytes, self.w.tile_bytes)
        with nogil:
            while limit != 0 and not self.stopped():
                k = cxi_atomic_add(&self._next, 1)
                if k >= self.tasks:
                    break
                if self._do(k, &space.c):
                    cxi_atomic_store(&self._stopped, 1)
                cxi_atomic_add(&self._done, 1)
                limit -= 1
        self._idle.append(space)
        return not self.stopped() and cxi_atomic_load(&self._next) < self.tasks

    cdef int _do(self, int64_t k, Space *space) noexcept nogil:
        return do_task(&self.w, k, space)
