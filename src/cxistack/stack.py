"""An attribute that is not read yet: shape and dtype at once, pixels when it is indexed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .errors import FrameIndexError
from .protocol import CXIProtocol

__all__ = ["LazyArray"]


class Loads(Protocol):
    """What is asked of a store."""

    @property
    def protocol(self) -> CXIProtocol:
        """The protocol, which tells an attribute's kind."""

    def describe(self, attr: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return shape and dtype."""

    def is_indexed(self, attr: str) -> bool:
        """Tell whether there is a frame axis."""

    @property
    def load_attribute(self) -> Callable[..., Any]:
        """Read; see :meth:`CXIStore.load_attribute`."""


class LazyArray:
    """What ``store[attr]`` is: an array in the files, indexed as NumPy indexes, read when it is.

    Parameters
    ----------
    store : CXIStore
        What reads it.
    attr : str
        The attribute.

    Attributes
    ----------
    shape : tuple of int
        Its shape; the frame axis comes first for stacks and sequences.
    dtype : numpy.dtype
        The type that its values come in.
    """

    def __init__(self, store: Loads, attr: str) -> None:
        self._store = store
        self._attr = attr
        self.shape, self.dtype = store.describe(attr)
        self._has_frames = store.is_indexed(attr)
        self._has_pixels = store.protocol.get_kind(attr) in ("stack", "frame")

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

    def __repr__(self) -> str:
        return f"<{self._attr}: {self.dtype} {self.shape}, not read>"

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("an attribute in a file cannot become an array without a copy")
        return np.asarray(self[...], dtype=dtype)

    def __getitem__(self, key: Any) -> Any:
        frames, rest = self._split(key)
        if not self._has_frames:
            return self._read(None, frames, rest)
        values = self._read(frames, None, rest)
        # An int drops the axis here, as in NumPy; load_attribute keeps it.
        return values[0] if _is_int(frames) else values

    def _read(self, frames: Any, first: Any, rest: tuple[Any, ...]) -> Any:
        """Read with slices of the last two axes pushed down, and all else left to NumPy."""
        lead = () if self._has_frames else ((first,) if first is not None else ())
        inner = lead + rest
        axes = self.ndim - self._has_frames
        pixels = {}
        if self._has_pixels and axes >= 2 and len(inner) == axes and _all_slices(inner[-2:]):
            pixels = {"ss_idxs": inner[-2], "fs_idxs": inner[-1]}
            inner = inner[:-2]
        values = self._store.load_attribute(self._attr, frames, verbose=False, **pixels)
        if not inner:
            return values
        return values[(slice(None), *inner)] if self._has_frames else values[inner]

    def _split(self, key: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return the index of the first axis and those of the others, without Ellipsis."""
        keys = key if isinstance(key, tuple) else (key,)
        if any(k is None for k in keys):
            raise FrameIndexError("np.newaxis cannot index an attribute in a file; read it first")
        dots = [n for n, k in enumerate(keys) if k is Ellipsis]
        if len(dots) > 1:
            raise FrameIndexError("an index can only have a single ellipsis ('...')")
        missing = self.ndim - (len(keys) - len(dots))
        if missing < 0:
            raise FrameIndexError(
                f"too many indices: {self._attr!r} has {self.ndim} axes, {len(keys)} were indexed"
            )
        at = dots[0] if dots else len(keys)
        full = (*keys[:at], *[slice(None)] * missing, *keys[at + len(dots) :])
        return (full[0], full[1:]) if full else (None, ())


def _is_int(key: Any) -> bool:
    return isinstance(key, (int, np.integer)) and not isinstance(key, bool)


def _all_slices(keys: tuple[Any, ...]) -> bool:
    return all(isinstance(key, slice) for key in keys)
