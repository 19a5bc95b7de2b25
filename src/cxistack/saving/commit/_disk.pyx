"""The disk beneath HDF5: does its reads and writes, and keeps every failure from it.

libhdf5 does not survive a write that fails: its close fails as well, the file stays open, and the
interpreter crashes when it ends. So a failure is noted here and hidden. HDF5 goes on with what is
kept in memory from then on and closes its file in good order; whoever opened it asks `check`.

Compiled, because a signal's Python handler (Ctrl-C) must not raise within HDF5's callbacks: between
the instructions of compiled code none is run.
"""

import os

from libc.errno cimport EINTR, EIO, errno
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy, memset

from cxistack.hdf5._descriptor cimport Descriptor

cdef extern from "<unistd.h>" nogil:
    ssize_t pread(int fd, void *buf, size_t count, int64_t offset)
    ssize_t pwrite(int fd, const void *buf, size_t count, int64_t offset)
    int ftruncate(int fd, int64_t length)
    int64_t lseek(int fd, int64_t offset, int whence)
    int getpid()
    int SEEK_END

cdef extern from *:
    """
    #include <fcntl.h>

    /* What was written goes to the disk from now on; whether it arrives, fsync tells. */
    static void begin_writeback(int fd)
    {
    #if defined(__linux__)
        (void)!sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    #else
        (void)fd;
    #endif
    }
    """
    void begin_writeback(int fd) noexcept nogil

cdef enum:
    WRITEBACK = 1 << 24  # bytes: the disk works while more is made, and the last fsync is short
    MOST_KEPT = 1 << 26  # bytes kept after a failure: metadata, which HDF5 may want to see again
    READ_TRIES = 4       # HDF5 cannot close a file whose metadata it cannot read


cdef class Disk:
    """A file object for h5py, on an open file.

    Parameters
    ----------
    file : Descriptor
        Open for reading and writing. Once it is closed every write fails.
    name : str
        What HDF5 is told that the file is called.
    """

    cdef readonly Descriptor file
    cdef readonly int error  # the first failure's errno, or 0
    cdef str _name
    cdef int _pid
    cdef int64_t _at
    cdef int64_t _end
    cdef int64_t _kept_bytes
    cdef int64_t _waiting    # bytes written since the disk was last told to begin
    cdef list _kept  # (address, bytes) written after the failure, in order

    def __init__(self, Descriptor file not None, str name):
        self.file = file
        self._name = name
        self._pid = getpid()
        self._kept = []
        self._end = lseek(file.number, 0, SEEK_END)
        if self._end < 0:
            raise OSError(errno, os.strerror(errno), name)

    def __repr__(self):
        return self._name

    def check(self):
        """Raise :class:`OSError` if anything has failed."""
        if self.error:
            raise OSError(self.error, os.strerror(self.error), self._name)

    # What HDF5 calls, through h5py. None of these may raise.

    def seek(self, int64_t offset, int whence=0):
        """Move to an address, or from the end."""
        self._at = self._end + offset if whence == SEEK_END else offset
        return self._at

    def tell(self):
        """Return the address."""
        return self._at

    def read(self, Py_ssize_t size):
        """Return bytes."""
        cdef bytearray into = bytearray(size)
        self.readinto(into)
        return bytes(into)

    def readinto(self, uint8_t[::1] into):
        """Read; what lies past the end is zero."""
        cdef Py_ssize_t size = into.shape[0]
        cdef Py_ssize_t done = 0
        cdef ssize_t got = 0
        cdef int number = self.file.number
        cdef int tries = READ_TRIES
        if size == 0:
            return 0
        with nogil:
            while done < size:
                got = pread(number, &into[done], size - done, self._at + done)
                if got > 0:
                    done += got
                elif got == 0:
                    break
                elif errno != EINTR:
                    if not self.error:
                        self.error = errno  # what comes at the next try serves to close only
                    tries -= 1
                    if tries == 0:
                        break
            if done < size:
                memset(&into[done], 0, size - done)
        if self._kept:
            self._overlay(into)
        self._at += size
        return size

    def write(self, const uint8_t[::1] data):
        """Write; after a failure, keep in memory."""
        cdef Py_ssize_t size = data.shape[0]
        cdef Py_ssize_t done = 0
        cdef ssize_t put = 0
        cdef int number = self.file.number
        if size == 0:
            return 0
        with nogil:
            # A forked child shares the descriptor, and must not write what its parent will.
            if not self.error and self._pid != getpid():
                self.error = EIO
            while not self.error and done < size:
                put = pwrite(number, &data[done], size - done, self._at + done)
                if put < 0 and errno == EINTR:
                    continue
                if put < 0:
                    self.error = errno
                elif put == 0:
                    self.error = EIO
                else:
                    done += put
            self._waiting += done
            if self._waiting >= WRITEBACK:
                begin_writeback(number)
                self._waiting = 0
        if done < size:
            self._keep(self._at, data)
        self._at += size
        self._end = max(self._end, self._at)
        return size

    def truncate(self, int64_t size):
        """Give the file another size."""
        if size != self._end and self._pid != getpid() and not self.error:
            self.error = EIO
        if size != self._end and not self.error:
            while ftruncate(self.file.number, size) < 0:
                if errno != EINTR:
                    self.error = errno
                    break
        self._end = size
        return size

    def flush(self):
        """Do nothing: writes are not buffered here."""

    cdef _keep(self, int64_t address, const uint8_t[::1] data):
        if self._kept_bytes + data.shape[0] > MOST_KEPT:
            return  # pixels then; without them a chunk is unreadable, which HDF5 survives
        try:
            self._kept.append((address, bytes(data)))
        except MemoryError:
            return
        self._kept_bytes += data.shape[0]

    cdef _overlay(self, uint8_t[::1] into):
        """Put what was kept over what was read."""
        cdef int64_t address, low, high
        cdef const uint8_t[::1] data
        for address, kept in self._kept:
            data = kept
            low = max(address, self._at)
            high = min(address + data.shape[0], self._at + into.shape[0])
            if low < high:
                memcpy(&into[low - self._at], &data[low - address], high - low)
