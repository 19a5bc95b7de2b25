"""Streams and reductions of runs that memory does not hold.

A long run is one file of bitshuffled frames whose numbers are asked for again and again. The
consumer of a stream takes as long for a batch as the reader alone took: it waits, as for a disk or
an accelerator, or it works on one core while the other decodes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from ..harness.data import CODECS, DETECTOR, PATH, detector_frames, workspace
from ..harness.memory import MIB, bound, growth, has_peaks, in_child
from ..harness.options import Options, Size
from ..harness.report import Report
from ..harness.results import OURS, Figure, Ratio
from ..harness.runs import write_frames, write_run
from ..harness.timing import Pace, in_turns

__all__ = ["SIZES", "run"]

CODEC = "bitshuffle+LZ4"
_QUIET: dict[str, Any] = {"verbose": False}


@dataclass(frozen=True)
class _Size(Size):
    times: int  # that the file of frames is read: the run is so many times as long
    files: int  # of small frames
    long: int  # frames of the file that is reduced


SIZES = {
    "normal": _Size(60, DETECTOR, Pace(3), 38, 2000, 400),
    "quick": _Size(30, DETECTOR, Pace(2), 8, 300, 60),
    "tiny": _Size(3, (20, 30), Pace(1), 2, 3, 6),
}


def run(report: Report, options: Options) -> None:
    """Write files, measure, remove the files."""
    size = options.choose(SIZES)
    data = detector_frames(size.frames, size.shape)
    with workspace(options.folder, 4 * data.nbytes) as folder:
        report.place(f"in the page cache ({folder.parent})")
        path = folder / "run.h5"
        with h5py.File(path, "w") as h5:
            h5.create_dataset(PATH, data=data, chunks=(1, *data.shape[1:]), **CODECS[CODEC])
        bench = _Bench(str(path), data, size, options.threads)
        for case, measure in bench.cases():
            if options.wants(case):
                report.add(case, others=list(measure(case)))
        bench.close()
        case = "small frames of many files, streamed"
        if options.wants(case):
            report.add(case, others=_small(folder, case, size, options.threads))


class _Bench:
    """What is measured of one run of large frames."""

    def __init__(self, name: str, data: NDArray[Any], size: _Size, threads: int) -> None:
        self.name, self.data, self.size, self.threads = name, data, size, threads
        self.one = cxi.CXIStore(name)
        self.how: dict[str, Any] = {"num_threads": threads}

    def cases(self) -> Iterator[tuple[str, Callable[[str], Iterator[Any]]]]:
        """Yield all cases."""
        yield "a stream and who waits as long", self.waiting
        yield "a stream and who works on one core", self.working
        yield "peak memory of a stream", self.memory
        yield "mean of all frames", self.mean
        yield "sum, mean, max, std in one pass", self.several
        yield "exact median, memory for 20 frames", self.median

    def close(self) -> None:
        """Remove the files."""
        self.one.close()
        self.long.close()
        for path in (self.name, *self.long.filenames()):
            Path(path).unlink()

    # ---------------------------------------------------------------- streams

    def waiting(self, case: str) -> Iterator[Any]:
        yield from self._with_consumer(case, self.threads, time.sleep)

    def working(self, case: str) -> Iterator[Any]:
        def work(seconds: float) -> None:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                block.sum(out=total)  # without the GIL, in the cache

        block, total = np.ones(1 << 16), np.zeros(())
        yield from self._with_consumer(case, max(1, self.threads - 1), work)

    def _with_consumer(
        self, case: str, threads: int, consume: Callable[[float], None]
    ) -> Iterator[Any]:
        batch, idxs = 8, np.tile(np.arange(len(self.data)), self.size.times)

        def walked(consumed: Callable[[], object]) -> float:
            begin = time.perf_counter()
            for _ in self.one.stream("data", batch, idxs, num_threads=threads):
                consumed()
            return time.perf_counter() - begin

        walked(lambda: None)
        alone = min(walked(lambda: None) for _ in range(2))
        batches = -(-len(idxs) // batch)
        begin = time.perf_counter()
        for _ in range(batches):
            consume(alone / batches)
        consumer = time.perf_counter() - begin
        both = min(walked(lambda: consume(alone / batches)) for _ in range(2))
        gigabytes = self.data.nbytes * self.size.times / 1e9
        yield Figure(CODEC, case, "reader alone", gigabytes / alone, "GB/s")
        yield Figure(CODEC, case, "time over the slower's", both / max(alone, consumer), "x", 1.15)

    def memory(self, case: str) -> Iterator[Any]:
        if not has_peaks():
            return
        batch, prefetch = 8, 2
        grown, size = in_child(child, self.name, batch, prefetch, self.threads)
        allowed = (prefetch + 2) * size + 64 * MIB
        note = f"{grown / MIB:.0f} MiB, of {allowed / MIB:.0f} allowed"
        yield bound(CODEC, case, grown, allowed, note)

    # ---------------------------------------------------------------- reductions

    @cached_property
    def long(self) -> cxi.CXIStore:
        """A file of many frames, of which few are distinct, though each is stored."""
        path, chunk = Path(self.name).with_name("long.h5"), (1, *self.data.shape[1:])
        return cxi.CXIStore(write_frames(path, self.size.long, chunk, CODEC))

    def mean(self, case: str) -> Iterator[Any]:
        store = self.long
        dataset = h5py.File(store.filenames()[0])[PATH]
        out = np.ones(dataset.shape, dataset.dtype)

        def by_h5py() -> NDArray[Any]:
            total = np.zeros(self.data.shape[1:], np.uint64)
            for number in range(len(dataset)):
                total += dataset[number]
            return total / len(dataset)

        ways = {
            OURS: lambda: store.reduce("data", "mean", **self.how, **_QUIET),
            "the load": lambda: store.load_attribute("data", **self.how, **_QUIET),
            "the load, out=": lambda: store.load_attribute("data", out=out, **self.how, **_QUIET),
            "h5py frame by frame + NumPy": by_h5py,
        }
        np.testing.assert_allclose(ways[OURS](), by_h5py())
        seconds = self._seconds(ways)
        targets: Mapping[str, tuple[float | None, float | None]] = {
            "the load": (0.85, 1.0),
            "the load, out=": (None, None),
            "h5py frame by frame + NumPy": (4.0, None),
        }
        for way, (must, goal) in targets.items():
            yield Ratio(CODEC, case, way, seconds[way] / seconds[OURS], must, goal)

    def several(self, case: str) -> Iterator[Any]:
        words = ["sum", "mean", "max", "std"]
        ways = {
            OURS: lambda: self.long.reduce("data", words, **self.how, **_QUIET),
            "mean": lambda: self.long.reduce("data", "mean", **self.how, **_QUIET),
        }
        found = self.one.reduce("data", words, **self.how, **_QUIET)
        np.testing.assert_array_equal(found["sum"], self.data.sum(axis=0))
        np.testing.assert_array_equal(found["max"], self.data.max(axis=0))
        np.testing.assert_allclose(found["std"], self.data.std(axis=0), rtol=1e-9)
        seconds = self._seconds(ways)
        yield Figure(CODEC, case, "over the mean alone", seconds[OURS] / seconds["mean"], "x", 1.4)

    def median(self, case: str) -> Iterator[Any]:
        frames, store, memory = self.size.long, self.long, 20 * self.data[0].nbytes
        bands = math.ceil(frames * self.data[0].nbytes / memory)
        rows = -(-self.data.shape[1] // bands)
        fs = self.data.shape[2]

        def median() -> NDArray[Any]:
            found: NDArray[Any] = store.reduce(
                "data", "median", memory=memory, **self.how, **_QUIET
            )
            return found

        def read() -> None:
            for first in range(0, self.data.shape[1], rows):
                last = min(self.data.shape[1], first + rows)
                band = cxi.Crop([first, last, 0, fs])
                store.load_attribute("data", transform=band, **self.how, **_QUIET)

        top = store.load_attribute("data", transform=cxi.Crop([0, 7, 0, fs]), **_QUIET)
        np.testing.assert_array_equal(median()[:7], np.median(top, axis=0))
        spent = in_turns({OURS: median, "the bands, read": read}, Pace(1))
        ratio = spent[OURS].seconds / spent["the bands, read"].seconds
        yield Figure(CODEC, case, "seconds", spent[OURS].seconds, "s")
        yield Figure(CODEC, case, "over reading its bands", ratio, "x", 2.0)

    def _seconds(self, ways: Mapping[str, Callable[[], object]]) -> dict[str, float]:
        return {way: spent.seconds for way, spent in in_turns(ways, self.size.pace).items()}


def child(name: str, batch: str, prefetch: str, threads: str) -> tuple[int, int]:
    """Stream with a consumer that is slow; return how memory grew, and the bytes of a batch."""
    with cxi.CXIStore(name) as store:
        shape, dtype = store.describe("data")
        words: dict[str, Any] = {"prefetch": int(prefetch), "num_threads": int(threads)}

        def walk() -> None:
            for _ in store.stream("data", int(batch), **words):
                time.sleep(0.01)

        grown, _ = growth(walk)
        return grown, int(batch) * math.prod(shape[1:]) * dtype.itemsize


def _small(folder: Path, case: str, size: _Size, threads: int) -> list[Any]:
    """Measure a stream of small frames in many files."""
    shape = (64, 64) if size.shape == DETECTOR else (8, 8)
    names = write_run(folder, size.files, 10, shape, CODEC)
    store = cxi.CXIStore(names)
    out = np.ones(store["data"].shape, np.uint16)
    how: dict[str, Any] = {"num_threads": threads}

    def streamed() -> int:
        return sum(len(idxs) for _, idxs in store.stream("data", **how))

    ways: dict[str, Callable[[], object]] = {
        OURS: streamed,
        "one whole load": lambda: store.load_attribute("data", out=out, **how, **_QUIET),
    }
    assert streamed() == len(out)
    spent = in_turns(ways, size.pace)
    store.close()
    for name in names:
        Path(name).unlink()
    value = spent["one whole load"].seconds / spent[OURS].seconds
    return [Ratio(CODEC, case, "one whole load", value, 0.8)]
