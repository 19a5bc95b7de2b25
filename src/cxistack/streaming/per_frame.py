"""What the pixels of each frame are reduced to: a number a frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .reduce import Limits, Source, named, reduce
from .reductions import check_fill, parsed

__all__ = ["is_of_pixels", "reduce_pixels", "reduced"]


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type that sums come in, as NumPy has it, but for floats: float64."""
    return np.dtype({"f": "f8", "i": "i8"}.get(dtype.kind, "u8"))


_WORDS: dict[str, Callable[[Any, tuple[int, ...], Any], Any]] = {
    "sum": lambda frames, axes, _: frames.sum(axis=axes, dtype=_wide(frames.dtype)),
    "mean": lambda frames, axes, _: frames.mean(axis=axes, dtype=np.float64),
    "var": lambda frames, axes, _: frames.var(axis=axes, dtype=np.float64),
    "std": lambda frames, axes, _: frames.std(axis=axes, dtype=np.float64),
    "min": lambda frames, axes, _: frames.min(axis=axes),
    "max": lambda frames, axes, _: frames.max(axis=axes),
    "over": lambda frames, axes, value: (frames > value).sum(axis=axes, dtype=np.int64),
    "saturated": lambda frames, axes, value: (frames >= value).sum(axis=axes, dtype=np.int64),
}


def reduced(source: Source, how: Any, axis: Any, limits: Limits) -> Any:
    """Reduce the frames, or the pixels of each.

    Raises
    ------
    ValueError
        The axis is neither.
    """
    return (reduce_pixels if is_of_pixels(source, axis) else reduce)(source, how, limits)


def is_of_pixels(source: Source, axis: Any) -> bool:
    """Tell whether an axis means the pixels of each frame, and not the frames.

    Raises
    ------
    ValueError
        It is neither.
    """
    if np.ndim(axis) == 0 and axis == 0:
        return False
    pixels = tuple(range(1, 1 + len(source.shape)))
    if tuple(sorted(np.atleast_1d(axis).tolist())) == pixels:
        return True
    raise ValueError(f"axis is 0 (the frames) or {pixels} (the pixels of each), not {axis!r}")


def reduce_pixels(source: Source, how: Any, limits: Limits) -> Any:
    """Reduce the pixels of each frame by NumPy; see :meth:`CXIStore.reduce`.

    Raises
    ------
    ValueError
        A word is none of these, or a frame has no good pixel and there is no `fill`.
    OverflowError
        A sum of 64-bit integers may not fit 64 bits.
    """
    wanted = parsed(how)
    for key, word, _ in wanted:
        if word not in _WORDS:
            raise ValueError(
                f"{key!r} is not made of the pixels of a frame: {', '.join(_WORDS)} are"
            )
        if not math.prod(source.shape) and word not in ("sum", "over", "saturated"):
            raise ValueError(f"frames of shape {source.shape} have no pixels, and so no {word}")
    check_fill(limits.fill, source.dtype, wanted)
    columns: list[list[Any]] = [[] for _ in wanted]
    with source.progress() as bar:
        for frames, idxs in source.stream():
            axes = tuple(range(1, frames.ndim))
            if any(word == "sum" for _, word, _ in wanted):
                _refuse_overflow(frames, idxs)
            for column, (_, word, value) in zip(columns, wanted, strict=True):
                made = _WORDS[word](frames, axes, value)
                empty = np.ma.getmaskarray(made)
                if word in ("sum", "over", "saturated"):
                    made = np.ma.filled(made, 0)
                elif empty.any():
                    if limits.fill is None:
                        raise ValueError(
                            f"frame {idxs[np.argmax(empty)]} has no good pixel: say by fill= what "
                            f"its {word} is to be"
                        )
                    made = np.ma.filled(made, limits.fill)
                column.append(np.asarray(made))
            if bar is not None:
                bar.update(len(idxs))
    return named(how, wanted, [np.concatenate(column) for column in columns])


def _refuse_overflow(frames: Any, idxs: Any) -> None:
    if frames.dtype.kind in "iu" and frames.dtype.itemsize == 8 and frames.size:
        largest = max(abs(int(frames.min() or 0)), abs(int(frames.max() or 0)))
        if largest * (frames.size // len(frames)) >= 1 << 63:
            raise OverflowError(
                f"sums of the pixels of frames {idxs[0]} to {idxs[-1]}, up to {largest}, may not "
                "fit 64 bits"
            )
