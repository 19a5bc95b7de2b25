"""Work cut into tasks that threads take from a shared counter, without the GIL."""

from libc.stdint cimport INT64_MAX, int64_t

from cxistack.kernels.rows cimport (
    cxi_atomic_add, cxi_atomic_load, cxi_atomic_min, cxi_atomic_store
)


cdef class Job:
    """Tasks 0 to ``tasks - 1``, each done once, by whichever thread comes first.

    Tasks are handed out in order. So when one says that nothing after it matters, all before it
    are done or under way, and the smallest offset reported bad is the first there is.

    Parameters
    ----------
    tasks : int
        How many tasks there are.
    """

    def __cinit__(self, *args, **kwargs):
        self._first_bad = INT64_MAX

    def __init__(self, Py_ssize_t tasks):
        self.tasks = tasks

    cdef int run_task(self, Py_ssize_t k) noexcept nogil:
        return 0

    cdef void report_bad(self, int64_t offset) noexcept nogil:
        cxi_atomic_min(&self._first_bad, offset)

    cdef bint stopped(self) noexcept nogil:
        return cxi_atomic_load(&self._stopped) != 0

    @property
    def done(self):
        """How many tasks are finished."""
        return cxi_atomic_load(&self._done)

    @property
    def first_bad(self):
        """The smallest offset that was reported bad, or None."""
        cdef int64_t offset = cxi_atomic_load(&self._first_bad)
        return None if offset == INT64_MAX else offset

    def cancel(self):
        """Let no further task begin; those under way end by themselves."""
        cxi_atomic_store(&self._stopped, 1)

    def work(self, Py_ssize_t limit=-1):
        """Do tasks until none is left, without the GIL.

        Parameters
        ----------
        limit : int, optional
            Return after this many, so that the caller can look at signals.

        Returns
        -------
        bool
            Whether there may be more to do.
        """
        cdef int64_t k
        with nogil:
            while limit != 0 and not self.stopped():
                k = cxi_atomic_add(&self._next, 1)
                if k >= self.tasks:
                    break
                if self.run_task(k):
                    cxi_atomic_store(&self._stopped, 1)
                cxi_atomic_add(&self._done, 1)
                limit -= 1
        return not self.stopped() and cxi_atomic_load(&self._next) < self.tasks
