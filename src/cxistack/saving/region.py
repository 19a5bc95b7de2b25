"""Pixels that go back into whole frames: from a user's words to the dataset, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .. import kernels
from ..catalogue.catalogue import Catalogue
from ..errors import CastError, LayoutError
from ..hdf5.links import Place
from ..protocol.fields import INTENSITIES
from ..protocol.protocol import CXIProtocol
from ..transforms.fold import fold
from ..transforms.steps import Bin, FrameView, Pick
from .commit.replace import METADATA
from .compression import Storage
from .dataset import refuse_strange
from .request import Growth, SaveMode, WholeFrames
from .values import Encoder

__all__ = ["Region", "Save", "put_back", "region_of"]


_BATCH = 1 << 25  # bytes of whole frames that are made at a time


@dataclass(frozen=True)
class Region:
    """Which pixels of whole frames are saved, and what the others of new frames are.

    Attributes
    ----------
    step : FrameView, Pick or None
        Where the pixels belong; None for all of a frame.
    frame_shape : tuple of int
        Shape of whole frames.
    fill : numpy scalar
        What is outside of the region where there is nothing yet, of the type of what is saved.
    """

    step: FrameView | Pick | None
    frame_shape: tuple[int, int]
    fill: Any

    def of(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Return the region of whole frames."""
        return frames if self.step is None else self.step.apply(frames)

    def paint(self, frames: NDArray[Any], values: NDArray[Any]) -> None:
        """Put values into the region of whole frames."""
        match self.step:
            case None:
                frames[...] = values
            case FrameView() as view:
                view.of(frames)[...] = values
            case pick:
                frames[..., pick.ss_idxs, pick.fs_idxs] = values

    def whole(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return whole new frames."""
        frames = np.full((*values.shape[:-2], *self.frame_shape), self.fill, values.dtype)
        self.paint(frames, values)
        return frames


@dataclass(frozen=True)
class Save:
    """A save of pixels of a region, and what it needs of the writer.

    Attributes
    ----------
    place : Place
        Where the dataset is, or is to be.
    data : ndarray
        Pixels of the region: (..., ss, fs).
    mode : {"overwrite", "append", "insert"}
    rows : ndarray of int64, optional
        See :func:`~cxistack.saving.dataset.write`.
    encoder : Encoder
        Makes of values what is stored.
    region : Region
        Where the pixels belong.
    storage : Storage
        How a dataset is stored that is new or overwritten.
    whole : callable
        Saves whole frames: ``whole(frames, mode, rows)``.
    reserve : callable
        Raises where the disk has no room for so many bytes more.
    """

    place: Place
    data: NDArray[Any]
    mode: SaveMode
    rows: NDArray[np.int64] | None
    encoder: Encoder
    region: Region
    storage: Storage
    whole: Callable[[NDArray[Any], SaveMode, NDArray[np.int64] | None], None]
    reserve: Callable[[int], None]

    def over(self, values: NDArray[Any], frames: NDArray[Any]) -> None:
        """Put values into whole frames as they are stored."""
        stored = self.region.of(frames) if self.encoder.looks_at_stored else None
        self.region.paint(frames, self.encoder.over(values, frames.dtype, stored))

    def keeps_storage(self, old: Any) -> bool:
        """Tell whether what is there stays as it is stored; raise where it would have to."""
        if self.mode != "overwrite":
            self.storage.check_kept(old, self.place)
        return not self.storage.is_given or self.storage.is_that_of(old)

    def is_there(self, values: NDArray[Any], frame: NDArray[Any]) -> bool:
        """Tell whether a whole frame, as it is stored, has these values in the region."""
        painted = frame.copy()
        self.over(values, painted)
        return painted.tobytes() == frame.tobytes()


def put_back(h5: h5py.File, save: Save, growth: Growth) -> None:
    """Save the pixels of a region into `h5`, a file open for writing.

    Raises
    ------
    LayoutError
        What is there stands for all frames and has other values in the region.
    CastError
        A value does not fit the stored type; frame and pixel are those of the data given.
    """
    old = h5.get(save.place.path)
    if old is not None:
        refuse_strange(old, save.place)
    try:
        if growth in ("rows", "frames"):
            _put_frames(h5, old, save, growth)
        else:
            _put_one(h5, old, save, growth)
    except CastError:
        dtype = save.encoder.new_dtype if old is None else old.dtype
        save.encoder.over(save.data, dtype, None)
        raise


def _put_one(h5: h5py.File, old: Any, save: Save, growth: Growth) -> None:
    """Save a frame of its own, or one that stands for all."""
    shape = (*save.data.shape[:-2], *save.region.frame_shape)
    if old is not None and old.ndim > len(shape):
        raise LayoutError(
            f"{save.place} has shape {old.shape}, a frame for each of data's, and the region of "
            "one frame is to be put into it: save as many frames"
        )
    if old is None or old.shape != shape:
        save.whole(save.region.whole(save.data), save.mode, save.rows)
        return
    if growth == "static" and save.mode != "overwrite":
        _keep(old, save, [save.data])
    elif not save.storage.is_given or save.storage.is_that_of(old):
        _repaint(old, save, ())
    else:
        base = old[()]
        save.whole(save.region.whole(save.data), "overwrite", None)
        save.over(save.data, base)
        h5[save.place.path][...] = base


def _put_frames(h5: h5py.File, old: Any, save: Save, growth: Growth) -> None:
    data, count = save.data, len(save.data)
    frame = (*data.shape[1:-2], *save.region.frame_shape)
    is_single = old is not None and old.shape == frame
    if is_single and growth == "frames":
        if save.mode == "overwrite":
            _make_anew(h5, np.broadcast_to(old[()], (count, *frame)), save, frame)
        else:
            _keep(old, save, data[:1] if data.strides[0] == 0 else data)
        return
    fits = is_single or (old is not None and old.shape[1:] == frame)
    there = 0 if old is None else (1 if is_single else old.shape[0])
    if fits and not save.keeps_storage(old):
        _make_anew(h5, old[()].reshape(there, *frame)[:count], save, frame)
        return
    if fits and save.mode == "overwrite" and there > count:
        if old.chunks is None:
            _make_anew(h5, old[:count].reshape(count, *frame), save, frame)
            return
        old.resize(count, axis=0)
        there = count
    rows = _rows(save, there if save.mode == "append" else 0)
    order = np.argsort(rows, kind="stable")
    is_kept = rows[order] < there if fits else np.zeros(count, bool)
    for piece in _batches(order[is_kept], rows, frame, data.dtype):
        _repaint(old, save, () if is_single else slice(rows[piece[0]], rows[piece[-1]] + 1), piece)
    _put_new(save, order[~is_kept], rows, frame, is_begun=fits)


def _put_new(
    save: Save,
    numbers: NDArray[np.intp],
    rows: NDArray[np.int64],
    frame: tuple[int, ...],
    *,
    is_begun: bool,
) -> None:
    """Save frames that are not there; those of an overwriting replace what there is, or go on."""
    if not len(save.data) and not is_begun:
        save.whole(save.region.whole(save.data), save.mode, save.rows)
    for piece in _batches(numbers, rows, frame, save.data.dtype):
        whole = save.region.whole(save.data[piece])
        if save.mode == "overwrite" and not is_begun:
            save.whole(whole, "overwrite", None)
        elif save.mode == "insert":
            save.whole(whole, "insert", rows[piece])
        else:
            save.whole(whole, "append", None)
        is_begun = True


def _make_anew(h5: h5py.File, base: NDArray[Any], save: Save, frame: tuple[int, ...]) -> None:
    """Overwrite with a dataset of another shape, whose frames start as those of `base`.

    The writer makes it, as new; then the pixels outside become what they were, as stored. Frames
    after the last of `base` are new.
    """
    rows = _rows(save, 0)
    _put_new(save, np.arange(len(rows)), rows, frame, is_begun=False)
    new = h5[save.place.path]
    for piece in _batches(np.arange(len(base)), rows, frame, save.data.dtype):
        frames = base[piece].copy()
        save.over(save.data[piece], frames)
        new[piece[0] : piece[-1] + 1] = frames


def _rows(save: Save, first: int) -> NDArray[np.int64]:
    if save.mode == "insert":
        assert save.rows is not None
        return save.rows
    return np.arange(first, first + len(save.data))


def _batches(
    numbers: NDArray[np.intp],
    rows: NDArray[np.int64],
    frame: tuple[int, ...],
    dtype: np.dtype[Any],
) -> Iterator[NDArray[np.intp]]:
    """Cut numbers of frames into pieces of bounded size, in which the rows follow each other."""
    most = max(1, _BATCH // max(1, math.prod(frame) * dtype.itemsize))
    for piece in np.split(numbers, np.flatnonzero(np.diff(rows[numbers]) != 1) + 1):
        for first in range(0, len(piece), most):
            yield piece[first : first + most]


def _repaint(old: Any, save: Save, index: Any, piece: NDArray[np.intp] | None = None) -> None:
    """Change the region of frames that are there."""
    frames = np.asarray(old[index])
    save.reserve(frames.nbytes + METADATA)
    values = save.data if piece is None else save.data[piece]
    if piece is not None and frames.ndim < values.ndim:
        values = values[0]
    save.over(values, frames)
    old[index] = frames


def _keep(old: Any, save: Save, frames: Iterable[NDArray[Any]]) -> None:
    stored = old[()]
    for frame in frames:
        if not save.is_there(frame, stored):
            raise LayoutError(
                f"{save.place} has shape {old.shape} and stands for all frames, and what is to be "
                "added has other values in the region; mode='overwrite' replaces it"
            )


def region_of(
    catalogue: Catalogue, attr: str, array: NDArray[Any], whole: WholeFrames, mode: SaveMode
) -> Region:
    """Return where the pixels of a region go; refuse what cannot go back."""
    protocol = catalogue.protocol
    if protocol.get_kind(attr) not in ("frame", "stack"):
        raise ValueError(f"{attr!r} is a {protocol.get_kind(attr)}: it has no pixels to put back")
    shape = whole.frame_shape or _frame_shape(catalogue, attr)
    steps = fold(whole.transform, shape)
    if any(isinstance(step, Bin) for step in steps):
        raise NotImplementedError(
            f"{attr!r} cannot go back into whole frames: {whole.transform!r} bins, and the pixels "
            "of a bin are lost; save it as it is, without the transform"
        )
    if not len(array) and (mode == "overwrite" or protocol.get_kind(attr) == "frame"):
        _refuse_nothing(catalogue, attr, array.ndim)
    step = steps[0] if steps else None
    assert not isinstance(step, Bin)
    region = shape if step is None else tuple(step.shape)
    if array.shape[-2:] != region:
        raise LayoutError(
            f"{attr!r} has frames of shape {array.shape[-2:]}, and {whole.transform!r} makes "
            f"frames of shape {region} of whole ones of shape {shape}"
        )
    return Region(step, shape, _fill(protocol, attr, array.dtype, whole.fill_value))


def _refuse_nothing(catalogue: Catalogue, attr: str, ndim: int) -> None:
    """Refuse to put no frames in the place of a single one, whose other pixels would be lost."""
    found = catalogue.found(attr).get(0)
    for stored in () if found is None else found.datasets:
        if stored.ndim < ndim:
            raise LayoutError(
                f"{stored.place} has shape {stored.shape}, one frame, and no frames of {attr!r} "
                "are to take its place: there is nothing to put back"
            )


def _frame_shape(catalogue: Catalogue, attr: str) -> tuple[int, int]:
    found = catalogue.found(attr).get(0)
    if found is None or not found.datasets or len(found.datasets[0].shape) < 2:
        raise ValueError(
            f"{catalogue.files.names[0]} has no {attr!r} yet whose frames show their whole shape: "
            "give frame_shape="
        )
    slow, fast = found.datasets[0].shape[-2:]
    return slow, fast


def _fill(protocol: CXIProtocol, attr: str, dtype: np.dtype[Any], value: Any) -> Any:
    """Return what new pixels outside of a region are, in the type of what is saved."""
    if protocol.datatypes[attr] == "bool":
        return dtype.type(0)  # bad, or False: nobody has looked at these pixels
    if value is None:
        value = np.nan if dtype.kind in "fc" and attr not in INTENSITIES else 0
    if dtype.kind not in "biuf":
        return dtype.type(value)
    try:
        return kernels.cast(np.asarray(value), dtype)[()]
    except (CastError, TypeError) as error:
        raise CastError(
            f"fill_value={value!r} does not fit {attr!r} of {dtype}: {error}"
        ) from error
