"""What a release must show: cxistack beside its limits and its peers, in one run.

``python -m benchmarks.compare [--quick] [--full] [--json FILE] [--picture FILE.png]``

Frames of 2167 x 2070 uint16 (Poisson counts with a bright centre), in the page cache. In each case
every way must give the values that h5py gives before it is timed; ways take turns, and the least
time of each counts. Only ratios within one run mean anything: machines drift.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from . import axes, cases, memory, scale
from .data import CODECS, Subject, detector_frames, workspace
from .machine import machine
from .peers import Peers, lend_peers
from .picture import draw
from .timing import OURS, Case, Pace, Pool, Ratio, Timing, measure, ratios

__all__ = ["NORMAL", "QUICK", "Report", "Scale", "run"]


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    frames: int
    shape: tuple[int, int]
    modules: int  # frames of the file with many of them in a chunk
    files: int
    many: int  # frames, for the index
    pace: Pace
    module: tuple[int, int] = (128, 512)
    tile: tuple[int, int] = (256, 256)


NORMAL = Scale(60, (2167, 2070), 4096, 1000, 10**6, Pace(7, 5.0, 0.6))
QUICK = Scale(16, (2167, 2070), 1088, 300, 100_000, Pace(3, 0.6, 0.15))


@dataclass
class Report:
    """What was measured."""

    machine: dict[str, str]
    timings: list[Timing] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)

    def as_json(self) -> str:
        """Return all of it."""
        found = [asdict(ratio) | {"verdict": ratio.verdict} for ratio in self.ratios]
        timings = [asdict(timing) for timing in self.timings]
        return json.dumps({"machine": self.machine, "timings": timings, "ratios": found}, indent=1)


def run(
    size: Scale,
    threads: int,
    folder: Path | None = None,
    full: bool = False,
    only: str = "",
) -> Report:
    """Write files, measure, remove the files; `only` cases whose name has that in it."""
    os.environ["RAYON_NUM_THREADS"] = str(threads)  # hidefix: before it is loaded
    data = detector_frames(size.frames, size.shape)
    modules = detector_frames(size.modules, size.module)
    pool = Pool(2 * max(data.nbytes, modules.nbytes))
    with workspace(folder, 3 * data.nbytes) as work, lend_peers() as peers:
        report = Report(machine(threads, work))
        print("\n".join(f"{key:16} {value}" for key, value in report.machine.items()))
        bench = _Bench(size, work, peers, pool, threads, only, data, modules)
        for found in itertools.chain(bench.table(), bench.axes() if full else ()):
            if isinstance(found, Ratio):
                report.ratios.append(found)
            elif bench.wants(f"{found.stored}, {found.name}"):
                timings = measure(found, pool, size.pace)
                print(f"\n{found.stored}, {found.name}\n{timing_table(timings)}", flush=True)
                report.timings += timings
                report.ratios += ratios(found, timings)
    return report


@dataclass(frozen=True)
class _Bench:
    """Makes the files and the cases on them, one after the other."""

    size: Scale
    folder: Path
    peers: Peers
    pool: Pool
    threads: int
    only: str
    data: NDArray[Any]
    modules: NDArray[Any]

    def wants(self, name: str) -> bool:
        return self.only.lower() in name.lower()

    def table(self) -> Iterator[Case | Ratio]:
        """Yield what a release must show: cases to be timed, and ratios already measured."""
        for codec in CODECS:
            with Subject(self.folder, codec, self.data) as whole:
                yield from cases.whole_frame_cases(whole, self.peers, self.pool, self.threads)
                if codec in cases.LAYOUT:
                    yield from self._layouts(whole)
                if self.wants("peak memory"):
                    loads = list(memory.LOADS)[: None if codec == "bitshuffle+LZ4" else 1]
                    yield from memory.memory_ratios(whole, self.threads, *loads)
        if self.wants("open files"):
            yield scale.opening_case(self.folder, self.peers, self.size.files, 100)
        if self.wants("million"):
            yield from scale.million_frames(self.folder, self.size.many)

    def _layouts(self, whole: Subject) -> Iterator[Case]:
        for frames, chunk in self._chunked():
            with Subject(self.folder, whole.codec, frames, chunk) as subject:
                yield cases.layout_case(subject, whole, self.pool, self.threads)

    def _chunked(self) -> list[tuple[NDArray[Any], tuple[int, ...]]]:
        return [(self.modules, (16, *self.size.module)), (self.data, (1, *self.size.tile))]

    def axes(self) -> Iterator[Case]:
        """Yield every combination, of fewer frames; and opening few and very many files."""
        for files in (1, 100, 10 * self.size.files):
            if self.wants("open files"):
                yield scale.opening_case(self.folder, self.peers, files, 100)
        few = self.data[: max(8, len(self.data) // 3)]
        modules = self.modules[: 16 * max(2, len(self.modules) // 48)]
        layouts = {
            "a chunk a frame": (few, (1, *self.size.shape)),
            "many frames a chunk": (modules, (16, *self.size.module)),
            "many chunks a frame": (few, (1, *self.size.tile)),
        }
        for codec in CODECS:
            for name, (frames, chunk) in layouts.items():
                with Subject(self.folder, codec, frames, chunk) as subject:
                    yield from axes.axis_cases(subject, name, self.pool, self.threads)


def timing_table(timings: list[Timing]) -> str:
    """Return the ways of a case, and how many times as long as ours each takes."""
    ours = next(timing.seconds for timing in timings if timing.way == OURS)
    return "\n".join(
        f"  {timing.way:42}{timing.seconds * 1e3:10.1f} ms{timing.gb_per_s:8.2f} GB/s"
        f"{timing.seconds / ours:8.2f} x  ({timing.runs} runs)"
        for timing in timings
    )


def ratio_table(found: list[Ratio]) -> str:
    """Return what was shown, beside what must and should be."""
    lines = [f"{'stored as':16}{'case':40}{'against':28}{'ratio':>8}{'must':>7}{'goal':>7}"]
    for ratio in found:
        must, goal = (f"{x:7.2f}" if x is not None else "      -" for x in (ratio.must, ratio.goal))
        said = {"goal": "goal", "must": "must", "": ""}.get(ratio.verdict, ratio.verdict)
        note = f"  ({ratio.note})" if ratio.note else ""
        lines.append(
            f"{ratio.stored:16}{ratio.case:40}{ratio.against:28}{ratio.value:8.2f}{must}{goal}"
            f"  {said}{note}".rstrip()
        )
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer frames, in two minutes")
    parser.add_argument("--full", action="store_true", help="every combination of the axes, too")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases that have it in the name")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where files are written (default: in memory)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw the ratios there")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # files are removed then, too
    begin = time.perf_counter()
    size = QUICK if options.quick else NORMAL
    report = run(size, options.threads, options.folder, options.full, options.only)
    shown = [ratio for ratio in report.ratios if axes.SEPARATOR not in ratio.case]
    print(f"\n{ratio_table(shown)}")
    if options.full:
        print(f"\n{axes.averages(report.ratios)}")
    missed = sum(ratio.verdict == "MISSED" for ratio in shown)
    held = sum(ratio.must is not None for ratio in shown) - missed
    print(f"\n{held} musts held, {missed} missed; {time.perf_counter() - begin:.0f} s")
    if options.json is not None:
        options.json.write_text(report.as_json())
    if options.picture is not None:
        draw(shown, report.machine, options.picture)


if __name__ == "__main__":
    main()
