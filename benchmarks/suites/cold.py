"""Loads of files that are not in the page cache, beside the bare disk.

The peer is h5py.
Before each turn the file's own pages are dropped (posix_fadvise, after fsync): what lies in the
disk's or a virtual machine's own cache is still fast. The bare read is of the whole file, in pieces
of 1 MiB on four threads; another way of ours asks the system for the whole file first
(POSIX_FADV_WILLNEED): what reading further ahead than the system does by itself could gain.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from ..harness.data import CODECS, DETECTOR, PATH, detector_frames, disk_workspace
from ..harness.options import Options, Size
from ..harness.report import Report, timings_of
from ..harness.results import OURS, Ratio
from ..harness.timing import Pace, in_turns

__all__ = ["SIZES", "run"]

SIZES = {
    "normal": Size(60, DETECTOR, Pace(5)),
    "quick": Size(16, DETECTOR, Pace(3)),
    "tiny": Size(4, (60, 70), Pace(1)),
}
_DISK, _H5PY, _AHEAD = "bare read of the disk", "h5py read_direct", "asked for ahead"
_CASE = "whole frames into out=, cold"
_PIECE = 1 << 20


def run(report: Report, options: Options) -> None:
    """Measure; files are gone at the end."""
    if not hasattr(os, "posix_fadvise"):
        report.say("this system drops no pages of a file")
        return
    size = options.choose(SIZES)
    data = detector_frames(size.frames, size.shape)
    with disk_workspace(options.folder, 2 * data.nbytes) as folder:
        report.place(f"on disk, in {folder.parent}")
        for codec in ("none", "bitshuffle+LZ4", "deflate+shuffle"):
            if not options.wants(f"{codec}, {_CASE}"):
                continue
            path = folder / f"{codec}.h5"
            with h5py.File(path, "w") as h5:
                h5.create_dataset(PATH, data=data, chunks=(1, *size.shape), **CODECS[codec])
            _measure(report, codec, path, data, (size.pace, options.threads))
            path.unlink()


def _measure(
    report: Report, codec: str, path: Path, data: NDArray[Any], how: tuple[Pace, int]
) -> None:
    pace, threads = how
    out = np.zeros_like(data)

    def ours() -> None:
        with cxi.CXIStore(path) as store:
            store.load_attribute("data", out=out, num_threads=threads, verbose=False)

    def ahead() -> None:
        _advise(path, os.POSIX_FADV_WILLNEED)
        ours()

    def plain() -> None:
        with h5py.File(path) as h5:
            h5[PATH].read_direct(out)

    ours()
    if not np.array_equal(out, data):
        raise SystemExit("the frames differ")

    def drop() -> None:
        _advise(path, os.POSIX_FADV_DONTNEED)

    drop()
    ways: dict[str, Callable[[], None]] = {
        OURS: ours,
        f"{OURS}, {_AHEAD}": ahead,
        _H5PY: plain,
        _DISK: lambda: _bare(path),
    }
    spent = in_turns(ways, pace, drop)
    of = {name: spent[name].seconds / spent[OURS].seconds for name in ways}
    ratios = [
        Ratio(codec, _CASE, _H5PY, of[_H5PY]),
        Ratio(codec, _CASE, _DISK, of[_DISK], kind="limit"),
        Ratio(codec, _CASE, _AHEAD, of[f"{OURS}, {_AHEAD}"], kind="limit"),
    ]
    report.add(f"{codec}, {_CASE}", timings_of(codec, _CASE, spent, data.nbytes), ratios)


def _advise(path: Path, advice: int) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if advice == os.POSIX_FADV_DONTNEED:
            os.fsync(descriptor)  # pages that are not written yet stay
        os.posix_fadvise(descriptor, 0, 0, advice)
    finally:
        os.close(descriptor)


def _bare(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        begins = range(0, os.fstat(descriptor).st_size, _PIECE)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda begin: os.pread(descriptor, _PIECE, begin), begins))
    finally:
        os.close(descriptor)
