# Which frames and which pixels of them: index tables and views, checked.
cimport numpy as cnp

cdef cnp.ndarray frame_table(object index, Py_ssize_t frames, str what)
cdef int take_view(object view, int rank, Py_ssize_t *shape, Py_ssize_t *step,
                   const char **src) except -1
