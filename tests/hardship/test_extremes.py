"""Shapes and sizes that no machine holds: what is wanted of them comes, or an exception does."""

import struct

import h5py
import numpy as np
import pytest

from factory.children import ends_well


def lines_of(*loads):
    """Load in a child of little memory; return a line for each (name of a file, load)."""
    code = f"""
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        for name, load in {[(str(name), load) for name, load in loads]!r}:
            try:
                with opened(name) as store:
                    got = eval(load)
                print(np.shape(got), np.unique(got).tolist(), flush=True)
            except (CXIError, OSError, MemoryError) as error:
                print(type(error).__name__, str(error), flush=True)
        """
    return ends_well(code)


SHAPES = [
    ((4, 2**20, 2**20), None),
    ((2**40, 4, 4), None),
    ((2**40, 2**10, 2**10), None),
    ((2**40, 2**12, 2**12), (1, 64, 64)),
    ((2**40, 4, 4), (2**20, 4, 4)),
    ((4, 2**13, 2**13), (1, 2**13, 2**13)),
    ((2**22, 4, 4), (1, 4, 4)),
]
CORNER = 'store.load_attribute("data", [-1, 3], ss_idxs=slice(2), fs_idxs=slice(1, 4))'


@pytest.mark.parametrize(("shape", "chunks"), SHAPES)
def test_a_corner_of_an_absurd_dataset(tmp_path, shape, chunks):
    """Nothing is stored: the corner is the fill value, at the price of the corner."""
    name = tmp_path / "a.h5"
    with h5py.File(name, "w") as h5:
        h5.create_dataset("/frames", shape, "uint16", chunks=chunks, fillvalue=5)
    told, corner = lines_of(
        (name, 'len(store.explain("data", [0], ss_idxs=slice(2))) > 9'), (name, CORNER)
    )
    assert corner == "(2, 2, 3) [5]"
    assert told == "() [True]"


def test_all_of_an_absurd_dataset_is_too_much_and_says_how_much(tmp_path):
    loads = []
    for n, (shape, chunks) in enumerate(SHAPES[:4]):
        loads.append((tmp_path / f"a{n}.h5", 'store.load_attribute("data")'))
        with h5py.File(loads[-1][0], "w") as h5:
            h5.create_dataset("/frames", shape, "uint16", chunks=chunks)
    for (shape, _), (name, _), line in zip(SHAPES, loads, lines_of(*loads), strict=False):
        assert line.startswith("MemoryError")
        assert f"{name}:/frames" in line
        assert str(2 * shape[0] * shape[1] * shape[2]) in line.replace(",", "")


def lookup3(data):
    """Return the checksum of HDF5's metadata: Bob Jenkins' lookup3."""
    m = 0xFFFFFFFF

    def rot(x, k):
        return (x << k | x >> (32 - k)) & m

    a = b = c = (0xDEADBEEF + len(data)) & m
    while len(data) > 12:
        x, y, z = struct.unpack("<3I", data[:12])
        a, b, c = (a + x) & m, (b + y) & m, (c + z) & m
        for k in (4, 6, 8, 16, 19, 4):
            a = ((a - c) & m) ^ rot(c, k)
            c = (c + b) & m
            a, b, c = b, c, a
        data = data[12:]
    if data:
        x, y, z = struct.unpack("<3I", data.ljust(12, b"\0"))
        a, b, c = (a + x) & m, (b + y) & m, (c + z) & m
        for k in (14, 11, 25, 16, 4, 14, 24):
            c = ((c ^ b) - rot(b, k)) & m
            a, b, c = b, c, a
        a, b, c = c, a, b  # the last turn is not made
    return c


def test_the_size_of_a_single_chunk_lies(tmp_path):
    """It has 64 bits in the layout message of new files; the message has a checksum."""
    values = np.random.default_rng(1).poisson(1, (4, 30, 40)).astype("uint16")
    name = tmp_path / "a.h5"
    with h5py.File(name, "w", libver="latest") as h5:
        options = {"chunks": (4, 30, 40), "compression": "gzip"}
        h5.create_dataset("/frames", data=values, **options)
        info = h5["/frames"].id.get_chunk_info(0)
    content = bytearray(name.read_bytes())
    entry = struct.pack("<QIQ", info.size, info.filter_mask, info.byte_offset)
    assert content.count(entry) == 1
    at = content.index(entry)
    header = content.rindex(b"OHDR", 0, at)
    end = checksummed(content, header)
    loads = [(name, 'store.load_attribute("data", verbose=False).sum()')]
    for size in (0, 1, 2**31, 2**40, 2**63 - 1, 2**63, 2**64 - 32, 2**64 - 1):
        struct.pack_into("<Q", content, at, size)
        struct.pack_into("<I", content, end, lookup3(bytes(content[header:end])))
        loads.append((tmp_path / f"size_{size}.h5", loads[0][1]))
        loads[-1][0].write_bytes(content)
    right, *wrong = lines_of(*loads)
    assert right == f"() [{values.sum()}]"
    for (name, _), line in zip(loads[1:], wrong, strict=True):
        assert "Error" in line
        assert str(name) in line or line.startswith("MemoryError")


def checksummed(content, header):
    """Return where the checksum of the object header lies: it is told by itself."""
    for end in range(header + 16, header + 2000):
        (stored,) = struct.unpack_from("<I", content, end)
        if stored and lookup3(bytes(content[header:end])) == stored:
            return end
    raise AssertionError("no checksum found")
