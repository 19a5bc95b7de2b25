"""Loading frames: cxistack beside h5py and pyrost, on the same files, in the same process.

``python -m benchmarks.loading [--quick] [--json FILE]``

60 frames of 2167 x 2070 uint16 (Poisson counts with a bright centre), one chunk a frame, in the
page cache. Every way of loading must give the same values before it is timed. Ways take turns; the
least time of each counts. Only ratios within one run mean anything: machines drift.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from .pyrost_peer import PeerUnavailableError, pyrost_store

PATH = "entry/data/data"  # the default protocol's first
CODECS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "gzip+shuffle": {"compression": "gzip", "compression_opts": 4, "shuffle": True},
    "bitshuffle+lz4": hdf5plugin.Bitshuffle(cname="lz4"),
}
CASES = ("whole stack", "400 x 600, float32", "every 2nd pixel", "half of it, random")
WAYS = ("cxistack", "h5py [...]", "h5py by frame", "h5py index list", "pyrost 0.7.7")
ROUNDS = 5
PATIENCE = 12.0  # seconds that a way may take in one case; it runs twice at least
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

Way = Callable[[], NDArray[Any]]


@dataclass(frozen=True)
class Timing:
    """The least time of one way to load in one case."""

    codec: str
    case: str
    way: str
    seconds: float
    runs: int
    pixels_mb: float


def frames_like_a_detector(count: int, shape: tuple[int, int]) -> NDArray[np.uint16]:
    """Return frames of Poisson counts: a faint background and a bright centre."""
    rng = np.random.default_rng(7)
    ss, fs = (np.linspace(-1, 1, size) for size in shape)
    rate = 1.5 + 2000 * np.exp(-(ss[:, None] ** 2 + fs**2) / 0.02)
    return np.stack([rng.poisson(rate).astype(np.uint16) for _ in range(count)])


def ways(
    case: str, name: Path, dataset: h5py.Dataset, store: cxi.CXIStore, pyrost: Any | None
) -> dict[str, Way]:
    """Return the ways to do a case; each call opens nothing and gives a new array."""
    count, *shape = dataset.shape
    ss, fs = slice(None), slice(None)
    frames: NDArray[np.intp] = np.arange(count)
    dtype = dataset.dtype
    transform: cxi.Transform | None = None
    match case:
        case "400 x 600, float32":
            top, left = (shape[0] - 400) // 2, (shape[1] - 600) // 2
            ss, fs, dtype = slice(top, top + 400), slice(left, left + 600), np.dtype(np.float32)
            transform = cxi.Crop([top, top + 400, left, left + 600])
        case "every 2nd pixel":
            ss = fs = slice(None, None, 2)
            transform = cxi.Downscale(2)
        case "half of it, random":
            frames = np.random.default_rng(11).permutation(count)[: count // 2]

    every = len(frames) == count

    def ours() -> NDArray[Any]:
        idxs = None if every else frames
        return np.asarray(
            store.load_attribute("data", idxs, verbose=False, transform=transform, dtype=dtype)
        )

    def at_once() -> NDArray[Any]:
        # A region goes to HDF5; strides are left to NumPy: HDF5 is slower at them than at it all.
        if ss.step is not None:
            return np.ascontiguousarray(dataset[...][:, ss, fs])
        return np.asarray(dataset[:, ss, fs], dtype)

    def by_frame() -> NDArray[Any]:
        out = np.empty((len(frames), len(range(shape[0])[ss]), len(range(shape[1])[fs])), dtype)
        for k, frame in enumerate(frames):
            out[k] = dataset[frame][ss, fs] if ss.step is not None else dataset[frame, ss, fs]
        return out

    def index_list() -> NDArray[Any]:
        order = np.argsort(frames)  # h5py wants them in increasing order
        out = np.empty((len(frames), *shape), dtype)
        out[order] = dataset[frames[order]]
        return out

    found: dict[str, Way] = {"cxistack": ours}
    if every:
        found["h5py [...]"] = at_once
    found["h5py by frame"] = by_frame
    if not every:
        found["h5py index list"] = index_list
    if pyrost is not None:

        def theirs() -> NDArray[Any]:
            with pyrost(str(name)) as peer:
                values = peer.load_attribute("data", frames, CORES, ss, fs, verbose=False)
            return np.asarray(values, dtype)

        found["pyrost 0.7.7"] = theirs
    return found


def measure(codec: str, case: str, found: Mapping[str, Way], rounds: int) -> list[Timing]:
    """Check that all ways agree, then time them in turns."""
    expected = found["h5py by frame"]()
    for name, way in found.items():
        values = way()  # warms the page cache and the allocator, too
        if not np.array_equal(values, expected):
            raise SystemExit(f"{codec}, {case}: {name} does not give what h5py gives by frame")
        del values
    size = expected.nbytes / 1e6
    del expected
    spent: dict[str, list[float]] = {name: [] for name in found}
    for turn in range(rounds):
        for name, way in found.items():
            if turn < 2 or sum(spent[name]) < PATIENCE:
                start = time.perf_counter()
                way()
                spent[name].append(time.perf_counter() - start)
    return [
        Timing(codec, case, name, min(times), len(times), size) for name, times in spent.items()
    ]


@contextmanager
def peer() -> Iterator[Any | None]:
    """Lend pyrost's store, or None with a word on why not."""
    with ExitStack() as stack:
        try:
            store = stack.enter_context(pyrost_store())
        except PeerUnavailableError as error:
            print(f"without pyrost: {error}", file=sys.stderr)
            store = None
        yield store


def run(quick: bool) -> list[Timing]:
    """Write the files, time everything, remove the files."""
    count, shape = (12, (700, 800)) if quick else (60, (2167, 2070))
    data = frames_like_a_detector(count, shape)
    timings: list[Timing] = []
    with tempfile.TemporaryDirectory(prefix="cxistack-bench-") as folder, peer() as pyrost:
        for codec, filters in CODECS.items():
            name = Path(folder) / "frames.h5"
            with h5py.File(name, "w") as h5:
                h5.create_dataset(PATH, data=data, chunks=(1, *shape), **filters)
            with h5py.File(name) as h5, cxi.CXIStore(name) as store:
                for case in CASES:
                    found = ways(case, name, h5[PATH], store, pyrost)
                    timings += measure(codec, case, found, 2 if quick else ROUNDS)
    return timings


def table(timings: list[Timing]) -> str:
    """Return our times, and those of the others as multiples of ours."""
    lines = [f"{'codec':15}{'case':20}{'cxistack':>20}" + "".join(f"{w:>17}" for w in WAYS[1:])]
    for codec in CODECS:
        for case in CASES:
            row = {t.way: t for t in timings if (t.codec, t.case) == (codec, case)}
            ours = row["cxistack"]
            speed = ours.pixels_mb / ours.seconds / 1e3
            cells = f"{ours.seconds * 1e3:8.1f} ms {speed:4.2f} GB/s"
            others = [
                f"{row[way].seconds / ours.seconds:.2f} x" if way in row else "-"
                for way in WAYS[1:]
            ]
            lines.append(f"{codec:15}{case:20}{cells:>20}" + "".join(f"{o:>17}" for o in others))
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small frames, to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the timings there, too")
    options = parser.parse_args()
    timings = run(options.quick)
    print(
        f"cxistack {cxi.__version__}, h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}, "
        f"NumPy {np.__version__}, Python {platform.python_version()}, {CORES} cores; "
        "times of the others are multiples of cxistack's"
    )
    print(table(timings))
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(timing) for timing in timings], indent=1))


if __name__ == "__main__":
    main()
