"""What is summed up of many frames: sums, means, deviations, extremes, counts, in one pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import _moments

__all__ = ["Moment", "Moments", "begin_frames", "merged"]

Moment: TypeAlias = Literal["sum", "mean", "var", "std", "min", "max", "over", "saturated"]

#: What each word needs to be kept, of integers up to 16 bits and of all other pixels.
_SMALL = {
    "sum": ("total",),
    "mean": ("total",),
    "var": ("total", "squares"),
    "std": ("total", "squares"),
    "min": ("lowest",),
    "max": ("highest",),
    "over": ("over",),
    "saturated": ("saturated",),
}
_WIDE = {**_SMALL, "var": ("mean", "spread"), "std": ("mean", "spread")}

_PIECE = 1 << 15  # pixels that are finished at a time: what is made on the way stays in the cache

#: So many values of 32 bits, or squares of 16, cannot pass 64 bits.
_MOST_FRAMES = 2**31


class Moments:
    """Sums, means, deviations, extremes and counts over frames, pixel by pixel, in one pass.

    Parameters
    ----------
    shape : tuple of int
        The shape of a frame.
    dtype : dtype
        The type of its pixels: booleans, integers of 8 to 64 bits, float32 or float64.
    how : str or sequence of str
        What to find: any of ``"sum"``, ``"mean"``, ``"var"``, ``"std"``, ``"min"``, ``"max"``,
        ``"over"`` (how many values are greater than `threshold`) and ``"saturated"`` (how many are
        `saturation` or more).
    threshold, saturation : number, optional
        Needed by ``"over"`` and ``"saturated"``, and compared as NumPy does: as a value of the
        pixels' type where these are floats.

    Attributes
    ----------
    shape, dtype, how
        As given; the type in this machine's byte order.
    frames : int
        How many frames were added.

    Notes
    -----
    Frames are added in their order, whatever the batches and the threads are, so that results are
    the same, bit for bit, for all batches. Sums of integers are exact. Sums of floats are those
    of A. Neumaier (Z. angew. Math. Mech. 54 (1974) 39): float64, with what each addition rounds
    away summed beside. A variance is that of the whole (no ``ddof``); of integers up to 16 bits it
    comes of the exact sum of their squares, of others by the updates of B. P. Welford
    (Technometrics 4 (1962) 419) in float64.

    Examples
    --------
    >>> import numpy as np
    >>> frames = np.array([[1, 2, 3], [5, 2, 9]], dtype=np.uint16)
    >>> moments = Moments((3,), frames.dtype, ["mean", "max", "over"], threshold=4)
    >>> moments.add(frames)
    >>> moments.result("mean")
    array([3., 2., 6.])
    >>> moments.result("max"), moments.result("over")
    (array([5, 2, 9], dtype=uint16), array([1, 0, 1]))
    """

    def __init__(
        self,
        shape: Sequence[int],
        dtype: DTypeLike,
        how: Moment | Sequence[Moment],
        *,
        threshold: float | None = None,
        saturation: float | None = None,
    ) -> None:
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.how: tuple[Moment, ...] = (how,) if isinstance(how, str) else tuple(how)
        self.frames = 0
        self.threshold, self.saturation = threshold, saturation
        self._states: dict[str, NDArray[Any]] = {}
        if self.dtype.kind not in "biuf" or self.dtype.itemsize > 8 or self.dtype == np.float16:
            raise TypeError(
                f"There are no sums of {self.dtype} pixels: only of booleans, integers of 8 to 64 "
                "bits, float32 and float64."
            )
        needs = _SMALL if self.dtype.kind != "f" and self.dtype.itemsize <= 2 else _WIDE
        for word in self.how:
            if word not in needs:
                raise ValueError(f"There is no {word!r}; there are {', '.join(map(repr, needs))}")
            for state in needs[word]:
                if state not in self._states:
                    self._begin(state)

    def _begin(self, state: str) -> None:
        """Make a state that has seen no frame."""
        dtype: np.dtype[Any] = np.dtype(np.float64)
        empty: Any = 0.0
        kind = self.dtype.kind
        if state == "total":
            dtype = np.dtype({"i": "i8", "f": "f8"}.get(kind, "u8"))
        elif state == "squares":
            dtype = np.dtype(np.uint64)
        elif state in ("lowest", "highest"):
            dtype, empty = self.dtype, _furthest(self.dtype, above=state == "lowest")
        elif state in ("over", "saturated"):
            dtype = np.dtype(np.int64)
            limit = self.threshold if state == "over" else self.saturation
            if limit is None:
                word = "threshold" if state == "over" else "saturation"
                raise ValueError(f'"{state}" counts values against {word}: give {word}=')
            least = _least(limit, self.dtype, beyond=state == "over")
            if least is not None:
                self._states[f"{state}_limit"] = least
        # Zeros come with the first touch, by the threads that add.
        is_zero = empty == 0
        self._states[state] = (
            np.zeros(self.shape, dtype) if is_zero else np.full(self.shape, empty, dtype)
        )
        if state == "total" and kind == "f":
            self._states["rest"] = np.zeros(self.shape)

    @property
    def count(self) -> int | NDArray[np.int64]:
        """How many good frames each pixel has had; one number while no mask was given."""
        counts = self._states.get("count")
        return self.frames if counts is None else counts

    def add(
        self,
        frames: NDArray[Any],
        mask: NDArray[np.bool] | None = None,
        *,
        num_threads: int | None = None,
    ) -> None:
        """Add frames that come after those before.

        Parameters
        ----------
        frames : ndarray
            Any number of frames along the first axis; any strides and byte order.
        mask : ndarray of bool, optional
            True where a pixel is good: one mask for all these frames, or one for each. What is
            bad counts as absent.
        num_threads : int, optional
            Threads for many pixels; None is every core this process may use.

        Raises
        ------
        OverflowError
            The sum of a pixel of 64 bits leaves 64 bits; the message names the first pixel that
            was found. The object is then of no more use.
        TypeError, ValueError
            Frames or mask have another type or shape.
        """
        if not isinstance(frames, np.ndarray) or frames.shape[1:] != self.shape:
            shape = getattr(frames, "shape", type(frames).__name__)
            raise ValueError(f"Frames of shape {self.shape} are added here, not {shape}")
        if frames.dtype.newbyteorder("=") != self.dtype:
            raise TypeError(f"Pixels of type {self.dtype} are added here, not {frames.dtype}")
        states, before = begin_frames(self, len(frames), masked=mask is not None)
        bad = _moments.accumulate(
            frames, states, dtype=self.dtype, before=before, mask=mask, num_threads=num_threads
        )
        if bad is not None:
            self._refuse(bad)
        self.frames += len(frames)

    def merge(self, other: Moments) -> None:
        """Take in what another has summed up, as if its frames came after.

        Integers, extremes and counts are what one pass over all frames gives. Sums and deviations
        of floats may differ from it in their last bits: means and deviations are merged as by
        T. F. Chan, G. H. Golub and R. J. LeVeque (The American Statistician 37 (1983) 242).

        Parameters
        ----------
        other : Moments
            Of the same shape, type, words and limits. It stays as it is.

        Raises
        ------
        ValueError
            The other is of something else.
        OverflowError
            As in `add`.
        """
        limits = [(one.threshold, one.saturation) for one in (self, other)]
        if (self.shape, self.dtype, set(self.how), limits[0]) != (
            other.shape,
            other.dtype,
            set(other.how),
            limits[1],
        ):
            raise ValueError("Only moments of one shape, pixel type, words and limits are merged.")
        if self.frames + other.frames > _MOST_FRAMES and self.dtype.kind != "f":
            raise OverflowError(f"After {_MOST_FRAMES} frames, sums may no longer fit 64 bits.")
        mine, theirs = self._states, other._states
        counts = self.count, other.count
        if "mean" in mine:
            _merge_spread(mine, theirs, *counts)
        if "rest" in mine:
            _merge_floats(mine, theirs)
        elif "total" in mine:
            mine["total"] = self._added(mine["total"], theirs["total"])
        for name, join in (
            *(("squares", np.add), ("over", np.add), ("saturated", np.add)),
            *(("lowest", np.minimum), ("highest", np.maximum)),
        ):
            if name in mine:
                mine[name] = join(mine[name], theirs[name])
        if "count" in mine or "count" in theirs:
            mine["count"] = np.broadcast_to(counts[0] + counts[1], self.shape).astype(np.int64)
        self.frames += other.frames

    def result(self, word: Moment, *, fill: float | None = None) -> NDArray[Any]:
        """Return what was found so far.

        Parameters
        ----------
        word : str
            One of `how`.
        fill : number, optional
            What pixels have of which no frame was good. Sums and counts of these are 0.

        Returns
        -------
        ndarray
            A new array. Sums are uint64 (of booleans and unsigned integers), int64 or float64;
            means, variances and deviations float64; extremes of the pixels' type; counts int64.

        Raises
        ------
        ValueError
            Some pixel has no good frame, and no `fill` was given; or the word is none of `how`.
        """
        if word not in self.how:
            raise ValueError(f"{word!r} was not asked for, only {', '.join(map(repr, self.how))}")
        states = self._states
        if word in ("over", "saturated"):
            return states[word].copy()
        if word == "sum":
            return self._total().copy() if "rest" not in states else self._total()
        found = {"min": self._lowest, "max": self._highest, "mean": self._mean}.get(
            word, self._variance
        )()
        if word == "std":
            np.sqrt(found, out=found)
        return filled(found, self.count, fill)

    def _lowest(self) -> NDArray[Any]:
        return self._states["lowest"].copy()

    def _highest(self) -> NDArray[Any]:
        return self._states["highest"].copy()

    def _total(self) -> NDArray[Any]:
        total: NDArray[Any] = self._states["total"]
        return total + self._states["rest"] if "rest" in self._states else total

    def _mean(self) -> NDArray[Any]:
        return np.asarray(self._total() / np.maximum(self.count, 1))

    def _variance(self) -> NDArray[Any]:
        states = self._states
        count = np.maximum(self.count, 1)
        if "spread" in states:
            return np.asarray(states["spread"] / count)
        found = np.empty(self.shape)
        flat, counts = found.reshape(-1), np.broadcast_to(count, self.shape).reshape(-1)
        totals, squares = states["total"].reshape(-1), states["squares"].reshape(-1)
        for first in range(0, flat.size, _PIECE):
            some = slice(first, first + _PIECE)
            n = counts[some] if np.ndim(count) else count
            flat[some] = _exact_variance(totals[some], squares[some], n)
        return found

    def _added(self, one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
        total: NDArray[Any] = one + other
        if self.dtype.itemsize < 8:  # so many frames as there may be fit
            return total
        wrapped = ((one ^ total) & (other ^ total)) < 0 if total.dtype.kind == "i" else total < one
        if wrapped.any():
            self._refuse(int(np.argmax(wrapped)))
        return total

    def _refuse(self, pixel: int) -> None:
        where = tuple(int(i) for i in np.unravel_index(pixel, self.shape))
        raise OverflowError(
            f"The sum of pixel {where} does not fit {self._states['total'].dtype}; take the mean "
            'of such values as dtype="float64".'
        )


def begin_frames(
    moments: Moments, count: int, *, masked: bool
) -> tuple[dict[str, NDArray[Any]], int]:
    """Return what a kernel adds `count` frames to: states by name, and the frames before.

    Who calls it raises `moments.frames` when they are added.

    Raises
    ------
    OverflowError
        Sums of so many frames may not fit.
    """
    if moments.frames + count > _MOST_FRAMES and moments.dtype.kind != "f":
        raise OverflowError(f"After {_MOST_FRAMES} frames, sums may no longer fit 64 bits.")
    states = moments._states
    if masked and "count" not in states:
        states["count"] = np.full(moments.shape, moments.frames, np.int64)
    return states, moments.frames


def merged(moments: Moments, other: Moments) -> Moments:
    """Return what :meth:`Moments.merge` makes of moments, which stay as they are."""
    new = copy(moments)
    new._states = dict(moments._states)  # a merge makes new arrays
    new.merge(other)
    return new


def _exact_variance(
    total: NDArray[Any], squares: NDArray[np.uint64], count: int | NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return variances from exact sums.

    About the integer that is nearest to the mean, squares are exact and hardly larger than what is
    left of them; unsigned integers wrap, and come back.
    """
    whole = np.rint(total / count).astype(np.int64).view(np.uint64)
    total = total.view(np.uint64)
    rest = total - whole * np.asarray(count).astype(np.uint64)
    left = squares - whole * (total + rest)
    offset = rest.view(np.int64).astype(np.float64)
    return np.asarray((left - offset * (offset / count)) / count)


def filled(
    values: NDArray[Any], count: int | NDArray[np.integer[Any]], fill: float | None
) -> NDArray[Any]:
    """Put `fill` where nothing was counted, or say where that is."""
    absent = np.broadcast_to(np.asarray(count) == 0, values.shape)
    if not absent.any():
        return values
    if fill is None:
        refuse_absent(absent)
    values[absent] = fill
    return values


def refuse_absent(absent: NDArray[np.bool_]) -> None:
    """Raise the error that names the first of the pixels that have no good frame."""
    others = int(np.count_nonzero(absent)) - 1
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(absent)), absent.shape))
    raise ValueError(
        f"Pixel {where} has no good frame, nor have {others} others; fill= gives them a value."
        if others
        else f"Pixel {where} has no good frame; fill= gives it a value."
    )


def _furthest(dtype: np.dtype[Any], *, above: bool) -> Any:
    """Return the value of a type that no other lies beyond."""
    if dtype.kind == "b":
        return above
    if dtype.kind == "f":
        return np.inf if above else -np.inf
    limits = np.iinfo(dtype)
    return limits.max if above else limits.min


def _least(limit: float, dtype: np.dtype[Any], *, beyond: bool) -> NDArray[Any] | None:
    """Return the least value that reaches (or lies beyond) a limit; None if no value does."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            value = dtype.type(limit)
        if np.isnan(value) or (beyond and value == np.inf):
            return None
        return np.asarray(np.nextafter(value, dtype.type(np.inf)) if beyond else value)
    if dtype.kind == "b":
        dtype = np.dtype(np.uint8)
    limits = np.iinfo(dtype)
    if not limit <= limits.max:  # NaN too
        return None
    if limit < limits.min:
        return np.asarray(limits.min, dtype)
    least = math.floor(limit) + 1 if beyond else math.ceil(limit)
    return np.asarray(least, dtype) if least <= limits.max else None


def _merge_floats(mine: dict[str, NDArray[Any]], theirs: dict[str, NDArray[Any]]) -> None:
    """Add two compensated sums: the totals, what that rounds away, and both rests."""
    with np.errstate(invalid="ignore", over="ignore"):
        total = mine["total"] + theirs["total"]
        part = total - mine["total"]
        lost = (mine["total"] - (total - part)) + (theirs["total"] - part)
    mine["rest"] = mine["rest"] + theirs["rest"] + np.where(np.isfinite(total), lost, 0.0)
    mine["total"] = total


def _merge_spread(
    mine: dict[str, NDArray[Any]],
    theirs: dict[str, NDArray[Any]],
    before: int | NDArray[np.int64],
    after: int | NDArray[np.int64],
) -> None:
    """Merge means and sums of squared distances of so many values each."""
    count = np.maximum(np.asarray(before) + after, 1)
    with np.errstate(invalid="ignore", over="ignore"):
        away = theirs["mean"] - mine["mean"]
        mean = mine["mean"] + away * (after / count)
        spread = mine["spread"] + theirs["spread"] + away * away * (before * (after / count))
    # What has seen nothing changes nothing, not even an infinity.
    for name, merged in (("mean", mean), ("spread", spread)):
        merged = np.where(np.asarray(before) == 0, theirs[name], merged)
        mine[name] = np.where(np.asarray(after) == 0, mine[name], merged)
