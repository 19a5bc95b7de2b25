"""Many files, and one of many frames: to open, to plan, in memory."""

from __future__ import annotations

import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from ..harness.data import PATH, workspace
from ..harness.machine import allow_open_files
from ..harness.memory import traced
from ..harness.options import Options, Size
from ..harness.peers import Peers, lend_peers
from ..harness.report import Report
from ..harness.results import OURS, Ratio
from ..harness.timing import Case, Pace, Pool, Target, Way, seconds_of

__all__ = ["SIZES", "run"]

_FRAME = (4, 4)


@dataclass(frozen=True)
class _Size(Size):
    files: int
    many: int  # frames of one file


SIZES = {
    "normal": _Size(100, (8, 8), Pace(7, 5.0, 0.6), 1000, 10**6),
    "quick": _Size(100, (8, 8), Pace(3, 0.6, 0.15), 300, 100_000),
    "tiny": _Size(100, (8, 8), Pace(1, 5.0), 3, 200),
}


def run(report: Report, options: Options) -> None:
    """Write files, measure, remove the files."""
    size = options.choose(SIZES)
    with workspace(options.folder, 1 << 28) as folder, lend_peers(options.threads) as peers:
        report.place(f"in the page cache ({folder.parent})")
        for files in (size.files, *((1, 100, 10 * size.files) if options.full else ())):
            if options.wants(f"open {files} files"):
                case = _opening_case(folder, peers, files, size)
                report.measure(case, Pool(0), size.pace)
        if options.wants("a million frames"):
            report.add("a million frames", others=_million_frames(folder, size.many))
            found = _million_in_files(folder, size.many, size.files)
            report.add("a million frames in many files", others=[found])


def _opening_case(folder: Path, peers: Peers, files: int, size: _Size) -> Case:
    """Return opening many small files, until `data` could be loaded; write them first."""
    most = allow_open_files()  # pyrost holds all of them open
    frames = size.frames
    names = [str(folder / f"run-{files}-{number}.h5") for number in range(files)]
    data = np.arange(frames * np.prod(size.shape), dtype=np.uint16).reshape(frames, *size.shape)
    for number, name in enumerate(names):
        with h5py.File(name, "w") as h5:
            h5[PATH] = data + number

    def ours() -> NDArray[Any]:
        with cxi.CXIStore(names) as store:
            return np.array(store.describe("data")[0][:1])

    def by_h5py() -> NDArray[Any]:
        total = 0
        for name in names:
            with h5py.File(name) as h5:
                total += len(h5[PATH])
        return np.array([total])

    ways = [Way(OURS, ours), Way("h5py, by hand", by_h5py)]
    make = peers.pyrost if files < most - 100 else None
    if make is not None:

        def pyrost() -> NDArray[Any]:
            store = make(names)
            found = np.array([len(store.indices())])
            store.close()
            return found

        ways.append(Way("pyrost", pyrost))
    return Case(
        f"open {files} files of {frames} frames",
        "-",
        files * data.nbytes,
        "h5py, by hand",
        ways,
        [Target(("pyrost",), 5, 10), Target(("h5py, by hand",), kind="limit")],
    )


def _million_frames(folder: Path, count: int) -> list[Ratio]:
    """Return how far below the bounds the index and the plan of so many frames stay."""
    name = folder / "million.h5"
    _write_frames(name, count)
    opened: list[cxi.CXIStore] = []

    def open_it() -> None:
        opened.append(cxi.CXIStore(name))
        opened[0].describe("data")

    _, of_index = traced(open_it)
    with opened[0] as store:
        with_plan, _ = seconds_of(lambda: store.explain("data"))
        plan, _ = seconds_of(lambda: store.explain("data"))
        values = store.load_attribute("data", [count - 1, 0], verbose=False)
        if not (values == np.arange(16).reshape(_FRAME)).all():
            raise SystemExit("a million frames: the last and the first are not what was written")
    with cxi.CXIStore(name) as store:
        store.describe("data")
        peak, of_tables = traced(lambda: store.explain("data"))
    name.unlink()
    part = count / 1e6  # of what a million frames may take

    def below(what: str, bound: str, value: float, note: str, *marks: float) -> Ratio:
        case, against = f"{count:,} frames: {what}", f"{bound} a million"
        must, goal = (*marks, None, None)[:2]
        return Ratio("deflate", case, against, part * value, must, goal, "bound", note)

    of_both = f"{_mb(of_tables)} stay, {_mb(peak)} at most"
    return [
        below("index", "50 MB", 50e6 / of_index, _mb(of_index), 1.0),
        below("plan of all", "1 s", 1 / plan, f"{plan:.2f} s", 1.0, 5.0),
        below("plan, tables to be read", "1 s", 1 / with_plan, f"{with_plan:.2f} s"),
        below("tables and plan", "50 MB", 50e6 / of_tables, of_both),
    ]


def _million_in_files(folder: Path, count: int, files: int) -> Ratio:
    """Return how far below the bound stays what is kept once all frames of a run were loaded."""
    each = max(1, count // files)
    first = folder / "of-many-0.h5"
    _write_frames(first, each)
    names = [str(first), *(str(folder / f"of-many-{number}.h5") for number in range(1, files))]
    for name in names[1:]:
        shutil.copyfile(first, name)
    out = np.empty((files * each, *_FRAME), np.uint16)
    with cxi.CXIStore(names) as store:
        store.describe("data")
        _, stay = traced(lambda: store.load_attribute("data", out=out, verbose=False))
    if not (out == np.arange(16).reshape(_FRAME)).all():
        raise SystemExit("a million frames in many files: they are not what was written")
    for name in names:
        Path(name).unlink()
    bound = 60e6 * files * each / 1e6
    case = f"{files * each:,} frames in {files} files: what a load keeps"
    return Ratio("deflate", case, "60 MB a million", bound / stay, 1.0, 2.0, "bound", _mb(stay))


def _write_frames(name: Path, count: int) -> None:
    chunk = zlib.compress(np.arange(16, dtype=np.uint16).tobytes())
    with h5py.File(name, "w") as h5:
        dataset = h5.create_dataset(
            PATH, shape=(count, *_FRAME), dtype="u2", chunks=(1, *_FRAME), compression="gzip"
        )
        for number in range(count):
            dataset.id.write_direct_chunk((number, 0, 0), chunk)


def _mb(nbytes: int) -> str:
    return f"{nbytes / 1e6:.1f} MB"
