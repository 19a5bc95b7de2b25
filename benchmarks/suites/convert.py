"""A conversion with a crop beside an h5py loop, and its memory.

Frames of 2167 x 2070 uint16 (Poisson counts with a bright centre), deflate and shuffle, are cropped
to 1600 x 1500 and written to a new file as bitshuffle+LZ4, which is on disk (fsync) when a way
ends. Ways take turns, and the least time of each counts. Peak memory is that of a process which
converts the run once, and once more a run of four times as many frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np

import cxistack as cxi

from ..harness.data import DETECTOR, PATH, detector_frames, disk_workspace, synchronise
from ..harness.memory import MIB, has_peaks, in_child, memory_status
from ..harness.options import Options, Size
from ..harness.report import Report, timings_of
from ..harness.results import OURS, Ratio
from ..harness.timing import Pace, in_turns

__all__ = ["SIZES", "run"]

Crop = tuple[int, int, int, int]  # ss0, ss1, fs0, fs1


@dataclass(frozen=True)
class _Size(Size):
    crop: Crop


SIZES = {
    "normal": _Size(60, DETECTOR, Pace(3), (200, 1800, 300, 1800)),
    "quick": _Size(16, DETECTOR, Pace(2), (200, 1800, 300, 1800)),
    "tiny": _Size(4, (60, 70), Pace(1), (5, 45, 10, 60)),
}
_STORED, _CASE = "deflate+shuffle", "crop, to bitshuffle+LZ4"
_H5PY = "h5py, frame by frame"
_ALLOWED = 512 * MIB


def run(report: Report, options: Options) -> None:
    """Measure; files are gone at the end."""
    size = options.choose(SIZES)
    crop, threads = size.crop, options.threads
    of_run = 2 * size.frames * size.shape[0] * size.shape[1]
    with disk_workspace(options.folder, 2 * of_run) as folder:
        report.place(f"synchronised to {folder.parent}")
        source, path = folder / "run.h5", folder / "new.h5"
        _write_run(source, size)
        ways: dict[str, Callable[[], None]] = {
            OURS: lambda: _ours(source, path, crop, threads),
            _H5PY: lambda: _loop(source, path, crop),
        }
        if options.wants(f"{_STORED}, {_CASE}"):
            _check(ways, path)
            spent = in_turns(ways, size.pace, path.unlink)
            nbytes = 2 * size.frames * (crop[1] - crop[0]) * (crop[3] - crop[2])
            ratio = Ratio(_STORED, _CASE, _H5PY, spent[_H5PY].seconds / spent[OURS].seconds, 4.0)
            report.add(f"{_STORED}, {_CASE}", timings_of(_STORED, _CASE, spent, nbytes), [ratio])
        if options.wants("peak memory") and has_peaks():
            for times in (1, 4):
                report.add("peak memory", others=[_memory(source, times, crop, threads)])


def _write_run(path: Path, size: _Size) -> None:
    data = detector_frames(size.frames, size.shape)
    with cxi.CXIStore(path, "w") as store:
        store.save_attribute("data", data, compression="deflate:4", chunks=(1, *size.shape))


def _ours(source: Path, path: Path, crop: Crop, threads: int) -> None:
    with cxi.CXIStore(source) as run, cxi.CXIStore(path, "w") as new:
        cxi.convert(run, new, transform=cxi.Crop(crop), num_threads=threads, verbose=False)


def _loop(source: Path, path: Path, crop: Crop) -> None:
    ss0, ss1, fs0, fs1 = crop
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
    synchronise(path)


def _check(ways: dict[str, Callable[[], None]], path: Path) -> None:
    results = []
    for way in ways.values():
        way()
        with h5py.File(path) as h5:
            results.append(h5[PATH][...])
        path.unlink()
    if not np.array_equal(*results):
        raise SystemExit("the new files differ")


def _memory(source: Path, times: int, crop: Crop, threads: int) -> Ratio:
    """Return how far the peak of a whole process that converts stays below what is allowed."""
    frames, peak = in_child(child, source, times, ",".join(map(str, crop)), threads)
    case = f"peak memory, {frames} frames"
    note = f"{peak / MIB:.0f} MiB, interpreter and libraries included"
    return Ratio(_STORED, case, "512 MiB", _ALLOWED / peak, 1.0, kind="bound", note=note)


def child(source: str, times: str, crop: str, threads: str) -> tuple[int, int]:
    """Convert a run, its frames so many times; return how many, and the process's peak."""
    path = Path(source).with_name("memory.h5")
    transform = cxi.Crop(tuple(map(int, crop.split(","))))
    with cxi.CXIStore(source) as run, cxi.CXIStore(path, "w") as new:
        idxs = np.tile(run.indices(), int(times))
        options: dict[str, Any] = {"num_threads": int(threads), "verbose": False}
        cxi.convert(run, new, idxs=idxs, transform=transform, **options)
    path.unlink()
    return len(idxs), memory_status("VmHWM")
