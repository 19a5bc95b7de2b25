"""The steps that a frame goes through: views, bins and picks.

The slow and the fast axis are the last two axes of an array; any number of axes may lead. A
:class:`FrameView` is an arithmetic progression on each of the two, so that any chain of crops,
strides and mirrors is one view. A :class:`Bin` sums or averages squares of pixels. A :class:`Pick`
holds index arrays, for pixels that are not on a regular grid.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from .. import kernels
from ..errors import CastError, LayoutError

__all__ = [
    "Axis",
    "Bin",
    "FrameView",
    "Index",
    "Pick",
    "Shape",
    "Step",
    "frame_shape_of",
    "sum_dtype",
]


Shape: TypeAlias = tuple[int, int]
Index: TypeAlias = np.ndarray[Any, np.dtype[np.intp]]


def frame_shape_of(array: npt.NDArray[Any]) -> Shape:
    """Return the shape of the last two axes; raise LayoutError if there are fewer."""
    if array.ndim < 2:
        raise LayoutError(
            f"a frame has a slow and a fast axis, but this array has shape {array.shape}"
        )
    return array.shape[-2], array.shape[-1]


@dataclass(frozen=True, slots=True)
class Axis:
    """The indices ``start, start + step, ...`` along one axis, `count` of them.

    No index is negative; `step` may be. An empty axis is always ``Axis(0, 1, 0)``, and the axis of
    a single index has step 1, so that equal axes compare equal.

    Examples
    --------
    >>> Axis(9, -2, 5).then(Axis(1, 2, 2))
    Axis(start=7, step=-4, count=2)
    """

    start: int
    step: int
    count: int

    def __post_init__(self) -> None:
        start, step, count = map(operator.index, (self.start, self.step, self.count))
        if count < 0 or step == 0:
            raise ValueError(f"an axis of {count} indices with step {step} does not exist")
        if count == 0:
            start = 0
        if count <= 1:
            step = 1
        if min(start, start + step * (count - 1)) < 0 and count:
            raise ValueError(f"indices {start}, {start + step}, ... ({count} of them) go below 0")
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "step", step)
        object.__setattr__(self, "count", count)

    def __iter__(self) -> Iterator[int]:
        return iter((self.start, self.step, self.count))

    @classmethod
    def of_slice(cls, index: slice, size: int) -> Axis:
        """Return the indices that NumPy's `index` means along an axis of `size`."""
        indices = range(*index.indices(size))
        return cls(indices.start if indices else 0, indices.step, len(indices))

    @property
    def bounds(self) -> tuple[int, int]:
        """Smallest index and one past the largest; (0, 0) for an empty axis."""
        if not self.count:
            return 0, 0
        last = self.start + self.step * (self.count - 1)
        return min(self.start, last), max(self.start, last) + 1

    @property
    def slice(self) -> slice:
        """The same indices as a slice."""
        stop = self.start + self.step * self.count
        return slice(self.start, stop if stop >= 0 else None, self.step)

    def then(self, other: Axis) -> Axis:
        """Return the axis of those of its indices that `other` selects."""
        if other.bounds[1] > self.count:
            raise LayoutError(
                f"index {other.bounds[1] - 1} is beyond an axis of {self.count} pixels"
            )
        if not other.count:
            return other
        return Axis(self.start + self.step * other.start, self.step * other.step, other.count)

    def indices(self) -> Index:
        """Return the indices as an array."""
        return self.start + self.step * np.arange(self.count, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class FrameView:
    """One view of the slow and the fast axis of frames: a crop, a stride, a mirror or all three.

    Examples
    --------
    >>> import numpy as np
    >>> view = FrameView(Axis(2, -1, 3), Axis(0, 2, 2))
    >>> view.of(np.arange(12).reshape(3, 4))
    array([[ 8, 10],
           [ 4,  6],
           [ 0,  2]])
    """

    ss: Axis
    fs: Axis

    @classmethod
    def full(cls, shape: Shape) -> FrameView:
        """Return the view of all pixels of a frame of `shape`."""
        return cls(Axis(0, 1, shape[0]), Axis(0, 1, shape[1]))

    @property
    def shape(self) -> Shape:
        """Shape of a frame seen through the view."""
        return self.ss.count, self.fs.count

    def is_full(self, shape: Shape) -> bool:
        """Tell whether the view leaves a frame of `shape` as it is."""
        return self == FrameView.full(shape)

    def of(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the NumPy view ``array[..., ss, fs]``; raise if it goes beyond the array."""
        shape = frame_shape_of(array)
        if self.ss.bounds[1] > shape[0] or self.fs.bounds[1] > shape[1]:
            raise LayoutError(
                f"a view of rows up to {self.ss.bounds[1]} and columns up to {self.fs.bounds[1]} "
                f"does not fit a frame of shape {shape}"
            )
        return array[..., self.ss.slice, self.fs.slice]

    apply = of  # the name that every step has for it

    def then(self, other: FrameView) -> FrameView:
        """Return the one view that equals this one followed by `other`."""
        return FrameView(self.ss.then(other.ss), self.fs.then(other.fs))

    def bounds(self) -> tuple[slice, slice]:
        """Return the smallest region, as forward slices, that holds all pixels of the view."""
        return slice(*self.ss.bounds), slice(*self.fs.bounds)

    def within_bounds(self) -> FrameView:
        """Return the view that sees the same pixels in the region of :meth:`bounds`."""
        ss, fs = (
            Axis(axis.start - axis.bounds[0], axis.step, axis.count) for axis in (self.ss, self.fs)
        )
        return FrameView(ss, fs)

    def indices(self) -> tuple[Index, Index]:
        """Return the indices as an open grid: shapes (rows, 1) and (1, columns)."""
        return self.ss.indices()[:, None], self.fs.indices()[None, :]


def sum_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Return the type in which pixels of an integer or float type are added."""
    return np.dtype({"i": np.int64, "u": np.uint64, "f": np.float64}[np.dtype(dtype).kind])


@dataclass(frozen=True, slots=True)
class Bin:
    """Sum or mean of squares of `n` by `n` pixels.

    Sums are int64, uint64 or float64 and means float64; a boolean frame is True where all pixels
    of the square are.

    Parameters
    ----------
    n : int
        Side of the squares.
    mode : {"sum", "mean"}
        What becomes of the pixels of a square.
    shape : tuple of int
        Shape of the result; the frames that go in have exactly `n` times as many rows and columns.

    Examples
    --------
    >>> import numpy as np
    >>> Bin(2, "mean", (1, 2)).apply(np.arange(8).reshape(2, 4))
    array([[2.5, 4.5]])
    """

    n: int
    mode: Literal["sum", "mean"]
    shape: Shape

    def result_dtype(self, dtype: npt.DTypeLike) -> np.dtype[Any]:
        """Return the type of the result for frames of `dtype`; raise CastError if it has none."""
        kind = np.dtype(dtype).kind
        if kind not in "biuf":
            raise CastError(f"pixels of type {np.dtype(dtype)} are no real numbers to be binned")
        if kind == "b":
            return np.dtype(np.bool_)
        if self.mode == "mean":
            return np.dtype(np.float64)
        return sum_dtype(dtype)

    def apply(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the binned frames; the leading axes stay."""
        self.result_dtype(array.dtype)  # raises for what cannot be binned
        shape = frame_shape_of(array)
        rows, columns = self.shape
        if shape != (rows * self.n, columns * self.n):
            raise LayoutError(
                f"a frame of shape {shape} does not have the {self.n} x {self.n} pixels of each "
                f"bin of a frame of shape {self.shape}"
            )
        if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
            array = array.astype(np.float64)  # the kernels know float32 and float64 only
        return kernels.bin(array, self.n, self.mode)


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """Pixels selected one by one: ``array[..., ss_idxs, fs_idxs]``.

    Parameters
    ----------
    ss_idxs, fs_idxs : numpy.ndarray
        Indices along the slow and the fast axis, 2-D and broadcastable; none is negative.
    """

    ss_idxs: Index
    fs_idxs: Index

    def __post_init__(self) -> None:
        for name in ("ss_idxs", "fs_idxs"):
            indices = np.asarray(getattr(self, name), dtype=np.intp).view()
            if indices.ndim != 2 or (indices < 0).any():
                raise ValueError(f"{name} of a pick must be a 2-D array of indices from 0")
            indices.flags.writeable = False
            object.__setattr__(self, name, indices)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pick):
            return NotImplemented
        return all(
            np.array_equal(mine, theirs)
            for mine, theirs in zip(self.indices(), other.indices(), strict=True)
        )

    def __hash__(self) -> int:
        return hash((self.shape, *(indices.tobytes() for indices in self.indices())))

    @property
    def shape(self) -> Shape:
        """Shape of the result."""
        return cast("Shape", np.broadcast_shapes(self.ss_idxs.shape, self.fs_idxs.shape))

    def apply(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a new array of the picked pixels; the leading axes stay."""
        frame_shape_of(array)  # raises for an array that has no frames
        return array[..., self.ss_idxs, self.fs_idxs]

    def indices(self) -> tuple[Index, Index]:
        """Return both index arrays in the shape of the result."""
        return np.broadcast_to(self.ss_idxs, self.shape), np.broadcast_to(self.fs_idxs, self.shape)

    def bounds(self) -> tuple[slice, slice]:
        """Return the smallest region, as forward slices, that holds all picked pixels."""
        if 0 in self.shape:
            return slice(0, 0), slice(0, 0)
        ss, fs = self.ss_idxs, self.fs_idxs
        return slice(int(ss.min()), int(ss.max()) + 1), slice(int(fs.min()), int(fs.max()) + 1)

    def within_bounds(self) -> Pick:
        """Return the pick that takes the same pixels from the region of :meth:`bounds`."""
        ss, fs = self.bounds()
        return Pick(self.ss_idxs - ss.start, self.fs_idxs - fs.start)


Step: TypeAlias = FrameView | Bin | Pick
