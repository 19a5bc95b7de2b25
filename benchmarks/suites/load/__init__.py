"""Loads beside h5py, other peers and hard limits, by codec and layout.

Frames of 2167 x 2070 uint16 (Poisson counts with a bright centre), in the page cache. In each case
every way must give the values that h5py gives before it is timed; ways take turns, and the least
time of each counts. Only ratios within one run mean anything: machines drift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...harness.data import CODECS, DETECTOR, Subject, detector_frames, workspace
from ...harness.options import Options, Size
from ...harness.peers import Peers, lend_peers
from ...harness.report import Report
from ...harness.timing import Case, Pace, Pool
from . import axes, cases

__all__ = ["SIZES", "run"]


@dataclass(frozen=True)
class _Size(Size):
    modules: int  # frames of the file with many of them in a chunk
    module: tuple[int, int] = (128, 512)
    tile: tuple[int, int] = (256, 256)


SIZES = {
    "normal": _Size(60, DETECTOR, Pace(7, 5.0, 0.6), 4096),
    "quick": _Size(16, DETECTOR, Pace(3, 0.6, 0.15), 1088),
    "tiny": _Size(16, (53, 70), Pace(1, 5.0), 32, (8, 20), (16, 32)),
}


def run(report: Report, options: Options) -> None:
    """Write files, measure, remove the files."""
    size = options.choose(SIZES)
    data = detector_frames(size.frames, size.shape)
    modules = detector_frames(size.modules, size.module)
    pool = Pool(2 * max(data.nbytes, modules.nbytes))
    with workspace(options.folder, 3 * data.nbytes) as folder, lend_peers(options.threads) as peers:
        report.place(f"in the page cache ({folder.parent})")
        bench = _Bench(folder, peers, pool, options.threads, _layouts(size, data, modules))
        for case in bench.cases(data):
            if options.wants(f"{case.stored}, {case.name}"):
                report.measure(case, pool, size.pace)
        if options.full:
            for case in bench.combinations():
                if options.wants(f"{case.stored}, {case.name}"):
                    report.measure(case, pool, size.pace, in_table=False)
            report.say(f"\n{axes.averages(report.ratios)}")


@dataclass(frozen=True)
class _Layout:
    """Frames in chunks of a shape, and the first of them, for the many combinations."""

    name: str
    chunk: tuple[int, ...]
    frames: NDArray[Any]
    few: NDArray[Any]


def _layouts(size: _Size, data: NDArray[Any], modules: NDArray[Any]) -> list[_Layout]:
    few = data[: max(8, len(data) // 3)]
    few_modules = modules[: 16 * max(2, len(modules) // 48)]
    return [
        _Layout("a chunk a frame", (1, *size.shape), data, few),
        _Layout("many frames a chunk", (16, *size.module), modules, few_modules),
        _Layout("many chunks a frame", (1, *size.tile), data, few),
    ]


@dataclass(frozen=True)
class _Bench:
    """Makes the files and the cases on them, one after the other."""

    folder: Path
    peers: Peers
    pool: Pool
    threads: int
    layouts: list[_Layout]

    def cases(self, data: NDArray[Any]) -> Iterator[Case]:
        """Yield what a release must show."""
        for codec in CODECS:
            with Subject(self.folder, codec, data) as whole:
                yield from cases.whole_frame_cases(whole, self.peers, self.pool, self.threads)
                for layout in self.layouts[1:] if codec in cases.LAYOUT else ():
                    with Subject(self.folder, codec, layout.frames, layout.chunk) as subject:
                        yield cases.layout_case(subject, whole, self.pool, self.threads)

    def combinations(self) -> Iterator[Case]:
        """Yield every combination, of fewer frames."""
        for codec in CODECS:
            for layout in self.layouts:
                with Subject(self.folder, codec, layout.few, layout.chunk) as subject:
                    yield from axes.axis_cases(subject, layout.name, self.pool, self.threads)
