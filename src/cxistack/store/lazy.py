"""An attribute that is not read yet: shape and dtype at once, pixels when it is indexed."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import FrameIndexError
from ..loading.load import Load

__all__ = ["LazyArray"]

Pixel = TypeVar("Pixel", bound=np.generic)


class LazyArray:
    """What ``store[attr]`` is: an array in the files, indexed as NumPy indexes, read when it is.

    Parameters
    ----------
    load : Load
        What it is.
    present : callable
        Returns the load of a name as the files are now.
    read : callable
        Reads it: takes name, frames, and pixels as :meth:`CXIStore.load_attribute` does.

    Attributes
    ----------
    shape : tuple of int
        Its shape; the frame axis comes first for stacks and sequences.
    dtype : numpy.dtype
        The type that its values come in.
    """

    def __init__(
        self, load: Load, present: Callable[[str], Load], read: Callable[..., Any]
    ) -> None:
        self._attr = load.attr
        self.shape, self.dtype = load.shape, load.dtype
        self._load, self._present = load, present
        self._has_frames = not load.is_single
        self._has_pixels = load.attribute.has_pixels
        self._reader = read

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes that all of it takes once it is read."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        """Return the frames one after the other; they are read ahead, in batches.

        Frames of one batch, of 16 MiB or of whole chunks, are views of one array.
        """
        if not self.shape:
            raise TypeError(f"iteration over {self._attr!r}, which is a scalar")
        return self._frame_by_frame()

    def _frame_by_frame(self) -> Iterator[Any]:
        batch = self._load.batch if self._has_frames else len(self)
        for first in range(0, len(self), batch):
            yield from self[first : first + batch]

    def __repr__(self) -> str:
        return f"<{self._attr}: {self.dtype} {self.shape}, not read>"

    @overload
    def __array__(
        self, dtype: type[Pixel] | np.dtype[Pixel], copy: bool | None = None
    ) -> NDArray[Pixel]: ...
    @overload
    def __array__(self, dtype: None = None, copy: bool | None = None) -> NDArray[Any]: ...
    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("an attribute in a file cannot become an array without a copy")
        # The dtype is the load's, so that a value which does not fit raises.
        return np.asarray(self._reader(self._attr, dtype=dtype))

    @overload
    def __getitem__(self, key: slice | list[int] | list[bool] | NDArray[Any]) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, key: Any) -> Any: ...
    def __getitem__(self, key: Any) -> Any:
        if type(key) is int and self._has_frames and self._present(self._attr) is self._load:
            frame = self._load.frame(key)
            if frame is not None:
                return frame
        keys = key if isinstance(key, tuple) else (key,)
        if any(k is None for k in keys):
            raise FrameIndexError("np.newaxis cannot index an attribute in a file; read it first")
        if any(_is_wide_mask(k) for k in keys):
            return self._read(None, {})[keys]
        full = self._filled(keys)
        for axis, one in enumerate(full):
            self._check(axis, one)
        pixels = {}
        if self._has_pixels and self.ndim - self._has_frames >= 2:
            # The last two axes say what to read; NumPy does all else on what was read.
            (ss, left), (fs, right) = _pushed(full[-2]), _pushed(full[-1])
            pixels = {"ss_idxs": ss, "fs_idxs": fs}
            full = (*full[:-2], left, right)
        if not self._has_frames:
            return self._read(None, pixels)[full]
        frames, first = _frames_to_read(full[0])
        return self._read(frames, pixels)[(first, *full[1:])]

    def _read(self, frames: Any, pixels: dict[str, Any]) -> Any:
        values = self._reader(self._attr, frames, **pixels)
        return values if isinstance(values, np.ndarray) else np.asarray(values)

    def _filled(self, keys: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return a key for each axis, with full slices for what the user left out."""
        dots = [n for n, k in enumerate(keys) if k is Ellipsis]
        if len(dots) > 1:
            raise FrameIndexError("an index can only have a single ellipsis ('...')")
        missing = self.ndim - (len(keys) - len(dots))
        if missing < 0:
            raise FrameIndexError(
                f"too many indices: {self._attr!r} has {self.ndim} axes, {len(keys)} were indexed"
            )
        at = dots[0] if dots else len(keys)
        return (*keys[:at], *[slice(None)] * missing, *keys[at + len(dots) :])

    def _check(self, axis: int, key: Any) -> None:
        """Raise for what NumPy would not index an axis with, before anything is read."""
        size = self.shape[axis]
        if isinstance(key, slice) or (type(key) is int and -size <= key < size):
            return
        array, where = np.asarray(key), f"axis {axis} of {self._attr!r}"
        if not array.size and not isinstance(key, np.ndarray):
            return
        if array.dtype == np.bool_:
            if array.shape != (size,):
                raise FrameIndexError(
                    f"boolean index did not match {where}: size of axis is {size} but size of "
                    f"index is {len(array)}"
                )
            return
        if array.dtype.kind not in "iu":
            if not array.ndim and hasattr(key, "__index__"):
                array = np.asarray(operator.index(key))
            else:
                of = f" of {array.dtype}" if array.ndim else ""
                raise FrameIndexError(
                    f"{where} is indexed by integers, slices and booleans, not by {key!r:.80}{of}"
                )
        outside = array[(array >= size) | ((array < -size) if array.dtype.kind != "u" else False)]
        if outside.size:
            raise FrameIndexError(
                f"index {outside.flat[0]} is out of bounds for {where} with size {size}"
            )


def _frames_to_read(key: Any) -> tuple[Any, Any]:
    """Return which frames to read for an index of the first axis, and its index among them.

    An int drops the axis, as in NumPy; load_attribute keeps it.
    """
    if isinstance(key, slice):
        return key, slice(None)
    array = np.asarray(key)
    if array.ndim == 0:
        return key, 0
    if array.dtype == np.bool_:
        return key, np.arange(np.count_nonzero(array))
    if not array.size:
        return [], array.astype(np.intp)
    frames, places = np.unique(array, return_inverse=True)
    return frames, places.reshape(array.shape)


def _pushed(key: Any) -> tuple[slice, Any]:
    """Return the pixels to read for an index of a detector axis, and its index among them."""
    if isinstance(key, slice):
        return key, slice(None)
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        return slice(key, key + 1 if key != -1 else None), 0
    return slice(None), key


def _is_wide_mask(key: Any) -> bool:
    """Tell whether a key is a boolean array that indexes several axes, or none."""
    array = np.asarray(key) if isinstance(key, (bool, np.bool_, np.ndarray, list)) else None
    return array is not None and array.dtype == np.bool_ and array.ndim != 1
