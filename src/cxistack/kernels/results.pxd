# `take` returns NULL where there is no memory; what it gives goes back by `give`. By any thread.
cdef void *take(size_t size) noexcept nogil
cdef void give(void *at) noexcept nogil
