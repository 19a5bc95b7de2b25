"""An open file that cannot be forgotten: with its last name it is closed, and its lock is gone.

Compiled, because a signal's Python handler (Ctrl-C) may raise between any two steps of Python: also
between the system's answer to open(2) and the variable that takes its number, which nobody would
close then. Between the instructions of compiled code none is run.
"""

import os

cdef extern from "<unistd.h>" nogil:
    int close(int fd)
    int getpid()

cdef extern from "<sys/file.h>" nogil:
    int flock(int fd, int operation)
    int LOCK_UN


cdef class Descriptor:
    """A file that is open.

    Parameters
    ----------
    path : str or path-like, or None
        The file; None makes one that has no name and lies in memory.
    flags : int
        As for :func:`os.open`.
    mode : int, optional
        As for :func:`os.open`.

    Raises
    ------
    OSError
        It cannot be opened.
    """

    def __cinit__(self):
        self.number = -1
        self._pid = getpid()

    def __init__(self, path, int flags, int mode=0o666):
        if path is None:
            self.number = os.memfd_create("cxistack", flags)
        else:
            self.number = os.open(path, flags | os.O_CLOEXEC, mode)

    def fileno(self):
        """Return the system's number of it.

        Raises
        ------
        ValueError
            It is closed.
        """
        if self.number < 0:
            raise ValueError("the file is closed")
        return self.number

    def close(self):
        """Close it; nothing if that is done.

        Raises
        ------
        OSError
            The system says only now that something could not be written. It is closed.
        """
        cdef int number = self.number
        self.number = -1
        if number >= 0:
            os.close(number)

    def __dealloc__(self):
        if self.number >= 0:
            if getpid() == self._pid:  # a child's is its parent's lock, too
                flock(self.number, LOCK_UN)
            close(self.number)
