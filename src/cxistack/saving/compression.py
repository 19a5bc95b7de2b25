"""How a new dataset is stored: what a user may say of it, and what is done when nothing is said."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import LayoutError
from ..hdf5.filters import BITSHUFFLE

__all__ = ["COMPRESSIONS", "Storage", "asked_for", "frame_chunks", "stored_filters"]


_NUMBERS_OF: Mapping[Any, int] = {"gzip": 1, "lzf": 32000, "szip": 4}
_SMALL_CHUNK = 1 << 16  # bytes: short rows share a chunk up to this size
_MOST_CHUNK = 1 << 30  # bytes: HDF5 takes no chunk of 4 GiB
_WORDS = frozenset(("compression", "compression_opts", "shuffle", "fletcher32"))
_NUMBERS = "biufc"

Keywords = Mapping[str, Any]


def _plugin(name: str, **options: Any) -> Keywords:
    import hdf5plugin  # at first need: it takes long

    return {**getattr(hdf5plugin, name)(**options)}


_SHUFFLE = {"shuffle": True}
_ALIASES = {"gzip": "deflate", "bitshuffle-lz4": "bitshuffle"}
#: Names of compressions: the range of their levels, the level when none is given, h5py's keywords.
COMPRESSIONS: Mapping[str, tuple[range | None, int, Callable[[int], Keywords]]] = {
    "bitshuffle": (None, 0, lambda _: _plugin("Bitshuffle", cname="lz4")),
    "bitshuffle-zstd": (range(1, 23), 3, lambda n: _plugin("Bitshuffle", cname="zstd", clevel=n)),
    "zstd": (range(1, 23), 3, lambda n: {**_plugin("Zstd", clevel=n), **_SHUFFLE}),
    "deflate": (range(10), 4, lambda n: {"compression": "gzip", "compression_opts": n, **_SHUFFLE}),
    "lz4": (None, 0, lambda _: {**_plugin("LZ4"), **_SHUFFLE}),
    "none": (None, 0, lambda _: {}),
}


def _keywords(compression: str | Keywords) -> Keywords:
    """Return h5py's words for a compression.

    Raises
    ------
    TypeError, ValueError
        There is no such compression, or it has no such level.
    """
    if isinstance(compression, Mapping):
        strange = sorted(set(compression) - _WORDS)
        if strange:
            raise ValueError(
                f"compression= takes these of h5py's keywords: {', '.join(sorted(_WORDS))}; "
                f"not {', '.join(strange)}"
            )
        return dict(compression)
    if not isinstance(compression, str):
        raise TypeError(
            "compression= takes a name, h5py's keywords, or a filter of hdf5plugin; not "
            f"{compression!r}"
        )
    name, colon, level = compression.partition(":")
    name = _ALIASES.get(name, name)
    if name not in COMPRESSIONS:
        known = ", ".join(repr(one) for one in sorted((*COMPRESSIONS, *_ALIASES)))
        raise ValueError(f"there is no compression {compression!r}; known are {known}")
    levels, usual, make = COMPRESSIONS[name]
    if not colon:
        return make(usual)
    if levels is None:
        raise ValueError(f"compression {name!r} has no levels, and {compression!r} names one")
    if not level.isdecimal() or int(level) not in levels:
        raise ValueError(
            f"compression {name!r} has levels {levels[0]} to {levels[-1]}, not {level!r}"
        )
    return make(int(level))


@dataclass(frozen=True)
class Storage:
    """What was said of how a dataset is stored.

    Attributes
    ----------
    filters : mapping or None
        The compression as h5py's keywords; None when nothing was said.
    chunks : tuple of int or None
        Shape of a chunk.
    is_stack : bool
        Whether the frames of a detector are saved: those are compressed unless told otherwise.
    """

    filters: Keywords | None = None
    chunks: tuple[int, ...] | None = None
    is_stack: bool = False

    @classmethod
    def of(
        cls,
        compression: str | Keywords | None,
        chunks: Sequence[int] | None,
        shape: tuple[int, ...],
        is_stack: bool,
    ) -> Storage:
        """Return what a user's words say of an array of `shape`.

        Raises
        ------
        TypeError, ValueError
            The words make no sense.
        """
        if chunks is not None:
            chunks = tuple(operator.index(n) for n in chunks)
            if len(chunks) != len(shape) or any(n < 1 for n in chunks):
                raise ValueError(
                    f"chunks= takes as many whole numbers above 0 as the array has axes; {chunks} "
                    f"does not fit the shape {shape}"
                )
        filters = None if compression is None else _keywords(compression)
        return cls(filters, chunks, is_stack)

    @property
    def is_given(self) -> bool:
        """Whether anything was said."""
        return self.filters is not None or self.chunks is not None

    def keywords(self, shape: tuple[int, ...], dtype: np.dtype[Any], by_frame: bool) -> Keywords:
        """Return what h5py's ``create_dataset`` is told of a new dataset's storage.

        A stack has a chunk for each frame (small frames share one) and room for more frames.
        Scalars, text and what has no pixels are not compressed, whatever was said.
        """
        is_numeric = dtype.kind in _NUMBERS and len(shape) > 0
        filters = self.filters if is_numeric else {}
        if filters is None:
            filters = _keywords("bitshuffle") if by_frame and self.is_stack else {}
        chunks = self.chunks if is_numeric else None
        if by_frame and 0 not in shape[1:]:
            chunks = self._fitted(chunks, shape) or frame_chunks(shape, dtype)
            return {**filters, "chunks": chunks, "maxshape": (None, *shape[1:])}
        if 0 in shape or not (filters or chunks):
            return {}
        return {**filters, "chunks": self._fitted(chunks, shape) or _split(shape, dtype.itemsize)}

    def _fitted(
        self, chunks: tuple[int, ...] | None, shape: tuple[int, ...]
    ) -> tuple[int, ...] | None:
        """Return chunks that reach no further than the array, but for its frames."""
        if chunks is None:
            return None
        return (chunks[0], *(min(c, max(1, n)) for c, n in zip(chunks[1:], shape[1:], strict=True)))

    def check_kept(self, dataset: Any, place: object) -> None:
        """Raise where frames are added to a dataset that is stored otherwise than was said.

        Levels are not looked at: what is there was made with another, and stays.
        """
        if self.chunks is not None and dataset.chunks != self._fitted(self.chunks, dataset.shape):
            raise LayoutError(
                f"{place} is stored in chunks of {dataset.chunks}, not of {self.chunks}; "
                "mode='overwrite' stores it anew"
            )
        if self.filters is not None and not self._has_filters_of(dataset, levels=False):
            raise LayoutError(
                f"{place} is compressed otherwise (by HDF5 filters {_codes(dataset)}); "
                "mode='overwrite' stores it anew"
            )

    def is_that_of(self, dataset: Any) -> bool:
        """Tell whether a dataset is stored as was said."""
        return (
            self.chunks is None or dataset.chunks == self._fitted(self.chunks, dataset.shape)
        ) and (self.filters is None or self._has_filters_of(dataset, levels=True))

    def _has_filters_of(self, dataset: Any, *, levels: bool) -> bool:
        asked = self.filters or {}
        name, options = asked.get("compression"), asked.get("compression_opts")
        expected = [_NUMBERS_OF.get(name, name)] if name is not None else []
        expected += [2] * bool(asked.get("shuffle")) + [3] * bool(asked.get("fletcher32"))
        there = dict(stored_filters(dataset))
        if sorted(there) != sorted(expected):
            return False
        wanted = (options,) if isinstance(options, int) else tuple(options or ())
        if name == BITSHUFFLE:
            values = asked_for(BITSHUFFLE, there[BITSHUFFLE])
            return values[1:2] == wanted[1:2] and (not levels or values == wanted)
        return not levels or name is None or there[expected[0]][: len(wanted)] == wanted


def frame_chunks(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, ...]:
    """Return one frame a chunk; short rows share one, and a huge frame is divided.

    Where there are none yet, many are to come.
    """
    frame = _split(shape[1:], dtype.itemsize)
    size = math.prod(frame) * dtype.itemsize
    if frame != tuple(max(1, n) for n in shape[1:]):
        return (1, *frame)
    return (max(1, min(_SMALL_CHUNK // size, shape[0] or _SMALL_CHUNK)), *frame)


def _split(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the shape, its first axes halved until it fits into a chunk."""
    chunk = [max(1, n) for n in shape]
    while math.prod(chunk) * itemsize > _MOST_CHUNK:
        axis = next(k for k, n in enumerate(chunk) if n > 1)
        chunk[axis] = (chunk[axis] + 1) // 2
    return tuple(chunk)


def stored_filters(dataset: Any) -> list[tuple[int, tuple[int, ...]]]:
    """Return the numbers of a dataset's HDF5 filters, and the parameters of each."""
    plist = dataset.id.get_create_plist()
    found = [plist.get_filter(number) for number in range(plist.get_nfilters())]
    return [(code, values) for code, _, values, _ in found]


def asked_for(code: int, values: tuple[int, ...]) -> tuple[int, ...]:
    """Return the parameters that a filter was given, of those that are stored.

    Bitshuffle puts two numbers of its version and the size of a pixel before them.
    """
    return values[3:] if code == BITSHUFFLE else values


def _codes(dataset: Any) -> str:
    return ", ".join(str(code) for code, _ in stored_filters(dataset)) or "none"
