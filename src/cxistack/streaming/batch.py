"""Batch: frames that come together, and their numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch"]


class Batch(NamedTuple):
    """Frames that come together, and their numbers; iterates as the pair ``frames, idxs``.

    Attributes
    ----------
    frames : ndarray, shape (frames, ...), or dict of them by attribute
        The frames; a dict where several attributes were asked for.
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
        if isinstance(self.frames, dict):
            frames: Any = {attr: np.array(one) for attr, one in self.frames.items()}
        else:
            frames = np.array(self.frames)
        return Batch(frames, self.idxs.copy())
