"""What calls from C cost: kernels, and frames of a prepared load.

Where a bound is given, the ratio is the bound over the time that ours takes.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np

import cxistack as cxi
from cxistack import _capi, kernels

from ..harness.data import DETECTOR
from ..harness.options import Options, Size
from ..harness.report import Report
from ..harness.results import OURS, Figure, Ratio, Timing
from ..harness.timing import Pace

__all__ = ["SIZES", "run"]

_PYTHON = "from Python"
_TURNS = 7


@dataclass(frozen=True)
class _Size(Size):
    large: tuple[int, int]
    middle: tuple[int, int]
    loops: int  # of short calls, timed together


SIZES = {
    "normal": _Size(200, (64, 64), Pace(5, 1.0, 0.2), DETECTOR, (512, 512), 20000),
    "quick": _Size(100, (64, 64), Pace(3, 0.5, 0.05), (1000, 1000), (512, 512), 5000),
    "tiny": _Size(4, (64, 64), Pace(1, 0.1), (20, 30), (16, 16), 10),
}


def run(report: Report, options: Options) -> None:
    """Measure calls from C."""
    size = options.choose(SIZES)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        library, table = _library(folder), _pointer(_capi.table, b"cxistack._capi.table")
        _kernels(report, library, table, size)
        _reads(report, library, table, size, folder)
        _decodes(report, library, table, size, folder)


def _library(folder: Path) -> Any:
    """Compile the calls."""
    target = folder / "capi.so"
    source = Path(__file__).with_suffix(".c")
    command = ["cc", "-O2", "-shared", "-fPIC", f"-I{cxi.get_include()}", str(source)]
    subprocess.run([*command, "-o", str(target), "-lpthread"], check=True)
    library = ctypes.CDLL(str(target))
    for one in (library.cast_seconds, library.read_seconds, library.pread_seconds):
        one.restype = ctypes.c_double
    return library


def _pointer(capsule: object, name: bytes) -> ctypes.c_void_p:
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ctypes.c_void_p(get(capsule, name))


def _least(call: Callable[[], float]) -> float:
    """Return the least of several measurements; -1 is a failure."""
    found = [call() for _ in range(_TURNS)]
    if min(found) < 0:
        raise RuntimeError("a call of the C interface failed")
    return min(found)


def _from_python(call: Callable[[], object], loops: int) -> Callable[[], float]:
    from time import perf_counter

    def measured() -> float:
        begin = perf_counter()
        for _ in range(loops):
            call()
        return (perf_counter() - begin) / loops

    return measured


def _kernels(report: Report, library: Any, table: Any, size: _Size) -> None:
    for shape, loops, name in (
        (size.large, max(1, size.loops // 2000), "cast of a large frame to float32"),
        (size.shape, size.loops, "cast of a tile of 64 x 64 to float32"),
    ):
        src, dst = np.ones(shape, "u2"), np.zeros(shape, "f4")
        words = (ctypes.c_void_p(src.ctypes.data), ctypes.c_void_p(dst.ctypes.data), 9)
        lengths = [ctypes.c_int64(one) for one in (*shape, loops)]

        def of_c(words: Any = words, lengths: Any = lengths) -> float:
            return float(library.cast_seconds(table, *words, *lengths))

        def of_python(src: Any = src, dst: Any = dst) -> object:
            return kernels.cast(src, out=dst, num_threads=1)

        ours, python = _least(of_c), _least(_from_python(of_python, loops))
        found = [Ratio("-", name, _PYTHON, python / ours, 0.98)]
        if shape == size.shape:
            # Over what the kernel takes for itself: the same pixels in one long row, a share each.
            rows = [ctypes.c_int64(one) for one in (1, shape[0] * shape[1] * 16, loops // 16 + 1)]
            many = np.ones(shape[0] * shape[1] * 16, "u2")
            made = np.zeros(many.shape, "f4")
            at = (ctypes.c_void_p(many.ctypes.data), ctypes.c_void_p(made.ctypes.data), 9)

            def at_length(at: Any = at, rows: Any = rows) -> float:
                return float(library.cast_seconds(table, *at, *rows))

            alone = _least(at_length) / 16
            over = max(ours - alone, 1e-9)
            found.append(Ratio("-", name, "100 ns beside the kernel", 100e-9 / over, 1.0))
        report.add(name, [_timing(name, OURS, ours), _timing(name, _PYTHON, python)], found)


def _least_of_each(calls: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Return the least of several measurements of each, taken in turns: machines drift."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(_TURNS):
        for name, call in calls.items():
            found[name].append(call())
    if min(map(min, found.values())) < 0:
        raise RuntimeError("a call of the C interface failed")
    return {name: min(times) for name, times in found.items()}


def _written(path: Path, frames: Any, **how: Any) -> tuple[Any, int | None]:
    """Write frames; return the store, and where their bytes begin if they are in one piece."""
    with h5py.File(path, "w") as h5:
        made = h5.create_dataset("/entry/data/data", data=frames, **how)
        offset = made.id.get_offset()
    return cxi.CXIStore(path), offset


def _reads(report: Report, library: Any, table: Any, size: _Size, folder: Path) -> None:
    path = folder / "frames.h5"
    store, offset = _written(path, np.ones((size.frames, *size.shape), "u2"))
    capsule = store.prepared("data").capsule()
    handle, loops = _pointer(capsule, b"cxistack.load"), ctypes.c_int64(size.loops)
    nbytes = 2 * size.shape[0] * size.shape[1]
    where = (os.fsencode(path), *map(ctypes.c_int64, (offset, nbytes, size.frames)))

    def ours(threads: int) -> Callable[[], float]:
        return lambda: float(library.read_seconds(table, handle, threads, loops))

    def bare(threads: int, own: int) -> Callable[[], float]:
        return lambda: float(library.pread_seconds(*where, threads, own, loops))

    lazy = store["data"]
    calls = {
        OURS: ours(1),
        "2 threads": ours(2),
        "pread": bare(1, 0),
        "pread, 2 threads": bare(2, 0),
        "pread, 2 threads, own descriptors": bare(2, 1),
        _PYTHON: _from_python(lambda: lazy[0], size.loops),
    }
    seconds = _least_of_each(calls)
    one, two = seconds[OURS], seconds["2 threads"]
    name = "read of a frame of 64 x 64, no filter"
    shared, own = (seconds[f"pread, 2 threads{more}"] for more in ("", ", own descriptors"))
    found = [
        Ratio("no filter", name, _PYTHON, seconds[_PYTHON] / one),
        Ratio("no filter", name, "2 us", 2e-6 / one, 1.0),
        Ratio("no filter", name, "pread", seconds["pread"] / one, kind="limit"),
        Ratio("no filter", name, "pread, 2 threads", shared / two, kind="limit"),
        _gain("no filter", name, one / two),
        Figure("no filter", name, "pread, 1 thread, by 2", seconds["pread"] / shared, "x"),
        Figure("no filter", name, "the same, own descriptors", seconds["pread"] / own, "x"),
    ]
    report.add(name, [_timing(name, way, taken) for way, taken in seconds.items()], found)


def _decodes(report: Report, library: Any, table: Any, size: _Size, folder: Path) -> None:
    shape = size.middle
    frames = np.random.default_rng(1).poisson(3, (20, *shape)).astype("u2")
    how = {"chunks": (1, *shape), **hdf5plugin.Bitshuffle()}
    store, _ = _written(folder / "bitshuffle.h5", frames, **how)
    capsule = store.prepared("data").capsule()
    handle = _pointer(capsule, b"cxistack.load")
    loops = ctypes.c_int64(max(1, size.loops // 40))
    calls: dict[str, Callable[[], float]] = {
        name: lambda threads=threads: float(library.read_seconds(table, handle, threads, loops))
        for name, threads in ((OURS, 1), ("2 threads", 2))
    }
    seconds = _least_of_each(calls)
    name = f"read of a frame of {shape[0]} x {shape[1]}"
    found = [_gain("bitshuffle+LZ4", name, seconds[OURS] / seconds["2 threads"])]
    report.add(name, [_timing(name, way, taken) for way, taken in seconds.items()], found)


def _gain(stored: str, name: str, ratio: float) -> Ratio:
    """Return how much sooner two threads are done than one; on one core they show nothing."""
    must = 1.8 if len(os.sched_getaffinity(0)) > 1 else None
    return Ratio(stored, name, "1 thread, by 2", ratio, must, kind="threads")


def _timing(name: str, way: str, seconds: float) -> Timing:
    return Timing("-", name, way, seconds, _TURNS)
