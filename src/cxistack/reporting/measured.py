"""What the pictures of a report are made of: one pass over the frames of a run."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checking.findings import Problem
from ..kernels import Moments
from ..kernels.threads import count_threads
from ..pictures.picture import has_value
from ..store.store import CXIStore
from ..streaming.reductions import good_of

__all__ = ["Measured", "measure"]


@dataclass(frozen=True, eq=False)
class Measured:
    """What was found of the frames.

    Attributes
    ----------
    numbers : ndarray of int64
        The frames that were looked at, but for those of files that cannot be read.
    mean, highest : MaskedArray, shape of a frame
        Mean and maximum of a pixel's good values; masked where it has none.
    good : ndarray of float64, shape of a frame
        The share of frames in which a pixel is good.
    counts : ndarray of float64, shape (frames,)
        The sum of the good pixels of each frame.
    left_out : sequence of Problem
        The files that could not be read.
    """

    numbers: NDArray[np.int64]
    mean: np.ma.MaskedArray[Any, Any]
    highest: np.ma.MaskedArray[Any, Any]
    good: NDArray[np.float64]
    counts: NDArray[np.float64]
    left_out: Sequence[Problem] = ()


def measure(
    run: CXIStore,
    numbers: NDArray[np.int64],
    *,
    use_mask: bool,
    dtype: str | None = None,
    num_threads: int | None = None,
    verbose: bool = True,
) -> Measured:
    """Read frames of `data` once, in bounded memory; files that cannot be read are left out.

    Raises
    ------
    CXIError, OSError, ValueError, OverflowError
        As :meth:`CXIStore.reduce`.
    """
    how = _Pass(num_threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the page tells of files left out
        found: Measured = run.reduce(
            "data",
            how,
            numbers,
            dtype=dtype,
            mask=True if use_mask else None,
            num_threads=num_threads,
            verbose=verbose,
            on_error="skip",
        )
    return Measured(
        found.numbers, found.mean, found.highest, found.good, found.counts, tuple(run.left_out)
    )


@dataclass
class _State:
    moments: Moments
    good: NDArray[np.int64]
    counts: list[float]
    numbers: list[int]


class _Pass:
    """The reduction: a pixel that is marked as a gap is bad, whether or not a mask says so."""

    def __init__(self, num_threads: int | None) -> None:
        self._threads = count_threads(num_threads)

    def init(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> _State:
        return _State(Moments(shape, dtype, ["mean", "max"]), np.zeros(shape, np.int64), [], [])

    def step(self, state: _State, frames: NDArray[Any], idxs: NDArray[np.int64]) -> _State:
        values, good = np.asarray(frames), good_of(frames)
        has = has_value(values)
        if not has.all():
            good = has if good is None else has & good
        if good is None:
            state.good += len(values)
        else:
            state.good += good.sum(axis=0) if good.ndim == values.ndim else len(values) * good
        state.moments.add(values, good, num_threads=self._threads)
        each = np.broadcast_to(True if good is None else good, values.shape)
        with ThreadPoolExecutor(self._threads) as pool:
            state.counts += pool.map(_total, values, each)
        state.numbers += idxs.tolist()
        return state

    def merge(self, a: _State, b: _State) -> _State:
        a.moments.merge(b.moments)
        a.good += b.good
        return _State(a.moments, a.good, a.counts + b.counts, a.numbers + b.numbers)

    def finish(self, state: _State) -> Measured:
        never = state.good == 0
        mean, highest = (state.moments.result(word, fill=0) for word in ("mean", "max"))
        return Measured(
            np.array(state.numbers, np.int64),
            np.ma.MaskedArray(mean, never),
            np.ma.MaskedArray(highest, never),
            state.good / max(1, len(state.numbers)),
            np.array(state.counts, np.float64),
        )


def _total(frame: NDArray[Any], good: NDArray[np.bool_]) -> float:
    """Return the sum of the good pixels of a frame."""
    if frame.dtype.kind == "f":  # what is bad may be NaN, which no product takes away
        return float(np.sum(frame, where=good, dtype=np.float64))
    wide = np.uint64 if frame.dtype.kind in "bu" else np.int64
    return float((frame * good).sum(dtype=wide))
