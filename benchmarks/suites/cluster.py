"""A Dask cluster of two processes, beside one process and h5py.

Frames are stored with bitshuffle+LZ4, in 20 files in the page cache. The peer is what Dask's users
write: ``da.from_array`` of each file's h5py dataset, a block a file, on the same cluster. Graphs
are made in a process of their own, of a million frames of which none is written.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from ..harness.data import DETECTOR, PATH, workspace
from ..harness.memory import MIB, growth, has_peaks, in_child
from ..harness.options import Options, Size
from ..harness.report import Report
from ..harness.results import OURS, Figure, Ratio
from ..harness.runs import write_run
from ..harness.timing import Pace, in_turns

__all__ = ["SIZES", "run"]

CODEC = "bitshuffle+LZ4"
PEER = "da.from_array(h5py)"
BARE = "as many processes without Dask"
_CASES = ("mean", "mean of a region")
_QUIET: dict[str, Any] = {"verbose": False}


@dataclass(frozen=True)
class _Size(Size):
    """How much is measured; `frames` are those of each file."""

    files: int
    region: tuple[int, int]
    million: int  # frames of the graph


SIZES = {
    "normal": _Size(100, DETECTOR, Pace(3), 20, (400, 600), 1_000_000),
    "quick": _Size(6, DETECTOR, Pace(3), 20, (400, 600), 1_000_000),
    "tiny": _Size(2, (20, 30), Pace(1), 3, (4, 6), 1000),
}


def run(report: Report, options: Options) -> None:
    """Write files, begin a cluster, measure, end and remove all."""
    from distributed import Client, LocalCluster

    size = options.choose(SIZES)
    with workspace(options.folder, size.files * size.frames * size.shape[0] * size.shape[1]) as one:
        report.place(f"in the page cache ({one.parent})")
        case = "graph of a million frames"
        if options.wants(case):
            report.add(case, others=list(_graphs(case, one, size)))
        if not any(options.wants(f"{case} of {size.files} files") for case in _CASES):
            return
        names = write_run(one, size.files, size.frames, size.shape, CODEC)
        with (
            LocalCluster(
                n_workers=options.threads,
                threads_per_worker=1,
                dashboard_address=":0",
                silence_logs=logging.ERROR,
            ) as workers,
            Client(workers) as client,
            cxi.CXIStore(names) as store,
        ):
            client.run(_register)
            bench = _Bench(names, store, client, size)
            for case, measure in bench.cases():
                if options.wants(case):
                    report.add(case, others=list(measure(case)))


def _register() -> None:
    """Have h5py know the filters, in a worker."""
    import hdf5plugin

    assert hdf5plugin


@dataclass(frozen=True)
class _Bench:
    """What is measured of a run of several files."""

    names: list[str]
    store: cxi.CXIStore
    client: Any
    size: _Size

    def cases(self) -> Iterator[tuple[str, Callable[[str], Iterator[Any]]]]:
        """Yield all cases."""
        files = self.size.files
        for case, measure in zip(_CASES, (self.mean, self.region), strict=True):
            yield f"{case} of {files} files", measure

    def mean(self, case: str) -> Iterator[Any]:
        def reduced(**how: Any) -> NDArray[Any]:
            found: NDArray[Any] = self.store.reduce("data", "mean", **how, **_QUIET)
            return found

        def by_dask(**how: Any) -> NDArray[Any]:
            found: NDArray[Any] = self.store["data"].to_dask().mean(axis=0).compute(**how)
            return found

        ways: dict[str, Callable[[], NDArray[Any]]] = {
            OURS: lambda: reduced(client=self.client),
            "one process, one thread": lambda: reduced(num_threads=1),
        }
        # By themselves: workers are busy with what the peer leaves behind, when it is done.
        seconds = self._seconds(ways)
        bare = self._bare_seconds()
        ways = {
            "to_dask().mean()": by_dask,
            "to_dask().mean(), one thread": lambda: by_dask(scheduler="sync"),
            PEER: lambda: self._peer(np.s_[:, :, :]),
        }
        seconds |= self._seconds(ways, reduced(num_threads=1))
        ours, dask = seconds[OURS], seconds["to_dask().mean()"]
        alone = seconds["one process, one thread"]
        yield Ratio(CODEC, case, "one process, one thread", alone / ours, 1.7)
        yield Ratio(CODEC, f"{case}, {BARE}", "one process, one thread", alone / bare)
        yield Ratio(CODEC, case, PEER, seconds[PEER] / ours, 3.0)
        yield Ratio(CODEC, case, "to_dask().mean()", dask / ours)
        case = f"{case}, to_dask"
        yield Ratio(
            CODEC, case, "the same, one thread", seconds["to_dask().mean(), one thread"] / dask
        )
        yield Ratio(CODEC, case, PEER, seconds[PEER] / dask)

    def region(self, case: str) -> Iterator[Any]:
        """Measure the mean of a crop that Dask is asked for."""
        rows, columns = self.size.region
        top, left = (n // 3 for n in self.size.shape)
        crop = np.s_[:, top : top + rows, left : left + columns]
        ways = {
            OURS: lambda: self.store["data"].to_dask()[crop].mean(axis=0).compute(),
            PEER: lambda: self._peer(crop),
        }
        seconds = self._seconds(ways)
        yield Ratio(CODEC, case, PEER, seconds[PEER] / seconds[OURS], 3.0)

    def _bare_seconds(self) -> float:
        """Return how long processes take that each reduce a share: what the machine allows."""
        count = len(self.client.nthreads())
        with ProcessPoolExecutor(count, get_context("spawn")) as pool:
            shares = [self.names[k::count] for k in range(count)]
            ways = {BARE: lambda: list(pool.map(reduce_alone, shares))}
            return in_turns(ways, self.size.pace)[BARE].seconds

    def _peer(self, crop: Any) -> NDArray[Any]:
        import dask.array as da

        with ExitStack() as stack:
            files = [stack.enter_context(h5py.File(name)) for name in self.names]
            # A block a file: chunks="auto" takes 30 times as long for blocks of parts of frames.
            blocks = [da.from_array(file[PATH], chunks=(len(file[PATH]), -1, -1)) for file in files]
            found: NDArray[Any] = da.concatenate(blocks)[crop].mean(axis=0).compute()
        return found

    def _seconds(
        self, ways: dict[str, Callable[[], NDArray[Any]]], expected: NDArray[Any] | None = None
    ) -> dict[str, float]:
        for call in ways.values():
            found = call()
            expected = found if expected is None else expected
            np.testing.assert_allclose(found, expected)
        return {way: spent.seconds for way, spent in in_turns(ways, self.size.pace).items()}


def reduce_alone(names: list[str]) -> None:
    """Take the mean of files by one thread of this process."""
    with cxi.CXIStore(names) as store:
        store.reduce("data", "mean", num_threads=1, **_QUIET)


def _graphs(case: str, folder: Path, size: _Size) -> Iterator[Any]:
    """Measure graphs of many frames: in one file, and in files of 500."""
    if not has_peaks():
        return
    shape = (size.million, 512, 512)
    paths = {"one file": [folder / "million.h5"]}
    paths["files of 500"] = [folder / f"part_{k:04}.h5" for k in range(size.million // 500)]
    for what, files in paths.items():
        for path in files:
            with h5py.File(path, "w") as h5:  # nothing of it is written
                h5.create_dataset(
                    PATH, (shape[0] // len(files), *shape[1:]), "u2", chunks=(1, 512, 512)
                )
        spent, grown, tasks, more = in_child(child, str(folder / f"{files[0].stem[:4]}*.h5"))
        note = f"{tasks} tasks when it is computed, {more / 1e6:.1f} s more"
        yield Figure(what, case, "seconds", spent / 1e6, "s", 2.0, note)
        yield Figure(what, case, "memory", grown / MIB, "MiB", 100.0)
        for path in files:
            path.unlink()


def child(pattern: str) -> tuple[int, int, int, int]:
    """Make a graph of a run that is open.

    Returns
    -------
    tuple of int
        Microseconds and bytes that it takes, the tasks that it becomes when it is computed, and
        microseconds for that.
    """
    import dask
    import dask.array as da

    assert da
    with cxi.CXIStore(pattern) as store:
        store["data"].to_dask("1 GiB")  # what is looked at once

        def made() -> Any:
            begin = time.perf_counter()
            data = store["data"].to_dask()
            total = data[:, 100:200, 100:200].mean(axis=0)
            return total, time.perf_counter() - begin

        grown, (total, spent) = growth(made)
        begin = time.perf_counter()
        (ready,) = dask.optimize(total)
        tasks = len(dict(ready.dask))
        return round(spent * 1e6), grown, tasks, round((time.perf_counter() - begin) * 1e6)
