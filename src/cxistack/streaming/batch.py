"""Batch: frames that come together, and their numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch", "Hits"]


class Hits(NamedTuple):
    """The pixels of some frames that are above a threshold, in the order of frames and pixels.

    Attributes
    ----------
    idx : ndarray of int64
        Of each pixel, the number of its frame in the store.
    pixel : ndarray of int64
        Its place in the flattened frame.
    value : ndarray
        Its value.
    """

    idx: NDArray[np.int64]
    pixel: NDArray[np.int64]
    value: NDArray[Any]


class Batch(NamedTuple):
    """Frames that come together, and their numbers; iterates as the pair ``frames, idxs``.

    Attributes
    ----------
    frames : ndarray, shape (frames, ...), or dict of them by attribute, or Hits
        The frames; a dict where several attributes were asked for; of a sparse stream, the pixels
        above its threshold.
    idxs : ndarray of int64, shape (frames,)
        Their numbers in the store.

    Examples
    --------
    >>> frames, idxs = Batch(np.zeros((2, 4, 6)), np.arange(2))
    >>> frames.shape, idxs.tolist()
    ((2, 4, 6), [0, 1])
    """

    frames: Any
    idxs: NDArray[np.int64]

    def copy(self) -> Batch:
        """Return the same in arrays of its own, which nobody fills again."""
        frames: Any
        if isinstance(self.frames, dict):
            frames = {attr: _own(one) for attr, one in self.frames.items()}
        else:
            frames = _own(self.frames)
        return Batch(frames, self.idxs.copy())


def _own(frames: Any) -> Any:
    """Return a copy; hits are arrays of their own already."""
    return frames if isinstance(frames, Hits) else np.array(frames)
