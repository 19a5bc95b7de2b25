"""Frames into a file as they come: whole chunks at a time, from a buffer of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import kernels
from ..errors import CastError, LayoutError, StorageError
from ..loading.prepare import prepare
from ..loading.request import LoadRequest
from ..protocol.masks import FLAGS
from ..saving.buffer import FrameBuffer
from ..saving.change import Growing
from ..saving.memory import memory_told
from ..saving.request import SaveMode, SaveRequest, refuse_masked
from ..saving.save import named
from ..saving.session import SaveSession
from ..saving.values import refuse_flags

__all__ = ["FrameWriter", "writing"]


class FrameWriter:
    """Takes the frames of a stack, or the rows of a sequence, one or many at a time.

    :meth:`CXIStore.writer` makes one, for a ``with`` block. Any thread may append to it.

    Attributes
    ----------
    attr : str
        Name of the attribute.
    count : int
        How many frames were appended.

    Notes
    -----
    Frames wait in memory until they fill 16 MiB, or one chunk where that is larger, and are then
    compressed and written. Besides, each thread holds the few chunks that it compresses.
    """

    def __init__(
        self,
        session: SaveSession,
        request: SaveRequest,
        shape: Sequence[int] | None,
        dtype: DTypeLike | None,
    ) -> None:
        self.attr = request.attribute.name
        self.count = 0
        self._session = session
        self._request = request
        self._shape = None if shape is None else tuple(shape)
        request.attribute.check_dtype(dtype)
        self._dtype = None if dtype is None else np.dtype(dtype).newbyteorder("=")
        self._begun = request.mode == "append"
        self._is_open = True
        self._failed: BaseException | None = None
        self._flushed = 0  # frames
        self._growing: Growing | None = None  # what was saved last, if frames can be added to it
        self._buffer: FrameBuffer | None = None
        self._is_checked = False  # whether frames are held against the stored type when they come

    def append(self, frames: ArrayLike) -> None:
        """Take frames, to be written after those that were appended before.

        They are copied or written before this returns, so that the array may be used again. When
        there is no room for more frames, this waits until those that are there have been written.

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
            A value does not fit the dtype, or the stored type of frames that are there.
        StorageError
            They, or others before them, cannot be written; or that was so before. Nothing of the
            block is in the file then, but for what was flushed.
        """
        with self._failing(), self._session.working:
            self._check_open()
            self._append(frames)

    def flush(self) -> None:
        """Make all that was appended so far visible, by a commit; the block goes on after it.

        Saves of other attributes in the block so far belong to the same commit, and what must have
        a frame for each of `data` has as many then. An error or a kill after this leaves the file
        as it was committed here. For the next commit the file is copied again, unless the file
        system lets both share what is the same: flush a large file seldom.

        Raises
        ------
        ValueError
            The block is within a :meth:`CXIStore.transaction`, which is one commit.
        LayoutError, StorageError
            It cannot be committed so, as at the end of the block.
        """
        self._session.refuse_part_of_group()
        with self._failing(), self._session.working:
            self._check_open()
            self._session.flush()

    def committed(self) -> None:
        """Note that what was saved so far is in the file for good."""
        self._flushed = self.count

    def settle(self) -> None:
        """Save what waits; the session calls this before what must come after it."""
        self._refuse_failed()
        with self._failing():
            if self._buffer is not None and self._buffer.count:
                self._write(self._buffer.take())
            if self._growing is not None:
                self._session.complete(self._growing)
            self._growing, self._buffer = None, None

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Note what fails: the block is not committed then, also where the error is caught."""
        try:
            yield
        except BaseException as error:
            if self._failed is None:
                self._failed = error
            raise

    def _check_open(self) -> None:
        if not self._is_open:
            raise ValueError(f"the with block in which {self.attr!r} was written has ended")
        self._refuse_failed()

    def _refuse_failed(self) -> None:
        if self._failed is not None:
            why = str(self._failed) or type(self._failed).__name__
            raise StorageError(
                f"nothing of this block is saved{self._but_flushed}: frames of {self.attr!r} could "
                f"not be appended ({why})"
            ) from self._failed

    @property
    def _but_flushed(self) -> str:
        return f" but the {self._flushed} frames that were flushed" if self._flushed else ""

    def _append(self, frames: ArrayLike) -> None:
        refuse_masked(frames)
        array = np.asarray(frames)
        if self._shape is None:
            is_one = array.ndim == 2 and self._request.attribute.kind == "stack"
            self._shape = array.shape if is_one else array.shape[1:]
        if array.shape == self._shape:
            array = array[None]
        if not array.ndim or array.shape[1:] != self._shape:
            raise LayoutError(
                f"{self.attr!r} is written in frames of shape {self._shape}; an array of "
                f"shape {array.shape} has no frames of that shape"
            )
        if self._dtype is None:
            self._dtype = array.dtype.newbyteorder("=")
        attribute = self._request.attribute
        if attribute.is_mask and not self._request.raw:
            refuse_flags(self.attr, array, attribute.places[0].convention)  # a cast hides flags
        if self._buffer is None and self._is_whole():
            if array.dtype != self._dtype:
                array = kernels.cast(array, self._dtype, casting=self._request.casting)
            self._save(array)
        else:
            self._pass_on(array, self._dtype)
        self.count += len(array)

    def _is_whole(self) -> bool:
        """Tell whether frames are saved as they come: text, and what has no frame for each."""
        assert self._shape is not None
        assert self._dtype is not None
        attribute = self._request.attribute
        has_flags = any(place.convention in FLAGS for place in attribute.places)
        return (
            self._dtype.kind not in "biufc"
            or not attribute.has_a_frame_each(len(self._shape) + 1)
            or (not self._begun and has_flags)  # all at once, they keep the reasons of bad pixels
        )

    def _pass_on(self, array: NDArray[Any], dtype: np.dtype[Any]) -> None:
        """Put frames into the buffer; write those for which there is no room, and need not wait."""
        if self._buffer is None or self._growing is None:
            self._buffer = self._begin(dtype)
        buffer, first = self._buffer, 0
        try:
            while first < len(array):
                rest = array[first:]
                count = buffer.passing(len(rest)) if rest.dtype == dtype else 0
                if count:
                    self._write(rest[:count])
                    buffer.skip(count)
                else:
                    count = min(len(rest), buffer.room)
                    self._fill(buffer.next(count), rest[:count])
                    buffer.keep(count)
                    if not buffer.room:
                        self._write(buffer.take())
                first += count
        except CastError as error:
            raise numbered(error, first, of_frames=array.ndim > 2) from error

    def _begin(self, dtype: np.dtype[Any]) -> FrameBuffer:
        """Save no frames, so that whatever speaks against it is known before they wait."""
        assert self._shape is not None
        growing = self._save(np.empty((0, *self._shape), dtype))
        encoder, none = growing.change.encoder, growing.change.data
        self._is_checked = encoder.only_casts(none, growing.dtype)
        shape = (growing.depth, *self._shape)
        with memory_told(lambda: growing.change.place, self.attr, shape, dtype):
            return FrameBuffer(self._shape, dtype, growing.depth, growing.length)

    def _fill(self, places: NDArray[Any], frames: NDArray[Any]) -> None:
        """Put frames into the buffer, cast to its type; raise where the stored one is too small."""
        growing = self._growing
        assert growing is not None
        encoder, casting = growing.change.encoder, self._request.casting
        told = memory_told(lambda: growing.change.place, self.attr, frames.shape, frames.dtype)
        with named(growing.change), told:
            if frames.dtype.newbyteorder("=") == places.dtype:
                np.copyto(places, frames)
            else:
                kernels.cast(frames, out=places, casting=casting)
            if self._is_checked:
                encoder.check(places, growing.dtype)
            elif encoder.conversion is not None:
                encoder.over(places, growing.dtype, None)

    def _write(self, frames: NDArray[Any]) -> None:
        if self._growing is None or not self._session.extend(self._growing, frames):
            self._save(frames)

    def _save(self, array: NDArray[Any]) -> Growing:
        mode: SaveMode = "append" if self._begun else "overwrite"
        self._growing = self._session.save_batch(replace(self._request, data=array, mode=mode))
        self._begun = True
        return self._growing

    def _end(self) -> None:
        self._refuse_failed()
        self._is_open = False
        self.settle()
        self._leave_empty()

    def _leave_empty(self) -> None:
        """Leave no frames where none were appended: also of those that were to be replaced."""
        if self._begun:
            return
        catalogue = self._session.catalogue
        if None in (self._shape, self._dtype) and catalogue.has(self.attr):
            load = prepare(catalogue, LoadRequest(self._request.attribute))
            self._shape = load.shape[1:] if self._shape is None else self._shape
            self._dtype = load.dtype if self._dtype is None else self._dtype
        if self._shape is not None and self._dtype is not None:
            self._save(np.empty((0, *self._shape), self._dtype))


def numbered(error: CastError, first: int, *, of_frames: bool) -> CastError:
    """Return the error of a part of an array, numbered in the whole of it."""
    offence = error.offence
    if offence is None or not first:
        return error
    if of_frames:
        moved = replace(offence, frame=offence.frame + first)
        old, new = f"Frame {offence.frame}, ", f"Frame {moved.frame}, "
    else:
        moved = replace(offence, pixel=(offence.pixel[0] + first, *offence.pixel[1:]))
        old, new = f"Pixel {offence.pixel}", f"Pixel {moved.pixel}"
    return CastError(str(error).replace(old, new, 1), moved)


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
    writer = FrameWriter(session, request, shape, dtype)
    with session.transaction(writer):
        try:
            yield writer
            with session.working:
                writer._end()
        finally:
            with session.working:
                writer._is_open = False
                writer._growing = writer._buffer = None
