"""Masks that limits make, beside the load of what they look at: python -m benchmarks.masks.

Each mask is verified. A time is the shortest CPU time of all threads, in turns, so that others on
the machine do not count. A ratio is the mask's over that of the pixels' own load: 1 where limits
cost nothing. NumPy is that load with a comparison after it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from .data import CODECS, detector_frames, workspace
from .timing import OURS

LOAD, NUMPY = "load", "NumPy"
TOP = 6
_PATHS = {"data": ["/data"], "mask": ["/mask"]}
_KINDS = {"data": "stack", "mask": "stack"}
_LIMITS = {
    "1 limit": [f"data <= {TOP}"],
    "3 limits": [f"data <= {TOP}", "data >= 1", "data != 3"],
}


def _cases(folder: Path, stack: NDArray[Any]) -> Iterator[tuple[str, Path, list[str], bool]]:
    """Yield what is measured: a name, a file, limits, and whether it has a mask of its own."""
    for codec in ("none", "bitshuffle+LZ4"):
        for dtype in ("uint16", "float32") if codec == "none" else ("uint16",):
            path = folder / f"{codec}-{dtype}.h5"
            with h5py.File(path, "w") as h5:
                chunk = None if codec == "none" else (1, *stack.shape[1:])
                h5.create_dataset("data", data=stack.astype(dtype), chunks=chunk, **CODECS[codec])
                h5["mask"] = np.indices(stack.shape[1:]).sum(axis=0) % 5 > 0
            for name, sentences in _LIMITS.items():
                yield f"{codec}, {dtype}, {name}", path, sentences, False
                yield f"{codec}, {dtype}, {name}, a mask", path, sentences, True
            path.unlink()


def _ways(
    path: Path, sentences: list[str], has_mask: bool, threads: int
) -> dict[str, Callable[[], NDArray[Any]]]:
    protocol = cxi.CXIProtocol(
        {"data": "number", "mask": "bool"},
        _PATHS if has_mask else _PATHS | {"mask": ["/none"]},
        _KINDS,
        limits={"mask": sentences},
    )
    plain = protocol.replace(limits={})
    stores = [cxi.CXIStore(path, protocol=one) for one in (protocol, plain)]
    shape, dtype = stores[1].describe("data")
    mask, again, data = np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(shape, dtype)
    options: dict[str, Any] = {"num_threads": threads, "verbose": False}

    def load() -> NDArray[Any]:
        stores[1].load_attribute("data", out=data, **options)
        return data

    def by_numpy() -> NDArray[Any]:
        load()
        np.less_equal(data, TOP, out=again)
        if len(sentences) > 1:
            again[...] &= data >= 1
            again[...] &= data != 3
        if has_mask:
            again[...] &= stores[1].load_attribute("mask", idxs=[0], **options)
        return again

    return {
        OURS: lambda: stores[0].load_attribute("mask", out=mask, **options),
        LOAD: load,
        NUMPY: by_numpy,
    }


def _shortest(ways: dict[str, Callable[[], NDArray[Any]]], turns: int) -> dict[str, float]:
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(turns):
        for name, call in ways.items():
            start = time.process_time()
            call()
            best[name] = min(best[name], time.process_time() - start)
    return best


def run(stack: NDArray[Any], threads: int, turns: int, folder: Path) -> None:
    """Write files, verify, measure and print; remove the files."""
    print(f"{'ms of CPU time':44} {OURS:>9} {LOAD:>9} {NUMPY:>9} {'ratio':>7}")
    for name, path, sentences, has_mask in _cases(folder, stack):
        ways = _ways(path, sentences, has_mask, threads)
        np.testing.assert_array_equal(ways[OURS](), ways[NUMPY]())
        best = _shortest(ways, turns)
        shown = " ".join(f"{1e3 * best[way]:9.1f}" for way in (OURS, LOAD, NUMPY))
        print(f"{name:44} {shown} {best[OURS] / best[LOAD]:7.2f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Masks that limits make.")
    parser.add_argument("--quick", action="store_true", help="12 frames, fewer turns")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    stack = detector_frames(12 if given.quick else 48, (2167, 2070))
    with workspace(given.folder, 4 * stack.nbytes) as folder:
        run(stack, given.threads, 5 if given.quick else 15, folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
