"""Loads from a web server: ours, and h5py over fsspec's file object.

The server is on this machine, in a process of its own, and answers each request 20 ms late. Each
way opens the file anew. What the server gave is counted, and held against the chunks' bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from ..harness.data import CODECS, DETECTOR, PATH, detector_frames, workspace
from ..harness.options import Options, Size
from ..harness.report import Report
from ..harness.results import OURS, Figure
from ..harness.server import Server, serving
from ..harness.timing import Case, Pace, Pool, Target, Way

__all__ = ["SIZES", "run"]

_LATENCY = 0.02  # seconds
_THEIRS, _HERE = "h5py over fsspec", "h5py, the file here"
_REGION = (400, 600)


@dataclass(frozen=True)
class _Size(Size):
    files: int


SIZES = {
    "normal": _Size(60, DETECTOR, Pace(3, 20.0), 100),
    "quick": _Size(20, DETECTOR, Pace(2, 10.0), 20),
    "tiny": _Size(4, (600, 800), Pace(1, 5.0), 3),
}


def run(report: Report, options: Options) -> None:
    """Write files, serve them, measure."""
    size = options.choose(SIZES)
    data = detector_frames(size.frames, size.shape)
    pool = Pool(data.nbytes)
    with workspace(options.folder, data.nbytes) as folder, serving(folder, _LATENCY) as server:
        report.place(f"from a web server on this machine, {_LATENCY * 1000:g} ms late")
        bench = _Bench(report, folder, server, data, pool, size)
        for codec in ("bitshuffle+LZ4", "deflate+shuffle"):
            bench.region(codec)
            bench.whole(codec)
        bench.opening()


@dataclass(frozen=True)
class _Bench:
    report: Report
    folder: Path
    server: Server
    data: NDArray[Any]
    pool: Pool
    size: _Size

    def region(self, codec: str) -> None:
        """Measure a region of all frames."""
        rows, columns = (int(n * 0.37) for n in self.size.shape)
        region = np.s_[rows : rows + _REGION[0], columns : columns + _REGION[1]]
        ours = {"ss_idxs": region[0], "fs_idxs": region[1], "verbose": False}
        name = "a region of {} x {}".format(*_REGION)
        self._measure(name, codec, region, ours, 8 if codec.startswith("bit") else None)

    def whole(self, codec: str) -> None:
        """Measure whole frames."""
        self._measure("whole frames", codec, np.s_[:, :], {"verbose": False}, None)

    def opening(self) -> None:
        """Measure what it takes to open files, in requests a file."""
        names = []
        for number in range(self.size.files):
            names.append(self.folder / f"part_{number:03}.h5")
            with h5py.File(names[-1], "w") as h5:
                h5[PATH] = np.zeros((4, 32, 32), "u2")
        urls = [f"{self.server.url}/{name.name}" for name in names]
        self.server.count()
        assert cxi.CXIStore(urls)["data"].shape == (4 * len(urls), 32, 32)
        count = self.server.count()
        each = count.requests / len(urls)
        self.report.keep([Figure("-", "a file opened", "requests", each, "a file", most=1)])

    def _measure(
        self, name: str, codec: str, region: Any, words: dict[str, Any], must: float | None
    ) -> None:
        file = self.folder / f"{codec.replace('+', '_')}.h5"
        if not file.exists():
            with h5py.File(file, "w") as h5:
                chunks = (1, *self.size.shape)
                h5.create_dataset(PATH, data=self.data, chunks=chunks, **CODECS[codec])
        url = f"{self.server.url}/{file.name}"
        protocol = cxi.CXIProtocol({"data": "uint"}, {"data": [PATH]}, {"data": "stack"})

        def ours() -> NDArray[Any]:
            with cxi.CXIStore(url, protocol=protocol) as store:
                return np.asarray(store.load_attribute("data", **words))

        ways = [Way(OURS, ours), Way(_HERE, _by_h5py(file, region))]
        targets = []
        if find_spec("fsspec") and find_spec("aiohttp"):
            ways.append(Way(_THEIRS, _by_fsspec(url, region)))
            targets.append(Target((_THEIRS,), must))
        case = Case(name, codec, self.data.nbytes, _HERE, ways, targets)
        self.report.measure(case, self.pool, self.size.pace)
        self.server.count()
        ours()
        count = self.server.count()
        with h5py.File(file) as h5:
            needed = h5[PATH].id.get_storage_size()
        # A tiny file is hardly more than its metadata.
        most = 1.2 if needed > 1 << 24 else None
        figures = [
            Figure(codec, name, "bytes over chunks", count.bytes / needed, "times", most=most),
            Figure(codec, name, "requests", count.requests, "of all"),
        ]
        self.report.keep(figures)


def _by_h5py(file: Path, region: Any) -> Callable[[], NDArray[Any]]:
    def read() -> NDArray[Any]:
        with h5py.File(file) as h5:
            data = h5[PATH]
            return np.stack([data[(number, *region)] for number in range(len(data))])

    return read


def _by_fsspec(url: str, region: Any) -> Callable[[], NDArray[Any]]:
    def read() -> NDArray[Any]:
        import fsspec

        with fsspec.open(url, "rb") as file, h5py.File(file) as h5:
            data = h5[PATH]
            return np.stack([data[(number, *region)] for number in range(len(data))])

    return read
