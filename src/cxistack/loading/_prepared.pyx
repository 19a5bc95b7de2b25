"""A prepared load that is read without Python: on threads of C, into memory of C.

All that Python knows of it is looked up when it is opened. What is read then are plain tables, by
the functions that do the tasks of every load.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdint cimport INT64_MAX, int32_t, int64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport strerror

from cxistack.capi cimport (
    CXISTACK_BAD_ARGUMENT, CXISTACK_BAD_CHUNK, CXISTACK_BAD_INDEX, CXISTACK_CHANGED, CXISTACK_LOST,
    CXISTACK_MOST_AXES, CXISTACK_NO_MEMORY, CXISTACK_NOT_READ, CXISTACK_OK, cxistack_load,
    cxistack_scratch
)
from cxistack.hdf5._descriptor cimport Descriptor
from cxistack.kernels._decode cimport Pipeline
from cxistack.kernels.loop cimport MAX_RANK, pixel_size
from cxistack.loading._few cimport Kind, Way, end_of, part_of
from cxistack.loading._read_chunks cimport (
    CUT_OFF, NOT_READ, CellPass, Piece, Pixels, Space, Task, Work, close_space, do_task,
    grow_space, how_pixels, open_space, set_cell, take_cell, why_failed
)

cdef enum:
    BATCH = 256                 # frames of one file that tasks are made for at a time
    BATCH_BYTES = 4 << 20       # of them, where they are not filtered

cdef const char *CAPSULE = "cxistack.load"


# A piece of a frame before it is known where its pixels go.
cdef struct Template:
    Piece piece
    Py_ssize_t first[MAX_RANK]  # its first pixel's place in the result's frame


# What is the same for all datasets that are stored alike.
cdef struct Layout:
    Template *pieces
    Py_ssize_t count
    Pixels pixels
    Work w                      # all of it but tasks, cells and the result


# What one thread reads with. Its cells are those of each layout, for the strides used last.
cdef struct Scratch:
    PyObject *load
    Space space
    Work *works                 # of each layout; without cells where they are not laid yet
    int64_t steps[CXISTACK_MOST_AXES]
    Task *tasks
    int64_t room                # of tasks
    int64_t entries[BATCH]
    int64_t targets[BATCH]
    int32_t descriptor
    int64_t first_bad


cdef class PreparedFrames:
    """Where all frames of a load lie, and what happens to their pixels.

    Parameters
    ----------
    offsets : ndarray of int64
        Number of the first frame of each part, and the total.
    ways : sequence of Way
        How each part is read.
    descriptors : sequence of Descriptor
        The open file of each.
    shape : tuple of int
        Of a frame of the result.
    """

    cdef const int64_t[::1] _offsets
    cdef list _keep
    cdef PyObject **_ways
    cdef const char **_names
    cdef int32_t *_descriptors
    cdef int32_t *_layout_of
    cdef int64_t *_seen         # of each part, when its file was changed last, and had its name
    cdef Layout *_layouts
    cdef int32_t _layout_count
    cdef int _axes
    cdef int64_t _shape[CXISTACK_MOST_AXES]
    cdef int _type
    cdef int64_t _tasks         # the most of one frame
    cdef size_t _chunk_bytes, _scratch_bytes, _tile_bytes

    def __init__(self, const int64_t[::1] offsets, ways, descriptors, shape):
        cdef Py_ssize_t k, n = len(ways)
        cdef Way way
        cdef Descriptor descriptor
        self._offsets = offsets
        self._axes = len(shape)
        for k in range(self._axes):
            self._shape[k] = shape[k]
        names = [f"{way.place}".encode("utf-8", "backslashreplace") for way in ways]
        kinds = list({id(way.kind): way.kind for way in ways}.values())
        number_of = {id(kind): k for k, kind in enumerate(kinds)}
        self._keep = [list(ways), list(descriptors), names, kinds]
        self._ways = <PyObject **>calloc(n + 1, sizeof(void *))
        self._names = <const char **>calloc(n + 1, sizeof(void *))
        self._descriptors = <int32_t *>calloc(n + 1, sizeof(int32_t))
        self._layout_of = <int32_t *>calloc(n + 1, sizeof(int32_t))
        self._seen = <int64_t *>calloc(n + 1, sizeof(int64_t))
        self._layouts = <Layout *>calloc(len(kinds) + 1, sizeof(Layout))
        if (self._ways == NULL or self._names == NULL or self._descriptors == NULL
                or self._layout_of == NULL or self._seen == NULL or self._layouts == NULL):
            raise MemoryError("the parts of a load")
        self._layout_count = len(kinds)
        for k, kind in enumerate(kinds):
            self._lay(&self._layouts[k], kind)
        for k in range(n):
            way, descriptor = ways[k], descriptors[k]
            self._ways[k] = <PyObject *>way
            self._names[k] = <const char *>(<bytes>names[k])
            self._descriptors[k] = descriptor.number
            self._layout_of[k] = number_of[id(way.kind)]

    cdef _lay(self, Layout *layout, Kind kind):
        cdef Py_ssize_t k
        cdef int axis
        cdef Pipeline pipeline
        cdef CellPass cell
        cdef const unsigned char[::1] fill
        decoder, pixels, frame_bytes, stored, target, checked = kind.how
        fill = pixels
        # How far a piece is from the frame's first pixel: in bytes, where those of one axis are 1
        # apart and those of others 0.
        bases = [kind.cells(tuple([int(one == axis) for one in range(self._axes)]))
                 for axis in range(self._axes)]
        pieces = kind.cells((0,) * self._axes)
        layout.count = len(pieces)
        layout.pieces = <Template *>calloc(layout.count + 1, sizeof(Template))
        if layout.pieces == NULL:
            raise MemoryError("the pieces of a frame")
        layout.w.fill = <const char *>&fill[0]
        layout.w.frame_bytes = frame_bytes
        self._keep.append(fill)
        if decoder is not None:
            pipeline = decoder
            layout.w.pipeline = &pipeline.c
            layout.w.chunk_bytes = pipeline.nbytes
            layout.w.scratch_bytes = pipeline.scratch_bytes
            layout.w.is_bitshuffled = pipeline.splits
        how_pixels(&layout.pixels, stored, target, checked, False)
        self._type = layout.pixels.target
        for k in range(layout.count):
            take_cell(&layout.pieces[k].piece, pieces[k])
            for axis in range(self._axes):
                layout.pieces[k].first[axis] = bases[axis][k].dst
            set_cell(&layout.w, &cell, &layout.pieces[k].piece, &layout.pixels)
        self._tasks = max(self._tasks, kind.tasks)
        self._chunk_bytes = max(self._chunk_bytes, layout.w.chunk_bytes)
        self._scratch_bytes = max(self._scratch_bytes, layout.w.scratch_bytes)
        self._tile_bytes = max(self._tile_bytes, layout.w.tile_bytes)

    def __dealloc__(self):
        cdef int32_t k
        if self._layouts != NULL:
            for k in range(self._layout_count):
                free(self._layouts[k].pieces)
        free(self._ways)
        free(self._names)
        free(self._descriptors)
        free(self._layout_of)
        free(self._seen)
        free(self._layouts)

    cdef int _read(self, const int64_t *frames, size_t count, char *dst, int64_t step,
                   Scratch *s, char *text, size_t room) noexcept nogil:
        # A batch at a time: frames that follow one another and are of one part.
        cdef size_t begin = 0, end, most
        cdef Py_ssize_t part
        cdef int64_t total = self._offsets[self._offsets.shape[0] - 1]
        cdef int status
        for end in range(count):
            if not 0 <= frames[end] < total:
                snprintf(text, room, "there is no frame %lld: the load has %lld",
                         <long long>frames[end], <long long>total)
                return CXISTACK_BAD_INDEX
        while begin < count:
            part = part_of(self._offsets, frames[begin])
            most = self._most(part)
            end = end_of(self._offsets, part, frames, begin, min(count, begin + most))
            status = self._batch(part, frames + begin, end - begin,
                                 dst + <int64_t>begin * step, step, s, text, room)
            if status:
                return status
            begin = end
        return CXISTACK_OK

    cdef size_t _most(self, Py_ssize_t part) noexcept nogil:
        # How many frames of a part are read at a time.
        cdef const Layout *layout = &self._layouts[self._layout_of[part]]
        cdef size_t tasks = max(<int64_t>1, BATCH // self._tasks)
        cdef size_t size = layout.w.frame_bytes
        if layout.w.pipeline != NULL or size == 0:
            return tasks
        return min(tasks, max(<size_t>1, <size_t>BATCH_BYTES // size))

    cdef int _batch(self, Py_ssize_t part, const int64_t *frames, size_t n, char *dst,
                    int64_t step, Scratch *s, char *text, size_t room) noexcept nogil:
        cdef int32_t layout = self._layout_of[part]
        cdef Work *w = &s.works[layout]
        cdef size_t raw = 0, k
        cdef int64_t task, tasks
        cdef int failed = 0
        if w.cells == NULL and _lay_cells(&self._layouts[layout], w, s.steps, self._axes):
            return _no_memory(text, room)
        tasks = (<Way>self._ways[part]).kind.plan(<Way>self._ways[part], frames, n, s.tasks,
                                                  s.entries, 0, 0, s.room)
        if tasks < 0:
            snprintf(text, room, "more chunks than there is room for")
            return CXISTACK_BAD_ARGUMENT
        for k in range(<size_t>tasks):
            raw = max(raw, <size_t>s.tasks[k].size)
        if raw > s.space.raw_bytes and grow_space(&s.space, raw):
            return _no_memory(text, room)
        w.out, w.out_step = dst, step
        s.descriptor = self._descriptors[part]
        w.failed = s.first_bad = INT64_MAX
        task = 0
        while task < tasks and not failed:
            failed = do_task(w, task, &s.space)
            task += 1
        if failed and w.failed == INT64_MAX and n > 1:
            # Which of them has a value that does not fit, each tells by itself.
            for k in range(n):
                failed = self._batch(part, frames + k, 1, dst + <int64_t>k * step, step, s, text,
                                     room)
                if failed:
                    return failed
        # The file may have been changed since the load was opened, or while it was read.
        if not (<Way>self._ways[part]).is_intact(s.descriptor, &self._seen[part]):
            return self._changed(part, text, room)
        return self._told(part, frames, w, s, text, room) if failed else CXISTACK_OK

    cdef int _changed(self, Py_ssize_t part, char *text, size_t room) noexcept nogil:
        snprintf(text, room, "the file of %s is not what it was when the load was opened: "
                 "look at it anew (store.update_indices()), prepare the load and open it again",
                 self._names[part])
        return CXISTACK_CHANGED

    cdef int _told(self, Py_ssize_t part, const int64_t *frames, const Work *w, const Scratch *s,
                   char *text, size_t room) noexcept nogil:
        cdef const Task *task
        cdef const char *why
        cdef const char *colon = ""
        cdef const char *more = ""
        if w.failed == INT64_MAX:
            snprintf(text, room, "frame %lld of the load, in %s: a value does not fit the type "
                     "that it is cast to; load it as a wider one, or with casting=\"unsafe\"",
                     <long long>frames[s.first_bad], self._names[part])
            return CXISTACK_LOST
        task = &s.tasks[w.failed]
        why = why_failed(w.status)
        if w.status == NOT_READ:
            colon, more = ": ", strerror(w.error)
        snprintf(text, room, "frame %lld of the load, in %s: the chunk of %lld bytes at %lld "
                 "%s%s%s",
                 <long long>frames[task.place], self._names[part], <long long>task.size,
                 <long long>task.address, why, colon, more)
        if w.status == NOT_READ or w.status == CUT_OFF:
            return CXISTACK_NOT_READ
        return CXISTACK_BAD_CHUNK


cdef int _no_memory(char *text, size_t room) noexcept nogil:
    snprintf(text, room, "there is no memory to read with")
    return CXISTACK_NO_MEMORY


cdef int _lay_cells(const Layout *layout, Work *w, const int64_t *steps, int axes) noexcept nogil:
    # The cells of a result whose frames have these strides.
    cdef Piece piece
    cdef Py_ssize_t k
    cdef int axis
    w.cells = <CellPass *>malloc((layout.count + 1) * sizeof(CellPass))
    if w.cells == NULL:
        return -1
    for k in range(layout.count):
        piece = layout.pieces[k].piece
        piece.dst = 0
        for axis in range(axes):
            piece.dst += layout.pieces[k].first[axis] * steps[axis]
            piece.dst_step[axis] = steps[axis]
        set_cell(w, &w.cells[k], &piece, &layout.pixels)
    return 0


cdef class LoadHandle:
    """What a capsule points to: a load that C may open.

    Parameters
    ----------
    resolve : callable
        Returns the :class:`PreparedFrames`, or raises what tells why it cannot.
    """

    cdef object _resolve

    def __init__(self, resolve):
        self._resolve = resolve

    def capsule(self):
        """Return a capsule that keeps this."""
        capsule = PyCapsule_New(<void *>self, CAPSULE, _forget)
        Py_INCREF(self)
        return capsule


cdef void _forget(object capsule) noexcept:
    Py_DECREF(<LoadHandle>PyCapsule_GetPointer(capsule, CAPSULE))


cdef cxistack_load *open_load(void *handle, char *text, size_t text_bytes) noexcept nogil:
    cdef char nowhere[1]
    if text == NULL or text_bytes == 0:
        text, text_bytes = nowhere, 1
    text[0] = 0
    if handle == NULL:
        snprintf(text, text_bytes, "there is no load to open: the capsule gave none")
        return NULL
    return _resolved(handle, text, text_bytes)


cdef extern from "Python.h":
    int Py_AddPendingCall(int (*call)(void *) except -1, void *argument)
    void PyErr_SetInterrupt()
    int Py_IsInitialized() nogil


cdef cxistack_load *_resolved(void *handle, char *text, size_t text_bytes) noexcept with gil:
    cdef PreparedFrames found
    try:
        found = (<LoadHandle>handle)._resolve()
    except Exception as error:
        _say(f"{error}" or type(error).__name__, text, text_bytes)
        return NULL
    except BaseException as error:
        # Ctrl-C, or the end of the program: C is told, and Python is not kept from it.
        _say(f"{type(error).__name__} came before the load was open: open it again", text,
             text_bytes)
        Py_INCREF(error)
        if Py_AddPendingCall(_raise_again, <void *>error):
            Py_DECREF(error)
            PyErr_SetInterrupt()
        return NULL
    Py_INCREF(found)
    return <cxistack_load *><PyObject *>found


cdef _say(str why, char *text, size_t text_bytes):
    cdef bytes told = why.encode("utf-8", "backslashreplace")
    snprintf(text, text_bytes, "%s", <const char *>told)


cdef int _raise_again(void *error) except -1:
    # Python calls this on its main thread, between two of its instructions.
    again = <object>error
    Py_DECREF(again)
    raise again


cdef void close_load(cxistack_load *load) noexcept nogil:
    if load != NULL and Py_IsInitialized():
        with gil:
            Py_DECREF(<PreparedFrames>load)


cdef int64_t frame_count(const cxistack_load *load) noexcept nogil:
    cdef void *at = <void *>load
    return (<PreparedFrames>at)._offsets[(<PreparedFrames>at)._offsets.shape[0] - 1]


cdef int frame_shape(const cxistack_load *load, int64_t *shape) noexcept nogil:
    cdef void *at = <void *>load
    cdef int k
    for k in range((<PreparedFrames>at)._axes):
        shape[k] = (<PreparedFrames>at)._shape[k]
    return (<PreparedFrames>at)._axes


cdef int frame_type(const cxistack_load *load) noexcept nogil:
    cdef void *at = <void *>load
    return (<PreparedFrames>at)._type


cdef cxistack_scratch *scratch_open(const cxistack_load *load) noexcept nogil:
    cdef void *at = <void *>load
    cdef Scratch *s = <Scratch *>calloc(1, sizeof(Scratch))
    cdef int32_t k, layouts = (<PreparedFrames>at)._layout_count
    if s == NULL:
        return NULL
    s.load = <PyObject *>at
    s.room = max(<int64_t>BATCH, (<PreparedFrames>at)._tasks)
    s.works = <Work *>calloc(layouts + 1, sizeof(Work))
    s.tasks = <Task *>malloc(s.room * sizeof(Task))
    if (s.works == NULL or s.tasks == NULL
            or open_space(&s.space, 0, (<PreparedFrames>at)._chunk_bytes,
                          (<PreparedFrames>at)._scratch_bytes,
                          (<PreparedFrames>at)._tile_bytes)):
        free(s.works)
        free(s.tasks)
        free(s)
        return NULL
    for k in range(BATCH):
        s.targets[k] = k
    for k in range(layouts):
        s.works[k] = (<PreparedFrames>at)._layouts[k].w
        s.works[k].tasks = s.tasks
        s.works[k].sources = s.entries
        s.works[k].places = s.targets
        s.works[k].descriptors = &s.descriptor
        s.works[k].first_bad = &s.first_bad
    _set_steps(s, NULL)
    return <cxistack_scratch *>s


cdef void _forget_cells(Scratch *s) noexcept nogil:
    cdef int32_t k
    cdef void *at = <void *>s.load
    for k in range((<PreparedFrames>at)._layout_count):
        free(s.works[k].cells)
        s.works[k].cells = NULL


cdef void _set_steps(Scratch *s, const int64_t *strides) noexcept nogil:
    # The strides of a frame; cells that were laid for others are forgotten.
    cdef void *at = <void *>s.load
    cdef int axis
    cdef bint is_other = False
    cdef int64_t step = pixel_size((<PreparedFrames>at)._type), wanted
    for axis in range((<PreparedFrames>at)._axes - 1, -1, -1):
        wanted = step if strides == NULL else strides[axis]
        step *= (<PreparedFrames>at)._shape[axis]
        is_other = is_other or s.steps[axis] != wanted
        s.steps[axis] = wanted
    if is_other:
        _forget_cells(s)


cdef void scratch_close(cxistack_scratch *scratch) noexcept nogil:
    cdef Scratch *s = <Scratch *>scratch
    if s == NULL:
        return
    _forget_cells(s)
    close_space(&s.space)
    free(s.works)
    free(s.tasks)
    free(s)


cdef int read_frames(const cxistack_load *load, const int64_t *frames, size_t count, void *dst,
                     const int64_t *strides, cxistack_scratch *scratch, char *text,
                     size_t text_bytes) noexcept nogil:
    cdef void *at = <void *>load
    cdef Scratch *s = <Scratch *>scratch
    cdef int64_t step
    cdef int axis, status
    cdef char nowhere[1]
    if text == NULL or text_bytes == 0:
        text, text_bytes = nowhere, 1
    text[0] = 0
    if count == 0:
        return CXISTACK_OK
    if load == NULL or frames == NULL or dst == NULL or (s != NULL and s.load != <PyObject *>at):
        snprintf(text, text_bytes, "the load, the frames or the target is NULL, or the scratch is "
                 "that of another load")
        return CXISTACK_BAD_ARGUMENT
    if s == NULL:
        s = <Scratch *>scratch_open(load)
        if s == NULL:
            return _no_memory(text, text_bytes)
    if strides != NULL:
        _set_steps(s, &strides[1])
        step = strides[0]
    else:
        _set_steps(s, NULL)
        step = pixel_size((<PreparedFrames>at)._type)
        for axis in range((<PreparedFrames>at)._axes):
            step *= (<PreparedFrames>at)._shape[axis]
    status = (<PreparedFrames>at)._read(frames, count, <char *>dst, step, s, text, text_bytes)
    if scratch == NULL:
        scratch_close(<cxistack_scratch *>s)
    return status
