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
import numpy as np

import cxistack as cxi
from cxistack import _capi, kernels

from ..harness.data import DETECTOR
from ..harness.options import Options, Size
from ..harness.report import Report
from ..harness.results import OURS, Ratio, Timing
from ..harness.timing import Pace

__all__ = ["SIZES", "run"]

_PYTHON = "from Python"
_TURNS = 7


@dataclass(frozen=True)
class _Size(Size):
    large: tuple[int, int]
    loops: int  # of short calls, timed together


SIZES = {
    "normal": _Size(200, (64, 64), Pace(5, 1.0, 0.2), DETECTOR, 20000),
    "quick": _Size(100, (64, 64), Pace(3, 0.5, 0.05), (1000, 1000), 5000),
    "tiny": _Size(4, (64, 64), Pace(1, 0.1), (20, 30), 10),
}


def run(report: Report, options: Options) -> None:
    """Measure calls from C."""
    size = options.choose(SIZES)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        library, table = _library(folder), _pointer(_capi.table, b"cxistack._capi.table")
        _kernels(report, library, table, size)
        _reads(report, library, table, size, folder)


def _library(folder: Path) -> Any:
    """Compile the calls."""
    target = folder / "capi.so"
    source = Path(__file__).with_suffix(".c")
    command = ["cc", "-O2", "-shared", "-fPIC", f"-I{cxi.get_include()}", str(source)]
    subprocess.run([*command, "-o", str(target), "-lpthread"], check=True)
    library = ctypes.CDLL(str(target))
    library.cast_seconds.restype = library.read_seconds.restype = ctypes.c_double
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


def _reads(report: Report, library: Any, table: Any, size: _Size, folder: Path) -> None:
    path = folder / "frames.h5"
    with h5py.File(path, "w") as h5:
        frames = np.ones((size.frames, *size.shape), "u2")
        h5.create_dataset("/entry/data/data", data=frames, chunks=(1, *size.shape))
    store = cxi.CXIStore(path)
    capsule = store.prepared("data").capsule()
    handle, loops = _pointer(capsule, b"cxistack.load"), ctypes.c_int64(size.loops)

    def of_c(threads: int) -> Callable[[], float]:
        return lambda: float(library.read_seconds(table, handle, threads, loops))

    lazy = store["data"]
    one, two = _least(of_c(1)), _least(of_c(2))
    python = _least(_from_python(lambda: lazy[0], size.loops))
    name = "read of a frame of 64 x 64, no filter"
    # On one core two threads show nothing.
    must = 1.8 if len(os.sched_getaffinity(0)) > 1 else None
    found = [
        Ratio("no filter", name, _PYTHON, python / one),
        Ratio("no filter", name, "2 us", 2e-6 / one, 1.0),
        Ratio("no filter", name, "1 thread, by 2", one / two, must, kind="threads"),
    ]
    timings = [_timing(name, OURS, one), _timing(name, "2 threads", two)]
    report.add(name, [*timings, _timing(name, _PYTHON, python)], found)


def _timing(name: str, way: str, seconds: float) -> Timing:
    return Timing("-", name, way, seconds, _TURNS)
