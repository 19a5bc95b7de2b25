"""The table of functions that C code calls: cxistack/capi.h says what each does."""

from cpython.pycapsule cimport PyCapsule_New

from cxistack.capi cimport CXISTACK_ABI, CXISTACK_API, cxistack_capi
from cxistack.kernels cimport _adapters, _over_frames
from cxistack.loading cimport _prepared

cdef cxistack_capi _table

_table.abi = CXISTACK_ABI
_table.api = CXISTACK_API
_table.size = sizeof(cxistack_capi)
_table.explain = _adapters.explain
_table.pixel_size = _adapters.pixel_size
_table.cast = _adapters.cast
_table.gather = _adapters.gather
_table.view = _adapters.view
_table.bin = _adapters.bin
_table.codec_open = _adapters.codec_open
_table.codec_close = _adapters.codec_close
_table.decode = _adapters.decode
_table.decode_error = _adapters.decode_error
_table.encode_bound = _adapters.encode_bound
_table.encode = _adapters.encode
_table.open = _prepared.open_load
_table.close = _prepared.close_load
_table.frame_count = _prepared.frame_count
_table.frame_shape = _prepared.frame_shape
_table.frame_type = _prepared.frame_type
_table.scratch_open = _prepared.scratch_open
_table.scratch_close = _prepared.scratch_close
_table.read = _prepared.read_frames
_table.median3x3 = _adapters.median3x3
_table.flat_field = _adapters.flat_field
_table.above = _adapters.above
_table.accumulate = _over_frames.accumulate
_table.count = _over_frames.count
_table.select_scratch = _over_frames.select_scratch
_table.select = _over_frames.select

table = PyCapsule_New(<void *>&_table, "cxistack._capi.table", NULL)
