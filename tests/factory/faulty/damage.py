"""Stored bytes that cannot be decoded, found or believed."""

import struct

import h5py
import hdf5plugin
import numpy as np

from cxistack import StorageError

from ..values import DATA, frames
from .row import TITLE, faulty, run

LATER = {"shows": False}  # to be told only by reading values


def _stored(folder, values=None, **options):
    """Write `data` in chunks of a frame; return the name, the bytes, and where chunks are."""
    values = frames(3, (20, 30)) if values is None else values
    name = run(folder)
    with h5py.File(name, "a") as h5:
        h5.create_dataset(DATA, data=values, chunks=(1, *values.shape[1:]), **options)
    with h5py.File(name) as h5:
        data = h5[DATA].id
        places = [data.get_chunk_info(k) for k in range(data.get_num_chunks())]
    return name, bytearray((folder / "run.cxi").read_bytes()), places


def _patched(folder, content, old, new):
    assert content.count(old) == 1, content.count(old)
    (folder / "run.cxi").write_bytes(content.replace(old, new))


def _with_filter(folder, code):
    """Write gzipped chunks, and change the filter's number in the dataset's header."""
    name, content, _ = _stored(folder, compression="gzip", compression_opts=4)
    # A filter's description (HDF5 File Format, IV.A.2.l): number, length of its name, flags.
    old = struct.pack("<HHHH", 1, 8, 1, 1) + b"deflate\0"
    new = struct.pack("<HHHH", code, 8, 1, 1) + (b"mafisc\0\0" if code == 32002 else b"\0" * 8)
    _patched(folder, content, old, new)
    return name


@faulty(StorageError, r"filter 4242, which is not .*here.*program that wrote", **LATER)
def filter_of_no_name(folder):
    """Chunks went through a filter that nobody has registered."""
    return _with_filter(folder, 4242)


@faulty(StorageError, r"filter 32002 \(mafisc\), which is not .*here.*HDF5_PLUGIN_PATH", **LATER)
def filter_without_its_plugin(folder):
    """Chunks went through a registered filter whose plugin is not installed."""
    return _with_filter(folder, 32002)


@faulty(StorageError, r"row 1: the chunk of \d+ bytes at \d+ .*end of the file", **LATER)
def chunk_beyond_the_end(folder):
    """The chunk table names a place past the end of the file."""
    name, content, places = _stored(folder, compression="gzip")
    old = struct.pack("<Q", places[1].byte_offset)
    _patched(folder, content, old, struct.pack("<Q", 2**40))
    return name


@faulty(StorageError, r"HDF5 cannot make sense of it.*B-tree.*damaged or half written, so copy")
def chunk_table_damaged(folder):
    """The tree of the chunk table has lost its signature."""
    name, content, places = _stored(folder, compression="gzip")
    at = content.index(struct.pack("<Q", places[0].byte_offset))
    at = content.rindex(b"TREE", 0, at)
    content[at : at + 4] = b"\0\0\0\0"
    (folder / "run.cxi").write_bytes(content)
    return name


@faulty(StorageError, r"bitshuffle.*parameters.*element has no bytes; the file is damaged", **LATER)
def bitshuffle_of_no_element_size(folder):
    """Bitshuffle's parameters say elements of 0 bytes, on which its filter divides by zero."""
    filters = hdf5plugin.Bitshuffle(nelems=0, cname="lz4")
    name, content, _ = _stored(folder, **filters)
    with h5py.File(name) as h5:
        true = h5[DATA].id.get_create_plist().get_filter(0)[2]
    old = struct.pack(f"<{len(true)}I", *true)
    _patched(folder, content, old, struct.pack(f"<{len(true)}I", *true[:2], 0, *true[3:]))
    return name


def _flipped(folder, **options):
    name, content, places = _stored(folder, **options)
    content[places[1].byte_offset + places[1].size // 2] ^= 0x55
    (folder / "run.cxi").write_bytes(content)
    return name


@faulty(StorageError, r"row 1: the chunk .*checksum", **LATER)
def checksum_that_differs(folder):
    """A byte of a chunk has changed, and its fletcher32 checksum tells."""
    return _flipped(folder, fletcher32=True)


@faulty(StorageError, r"row 1: the chunk .*(deflate|gzip|zlib)", **LATER)
def chunk_that_does_not_inflate(folder):
    """A byte of a gzipped chunk has changed."""
    name, content, places = _stored(folder, compression="gzip")
    start = places[1].byte_offset
    content[start : start + 40] = b"\xff" * 40
    (folder / "run.cxi").write_bytes(content)
    return name


@faulty(StorageError, r"row 1: the chunk .*does not decode to the size of a chunk", **LATER)
def bitshuffle_header_that_lies(folder):
    """A bitshuffled chunk says that it decodes to 2^62 bytes."""
    filters = hdf5plugin.Bitshuffle(nelems=0, cname="lz4")
    name, content, places = _stored(folder, **filters)
    struct.pack_into(">Q", content, places[1].byte_offset, 2**62)
    (folder / "run.cxi").write_bytes(content)
    return name


@faulty(
    StorageError,
    r"HDF5 cannot make sense of it.*object header.*half written, so copy",
)
def object_header_damaged(folder):
    """The header of the dataset has lost its version number."""
    name, content, _ = _stored(folder)
    with h5py.File(name) as h5:
        at = h5py.h5o.get_info(h5[DATA].id).addr
    content[at] = 77
    (folder / "run.cxi").write_bytes(content)
    return name


@faulty(StorageError, r"HDF5 cannot make sense of it.*invalid dataset size.*copy it again")
def contiguous_beyond_the_end(folder):
    """Unchunked pixels are said to lie past the end of the file."""
    name = run(folder, {DATA: frames(3)})
    with h5py.File(name) as h5:
        old = struct.pack("<QQ", h5[DATA].id.get_offset(), frames(3).nbytes)
    content = (folder / "run.cxi").read_bytes()
    _patched(folder, content, old, struct.pack("<QQ", 2**40, frames(3).nbytes))
    return name


@faulty(StorageError, r"text, cannot be read: .*heap.*copy it again", shows=False, **TITLE)
def text_heap_damaged(folder):
    """Text of variable length lies in a heap, which has lost its signature."""
    name = run(folder, {"/title": "a title"})
    content = (folder / "run.cxi").read_bytes()
    _patched(folder, content, b"GCOL", b"LOCG")
    return name


@faulty(StorageError, r"rows 0 to 2, cannot be read: .*filter returned failure.*copy it", **LATER)
def lzf_chunk_damaged(folder):
    """A chunk that only HDF5 decodes has changed."""
    values = np.zeros((3, 20, 30), "uint16")
    name, content, places = _stored(folder, values, compression="lzf")
    start, size = places[1].byte_offset, places[1].size
    content[start : start + size] = b"\xff" * size
    (folder / "run.cxi").write_bytes(content)
    return name
