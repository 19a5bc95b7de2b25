"""Loading pixels with NaN, or another value, where the mask says that they are bad."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CastError, LayoutError
from ..kernels import cast
from .load import Load

__all__ = ["check_masked", "read_masked"]

BATCH_BYTES = 64 << 20  # of mask that is held at a time


def check_masked(load: Load, masked: Any) -> Any:
    """Return what bad pixels become, in the type that is loaded.

    Raises
    ------
    ValueError
        The attribute has no pixels that a mask is about, or `masked` is neither "nan" nor a number.
    CastError
        The type that is loaded does not hold it; says which does.
    """
    attribute = load.attribute
    if not attribute.has_pixels or attribute.is_mask or load.request.raw or load.is_text:
        raise ValueError(
            f"masked= is about the pixels of frames and stacks; {load.attr!r} is a "
            f"{'mask' if attribute.is_mask else attribute.kind}: leave masked= out"
        )
    is_nan = isinstance(masked, str) and masked.lower() == "nan"
    value = np.asarray(math.nan if is_nan else masked)
    if value.ndim or value.dtype.kind not in "iufc":
        raise ValueError(f'masked= takes "nan" or one number, not {masked!r}')
    with np.errstate(all="ignore"):
        cast = value.astype(load.dtype)[()]
    is_same = np.isnan(cast) if value.dtype.kind == "f" and np.isnan(value) else cast == value
    is_rounded = load.dtype.kind in "fc" and value.dtype.kind in "iuf" and np.isfinite(cast)
    if is_same or is_rounded:
        return cast
    if is_nan or value.dtype.kind == "f":
        raise CastError(
            f"masked={masked!r} needs pixels of a float type, and {load.attr!r} comes as "
            f"{load.dtype}: say dtype='float32' as well, or a whole number for bad pixels"
        )
    raise CastError(f"masked={masked!r} does not fit {load.attr!r}, which comes as {load.dtype}")


def read_masked(
    load: Load,
    mask: Load,
    idxs: Any,
    out: NDArray[Any] | None,
    value: Any,
    plain: Callable[[], Load],
    **words: Any,
) -> Any:
    """Read frames, and put a value where their mask says that pixels are bad.

    What a bad pixel has need not fit the type that is loaded.

    Parameters
    ----------
    load, mask : Load
        What is read, and its mask through the same transform.
    idxs : index
        Which frames, as :meth:`Load.numbers` takes it.
    out : ndarray, optional
        Where they go.
    value : number
        What bad pixels become, as :func:`check_masked` returns it.
    plain : callable
        Returns the load of the same pixels as they are stored.
    **words
        Further words of :meth:`Load.read`.

    Raises
    ------
    LayoutError
        The mask has other pixels or other frames, or one for each frame beside a single image.
    """
    if load.is_single and not (mask.is_static or mask.is_single or mask.count == 1):
        raise LayoutError(
            f"{load.attr!r} is one image, and each frame has a mask of its own: masked= does not "
            "tell which one holds for it"
        )
    if mask.frame_shape != load.frame_shape:
        raise LayoutError(
            f"{load.attr!r} has frames of {load.frame_shape}, and its mask {mask.frame_shape}: "
            "masked= needs a mask of the same pixels"
        )
    if not load.is_single and mask.count != load.count and not mask.is_single:
        raise LayoutError(
            f"{load.attr!r} has {load.count} frames, and the mask {mask.count}: masked= needs a "
            "mask for each"
        )
    numbers = load.numbers(idxs)
    if not mask.is_single:
        mask.numbers(idxs)  # raises where its frames are not those of the data
    threads = words.get("num_threads")
    which = np.arange(1 if load.is_single else load.count) if numbers is None else numbers
    good = _Good(load, mask, which, threads)
    try:
        result = load.read(numbers, out, **words)
    except CastError:
        stored = plain()
        if stored.dtype == load.dtype:
            raise
        result = load.new(load.shape_of(len(which))) if out is None else out
        _read_good(stored, good, result[None] if load.is_single else result, value)
        return result
    if not result.flags.writeable:
        result = result.copy()
    frames = result[None] if load.is_single else result
    for some, pixels in good:
        np.copyto(frames[some], value, where=~pixels)
    return result


@dataclass(frozen=True)
class _Good:
    """Which pixels of frames are good, of some frames after the other."""

    load: Load
    mask: Load
    numbers: NDArray[np.int64]
    num_threads: int | None

    def __iter__(self) -> Iterator[tuple[slice, NDArray[np.bool]]]:
        load, mask, threads = self.load, self.mask, self.num_threads
        step = max(1, BATCH_BYTES // max(1, math.prod(load.frame_shape)))
        one = None
        if mask.is_static or mask.is_single or load.is_single:
            one = mask.read(None if mask.is_single else np.zeros(1, np.int64), num_threads=threads)
            one = np.reshape(one, load.frame_shape)
        for first in range(0, len(self.numbers), step):
            some = slice(first, min(first + step, len(self.numbers)))
            if one is None:
                yield some, mask.read(self.numbers[some], num_threads=threads)
            else:
                yield some, one


def _read_good(stored: Load, good: _Good, frames: NDArray[Any], value: Any) -> None:
    """Read frames as they are stored, and cast their good pixels alone; bad ones become `value`."""
    load, threads = good.load, good.num_threads
    for some, pixels in good:
        read = stored.read(None if load.is_single else good.numbers[some], num_threads=threads)
        raw = np.where(pixels, read[None] if load.is_single else read, stored.dtype.type(0))
        try:
            frames[some] = cast(raw, load.dtype.newbyteorder("="), num_threads=threads)
        except CastError as error:
            if error.offence is None:
                raise
            number = int(good.numbers[some][error.offence.frame])
            part = load.index.parts[int(np.searchsorted(load.index.offsets, number, "right")) - 1]
            offence = replace(error.offence, frame=number)
            raise CastError(
                f"frame {number} (of {part.stored.place}): good pixels do not all fit "
                f"{load.dtype}; the first is {offence.value} at {list(offence.pixel)} of the "
                "result's frame. Say a wider dtype, or casting='unsafe' to cast as NumPy does",
                offence,
            ) from error
        np.copyto(frames[some], value, where=~pixels)
