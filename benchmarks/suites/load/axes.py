"""Every combination of codec, layout, pixels, type, frames and threads, beside h5py."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...harness.data import Subject
from ...harness.limits import bare_pread
from ...harness.peers import Request, h5py_ways, ours
from ...harness.results import OURS, Ratio
from ...harness.timing import Case, Pool, Target

__all__ = ["averages", "axis_cases"]

SEPARATOR = " | "  # between the values of a case, in its name
ONE = f"{OURS}, 1 thread"
_TARGETS = [
    Target(("h5py",), label="h5py"),
    Target((ONE,), label="1 thread", kind="threads"),
]


def axis_cases(subject: Subject, layout: str, pool: Pool, threads: int) -> Iterator[Case]:
    """Yield a file's combinations of pixels, type and frames; each on one thread and on all."""
    count, rows, columns = subject.data.shape
    height, width = min(400, rows // 2), min(600, columns // 2)
    top, left = (rows - height) // 2, (columns - width) // 2
    pixels: dict[str, dict[str, Any]] = {
        "whole": {},
        "region": {"ss": slice(top, top + height), "fs": slice(left, left + width)},
        "every 2nd": {"stride": 2},
        "bins of 2": {"bin": 2},
    }
    rng = np.random.default_rng(11)
    frames = {
        "all": None,
        "every 10th": np.arange(0, count, 10),
        "random half": rng.permutation(count)[: count // 2],
        "duplicates": np.repeat(rng.permutation(count)[: count // 4], 2),
    }
    types = {"as stored": None, "float32": np.dtype(np.float32)}
    for (view, what), (chosen, numbers), (kind, dtype) in itertools.product(
        pixels.items(), frames.items(), types.items()
    ):
        request = Request(frames=numbers, dtype=dtype, **what)
        out = request.empty(subject.data, pool)
        name = "by frame" if numbers is not None or subject.chunk[0] == 1 else "[...]"
        theirs = list(h5py_ways(subject, request, out, name))
        touched = np.arange(count) if numbers is None else np.unique(numbers)
        per_chunk = math.prod(
            -(-n // c) for n, c in zip((rows, columns), subject.chunk[1:], strict=True)
        )
        blocks = np.unique(touched // subject.chunk[0])[:, None] * per_chunk
        yield Case(
            SEPARATOR.join((layout, view, chosen, kind)),
            subject.codec,
            len(touched) * subject.data[0].nbytes,
            theirs[0].name,
            [
                ours(subject, request, out, threads),
                ours(subject, request, out, 1, ONE),
                *theirs,
                bare_pread(subject, None, threads, (blocks + np.arange(per_chunk)).ravel()),
            ],
            _TARGETS,
        )


def averages(ratios: list[Ratio]) -> str:
    """Return the geometric mean, the least and the greatest ratio of each value on each axis."""
    lines = [f"{'against h5py':36}{'cases':>7}{'mean':>8}{'least':>8}{'most':>8}"]
    groups: dict[tuple[int, str], list[float]] = {}
    for ratio in ratios:
        if SEPARATOR in ratio.case and ratio.against == "h5py":
            for axis, value in enumerate([ratio.stored, *ratio.case.split(SEPARATOR)]):
                groups.setdefault((axis, value), []).append(ratio.value)
    for (_, value), found in sorted(groups.items(), key=lambda item: item[0][0]):
        mean = math.exp(sum(map(math.log, found)) / len(found))
        lines.append(f"{value:36}{len(found):7}{mean:8.2f}{min(found):8.2f}{max(found):8.2f}")
    return "\n".join(lines)
