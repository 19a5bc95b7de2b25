"""Tasks cover every wanted pixel once, from the right bytes, and read none in vain. No file."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack.loading.tasks import PIECE_BYTES, TASK, Geometry, cells, tasks
from cxistack.transforms.steps import Axis, FrameView

GAP = 13  # bytes between stored chunks, of no dataset


class Stored:
    """A dataset's chunks in a buffer, as a file would hold them."""

    def __init__(self, geometry, count, missing=()):
        self.geometry, self.count = geometry, count
        self.frames = np.arange(count * math.prod(geometry.frame), dtype="u4")
        self.frames = self.frames.reshape(count, *geometry.frame).astype(f"u{geometry.itemsize}")
        grid = (-(-count // geometry.chunk[0]), *geometry.inner_grid)
        number = math.prod(grid)
        self.bytes_of_chunk = math.prod(geometry.chunk) * geometry.itemsize
        self.address = GAP + np.arange(number) * (self.bytes_of_chunk + GAP)
        self.size = np.full(number, self.bytes_of_chunk)
        self.mask = np.arange(number, dtype=np.uint32)
        self.buffer = np.full(GAP + number * (self.bytes_of_chunk + GAP), 0xEE, np.uint8)
        for k, corner in enumerate(itertools.product(*map(range, grid))):
            chunk = np.full(geometry.chunk, 0xAA, self.frames.dtype)
            region = tuple(
                slice(i * c, (i + 1) * c) for i, c in zip(corner, geometry.chunk, strict=True)
            )
            part = self.frames[region]
            chunk[tuple(slice(n) for n in part.shape)] = part
            if k in missing:
                self.frames[region] = 0
                self.address[k] = -1
            else:
                start = self.address[k]
                self.buffer[start : start + chunk.nbytes] = chunk.reshape(-1).view(np.uint8)

    def table(self, view, rows, place=0):
        shape = (*self.geometry.frame[:-2], *view.shape)
        out = np.zeros((len(rows), *shape), self.frames.dtype)
        pieces = cells(self.geometry, view, out.strides[1:])
        table = tasks(self.geometry, pieces, rows, self.address, self.size, self.mask)
        table["place"] += place
        return pieces, table, out


def offsets(shape, steps):
    grids = [n * step for n, step in zip(np.ogrid[tuple(map(slice, shape))], steps, strict=True)]
    return sum(grids, np.zeros(shape, np.int64))


def do(stored, view, rows):
    """Do the tasks as the engine is to do them; return the result and how often each was set."""
    geometry = stored.geometry
    pieces, table, out = stored.table(view, rows)
    itemsize = geometry.itemsize
    flat, times = out.reshape(-1), np.zeros(out.size, int)
    frame = out.strides[0] if len(out) else 0
    for task in table:
        cell = pieces[task["cell"]]
        entries = np.arange(task["place"], task["place"] + task["count"])
        source = (rows[entries] % geometry.chunk[0]) * geometry.chunk_frame_bytes + cell.src
        source = source.reshape(-1, *[1] * len(cell.shape)) + offsets(cell.shape, cell.src_steps)
        target = (entries * frame + cell.dst).reshape(-1, *[1] * len(cell.shape))
        target = (target + offsets(cell.shape, cell.dst_steps)) // itemsize
        np.add.at(times, target.ravel(), 1)
        if task["address"] < 0:
            flat[target] = 0
            continue
        here = source - task["shift"]
        assert here.min() >= 0
        assert here.max() + itemsize <= task["size"], "a pixel past the bytes read"
        if not geometry.is_filtered:
            assert here.min() == 0
            assert here.max() + itemsize == task["size"]
        content = stored.buffer[task["address"] : task["address"] + task["size"]]
        pixels = content[here[..., None] + np.arange(itemsize)]
        flat[target] = pixels.view(flat.dtype)[..., 0]
    return out, times.reshape(out.shape)


def axes(length):
    """Return any axis within a length."""
    slices = st.slices(length).map(lambda s: Axis.of_slice(s, length))
    return slices.filter(lambda axis: axis.count > 0)


@st.composite
def cases(draw):
    rank = draw(st.integers(2, 4))
    frame = tuple(draw(st.integers(1, 7)) for _ in range(rank))
    inner = tuple(draw(st.integers(1, n + 2)) for n in frame)
    geometry = Geometry(
        frame,
        (draw(st.integers(1, 5)), *inner),
        draw(st.sampled_from([1, 2, 4, 8])),
        draw(st.booleans()),
    )
    count = draw(st.integers(1, 7))
    rows = np.sort(draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=9)))
    missing = draw(st.sets(st.integers(0, 5), max_size=3))
    view = FrameView(draw(axes(frame[-2])), draw(axes(frame[-1])))
    return Stored(geometry, count, missing), view, rows.astype(np.int64)


@settings(max_examples=250)
@given(cases())
def test_every_wanted_pixel_comes_once_and_from_its_own_bytes(case):
    stored, view, rows = case
    result, times = do(stored, view, rows)
    assert (times == 1).all()
    np.testing.assert_array_equal(result, view.of(stored.frames[rows]))


@settings(max_examples=150)
@given(cases())
def test_a_filtered_chunk_is_read_by_one_task_with_its_mask(case):
    stored, view, rows = case
    if not stored.geometry.is_filtered:
        return
    pieces, table, _ = stored.table(view, rows, place=100)
    there = table[table["address"] >= 0]
    assert len(np.unique(there["address"])) == len(there)
    numbers = np.searchsorted(stored.address[stored.address >= 0], there["address"])
    numbers = np.flatnonzero(stored.address >= 0)[numbers]
    np.testing.assert_array_equal(there["mask"], stored.mask[numbers])
    assert (there["size"] == stored.bytes_of_chunk).all()
    assert (there["shift"] == 0).all()
    assert (table["place"] >= 100).all()
    assert table["count"].reshape(-1, len(pieces)).sum(axis=0).tolist() == [len(rows)] * len(pieces)


@settings(max_examples=150)
@given(cases())
def test_no_stored_byte_is_read_twice(case):
    stored, view, rows = case
    _, table, _ = stored.table(view, rows)
    there = np.sort(table[table["address"] >= 0], order="address")
    ends = there["address"] + there["size"]
    # Rows of several cells may interleave; what is read in all is never more than is stored.
    begins = np.sort(stored.address[stored.address >= 0])
    chunks = np.searchsorted(begins, there["address"], side="right")
    for chunk in np.unique(chunks):
        assert there["size"][chunks == chunk].sum() <= stored.bytes_of_chunk
    assert (ends <= len(stored.buffer)).all()


@pytest.mark.parametrize("frames_a_chunk", [1, 2, 16])
@pytest.mark.parametrize("frame", [(1000, 1000), (4, 300, 500)])
def test_unfiltered_chunks_of_large_frames_are_read_once(frames_a_chunk, frame):
    geometry = Geometry(frame, (frames_a_chunk, *frame), 2, False)
    whole = 2 * math.prod(geometry.chunk)
    steps = [2 * math.prod(frame[k + 1 :]) for k in range(len(frame))]
    pieces = cells(geometry, FrameView.full(frame[-2:]), steps)
    rows = np.arange(2 * frames_a_chunk)
    chunks = np.array([4096, 4096 + whole])
    table = tasks(geometry, pieces, rows, chunks, np.full(2, whole), np.zeros(2, np.uint32))
    assert table["size"].sum() == 2 * whole


def test_a_region_of_an_unfiltered_chunk_is_read_from_its_first_byte_to_its_last():
    geometry = Geometry((100, 200), (4, 100, 200), 2, False)
    view = FrameView(Axis(10, 1, 3), Axis(20, 1, 5))
    table = tasks(
        geometry,
        cells(geometry, view, (10, 2)),
        np.array([1]),
        np.array([1000]),
        np.array([160000]),
        np.zeros(1, np.uint32),
    )
    assert table["address"].tolist() == [1000 + 40000 + (10 * 200 + 20) * 2]
    assert table["size"].tolist() == [(2 * 200 + 5) * 2]


def test_two_far_frames_of_an_unfiltered_chunk_do_not_take_those_between_them():
    geometry = Geometry((500, 500), (100, 500, 500), 4, False)
    view = FrameView(Axis(0, 1, 2), Axis(0, 1, 500))
    table = tasks(
        geometry,
        cells(geometry, view, (2000, 4)),
        np.array([0, 99]),
        np.array([0]),
        np.array([10**8]),
        np.zeros(1, np.uint32),
    )
    assert table["size"].sum() <= 2 * (PIECE_BYTES + 4000)


@pytest.mark.parametrize("shape", [(10000, 2, 2), (64, 64, 4, 4)])
def test_small_planes_are_read_together(shape):
    """A frame of many small planes is one piece: a read of 8 bytes costs as much as one of 8 kB."""
    geometry = Geometry(shape, (1, *shape), 2, False)
    view = FrameView.full(shape[-2:])
    steps = [2 * math.prod(shape[k + 1 :]) for k in range(len(shape))]
    assert len(cells(geometry, view, steps)) <= 1 + 4 * geometry.chunk_frame_bytes // PIECE_BYTES


def test_pieces_of_an_unfiltered_frame_fit_the_cache():
    geometry = Geometry((3000, 2000), (1, 3000, 2000), 2, False)
    for view in (
        FrameView.full((3000, 2000)),
        FrameView(Axis(2999, -1, 3000), Axis(0, 3, 600)),
        FrameView(Axis(0, 7, 400), Axis(5, 1, 10)),
    ):
        for cell in cells(geometry, view, (4000, 2)):
            assert cell.last - cell.first <= PIECE_BYTES + 2 * 7 * 4000


def test_tasks_of_nothing_are_none():
    geometry = Geometry((5, 7), (1, 5, 7), 2, True)
    none = FrameView(Axis(0, 1, 0), Axis(0, 1, 7))
    assert cells(geometry, none, (14, 2)) == []
    empty = np.zeros(0, np.int64)
    pieces = cells(geometry, FrameView.full((5, 7)), (14, 2))
    mask = np.zeros(4, np.uint32)
    table = tasks(geometry, pieces, empty, np.arange(4), np.ones(4, np.int64), mask)
    assert len(table) == 0
    assert table.dtype == TASK
