"""The frames of a store as what reduces them takes them: in batches or bands of rows, masked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import LayoutError
from ..kernels import Moments
from ..loading.load import Load
from ..progress import Progress, progress_bar
from ..streaming.batch import Batch
from ..streaming.reduce import Banded, Source
from ..streaming.skipping import Leaving
from ..streaming.stream import FrameStream
from ..transforms.transforms import of_rows

__all__ = ["Frames", "SharedFrames"]

_BATCH_BYTES = 128 << 20  # of frames that are reduced at a time


@dataclass(frozen=True)
class Frames:
    """Frames of one attribute, and which of their pixels are good.

    Attributes
    ----------
    load, masks : Load
        What is read, and its masks where `mask` is True.
    transform : Transform or None
        What is done to frames first.
    numbers : ndarray of int64
        Which frames.
    mask : bool, ndarray or None
        As :meth:`CXIStore.reduce` takes it.
    stream : callable
        Takes names of attributes, frames and buffers; returns the stream of them.
    read : callable
        Takes a name, frames and a transform; returns them.
    add : callable
        Takes sums, frames, good pixels of all or None, and what is told of how many are done; adds
        the frames to the sums if they need not be made for that, and returns whether it did.
    verbose : bool
        Whether a progress bar is shown.
    """

    load: Load
    masks: Load
    transform: Any
    numbers: NDArray[np.int64]
    mask: Any
    stream: Callable[[list[str], NDArray[np.int64], list[Any]], FrameStream]
    read: Callable[[str, NDArray[np.int64], Any], NDArray[Any]]
    add: Callable[[Sequence[Moments], NDArray[np.int64], Any, Callable[[int], object]], bool]
    verbose: bool

    def __post_init__(self) -> None:
        if not len(self.numbers):
            raise ValueError(f"there are no frames of {self.load.attr!r} to reduce")
        if self.load.is_text:
            raise ValueError(f"{self.load.attr!r} is text: only numbers are reduced")
        shape = self.load.frame_shape
        if self.mask is None or isinstance(self.mask, bool):
            if self.mask and not self.load.attribute.has_pixels:
                raise ValueError(f"{self.load.attr!r} has no pixels that a mask is about")
            if self.mask and self.masks.frame_shape != shape:
                raise LayoutError(
                    f"{self.load.attr!r} has frames of {shape}, and its mask "
                    f"{self.masks.frame_shape}: mask=True needs a mask of the same pixels"
                )
            return
        if np.shape(self.mask) not in (shape, (len(self.numbers), *shape)):
            raise ValueError(
                f"mask has shape {np.shape(self.mask)}, and the frames {shape}: it is of one "
                f"frame, or of all {len(self.numbers)}"
            )
        if np.asarray(self.mask).dtype != np.bool_:
            raise TypeError("mask is boolean, True where a pixel is good")

    def without(self, leaving: Leaving) -> Frames:
        """Return the frames of the files that are not left out.

        Raises
        ------
        ValueError
            There is a mask for each frame, of which nobody knows whose it is then.
        """
        left = leaving.left_of(self.numbers)
        if np.ndim(self.mask) > len(self.load.frame_shape) and len(left) < len(self.numbers):
            raise ValueError(
                "a file cannot be read, and mask= has a frame for each: with on_error='skip' take "
                "one mask for all frames, or the run's own (mask=True)"
            )
        return replace(self, numbers=left)

    def source(self) -> Source:
        """Return the frames as what is reduced."""
        shape, dtype = self.load.frame_shape, self.load.dtype
        rows = shape[-2] if self.load.attribute.has_pixels else 0
        # Flags of a mask are looked at frame by frame.
        pixel = dtype.itemsize + (self.mask is not None and self.mask is not False)
        size = len(self.numbers) * math.prod(shape) * pixel
        bands = Banded(rows, size // max(1, rows), self._band)
        how = self._batches, bands, self._progress, self._add
        return Source(shape, dtype, len(self.numbers), *how)

    def _batches(self) -> Iterator[Batch]:
        attr, done = self.load.attr, 0
        names = [attr, "mask"] if self.mask is True else [attr]
        shape, dtype = self.load.frame_shape, self.load.dtype
        count = max(1, _BATCH_BYTES // max(1, dtype.itemsize * math.prod(shape)))
        count = min(count, len(self.numbers))
        # One batch at a time: all cores decode it, and then reduce it. What it is reduced to is
        # gone through once a batch, which should be long for that.
        batch = {name: np.empty((count, *shape), dtype if name == attr else bool) for name in names}
        with closing(self.stream(names, self.numbers, [batch, batch])) as stream:
            for frames, idxs in stream:
                # Where masks are reduced, they are not masked by themselves.
                read = frames["mask"] if self.mask is True else None
                good = self._good(read, slice(done, done + len(idxs)))
                yield Batch(_masked(frames[attr], good), idxs)
                done += len(idxs)

    def _add(self, moments: Sequence[Moments], tick: Callable[[int], object]) -> bool:
        good = None if self.mask is False else self.mask
        if good is True:
            if not self.masks.is_static:
                return False
            good = self.read("mask", self.numbers[:1], self.transform)[0]
        if good is not None and np.shape(good) != self.load.frame_shape:
            return False  # there is one for each frame
        return self.add(moments, self.numbers, good, tick)

    def _progress(self) -> AbstractContextManager[Progress | None]:
        if not self.verbose:
            return nullcontext()
        return progress_bar(len(self.numbers), f"Reducing {self.load.attr}")

    def _good(self, read: Any, some: slice) -> Any:
        if self.mask is True or self.mask is None or self.mask is False:
            return read
        array = np.asarray(self.mask)
        return array if array.ndim == len(self.load.frame_shape) else array[some]

    def _band(self, first: int, last: int | None) -> NDArray[Any]:
        attr, transform = self.load.attr, self.transform
        if last is not None:
            transform = of_rows(transform, first, last, self.load.frame_shape[-1])
        frames = self.read(attr, self.numbers, transform)
        good = self.read("mask", self.numbers, transform) if self.mask is True else None
        good = self._good(good, slice(None))
        if self.mask is not True and good is not None and last is not None:
            good = good[..., first:last, :]
        return _masked(frames, good)


class OwnStore(Protocol):
    """What shared frames ask of their store."""

    def _frames(
        self,
        attr: str,
        idxs: Any,
        words: Mapping[str, Any],
        mask: Any,
        num_threads: int | None,
        verbose: bool,
    ) -> Frames: ...


@dataclass(frozen=True)
class SharedFrames:
    """Frames that other processes read a share of; they have the files, and pickle brings the rest.

    Attributes
    ----------
    store : CXIStore
        What reads them.
    load : Load
        Where they lay when the work began: their numbers must mean the same everywhere.
    words, mask, num_threads, verbose
        As ``store._frames`` takes them.
    """

    store: OwnStore
    load: Load
    words: Mapping[str, Any]
    mask: Any
    num_threads: int
    verbose: bool

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "verbose": False}

    def source(self, numbers: NDArray[np.int64]) -> Source:
        """Return some frames as what is reduced."""
        how = self.words, self.mask, self.num_threads, self.verbose
        frames = self.store._frames(self.load.attr, numbers, *how)
        self.load.refuse_moved(frames.load)
        return frames.source()


def _masked(frames: NDArray[Any], good: Any) -> NDArray[Any]:
    """Return frames that know which of their pixels are bad, without a copy of either."""
    if good is None:
        return frames
    one = good if good.ndim < frames.ndim else good[0] if good.strides[0] == 0 else None
    bad = ~good if one is None else np.broadcast_to(~one, frames.shape)
    return np.ma.MaskedArray(frames, mask=bad, copy=False)
