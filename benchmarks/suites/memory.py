"""The memory of a load beside its result, in a process of its own."""

from __future__ import annotations

import json
from typing import Any

import cxistack as cxi

from ..harness.data import CODECS, DETECTOR, Subject, detector_frames, workspace
from ..harness.memory import MIB, bound, growth, has_peaks, in_child
from ..harness.options import Options, Size
from ..harness.report import Report
from ..harness.results import Ratio
from ..harness.timing import Pace

__all__ = ["SIZES", "run"]

SIZES = {
    "normal": Size(60, DETECTOR, Pace(1)),
    "quick": Size(16, DETECTOR, Pace(1)),
    "tiny": Size(16, (53, 70), Pace(1)),
}
_LOADS: dict[str, dict[str, Any]] = {
    "whole frames": {},
    "whole frames as float32": {"dtype": "float32"},
    "every 4th pixel": {"ss_idxs": 4, "fs_idxs": 4},
}


def run(report: Report, options: Options) -> None:
    """Write files, load each in a process of its own, remove the files."""
    if not has_peaks():
        return
    size = options.choose(SIZES)
    data = detector_frames(size.frames, size.shape)
    with workspace(options.folder, data.nbytes) as folder:
        report.place(f"in the page cache ({folder.parent})")
        for codec in CODECS:
            with Subject(folder, codec, data) as subject:
                for load in _LOADS if codec == "bitshuffle+LZ4" else ["whole frames"]:
                    if options.wants(f"{codec}, peak memory, {load}"):
                        report.add(load, others=[_peak(subject, options.threads, load)])


def _peak(subject: Subject, threads: int, load: str) -> Ratio:
    """Return how far the peak of a load stays below what is allowed."""
    of_chunks = max(size for _, size in subject.table) + subject.chunk_bytes
    allowed = 64 * MIB + threads * of_chunks
    grown, result = in_child(child, subject.path, threads, json.dumps(_LOADS[load]))
    beside = grown - result
    note = f"{beside / MIB:.0f} MiB beside {result / MIB:.0f}, of {allowed / MIB:.0f} allowed"
    return bound(subject.codec, f"peak memory, {load}", beside, allowed, note)


def child(name: str, threads: str, words: str) -> tuple[int, int]:
    """Load as the words say; return by how many bytes memory grew, and the result's bytes."""
    arguments = {
        key: slice(None, None, value) if key.endswith("idxs") else value
        for key, value in json.loads(words).items()
    }
    with cxi.CXIStore(name) as store:
        store.describe("data")
        options: dict[str, Any] = {"num_threads": int(threads), "verbose": False, **arguments}
        grown, values = growth(lambda: store.load_attribute("data", **options))
        return grown, values.nbytes
