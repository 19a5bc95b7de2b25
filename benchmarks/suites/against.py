"""Loads and kernels of this installation beside another's, in turn.

``python -m benchmarks against PYTHON``: PYTHON is the interpreter of an environment that has
another version installed. Each is measured in processes of its own, which take turns case by case;
the least time of all rounds counts. A ratio is the other's time over ours: over 1 ours is faster.
Without PYTHON this installation is measured beside itself, which shows how far figures scatter.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from ..harness import installation
from ..harness.data import PATH, detector_frames, workspace
from ..harness.options import Options, Size
from ..harness.report import Report
from ..harness.results import OURS, Ratio, Timing
from ..harness.runs import FILTERS
from ..harness.timing import Pace

__all__ = ["SIZES", "run"]

_STACKS = ("none", "bitshuffle+LZ4", "LZ4", "deflate+shuffle")
_KERNELS = ("bitshuffle+LZ4", "bitshuffle+zstd", "LZ4", "zstd", "deflate+shuffle")
_DTYPES = ("uint8", "uint16", "uint32", "float32")
_TURNS_OF_LOADS = 3  # their two threads meet what else runs
_WHOLE = 0.97  # of the other's speed, at least, in whole loads


@dataclass(frozen=True)
class _Size(Size):
    chunk: tuple[int, int]


SIZES = {
    "normal": _Size(24, (1024, 1024), Pace(3, least=0.1), (512, 512)),
    "quick": _Size(8, (512, 512), Pace(2, least=0.05), (256, 256)),
    "tiny": _Size(2, (16, 24), Pace(1, least=0.0), (16, 16)),
}


def run(report: Report, options: Options) -> None:
    """Write files, let both installations measure them in turn, remove the files."""
    size = options.choose(SIZES)
    pythons = {OURS: sys.executable, "the other": options.python or sys.executable}
    with workspace(options.folder, 1 << 28) as folder:
        report.place(f"in the page cache ({folder.parent})")
        _write(folder, size)
        spent: dict[str, dict[str, float]] = {}
        for turn in range(size.pace.rounds):
            with ExitStack() as stack:
                ways = {
                    name: stack.enter_context(_started(python, folder, options.threads))
                    for name, python in pythons.items()
                }
                if not turn:
                    for name, way in ways.items():
                        report.say(f"{name}: {way.version}, {way.where}")
                known = [name for name in ways[OURS].cases if name in ways["the other"].cases]
                for number, case in enumerate(filter(options.wants, known)):
                    _measure(case, list(ways.items()), number + turn, size.pace.least, spent)
    for name, seconds in spent.items():
        stored, _, case = name.partition(": ")
        timings = [
            Timing(stored, case, way, least, size.pace.rounds) for way, least in seconds.items()
        ]
        must = _WHOLE if case.startswith("load whole") else None
        value = seconds["the other"] / seconds[OURS]
        report.keep(timings, in_table=False)
        report.keep([Ratio(stored, case, "the other", value, must)])


def _write(folder: Path, size: _Size) -> None:
    """Write stacks to load, and chunks of all types for the kernels."""
    data = detector_frames(size.frames, size.shape)
    for codec in _STACKS:
        with h5py.File(folder / f"load_{codec}.h5", "w") as h5:
            h5.create_dataset(PATH, data=data, chunks=(1, *size.shape), **FILTERS[codec])
    few = detector_frames(4, size.chunk)
    for codec in _KERNELS:
        for dtype in _DTYPES:
            frames = (few % 251).astype(dtype)
            with h5py.File(folder / f"kernel_{codec}_{dtype}.h5", "w") as h5:
                h5.create_dataset(PATH, data=frames, chunks=(1, *size.chunk), **FILTERS[codec])


class _Installation:
    """A process of an installation, which measures what it is asked to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        told = self._answer()
        self.version, self.where, self.cases = told["version"], told["where"], told["cases"]

    def measure(self, case: str, seconds: float) -> tuple[float, int]:
        """Return the least time of a case, and the checksum of its result."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds} {case}\n")
        self._process.stdin.flush()
        least, checked = self._answer()
        return least, checked

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise SystemExit(f"{self._process.args!r:.60} ended before it answered")
        return json.loads(line)


@contextmanager
def _started(python: str, folder: Path, threads: int) -> Iterator[_Installation]:
    """Start an installation's process; it ends when the block does."""
    command = [python, "-P", installation.__file__, str(folder), str(threads)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": folder}
    with subprocess.Popen(command, text=True, **pipes) as process:
        yield _Installation(process)


def _measure(
    case: str,
    ways: list[tuple[str, _Installation]],
    turn: int,
    seconds: float,
    spent: dict[str, dict[str, float]],
) -> None:
    """Measure a case in both, in turns, of which loads take more; results must be equal."""
    checks = set()
    turns = [*ways, *ways[::-1]] * (_TURNS_OF_LOADS if ": load" in case else 1)
    for name, way in turns if turn % 2 == 0 else turns[::-1]:
        least, checked = way.measure(case, seconds)
        checks.add(checked)
        times = spent.setdefault(case, {})
        times[name] = min(least, times.get(name, least))
    if len(checks) > 1:
        raise SystemExit(f"{case}: the two installations do not give the same")
