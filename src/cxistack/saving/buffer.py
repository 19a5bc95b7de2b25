"""Frames that wait until they fill whole chunks, for those to be written together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FrameBuffer"]


_BYTES = 16 << 20  # of frames that are held; what takes the cores a few milliseconds to compress


class FrameBuffer:
    """Room for frames of one shape and type, on their way to a dataset.

    Parameters
    ----------
    shape : tuple of int
        Shape of a frame.
    dtype : numpy.dtype
        Its type, in native byte order.
    depth : int
        How many frames share a chunk.
    row : int
        Of the dataset, where the first frame goes.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], depth: int, row: int) -> None:
        chunk = max(1, math.prod(shape) * dtype.itemsize) * depth
        self._depth = depth
        self._most = depth * max(1, _BYTES // chunk)
        self._row = row
        self._count = 0
        self._frames = np.empty((self._most, *shape), dtype)

    @property
    def count(self) -> int:
        """How many frames wait."""
        return self._count

    @property
    def room(self) -> int:
        """How many more there is room for: with them, the last of their chunks is whole."""
        return self._most - self._row % self._depth - self._count

    def passing(self, count: int) -> int:
        """Return how many of so many frames need not wait: they fill chunks, and none are before.

        Those are none where there is room for all.
        """
        if self._count or count < self.room:
            return 0
        return count - (self._row + count) % self._depth

    def next(self, count: int) -> NDArray[Any]:
        """Return the places of the next frames, to be filled; they wait once they are kept."""
        return self._frames[self._count : self._count + count]

    def keep(self, count: int) -> None:
        """Let frames wait that were put into :meth:`next`."""
        self._count += count

    def take(self) -> NDArray[Any]:
        """Return the frames that wait; their room is free when they have been written."""
        frames = self._frames[: self._count]
        self.skip(self._count)
        self._count = 0
        return frames

    def skip(self, count: int) -> None:
        """Note that frames went to the dataset."""
        self._row += count
