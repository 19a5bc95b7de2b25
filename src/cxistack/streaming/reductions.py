"""What frames are reduced to: objects that begin, take frames, are merged, and finish."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..kernels import Moments, median, percentile
from ..kernels.moments import merged

__all__ = [
    "MOMENTS",
    "RANKS",
    "Histogram",
    "Percentiles",
    "Reduction",
    "Statistics",
    "check_fill",
    "good_of",
    "parsed",
]

MOMENTS = ("sum", "mean", "var", "std", "min", "max", "over", "saturated")
RANKS = ("median", "percentile")
_WITH_VALUE = ("over", "saturated", "percentile", "histogram")
_WORDS = (*MOMENTS, *RANKS, "histogram")


@runtime_checkable
class Reduction(Protocol):
    """What :meth:`CXIStore.reduce` reduces frames by: the built-in ones, and a user's own.

    Its state may be anything; where states are to come from several processes, what pickles.
    """

    def init(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """Return the state before the first frame: of frames of this shape and type."""

    def step(self, state: Any, frames: NDArray[Any], idxs: NDArray[np.int64]) -> Any:
        """Return the state with some more frames, (frames, ...), and their numbers.

        With a mask, `frames` is a :class:`numpy.ma.MaskedArray`, masked where a pixel is bad. The
        memory of `frames` is used again: what is kept of it must be a copy.
        """

    def merge(self, a: Any, b: Any) -> Any:
        """Return the state of the frames of two states; those of `b` come after those of `a`."""

    def finish(self, state: Any) -> Any:
        """Return the result."""


def good_of(frames: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return which pixels are good: of each frame, or (...) of all; None: all are."""
    bad: Any = np.ma.getmask(frames)
    if bad is np.ma.nomask:
        return None
    one_for_all = len(bad) > 0 and bad.strides[0] == 0
    good: NDArray[np.bool_] = ~(bad[0] if one_for_all else bad)
    return good


class Statistics:
    """Sums, means, deviations, extremes and counts, several by one pass.

    Parameters
    ----------
    how : sequence of (str, value)
        Words of :class:`cxistack.kernels.Moments`, each with the value that it needs, or None.
    fill : number, optional
        What pixels become that have no good value.
    num_threads : int, optional
        How many threads work.
    """

    def __init__(
        self, how: Sequence[tuple[str, Any]], fill: Any = None, num_threads: int | None = None
    ) -> None:
        self._how, self._fill, self._threads = tuple(how), fill, num_threads

    def init(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> list[Moments]:
        """Return the state before the first frame."""
        # One object holds one threshold: further ones of "over" come with an object each.
        groups: list[dict[str, Any]] = []
        for word, value in self._how:
            fits = (one for one in groups if one.get(word, value) == value)
            group = next(fits, None)
            if group is None:
                groups.append(group := {})
            group[word] = value
        return [
            Moments(
                shape,
                dtype,
                list(group),  # type: ignore[arg-type]  # the words were checked
                threshold=group.get("over"),
                saturation=group.get("saturated"),
            )
            for group in groups
        ]

    def step(
        self, state: list[Moments], frames: NDArray[Any], idxs: NDArray[np.int64]
    ) -> list[Moments]:
        """Return the state with some more frames."""
        good = good_of(frames)
        for moments in state:
            moments.add(np.asarray(frames), good, num_threads=self._threads)
        return state

    def merge(self, a: list[Moments], b: list[Moments]) -> list[Moments]:
        """Return the state of the frames of both, which stay as they are."""
        return [merged(one, other) for one, other in zip(a, b, strict=True)]

    def finish(self, state: list[Moments]) -> list[NDArray[Any]]:
        """Return the result."""
        return [self._result(state, word, value) for word, value in self._how]

    def _result(self, state: Sequence[Moments], word: str, value: Any) -> NDArray[Any]:
        limits = {"over": "threshold", "saturated": "saturation"}
        moments = next(
            one
            for one in state
            if word in one.how and (word not in limits or getattr(one, limits[word]) == value)
        )
        result: NDArray[Any] = moments.result(word, fill=self._fill)  # type: ignore[arg-type]
        # How many are True is a signed number in NumPy.
        return result.astype(np.int64) if word == "sum" and moments.dtype == np.bool_ else result


class Percentiles:
    """Exact medians and percentiles of frames that are all in memory at once.

    Parameters
    ----------
    how : sequence of None, float, or sequence of float
        Percentiles, or lists of them; None is the median.
    fill, num_threads
        As for :class:`Statistics`.
    """

    def __init__(
        self, how: Sequence[Any], fill: Any = None, num_threads: int | None = None
    ) -> None:
        self._how, self._fill, self._threads = tuple(how), fill, num_threads

    def of(self, frames: NDArray[Any]) -> list[NDArray[Any]]:
        """Return each of the frames (frames, ...), masked where pixels are bad."""
        values, how = np.asarray(frames), {"fill": self._fill, "num_threads": self._threads}
        good = good_of(frames)
        return [
            median(values, mask=good, **how)
            if q is None
            else percentile(values, q, mask=good, **how)
            for q in self._how
        ]


class Histogram:
    """How many values lie in each bin, over all pixels of all frames.

    Parameters
    ----------
    edges : array_like
        Edges of the bins, ascending; the last bin is closed, as NumPy has it.
    """

    def __init__(self, edges: Any) -> None:
        self._edges = np.asarray(edges)

    def init(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[np.int64]:
        """Return the state before the first frame."""
        return np.zeros(max(0, len(self._edges) - 1), np.int64)

    def step(
        self, state: NDArray[np.int64], frames: NDArray[Any], idxs: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the state with some more frames."""
        for frame in frames:
            values = np.ma.compressed(frame) if isinstance(frame, np.ma.MaskedArray) else frame
            if values.dtype.kind in "bu" and values.dtype.itemsize <= 2:
                # Far faster, and the same: each value once, with how often it is there.
                counts = np.bincount(values.ravel())
                state = state + np.histogram(np.arange(len(counts)), self._edges, weights=counts)[0]
            else:
                state = state + np.histogram(values, self._edges)[0]
        return state.astype(np.int64)

    def merge(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the state of the frames of both."""
        return a + b

    def finish(self, state: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the result."""
        return state


def parsed(how: Any) -> list[tuple[Any, str, Any]]:
    """Return what a user asks for: the key of each result, its word ("own": an object), its value.

    Raises
    ------
    ValueError
        There is no such word, or it needs a value, or has none.
    """
    is_list = isinstance(how, Iterable) and not isinstance(how, str | tuple)
    several = list(how) if is_list else [how]
    if not several:
        raise ValueError("how names nothing to reduce frames to")
    found: list[tuple[Any, str, Any]] = []
    for one in several:
        if not isinstance(one, str | tuple):
            if not isinstance(one, Reduction):
                raise ValueError(
                    f"{one!r} reduces nothing: it is one of {', '.join(_WORDS)}, or an object with "
                    "init(), step(), merge() and finish()"
                )
            if is_list and type(one).__hash__ is None:
                raise ValueError(
                    f"{one!r} has no hash, and results of a list are a dict by what it names: give "
                    "it alone, or make its class @dataclass(eq=False)"
                )
            found.append((one, "own", one))
            continue
        word, value = (*one, None)[:2] if isinstance(one, tuple) else _split(one)
        if word not in _WORDS:
            raise ValueError(f"there is no {word!r} of frames; there are {', '.join(_WORDS)}")
        if (value is None) == (word in _WITH_VALUE):
            example = f'"{word}:99", or ("{word}", 99)'
            raise ValueError(
                f"{word!r} takes no value"
                if value is not None
                else f"{word!r} needs a value: {example}"
                if word != "histogram"
                else "'histogram' needs the edges of its bins: (\"histogram\", edges)"
            )
        _check_value(word, value)
        key = one if isinstance(one, str) else (word, *(value if np.ndim(value) else [value]))
        found.append((key, word, value))
    return found


def _check_value(word: str, value: Any) -> None:
    """Raise for a value that means nothing, before any frame is read."""
    if value is None:
        return
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{word!r} takes numbers, not {value!r}") from None
    if word == "histogram":
        if numbers.ndim != 1 or len(numbers) < 2 or not (np.diff(numbers) >= 0).all():
            raise ValueError(
                "'histogram' takes the edges of its bins, two numbers or more, the lowest first, "
                f"not {value!r}"
            )
    elif word == "percentile":
        if numbers.ndim > 1 or not ((numbers >= 0) & (numbers <= 100)).all():
            raise ValueError(f"'percentile' takes one or several of 0 to 100, not {value!r}")
    elif numbers.ndim or np.isnan(numbers):
        raise ValueError(f"{word!r} takes a number, not {value!r}")


def check_fill(fill: Any, dtype: np.dtype[Any], wanted: Sequence[tuple[Any, str, Any]]) -> None:
    """Raise where `fill` is no value of the pixels' type, which extremes have.

    Raises
    ------
    ValueError
        It would not fit.
    """
    if (
        fill is None
        or dtype.kind == "f"
        or not any(word in ("min", "max") for _, word, _ in wanted)
    ):
        return
    least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if not (least <= fill <= most and fill == int(fill)):
        raise ValueError(
            f"fill={fill} is no value of {dtype} pixels, which min and max have: ask for these "
            "apart, with another fill"
        )


def _split(one: str) -> tuple[str, Any]:
    word, colon, value = one.partition(":")
    if not colon:
        return word, None
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"{one!r}: {value!r} is no number") from None
    return word, int(number) if number.is_integer() else number
