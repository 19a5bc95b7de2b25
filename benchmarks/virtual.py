"""Virtual datasets beside the files that they stand on, and beside h5py's own reading of them.

``python -m benchmarks.virtual [--files N] [--frames N] [--threads N] [--folder DIR] [--json FILE]``

Frames are stored with bitshuffle+LZ4, in the page cache: those of 100 files in a row, and those of
16 modules in a file each, stacked along an axis of their own and laid out with gaps between them.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from .compare import Report, ratio_table, timing_table
from .data import CODECS, PATH, detector_frames, workspace
from .machine import machine
from .timing import OURS, Case, Pace, Pool, Target, Way, measure, ratios

__all__ = ["NORMAL", "Scale", "run"]

CODEC = "bitshuffle+LZ4"
FILES = f"{OURS}, the files themselves"
PATTERN = f"{OURS}, modules by their names"
MODULES = 16
_IMAGE = "/INSTRUMENT/DET/{module}CH0:xtdf/image"
_DIFFERENT = 20  # frames; they repeat


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    files: int
    frames: int  # of each file
    shape: tuple[int, int]
    module: tuple[int, int]
    pace: Pace


NORMAL = Scale(100, 2, (1024, 1024), (512, 128), Pace(7, 20.0, 0.6))


def run(size: Scale, threads: int, folder: Path | None = None) -> Report:
    """Write files, measure, remove the files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # HDF5 opens all sources at a time
    count = size.files * size.frames
    of_modules = detector_frames(_DIFFERENT, (MODULES * size.module[0], size.module[1]))
    modules = of_modules.reshape(_DIFFERENT, MODULES, *size.module)[_repeated(count)]
    whole = detector_frames(_DIFFERENT, size.shape)[_repeated(count)]
    pool = Pool(4 * max(whole.nbytes, modules.nbytes))
    with workspace(folder, whole.nbytes + modules.nbytes) as work:
        report = Report(machine(threads, work))
        print("\n".join(f"{key:16} {value}" for key, value in report.machine.items()))
        for make in (_in_a_row, _stacked, _laid_out):
            with ExitStack() as stack:
                data = whole if make is _in_a_row else modules
                case = make(stack, work, data, size, pool, threads)
                timings = measure(case, pool, size.pace)
            print(f"\n{case.stored}, {case.name}\n{timing_table(timings)}", flush=True)
            report.timings += timings
            report.ratios += ratios(case, timings)
    return report


def _repeated(count: int) -> NDArray[np.intp]:
    return np.arange(count) % _DIFFERENT


def _in_a_row(
    stack: ExitStack, folder: Path, data: NDArray[Any], size: Scale, pool: Pool, threads: int
) -> Case:
    """Return the load of frames that a virtual dataset has from many files."""
    names = []
    layout = h5py.VirtualLayout(data.shape, data.dtype)
    for k in range(size.files):
        part = slice(k * size.frames, (k + 1) * size.frames)
        names.append(folder / f"part_{k:03}.h5")
        with h5py.File(names[-1], "w") as h5:
            h5.create_dataset(PATH, data=data[part], chunks=(1, *size.shape), **CODECS[CODEC])
        layout[part] = h5py.VirtualSource(names[-1].name, PATH, data[part].shape)
    master = _virtual(folder / "master.h5", layout)
    out = pool.array(data.shape, data.dtype)
    return Case(
        f"virtual over {size.files} files",
        CODEC,
        data.nbytes,
        "h5py by frame",
        [
            _ours(stack, OURS, master, out, threads),
            _ours(stack, f"{OURS}, 1 thread", master, out, 1),
            _ours(stack, FILES, names, out, threads),
            *_h5py(master, out, in_a_row=True),
            Way("h5py, file by file", _file_by_file(names, out, size.frames)),
        ],
        [
            Target((FILES,), 0.9, 1.0, label="the files themselves", kind="limit"),
            Target(("h5py read_direct", "h5py by frame"), 10, None, label="h5py, virtual"),
            Target(("h5py, file by file",)),
        ],
    )


def _stacked(
    stack: ExitStack, folder: Path, data: NDArray[Any], size: Scale, pool: Pool, threads: int
) -> Case:
    """Return the load of modules stacked along an axis, virtually and by a pattern of paths."""
    names = _modules(folder, data, size)
    layout = h5py.VirtualLayout(data.shape, data.dtype)
    for m, name in enumerate(names):
        source = h5py.VirtualSource(name.name, f"{_IMAGE.format(module=m)}/data", data[:, m].shape)
        layout[:, m] = source
    master = _virtual(folder / "modules.h5", layout)
    out = pool.array(data.shape, data.dtype)
    return Case(
        f"{MODULES} modules, stacked",
        CODEC,
        data.nbytes,
        "h5py by frame",
        [
            _ours(stack, OURS, master, out, threads),
            _ours(stack, f"{OURS}, 1 thread", master, out, 1),
            _ours(stack, PATTERN, names, out, threads, f"{_IMAGE}/data"),
            *_h5py(master, out),
        ],
        [
            Target(("h5py",), 10, None, label="h5py, virtual"),
            Target((PATTERN,), kind="limit"),
        ],
    )


def _laid_out(
    stack: ExitStack, folder: Path, data: NDArray[Any], size: Scale, pool: Pool, threads: int
) -> Case:
    """Return the load of modules laid out on a plane, eight pixels apart."""
    rows, columns = size.module
    count, gap = len(data), 8
    shape = (count, 4 * (rows + gap) - gap, 4 * (columns + gap) - gap)
    layout = h5py.VirtualLayout(shape, data.dtype)
    for m in range(MODULES):
        top, left = m // 4 * (rows + gap), m % 4 * (columns + gap)
        source = h5py.VirtualSource(
            f"module_{m:02}.h5", f"{_IMAGE.format(module=m)}/data", (count, rows, columns)
        )
        layout[:, top : top + rows, left : left + columns] = source
    master = _virtual(folder / "mosaic.h5", layout)
    out = pool.array(shape, data.dtype)
    return Case(
        f"{MODULES} modules, a mosaic with gaps",
        CODEC,
        data.nbytes,
        "h5py by frame",
        [
            _ours(stack, OURS, master, out, threads),
            _ours(stack, f"{OURS}, 1 thread", master, out, 1),
            *_h5py(master, out),
        ],
        [Target(("h5py",), 10, None, label="h5py, virtual")],
    )


def _modules(folder: Path, data: NDArray[Any], size: Scale) -> list[Path]:
    names = []
    for m in range(MODULES):
        image = _IMAGE.format(module=m)
        names.append(folder / f"module_{m:02}.h5")
        with h5py.File(names[-1], "w") as h5:
            chunks = (1, *size.module)
            h5.create_dataset(f"{image}/data", data=data[:, m], chunks=chunks, **CODECS[CODEC])
            h5[f"{image}/trainId"] = np.arange(len(data))
    return names


def _virtual(path: Path, layout: Any) -> Path:
    with h5py.File(path, "w", libver="latest") as h5:
        h5.create_virtual_dataset(PATH, layout)
    return path


def _ours(
    stack: ExitStack,
    name: str,
    files: Path | list[Path],
    out: NDArray[Any],
    threads: int,
    path: str = PATH,
) -> Way:
    protocol = cxi.CXIProtocol({"data": "uint"}, {"data": [path]}, {"data": "stack"})
    store = stack.enter_context(cxi.CXIStore(files, protocol=protocol))
    load = store.load_attribute
    return Way(name, lambda: load("data", out=out, num_threads=threads, verbose=False))


def _h5py(master: Path, out: NDArray[Any], in_a_row: bool = False) -> Iterator[Way]:
    # The file is opened each time: HDF5 keeps decoded chunks for as long as it is open.
    def at_once() -> NDArray[Any]:
        with h5py.File(master) as h5:
            h5[PATH].read_direct(out)
        return out

    def by_frame() -> NDArray[Any]:
        with h5py.File(master) as h5:
            dataset = h5[PATH]
            for k in range(len(out)):
                dataset.read_direct(out, np.s_[k], np.s_[k])
        return out

    yield Way("h5py by frame", by_frame)
    if in_a_row:  # else it takes HDF5 a hundred times as long as frame by frame
        yield Way("h5py read_direct", at_once)


def _file_by_file(names: list[Path], out: NDArray[Any], frames: int) -> Callable[[], NDArray[Any]]:
    def read() -> NDArray[Any]:
        for k, name in enumerate(names):
            with h5py.File(name) as h5:
                h5[PATH].read_direct(out, None, np.s_[k * frames : (k + 1) * frames])
        return out

    return read


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=NORMAL.files)
    parser.add_argument("--frames", type=int, default=NORMAL.frames, help="of each file")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where files are written (default: in memory)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    options = parser.parse_args()
    size = Scale(options.files, options.frames, NORMAL.shape, NORMAL.module, NORMAL.pace)
    report = run(size, options.threads, options.folder)
    print(f"\n{ratio_table(report.ratios)}")
    if options.json is not None:
        options.json.write_text(report.as_json())


if __name__ == "__main__":
    main()
