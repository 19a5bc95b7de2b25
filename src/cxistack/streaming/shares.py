"""Equal shares of a stream, cut where files or chunks begin. Pure."""

from __future__ import annotations

import itertools
import operator

import numpy as np
from numpy.typing import NDArray

from ..catalogue.index import FrameIndex

__all__ = ["share_of", "shares_of"]

_SLACK = 0.05  # of a share: so much longer or shorter it may be for a file to stay whole


def share_of(
    index: FrameIndex, numbers: NDArray[np.int64], shard: tuple[int, int]
) -> NDArray[np.int64]:
    """Return the k-th of n shares of some frames, which follow one another.

    Together the shares are all frames, each once. A share ends where a file does, if that moves its
    end by 5% at most, or else where a chunk does.

    Parameters
    ----------
    index : FrameIndex
        Where the frames lie.
    numbers : ndarray of int64
        The frames, in the order in which they are wanted.
    shard : tuple of int
        k and n; k counts from 0.

    Raises
    ------
    ValueError
        They are not two whole numbers with 0 <= k < n.
    """
    try:
        k, n = (operator.index(one) for one in shard)
    except (TypeError, ValueError):
        k, n = 0, 0
    if not 0 <= k < n:
        raise ValueError(f"shard is (k, n), with k from 0 to n - 1, not {shard!r}")
    return numbers[_cut(index, numbers, k, n) : _cut(index, numbers, k + 1, n)]


def shares_of(index: FrameIndex, numbers: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    """Return `count` equal shares of some frames, but for those that have no frame."""
    edges = [_cut(index, numbers, k, count) for k in range(count + 1)]
    cut = [numbers[first:last] for first, last in itertools.pairwise(edges)]
    return [some for some in cut if len(some)]


def _cut(index: FrameIndex, numbers: NDArray[np.int64], k: int, n: int) -> int:
    """Return where the k-th share begins."""
    total = len(numbers)
    ideal = round(k * total / n)
    if not 0 < ideal < total:
        return ideal
    share = total / n
    files = _around(ideal, int(share * _SLACK), total)
    begins = files[_parts(index, numbers[files]) != _parts(index, numbers[files - 1])]
    if not len(begins):
        part = index.parts[int(_parts(index, numbers[ideal : ideal + 1])[0])]
        chunks = _around(ideal, min(part.chunk_frames, int(share / 2)), total)
        begins = chunks[_chunks(index, numbers[chunks]) != _chunks(index, numbers[chunks - 1])]
    if not len(begins):
        return ideal
    return int(begins[np.argmin(np.abs(begins - ideal))])


def _around(middle: int, reach: int, total: int) -> NDArray[np.int64]:
    return np.arange(max(1, middle - reach), min(total, middle + reach + 1))


def _parts(index: FrameIndex, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.searchsorted(index.offsets, numbers, side="right") - 1


def _chunks(index: FrameIndex, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a number for each frame that those of one chunk share, and of others next to it."""
    parts = _parts(index, numbers)
    rows = numbers - index.offsets[parts]
    first = np.array([index.parts[part].row for part in parts.tolist()], np.int64)
    frames = np.array([index.parts[part].chunk_frames for part in parts.tolist()], np.int64)
    return parts + (rows + first) // frames
