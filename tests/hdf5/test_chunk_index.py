"""Chunk indexes of every kind: what is read beside libhdf5 is what libhdf5 reads (the oracle)."""

import itertools
import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import CXIProtocol, CXIStore, StorageError
from factory.pipelines import PIPELINES

PROTOCOL = CXIProtocol({"data": "number"}, {"data": ["/d"]}, {"data": "stack"})
BESIDE = "read beside libhdf5"
MISPLACED = "HDF5 lists chunks at wrong places where only axis"
VERSIONS = ["earliest", ("v108", "latest"), ("v110", "latest"), "latest"]
DRAWS = int(os.environ.get("CXISTACK_CHUNK_DRAWS", "80"))


@dataclass(frozen=True)
class Case:
    """A dataset, how its chunks are indexed, and which of them are written."""

    libver: object
    shape: tuple
    chunks: tuple
    limits: tuple
    pipeline: str
    is_early: bool
    written: tuple
    idxs: tuple


@st.composite
def cases(draw):
    rank = draw(st.sampled_from([2, 3, 3, 3, 4]))
    shape = tuple(draw(st.integers(1, 7)) for _ in range(rank))
    chunks = tuple(draw(st.integers(1, 4)) for _ in shape)
    more = [draw(st.sampled_from([None, 0, 0, 1, 9])) for _ in shape]
    limits = tuple(
        None if extra is None else n + extra for n, extra in zip(shape, more, strict=True)
    )
    chunks = tuple(c if m is None else min(c, m) for c, m in zip(chunks, limits, strict=True))
    return Case(
        libver=draw(st.sampled_from(VERSIONS)),
        shape=shape,
        chunks=chunks,
        limits=limits,
        pipeline=draw(st.sampled_from(list(PIPELINES))),
        is_early=draw(st.booleans()),
        written=tuple(draw(st.lists(st.booleans(), min_size=1, max_size=9))),
        idxs=tuple(draw(st.lists(st.integers(0, shape[0] - 1), max_size=4))),
    )


def corners(case):
    return itertools.product(
        *(range(0, n, c) for n, c in zip(case.shape, case.chunks, strict=True))
    )


def written(name, case):
    """Write a dataset chunk by chunk; the others keep the fill value."""
    with h5py.File(name, "w", libver=case.libver) as h5:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if case.is_early and case.pipeline == "none":
            plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        data = h5.create_dataset(
            "d",
            case.shape,
            "u2",
            chunks=case.chunks,
            maxshape=case.limits,
            fillvalue=9,
            dcpl=plist,
            **PIPELINES[case.pipeline],
        )
        values = np.arange(math.prod(case.shape)).reshape(case.shape) % 251
        for corner, is_there in zip(corners(case), itertools.cycle(case.written), strict=False):
            if is_there:
                box = tuple(slice(a, a + c) for a, c in zip(corner, case.chunks, strict=True))
                data[box] = values[box]
    with h5py.File(name) as h5:
        return h5["d"][...]


@settings(max_examples=DRAWS)
@given(case=cases())
def test_what_is_read_is_what_h5py_reads(case):
    with tempfile.TemporaryDirectory() as folder:
        name = Path(folder) / "a.h5"
        expected = written(name, case)
        # A 2-D dataset is a stack of one frame.
        frames, idxs = (expected, case.idxs) if expected.ndim > 2 else (expected[None], (0, 0))
        whole = CXIStore(name, protocol=PROTOCOL).load_attribute("data", verbose=False)
        np.testing.assert_array_equal(whole, frames)
        with pytest.MonkeyPatch.context() as patch:  # chunks are found one by one
            patch.setattr("cxistack.loading.route._SMALL_TABLE", 0)
            patch.setattr("cxistack.loading.route._LISTED_FOR_ONE", 0)
            some = CXIStore(name, protocol=PROTOCOL).load_attribute("data", list(idxs))
        np.testing.assert_array_equal(some, frames[list(idxs)])


# The limit of each axis, and the versions of HDF5's format in which the corners can be relied on.
LIMITS = [
    ((4, 6, 8), VERSIONS),
    ((9, 9, 16), VERSIONS),
    ((None, 6, 8), VERSIONS),
    ((None, 9, 16), VERSIONS),
    ((None, None, 8), VERSIONS),
    ((4, None, None), VERSIONS),
    ((None, None, None), VERSIONS),
    ((4, None, 8), ["earliest"]),
    ((9, 6, None), ["earliest"]),
]
SOUND = [(limits, libver) for limits, versions in LIMITS for libver in versions]


@pytest.mark.parametrize(("limits", "libver"), SOUND)
@pytest.mark.parametrize("pipeline", ["none", "bitshuffle lz4"])
def test_a_table_that_is_right_is_used(tmp_path, limits, libver, pipeline):
    case = Case(libver, (4, 6, 8), (1, 2, 4), limits, pipeline, False, (True, True, False), ())
    expected = written(tmp_path / "a.h5", case)
    store = CXIStore(tmp_path / "a.h5", protocol=PROTOCOL)
    np.testing.assert_array_equal(store.load_attribute("data"), expected)
    assert BESIDE in store.explain("data")


@pytest.mark.parametrize("limits", [(4, None, 8), (9, None, 16), (4, 6, None)])
@pytest.mark.parametrize("first", ["earliest", "latest"])
def test_a_table_that_may_be_wrong_is_not(tmp_path, limits, first):
    """The format of the file's head says nothing of it: a later program may have added data."""
    case = Case("latest", (4, 6, 8), (1, 2, 4), limits, "gzip", False, (True, False), ())
    name = tmp_path / "a.h5"
    expected = written(tmp_path / "other.h5", case)
    with h5py.File(name, "w", libver=first) as h5:
        h5["more"] = 1
    with h5py.File(tmp_path / "other.h5") as other, h5py.File(name, "r+", libver="latest") as h5:
        other.copy("d", h5)
    store = CXIStore(name, protocol=PROTOCOL)
    np.testing.assert_array_equal(store.load_attribute("data"), expected)
    assert f"{MISPLACED} {limits.index(None)} is unlimited" in store.explain("data")


@pytest.mark.parametrize("idxs", [[7], [0, 3000, 5999]])
def test_few_frames_of_a_long_table_that_may_be_wrong(tmp_path, idxs):
    """HDF5 would give the chunk of any frame, and name another one of a frame never written."""
    shape = (6000, 4, 6)
    case = Case("latest", shape, (1, 4, 3), (6000, None, 6), "gzip", False, (True, False, True), ())
    expected = written(tmp_path / "a.h5", case)
    store = CXIStore(tmp_path / "a.h5", protocol=PROTOCOL)
    np.testing.assert_array_equal(store.load_attribute("data", idxs), expected[idxs])
    assert MISPLACED in store.explain("data", idxs)


@pytest.mark.parametrize(
    ("corner", "why"),
    [
        ((0, 2, 4), "its chunk table makes no sense .two chunks have the same place"),
        ((4, 2, 0), "its chunk table makes no sense .invalid entry"),
        ((0, 1, 0), "its chunk table makes no sense .a chunk begins where|bad coordinate offset"),
    ],
)
def test_corners_that_cannot_be_are_told_as_damage(tmp_path, corner, why):
    """Two chunks of the same corner: one would stand in the other's place without a word."""
    name = tmp_path / "a.h5"
    case = Case("earliest", (4, 6, 8), (1, 2, 4), (4, 6, 8), "none", False, (True,), ())
    written(name, case)
    stored = name.read_bytes()

    def key(at):  # of a version 1 B-tree: bytes, filter mask, corner, place in an element
        return b"".join(int(n).to_bytes(4, "little") for n in (16, 0)) + b"".join(
            int(n).to_bytes(8, "little") for n in (*at, 0)
        )

    assert stored.count(key((0, 2, 0))) == 1
    name.write_bytes(stored.replace(key((0, 2, 0)), key(corner)))
    with pytest.raises(StorageError, match=rf"a\.h5:/d[:,] .*({why})"):
        CXIStore(name, protocol=PROTOCOL).load_attribute("data")


@pytest.mark.parametrize("pipeline", ["gzip", "bitshuffle lz4"])
@pytest.mark.parametrize("limits", [(None, 5, 7), (4, None, 7), (4, 5, None)])
def test_rows_are_written_as_h5py_reads_them(tmp_path, limits, pipeline):
    name = tmp_path / "a.h5"
    case = Case("latest", (4, 5, 7), (1, 2, 4), limits, pipeline, False, (True, False), ())
    frames = written(name, case)
    frames[2] = 1 + np.arange(35).reshape(5, 7)
    CXIStore(name, mode="r+", protocol=PROTOCOL).save_attribute(
        "data", frames[2:3], mode="insert", idxs=[2]
    )
    with h5py.File(name) as h5:
        np.testing.assert_array_equal(h5["d"][...], frames)
