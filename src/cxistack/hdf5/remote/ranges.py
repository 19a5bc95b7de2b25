"""Which requests bring which bytes, and where these are put. Pure.

What is wanted of a file is laid into a file in memory, piece behind piece, small gaps included; a
request is a part of a piece. Neighbours share one where that takes less time than two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Layout", "laid_out"]

_GAP = 32 << 10  # bytes that come in less time than another request takes
_MOST = 4 << 20  # bytes of a request: more come sooner by two

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """Where parts of a file lie in another.

    Attributes
    ----------
    begin, end : ndarray of int64
        The pieces of the file, ascending; none touches another.
    to : ndarray of int64
        Where each begins in the other.
    """

    begin: Numbers
    end: Numbers
    to: Numbers

    @property
    def stop(self) -> int:
        """Where the last piece ends in the other file."""
        return int(self.to[-1] + self.end[-1] - self.begin[-1]) if len(self.to) else 0

    def moved(self, at: Numbers) -> Numbers:
        """Return where places in pieces lie in the other file."""
        piece = np.searchsorted(self.begin, at, side="right") - 1
        moved: Numbers = self.to[piece] + at - self.begin[piece]
        return moved

    def requests(self, begin: Numbers, end: Numbers) -> list[tuple[int, int, int]]:
        """Return which ranges bring parts of pieces: begin, end, and where they go."""
        if not len(begin):
            return []
        order = np.argsort(begin, kind="stable")
        begin, end = begin[order], end[order]
        piece = np.searchsorted(self.begin, begin, side="right") - 1
        low, high = _merged(begin, end, piece)
        starts = [
            (first, min(first + _MOST, last))
            for one, last in zip(low.tolist(), high.tolist(), strict=True)
            for first in range(one, last, _MOST)
        ]
        to = self.moved(np.array([first for first, _ in starts], np.int64)).tolist()
        return [(first, last, at) for (first, last), at in zip(starts, to, strict=True)]


def laid_out(begin: Numbers, end: Numbers, to: int = 0) -> Layout:
    """Lay parts of a file, in any order and perhaps overlapping, behind one another from `to` on.

    Examples
    --------
    >>> found = laid_out(np.array([500_000, 100]), np.array([500_010, 300]))
    >>> found.moved(np.array([100, 500_005])).tolist(), found.stop
    ([0, 205], 210)
    """
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], end[order]
    low, high = _merged(begin, end, np.zeros(len(begin), np.intp))
    sizes = high - low
    return Layout(low, high, to + np.cumsum(sizes) - sizes)


def _merged(begin: Numbers, end: Numbers, piece: NDArray[np.intp]) -> tuple[Numbers, Numbers]:
    """Put together what overlaps or lies near, of the same piece; `begin` ascends."""
    if not len(begin):
        return begin, end
    reach = np.maximum.accumulate(end)
    is_first = np.ones(len(begin), np.bool_)
    is_first[1:] = (begin[1:] > reach[:-1] + _GAP) | (piece[1:] != piece[:-1])
    first = np.flatnonzero(is_first)
    return begin[first], np.maximum.reduceat(end, first)
