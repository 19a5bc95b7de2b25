"""Medians, flat fields, sparse pixels: beside SciPy, NumPy and a peer.

Each result is verified. Ways take turns, and the least time of each counts: only ratios within one
run mean anything. NumPy writes to arrays that it was given. From files, frames are read from the
page cache; bslz4_to_sparse gets its chunks by pread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxistack import kernels
from cxistack.loading.sparse import read_above, sparse_way

from ..harness.data import DETECTOR, Subject, workspace
from ..harness.libraries import on_threads
from ..harness.options import Options, Size
from ..harness.peers import peer_module
from ..harness.report import Report, timings_of
from ..harness.results import OURS, Figure, Ratio
from ..harness.timing import Pace, in_turns

__all__ = ["SIZES", "run"]

SIZES = {
    "normal": Size(24, DETECTOR, Pace(7)),
    "quick": Size(8, DETECTOR, Pace(3)),
    "tiny": Size(3, (40, 70), Pace(1)),
}
NUMPY, SCIPY, PEER = "NumPy", "SciPy", "bslz4_to_sparse"
EXPRESSION = "NumPy, new arrays"
DENSE = "load, then NumPy"

Array = NDArray[Any]
Found = tuple[Array, ...]


@dataclass(frozen=True)
class Case:
    """The same work done by several ways, each returning its result, and what ratios must be."""

    stored: str
    name: str
    ways: Mapping[str, Callable[[], Array | Found]]
    musts: Mapping[str, float] = field(default_factory=dict)
    goals: Mapping[str, float] = field(default_factory=dict)


def run(report: Report, options: Options) -> None:
    """Measure what is in memory, then what is in files."""
    size = options.choose(SIZES)
    frames = _counts(size)
    for case in _in_memory(frames, options.threads):
        _measure(report, options, case, size.pace)
    with workspace(options.folder, 2 * frames.nbytes) as folder:
        report.place(f"in the page cache ({folder.parent})")
        for case in _in_files(folder, frames, options, report):
            _measure(report, options, case, size.pace)


def _counts(size: Size) -> NDArray[np.uint16]:
    """Return frames of low counts, some pixels of each as bright as a reflection."""
    rng = np.random.default_rng(7)
    frames = rng.poisson(1.5, (size.frames, *size.shape)).astype(np.uint16)
    bright = rng.random(frames.shape, np.float32) < 0.01
    frames[bright] = rng.integers(20, 3000, int(bright.sum()))
    return frames


def _measure(report: Report, options: Options, case: Case, pace: Pace) -> None:
    if not options.wants(f"{case.stored}, {case.name}"):
        return
    expected = case.ways[OURS]()
    expected = [one.copy() for one in (expected if isinstance(expected, tuple) else (expected,))]
    for way, call in case.ways.items():
        found = call()
        found = found if isinstance(found, tuple) else (found,)
        if not all(map(np.array_equal, found, expected)):
            raise SystemExit(f"{case.stored}, {case.name}: {way} does not give what {OURS} gives")
    spent = in_turns(case.ways, pace)
    ours = spent[OURS].seconds
    ratios = [
        Ratio(
            case.stored,
            case.name,
            way,
            one.seconds / ours,
            case.musts.get(way),
            case.goals.get(way),
        )
        for way, one in spent.items()
        if not way.startswith(OURS)
    ]
    name = case.name if case.stored == "-" else f"{case.stored}, {case.name}"
    report.add(name, timings_of(case.stored, case.name, spent), ratios)


def _in_memory(frames: NDArray[np.uint16], threads: int) -> Iterator[Case]:
    frame = frames[0]
    scipy = peer_module("scipy.ndimage", "median_filter")
    if scipy is not None:
        for dtype in ("uint16", "float32"):
            one = frame.astype(dtype)
            ways = {
                OURS: lambda one=one: kernels.median3x3(one, num_threads=threads),
                f"{OURS}, 1 thread": lambda one=one: kernels.median3x3(one, num_threads=1),
                SCIPY: lambda one=one: scipy.median_filter(one, 3, mode="reflect"),
            }
            yield Case("-", f"3 x 3 median of {dtype}", ways, {SCIPY: 10.0})
    yield from _corrections(frames, threads)
    threshold = 15

    def nonzero() -> Found:
        flat = frames.reshape(len(frames), -1)
        place, pixel = np.nonzero(flat > threshold)
        return place, pixel, flat[place, pixel]

    ways = {OURS: lambda: kernels.above(frames, threshold, num_threads=threads), NUMPY: nonzero}
    yield Case("-", "1 % of pixels above a threshold", ways, {NUMPY: 1.5})


def _corrections(frames: NDArray[np.uint16], threads: int) -> Iterator[Case]:
    rng = np.random.default_rng(3)
    dark, white = (1 + rng.random((2, *frames.shape[1:]))).astype(np.float32)
    mask = rng.random(frames.shape[1:]) > 0.01
    ours, theirs = np.zeros(frames.shape, np.float32), np.zeros(frames.shape, np.float32)
    words: dict[str, Any] = {"dark": dark, "whitefield": white, "out": ours}

    def by_numpy() -> Array:
        np.subtract(frames, dark, out=theirs)
        return np.divide(theirs, white, out=theirs)

    def expression() -> Array:
        result: Array = (frames - dark) / white
        return result

    def masked() -> Array:
        by_numpy()
        theirs[:, ~mask] = -1
        return theirs

    ways = {
        OURS: lambda: kernels.flat_field(frames, **words, num_threads=threads),
        f"{OURS}, 1 thread": lambda: kernels.flat_field(frames, **words, num_threads=1),
        NUMPY: by_numpy,
        EXPRESSION: expression,
    }
    yield Case("-", "flat field, uint16 to float32", ways, {EXPRESSION: 3.0}, {NUMPY: 3.0})
    ways = {
        OURS: lambda: kernels.flat_field(frames, **words, mask=mask, bad=-1, num_threads=threads),
        NUMPY: masked,
    }
    yield Case("-", "flat field with a mask", ways, {}, {NUMPY: 3.0})


def _in_files(
    folder: Path, frames: NDArray[np.uint16], options: Options, report: Report
) -> Iterator[Case]:
    peer = peer_module(PEER, "chunk2sparse")
    mask = np.random.default_rng(1).random(frames.shape[1:]) > 0.05
    for dtype in (frames.dtype, np.dtype(np.uint32)):
        with Subject(folder, "bitshuffle+LZ4", frames.astype(dtype)) as subject:
            load = subject.store._prepare("data")
            if load.dtype != dtype:
                raise SystemExit(f"{dtype} frames are loaded as {load.dtype}")
            report.say(sparse_way(load))
            out = np.zeros(frames.shape, dtype)
            for threshold, share in ((15, "1 %"), (2999, "none"), (1, "half")):
                for good in (None, mask) if share == "1 %" else (None,):
                    theirs = _Peer(peer, subject, good, threshold) if peer is not None else None
                    works = _Works(load, out, threshold, good, options.threads)
                    ways: dict[str, Callable[[], Found]] = {OURS: works.ours, DENSE: works.dense}
                    if theirs is not None:
                        ways[PEER] = lambda theirs=theirs: theirs.find(options.threads)
                    masked = ", a mask" if good is not None else ""
                    name = f"{dtype}, {share} of pixels above{masked}"
                    musts = {DENSE: 1.5, PEER: 1.0} if share == "1 %" else {}
                    yield Case(subject.codec, name, ways, musts)
                    if share != "none":
                        found = 100 * len(works.ours()[0]) / frames.size
                        report.keep([Figure(subject.codec, name, "pixels found", found, "%")])


@dataclass
class _Works:
    """Our way, and the one without it."""

    load: Any
    out: Array
    threshold: int
    mask: Array | None
    threads: int

    def ours(self) -> Found:
        return read_above(self.load, self.threshold, mask=self.mask, num_threads=self.threads)

    def dense(self) -> Found:
        flat = self.load.read(None, self.out, num_threads=self.threads).reshape(len(self.out), -1)
        found = flat > self.threshold
        if self.mask is not None:
            found &= self.mask.reshape(-1)
        place, pixel = np.nonzero(found)
        return place, pixel, flat[place, pixel]


class _Peer:
    """bslz4_to_sparse on threads, its results joined as ours are."""

    def __init__(self, peer: Any, subject: Subject, mask: Array | None, threshold: int) -> None:
        grid = subject.data.shape[1:]
        good = np.ones(grid, np.uint8) if mask is None else mask.astype(np.uint8)
        self._make = lambda: peer.chunk2sparse(good, subject.data.dtype)
        self._subject, self._threshold = subject, threshold
        self._finders: list[Any] = []

    def find(self, threads: int) -> Found:
        table = self._subject.table
        while len(self._finders) < threads:
            self._finders.append(self._make())
        pieces: list[Any] = [None] * len(table)
        with self._subject.path.open("rb", buffering=0) as file:

            def work(first: int, step: int) -> None:
                for number in range(first, len(table), step):
                    address, size = table[number]
                    chunk = os.pread(file.fileno(), size, address)
                    count, (values, pixels) = self._finders[first](chunk, self._threshold)
                    pieces[number] = pixels[:count].copy(), values[:count].copy()

            on_threads(work, threads)
        counts = [len(one) for one, _ in pieces]
        place = np.repeat(np.arange(len(table)), counts)
        return place, *(np.concatenate(column) for column in zip(*pieces, strict=True))
