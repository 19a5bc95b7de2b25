"""Decoders of whole chunks beside bare libraries and bslz4_to_sparse.

Chunks lie in memory. Ways take turns, and the least time of each counts. Every result is compared.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from ..harness.data import DETECTOR, detector_frames
from ..harness.libraries import Stored, Work, on_threads
from ..harness.options import Options, Size
from ..harness.peers import peer_module
from ..harness.report import Report, timings_of
from ..harness.results import OURS, Figure, Ratio
from ..harness.timing import Pace, in_turns

__all__ = ["SIZES", "run"]

SIZES = {
    "normal": Size(6, DETECTOR, Pace(15)),
    "quick": Size(4, DETECTOR, Pace(3)),
    "tiny": Size(4, (64, 70), Pace(1)),
}
LIBRARY, PEER = "bare library", "bslz4_to_sparse"


class Case(NamedTuple):
    """A way to store frames."""

    name: str
    options: dict[str, Any]


CASES = (
    Case("bitshuffle+lz4", dict(hdf5plugin.Bitshuffle(cname="lz4"))),
    Case("bitshuffle+zstd", dict(hdf5plugin.Bitshuffle(cname="zstd"))),
    Case("bitshuffle", dict(hdf5plugin.Bitshuffle(cname="none"))),
    Case("lz4", dict(hdf5plugin.LZ4())),
    Case("zstd", dict(hdf5plugin.Zstd())),
    Case("deflate", {"compression": "gzip"}),
    Case("shuffle, deflate", {"compression": "gzip", "shuffle": True}),
    Case("fletcher32", {"fletcher32": True}),
)


def run(report: Report, options: Options) -> None:
    """Decode as each case says, on one thread and on all."""
    size = options.choose(SIZES)
    peer = peer_module(PEER, "decompress")  # the dense decode; older releases have none
    for case in CASES:
        for dtype in ("uint16", "uint32") if case.name == "bitshuffle+lz4" else ("uint16",):
            if options.wants(f"{case.name}, {dtype}"):
                data = detector_frames(size.frames, size.shape, dtype)
                for threads in sorted({1, options.threads}):
                    bench = _Bench(case, data, threads, size.pace)
                    bench.measure(report, peer if case.name == "bitshuffle+lz4" else None)


class _Bench:
    """Frames of a case, stored; and what to do with them on some threads."""

    def __init__(self, case: Case, data: NDArray[Any], threads: int, pace: Pace) -> None:
        self.case, self.data, self.threads, self.pace = case, data, threads, pace
        self.stored = Stored.of(data, case.options, threads)
        self.name = f"{data.dtype}, {threads} thread{'s' * (threads > 1)}"

    def measure(self, report: Report, peer: ModuleType | None) -> None:
        """Check and time all ways."""
        works: dict[str, Work] = {OURS: self.stored.ours, LIBRARY: self.stored.limit()}
        in_order = np.arange(len(self.data))
        self._check(OURS, works[OURS], in_order)
        if peer is not None:
            works[PEER] = self._peer(peer)
            parts = [in_order[k :: self.threads] for k in range(self.threads)]
            self._check(PEER, works[PEER], np.concatenate(parts))
        ways = {name: self._on_threads(work) for name, work in works.items()}
        spent = in_turns(ways, self.pace)
        against = {name: s.seconds / spent[OURS].seconds for name, s in spent.items()}
        smaller = self.data.nbytes / sum(map(len, self.stored.chunks))
        others = [Figure(self.case.name, self.name, "stored, times smaller", smaller, "x")]
        ratios = [Ratio(self.case.name, self.name, LIBRARY, against[LIBRARY], kind="limit")]
        if peer is not None:
            ratios.append(Ratio(self.case.name, self.name, PEER, against[PEER]))
        timings = timings_of(self.case.name, self.name, spent, self.data.nbytes)
        report.add(f"{self.case.name}, {self.name}", timings, [*ratios, *others])

    def _on_threads(self, work: Work) -> Any:
        return lambda: on_threads(work, self.threads)

    def _peer(self, peer: ModuleType) -> Work:
        stored = self.stored
        kind = np.dtype(f"u{stored.filters[-1][1][2]}")  # the size that bitshuffle was told

        def decode(first: int, step: int) -> None:
            chosen = stored.chunks[first::step]
            begin = sum(len(stored.chunks[k::step]) for k in range(first))
            out = stored.out[begin : begin + len(chosen)].view(kind)
            peer.decompress(chosen, kind, out=out)

        return decode

    def _check(self, name: str, work: Work, order: NDArray[np.intp]) -> None:
        self.stored.out[...] = 1
        on_threads(work, self.threads)
        found = self.stored.out.view(self.data.dtype).reshape(self.data.shape)
        if not np.array_equal(found, self.data[order]):
            raise SystemExit(f"{self.case.name}: {name} differs")
