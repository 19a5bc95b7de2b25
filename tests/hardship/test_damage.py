"""Damaged files, read in child processes: exact frames or an exception that says where."""

import struct

import h5py
import hdf5plugin
import numpy as np
import pytest

from factory.children import ends_well

CODECS = {
    "none": {},
    "gzip": {"compression": "gzip"},
    "gzip+shuffle": {"compression": "gzip", "shuffle": True},
    "gzip+fletcher32": {"compression": "gzip", "fletcher32": True},
    "lz4": {**hdf5plugin.LZ4(nbytes=1024)},
    "zstd": {**hdf5plugin.Zstd()},
    "bitshuffle lz4": {**hdf5plugin.Bitshuffle(nelems=0, cname="lz4")},
    "bitshuffle zstd": {**hdf5plugin.Bitshuffle(nelems=0, cname="zstd")},
    "bitshuffle none": {**hdf5plugin.Bitshuffle(nelems=0, cname="none")},
}
FILTERED = [codec for codec in CODECS if codec != "none"]  # bitshuffle none is the last
SHAPE = (4, 60, 90)
TYPED = ("CXIError", "StorageError", "FileChangedError", "LayoutError", "LinkError", "MemoryError")
TYPED += ("OSError", "AttributeMissingError")


def frames():
    return np.random.default_rng(5).poisson(1.0, SHAPE).astype("uint16")


def put(name, codec, chunks=(1, 60, 90), **options):
    with h5py.File(name, "w", **options) as h5:
        h5.create_dataset("/frames", data=frames(), chunks=chunks, **CODECS[codec])
    return bytearray(name.read_bytes()), places(name)


def places(name):
    with h5py.File(name) as h5:
        data = h5["/frames"].id
        return [data.get_chunk_info(k) for k in range(data.get_num_chunks())]


CHECK = """
    expected = np.load({expected!r})
    for name in {names!r}:
        attempt(name, expected)
    """


def loaded(tmp_path, contents, may_differ=False):
    """Load each of the files of these contents in one child; return how each one ended."""
    np.save(tmp_path / "expected.npy", frames())
    names = []
    for k, content in enumerate(contents):
        names.append(str(tmp_path / f"damaged_{k}.h5"))
        (tmp_path / f"damaged_{k}.h5").write_bytes(content)
    code = CHECK.format(expected=str(tmp_path / "expected.npy"), names=names)
    lines = ends_well(code, may_differ=may_differ)
    assert len(lines) == len(names)
    for name, line in zip(names, lines, strict=True):
        assert line in ("exact", "WRONG PIXELS") or (line.startswith(TYPED) and name in line), line
    return lines


@pytest.mark.parametrize("codec", ["none", "gzip", "bitshuffle lz4"])
def test_truncated_anywhere(tmp_path, codec):
    whole, infos = put(tmp_path / "a.h5", codec)
    edges = [edge for info in infos for edge in (info.byte_offset, info.byte_offset + info.size)]
    cuts = {edge + d for edge in (0, 8, 96, 512, 2048, len(whole), *edges) for d in (-1, 0, 1)}
    cuts = sorted(cut for cut in cuts if 0 <= cut < len(whole))
    assert "exact" not in loaded(tmp_path, [whole[:cut] for cut in cuts])


@pytest.mark.parametrize("beyond", [False, True])
def test_a_chunk_that_is_said_to_lie_elsewhere(tmp_path, beyond):
    damaged = []
    for codec in ("none", "gzip", "bitshuffle lz4", "zstd"):
        whole, infos = put(tmp_path / "a.h5", codec)
        entry = struct.pack("<Q", infos[2].byte_offset)
        assert whole.count(entry) == 1
        size = len(whole)
        ends = [size - 1, size, size + 1, 2**31, 2**40, 2**62, 2**63 - 1]
        for address in [2**63, 2**64 - 2, 2**64 - 1] if beyond else ends:
            damaged.append(bytes(whole).replace(entry, struct.pack("<Q", address)))
    lines = loaded(tmp_path, damaged)
    assert all(line != "exact" and "/frames" in line for line in lines), lines


def test_a_chunk_that_is_said_to_be_of_another_size(tmp_path):
    """A key of the version 1 B-tree: size, mask, offsets; then the address."""
    damaged = []
    for codec in FILTERED:
        whole, infos = put(tmp_path / "a.h5", codec)
        at = whole.index(struct.pack("<Q", infos[2].byte_offset)) - 40
        assert struct.unpack_from("<I", whole, at)[0] == infos[2].size
        for size in (0, 1, 3, 4, 12, 13, infos[2].size - 1, 2**31 - 1, 2**31, 2**32 - 1):
            damaged.append(whole.copy())
            struct.pack_into("<I", damaged[-1], at, size)
    lines = loaded(tmp_path, damaged)
    for line in lines:
        assert line != "exact", lines
        assert "/frames" in line


def test_an_unfiltered_chunk_of_another_size_is_as_h5py_has_it_or_an_error(tmp_path):
    whole, infos = put(tmp_path / "a.h5", "none")
    at = whole.index(struct.pack("<Q", infos[2].byte_offset)) - 40
    damaged = []
    for size in (0, 1, 100, 10799, 10801, 2**31, 2**32 - 1):
        damaged.append(whole.copy())
        struct.pack_into("<I", damaged[-1], at, size)
    loaded(tmp_path, damaged)


def test_a_mask_that_lies(tmp_path):
    """A filter that was not skipped, or a bit of no filter: HDF5 does not look at these."""
    damaged = []
    for codec in FILTERED[:-1]:  # bitshuffle without a codec has no size to tell by
        whole, infos = put(tmp_path / "a.h5", codec)
        at = whole.index(struct.pack("<Q", infos[2].byte_offset)) - 36
        filters = 2 if "+" in codec else 1
        for mask in (2**filters - 1, 0xFFFFFFFF, 2**filters, 0x80000000):
            damaged.append(whole.copy())
            struct.pack_into("<I", damaged[-1], at, mask)
    lines = loaded(tmp_path, damaged)
    for k in range(0, len(lines), 4):
        assert lines[k + 2 : k + 4] == ["exact", "exact"]
        assert "exact" not in lines[k : k + 2]


HEADERS = [
    (0, ">Q", [0, 1, 4095, 10799, 10801, 2**32, 2**62, 2**63, 2**64 - 1]),
    (8, ">I", [0, 1, 3, 7, 8, 2**31 - 1, 2**31, 2**32 - 1]),
    (12, ">I", [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]),
]


@pytest.mark.parametrize("codec", ["lz4", "bitshuffle lz4", "bitshuffle zstd"])
def test_headers_that_lie(tmp_path, codec):
    whole, infos = put(tmp_path / "a.h5", codec)
    damaged = []
    for offset, form, values in HEADERS:
        for value in values:
            content = whole.copy()
            struct.pack_into(form, content, infos[1].byte_offset + offset, value)
            damaged.append(content)
    lines = loaded(tmp_path, damaged)
    assert sum(line != "exact" for line in lines) >= len(lines) - 2, lines


@pytest.mark.parametrize("codec", CODECS)
def test_bits_flipped_in_stored_chunks(tmp_path, codec):
    """No signal; with a checksum every flip is found, without one other pixels may come."""
    _, infos = put(tmp_path / "a.h5", codec)
    np.save(tmp_path / "a.npy", frames())
    spans = [(info.byte_offset, info.size) for info in infos]
    code = f"""
        whole = open({str(tmp_path / "a.h5")!r}, "rb").read()
        expected, spans = np.load({str(tmp_path / "a.npy")!r}), {spans!r}
        rng = np.random.default_rng(3)
        ends = dict()
        for number in range(120):
            content = bytearray(whole)
            start, size = spans[number % 4]
            near = min(size, 40) if number % 2 else size
            content[start + rng.integers(near)] ^= 1 << rng.integers(8)
            name = "{tmp_path}/flipped.h5"
            open(name, "wb").write(content)
            try:
                with opened(name) as store:
                    other = store.load_attribute("data", verbose=False, num_threads=1 + number % 2)
            except CXIError as error:
                assert "flipped.h5:/frames" in str(error), str(error)
                ends["error"] = ends.get("error", 0) + 1
            else:
                rest = [k for k in range(4) if k != number % 4]
                assert np.array_equal(other[rest], expected[rest])
                same = "same" if np.array_equal(other, expected) else "other"
                ends[same] = ends.get(same, 0) + 1
        print(sorted(ends.items()))
        """
    (line,) = ends_well(code)
    if codec == "gzip+fletcher32":
        assert "other" not in line
    if codec not in ("none", "bitshuffle none"):
        assert "error" in line


def test_bits_flipped_in_metadata(tmp_path):
    """What comes is what h5py gives of the same file, what was written, or a typed exception.

    Of three bits in keys of the tree of chunks, HDF5 lists a chunk and does not find it when it
    reads: h5py gives the fill value then, and we what was written.
    """
    whole, infos = put(tmp_path / "a.h5", "gzip+shuffle")
    np.save(tmp_path / "a.npy", frames())
    stored = {info.byte_offset + k for info in infos for k in range(info.size)}
    spots = [k for k in range(len(whole)) if k not in stored and (whole[k] or k % 16 == 0)]
    code = f"""
        import warnings
        warnings.simplefilter("ignore")
        whole = open({str(tmp_path / "a.h5")!r}, "rb").read()
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
        name = "{tmp_path}/flipped.h5"
        expected = np.load({str(tmp_path / "a.npy")!r})
        bad = []
        for number, spot in enumerate({spots!r}):
            content = bytearray(whole)
            content[spot] ^= (1, 2, 16, 128)[number % 4]
            open(name, "wb").write(content)
            try:
                with opened(name) as store:
                    ours = store.load_attribute("data", verbose=False)
            except (CXIError, OSError, MemoryError) as error:
                if "flipped.h5" not in str(error) and not isinstance(error, MemoryError):
                    bad.append((spot, type(error).__name__, str(error)[:80]))
                continue
            except BaseException as error:
                bad.append((spot, type(error).__name__, str(error)[:80]))
                continue
            try:
                with h5py.File(name) as h5:
                    theirs = h5["/frames"][...]
            except Exception:
                theirs = expected
            if not np.array_equal(ours, theirs) and not np.array_equal(ours, expected):
                bad.append((spot, "other pixels", ours.shape))
        for one in bad:
            print(one)
        """
    lines = ends_well(code)
    assert not lines, lines


ODD = [(0, 3, 0, 0, 2), (0, 3, 3, 0, 2), (0, 3, 2, 3, 2), (0, 3, 2, 0, 9), (0, 3, 4, 0, 2)]
ODD += [(0, 3, 2**31, 0, 2), (0, 3, 2, 2**31, 2), (0, 3, 2**32 - 1, 0, 0), (9, 9, 2, 8, 2)]


@pytest.mark.parametrize("odd", [ODD[:1], ODD[1:]])
def test_odd_parameters_of_bitshuffle(tmp_path, odd):
    """Patched into the filter message of a file: h5py's filter would set them right."""
    whole, _ = put(tmp_path / "a.h5", "bitshuffle lz4")
    with h5py.File(tmp_path / "a.h5") as h5:
        true = h5["/frames"].id.get_create_plist().get_filter(0)[2]
    old = struct.pack(f"<{len(true)}I", *true)
    assert whole.count(old) == 1
    damaged = [bytes(whole).replace(old[:20], struct.pack("<5I", *values)) for values in odd]
    for line in loaded(tmp_path, damaged):
        assert line == "exact" or "/frames" in line, line


def test_odd_elements_of_shuffle(tmp_path):
    whole, _ = put(tmp_path / "a.h5", "gzip+shuffle")
    old = struct.pack("<HHHH", 2, 8, 1, 1) + b"shuffle\0" + struct.pack("<I", 2)
    assert whole.count(old) == 1, "the filter message is not as expected"
    names = []
    for element in (0, 1, 3, 4, 2**31, 2**32 - 1):
        names.append(str(tmp_path / f"odd_{element}.h5"))
        content = bytes(whole).replace(old, old[:-4] + struct.pack("<I", element))
        (tmp_path / f"odd_{element}.h5").write_bytes(content)
    code = f"""
        for name in {names!r}:
            try:
                expected = h5py.File(name)["/frames"][...]
            except Exception:
                expected = None
            attempt(name, expected)
        """
    for line in ends_well(code):
        assert line == "exact" or line.startswith(TYPED), line


def test_errors_that_are_collected_take_nothing_along(tmp_path):
    # A name of the error in the frame that its traceback has is a cycle, as users make them: the
    # job that failed goes by a collection, and what it shares with a plan that is kept stays.
    name = tmp_path / "a.h5"
    values = np.random.default_rng(0).integers(0, 1000, (300, 128, 128)).astype("u2")
    with h5py.File(name, "w") as h5:
        data = h5.create_dataset(
            "/frames", data=values, chunks=(1, 128, 128), **CODECS["bitshuffle lz4"]
        )
        at = data.id.get_chunk_info(150).byte_offset
    with name.open("r+b") as file:
        file.seek(at + 12)
        file.write(b"\xff" * 200)
    np.save(tmp_path / "values.npy", values)
    code = f"""
        import gc
        values = np.load({str(tmp_path / "values.npy")!r})
        store = opened({str(name)!r})

        def fails():
            kept = None
            try:
                store.load_attribute("data", range(300), dtype="f4", verbose=False)
            except StorageError as error:
                kept = error
            assert "row 150" in str(kept), kept

        for turn in range(4):
            fails()
            gc.collect()
            got = store.load_attribute("data", range(150), dtype="f4", verbose=False)
            assert (got == values[:150]).all()
        """
    ends_well(code)
