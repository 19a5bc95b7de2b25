"""A small picture for a notebook: one frame, read at a stride, or a sentence why there is none."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import CastError, CXIError
from ..hdf5.remote.urls import is_url
from ..hdf5.stored import Stored
from ..loading.load import Load
from ..markup import figure, notes
from ..transforms.base import Transform
from ..transforms.transforms import ComposeTransforms, Downscale
from . import picture
from .colours import indexed, png

__all__ = ["of_array", "of_load"]

_SIDE = 128  # pixels
_MOST_BYTES = 64 << 20  # of decoded chunks: what takes longer than a repr may
_MOST_FROM_AFAR = 8 << 20  # of chunks on a server
_FAILURES = (CXIError, OSError, ValueError, TypeError, ArithmeticError, MemoryError, ImportError)


class Reads(Protocol):
    """What reads the frame."""

    def __call__(self, attr: str, idxs: Any = None, **words: Any) -> Any: ...


def of_load(load: Load, read: Reads, transform: Transform | None = None) -> str:
    """Return the first frame of a load, as HTML; it reads one file, and few bytes of it.

    Parameters
    ----------
    load : Load
        What is loaded.
    read : callable
        Reads it: takes name, frames and `transform`.
    transform : Transform, optional
        The load's own.
    """
    try:
        if not load.attribute.has_pixels or not load.count or 0 in load.frame_shape:
            return ""
        is_afar = any(is_url(name) for name in load.files.paths[:1])
        if (size := _bytes_of(load)) > (_MOST_FROM_AFAR if is_afar else _MOST_BYTES):
            return notes(
                [f"no picture: a frame lies in {size >> 20} MiB of chunks, which takes long"]
            )
        step = max(1, -(-max(load.frame_shape[-2:]) // _SIDE))
        stride = Downscale(step)
        small = stride if transform is None else ComposeTransforms([transform, stride])
        first = None if load.is_single else [0]
        try:
            frame = np.asarray(read(load.attr, first, transform=small))
        except CastError:  # as floats, all values show
            frame = np.asarray(read(load.attr, first, transform=small, dtype="float64"))
        what = load.attr if load.is_single else f"{load.attr}, frame 0 of {load.count}"
        what += f", 1 pixel of {step} × {step}" if step > 1 else ""
        return _drawn(frame if load.is_single else frame[0], what, load.attribute.is_mask)
    except _FAILURES as error:
        return notes([f"no picture: {error}"])


def of_array(frame: NDArray[Any], what: str, *, is_mask: bool = False) -> str:
    """Return a frame that is in memory, as HTML."""
    try:
        if frame.ndim < 2 or not frame.size:
            return ""
        step = max(1, -(-max(frame.shape[-2:]) // _SIDE))
        return _drawn(frame[..., ::step, ::step], what, is_mask)
    except _FAILURES as error:
        return notes([f"no picture: {error}"])


def _drawn(frame: NDArray[Any], what: str, is_mask: bool) -> str:
    """Return a frame, or the first image of one of more axes than two, with its scale."""
    one = frame.reshape(-1, *frame.shape[-2:])[0]
    if frame.ndim > 2:
        what += f", the first of {math.prod(frame.shape[:-2])} images"
    small = picture.shrunk(one, picture.has_value(one), _SIDE)
    low, high = (0.0, 1.0) if is_mask else picture.limits(small.compressed())
    scale = (
        "yellow is good"
        if is_mask
        else f"{picture.told(low)} (dark) to {picture.told(high)} (bright)"
    )
    # A small frame is shown larger: its pixels as squares.
    width = small.shape[1] * max(1, _SIDE // max(small.shape))
    return figure(png(indexed(small, low, high)), f"{what}: {scale}", width)


def _bytes_of(load: Load) -> int:
    """Return how many bytes of decoded chunks the first frame lies in, at most."""
    part = next((one for one in load.index.parts if one.count), None)
    if part is None:
        return 0
    stored = part.stored
    if stored.assembly is None:
        return _decoded(stored)
    # Of a dataset that is put together of others: as many frames as a chunk of the first has.
    pieces = stored.assembly.pieces
    frame = math.prod(stored.shape[-2:]) * stored.dtype.itemsize
    inner = pieces[0].stored if pieces else stored
    return max(frame, _decoded(inner))


def _decoded(stored: Stored) -> int:
    """Return the bytes of the chunks that a frame of a dataset lies in."""
    shape = stored.shape if stored.ndim > 2 else (1, *stored.shape)
    chunks = stored.chunks or (1, *shape[1:])
    if len(chunks) < len(shape):
        chunks = (1, *chunks)
    whole = [-(-size // chunk) * chunk for size, chunk in zip(shape[1:], chunks[1:], strict=True)]
    return math.prod([chunks[0], *whole]) * stored.dtype.itemsize
