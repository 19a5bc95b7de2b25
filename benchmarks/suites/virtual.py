"""Virtual datasets beside the files that hold their frames, and h5py.

Frames are stored with bitshuffle+LZ4, in the page cache: those of 100 files in a row, and those of
16 modules in a file each, stacked along an axis of their own and laid out with gaps between them.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from ..harness.data import CODECS, PATH, detector_frames, workspace
from ..harness.machine import allow_open_files
from ..harness.options import Options, Size
from ..harness.report import Report
from ..harness.results import OURS
from ..harness.timing import Case, Pace, Pool, Target, Way

__all__ = ["SIZES", "run"]

CODEC = "bitshuffle+LZ4"
FILES = f"{OURS}, the files themselves"
PATTERN = f"{OURS}, modules by their names"
MODULES = 16
_IMAGE = "/INSTRUMENT/DET/{module}CH0:xtdf/image"
_DIFFERENT = 20  # frames; they repeat
_THEIRS = Target(("h5py",), 10, None, label="h5py, virtual")


@dataclass(frozen=True)
class _Size(Size):
    """How much is measured; `frames` are those of each file."""

    files: int
    module: tuple[int, int]


SIZES = {
    "normal": _Size(2, (1024, 1024), Pace(7, 20.0, 0.6), 100, (512, 128)),
    "quick": _Size(2, (1024, 1024), Pace(3, 4.0, 0.15), 20, (512, 128)),
    "tiny": _Size(2, (40, 30), Pace(1, 5.0), 5, (16, 8)),
}


def run(report: Report, options: Options) -> None:
    """Write files, measure, remove the files."""
    size = options.choose(SIZES)
    allow_open_files()  # HDF5 opens all sources at a time
    count = size.files * size.frames
    of_modules = detector_frames(_DIFFERENT, (MODULES * size.module[0], size.module[1]))
    modules = of_modules.reshape(_DIFFERENT, MODULES, *size.module)[_repeated(count)]
    whole = detector_frames(_DIFFERENT, size.shape)[_repeated(count)]
    pool = Pool(4 * max(whole.nbytes, modules.nbytes))
    with workspace(options.folder, whole.nbytes + modules.nbytes) as folder:
        report.place(f"in the page cache ({folder.parent})")
        for make in (_Bench.in_a_row, _Bench.stacked, _Bench.laid_out):
            data = whole if make is _Bench.in_a_row else modules
            with ExitStack() as stack:
                case = make(_Bench(stack, folder, data, size, pool, options.threads))
                if options.wants(f"{case.stored}, {case.name}"):
                    report.measure(case, pool, size.pace)


def _repeated(count: int) -> NDArray[np.intp]:
    return np.arange(count) % _DIFFERENT


@dataclass(frozen=True)
class _Bench:
    """Writes the files of a case, and opens its stores for as long as `stack` holds them."""

    stack: ExitStack
    folder: Path
    data: NDArray[Any]
    size: _Size
    pool: Pool
    threads: int

    def in_a_row(self) -> Case:
        """Return the load of frames that a virtual dataset has from many files."""
        data, size = self.data, self.size
        names, master = [], self.folder / "master.h5"
        for k in range(size.files):
            part = slice(k * size.frames, (k + 1) * size.frames)
            names.append(self.folder / f"part_{k:03}.h5")
            with h5py.File(names[-1], "w") as h5:
                h5.create_dataset(PATH, data=data[part], chunks=(1, *size.shape), **CODECS[CODEC])
        protocol = _protocol(PATH)
        with cxi.CXIStore(names, protocol=protocol) as files:
            target = cxi.CXIStore(master, "w", protocol=protocol)
            cxi.convert(files, target, virtual=True, verbose=False)
        out = self.pool.array(data.shape, data.dtype)
        others = [
            self._ours(FILES, names, out),
            _at_once(master, out),
            _file_by_file(names, out, size.frames),
        ]
        targets = [
            Target((FILES,), 0.9, 1.0, label="the files themselves", kind="limit"),
            Target(("h5py read_direct", "h5py by frame"), 10, None, label="h5py, virtual"),
            Target(("h5py, file by file",)),
        ]
        return self._case(f"virtual over {size.files} files", master, out, others, targets)

    def stacked(self) -> Case:
        """Return the load of modules stacked along an axis, virtually and by their names."""
        data, names = self.data, self._modules()
        layout = h5py.VirtualLayout(data.shape, data.dtype)
        for m, name in enumerate(names):
            image = f"{_IMAGE.format(module=m)}/data"
            layout[:, m] = h5py.VirtualSource(name.name, image, data[:, m].shape)
        master = _virtual(self.folder / "modules.h5", layout)
        out = self.pool.array(data.shape, data.dtype)
        others = [self._ours(PATTERN, names, out, f"{_IMAGE}/data")]
        targets = [_THEIRS, Target((PATTERN,), kind="limit")]
        return self._case(f"{MODULES} modules, stacked", master, out, others, targets)

    def laid_out(self) -> Case:
        """Return the load of modules laid out on a plane, eight pixels apart."""
        (rows, columns), names = self.size.module, self._modules()
        count, gap = len(self.data), 8
        shape = (count, 4 * (rows + gap) - gap, 4 * (columns + gap) - gap)
        layout = h5py.VirtualLayout(shape, self.data.dtype)
        for m, name in enumerate(names):
            top, left = m // 4 * (rows + gap), m % 4 * (columns + gap)
            image = f"{_IMAGE.format(module=m)}/data"
            source = h5py.VirtualSource(name.name, image, (count, rows, columns))
            layout[:, top : top + rows, left : left + columns] = source
        master = _virtual(self.folder / "mosaic.h5", layout)
        out = self.pool.array(shape, self.data.dtype)
        return self._case(f"{MODULES} modules, a mosaic with gaps", master, out, [], [_THEIRS])

    def _case(
        self,
        name: str,
        master: Path,
        out: NDArray[Any],
        others: list[Way],
        targets: list[Target],
    ) -> Case:
        # HDF5 takes a hundred times as long for modules at once as for them frame by frame.
        ways = [
            self._ours(OURS, master, out),
            self._ours(f"{OURS}, 1 thread", master, out, threads=1),
            *others,
            _by_frame(master, out),
        ]
        return Case(name, CODEC, self.data.nbytes, "h5py by frame", ways, targets)

    def _ours(
        self,
        name: str,
        files: Path | list[Path],
        out: NDArray[Any],
        path: str = PATH,
        threads: int | None = None,
    ) -> Way:
        store = self.stack.enter_context(cxi.CXIStore(files, protocol=_protocol(path)))
        load = store.load_attribute
        options: dict[str, Any] = {"num_threads": threads or self.threads, "verbose": False}
        return Way(name, lambda: load("data", out=out, **options))

    def _modules(self) -> list[Path]:
        """Return the modules' files; write them when first asked."""
        names = [self.folder / f"module_{m:02}.h5" for m in range(MODULES)]
        for m, name in enumerate(names if not names[0].exists() else ()):
            image = _IMAGE.format(module=m)
            with h5py.File(name, "w") as h5:
                of_module, chunks = self.data[:, m], (1, *self.size.module)
                h5.create_dataset(f"{image}/data", data=of_module, chunks=chunks, **CODECS[CODEC])
                h5[f"{image}/trainId"] = np.arange(len(self.data))
        return names


def _protocol(path: str) -> cxi.CXIProtocol:
    return cxi.CXIProtocol({"data": "uint"}, {"data": [path]}, {"data": "stack"})


def _virtual(path: Path, layout: Any) -> Path:
    with h5py.File(path, "w", libver="latest") as h5:
        h5.create_virtual_dataset(PATH, layout)
    return path


# The file is opened each time: HDF5 keeps decoded chunks for as long as it is open.
def _at_once(master: Path, out: NDArray[Any]) -> Way:
    def read() -> NDArray[Any]:
        with h5py.File(master) as h5:
            h5[PATH].read_direct(out)
        return out

    return Way("h5py read_direct", read)


def _by_frame(master: Path, out: NDArray[Any]) -> Way:
    def read() -> NDArray[Any]:
        with h5py.File(master) as h5:
            dataset = h5[PATH]
            for k in range(len(out)):
                dataset.read_direct(out, np.s_[k], np.s_[k])
        return out

    return Way("h5py by frame", read)


def _file_by_file(names: list[Path], out: NDArray[Any], frames: int) -> Way:
    def read() -> NDArray[Any]:
        for k, name in enumerate(names):
            with h5py.File(name) as h5:
                h5[PATH].read_direct(out, None, np.s_[k * frames : (k + 1) * frames])
        return out

    return Way("h5py, file by file", read)
