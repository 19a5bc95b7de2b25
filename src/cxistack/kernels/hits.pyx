"""Pixels found by tasks that do not know of one another, joined in order."""

cimport numpy as cnp
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

from cxistack.kernels.job cimport Job

import numpy as np

from cxistack.kernels import threads

cnp.import_array()

cdef enum:
    FIRST = 1024            # hits of a task that there is room for at first
    THREAD_HITS = 1 << 18   # that take longer to copy than a thread to start


cdef class Hits:
    """What each of some tasks has found.

    Parameters
    ----------
    tasks : int
        How many.
    size : int
        Bytes of a value.
    has_frames : bool
        Whether tasks write numbers of frames, too.
    """

    def __cinit__(self, Py_ssize_t tasks, size_t size, bint has_frames):
        self.tasks = tasks
        self._size = size
        self._has_frames = has_frames
        self.found = <Found *>calloc(max(1, tasks), sizeof(Found))
        if self.found == NULL:
            raise MemoryError("what is found of each frame")

    def __dealloc__(self):
        cdef Py_ssize_t k
        if self.found != NULL:
            for k in range(self.tasks):
                self._drop(k)
        free(self.found)

    cdef void _drop(self, Py_ssize_t task) noexcept nogil:
        cdef Found *one = &self.found[task]
        free(one.frames)
        free(one.pixels)
        free(one.values)
        one.frames = one.pixels = NULL
        one.values = NULL
        one.count = one.room = 0

    cdef bint _resize(self, Found *one, size_t room) noexcept nogil:
        # Each is replaced as soon as it is had, so that all can be freed whatever fails.
        cdef void *more
        if room > (<size_t>1 << 60) // 8:
            return False
        more = realloc(one.pixels, 8 * room)
        if more == NULL:
            return False
        one.pixels = <int64_t *>more
        more = realloc(one.values, self._size * room)
        if more == NULL:
            return False
        one.values = <char *>more
        if self._has_frames:
            more = realloc(one.frames, 8 * room)
            if more == NULL:
                return False
            one.frames = <int64_t *>more
        one.room = room
        return True

    cdef bint reserve(self, Py_ssize_t task, size_t more) noexcept nogil:
        cdef Found *one = &self.found[task]
        cdef size_t room = one.count + more
        if room <= one.room:
            return True
        return self._resize(one, max(room, max(<size_t>FIRST, 2 * one.room)))

    cdef void trim(self, Py_ssize_t task) noexcept nogil:
        cdef Found *one = &self.found[task]
        if one.room > one.count:
            self._resize(one, max(<size_t>1, one.count))

    cdef tuple joined(self, const int64_t[::1] tasks, const int64_t[::1] numbers, cnp.dtype dtype,
                      object num_threads):
        cdef _Join job = _Join(tasks.shape[0])
        cdef Py_ssize_t k, n = tasks.shape[0]
        cdef cnp.ndarray starts = np.zeros(n + 1, np.int64)
        cdef int64_t[::1] at = starts
        job.is_once = True
        for k in range(n):
            at[k + 1] = at[k] + <int64_t>self.found[tasks[k]].count
            job.is_once = job.is_once and (k == 0 or tasks[k] > tasks[k - 1])
        frames, pixels = np.empty(at[n], np.int64), np.empty(at[n], np.int64)
        values = np.empty(at[n], dtype)
        if n == 0:
            return frames, pixels, values
        job.hits = self
        job.tasks_of, job.numbers, job.starts = tasks, numbers, starts
        job.frames = <int64_t *>cnp.PyArray_DATA(frames)
        job.pixels = <int64_t *>cnp.PyArray_DATA(pixels)
        job.values = cnp.PyArray_BYTES(values)
        threads.run(job, num_threads if at[n] > THREAD_HITS else 1)
        return frames, pixels, values


cdef class _Join(Job):
    """Copies what was found to its place, so that little of it is held twice."""
    cdef Hits hits
    cdef const int64_t[::1] tasks_of
    cdef const int64_t[::1] numbers
    cdef const int64_t[::1] starts
    cdef int64_t *frames
    cdef int64_t *pixels
    cdef char *values
    cdef bint is_once           # no task is named twice: each is forgotten when it is copied

    cdef int run_task(self, Py_ssize_t k) noexcept nogil:
        cdef const Found *one = &self.hits.found[self.tasks_of[k]]
        cdef int64_t start = self.starts[k], number = self.numbers[k]
        cdef size_t i
        if one.count == 0:
            return 0
        memcpy(self.pixels + start, one.pixels, 8 * one.count)
        memcpy(self.values + start * <int64_t>self.hits._size, one.values,
               self.hits._size * one.count)
        if number < 0:
            memcpy(self.frames + start, one.frames, 8 * one.count)
        else:
            for i in range(one.count):
                self.frames[start + <int64_t>i] = number
        if self.is_once:
            self.hits._drop(self.tasks_of[k])
        return 0
