# The SIMD level in use, for the other kernels.
from cxistack.kernels.rows cimport cxi_rows

cdef const cxi_rows *current_rows() noexcept nogil
