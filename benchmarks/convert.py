"""What a conversion takes, beside an h5py loop: ``python -m benchmarks.convert [--quick]``.

Frames of 2167 x 2070 uint16 (Poisson counts with a bright centre), deflate and shuffle, are cropped
to 1600 x 1500 and written to a new file as bitshuffle+LZ4, which is on disk (fsync) when a way
ends. Ways take turns, and the least time of each counts. Peak memory is that of a process which
converts the run once, and once more a run of four times as many frames.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

import cxistack as cxi

from .compare import Report, ratio_table, timing_table
from .data import PATH, detector_frames, workspace
from .machine import machine
from .memory import memory_status
from .timing import OURS, Ratio, Timing

__all__ = ["run"]

_CROP = (200, 1800, 300, 1800)
_STORED, _CASE = "deflate+shuffle", "crop, to bitshuffle+LZ4"
_H5PY = "h5py, frame by frame"
_MIB = 1 << 20
_ALLOWED = 512 * _MIB


def run(frames: int, threads: int, rounds: int, folder: Path | None = None) -> Report:
    """Measure; files are gone at the end."""
    where = Path(tempfile.gettempdir()) if folder is None else folder
    with workspace(where, 2 * frames * 2167 * 2070 * 2) as work:
        report = Report(machine(threads, work) | {"files": f"synchronised to {where}"})
        print("\n".join(f"{key:16} {value}" for key, value in report.machine.items()))
        source = work / "run.h5"
        _write_run(source, frames)
        ways: dict[str, Callable[[Path], None]] = {
            OURS: lambda path: _ours(source, path, threads),
            _H5PY: lambda path: _loop(source, path),
        }
        _check(ways, work)
        spent = dict.fromkeys(ways, float("inf"))
        for turn, name in itertools.product(range(rounds), ways):
            path = work / f"{turn}.h5"
            start = time.perf_counter()
            ways[name](path)
            spent[name] = min(spent[name], time.perf_counter() - start)
            path.unlink()
        ss0, ss1, fs0, fs1 = _CROP
        nbytes = frames * (ss1 - ss0) * (fs1 - fs0) * 2
        report.timings += [
            Timing(_STORED, _CASE, name, s, rounds, nbytes / s / 1e9) for name, s in spent.items()
        ]
        report.ratios.append(Ratio(_STORED, _CASE, _H5PY, spent[_H5PY] / spent[OURS], 4.0))
        if Path("/proc/self/status").exists():
            report.ratios += [_memory(source, times, threads, work) for times in (1, 4)]
    return report


def _write_run(path: Path, frames: int) -> None:
    data = detector_frames(frames, (2167, 2070))
    with cxi.CXIStore(path, "w") as store:
        store.save_attribute("data", data, compression="deflate:4", chunks=(1, 2167, 2070))


def _ours(source: Path, path: Path, threads: int) -> None:
    crop = cxi.Crop(_CROP)
    with cxi.CXIStore(source) as run, cxi.CXIStore(path, "w") as new:
        cxi.convert(run, new, transform=crop, num_threads=threads, verbose=False)


def _loop(source: Path, path: Path) -> None:
    ss0, ss1, fs0, fs1 = _CROP
    shape = (ss1 - ss0, fs1 - fs0)
    with h5py.File(source) as run, h5py.File(path, "w") as new:
        old = run[PATH]
        data = new.create_dataset(
            PATH,
            (len(old), *shape),
            old.dtype,
            chunks=(1, *shape),
            **hdf5plugin.Bitshuffle(cname="lz4"),
        )
        for number in range(len(old)):
            data[number] = old[number, ss0:ss1, fs0:fs1]
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _check(ways: dict[str, Callable[[Path], None]], folder: Path) -> None:
    results = []
    for name, way in ways.items():
        path = folder / "checked.h5"
        way(path)
        with h5py.File(path) as h5:
            results.append((name, h5[PATH][...]))
        path.unlink()
    if not np.array_equal(results[0][1], results[1][1]):
        raise SystemExit("the new files differ")


def _memory(source: Path, times: int, threads: int, folder: Path) -> Ratio:
    """Return how far the peak of a whole process that converts stays below what is allowed."""
    command = [sys.executable, "-m", "benchmarks.convert", "--child", str(source), str(times)]
    answer = subprocess.run(
        [*command, str(threads), str(folder)],
        cwd=Path(__file__).parent.parent,
        check=True,
        capture_output=True,
        text=True,
    )
    frames, peak = map(int, answer.stdout.split())
    return Ratio(
        _STORED,
        f"peak memory, {frames} frames",
        "512 MiB",
        _ALLOWED / peak,
        1.0,
        kind="bound",
        note=f"{peak / _MIB:.0f} MiB, interpreter and libraries included",
    )


def _child(source: str, times: str, threads: str, folder: str) -> None:
    """Convert in a process of its own; print how many frames, and the process's peak."""
    path = Path(folder) / "memory.h5"
    crop = cxi.Crop(_CROP)
    with cxi.CXIStore(source) as run, cxi.CXIStore(path, "w") as new:
        idxs = np.tile(run.indices(), int(times))
        cxi.convert(run, new, idxs=idxs, transform=crop, num_threads=int(threads), verbose=False)
    path.unlink()
    print(len(idxs), memory_status("VmHWM"))


def main() -> None:
    """Run the benchmark that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer frames")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where files are written (default: on disk)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(*options.child)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # files are removed then, too
    frames, rounds = (16, 2) if options.quick else (60, 3)
    report = run(frames, options.threads, rounds, options.folder)
    print(f"\n{timing_table(report.timings)}\n\n{ratio_table(report.ratios)}")
    if options.json is not None:
        options.json.write_text(report.as_json())


if __name__ == "__main__":
    main()
