"""Transform: what every transform does to frames and points, and its parameters by name."""

from __future__ import annotations

import inspect
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import CastError, LayoutError
from .fold import Chain, fold
from .steps import Bin, FrameView, Pick, frame_shape_of

__all__ = ["Transform"]


Array: TypeAlias = npt.NDArray[Any]


class Transform:
    """Base of all transforms; a subclass needs only :meth:`index_array`.

    Examples
    --------
    Your own transform:

    >>> import numpy as np
    >>> class Transpose(Transform):
    ...     def index_array(self, ss_idxs, fs_idxs):
    ...         return ss_idxs.T, fs_idxs.T
    >>> Transpose().forward(np.array([[1, 2, 3], [4, 5, 6]]))
    array([[1, 4],
           [2, 5],
           [3, 6]])
    """

    def index_array(self, ss_idxs: npt.ArrayLike, fs_idxs: npt.ArrayLike) -> tuple[Array, Array]:
        """Filter the indices of a frame.

        Parameters
        ----------
        ss_idxs, fs_idxs : array_like of int
            Indices along the slow and the fast axis of each pixel, as `numpy.indices` makes them,
            or an open grid, as `numpy.ogrid` does.

        Returns
        -------
        ss_idxs, fs_idxs : numpy.ndarray
            Indices of the pixels of the transformed frame.

        Raises
        ------
        NotImplementedError
            If the transform does not only move pixels but computes new ones.
        """
        raise NotImplementedError(f"{type(self).__name__} has no index_array")

    def forward(self, inp: npt.ArrayLike) -> Array:
        """Return the transformed frames.

        Parameters
        ----------
        inp : array_like
            A frame, or frames with any number of leading axes.

        Returns
        -------
        numpy.ndarray
            A new array; the leading axes are those of `inp`.

        Raises
        ------
        LayoutError
            If the transform does not act on frames of this shape.
        """
        array = np.asarray(inp)
        out = array
        for step in fold(self, frame_shape_of(array)):
            out = step.apply(out)
        return out.copy() if np.may_share_memory(out, array) else out

    def backward(self, inp: npt.ArrayLike, out: Array) -> Array:
        """Put the pixels of transformed frames back to where they came from.

        Parameters
        ----------
        inp : array_like
            Transformed frames.
        out : numpy.ndarray
            Where to put their pixels, in place; all other pixels stay as they are.

        Returns
        -------
        numpy.ndarray
            `out`.

        Raises
        ------
        NotImplementedError
            If the transform bins: the pixels of a bin are lost.
        LayoutError
            If `inp` does not have the shape that `out` has when it is transformed.
        CastError
            If a value of `inp` does not fit the integer or boolean type of `out`.
        """
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out must be a NumPy array, not {type(out).__name__}")
        chain = Chain(frame_shape_of(out)).through(self)
        if any(isinstance(step, Bin) for step in chain.steps):
            raise NotImplementedError(
                f"{self!r} cannot be undone: it bins, and the pixels of a bin are lost"
            )
        frames = np.asarray(inp)
        shape = (*out.shape[:-2], *chain.shape)
        try:
            frames = np.broadcast_to(frames, shape)
        except ValueError:
            raise LayoutError(
                f"frames of shape {frames.shape} do not fit an array of shape {out.shape}, "
                f"which {self!r} transforms to {shape}"
            ) from None
        frames = _checked(frames, out.dtype)
        match chain.steps:
            case (FrameView() as view,):
                view.of(out)[...] = frames
            case (Pick() as pick,):
                out[..., pick.ss_idxs, pick.fs_idxs] = frames
            case _:
                out[...] = frames
        return out

    def forward_points(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Any, Any]:
        """Return where points of a frame are on the transformed frame.

        Parameters
        ----------
        x, y : array_like
            Coordinates along the fast and the slow axis, in pixels.

        Returns
        -------
        x, y : numpy.ndarray or numpy scalar
            Coordinates on the transformed frame.
        """
        raise self._no_points("forward_points")

    def backward_points(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Any, Any]:
        """Return where points of a transformed frame are on the frame: undo forward_points.

        Parameters
        ----------
        x, y : array_like
            Coordinates along the fast and the slow axis of the transformed frame, in pixels.

        Returns
        -------
        x, y : numpy.ndarray or numpy scalar
            Coordinates on the frame.
        """
        raise self._no_points("backward_points")

    def _no_points(self, method: str) -> NotImplementedError:
        return NotImplementedError(
            f"{type(self).__name__} has no {method}: write one that moves points as its "
            "index_array moves pixels"
        )

    def _parameters(self) -> dict[str, Any]:
        names = inspect.signature(type(self)).parameters
        return {name: getattr(self, name) for name in names if hasattr(self, name)}

    def keys(self) -> list[str]:
        """Return the names of the parameters."""
        return list(self._parameters())

    def values(self) -> list[Any]:
        """Return the values of the parameters."""
        return list(self._parameters().values())

    def items(self) -> list[tuple[str, Any]]:
        """Return the names and the values of the parameters."""
        return list(self._parameters().items())

    def contents(self) -> list[str]:
        """Return the names of the parameters that are not None."""
        return [name for name, value in self.items() if value is not None]

    def get(self, attr: str, value: Any = None) -> Any:
        """Return the parameter `attr`, or `value` if there is no such parameter."""
        return self._parameters().get(attr, value)

    def __getitem__(self, attr: Any) -> Any:
        return self._parameters()[attr]

    def replace(self, **parameters: Any) -> Self:
        """Return the same transform with other `parameters`.

        Examples
        --------
        >>> Downscale(2).replace(mode="sum")
        Downscale(scale=2, mode='sum')
        """
        return type(self)(**(self._parameters() | parameters))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self) or not isinstance(other, Transform):
            return NotImplemented
        mine, theirs = self._parameters(), other._parameters()
        return all(np.array_equal(mine[name], theirs[name]) for name in mine)

    def __hash__(self) -> int:
        return hash((type(self), *map(_hashable, self._parameters().values())))

    def __repr__(self) -> str:
        parameters = ", ".join(f"{name}={value!r}" for name, value in self._parameters().items())
        return f"{type(self).__name__}({parameters})"


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, (list, tuple, np.ndarray)) else value


def _checked(frames: Array, dtype: np.dtype[Any]) -> Array:
    """Return `frames` as `dtype`, or raise where an integer or a boolean would change."""
    if dtype.kind not in "biu" or np.can_cast(frames.dtype, dtype, "safe"):
        return frames
    with np.errstate(invalid="ignore"):
        values = frames.astype(dtype)
    if not np.array_equal(values, frames):
        raise CastError(f"pixels of type {frames.dtype} do not all fit an array of {dtype}")
    return values
