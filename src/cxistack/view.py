"""What a transform or an index does to a frame, as a short list of steps: views, bins, picks.

The slow and the fast axis are the last two axes of an array; any number of axes may lead. A
:class:`FrameView` is an arithmetic progression on each of the two, so any chain of crops, strides
and mirrors is one of them and composing costs nothing. A :class:`Bin` sums or averages squares of
pixels. A :class:`Pick` holds index arrays and is the exception, for what is not regular.

:func:`fold` makes the list of a transform, :func:`view_of_indices` that of ``frame[..., ss, fs]``.
Both keep it short: no two neighbours are views or picks, a view that changes nothing is left out,
and what is cropped behind a bin is cropped before it, so that it need not be read.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from . import kernels
from .errors import CastError, FrameIndexError, LayoutError

__all__ = [
    "Axis",
    "Bin",
    "FrameView",
    "IndexTransform",
    "Pick",
    "Step",
    "append",
    "extend",
    "fold",
    "view_of_indices",
]

Shape: TypeAlias = tuple[int, int]
Index: TypeAlias = np.ndarray[Any, np.dtype[np.intp]]


def frame_shape_of(array: npt.NDArray[Any]) -> Shape:
    """Return the shape of the last two axes, or raise LayoutError where there are fewer."""
    if array.ndim < 2:
        raise LayoutError(
            f"a frame has a slow and a fast axis, but this array has shape {array.shape}"
        )
    return array.shape[-2], array.shape[-1]


@dataclass(frozen=True, slots=True)
class Axis:
    """Indices ``start, start + step, ...`` along one axis, `count` of them.

    None of them is negative; `step` may be. An axis of no index is always ``Axis(0, 1, 0)`` and
    one of a single index has step 1, so equal axes compare equal.

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
            raise ValueError(f"an axis of {count} indices in steps of {step} does not exist")
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
        """Smallest index and one past the largest; (0, 0) for no index."""
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
        """Return the indices of those indices that `other` takes from this axis."""
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
        """Return the NumPy view ``array[..., ss, fs]``, or raise if it does not lie within."""
        shape = frame_shape_of(array)
        if self.ss.bounds[1] > shape[0] or self.fs.bounds[1] > shape[1]:
            raise LayoutError(
                f"a view of rows up to {self.ss.bounds[1]} and columns up to {self.fs.bounds[1]} "
                f"does not fit a frame of shape {shape}"
            )
        return array[..., self.ss.slice, self.fs.slice]

    def apply(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the same as :meth:`of`: every step has this method."""
        return self.of(array)

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
        """Return the type of the result for frames of `dtype`, or raise CastError."""
        kind = np.dtype(dtype).kind
        if kind not in "biuf":
            raise CastError(f"pixels of type {np.dtype(dtype)} cannot be binned: not real numbers")
        if kind == "b":
            return np.dtype(np.bool_)
        if self.mode == "mean":
            return np.dtype(np.float64)
        return np.dtype({"i": np.int64, "u": np.uint64, "f": np.float64}[kind])

    def apply(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the binned frames; the leading axes stay."""
        self.result_dtype(array.dtype)  # raises for what cannot be binned
        shape = frame_shape_of(array)
        rows, columns = self.shape
        if shape != (rows * self.n, columns * self.n):
            raise LayoutError(
                f"bins of {self.n} x {self.n} pixels that make a frame of shape {self.shape} do "
                f"not fit a frame of shape {shape}"
            )
        if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
            array = array.astype(np.float64)  # of a size that the kernels do not know
        return kernels.bin(array, self.n, self.mode)


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """Pixels taken one by one: ``array[..., ss_idxs, fs_idxs]``.

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
        frame_shape_of(array)
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
        if 0 in self.shape:
            return self
        return Pick(self.ss_idxs - ss.start, self.fs_idxs - fs.start)


Step: TypeAlias = FrameView | Bin | Pick


class IndexTransform(Protocol):
    """The least that a transform can be: something that filters index arrays."""

    def index_array(
        self, ss_idxs: npt.NDArray[Any], fs_idxs: npt.NDArray[Any], /
    ) -> tuple[Any, Any]:
        """Return the indices of the pixels that are kept, where they are to be."""


def fold(transform: IndexTransform | None, frame_shape: Sequence[int]) -> tuple[Step, ...]:
    """Return the steps that equal `transform` on frames of `frame_shape`.

    Examples
    --------
    >>> from cxistack.transform import ComposeTransforms, Crop, Downscale
    >>> fold(ComposeTransforms([Crop([2, 10, 0, 4]), Downscale(2)]), (2**20, 2**20))
    (FrameView(ss=Axis(start=2, step=2, count=4), fs=Axis(start=0, step=2, count=2)),)
    """
    rows, columns = map(operator.index, frame_shape)
    return () if transform is None else extend((), transform, (rows, columns))


def extend(
    steps: tuple[Step, ...], transform: IndexTransform, frame_shape: Shape
) -> tuple[Step, ...]:
    """Return `steps` on frames of `frame_shape` with `transform` after them.

    A transform with a ``fold_onto`` folds itself; but where a subclass brings an ``index_array``
    of its own, that one counts.
    """
    for cls in type(transform).__mro__:
        if "fold_onto" in vars(cls):
            return cast("Any", transform).fold_onto(steps, frame_shape)  # type: ignore[no-any-return]
        if "index_array" in vars(cls):
            break
    last = steps[-1] if steps else None
    if isinstance(last, FrameView | Pick):
        steps = steps[:-1]
        ss, fs = (np.array(index) for index in np.broadcast_arrays(*last.indices()))
    else:
        ss, fs = np.indices(shape_after(steps, frame_shape), dtype=np.intp)
    step, shape = _grid(transform.index_array(ss, fs), shape_after(steps, frame_shape))
    if len(shape) != 2:
        raise LayoutError(
            f"{type(transform).__name__}.index_array must return index arrays of two dimensions; "
            f"those that it returned make shape {shape}"
        )
    return append(steps, step, frame_shape)


def shape_after(steps: tuple[Step, ...], frame_shape: Shape) -> Shape:
    """Return the shape of frames of `frame_shape` after `steps`."""
    return steps[-1].shape if steps else frame_shape


def append(steps: tuple[Step, ...], step: Step, frame_shape: Shape) -> tuple[Step, ...]:
    """Return `steps` on frames of `frame_shape` with `step` after them, as few as can be."""
    before = shape_after(steps, frame_shape)
    if isinstance(step, FrameView) and step.is_full(before):
        return steps
    last = steps[-1] if steps else None
    if isinstance(step, Bin) or last is None:
        return (*steps, step)
    if not isinstance(last, Bin):
        return append(steps[:-1], _compose(last, step), frame_shape)
    if isinstance(step, Pick) and 0 in step.shape:
        return (*steps, step)
    ss, fs = step.bounds()
    region = FrameView(Axis.of_slice(ss, before[0]), Axis.of_slice(fs, before[1]))
    if region.is_full(before):
        return (*steps, step)
    n = last.n
    pixels = FrameView(
        Axis(region.ss.start * n, 1, region.ss.count * n),
        Axis(region.fs.start * n, 1, region.fs.count * n),
    )
    steps = (*append(steps[:-1], pixels, frame_shape), Bin(n, last.mode, region.shape))
    return append(steps, step.within_bounds(), frame_shape)


def _compose(first: FrameView | Pick, second: FrameView | Pick) -> FrameView | Pick:
    if isinstance(second, FrameView):
        if isinstance(first, FrameView):
            return first.then(second)
        return Pick(*(second.of(index) for index in first.indices()))
    if isinstance(first, FrameView):
        ss, fs = first.ss, first.fs
        return Pick(ss.start + ss.step * second.ss_idxs, fs.start + fs.step * second.fs_idxs)
    return Pick(*(second.apply(index) for index in first.indices()))


def view_of_indices(
    ss_idxs: Any, fs_idxs: Any, frame_shape: Sequence[int]
) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """Return what ``frames[..., ss_idxs, fs_idxs]`` means in NumPy.

    Parameters
    ----------
    ss_idxs, fs_idxs : int, slice or array_like
        Indices along the slow and the fast axis: integers, slices, arrays of integers or 1-D
        boolean arrays, in any combination. Negative ones count from the end.
    frame_shape : sequence of int
        Shape of the frames.

    Returns
    -------
    steps : tuple of Step
        At most one step. Slices and regular grids given as index arrays are a view.
    result_shape : tuple of int
        The shape that NumPy gives to the indexed axes. The result of the steps, which always has
        two, is to be reshaped to it.

    Raises
    ------
    FrameIndexError
        If an index is out of bounds, or is none for NumPy.

    Examples
    --------
    >>> view_of_indices(-1, slice(None, None, 2), (3, 4))
    ((FrameView(ss=Axis(start=2, step=1, count=1), fs=Axis(start=0, step=2, count=2)),), (2,))
    """
    rows, columns = map(operator.index, frame_shape)
    ss = _read_index(ss_idxs, rows, "slow")
    fs = _read_index(fs_idxs, columns, "fast")
    if isinstance(ss, Axis) and isinstance(fs, Axis):
        step: Step = FrameView(ss, fs)
        shape: tuple[int, ...] = step.shape
    elif isinstance(fs, np.ndarray) and isinstance(ss, Axis):
        step, _ = _grid((ss.indices()[:, None], fs.reshape(1, -1)), (rows, columns))
        shape = (ss.count, *fs.shape)
    elif isinstance(ss, np.ndarray) and isinstance(fs, Axis):
        step, _ = _grid((ss.reshape(-1, 1), fs.indices()[None, :]), (rows, columns))
        shape = (*ss.shape, fs.count)
    else:
        step, shape = _grid((ss, fs), (rows, columns))
    return append((), step, (rows, columns)), shape


def _read_index(index: Any, size: int, axis: str) -> Axis | Index:
    if isinstance(index, slice):
        return Axis.of_slice(index, size)
    indices = np.asarray(index)
    if indices.size == 0 and not isinstance(index, np.ndarray):
        indices = indices.astype(np.intp)
    if indices.dtype == np.bool_ and indices.ndim == 1:
        if len(indices) != size:
            raise FrameIndexError(
                f"a boolean index of length {len(indices)} does not fit the {axis} axis of "
                f"{size} pixels"
            )
        return indices.nonzero()[0]
    return _bounded(indices, size, axis)


def _bounded(indices: Any, size: int, axis: str) -> Index:
    """Return integer indices with the negative ones counted from the end."""
    indices = np.asarray(indices)
    if indices.dtype.kind not in "iu":
        raise FrameIndexError(
            f"the {axis} axis is indexed by integers, slices and 1-D boolean arrays, "
            f"not by an array of {indices.ndim} dimensions and type {indices.dtype}"
        )
    outside = (indices >= size) | (indices < -size)
    if outside.any():
        raise FrameIndexError(
            f"index {indices[outside].flat[0]} is out of bounds for the {axis} axis of {size} "
            "pixels"
        )
    signed: Index = indices.astype(np.intp)
    return np.where(signed < 0, signed + size, signed)


def _grid(pair: tuple[Any, Any], frame_shape: Shape) -> tuple[FrameView | Pick, tuple[int, ...]]:
    """Return a view where two index arrays are a regular grid, else a pick, and their shape."""
    ss, fs = _bounded(pair[0], frame_shape[0], "slow"), _bounded(pair[1], frame_shape[1], "fast")
    try:
        shape = np.broadcast_shapes(ss.shape, fs.shape)
    except ValueError:
        raise FrameIndexError(
            f"index arrays of shapes {ss.shape} and {fs.shape} do not go together"
        ) from None
    if len(shape) > 2:
        rows = math.prod(shape[:-1])
        ss, fs = (np.broadcast_to(index, shape).reshape(rows, shape[-1]) for index in (ss, fs))
    ss, fs = np.atleast_2d(ss), np.atleast_2d(fs)
    rows, columns = np.broadcast_shapes(ss.shape, fs.shape)
    if ss.shape[0] == rows and ss.shape[1] and fs.shape[1] == columns and fs.shape[0]:
        ss_axis, fs_axis = _progression(ss[:, 0]), _progression(fs[0])
        if (
            ss_axis is not None
            and fs_axis is not None
            and (ss == ss[:, :1]).all()
            and (fs == fs[:1]).all()
        ):
            return FrameView(ss_axis, fs_axis), shape
    return Pick(ss, fs), shape


def _progression(indices: Index) -> Axis | None:
    if len(indices) < 2:
        return Axis(int(indices[0]) if len(indices) else 0, 1, len(indices))
    step = int(indices[1] - indices[0])
    if step and (np.diff(indices) == step).all():
        return Axis(int(indices[0]), step, len(indices))
    return None
