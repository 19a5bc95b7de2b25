"""Frames that lie in few chunks: read by the calling thread in one call, without a table of tasks.

What is decoded of a chunk beyond what was asked for is kept, and taken from there the next time.
What does not go this way is left to the engine, which also finds out which value does not fit.
"""

import os
from collections import OrderedDict

from libc.stdint cimport INT64_MAX, int32_t, int64_t
from libc.stdlib cimport free, malloc

cimport numpy as cnp

from cxistack.hdf5._descriptor cimport Descriptor
from cxistack.kernels._decode cimport cxi_decode_chunk
from cxistack.kernels.rows cimport cxi_atomic_load, cxi_atomic_store
from cxistack.loading._read_chunks cimport (
    STREAM_BYTES, CellPass, ChunkJob, Task, Workspace, do_task, fail_task, fetch, place_pixels
)

from cxistack.loading.failure import chunk_failure
from cxistack.loading.tasks import split_cells

cdef extern from *:
    """
    #include <stdint.h>
    #include <sys/stat.h>
    #include <time.h>

    /* What hdf5.files.Stamp holds, how many names it has, and when anything of it was changed, also
     * a name: of the file of a name, or, without a name, of an open one. */
    static int cxi_stamp(const char *path, int descriptor, int64_t *stamp)
    {
        struct stat status;

        if (path ? stat(path, &status) : fstat(descriptor, &status))
            return -1;
        stamp[0] = (int64_t)status.st_dev;
        stamp[1] = (int64_t)status.st_ino;
        stamp[2] = (int64_t)status.st_size;
        stamp[4] = (int64_t)status.st_nlink;
    #ifdef __APPLE__
        stamp[3] = status.st_mtimespec.tv_sec * INT64_C(1000000000) + status.st_mtimespec.tv_nsec;
        stamp[5] = status.st_ctimespec.tv_sec * INT64_C(1000000000) + status.st_ctimespec.tv_nsec;
    #else
        stamp[3] = status.st_mtim.tv_sec * INT64_C(1000000000) + status.st_mtim.tv_nsec;
        stamp[5] = status.st_ctim.tv_sec * INT64_C(1000000000) + status.st_ctim.tv_nsec;
    #endif
        return 0;
    }

    /* Whether a time was so long ago that another change would now show as another time. */
    static int cxi_is_past(int64_t when)
    {
        struct timespec now;

        return clock_gettime(CLOCK_REALTIME, &now) == 0
            && when < now.tv_sec * INT64_C(1000000000) + now.tv_nsec - INT64_C(100000000);
    }
    """
    int cxi_stamp(const char *path, int descriptor, int64_t *stamp) nogil
    bint cxi_is_past(int64_t when) nogil

cnp.import_array()

cdef enum:
    MOST_FRAMES = 4096       # of a call, and tasks
    MOST_BYTES = 4 << 20     # to copy, or to decode fast: threads take about as long to start
    SLOW = 4                 # times as long take other decoders
    EAGER = 1 << 20          # chunks up to here are decoded whole at once, others at second touch
    LEAP = 65536             # as in tasks.py
    TINY = 65536             # to decode or copy in less time than threads take to change places
    WAY_BYTES = 1000         # of a Way without its table


cdef class ChunkCache:
    """Decoded chunks of which more may be wanted, the longest unused of them forgotten first.

    Parameters
    ----------
    limit : int
        Bytes that they may take; 0: none is kept.
    """

    def __init__(self, Py_ssize_t limit):
        self.limit = limit
        self._chunks = OrderedDict()
        self._touched = OrderedDict()

    def __len__(self):
        return len(self._chunks)

    cdef cnp.ndarray find(self, key):
        found = self._chunks.get(key)
        if found is not None:
            try:
                self._chunks.move_to_end(key)
            except KeyError:  # another thread has just put it out
                pass
        return found

    cdef bint is_wanted(self, key, Py_ssize_t size):
        # Whether a chunk that is not here is to be decoded whole, and kept.
        if size > self.limit // 4:
            return False
        if size <= EAGER:
            return True
        if self._touched.pop(key, None) is not None:
            return True
        self._touched[key] = True
        if len(self._touched) > 256:
            self._touched.popitem(last=False)
        return False

    cdef keep(self, key, cnp.ndarray chunk, Py_ssize_t size):
        cdef cnp.ndarray last
        if key in self._chunks:
            return
        self._chunks[key] = chunk
        self.held += size
        while self.held > self.limit and self._chunks:
            last = self._chunks.popitem(last=False)[1]
            self.held -= cnp.PyArray_NBYTES(last)


cdef class Plan(ChunkJob):
    """What readers of datasets that are stored alike share, to results that are laid out alike.

    Parameters
    ----------
    cells : sequence of tasks.Cell
        The pieces of a frame.
    how : tuple
        The arguments of :class:`ChunkJob` from the pipeline to the stored type, the result's type,
        and whether a lost value ends the job.
    stream : bool
        Whether the result is so large that it bypasses the caches.
    """

    def __init__(self, cells, how, bint stream):
        pipeline, fill, frame_bytes, stored, target, checked = how
        self._set_up(cells, pipeline, fill, frame_bytes, stored, target,
                     (checked, stream, None, False))


cdef class PlannedJob(ChunkJob):
    """A job whose cells are those of a plan; see :class:`ChunkJob`."""

    def __init__(self, Plan plan not None, const Task[::1] tasks, const int64_t[::1] sources,
                 const int64_t[::1] places, const int32_t[::1] descriptors,
                 cnp.ndarray out not None):
        self._share(plan)
        self._take(tasks, sources, places, descriptors, out)


cdef class Rows(ChunkJob):
    """Reads few rows at a time by a plan."""

    def __init__(self, Plan plan not None):
        self._share(plan)
        self._few = <Task *>malloc(MOST_FRAMES * sizeof(Task))
        self._entries = <int64_t *>malloc(MOST_FRAMES * sizeof(int64_t))
        self._targets = <int64_t *>malloc(MOST_FRAMES * sizeof(int64_t))
        if self._few == NULL or self._entries == NULL or self._targets == NULL:
            raise MemoryError("the tasks of few chunks")
        self.w.tasks = self._few
        self.w.sources = self._entries
        self.w.places = self._targets
        self.w.descriptors = &self._fd

    def __dealloc__(self):
        free(self._few)
        free(self._entries)
        free(self._targets)

    cdef int64_t plan(self, Way way, const int64_t *numbers, Py_ssize_t n,
                      int64_t place) noexcept nogil:
        # Makes the tasks of frames that go to `place` and after; returns how many, -1: too many.
        cdef Py_ssize_t k
        cdef int64_t count
        for k in range(n):
            self._targets[k] = place + k
        count = way.kind.plan(way, numbers, n, self._few, self._entries, 0, 0, MOST_FRAMES)
        for k in range(count):
            if <size_t>self._few[k].size > self.w.raw_bytes:
                self.w.raw_bytes = self._few[k].size
        return count

    cdef bint run(self, Way way, int64_t count, char *out, Py_ssize_t step, int fd,
                  ChunkCache cache) except -1:
        # Does the tasks; False where one fails, or a value does not fit.
        cdef int64_t k
        cdef int failed = 0
        cdef Workspace space = self._space
        self.w.out, self.w.out_step, self._fd = out, step, fd
        self.w.failed = self._first_bad = INT64_MAX
        self._is_tiny = way.kind.is_tiny(self._few, count)
        if space is None or space.c.raw_bytes < self.w.raw_bytes:
            space = self._space = Workspace(self.w.raw_bytes, self.w.chunk_bytes,
                                            self.w.scratch_bytes, self.w.tile_bytes)
        if (cache is None or self._pipeline is None) and not self._is_tiny:
            with nogil:
                for k in range(count):
                    failed = do_task(&self.w, k, &space.c)
                    if failed:
                        break
            return not failed
        for k in range(count):
            if (cache is None or self._pipeline is None or self._few[k].address < 0
                    or self._takes_all(&self._few[k])):
                failed = self._do_one(k, space)
            else:
                failed = self._from_cache(k, way, space, cache)
            if failed:
                return False
        return True

    cdef int _do_one(self, int64_t k, Workspace space) except -1:
        # What takes less time than threads take to change places keeps the GIL, unless the disk is
        # to be waited for.
        cdef int failed
        if self._is_tiny:
            self.w.at_hand = True
            failed = do_task(&self.w, k, &space.c)
            self.w.at_hand = False
            if not self.is_away():
                return failed
            self.w.failed = INT64_MAX
        with nogil:
            failed = do_task(&self.w, k, &space.c)
        return failed

    cdef bint _takes_all(self, const Task *task) noexcept nogil:
        cdef const CellPass *cell = &self.w.cells[task.cell]
        return (task.cells == 1 and task.count * cell.p.frame_pixels * <Py_ssize_t>cell.p.src_size
                >= <Py_ssize_t>self.w.chunk_bytes)

    cdef int _from_cache(self, int64_t k, Way way, Workspace space, ChunkCache cache) except -1:
        cdef const Task *task = &self._few[k]
        cdef int32_t c
        cdef int failed = 0
        cdef cnp.npy_intp size = self.w.chunk_bytes
        cdef cnp.ndarray chunk
        cdef char *pixels
        cdef tuple key = (way.address, task.address)
        chunk = cache.find(key)
        if chunk is None:
            if not cache.is_wanted(key, size):
                return self._do_one(k, space)
            chunk = cnp.PyArray_EMPTY(1, &size, cnp.NPY_UINT8, 0)
            pixels = cnp.PyArray_BYTES(chunk)
            with nogil:
                failed = self._decode(task, space, pixels)
            if failed:
                return fail_task(&self.w, k, failed)
            cache.keep(key, chunk, size)
        pixels = cnp.PyArray_BYTES(chunk)
        with nogil:
            for c in range(task.cells):
                if place_pixels(&self.w, task, &self.w.cells[task.cell + c], pixels):
                    failed = 1
                    break
        return failed

    cdef int _decode(self, const Task *task, Workspace space, char *to) noexcept nogil:
        cdef int status = fetch(&self.w, task, space.c.raw, 0, task.size)
        if status == 0:
            status = cxi_decode_chunk(&space.c.decoder, self.w.pipeline, task.mask, space.c.raw,
                                      task.size, to, self.w.chunk_bytes, space.c.scratch,
                                      space.c.scratch_bytes)
        return status


cdef class Kind:
    """What datasets share that are stored alike, and readers of them that nobody is using.

    Parameters
    ----------
    cells : callable
        Returns the pieces of a frame, for a result whose frames have some strides.
    begins : sequence of int
        With which of them tasks begin.
    grid : tuple of int
        Frames in a chunk, and chunks of a frame.
    how : tuple
        As for :class:`Plan`.

    Attributes
    ----------
    splits : bool
        Whether several threads can decode one chunk.
    """

    def __init__(self, cells, begins, grid, how):
        cdef Py_ssize_t k, begin, end
        self.cells, self.how = cells, how
        self._idle = {}
        self._plans = {}
        self.frames, self._inner = grid
        pieces = cells(None)
        pipeline, self._step = how[0], how[2]
        self.tasks = len(begins)
        self._leads = <Lead *>malloc(self.tasks * sizeof(Lead))
        if self._leads == NULL:
            raise MemoryError("the chunks of a frame")
        for k in range(self.tasks):
            begin = begins[k]
            end = begins[k + 1] if k + 1 < self.tasks else len(pieces)
            self._leads[k].number = pieces[begin].number
            self._leads[k].cell = <int32_t>begin
            self._leads[k].cells = <int32_t>(end - begin)
            self._leads[k].first = pieces[begin].first
            self._leads[k].last = pieces[begin].last
        self.frame_bytes = sum(piece.last - piece.first for piece in pieces)
        if pipeline is not None:
            self.splits, self.is_fast = pipeline.splits, pipeline.is_fast
            self.chunk_bytes = self.frame_bytes if self.splits else pipeline.nbytes * self.tasks

    def __dealloc__(self):
        free(self._leads)

    cdef bint is_tiny(self, const Task *tasks, int64_t count) noexcept nogil:
        # Whether tasks take less time than threads take to change places.
        cdef int64_t k, size = 0
        if self.chunk_bytes:
            return count * self.chunk_bytes * (1 if self.is_fast else SLOW) <= TINY * self.tasks
        for k in range(count):
            size += tasks[k].size
        return size <= TINY

    cdef int64_t plan(self, Way way, const int64_t *numbers, Py_ssize_t n, Task *tasks,
                      int64_t *entries, int64_t place, int32_t file, int64_t room) noexcept nogil:
        # Makes tasks, and an entry for each frame: its row in its chunk. -1: there is no room.
        cdef Py_ssize_t begin = 0, end, k
        cdef int64_t row, last, chunk, where, address, count = 0
        cdef bint is_filtered = self.chunk_bytes != 0
        cdef Task *task
        cdef const Lead *lead
        for k in range(n):
            entries[k] = way.row_of(numbers[k]) % self.frames
        while begin < n:
            row = last = way.row_of(numbers[begin])
            chunk = row // self.frames
            end = begin + 1
            while end < n:
                row = way.row_of(numbers[end])
                if row // self.frames != chunk or row < last:
                    break
                if not is_filtered and (row - last) * self._step > LEAP:
                    break
                last = row
                end += 1
            if count + self.tasks > room:
                return -1
            for k in range(self.tasks):
                lead = &self._leads[k]
                task = &tasks[count]
                where = chunk * self._inner + lead.number
                address = way.address_of(where)
                task.file = file
                task.place = place + begin
                task.count = <int32_t>(end - begin)
                task.cell = lead.cell
                task.cells = lead.cells
                task.shift = 0
                task.mask = 0
                if is_filtered:
                    task.address = address
                    task.size = way.size[where]
                    task.mask = way.mask[where]
                else:
                    task.shift = entries[begin] * self._step + lead.first
                    task.size = entries[end - 1] * self._step + lead.last - task.shift
                    task.address = -1 if address < 0 else address + task.shift
                count += 1
            begin = end
        return count

    def plan_of(self, steps, Py_ssize_t nbytes, Py_ssize_t parts):
        """Return the plan for a result of some strides and size.

        Each cell is cut into `parts` of its rows, for as many threads; the second value returned is
        how many the cells become, or None where they stay as they are.
        """
        cdef bint stream = nbytes >= STREAM_BYTES
        key = (steps, stream, parts)
        found = self._plans.get(key)
        if found is None:
            cells, counts = self.cells(steps), None
            if parts > 1:
                cells, counts = split_cells(cells, parts)
            found = Plan(cells, self.how, stream), counts
            if len(self._plans) >= 8:
                self._plans.clear()
            self._plans[key] = found
        return found

    cdef Rows take(self, steps):
        cdef list idle = self._idle.get(steps)
        if idle is None:
            if len(self._idle) >= 8:
                self._idle.clear()
            idle = self._idle.setdefault(steps, [])
        try:
            return idle.pop()
        except IndexError:
            return Rows(self.plan_of(steps, 0, 1)[0])

    cdef give_back(self, steps, Rows rows):
        cdef list idle = self._idle.get(steps)
        if idle is not None and len(idle) < 4:
            idle.append(rows)


cdef class Way:
    """Where the rows of one part of a load lie.

    Parameters
    ----------
    kind : Kind
        How they are stored.
    place : Place
        The dataset.
    stamp : Stamp
        What it was when it was looked at.
    address : tuple
        What is the same for the same dataset under another name.
    first, step : int
        Where the bytes of an unfiltered dataset begin, and of its pieces; -1: nothing was written.
    table : tuple of ndarray, or None
        Address, size and mask of each chunk.
    rows : tuple of int
        The first frame's number, its row, and whether that row stands for all.
    """

    def __init__(self, Kind kind, place, stamp, address, first, step, table, rows):
        self.kind, self.place, self.stamp, self.address = kind, place, stamp, address
        self.path = place.filename
        self._name = os.fsencode(self.path)
        self._path = self._name
        for k in range(4):
            # As the system's numbers are kept in 64 bits.
            self._stamp[k] = <int64_t>(stamp[k] if stamp[k] < 1 << 63 else stamp[k] - (1 << 64))
        self.first, self.step = first, step
        if table is not None:
            self.addresses, self.sizes, self.masks = table
            if self.addresses.shape[0]:
                self.chunk_address = &self.addresses[0]
                self.size = &self.sizes[0]
                self.mask = &self.masks[0]
        self.offset, self.row, self.is_static = rows

    def failure(self, numbers, size, address, why):
        """Return the error that tells of a chunk of some frames."""
        return chunk_failure(f"{self.place}", [self.row_of(number) for number in numbers], size,
                             address, why)

    cdef int64_t row_of(self, int64_t number) noexcept nogil:
        return self.row if self.is_static else number - self.offset + self.row

    cdef int64_t address_of(self, int64_t where) noexcept nogil:
        if self.chunk_address != NULL:
            return self.chunk_address[where]
        return -1 if self.first < 0 else self.first + self.step * where

    cpdef bint is_as_it_was(self, int descriptor=-1) noexcept:
        """Tell whether the file is what it was: the one of its name, or that which is open."""
        cdef int64_t now[6]
        if cxi_stamp(self._path if descriptor < 0 else NULL, descriptor, now):
            return False
        return self._is_same(now)

    cdef bint is_intact(self, int descriptor, int64_t *seen) noexcept nogil:
        # Whether an open file is what it was, and still has its name. That is looked at when the
        # system says that anything of the file was changed since it was `seen`, and not each time:
        # it would take as long as to read a small frame.
        cdef int64_t now[6]
        cdef int64_t named[6]
        if cxi_stamp(NULL, descriptor, now) or now[4] == 0 or not self._is_same(now):
            return False
        if now[5] == cxi_atomic_load(seen):
            return True
        if cxi_stamp(self._path, -1, named) or named[0] != now[0] or named[1] != now[1]:
            return False
        if cxi_is_past(now[5]):
            cxi_atomic_store(seen, now[5])
        return True

    cdef bint _is_same(self, const int64_t *now) noexcept nogil:
        if now[0] != self._stamp[0] or now[1] != self._stamp[1]:
            return False
        # Of a file that is appended to, size and time do not matter: the stamp has -1 for both.
        return (self._stamp[2] < 0
                or (now[2] == self._stamp[2] and now[3] == self._stamp[3]))

    cdef int64_t cost(self, const int64_t *numbers, Py_ssize_t n) noexcept nogil:
        # Bytes to decode, or to read; those that take long to decode count more.
        cdef Py_ssize_t k
        cdef int64_t chunk, before = -1, chunks = 0
        if not self.kind.chunk_bytes:
            return n * self.kind.frame_bytes
        for k in range(n):
            chunk = self.row_of(numbers[k]) // self.kind.frames
            chunks += chunk != before
            before = chunk
        if chunks == self.kind.tasks == 1 and not self.kind.splits:
            return 0  # other threads could not help
        return chunks * self.kind.chunk_bytes * (1 if self.kind.is_fast else SLOW)


cdef class FewFrames:
    """Reads frames of one load that lie in few chunks.

    Parameters
    ----------
    offsets : ndarray of int64
        Number of the first frame of each part, and the total.
    find : callable
        Returns the :class:`Way` of a part by its number; None: this time it is not this one.
    is_written : callable
        Tells of a path whether this process has the file open for writing.
    files : Files
        Lends descriptors.
    frame : tuple
        Shape of a frame of the result, and its dtype.
    cache : ChunkCache or None
        Keeps chunks.
    """

    cdef readonly ChunkCache cache
    cdef object _find, _is_written, _files
    cdef const int64_t[::1] _offsets
    cdef dict _ways
    cdef tuple _shape, _steps
    cdef cnp.dtype _dtype
    cdef int _rank
    cdef Py_ssize_t _frame_bytes
    cdef cnp.npy_intp[32] _dims

    def __init__(self, const int64_t[::1] offsets, find, is_written, files, frame, cache):
        cdef int k
        self._offsets = offsets
        self._find, self._is_written, self._files = find, is_written, files
        self._shape, self._dtype = frame
        self.cache = cache
        self._ways = {}
        self._rank = len(self._shape)
        self._steps = ()
        self._frame_bytes = self._dtype.itemsize
        for k in range(self._rank - 1, -1, -1):
            self._steps = (self._frame_bytes, *self._steps)
            self._frame_bytes *= self._shape[k]
        for k in range(self._rank):
            self._dims[k] = self._shape[k]

    @property
    def most(self):
        """How many frames are read so at most."""
        return MOST_FRAMES

    def runs(self, const int64_t[::1] numbers):
        """Return the ways of frames, each with the first and one past the last that it has.

        None where a part has none. In each run frames should ascend: a chunk is decoded for frames
        that follow one another.
        """
        cdef Py_ssize_t begin = 0, end, part, n = numbers.shape[0]
        cdef list found = []
        cdef Way way
        while begin < n:
            part = part_of(self._offsets, numbers[begin])
            end = end_of(self._offsets, part, &numbers[0], begin, n)
            way = self._way(part)
            if way is None:
                return None
            found.append((way, begin, end))
            begin = end
        return found

    @property
    def ways(self):
        """How many parts were read so, and are known."""
        return len(self._ways)

    @property
    def nbytes(self):
        """Bytes that what is known of them takes, about."""
        cdef Way way
        cdef Py_ssize_t size = 0
        for way in self._ways.values():
            size += WAY_BYTES
            if way.chunk_address != NULL:
                size += way.addresses.nbytes + way.sizes.nbytes + way.masks.nbytes
        return size

    def frame(self, int64_t number):
        """Return one frame, or None: the engine is to read it."""
        cdef cnp.ndarray out
        if (not 0 <= number < self._offsets[self._offsets.shape[0] - 1]
                or self._frame_bytes > MOST_BYTES):  # no memory for what is not to be read here
            return None
        out = cnp.PyArray_EMPTY(self._rank, self._dims, self._dtype.type_num, 0)
        if self._read(&number, 1, cnp.PyArray_BYTES(out), self._frame_bytes, self._steps):
            return out
        return None

    def read(self, const int64_t[::1] numbers, cnp.ndarray out):
        """Read frames into an array of (frames, ...); return whether that is done."""
        cdef Py_ssize_t n = numbers.shape[0]
        if n == 0 or n > MOST_FRAMES or not cnp.PyArray_SIZE(out):
            return False
        cdef tuple strides = (<object>out).strides
        return self._read(&numbers[0], n, cnp.PyArray_BYTES(out), strides[0], strides[1:])

    def read_one(self, int64_t number, cnp.ndarray out):
        """Read one frame into an array of its shape; return whether that is done."""
        if not cnp.PyArray_SIZE(out):
            return False
        return self._read(&number, 1, cnp.PyArray_BYTES(out), 0, (<object>out).strides)

    cdef Way _way(self, Py_ssize_t part):
        found = self._ways.get(part)
        if found is None:
            found = self._find(part)
            if found is not None:
                self._ways[part] = found
        return found

    cdef bint _read(self, const int64_t *numbers, Py_ssize_t n, char *out, Py_ssize_t step,
                    steps) except -1:
        cdef Py_ssize_t begin = 0, end, part
        cdef int64_t cost = 0
        cdef Way way
        while begin < n:
            part = part_of(self._offsets, numbers[begin])
            end = end_of(self._offsets, part, numbers, begin, n)
            way = self._way(part)
            if way is None:
                return False
            cost += way.cost(numbers + begin, end - begin)
            if cost > MOST_BYTES or (end - begin) * way.kind.tasks > MOST_FRAMES:
                return False
            begin = end
        begin = 0
        while begin < n:
            part = part_of(self._offsets, numbers[begin])
            end = end_of(self._offsets, part, numbers, begin, n)
            if not self._read_part(self._way(part), numbers + begin, end - begin, out, step, steps,
                                   begin):
                return False
            begin = end
        return True

    cdef bint _read_part(self, Way way, const int64_t *numbers, Py_ssize_t n, char *out,
                         Py_ssize_t step, steps, int64_t place) except -1:
        cdef Rows rows
        cdef int64_t count
        cdef Descriptor descriptor
        cdef bint is_done = False
        cdef const Task *task
        cdef Py_ssize_t k
        if self._is_written(way.path) or not way.is_as_it_was():
            return False
        descriptor = self._files.kept_descriptor(way.path, way.stamp)
        rows = way.kind.take(steps)
        count = rows.plan(way, numbers, n, place)
        if count >= 0:
            is_done = rows.run(way, count, out, step, descriptor.number, self.cache)
            way.kind.give_back(steps, rows)
        if not way.is_as_it_was(descriptor.number):
            return False
        if count >= 0 and rows.failure is not None:
            number, why = rows.failure
            task = &rows._few[<Py_ssize_t>number]
            wanted = [numbers[k] for k in range(task.place, task.place + task.count)]
            raise way.failure(wanted, task.size, task.address, why)
        return is_done


def tasks_of(Kind kind, runs, const int64_t[::1] numbers, cnp.ndarray tasks not None):
    """Make the tasks of runs of frames that are stored alike; a file for each run.

    Parameters
    ----------
    kind : Kind
        How they are stored.
    runs : list of (Way, int, int)
        As :meth:`FewFrames.runs` returns them.
    numbers : ndarray of int64
        The frames.
    tasks : ndarray of tasks.TASK
        Room for as many tasks as there can be.

    Returns
    -------
    count : int
        How many tasks there are; -1: more than there is room for.
    sources : ndarray of int64
        Of each frame of the runs, its row in its chunk.
    """
    cdef int64_t count = 0, more, place = 0, room = cnp.PyArray_SIZE(tasks)
    cdef Task *to = <Task *>cnp.PyArray_DATA(tasks)
    cdef cnp.npy_intp total = 0
    cdef Py_ssize_t begin, end
    cdef int32_t file = 0
    cdef cnp.ndarray sources
    cdef Way way
    if tasks.itemsize != sizeof(Task):
        raise ValueError("the tasks are no tasks.TASK")
    for _, begin, end in runs:
        total += end - begin
    sources = cnp.PyArray_EMPTY(1, &total, cnp.NPY_INT64, 0)
    for way, begin, end in runs:
        more = kind.plan(way, &numbers[begin], end - begin, to + count,
                         <int64_t *>cnp.PyArray_DATA(sources) + place, place, file, room - count)
        if more < 0:
            return -1, sources
        count += more
        place += end - begin
        file += 1
    return count, sources
