"""The steps that a transform or an index makes of frames, as few as can be.

:func:`fold` returns those of a transform, :func:`view_of_indices` those of ``frame[..., ss, fs]``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from ..errors import FrameIndexError, LayoutError
from .steps import Axis, Bin, FrameView, Index, Pick, Shape, Step

__all__ = ["Chain", "IndexTransform", "fold", "view_of_indices"]


class IndexTransform(Protocol):
    """The least that a transform must have."""

    def index_array(
        self, ss_idxs: npt.NDArray[Any], fs_idxs: npt.NDArray[Any], /
    ) -> tuple[Any, Any]:
        """Return the indices of the pixels of a transformed frame."""


@dataclass(frozen=True)
class Chain:
    """Steps that follow one another on frames of `frame_shape`, as few as can be.

    No two neighbours are views or picks, no view leaves frames as they are, and what is cropped
    after a bin is cropped before it, so that it need not be read.
    """

    frame_shape: Shape
    steps: tuple[Step, ...] = ()

    @property
    def shape(self) -> Shape:
        """Shape of the frames after the last step."""
        return self.steps[-1].shape if self.steps else self.frame_shape

    def then(self, step: Step) -> Chain:
        """Return the chain with one more step at its end."""
        if isinstance(step, FrameView) and step.is_full(self.shape):
            return self
        if not self.steps or isinstance(step, Bin):
            return replace(self, steps=(*self.steps, step))
        last = self.steps[-1]
        if isinstance(last, Bin):
            return self._then_after_bin(last, step)
        return replace(self, steps=self.steps[:-1]).then(_compose(last, step))

    def _then_after_bin(self, last: Bin, step: FrameView | Pick) -> Chain:
        ss, fs = step.bounds()
        region = FrameView(Axis.of_slice(ss, last.shape[0]), Axis.of_slice(fs, last.shape[1]))
        if region.is_full(last.shape) or (isinstance(step, Pick) and 0 in step.shape):
            return replace(self, steps=(*self.steps, step))
        n = last.n
        pixels = (Axis(axis.start * n, 1, axis.count * n) for axis in (region.ss, region.fs))
        cropped = replace(self, steps=self.steps[:-1]).then(FrameView(*pixels))
        return cropped.then(replace(last, shape=region.shape)).then(step.within_bounds())

    def through(self, transform: IndexTransform) -> Chain:
        """Return the chain with a transform at its end.

        A transform with a ``fold_onto`` adds its own steps. Where a subclass defines another
        ``index_array``, that one counts.
        """
        for cls in type(transform).__mro__:
            if "fold_onto" in vars(cls):
                return cast("Any", transform).fold_onto(self)  # type: ignore[no-any-return]
            if "index_array" in vars(cls):
                break
        before, last = self, self.steps[-1] if self.steps else None
        if isinstance(last, FrameView | Pick):
            before = replace(self, steps=self.steps[:-1])
            ss, fs = (np.array(index) for index in np.broadcast_arrays(*last.indices()))
        else:
            ss, fs = np.indices(self.shape, dtype=np.intp)
        step, shape = _grid(transform.index_array(ss, fs), before.shape)
        if len(shape) != 2:
            raise LayoutError(
                f"{type(transform).__name__}.index_array must return index arrays of two "
                f"dimensions, and those that it returned have shape {shape}"
            )
        return before.then(step)


def fold(
    transform: IndexTransform | None, frame_shape: Sequence[int], *, sums: bool = True
) -> tuple[Step, ...]:
    """Return the steps that equal `transform` on frames of `frame_shape`.

    Without `sums` every bin is a mean: the sum of a mask or a phase means nothing.

    Examples
    --------
    >>> from cxistack.transforms.transforms import ComposeTransforms, Crop, Downscale
    >>> fold(ComposeTransforms([Crop([2, 10, 0, 4]), Downscale(2)]), (2**20, 2**20))
    (FrameView(ss=Axis(start=2, step=2, count=4), fs=Axis(start=0, step=2, count=2)),)
    """
    rows, columns = map(operator.index, frame_shape)
    steps = () if transform is None else Chain((rows, columns)).through(transform).steps
    if sums:
        return steps
    return tuple(replace(step, mode="mean") if isinstance(step, Bin) else step for step in steps)


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
        At most one step. Slices are a view, and so are index arrays that make a regular grid.
    result_shape : tuple of int
        The shape that NumPy gives to the indexed axes. The steps always give two axes; reshape
        their result to this shape.

    Raises
    ------
    FrameIndexError
        If an index is out of bounds, or NumPy does not index by it.

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
    elif isinstance(ss, Axis) or isinstance(fs, Axis):
        ss, fs = (one.indices() if isinstance(one, Axis) else one for one in (ss, fs))
        step, _ = _grid((ss.reshape(-1, 1), fs.reshape(1, -1)), (rows, columns))
        shape = (*ss.shape, *fs.shape)
    else:
        step, shape = _grid((ss, fs), (rows, columns))
    return Chain((rows, columns)).then(step).steps, shape


def _read_index(index: Any, size: int, axis: str) -> Axis | Index:
    if isinstance(index, slice):
        return Axis.of_slice(index, size)
    indices = np.asarray(index)
    if indices.size == 0 and not isinstance(index, np.ndarray):
        indices = indices.astype(np.intp)
    if indices.dtype == np.bool_ and indices.ndim == 1:
        if len(indices) != size:
            raise FrameIndexError(
                f"boolean index did not match the {axis} axis of {size} pixels: its size is "
                f"{len(indices)}"
            )
        return indices.nonzero()[0]
    return _bounded(indices, size, axis)


def _bounded(indices: Any, size: int, axis: str) -> Index:
    """Return integer indices with the negative ones counted from the end."""
    indices = np.asarray(indices)
    if indices.dtype.kind not in "iu":
        raise FrameIndexError(
            f"the {axis} axis is indexed by integers, slices and 1-D boolean arrays, not by "
            f"{_described(indices)}"
        )
    outside = (indices >= size) | (indices < -size)
    if outside.any():
        raise FrameIndexError(
            f"index {indices[outside].flat[0]} is out of bounds for the {axis} axis of {size} "
            "pixels"
        )
    signed: Index = indices.astype(np.intp)
    return np.where(signed < 0, signed + size, signed)


def _described(indices: npt.NDArray[Any]) -> str:
    if not indices.ndim:
        return repr(indices.item())
    return f"an array of {indices.dtype} with shape {indices.shape}"


def _grid(pair: tuple[Any, Any], frame_shape: Shape) -> tuple[FrameView | Pick, tuple[int, ...]]:
    """Return the view that two index arrays are, or a pick if they are none, and their shape."""
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
