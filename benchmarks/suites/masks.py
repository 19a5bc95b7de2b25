"""Masks that limits make, beside the load of what they look at.

Each mask is verified. A time is the shortest CPU time of all threads, in turns, so that others on
the machine do not count. The figure is the mask's over that of the pixels' own load: 1 where limits
cost nothing. NumPy is that load with a comparison after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from ..harness.data import CODECS, DETECTOR, detector_frames, workspace
from ..harness.options import Options, Size
from ..harness.report import Report
from ..harness.results import OURS, Figure
from ..harness.timing import Pace, in_turns

__all__ = ["SIZES", "run"]

SIZES = {
    "normal": Size(48, DETECTOR, Pace(15)),
    "quick": Size(12, DETECTOR, Pace(5)),
    "tiny": Size(3, (20, 30), Pace(1)),
}
LOAD, NUMPY = "load", "NumPy"
TOP = 6
_PATHS = {"data": ["/data"], "mask": ["/good"]}  # not called a mask: some cases leave it out
_KINDS = {"data": "stack", "mask": "stack"}
_LIMITS = {
    "1 limit": [f"data <= {TOP}"],
    "3 limits": [f"data <= {TOP}", "data >= 1", "data != 3"],
}


def run(report: Report, options: Options) -> None:
    """Write files, verify, measure; remove the files."""
    size = options.choose(SIZES)
    stack = detector_frames(size.frames, size.shape)
    with workspace(options.folder, 4 * stack.nbytes) as folder:
        report.place(f"in the page cache ({folder.parent})")
        report.say(f"\n{'ms of CPU time':44} {OURS:>9} {LOAD:>9} {NUMPY:>9}")
        for stored, name, path, sentences, has_mask in _cases(folder, stack):
            if not options.wants(f"{stored}, {name}"):
                continue
            ways = _ways(path, sentences, has_mask, options.threads)
            np.testing.assert_array_equal(ways[OURS](), ways[NUMPY]())
            cpu = {way: spent.cpu for way, spent in in_turns(ways, size.pace).items()}
            shown = " ".join(f"{1e3 * cpu[way]:9.1f}" for way in (OURS, LOAD, NUMPY))
            report.say(f"{f'{stored}, {name}':44} {shown}")
            figures = [Figure(stored, name, way, 1e3 * cpu[way], "ms of CPU") for way in cpu]
            report.add(name, others=figures, in_table=False)
            against = Figure(stored, name, f"{OURS} over {LOAD}", cpu[OURS] / cpu[LOAD], "x")
            report.add(name, others=[against])


def _cases(folder: Path, stack: NDArray[Any]) -> Iterator[tuple[str, str, Path, list[str], bool]]:
    """Yield what is measured: codec, name, file, limits, and whether it has a mask of its own."""
    for codec in ("none", "bitshuffle+LZ4"):
        for dtype in ("uint16", "float32") if codec == "none" else ("uint16",):
            path = folder / f"{codec}-{dtype}.h5"
            with h5py.File(path, "w") as h5:
                chunk = None if codec == "none" else (1, *stack.shape[1:])
                h5.create_dataset("data", data=stack.astype(dtype), chunks=chunk, **CODECS[codec])
                h5["good"] = np.indices(stack.shape[1:]).sum(axis=0) % 5 > 0
            for name, sentences in _LIMITS.items():
                yield codec, f"{dtype}, {name}", path, sentences, False
                yield codec, f"{dtype}, {name}, a mask", path, sentences, True
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
