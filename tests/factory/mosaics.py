"""Virtual datasets of any make, drawn by hypothesis, and what NumPy says that they are."""

import itertools
import math
from dataclasses import dataclass, field
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from hypothesis import strategies as st

__all__ = ["Mosaic", "mosaics", "write"]

STORAGE = {
    "contiguous": {},
    "gzip": {"compression": "gzip", "shuffle": True},
    "bitshuffle": dict(hdf5plugin.Bitshuffle(nelems=0, cname="lz4")),
    "lzf": {"compression": "lzf"},
    "plain chunks": {"chunked": True},
}


@dataclass
class Mosaic:
    """A virtual dataset.

    Mappings are (slabs of the virtual dataset, slabs of the source, the source, whether the source
    leaves out axes of one pixel); a slab is (start, stride, count, block).
    """

    shape: tuple[int, ...]
    dtype: str
    fill: int | None
    mappings: list[Any] = field(default_factory=list)


@dataclass(eq=False)
class Plain:
    """A source that holds its own values."""

    shape: tuple[int, ...]
    dtype: str
    storage: str
    chunks: tuple[int, ...]


def places(slab):
    """Return the indices that a slab means."""
    start, stride, count, block = slab
    return (start + stride * np.arange(count)[:, None] + np.arange(block)).ravel()


@st.composite
def plain(draw, shape, dtype):
    order = draw(st.sampled_from(["<", "<", ">"]))
    dtype = np.dtype(dtype).newbyteorder(order).str if np.dtype(dtype).itemsize > 1 else dtype
    chunks = draw(
        st.one_of(
            st.just((1, *shape[1:])),
            st.just(tuple(shape)),
            st.tuples(*(st.integers(max(1, n // 2), n) for n in shape)),
        )
    )
    return Plain(tuple(shape), dtype, draw(st.sampled_from(sorted(STORAGE))), chunks)


@st.composite
def taken(draw, length):
    """Return a slab of `length` pixels, and how long an axis is that has it."""
    start, spare = draw(st.sampled_from([0, 0, 1, 2])), draw(st.sampled_from([0, 0, 1, 3]))
    stride = draw(st.sampled_from([1, 1, 1, 2, 3]))
    if stride == 1:
        return (start, 1, 1, length), start + length + spare
    return (start, stride, length, 1), start + (length - 1) * stride + 1 + spare


@st.composite
def splits(draw, length, *, gaps):
    """Return slabs that do not overlap along an axis."""
    how = draw(st.sampled_from(["whole", "parts", "parts", "interleaved", "blocks"]))
    if how == "whole" or length == 1:
        return [(0, 1, 1, length)]
    if how == "interleaved":
        n = draw(st.integers(2, min(4, length)))
        return [(k, n, -(-(length - k) // n), 1) for k in range(n)]
    if how == "blocks" and length >= 6:
        return [(0, 3, length // 3, 2), (2, 3, length // 3, 1)]
    cuts = sorted({0, length, *draw(st.lists(st.integers(0, length), max_size=3))})
    parts = []
    for low, high in itertools.pairwise(cuts):
        low += draw(st.sampled_from([0, 0, 1])) if gaps else 0
        if low < high:
            parts.append((low, 1, 1, high - low))
    return parts


def tiles(axes):
    """Return the products of slabs along each axis."""
    if not axes:
        return [()]
    return [(slab, *rest) for slab in axes[0] for rest in tiles(axes[1:])]


@st.composite
def mosaics(draw, depth=1, dtype=None, shape=None):
    if shape is None:
        lead = draw(st.sampled_from([(), (), (1,), (2,), (3,)]))
        side = st.sampled_from([1, 2, 5, 8, 9])
        shape = (draw(st.integers(1, 7)), *lead, draw(side), draw(side))
    dtype = dtype or draw(st.sampled_from(["u2", "u2", "i4", "f4", "u1", "bool", "f8", "f2"]))
    fill = None if dtype == "bool" else draw(st.sampled_from([None, None, 0, 5]))
    mosaic = Mosaic(shape, dtype, fill)
    if draw(st.integers(0, 4)) == 0:  # anywhere, and overlapping
        targets = []
        for _ in range(draw(st.integers(1, 4))):
            corner = [draw(st.integers(0, n - 1)) for n in shape]
            targets.append(
                tuple(
                    (c, 1, 1, draw(st.integers(1, n - c)))
                    for c, n in zip(corner, shape, strict=True)
                )
            )
    else:
        gaps = draw(st.booleans())
        targets = tiles([draw(splits(n, gaps=gaps)) for n in shape])
        if gaps:
            targets = [one for one in targets if draw(st.integers(0, 5))]
    if len(targets) > 24:
        targets = targets[:24]
    shared = None
    if draw(st.integers(0, 3)) == 0:  # all of one source, whose chunks hold several pieces
        shared = draw(plain(shape, dtype))
    for target in targets:
        if shared is not None:
            mosaic.mappings.append((target, target, shared, False))
            continue
        lengths = [count * block for _, _, count, block in target]
        drop = draw(st.booleans()) and any(n == 1 for n in lengths)
        kept = [n for n in lengths if n != 1] if drop else lengths
        if len(kept) < 2:
            drop, kept = False, lengths
        slabs, extents = zip(*[draw(taken(n)) for n in kept], strict=True)
        if depth and draw(st.integers(0, 3)) == 0 and not drop:
            source = draw(mosaics(depth=depth - 1, dtype=dtype, shape=tuple(extents)))
        else:
            source = draw(plain(extents, dtype))
        mosaic.mappings.append((target, slabs, source, drop))
    return mosaic


def overlap(mosaic):
    """Tell whether two mappings have a pixel in common."""
    seen = np.zeros(mosaic.shape, int)
    for target, _, _, _ in mosaic.mappings:
        seen[np.ix_(*map(places, target))] += 1
    return (seen > 1).any()


def write(folder, name, path, mosaic, known=None):
    """Write a drawn dataset with all its sources; return its values and whether any overlap."""
    known = {} if known is None else known
    dtype = np.dtype(mosaic.dtype)
    values = np.full(mosaic.shape, mosaic.fill or 0, dtype)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if mosaic.fill is not None:
        plist.set_fill_value(np.array(mosaic.fill, dtype))
    overlaps = overlap(mosaic)
    for target, slabs, source, _ in mosaic.mappings:
        if id(source) not in known:
            file = f"{folder.name}_{len(known)}.h5" if len(known) % 3 else name
            inner = f"/s{len(known)}"
            known[id(source)] = file, inner, None, False
            if isinstance(source, Mosaic):
                its, also = write(folder, file, inner, source, known)
            else:
                its, also = _write_plain(folder, file, inner, source, len(known)), False
            known[id(source)] = file, inner, its, also
        file, inner, its, also = known[id(source)]
        overlaps = overlaps or also
        here = h5py.h5s.create_simple(mosaic.shape)
        here.select_hyperslab(*_hyperslab(target))
        there = h5py.h5s.create_simple(its.shape)
        there.select_hyperslab(*_hyperslab(slabs))
        plist.set_virtual(here, b"." if file == name else file.encode(), inner.encode(), there)
        region = np.ix_(*map(places, target))
        values[region] = its[np.ix_(*map(places, slabs))].reshape(values[region].shape)
    with h5py.File(folder / name, "a", libver="latest") as h5:
        kind = h5py.h5t.py_create(dtype, logical=True)
        h5py.h5d.create(h5.id, path.encode(), kind, h5py.h5s.create_simple(mosaic.shape), plist)
    return values, overlaps


def _hyperslab(slabs):
    start, stride, count, block = zip(*slabs, strict=True)
    return start, count, stride, block


def _write_plain(folder, file, path, source, number):
    values = np.arange(math.prod(source.shape)) * 7 + 31 * number
    values = values % 2 if source.dtype in ("bool", "|b1") else values % 113
    values = values.reshape(source.shape).astype(source.dtype)
    options = dict(STORAGE[source.storage])
    if options:
        options.pop("chunked", None)
        options["chunks"] = source.chunks
    with h5py.File(folder / file, "a", libver="latest") as h5:
        h5.create_dataset(path, data=values, **options)
    return values
