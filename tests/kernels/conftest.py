"""Pixel types, samples of each, and the strategies that kernels change between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cxistack import kernels
from cxistack.kernels import loop

PIXELS = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64"),
)


@pytest.fixture(params=kernels.simd_levels())
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test at each SIMD level this machine has."""
    with kernels.use_simd(request.param):
        yield request.param


@pytest.fixture(params=["in cache", "streamed", "threaded"])
def strategy(request: pytest.FixtureRequest) -> Iterator[str]:
    """Make small arrays go the way of large ones."""
    sizes: dict[str, dict[str, int]] = {
        "in cache": {},
        "streamed": {"stream_bytes": 0},
        "threaded": {"stream_bytes": 0, "thread_bytes": 0, "task_bytes": 1000},
    }
    before = loop._tune(**sizes[request.param])
    yield request.param
    loop._tune(**before)


def extremes(dtype: str) -> np.ndarray[Any, Any]:
    """Return values at which casts to and from this type go wrong if they ever do."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return np.array([False, True])
    if kind.kind in "iu":
        limits = [np.iinfo(p) for p in PIXELS if np.dtype(p).kind in "iu"]
        edges = {0, 1, 2**24 + 1, 2**53 + 1, 2**63 + 1025}
        for limit in limits:
            edges |= {int(limit.min) + d for d in (-1, 0, 1)}
            edges |= {int(limit.max) + d for d in (-1, 0, 1)}
        own = np.iinfo(kind)
        return np.array(sorted(e for e in edges if own.min <= e <= own.max), dtype=kind)
    finfo = np.finfo(kind)
    edges_f = [
        0.0,
        -0.0,
        0.5,
        -0.5,
        1.0,
        -1.0,
        np.nan,
        np.inf,
        -np.inf,
        3.4028235e38,
        3.40282357e38,
    ]
    for power in (7, 8, 15, 16, 24, 31, 32, 53, 63, 64):
        for sign in (1, -1):
            edge = kind.type(sign * 2.0**power)
            edges_f += [edge, np.nextafter(edge, kind.type(0)), edge + kind.type(sign), edge - 1]
    edges_f += [finfo.max, finfo.min, finfo.tiny, finfo.smallest_subnormal, 1e-40, 1e39]
    with np.errstate(over="ignore"):
        return np.array(edges_f).astype(kind)


def fitting(dtype: str, target: str) -> np.ndarray[Any, Any]:
    """Return the extremes of one type that another can hold."""
    values = extremes(dtype)
    return values[~misfits(values, target)]


def misfits(values: np.ndarray[Any, Any], target: str) -> np.ndarray[Any, Any]:
    """Return which values a checked cast refuses, told by Python's exact arithmetic."""

    def misfit(value: Any) -> bool:
        kind = np.dtype(target).kind
        if kind == "b" or isinstance(value, bool):
            return False
        if kind == "f":
            with np.errstate(over="ignore"):
                rounded = np.dtype(target).type(value)
            return bool(np.isfinite(float(value)) and not np.isfinite(rounded))
        if not np.isfinite(float(value)) or int(value) != value:
            return True
        limits = np.iinfo(target)
        return not int(limits.min) <= int(value) <= int(limits.max)

    return np.array([misfit(value) for value in values.tolist()], dtype=bool)
