"""Following runs while they are written: each frame whole, and once?

Three writers, each a process, make numbered frames with a check sum and the time of their writing:
one appends under SWMR and flushes after each, one saves each frame to a file that is replaced, one
writes a file for every three frames. `follow` reads all three at a time, on a thread each, for so
many minutes. How old frames are when they come is told beside it.
"""

from __future__ import annotations

import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from ..harness.data import PATH, disk_workspace
from ..harness.options import Options
from ..harness.report import Report
from ..harness.results import Figure, Ratio

__all__ = ["run"]

_MINUTES = {"normal": 1.0, "quick": 0.25, "tiny": 0.03}
_SHAPE = (128, 128)
_RATES = {"SWMR": 100.0, "replaced": 2.0, "a file for 3 frames": 4.0}  # a second
_PER_FILE = 3
_SILENCE = 10.0  # seconds after which a run that has no end of its own is over


@dataclass(frozen=True)
class _Seen:
    """What came of a run."""

    right: int
    wrong: int
    twice: int
    ages: list[float]


def run(report: Report, options: Options) -> None:
    """Measure; files are gone at the end."""
    minutes = options.minutes or _MINUTES[options.size]
    with disk_workspace(options.folder, 1 << 28) as folder:
        report.place(f"in {folder.parent}")
        kinds = [kind for kind in _RATES if options.wants(kind)]
        writers = {kind: _writer(kind, folder, 60 * minutes) for kind in kinds}
        with ThreadPoolExecutor(len(kinds) or 1) as pool:
            found = pool.map(lambda one: _followed(one, folder), kinds)
            seen = dict(zip(kinds, found, strict=True))
        for kind, writer in writers.items():
            written = int(writer.communicate()[0])
            report.add(kind, others=_results(kind, seen[kind], written))


def _writer(kind: str, folder: Path, seconds: float) -> subprocess.Popen[str]:
    code = "import sys; from benchmarks.suites import live; live.write(*sys.argv[1:])"
    words = [sys.executable, "-c", code, kind, str(folder), str(seconds)]
    root = Path(__file__).parents[2]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=root)


def _results(kind: str, seen: _Seen, written: int) -> list[Ratio | Figure]:
    missing = written - seen.right - seen.wrong
    note = f"{written} frames: {seen.wrong} wrong, {missing} missing, {seen.twice} twice"
    share = (seen.right - seen.twice) / written
    age = 1e3 * float(np.median(seen.ages)) if seen.ages else np.inf
    return [
        Ratio(kind, "frames right", "all written", share, 1.0, kind="bound", note=note),
        Figure(kind, "age of a frame", "median", age, "ms"),
    ]


def _followed(kind: str, folder: Path) -> _Seen:
    name = folder / ("scan_*.h5" if kind.startswith("a file") else f"{kind}.h5")
    store = cxi.CXIStore(name, swmr=kind == "SWMR", wait=60)
    known: set[int] = set()
    right = wrong = twice = 0
    ages: list[float] = []
    for frames, idxs in store.follow("data", timeout=_SILENCE):
        now = time.time()
        for frame, number in zip(frames, idxs.tolist(), strict=True):
            is_right = _is_right(frame, number)
            right, wrong = right + is_right, wrong + (not is_right)
            twice += number in known
            known.add(number)
            ages.append(now - float(frame[0, 2:4].copy().view(np.float64)[0]))
    return _Seen(right, wrong, twice, ages)


def _frame(number: int) -> NDArray[np.uint32]:
    frame = np.random.default_rng(number).poisson(3, _SHAPE).astype(np.uint32)
    frame[0, :2] = number, 0
    frame[0, 2:4] = np.array([time.time()]).view(np.uint32)
    frame[0, 1] = zlib.crc32(frame.tobytes())
    return frame


def _is_right(frame: NDArray[np.uint32], number: int) -> bool:
    said = int(frame[0, 1])
    bare = frame.copy()
    bare[0, 1] = 0
    return frame[0, 0] == number and zlib.crc32(bare.tobytes()) == said


# ------------------------------------------------------------ in the writers' processes


def write(kind: str, folder: str, seconds: str) -> None:
    """Write for so many seconds; print how many frames there are."""
    numbers = _paced(float(seconds), _RATES[kind])
    if kind == "SWMR":
        count = _append(Path(folder) / f"{kind}.h5", numbers)
    elif kind == "replaced":
        with cxi.CXIStore(Path(folder) / f"{kind}.h5", "a") as store:
            for number in numbers:
                store.save_attribute("data", _frame(number)[None], mode="append")
            count = store.frame_count
    else:
        count = 0
        for which in numbers:
            with h5py.File(Path(folder) / f"scan_{which}.h5", "w") as file:
                file[PATH] = np.stack([_frame(count + k) for k in range(_PER_FILE)])
            count += _PER_FILE
    print(count)


def _append(path: Path, numbers: Iterator[int]) -> int:
    shape: dict[str, Any] = {"maxshape": (None, *_SHAPE), "chunks": (1, *_SHAPE)}
    with h5py.File(path, "w", libver="latest") as file:
        how = {**shape, **hdf5plugin.Bitshuffle(cname="lz4")}
        data = file.create_dataset(PATH, (0, *_SHAPE), "uint32", **how)
        file.swmr_mode = True
        for number in numbers:
            data.resize(number + 1, 0)
            data[number] = _frame(number)
            data.flush()
        return len(data)


def _paced(seconds: float, rate: float) -> Iterator[int]:
    begin, number = time.monotonic(), 0
    while time.monotonic() < begin + seconds:
        yield number
        number += 1
        time.sleep(max(0.0, begin + number / rate - time.monotonic()))
