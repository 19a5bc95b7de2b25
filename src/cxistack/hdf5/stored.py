"""A dataset as it lies in its file, and what it is put together of."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import LayoutError
from ..transforms.steps import Axis
from .boxes import Box, cut, may_overlap, pairs, size_of
from .files import Files, Stamp
from .filters import FILTERS, filters_of
from .links import Place
from .messages import DAMAGE, words
from .remote.urls import is_url

__all__ = [
    "Assembly",
    "Piece",
    "Stored",
    "address_of",
    "describe",
    "describe_open",
    "fill_value",
    "leaves",
    "nested",
    "stated_units",
    "storage_name",
    "stored_bytes",
]


@dataclass(frozen=True)
class Stored:
    """A dataset as it lies in its file.

    Attributes
    ----------
    place : Place
        The file and the path that hold it.
    shape : tuple of int
        Its shape.
    dtype : numpy.dtype
        Its type, as h5py gives it; ``object`` for text.
    storage : {"contiguous", "chunked", "compact", "virtual", "modules", "columns"}
        How HDF5 lays it out; the last two are in no file, but put together of several datasets.
    chunks : tuple of int or None
        Shape of a chunk.
    filters : tuple of str
        Its filter pipeline.
    address : tuple
        What is the same for the same dataset under another name: its file, and where in it.
    stamp : Stamp
        What its file was when this was seen.
    assembly : Assembly or None
        The pieces of other datasets that a virtual dataset is made of, where all are rectangular.
    obstacle : str
        Of a virtual dataset without an `assembly`: why it has none, for people to read.
    units : str or None
        The unit that it states by its HDF5 attribute ``units``, where that was looked for.
    """

    place: Place
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    storage: str
    chunks: tuple[int, ...] | None
    filters: tuple[str, ...]
    address: tuple[str, int]
    stamp: Stamp
    assembly: Assembly | None = None
    obstacle: str = ""
    units: str | None = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of its values, decoded."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def chunk_grid(self) -> tuple[int, ...]:
        """How many chunks there are along each axis, of a dataset that has chunks."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunks or (), strict=True))

    @property
    def is_in_file(self) -> bool:
        """Whether it is a dataset of a file, and not put together of several by a protocol."""
        return self.storage not in ("modules", "columns")

    def assembled(
        self, place: Place, storage: str, shape: tuple[int, ...], assembly: Assembly
    ) -> Stored:
        """Return a dataset that is in no file, made of others; it is known by this one's address.

        Its type is that of the assembly's fill value.
        """
        owner, address = self.address
        return replace(
            self,
            place=place,
            shape=shape,
            dtype=assembly.fill.dtype,
            storage=storage,
            chunks=None,
            filters=(),
            address=(owner, -1 - address),
            assembly=assembly,
        )

    @property
    def is_text(self) -> bool:
        """Whether it holds strings."""
        return self.dtype.kind == "O"


def describe(files: Files, place: Place, has_units: bool = False) -> Stored:
    """Look at the dataset at `place` without reading it, nor at the sources of a virtual one.

    With `has_units`, the unit that it states is looked for, too.

    Raises
    ------
    LayoutError
        It is empty (a null dataspace), holds neither numbers nor text, or keeps its values in
        external raw files.
    """
    with files.reading(place.filename) as h5:
        dataset = h5py.h5d.open(h5.id, os.fsencode(place.path))
        return describe_open(dataset, place, files.stamp(place.filename), has_units)


def describe_open(dataset: Any, place: Place, stamp: Stamp, has_units: bool) -> Stored:
    """Return what :func:`describe` does, of a :class:`h5py.h5d.DatasetID`."""
    # The low-level calls: of 10 000 files, this is done to each.
    plist = dataset.get_create_plist()
    storage = storage_name(plist)
    if storage == "virtual" and is_url(place.filename):
        _refuse_endless(plist, place)
    if dataset.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        raise LayoutError(
            f"{place} is empty: its writer gave it a type, and neither a shape nor values"
        )
    if storage == "external":
        raise LayoutError(
            f"{place} keeps its values in external raw files "
            f"({os.fsdecode(plist.get_external(0)[0])!r}, ...), which are never read: they may "
            "be any file"
        )
    return Stored(
        place=place,
        shape=dataset.shape,
        dtype=_pixel_type(dataset, place),
        storage=storage,
        chunks=plist.get_chunk() if storage == "chunked" else None,
        filters=tuple(FILTERS.get(one.code, f"filter {one.code}") for one in filters_of(plist)),
        address=(place.filename, address_of(dataset, place.filename, place.path)),
        stamp=stamp,
        units=stated_units(dataset) if has_units else None,
    )


def _refuse_endless(plist: Any, place: Place) -> None:
    """Raise where a dataset on a server is as long as its sources: HDF5 looks for them here."""
    for number in range(plist.get_virtual_count()):
        space = plist.get_virtual_vspace(number)
        if space.get_select_type() != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
            continue
        if any(h5py.h5s.UNLIMITED in one for one in space.get_regular_hyperslab()):
            raise LayoutError(
                f"{place} is virtual without an end, and HDF5 finds how long its sources are in "
                "files here only: name the sources themselves, or copy the files here"
            )


def stored_bytes(files: Files, stored: Stored) -> bytes | None:
    """Return the values of a small dataset as they are stored; None where that is not simple.

    What cannot be read is None, too: it is told of where the values are wanted.
    """
    if stored.filters or stored.is_text or stored.storage not in ("contiguous", "compact"):
        return None
    path = stored.place.filename
    try:
        with files.reading(path) as h5:
            if files.stamp(path) != stored.stamp:
                return None
            values = np.empty(stored.shape, stored.dtype)
            dataset = h5py.h5d.open(h5.id, os.fsencode(stored.place.path))
            dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    except DAMAGE:
        return None
    return values.tobytes()


def address_of(node: Any, filename: str, path: str) -> int:
    """Return where an open object lies in its file, by a path free of links.

    HDF5 walks through all that leads to its chunks when it is asked of an object, and so meets
    damage. Of a file on a server that takes too many requests: there the link is asked.
    """
    name = os.fsencode(path.strip("/"))
    if not name or not is_url(filename):
        return int(h5py.h5o.get_info(node).addr)
    return int(h5py.h5i.get_file_id(node).links.get_info(name).u)


def storage_name(plist: Any) -> str:
    """Return how a dataset is laid out: as in :class:`Stored`, or "external" (raw files)."""
    layout = plist.get_layout()
    if layout == h5py.h5d.CONTIGUOUS:
        return "external" if plist.get_external_count() else "contiguous"
    return {h5py.h5d.CHUNKED: "chunked", h5py.h5d.COMPACT: "compact"}.get(layout, "virtual")


def fill_value(plist: Any, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return the value of pixels that were never written; None where they have no defined one."""
    fill = np.zeros((), dtype)
    if plist.fill_value_defined() == h5py.h5d.FILL_VALUE_UNDEFINED:
        return None
    plist.get_fill_value(fill)
    return fill


def stated_units(dataset: Any) -> str | None:
    """Return what the attribute ``units`` says; None where it is missing or empty."""
    if not h5py.h5a.exists(dataset, b"units"):
        return None
    value = h5py.Dataset(dataset).attrs["units"]
    if isinstance(value, str | bytes):
        return _stated(value) or None
    if isinstance(value, h5py.Empty):
        return None
    texts = dict.fromkeys(_stated(one) for one in np.atleast_1d(value).flat)
    return ", ".join(texts) or None


def _stated(value: object) -> str:
    """Return the text of an attribute; some programs write it in Latin-1, not in UTF-8."""
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    if not isinstance(value, bytes):
        return str(value)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return text.strip(" \t\r\n\0")


def _pixel_type(dataset: Any, place: Place) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = dataset.dtype
    except TypeError as cause:
        raise LayoutError(
            f"{place} has a type that NumPy does not have, so h5py cannot read it: {words(cause)}"
        ) from cause
    if h5py.check_string_dtype(dtype) is not None:
        return np.dtype(object)
    if dtype.kind in "biufc":
        return np.dtype(dtype.str)  # without h5py's marks of enums and the like
    raise LayoutError(f"{place} is of {_type_words(dtype)}, which is neither numbers nor text")


def _type_words(dtype: np.dtype[Any]) -> str:
    """Name a type that pixels cannot have."""
    rows = h5py.check_vlen_dtype(dtype)
    if rows is not None:
        return f"a type of variable-length rows of {rows}"
    if h5py.check_ref_dtype(dtype) is not None:
        return "a type of references"
    if dtype.subdtype is not None:
        return f"an array type, {dtype.subdtype[0]} of {dtype.subdtype[1]} each"
    if dtype.names:
        return f"a compound type with the fields {', '.join(dtype.names)}"
    if dtype.kind == "V":
        return f"an opaque type of {dtype.itemsize} bytes"
    return f"type {dtype}"


@dataclass(frozen=True)
class Piece:
    """Pixels of a dataset that are pixels of another one.

    Attributes
    ----------
    stored : Stored
        The other dataset: the source.
    target : tuple of Axis
        Which pixels they are, along each axis of the dataset.
    source : tuple of Axis
        Which pixels of the source. Axes of more than one pixel go with those of `target`, in order.
    """

    stored: Stored
    target: Box
    source: Box

    @property
    def has_rows(self) -> bool:
        """Whether the first axis of the source is that of frames, and not a part of one."""
        return len(self.source) > 2 and self.source[0].count == self.target[0].count


@dataclass(frozen=True, eq=False)
class Assembly:
    """The pieces of a dataset.

    Attributes
    ----------
    pieces : tuple of Piece
        In the order in which they count: of pieces that overlap, a pixel is the last one's.
    fill : numpy.ndarray, 0-D
        The value of pixels in no piece.
    is_complete : bool
        Whether each pixel is known to be in a piece.
    overlaps : bool
        Whether a pixel may be in two.
    """

    pieces: tuple[Piece, ...]
    fill: NDArray[Any]
    is_complete: bool
    overlaps: bool

    @classmethod
    def of(
        cls, pieces: Sequence[Piece], shape: tuple[int, ...], fill: NDArray[Any], whole: bool = True
    ) -> Assembly:
        """Look at how pieces lie in a dataset of `shape`.

        Without `whole`, a source may itself have pixels in no piece.
        """
        overlaps = may_overlap([piece.target for piece in pieces])
        size = sum(size_of(piece.target) for piece in pieces)
        is_complete = whole and not overlaps and size == math.prod(shape)
        return cls(tuple(pieces), fill, is_complete, overlaps)

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """The first frame of each piece."""
        return np.array([piece.target[0].start for piece in self.pieces], np.int64)

    @cached_property
    def stop(self) -> NDArray[np.int64]:
        """One past the last frame of each piece."""
        return np.array([piece.target[0].bounds[1] for piece in self.pieces], np.int64)

    @cached_property
    def chunk_frames(self) -> int:
        """How many frames the frames of a source's chunk are spread over, at most."""
        return max(
            (
                -(-piece.stored.chunks[0] // piece.source[0].step) * piece.target[0].step
                for piece in self.pieces
                if piece.has_rows and piece.stored.chunks
            ),
            default=1,
        )

    def in_a_row(self, shape: tuple[int, ...]) -> list[Piece] | None:
        """Return the pieces in the order of the frames, if each is whole frames in a row."""
        if not self.is_complete:
            return None
        whole = tuple(Axis(0, 1, length) for length in shape[1:])
        for piece in self.pieces:
            if not (
                len(piece.source) == len(shape)
                and piece.target[0].step == piece.source[0].step == 1
                and piece.target[1:] == piece.source[1:] == whole
                and piece.stored.shape[1:] == shape[1:]
                and piece.stored.dtype == self.fill.dtype
            ):
                return None
        return sorted(self.pieces, key=lambda piece: piece.target[0].start)

    def near(self, frames: NDArray[np.int64]) -> Iterator[tuple[Piece, int, int, int]]:
        """Return the pieces that may have some of `frames`, which ascend.

        Each comes with its number, and with the range of `frames` that it may have.
        """
        low, high = np.searchsorted(frames, self.first), np.searchsorted(frames, self.stop)
        for number in np.flatnonzero(low < high):
            yield self.pieces[number], int(number), int(low[number]), int(high[number])


def nested(outer: Piece, inner: Assembly) -> Iterator[Piece]:
    """Return the pieces of a piece whose source is itself put together."""
    along = pairs(outer.target, outer.source)
    frames = outer.source[0]
    reach = np.flatnonzero((inner.first < frames.bounds[1]) & (inner.stop > frames.start))
    for number in reach:
        piece = inner.pieces[number]
        found = cut(piece.target, piece.source, outer.source)
        if found is None:
            continue
        places, source = found
        target = list(outer.target)
        for axis, place in zip(along, places, strict=True):
            if axis is not None:
                target[axis] = target[axis].then(place)
        yield Piece(piece.stored, tuple(target), source)


def leaves(stored: Stored) -> Iterator[Stored]:
    """Return the datasets that hold the values of `stored`, some perhaps more than once."""
    if stored.assembly is None:
        yield stored
        return
    for piece in stored.assembly.pieces:
        yield from leaves(piece.stored)
