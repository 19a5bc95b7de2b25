"""Sums and medians over frames beside NumPy, each result verified.

Frames are added to states that are there already, as those of a batch are. A ratio is NumPy's
shortest time over ours. Kernels use all cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cxistack import kernels

from ..harness.data import DETECTOR
from ..harness.options import Options, Size
from ..harness.report import Report, timings_of
from ..harness.results import OURS, Ratio
from ..harness.timing import Pace, in_turns

__all__ = ["SIZES", "run"]

Array = np.ndarray[Any, Any]
Call = Callable[[], Array]
NUMPY = "NumPy"

SIZES = {
    "normal": Size(16, DETECTOR, Pace(3, least=2.0)),
    "quick": Size(8, (1000, 1000), Pace(2, least=0.5)),
    "tiny": Size(4, (33, 70), Pace(1)),
}


def run(report: Report, options: Options) -> None:
    """Measure sums of a batch of frames, then medians of many."""
    size = options.choose(SIZES)
    for name, ours, numpy, target in cases(size):
        if not options.wants(name):
            continue
        np.testing.assert_allclose(ours(), numpy(), rtol=1e-12)
        spent = in_turns({OURS: ours, NUMPY: numpy}, size.pace)
        value = spent[NUMPY].seconds / spent[OURS].seconds
        ratio = Ratio("-", name, NUMPY, value, target)
        report.add(name, timings_of("-", name, spent), [ratio])


def cases(size: Size) -> Iterator[tuple[str, Call, Call, float | None]]:
    rng = np.random.default_rng(0)
    frames = rng.poisson(3.0, (size.frames, *size.shape)).astype("u2")

    def added(*words: Any) -> Call:
        fresh = kernels.Moments(size.shape, frames.dtype, words)
        fresh.add(frames)
        found = fresh.result(words[0])

        def work() -> Array:
            fresh.add(frames)
            return found

        return work

    def all_of() -> Array:
        for of in (np.mean, np.min, np.max):
            of(frames, axis=0)
        deviation: Array = np.std(frames, axis=0)
        return deviation

    yield "sum of uint16", added("sum"), lambda: frames.sum(0, "u8"), 4.0
    yield "std, mean, min, max of uint16", added("std", "mean", "min", "max"), all_of, None
    part = np.resize(frames, (10 * size.frames, size.shape[0] // 8, size.shape[1] // 2))
    yield "median of uint16", lambda: kernels.median(part), lambda: np.median(part, axis=0), 5.0
    mask = rng.random(part.shape) > 0.01
    hidden = np.ma.array(part, mask=~mask)
    yield (
        "median of uint16, a mask for each frame",
        lambda: kernels.median(part, mask=mask),
        lambda: np.ma.median(hidden, axis=0).data,
        5.0,
    )
