"""What an array's index picks of a frame: slices of it, or points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .base import Transform
from .fold import Chain
from .steps import Axis, FrameView, Index, Pick

__all__ = ["Points", "Slices"]


@dataclass(frozen=True)
class Slices(Transform):
    """The rows and columns that two slices leave of a frame; None is all of them.

    Examples
    --------
    >>> import numpy as np
    >>> from cxistack.transforms.points import Slices
    >>> from cxistack.transforms.steps import Axis
    >>> Slices(Axis(2, -2, 2), None).forward(np.arange(12).reshape(3, 4))
    array([[ 8,  9, 10, 11],
           [ 0,  1,  2,  3]])
    """

    ss: Axis | None
    fs: Axis | None

    def fold_onto(self, chain: Chain) -> Chain:
        """Return a chain of steps with this transform at its end."""
        rows, columns = chain.shape
        ss = Axis(0, 1, rows) if self.ss is None else self.ss
        fs = Axis(0, 1, columns) if self.fs is None else self.fs
        return chain.then(FrameView(ss, fs))

    def index_array(self, ss_idxs: npt.ArrayLike, fs_idxs: npt.ArrayLike) -> tuple[Any, Any]:
        """Filter the indices of a frame; see :meth:`Transform.index_array`."""
        key = tuple(slice(None) if axis is None else axis.slice for axis in (self.ss, self.fs))
        ss, fs = np.broadcast_arrays(ss_idxs, fs_idxs)
        return ss[key], fs[key]


class Points(Transform):
    """Pixels of a frame one by one, as a frame of one row.

    Examples
    --------
    >>> import numpy as np
    >>> from cxistack.transforms.points import Points
    >>> Points(np.array([2, 0]), np.array([1, 3])).forward(np.arange(12).reshape(3, 4))
    array([[9, 3]])
    """

    def __init__(self, ss: Index, fs: Index) -> None:
        self.ss, self.fs = ss, fs

    def fold_onto(self, chain: Chain) -> Chain:
        """Return a chain of steps with this transform at its end."""
        return chain.then(Pick(self.ss[None], self.fs[None]))

    def index_array(self, ss_idxs: npt.ArrayLike, fs_idxs: npt.ArrayLike) -> tuple[Any, Any]:
        """Filter the indices of a frame; see :meth:`Transform.index_array`."""
        ss, fs = np.broadcast_arrays(ss_idxs, fs_idxs)
        return ss[self.ss, self.fs][None], fs[self.ss, self.fs][None]
