"""Many files and many frames: how long they take to open and to plan, and how much memory."""

from __future__ import annotations

import gc
import resource
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from .data import PATH
from .peers import Peers
from .timing import OURS, Case, Ratio, Target, Way

__all__ = ["million_frames", "opening_case"]

_FRAME = (4, 4)


def opening_case(folder: Path, peers: Peers, files: int, frames: int) -> Case:
    """Return opening many small files, until `data` could be loaded; write them first."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # pyrost holds all of them open
    names = [str(folder / f"run-{files}-{number}.h5") for number in range(files)]
    data = np.arange(frames * 64, dtype=np.uint16).reshape(frames, 8, 8)
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
    make = peers.pyrost if files < hard - 100 else None
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


def million_frames(folder: Path, count: int) -> list[Ratio]:
    """Return how far below the bounds the index and the plan of so many frames stay."""
    name = folder / "million.h5"
    chunk = zlib.compress(np.arange(16, dtype=np.uint16).tobytes())
    with h5py.File(name, "w") as h5:
        dataset = h5.create_dataset(
            PATH, shape=(count, *_FRAME), dtype="u2", chunks=(1, *_FRAME), compression="gzip"
        )
        write = dataset.id.write_direct_chunk
        for number in range(count):
            write((number, 0, 0), chunk)

    opened: list[cxi.CXIStore] = []

    def open_it() -> None:
        opened.append(cxi.CXIStore(name))
        opened[0].describe("data")

    _, of_index = _memory(open_it)
    with opened[0] as store:
        with_plan, _ = _seconds(lambda: store.explain("data"))
        plan, _ = _seconds(lambda: store.explain("data"))
        values = store.load_attribute("data", [count - 1, 0], verbose=False)
        if not (values == np.arange(16).reshape(_FRAME)).all():
            raise SystemExit("a million frames: the last and the first are not what was written")
    with cxi.CXIStore(name) as store:
        store.describe("data")
        peak, of_tables = _memory(lambda: store.explain("data"))
    name.unlink()
    part = count / 1e6  # of what a million frames may take

    def bound(
        what: str,
        of: str,
        value: float,
        note: str,
        must: float | None = None,
        goal: float | None = None,
    ) -> Ratio:
        case = f"{count:,} frames: {what}"
        return Ratio("deflate", case, f"{of} a million", part * value, must, goal, "bound", note)

    return [
        bound("index", "50 MB", 50e6 / of_index, _mb(of_index), 1.0),
        bound("plan of all", "1 s", 1 / plan, f"{plan:.2f} s", 1.0, 5.0),
        bound("plan, tables to be read", "1 s", 1 / with_plan, f"{with_plan:.2f} s"),
        bound(
            "tables and plan",
            "50 MB",
            50e6 / of_tables,
            f"{_mb(of_tables)} stay, {_mb(peak)} at most",
        ),
    ]


def _memory(call: Callable[[], object]) -> tuple[int, int]:
    """Return the most bytes that a call takes, and those that stay (1 at least)."""
    gc.collect()
    tracemalloc.start()
    try:
        call()
        gc.collect()
        stay, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak, max(1, stay)


def _seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def _mb(nbytes: int) -> str:
    return f"{nbytes / 1e6:.1f} MB"
