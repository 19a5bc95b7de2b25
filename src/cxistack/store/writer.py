"""Frames into a file as they come: one commit at the end, and never more in memory than a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import kernels
from ..errors import LayoutError, StorageError
from ..kernels import Casting

if TYPE_CHECKING:
    from .store import CXIStore


__all__ = ["FrameWriter", "writing"]


class FrameWriter:
    """Takes the frames of a stack, or the rows of a sequence, batch by batch.

    :meth:`CXIStore.writer` makes one, for a ``with`` block.

    Attributes
    ----------
    count : int
        How many frames were appended.
    """

    def __init__(
        self,
        store: CXIStore,
        attr: str,
        shape: Sequence[int] | None,
        dtype: DTypeLike | None,
        mode: Literal["overwrite", "append"],
        options: Mapping[str, Any],
    ) -> None:
        self.count = 0
        self._store = store
        self._attr = attr
        self._shape = None if shape is None else tuple(shape)
        self._dtype = None if dtype is None else np.dtype(dtype)
        self._begun = mode == "append"
        self._options = options
        self._is_open = True
        self._failed: BaseException | None = None

    def append(self, frames: ArrayLike) -> None:
        """Write frames after those that were appended before.

        Parameters
        ----------
        frames : array_like, shape (frames, ...), or that of one frame
            Of the writer's shape, and cast to its dtype; of those of the first frames where the
            writer was told none (then a first array of two axes is one frame of a stack).

        Raises
        ------
        LayoutError
            The frames are of another shape.
        CastError
            A value does not fit the dtype.
        StorageError
            They cannot be written. Nothing of the block is in the file then.
        """
        try:
            self._append(frames)
        except BaseException as error:
            self._failed = error
            raise

    def _append(self, frames: ArrayLike) -> None:
        if not self._is_open:
            raise ValueError(f"the block that {self._attr!r} was written in has ended")
        array = np.asarray(frames)
        if self._shape is None:
            is_one = array.ndim == 2 and self._store.protocol.get_kind(self._attr) == "stack"
            self._shape = array.shape if is_one else array.shape[1:]
        if array.shape == self._shape:
            array = array[None]
        if array.shape[1:] != self._shape or not array.ndim:
            raise LayoutError(
                f"an array of shape {array.shape} is no frames of {self._shape}, in which "
                f"{self._attr!r} is written"
            )
        if self._dtype is None:
            self._dtype = array.dtype
        self._save(array)

    def _save(self, array: NDArray[Any]) -> None:
        if array.dtype != self._dtype:
            casting: Casting = self._options["casting"]
            array = kernels.cast(array, self._dtype, casting=casting)
        mode: Literal["overwrite", "append"] = "append" if self._begun else "overwrite"
        self._store.save_attribute(self._attr, array, mode, **self._options)
        self._begun = True
        self.count += len(array)

    def _end(self) -> None:
        if self._failed is not None:
            raise StorageError(
                f"nothing of this block is saved: frames of {self._attr!r} could not be appended "
                f"({self._failed})"
            ) from self._failed
        self._leave_empty()

    def _leave_empty(self) -> None:
        """Leave no frames where none were appended: also of those that were to be replaced."""
        if self._begun:
            return
        if self._attr in self._store and None in (self._shape, self._dtype):
            shape, dtype = self._store.describe(self._attr)
            self._shape = shape[1:] if self._shape is None else self._shape
            self._dtype = dtype if self._dtype is None else self._dtype
        if self._shape is not None and self._dtype is not None:
            self._save(np.empty((0, *self._shape), self._dtype))


@contextmanager
def writing(
    store: CXIStore,
    attr: str,
    shape: Sequence[int] | None,
    dtype: DTypeLike | None,
    mode: Literal["overwrite", "append"],
    **options: Any,
) -> Iterator[FrameWriter]:
    """Lend a writer; what it wrote is committed when the block ends well."""
    if mode not in ("overwrite", "append"):
        raise ValueError(f'mode must be "overwrite" or "append", not {mode!r}')
    with store.transaction():
        writer = FrameWriter(store, attr, shape, dtype, mode, options)
        try:
            yield writer
        finally:
            writer._is_open = False
        writer._end()
