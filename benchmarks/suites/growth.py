"""How the costs of calls, files, frames and chunks grow, and h5py's.

A curve is measured for 1, 10, 100 and 1000 (with ``--full`` 10 000) of each. An exponent over 1.1
of work that should be linear, or over 0.15 of a call that should cost the same whatever there is
beside it, is a must that is missed. All ways are warm: what they do was done once before. Results
go into arrays that are there, or are let go of one by one: fresh memory has a curve of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from ..harness.curves import FLAT, Curve, Ways, measure_curve
from ..harness.data import PATH, detector_frames, workspace
from ..harness.options import Options, Size
from ..harness.report import Report
from ..harness.results import OURS
from ..harness.runs import FILTERS, kept_open, last, opened_in_turn, write_frames, write_run
from ..harness.timing import Pace

__all__ = ["SIZES", "run"]

CODEC = "bitshuffle+LZ4"
_H5PY, _KEPT = "h5py", "h5py, kept open"
_AT_ONCE = 20  # calls that are timed together, where one is too short for a clock
_IN_A_CHUNK = 25  # frames
_TILE = 16  # rows and columns of a small frame, and of a chunk of a long one


@dataclass(frozen=True)
class _Size(Size):
    counts: tuple[int, ...]


SIZES = {
    "normal": _Size(10, (64, 64), Pace(3, 2.0, 0.15), (1, 10, 100, 300, 1000)),
    "quick": _Size(10, (64, 64), Pace(2, 0.5, 0.05), (1, 10, 30, 100)),
    "tiny": _Size(3, (8, 8), Pace(1, 0.1), (1, 2, 4)),
}


def run(report: Report, options: Options) -> None:
    """Write files, measure every curve that is asked for, remove the files."""
    size = options.choose(SIZES)
    counts = (*size.counts, *((3000, 10_000) if options.full else ()))
    with workspace(options.folder, 1 << 29) as folder:
        report.place(f"in the page cache ({folder.parent})")
        bench = _Bench(folder, size, max(counts), options.threads)
        for curve in bench.curves():
            if options.wants(curve.name):
                measure_curve(report, curve, counts, size.pace)


class _Bench:
    """Makes files when a curve first needs them, and the ways of each curve."""

    def __init__(self, folder: Path, size: _Size, most: int, threads: int) -> None:
        self.folder, self.size, self.most, self.threads = folder, size, most, threads
        self._run: list[str] = []

    def curves(self) -> Iterator[Curve]:
        """Yield all curves."""
        yield Curve("N calls for a frame each", CODEC, self.calls)
        yield Curve("20 single frames of N files", CODEC, self.single_frames, FLAT)
        yield Curve("a frame of each of N files", CODEC, self.frame_each)
        yield Curve("all frames of N files", CODEC, self.all_frames)
        yield Curve("a new store of N files, its first frame", CODEC, self.new_store)
        yield Curve("repr() of a new store of N files", CODEC, self.table)
        yield Curve("20 single frames of a file of N", CODEC, self.of_a_long_file, FLAT)
        yield Curve("all frames of a file of N", CODEC, self.long_file)
        yield Curve("N random frames of a file of N", CODEC, self.random_frames)
        yield Curve("N frames in chunks of 25, one by one", CODEC, self.iterated)
        yield Curve("N frames, appended one by one", CODEC, self.appended)
        yield Curve("a frame of N chunks", CODEC, self.chunks)
        yield Curve("20 regions of one of a frame's N chunks", CODEC, self.region, FLAT)

    # ---------------------------------------------------------------- calls and files

    def names(self, count: int) -> list[str]:
        if not self._run:
            self._run = write_run(self.folder, self.most, self.size.frames, self.size.shape, CODEC)
        return self._run[:count]

    def calls(self, count: int, stack: ExitStack) -> Ways:
        names = self.names(1)
        lazy = _store(names, stack)["data"]
        dataset = stack.enter_context(h5py.File(names[0]))[PATH]
        frames = [number % self.size.frames for number in range(count)]
        return {
            OURS: lambda: last(lazy[number] for number in frames),
            _H5PY: lambda: last(dataset[number] for number in frames),
        }

    def single_frames(self, count: int, stack: ExitStack) -> Ways:
        names, frames = self.names(count), self.size.frames
        lazy = _store(names, stack)["data"]
        numbers = np.linspace(0, len(lazy) - 1, _AT_ONCE).astype(int).tolist()
        places = [divmod(number, frames) for number in numbers]
        opened = kept_open([names[file] for file, _ in places], stack)
        pairs = [(dataset, frame) for dataset, (_, frame) in zip(opened, places, strict=True)]
        return {
            OURS: lambda: last(lazy[number] for number in numbers),
            _KEPT: lambda: last(dataset[frame] for dataset, frame in pairs),
        }

    def frame_each(self, count: int, stack: ExitStack) -> Ways:
        names = self.names(count)
        return self._by_file(names, stack, 1, self.size.frames * np.arange(count))

    def all_frames(self, count: int, stack: ExitStack) -> Ways:
        names = self.names(count)
        return self._by_file(names, stack, self.size.frames, None)

    def _by_file(
        self, names: Sequence[str], stack: ExitStack, frames: int, numbers: NDArray[Any] | None
    ) -> Ways:
        """Load the first `frames` of each file, whose numbers in the run are given."""
        load = _store(names, stack).load_attribute
        out, theirs = _two((len(names) * frames, *self.size.shape))

        def by_file() -> NDArray[Any]:
            for number, dataset in enumerate(opened_in_turn(names)):
                begin = number * frames
                dataset.read_direct(theirs, np.s_[:frames], np.s_[begin : begin + frames])
            return theirs

        return {
            OURS: lambda: load("data", numbers, num_threads=self.threads, verbose=False, out=out),
            _H5PY: by_file,
        }

    def new_store(self, count: int, stack: ExitStack) -> Ways:
        names = self.names(count)

        def ours() -> NDArray[Any]:
            with cxi.CXIStore(names) as store:
                return np.array(store["data"][0])

        def by_h5py() -> NDArray[Any]:
            shapes = [dataset.shape for dataset in opened_in_turn(names)]
            with h5py.File(names[0]) as h5:
                return np.array(h5[PATH][0 * len(shapes)])

        return {OURS: ours, _H5PY: by_h5py}

    def table(self, count: int, stack: ExitStack) -> Ways:
        names = self.names(count)

        def ours() -> None:
            with cxi.CXIStore(names) as store:
                repr(store)

        def by_h5py() -> None:
            repr([(dataset.shape, dataset.dtype) for dataset in opened_in_turn(names)])

        return {OURS: ours, _H5PY: by_h5py}

    # ---------------------------------------------------------------- frames

    def _opened(self, count: int, chunk: int, stack: ExitStack) -> tuple[cxi.CXIStore, Any]:
        """Return a file of so many small frames in both; write it first."""
        path = self.folder / f"frames-{count}-{chunk}.h5"
        if not path.exists():
            write_frames(path, count, (chunk, _TILE, _TILE), CODEC)
        return _store([str(path)], stack), stack.enter_context(h5py.File(path))[PATH]

    def of_a_long_file(self, count: int, stack: ExitStack) -> Ways:
        store, dataset = self._opened(count, 1, stack)
        lazy = store["data"]
        numbers = np.linspace(0, count - 1, _AT_ONCE).astype(int).tolist()
        return {
            OURS: lambda: last(lazy[number] for number in numbers),
            _H5PY: lambda: last(dataset[number] for number in numbers),
        }

    def long_file(self, count: int, stack: ExitStack) -> Ways:
        store, dataset = self._opened(count, 1, stack)
        load = store.load_attribute
        out, theirs = _two(dataset.shape)

        def direct() -> NDArray[Any]:
            dataset.read_direct(theirs)
            return theirs

        return {
            OURS: lambda: load("data", None, num_threads=self.threads, verbose=False, out=out),
            _H5PY: direct,
        }

    def random_frames(self, count: int, stack: ExitStack) -> Ways:
        store, dataset = self._opened(count, 1, stack)
        load, numbers = store.load_attribute, np.random.default_rng(11).permutation(count)
        out, theirs = _two(dataset.shape)

        def by_frame() -> NDArray[Any]:
            for place, number in enumerate(numbers):
                dataset.read_direct(theirs, np.s_[number], np.s_[place])
            return theirs

        return {
            OURS: lambda: load("data", numbers, num_threads=self.threads, verbose=False, out=out),
            _H5PY: by_frame,
        }

    def iterated(self, count: int, stack: ExitStack) -> Ways:
        store, dataset = self._opened(count, min(count, _IN_A_CHUNK), stack)
        lazy = store["data"]
        return {
            OURS: lambda: last(itertools.islice(iter(lazy), count)),
            _H5PY: lambda: last(itertools.islice(iter(dataset), count)),
        }

    def appended(self, count: int, stack: ExitStack) -> Ways:
        data = detector_frames(min(count, 10), self.size.shape)
        path = self.folder / "appended.h5"
        stack.callback(lambda: path.unlink(missing_ok=True))

        def ours() -> None:
            with cxi.CXIStore(path, "w").writer("data", compression="bitshuffle") as writer:
                for number in range(count):
                    writer.append(data[number % len(data)])

        def by_h5py() -> None:
            frame = data.shape[1:]
            with h5py.File(path, "w") as h5:
                options = {"maxshape": (None, *frame), "chunks": (1, *frame), **FILTERS[CODEC]}
                dataset = h5.create_dataset(PATH, (0, *frame), data.dtype, **options)
                for number in range(count):
                    dataset.resize(number + 1, 0)
                    dataset[number] = data[number % len(data)]

        return {OURS: ours, _H5PY: by_h5py}

    # ---------------------------------------------------------------- chunks

    def _wide(self, count: int, stack: ExitStack) -> tuple[cxi.CXIStore, Any]:
        """Return a file with a frame of so many chunks in both; write it first."""
        path = self.folder / f"chunks-{count}.h5"
        if not path.exists():
            data = detector_frames(1, (_TILE, _TILE * count))
            with h5py.File(path, "w") as h5:
                h5.create_dataset(PATH, data=data, chunks=(1, _TILE, _TILE), **FILTERS[CODEC])
        return _store([str(path)], stack), stack.enter_context(h5py.File(path))[PATH]

    def chunks(self, count: int, stack: ExitStack) -> Ways:
        store, dataset = self._wide(count, stack)
        load = store.load_attribute
        out, theirs = _two(dataset.shape)

        def direct() -> NDArray[Any]:
            dataset.read_direct(theirs)
            return theirs

        return {
            OURS: lambda: load("data", [0], num_threads=self.threads, verbose=False, out=out),
            _H5PY: direct,
        }

    def region(self, count: int, stack: ExitStack) -> Ways:
        store, dataset = self._wide(count, stack)
        lazy = store["data"]
        begins = (np.linspace(0, count - 1, _AT_ONCE).astype(int) * _TILE).tolist()
        return {
            OURS: lambda: last(lazy[0, 2:9, at + 1 : at + 9] for at in begins),
            _H5PY: lambda: last(dataset[0, 2:9, at + 1 : at + 9] for at in begins),
        }


def _two(shape: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return an array for our result, and one for h5py's: fresh memory costs more than a call."""
    return np.zeros(shape, np.uint16), np.ones(shape, np.uint16)


def _store(names: list[str], stack: ExitStack) -> cxi.CXIStore:
    return stack.enter_context(cxi.CXIStore(names))
