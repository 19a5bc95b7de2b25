# A file that is open, for who reads and writes it without the GIL.
cdef class Descriptor:
    cdef readonly int number  # -1: closed
    cdef int _pid
