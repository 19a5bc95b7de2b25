"""Frames into a file as they come: one commit at the end, and never more in memory than a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import kernels
from ..errors import LayoutError, StorageError
from ..loading.prepare import prepare
from ..loading.request import LoadRequest
from ..saving.request import SaveMode, SaveRequest
from ..saving.session import SaveSession
from ..saving.values import refuse_flags

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
        session: SaveSession,
        request: SaveRequest,
        shape: Sequence[int] | None,
        dtype: DTypeLike | None,
    ) -> None:
        self.count = 0
        self._session = session
        self._request = request
        self._name = request.attribute.name
        self._shape = None if shape is None else tuple(shape)
        request.attribute.check_dtype(dtype)
        self._dtype = None if dtype is None else np.dtype(dtype)
        self._begun = request.mode == "append"
        self._is_open = True
        self._failed: BaseException | None = None

    def append(self, frames: ArrayLike) -> None:
        """Write frames after those that were appended before.

        Parameters
        ----------
        frames : array_like, shape (frames, ...), or that of one frame
            Of the shape that the writer was given, and cast to its dtype. Where none was given, the
            first frames decide; a first array of two axes is then one frame of a stack.

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
            raise ValueError(f"the with block in which {self._name!r} was written has ended")
        array = np.asarray(frames)
        if self._shape is None:
            is_one = array.ndim == 2 and self._request.attribute.kind == "stack"
            self._shape = array.shape if is_one else array.shape[1:]
        if array.shape == self._shape:
            array = array[None]
        if not array.ndim or array.shape[1:] != self._shape:
            raise LayoutError(
                f"{self._name!r} is written in frames of shape {self._shape}; an array of "
                f"shape {array.shape} has no frames of that shape"
            )
        if self._dtype is None:
            self._dtype = array.dtype
        self._save(array)

    def _save(self, array: NDArray[Any]) -> None:
        attribute = self._request.attribute
        if attribute.is_mask and not self._request.raw:
            refuse_flags(self._name, array, attribute.places[0].convention)  # a cast hides flags
        if array.dtype != self._dtype:
            array = kernels.cast(array, self._dtype, casting=self._request.casting)
        mode: SaveMode = "append" if self._begun else "overwrite"
        self._session.save(replace(self._request, data=array, mode=mode))
        self._begun = True
        self.count += len(array)

    def _end(self) -> None:
        if self._failed is not None:
            raise StorageError(
                "nothing of this block is saved: frames of "
                f"{self._name!r} could not be appended ({self._failed})"
            ) from self._failed
        self._leave_empty()

    def _leave_empty(self) -> None:
        """Leave no frames where none were appended: also of those that were to be replaced."""
        if self._begun:
            return
        catalogue = self._session.catalogue
        if None in (self._shape, self._dtype) and catalogue.has(self._name):
            load = prepare(catalogue, LoadRequest(self._request.attribute))
            self._shape = load.shape[1:] if self._shape is None else self._shape
            self._dtype = load.dtype if self._dtype is None else self._dtype
        if self._shape is not None and self._dtype is not None:
            self._save(np.empty((0, *self._shape), self._dtype))


@contextmanager
def writing(
    session: SaveSession,
    request: SaveRequest,
    shape: Sequence[int] | None,
    dtype: DTypeLike | None,
) -> Iterator[FrameWriter]:
    """Give a writer for a block; what it wrote is committed when the block ends well.

    The request says how each batch is saved; its data is replaced by that of the batches.
    """
    if request.mode == "insert":
        raise ValueError(f'mode must be "overwrite" or "append", not {request.mode!r}')
    with session.transaction():
        writer = FrameWriter(session, request, shape, dtype)
        try:
            yield writer
        finally:
            writer._is_open = False
        writer._end()
