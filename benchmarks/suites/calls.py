"""What a call, a small frame, an append, an import cost, beside h5py.

h5py's chunk cache is off where frames are decoded (no way may keep what another must decode), and
as large as ours where single frames of a chunk are read in any order. Where a bound is given, the
ratio is the bound over the time that ours takes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from ..harness.data import DETECTOR, PATH, detector_frames, synchronise, workspace
from ..harness.libraries import on_threads
from ..harness.options import Options, Size
from ..harness.report import Report, short_time
from ..harness.results import OURS, Ratio, Timing
from ..harness.runs import FILTERS, kept_open, last, opened_in_turn, write_frames, write_run
from ..harness.timing import Case, Pace, Pool, Target, Way, measure, ratios

__all__ = ["SIZES", "run"]

_CODEC = "bitshuffle+LZ4"
_OUT, _READER = f"{OURS}, out=", "Reader, out="
_H5PY, _DIRECT = "h5py [...]", "h5py read_direct"
_AT_ONCE = 20  # calls that are timed together, where one is too short for a clock
_IN_A_CHUNK = 25  # frames
_CACHE = 64 << 20  # bytes of decoded chunks that are kept, by us and by h5py
_MOST_BYTES = 128 << 20  # of the frames of one load


@dataclass(frozen=True)
class _Size(Size):
    files: int
    sides: tuple[int, ...]  # of square frames of all filters
    many: int  # frames of a file
    appended: int
    large: tuple[int, int]


SIZES = {
    "normal": _Size(
        10, (64, 64), Pace(5, 1.0, 0.2), 2000, (32, 64, 256, 1024, 4096), 400, 200, DETECTOR
    ),
    "quick": _Size(10, (64, 64), Pace(3, 0.5, 0.05), 200, (32, 256, 1024), 100, 50, (1000, 1000)),
    "tiny": _Size(3, (8, 8), Pace(1, 0.1), 4, (8, 16), 10, 5, (20, 30)),
}


@dataclass(frozen=True)
class _Bound:
    """The seconds that a call (or a file, or a frame) of ours must, and should, take at most."""

    must: float
    goal: float
    each: int = 1  # how many of them a way does
    ours: str = OURS

    def ratio(self, case: Case, timings: list[Timing]) -> Iterator[Ratio]:
        """Yield how far below it ours stays."""
        for timing in timings:
            if timing.way == self.ours:
                seconds, name = timing.seconds / self.each, f"{short_time(self.must)}"
                value, goal = self.must / seconds, self.must / self.goal
                yield Ratio(
                    case.stored, case.name, name, value, 1.0, goal, "bound", short_time(seconds)
                )


def run(report: Report, options: Options) -> None:
    """Write files, measure, remove the files."""
    size = options.choose(SIZES)
    with workspace(options.folder, 1 << 29) as folder:
        report.place(f"in the page cache ({folder.parent})")
        if _reader(None) is None:
            report.say("without Reader: this version has none")
        _Bench(report, options, size, folder).run()


class _Bench:
    """Makes the files, and measures the cases on them, one after the other."""

    def __init__(self, report: Report, options: Options, size: _Size, folder: Path) -> None:
        self.report, self.options, self.size, self.folder = report, options, size, folder

    def run(self) -> None:
        """Measure all that is asked for."""
        for codec in ("none", _CODEC):
            self._small_frames(codec)
        for part in (self._files, self._chunks, self._append, self._threads, self._start):
            part()
        for codec in FILTERS:
            for side in self.size.sides:
                self._sweep(codec, (side, side), (1.0, 1.5), (1.0, 1.5))
        self._sweep(_CODEC, (512, 512), (1.0, 1.8), None)
        self._sweep(_CODEC, self.size.large, (3.0, 3.5), None)
        self._sweep("none", self.size.large, (1.0, 1.2), None)

    def _measure(
        self, case: Case, pool: Pool, *bounds: _Bound, others: Callable[..., Any] = ratios
    ) -> None:
        if not self.options.wants(f"{case.stored}, {case.name}"):
            return
        timings = measure(case, pool, self.size.pace)
        found = [*others(case, timings)]
        for bound in bounds:
            found += bound.ratio(case, timings)
        self.report.add(f"{case.stored}, {case.name}", timings, found)

    def _run(self, codec: str, files: int) -> list[str]:
        """Return the names of the first files of a run; write it at first need."""
        names = sorted(map(str, self.folder.glob(f"{codec}-0*.h5")))
        if not names:
            names = write_run(
                self.folder, self.size.files, self.size.frames, self.size.shape, codec
            )
        return names[:files]

    # ---------------------------------------------------------------- calls and files

    def _small_frames(self, codec: str) -> None:
        rows, columns = self.size.shape
        for files in dict.fromkeys((1, min(20, self.size.files), self.size.files)):
            with ExitStack() as stack:
                names = self._run(codec, files)
                lazy = stack.enter_context(cxi.CXIStore(names))["data"]
                numbers = np.linspace(0, len(lazy) - 1, _AT_ONCE).astype(int).tolist()
                places = [divmod(number, self.size.frames) for number in numbers]
                opened = kept_open([names[file] for file, _ in places], stack)
                pairs = [(one, frame) for one, (_, frame) in zip(opened, places, strict=True)]
                ways = [
                    _many(OURS, [_getter(lazy, number) for number in numbers]),
                    _many("h5py, kept open", [_getter(one, frame) for one, frame in pairs]),
                ]
                bounds = [_Bound(40e-6, 15e-6) if files == 1 else _Bound(60e-6, 20e-6)]
                pool = Pool(2 * rows * columns)
                if files == 1 and _reader(None) is not None:
                    out = pool.array((rows, columns), np.uint16)
                    read = _reader(opened[0])
                    ways.append(
                        _many(_READER, [_reading(read, number, out) for _, number in places])
                    )
                    bounds.append(_Bound(15e-6, 5e-6, ours=_READER))
                name = f"a frame of {rows} x {columns}, {_files(files)}"
                case = Case(name, codec, rows * columns * 2, ways[1].name, ways, [_AGAINST_H5PY])
                self._measure(case, pool, *bounds)

    def _files(self) -> None:
        files, frames = self.size.files, self.size.frames
        names = self._run(_CODEC, files)
        shape = (files * frames, *self.size.shape)
        nbytes = 2 * int(np.prod(shape))
        pool = Pool(nbytes)
        with cxi.CXIStore(names) as store:
            load, numbers = store.load_attribute, frames * np.arange(files)
            words: dict[str, Any] = {"num_threads": self.options.threads, "verbose": False}
            one = pool.array((files, *shape[1:]), np.uint16)
            ways = [
                Way(OURS, lambda: load("data", numbers, **words, out=one)),
                Way("h5py", lambda: np.stack([data[0] for data in opened_in_turn(names)])),
            ]
            case = Case(
                f"a frame of each of {_files(files)}", _CODEC, one.nbytes, "h5py", ways, [_TARGET]
            )
            self._measure(case, pool, _Bound(0.15e-3, 0.08e-3, files))
            out = pool.array(shape, np.uint16)
            ways = [
                Way(OURS, lambda: load("data", None, **words, out=out)),
                Way("h5py", lambda: np.concatenate([d[...] for d in opened_in_turn(names)])),
            ]
            case = Case(f"all frames of {_files(files)}", _CODEC, nbytes, "h5py", ways, [_TARGET])
            self._measure(case, pool, _Bound(0.15e-3, 0.08e-3, files))

        def table() -> None:
            with cxi.CXIStore(names) as store:
                repr(store)

        def by_h5py() -> NDArray[Any]:
            return np.array([data.shape for data in opened_in_turn(names)])

        ways = [Way(OURS, table), Way("h5py, shapes alone", by_h5py)]
        case = Case(f"repr() of a new store of {_files(files)}", "-", nbytes, ways[1].name, ways)
        part = files / 2000
        self._measure(case, pool, _Bound(0.5 * part, 0.2 * part))

    # ---------------------------------------------------------------- chunks of several frames

    def _chunks(self) -> None:
        count, side = self.size.many, 4 * self.size.shape[0]
        path = write_frames(self.folder / "chunks.h5", count, (_IN_A_CHUNK, side, side), _CODEC)
        cache = {"rdcc_nbytes": _CACHE, "rdcc_nslots": 10007}
        with cxi.CXIStore(path) as store, h5py.File(path, **cache) as h5:
            lazy, dataset, load = store["data"], h5[PATH], store.load_attribute
            total = len(dataset)
            words: dict[str, Any] = {"num_threads": self.options.threads, "verbose": False}

            def whole() -> None:
                load("data", None, **words)

            ways = [
                Way(OURS, lambda: last(iter(lazy))),
                Way("h5py", lambda: last(dataset)),
                Way("one whole load", whole),
            ]
            targets = [_AGAINST_H5PY, Target(("one whole load",), 1 / 1.2, 1 / 1.05, kind="limit")]
            name = f"{total} frames of {side} x {side}, {_IN_A_CHUNK} a chunk"
            nbytes = total * side * side * 2
            self._measure(
                Case(f"{name}, one by one", _CODEC, nbytes, "h5py", ways, targets), Pool(0)
            )
            numbers = np.random.default_rng(11).permutation(total)[: 2 * _AT_ONCE].tolist()
            ways = [
                _many(OURS, [_getter(lazy, number) for number in numbers]),
                _many("h5py, equal cache", [_getter(dataset, number) for number in numbers]),
            ]
            targets = [Target(("h5py",), 1.0, 3.0)]
            nbytes = side * side * 2
            self._measure(
                Case(f"{name}, random", _CODEC, nbytes, ways[1].name, ways, targets), Pool(0)
            )
        path.unlink()

    # ---------------------------------------------------------------- writing, threads, start

    def _append(self) -> None:
        side, count = 4 * self.size.shape[0], self.size.appended
        data = detector_frames(min(count, 8), (side, side))
        path = self.folder / "appended.h5"

        def written() -> NDArray[Any]:
            with h5py.File(path) as h5:
                return np.array(h5[PATH][-1])

        def ours(block: int) -> Callable[[], None]:
            def append() -> None:
                with cxi.CXIStore(path, "w").writer("data", compression="bitshuffle") as writer:
                    for begin in range(0, count, block):
                        writer.append(
                            data[[k % len(data) for k in range(begin, min(begin + block, count))]]
                        )

            return append

        def by_h5py() -> None:
            with h5py.File(path, "w") as h5:
                options = {"maxshape": (None, side, side), "chunks": (1, side, side)}
                dataset = h5.create_dataset(
                    PATH, (0, side, side), "uint16", **options, **FILTERS[_CODEC]
                )
                for number in range(count):
                    dataset.resize(number + 1, 0)
                    dataset[number] = data[number % len(data)]
            synchronise(path)

        for call in (ours(1), by_h5py):
            call()
            if not np.array_equal(written(), data[(count - 1) % len(data)]):
                raise SystemExit("an appended frame is not what was given")
            path.unlink()
        ways = [
            Way(OURS, ours(1), 1 / count),
            Way(f"{OURS}, 50 at once", ours(50), 1 / count),
            Way("h5py", by_h5py, 1 / count),
        ]
        targets = [Target(("h5py",), 1.0, 3.0)]
        name = f"append a frame of {side} x {side}, file and fsync shared"
        self._measure(Case(name, _CODEC, data[0].nbytes, "h5py", ways, targets), Pool(0))
        path.unlink(missing_ok=True)

    def _threads(self) -> None:
        """Measure single frames that the user's own threads read of one store."""
        count, side = self.size.many, 4 * self.size.shape[0]
        path = write_frames(self.folder / "threads.h5", count, (1, side, side), _CODEC)
        with cxi.CXIStore(path) as store:
            lazy = store["data"]

            def on(threads: int) -> Callable[[], None]:
                def work(first: int, step: int) -> None:
                    for number in range(first, count, step):
                        lazy[number]

                return lambda: on_threads(work, threads)

            most = self.options.threads
            ways = [
                Way(OURS, on(4 * most), 1 / count),
                Way("1 thread of the user", on(1), 1 / count),
            ]
            targets = [Target(("1 thread",), None, 0.9 * most, kind="threads")]
            name = f"a frame of {side} x {side}, by {4 * most} threads of the user"
            self._measure(Case(name, _CODEC, side * side * 2, OURS, ways, targets), Pool(0))
        path.unlink()

    def _start(self) -> None:
        case = Case(
            "import, in a new process",
            "-",
            1,
            OURS,
            [Way(OURS, lambda: _import("cxistack")), Way("h5py", lambda: _import("h5py"))],
            [Target(("h5py",), 1 / 1.3, 1 / 1.1)],
        )
        if self.options.wants(case.name):
            rounds = max(1, self.size.pace.rounds)
            least = [
                min(pair)
                for pair in zip(
                    *([way.call() for way in case.ways] for _ in range(rounds)), strict=True
                )
            ]
            found = [
                Timing("-", case.name, way.name, seconds, rounds)
                for way, seconds in zip(case.ways, least, strict=True)
            ]
            self.report.add(case.name, found, ratios(case, found))

    # ---------------------------------------------------------------- frame sizes and filters

    def _sweep(
        self,
        codec: str,
        shape: tuple[int, int],
        one: tuple[float, float],
        many: tuple[float, float] | None,
    ) -> None:
        """Measure one frame and up to a hundred of them, beside the fastest way of h5py."""
        rows, columns = shape
        nbytes = 2 * rows * columns
        count = max(2, min(100, _MOST_BYTES // nbytes))
        names = [f"{rows} x {columns}, {n}" for n in ("one frame", f"{count} frames")]
        if not any(self.options.wants(f"{codec}, {name}") for name in names):
            return
        pool = Pool(count * nbytes)
        path = write_frames(self.folder / "sweep.h5", count, (1, rows, columns), codec)
        with cxi.CXIStore(path) as store, h5py.File(path, rdcc_nbytes=0) as h5:
            lazy, dataset, load = store["data"], h5[PATH], store.load_attribute
            words: dict[str, Any] = {"num_threads": self.options.threads, "verbose": False}
            at_once = max(1, min(_AT_ONCE, count, (4 << 20) // nbytes))
            numbers = range(0, at_once)
            row = pool.array((1, rows, columns), np.uint16)
            frame_of_row: NDArray[Any] = row[0]

            def frame(number: int) -> NDArray[Any]:
                load("data", [number], **words, out=row)
                return frame_of_row

            def direct(number: int) -> NDArray[Any]:
                dataset.read_direct(row, np.s_[number : number + 1])
                return frame_of_row

            ways = [
                _many(OURS, [_getter(lazy, n) for n in numbers]),
                _many(_OUT, [_with(frame, n) for n in numbers]),
                _many(_H5PY, [_getter(dataset, n) for n in numbers]),
                _many(_DIRECT, [_with(direct, n) for n in numbers]),
            ]
            case = Case(names[0], codec, nbytes, _H5PY, ways)
            self._measure(case, pool, others=lambda case, found: _worst(case, found, *one))
            if many is not None:
                out = pool.array((count, rows, columns), np.uint16)

                def all_direct() -> NDArray[Any]:
                    dataset.read_direct(out)
                    return out

                def by_frame() -> NDArray[Any]:
                    for number in range(count):
                        dataset.read_direct(out, np.s_[number], np.s_[number])
                    return out

                ways = [
                    Way(OURS, lambda: load("data", None, **words)),
                    Way(_OUT, lambda: load("data", None, **words, out=out)),
                    Way(_H5PY, lambda: dataset[...]),
                    Way(_DIRECT, all_direct),
                    Way(f"{_DIRECT}, by frame", by_frame),
                ]
                case = Case(names[1], codec, count * nbytes, _H5PY, ways)
                self._measure(case, pool, others=lambda case, found: _worst(case, found, *many))
        path.unlink()


_TARGET = Target(("h5py",))
_AGAINST_H5PY = Target(("h5py, kept open", "h5py"))


def _worst(case: Case, timings: list[Timing], must: float, goal: float) -> list[Ratio]:
    """Return the smaller of two ratios to h5py: with a new array each, and into the user's."""
    seconds = {timing.way: timing.seconds for timing in timings}
    new = seconds[_H5PY] / seconds[OURS]
    into = min(value for way, value in seconds.items() if way.startswith(_DIRECT)) / seconds[_OUT]
    note = f"new array {new:.2f}, out= {into:.2f}"
    return [Ratio(case.stored, case.name, "h5py", min(new, into), must, goal, note=note)]


def _many(name: str, calls: list[Callable[[], NDArray[Any]]]) -> Way:
    """Return a way that makes all calls, of whose time that of one counts, and returns the last."""

    def work() -> NDArray[Any]:
        for call in calls[:-1]:
            call()
        return calls[-1]()

    return Way(name, work, 1 / len(calls))


def _getter(array: Any, number: int) -> Callable[[], NDArray[Any]]:
    return lambda: array[number]


def _with(call: Callable[[int], NDArray[Any]], number: int) -> Callable[[], NDArray[Any]]:
    return lambda: call(number)


def _reader(dataset: Any) -> Any:
    """Return a Reader of a dataset; None where this version has none."""
    make = getattr(cxi, "Reader", None)
    return make if make is None or dataset is None else make(dataset)


def _reading(reader: Any, number: int, out: NDArray[Any]) -> Callable[[], NDArray[Any]]:
    def read() -> NDArray[Any]:
        reader.read(number, out=out)
        return out

    return read


def _files(count: int) -> str:
    return f"{count} file{'s' * (count > 1)}"


def _import(name: str) -> float:
    """Return how long a new process takes to import a package."""
    clock = "time.perf_counter()"
    code = f"import time; begin = {clock}; import {name}; print({clock} - begin)"
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True
    )
    return float(answer.stdout)
