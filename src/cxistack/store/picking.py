"""What of an array in files is read for a NumPy index, and how NumPy then indexes what was read."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import FrameIndexError
from ..transforms.base import Transform
from ..transforms.points import Points, Slices
from ..transforms.steps import Axis

__all__ = ["Picked", "keys_of", "picked"]

_FEW = 1 << 22  # pixels, which are sooner read than points of them are picked


@dataclass(frozen=True)
class Picked:
    """An index in two parts: of the files, and of what is read of them.

    Attributes
    ----------
    frames : int, slice, array of int, or None
        Which frames are read; None of an array without a frame axis.
    pixels : Transform or None
        Which pixels of each are read; None: all.
    left : tuple
        NumPy's index of what is read.
    """

    frames: Any
    pixels: Transform | None
    left: tuple[Any, ...]


def keys_of(key: Any, shape: tuple[int, ...], name: str) -> tuple[Any, ...] | None:
    """Return an index of each axis: a :class:`slice`, an int, or an array of int from 0 on.

    Boolean arrays become the numbers of what is True, as NumPy has it; what a user left out is
    whole. None where only NumPy can tell what comes: a bare True or False, which adds an axis, or
    an ellipsis of no axis between index arrays, which moves theirs.

    Raises
    ------
    FrameIndexError
        NumPy would not index an array of this shape by it either; or it adds an axis.
    """
    keys = key if isinstance(key, tuple) else (key,)
    if any(k is None for k in keys):
        raise FrameIndexError("np.newaxis cannot index an attribute in a file; read it first")
    given: list[Any] = [k if isinstance(k, slice) or k is Ellipsis else _as_index(k) for k in keys]
    if any(isinstance(k, np.ndarray) and k.dtype == np.bool_ and not k.ndim for k in given):
        return None
    axes = [k.ndim if _is_mask(k) else 1 for k in given if k is not Ellipsis]
    dots = [n for n, k in enumerate(given) if k is Ellipsis]
    if len(dots) > 1:
        raise FrameIndexError("an index can only have a single ellipsis ('...')")
    missing = len(shape) - sum(axes)
    if missing < 0:
        raise FrameIndexError(
            f"too many indices: {name!r} has {len(shape)} axes, {sum(axes)} were indexed"
        )
    at = dots[0] if dots else len(given)
    around = given[max(0, at - 1) : at + 2]
    if (
        not missing
        and len(around) == 3
        and not any(isinstance(k, slice) for k in around)
        and any(isinstance(k, np.ndarray) and k.ndim for k in given)
    ):
        return None
    given[at : at + len(dots)] = [slice(None)] * missing
    full: list[Any] = []
    for k in given:
        axis = len(full)
        if isinstance(k, slice):
            some = Axis.of_slice(k, shape[axis])
            full.append(slice(None) if some == Axis(0, 1, shape[axis]) else some.slice)
        elif _is_mask(k):
            full += _unmasked(k, shape, axis, name)
        else:
            full.append(_bounded(k, shape[axis], axis, name))
    shapes = [k.shape for k in full if isinstance(k, np.ndarray)]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        listed = " ".join(map(str, shapes))
        raise FrameIndexError(
            f"index arrays of {name!r} could not be broadcast together with shapes {listed}"
        ) from None
    return tuple(full)


def picked(
    full: tuple[Any, ...], shape: tuple[int, ...], has_frames: bool, has_pixels: bool
) -> Picked:
    """Return what is read of an array for an index of each axis, as :func:`keys_of` gives it."""
    pixels: Transform | None = None
    if has_pixels and len(full) - has_frames >= 2:
        count = _count(full[0], shape[0]) if has_frames else 1
        size = count * math.prod(shape[has_frames:])
        pixels, last = _pixels(full[-2], full[-1], size)
        full = (*full[:-2], *last)
    if not has_frames:
        return Picked(None, pixels, full)
    first, rest = full[0], full[1:]
    is_alone = not any(isinstance(k, np.ndarray) for k in rest)
    if isinstance(first, slice):
        return Picked(first, pixels, (slice(None), *rest))
    if isinstance(first, int):
        return Picked(first, pixels, (0, *rest))
    if first.ndim == 1 and is_alone:  # a list of frames is what a load takes, in any order
        return Picked(first, pixels, (slice(None), *rest))
    frames, places = np.unique(first, return_inverse=True)
    return Picked(frames, pixels, (places.reshape(first.shape), *rest))


def _count(key: Any, length: int) -> int:
    """Return how many frames an index of the first axis takes."""
    if isinstance(key, slice):
        return Axis.of_slice(key, length).count
    return 1 if isinstance(key, int) else int(key.size)


def _pixels(ss: Any, fs: Any, size: int) -> tuple[Transform | None, tuple[Any, Any]]:
    """Return which pixels are read for an index of the detector's axes, and what is left of it.

    `size` is how many there are in all of the frames.
    """
    if isinstance(ss, np.ndarray) and isinstance(fs, np.ndarray):
        if size <= _FEW:
            return None, (ss, fs)
        ss, fs = np.broadcast_arrays(ss, fs)
        # One row of points, which counts as a pair of index arrays as theirs did.
        return Points(ss.ravel(), fs.ravel()), (0, np.arange(ss.size).reshape(ss.shape))
    (rows, above), (columns, left) = _along(ss), _along(fs)
    if rows is columns is None:
        return None, (above, left)
    return Slices(rows, columns), (above, left)


def _along(key: Any) -> tuple[Axis | None, Any]:
    """Return what is read along one of the detector's axes (None: all), and its index there."""
    if isinstance(key, slice):
        return (None if key == slice(None) else _axis(key)), slice(None)
    if isinstance(key, int):
        return Axis(key, 1, 1), 0
    if not key.size:
        return Axis(0, 1, 0), key
    first = int(key.min())
    return Axis(first, 1, int(key.max()) + 1 - first), key - first


def _axis(key: slice) -> Axis:
    """Return the indices of a slice that an axis has already made of a user's."""
    stop = key.stop if key.stop is not None else -1
    return Axis(key.start, key.step, len(range(key.start, stop, key.step)))


def _is_mask(key: Any) -> bool:
    return isinstance(key, np.ndarray) and key.dtype == np.bool_


def _as_index(key: Any) -> Any:
    """Return an index as an array; an empty list is one of no integers, as in NumPy."""
    array = np.asarray(key)
    if not array.size and not isinstance(key, np.ndarray):
        array = array.astype(np.intp)
    if array.dtype.kind not in "iub" and not array.ndim and hasattr(key, "__index__"):
        array = np.asarray(operator.index(key))
    # What is no index is told as it was given.
    return array if array.dtype.kind in "iub" else _Wrong(key, array)


@dataclass(frozen=True)
class _Wrong:
    given: Any
    array: Any


def _unmasked(
    key: np.ndarray[Any, Any], shape: tuple[int, ...], axis: int, name: str
) -> tuple[np.ndarray[Any, Any], ...]:
    """Return the numbers along each axis of what is True in a mask."""
    for k, length in enumerate(key.shape):
        if length != shape[axis + k]:
            raise FrameIndexError(
                f"boolean index did not match axis {axis + k} of {name!r}: size of axis is "
                f"{shape[axis + k]} but size of index is {length}"
            )
    return key.nonzero()


def _bounded(key: Any, size: int, axis: int, name: str) -> Any:
    """Return an int or an array of int from 0 on; raise as NumPy does."""
    where = f"axis {axis} of {name!r}"
    if isinstance(key, _Wrong):
        of = f" of {key.array.dtype}" if key.array.ndim else ""
        raise FrameIndexError(
            f"{where} is indexed by integers, slices and booleans, not by {key.given!r:.80}{of}"
        )
    outside = key[(key >= size) | ((key < -size) if key.dtype.kind != "u" else False)]
    if outside.size:
        raise FrameIndexError(
            f"index {outside.flat[0]} is out of bounds for {where} with size {size}"
        )
    numbers = key.astype(np.intp)
    numbers = np.where(numbers < 0, numbers + size, numbers)
    return numbers if key.ndim else int(numbers)
