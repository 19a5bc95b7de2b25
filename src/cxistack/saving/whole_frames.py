"""Putting the pixels of a region back into whole frames of a dataset, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import CastError, LayoutError
from .change import Change
from .dataset import refuse_strange, write
from .region import Region
from .request import SaveMode

__all__ = ["put_back"]


_BATCH = 1 << 25  # bytes of whole frames that are made at a time


def put_back(h5: h5py.File, change: Change, region: Region, reserve: Callable[[int], None]) -> None:
    """Save the pixels of a region into `h5`, a file open for writing.

    Parameters are those of :func:`~cxistack.saving.dataset.write`.

    Raises
    ------
    LayoutError
        The dataset that is there stands for all frames and has other values in the region.
    CastError
        A value does not fit the stored type; frame and pixel are those of the data given.
    """
    old = h5.get(change.place.path)
    if old is not None:
        refuse_strange(old, change.place)
    job = _PutBack(h5, old, change, region, reserve)
    try:
        if change.by_frame:
            job.put_frames()
        else:
            job.put_one()
    except CastError:
        dtype = change.encoder.new_dtype if old is None else old.dtype
        change.encoder.over(change.data, dtype, None)
        raise


@dataclass(frozen=True)
class _PutBack:
    """One save of pixels, and the dataset `old` that is there."""

    h5: h5py.File
    old: Any
    change: Change
    region: Region
    reserve: Callable[[int], None]

    @property
    def frame(self) -> tuple[int, ...]:
        """Shape of a whole frame, of one of several by their first axis."""
        return (*self.change.data.shape[1:-2], *self.region.frame_shape)

    def put_one(self) -> None:
        """Save a frame of its own, or one that stands for all."""
        old, change = self.old, self.change
        shape = (*change.data.shape[:-2], *self.region.frame_shape)
        if old is not None and old.ndim > len(shape):
            raise LayoutError(
                f"{change.place} has shape {old.shape}, a frame for each of data's, and the region "
                "of one frame is to be put into it: give as many frames"
            )
        if old is None or old.shape != shape:
            self._write(change.data, change.mode, change.rows)
        elif change.growth == "static" and change.mode != "overwrite":
            self._keep([change.data])
        elif change.keeps(old):
            self._repaint(())
        else:
            base = old[()]
            self._write(change.data, "overwrite")
            self._over(change.data, base)
            self.h5[change.place.path][...] = base

    def put_frames(self) -> None:
        """Save as many frames as `data` has."""
        old, data, mode, frame = self.old, self.change.data, self.change.mode, self.frame
        count = len(data)
        is_single = old is not None and old.shape == frame
        if is_single and self.change.growth == "frames":
            if mode == "overwrite":
                self._make_anew(np.broadcast_to(old[()], (count, *frame)))
            else:
                self._keep(data[:1] if data.strides[0] == 0 else data)
            return
        fits = is_single or (old is not None and old.shape[1:] == frame)
        there = 0 if old is None else (1 if is_single else old.shape[0])
        if fits and mode != "overwrite":
            self.change.storage.check_kept(old, self.change.place)
        if fits and not self.change.keeps(old):
            self._make_anew(old[()].reshape(there, *frame)[:count])
            return
        if fits and mode == "overwrite" and there > count:
            if old.chunks is None:
                self._make_anew(old[:count].reshape(count, *frame))
                return
            old.resize(count, axis=0)
            there = count
        rows = self._rows(there if mode == "append" else 0)
        order = np.argsort(rows, kind="stable")
        is_kept = rows[order] < there if fits else np.zeros(count, bool)
        for piece in self._batches(order[is_kept], rows):
            self._repaint(() if is_single else slice(rows[piece[0]], rows[piece[-1]] + 1), piece)
        self._put_new(order[~is_kept], rows, is_begun=fits)

    def _put_new(
        self, numbers: NDArray[np.intp], rows: NDArray[np.int64], *, is_begun: bool
    ) -> None:
        """Save frames that are not there.

        When all is overwritten, the first of them replace what is there, unless it `is_begun`.
        """
        data, mode = self.change.data, self.change.mode
        if not len(data) and not is_begun:
            self._write(data, mode, self.change.rows)
        for piece in self._batches(numbers, rows):
            if mode == "overwrite" and not is_begun:
                self._write(data[piece], "overwrite")
            elif mode == "insert":
                self._write(data[piece], "insert", rows[piece])
            else:
                self._write(data[piece], "append")
            is_begun = True

    def _make_anew(self, base: NDArray[Any]) -> None:
        """Overwrite with a dataset of another shape, whose frames start as those of `base`.

        It is made as a new one is; then the pixels outside become what they were, as stored. Frames
        after the last of `base` are new.
        """
        rows = self._rows(0)
        self._put_new(np.arange(len(rows)), rows, is_begun=False)
        new = self.h5[self.change.place.path]
        for piece in self._batches(np.arange(len(base)), rows):
            frames = base[piece].copy()
            self._over(self.change.data[piece], frames)
            new[piece[0] : piece[-1] + 1] = frames

    def _rows(self, first: int) -> NDArray[np.int64]:
        """Return where the frames go: from `first` on, unless they are inserted."""
        if self.change.mode == "insert":
            assert self.change.rows is not None
            return self.change.rows
        return np.arange(first, first + len(self.change.data))

    def _batches(
        self, numbers: NDArray[np.intp], rows: NDArray[np.int64]
    ) -> Iterator[NDArray[np.intp]]:
        """Cut numbers of frames into pieces of bounded size, in which rows follow each other."""
        most = max(1, _BATCH // max(1, math.prod(self.frame) * self.change.data.dtype.itemsize))
        for piece in np.split(numbers, np.flatnonzero(np.diff(rows[numbers]) != 1) + 1):
            for first in range(0, len(piece), most):
                yield piece[first : first + most]

    def _repaint(self, index: Any, piece: NDArray[np.intp] | None = None) -> None:
        """Change the region of frames that are there."""
        frames = np.asarray(self.old[index])
        self.reserve(frames.nbytes)
        values = self.change.data if piece is None else self.change.data[piece]
        if piece is not None and frames.ndim < values.ndim:
            values = values[0]
        self._over(values, frames)
        self.old[index] = frames

    def _keep(self, frames: Iterable[NDArray[Any]]) -> None:
        """Refuse frames of other values than those of the one that stands for all."""
        stored = self.old[()]
        for frame in frames:
            painted = stored.copy()
            self._over(frame, painted)
            if painted.tobytes() != stored.tobytes():
                raise LayoutError(
                    f"{self.change.place} has shape {self.old.shape} and stands for all frames, "
                    "and what is to be added has other values in the region; mode='overwrite' "
                    "replaces it"
                )

    def _over(self, values: NDArray[Any], frames: NDArray[Any]) -> None:
        """Put values into whole frames as they are stored."""
        encoder = self.change.encoder
        stored = self.region.of(frames) if encoder.looks_at_stored else None
        self.region.paint(frames, encoder.over(values, frames.dtype, stored))

    def _write(
        self, values: NDArray[Any], mode: SaveMode, rows: NDArray[np.int64] | None = None
    ) -> None:
        """Save whole frames that are new outside of the region."""
        whole = self.region.whole(values)
        write(self.h5, replace(self.change, data=whole, mode=mode, rows=rows), self.reserve)
