"""How a dataset is stored, and whether it may be read: the gate before any byte moves."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from ..errors import LayoutError
from .causes import words
from .files import Files, Stamp
from .filters import FILTERS
from .links import Place
from .pieces import Assembly

__all__ = ["Stored", "describe"]


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
    storage : {"contiguous", "chunked", "compact", "virtual", "modules"}
        How HDF5 lays it out; "modules" is in no file, but put together of datasets in several.
    chunks : tuple of int or None
        Shape of a chunk.
    filters : tuple of str
        Its filter pipeline.
    address : tuple
        What makes it the same object under another name.
    stamp : Stamp
        What its file was when this was seen.
    assembly : Assembly or None
        Of a virtual dataset that is made of rectangular pieces of others: those.
    obstacle : str
        Why a virtual dataset is not known to be, for people to read.
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
    def is_text(self) -> bool:
        """Whether it holds strings."""
        return self.dtype.kind == "O"


def describe(files: Files, place: Place, has_units: bool = False) -> Stored:
    """Look at the dataset at `place` without reading it, nor at the sources of a virtual one.

    Whether it states a unit is looked for when the attribute `has_units`.

    Raises
    ------
    LayoutError
        It is empty (a null dataspace), of a type that is no array of numbers or text, or stored in
        external raw files.
    """
    with files.reading(place.filename) as h5:
        # The low-level calls: of 10 000 files, this is done to each.
        dataset = h5py.h5d.open(h5.id, os.fsencode(place.path))
        plist = dataset.get_create_plist()
        layout = plist.get_layout()
        if dataset.get_space().get_simple_extent_type() == h5py.h5s.NULL:
            raise LayoutError(
                f"{place} is empty: its writer gave it a type, and neither a shape nor values"
            )
        if layout == h5py.h5d.CONTIGUOUS and plist.get_external_count():
            raise LayoutError(
                f"{place} keeps its values in external raw files "
                f"({os.fsdecode(plist.get_external(0)[0])!r}, ...), which are never read: they may "
                "be any file"
            )
        return Stored(
            place=place,
            shape=dataset.shape,
            dtype=_pixel_type(dataset, place),
            storage={
                h5py.h5d.CONTIGUOUS: "contiguous",
                h5py.h5d.CHUNKED: "chunked",
                h5py.h5d.COMPACT: "compact",
            }.get(layout, "virtual"),
            chunks=plist.get_chunk() if layout == h5py.h5d.CHUNKED else None,
            filters=tuple(
                FILTERS.get(code, f"filter {code}")
                for code in (plist.get_filter(k)[0] for k in range(plist.get_nfilters()))
            ),
            address=(place.filename, h5py.h5o.get_info(dataset).addr),
            stamp=files.stamp(place.filename),
            units=_units(dataset) if has_units else None,
        )


def _units(dataset: Any) -> str | None:
    """Return what the attribute ``units`` says, or None: nothing, as an empty text does."""
    if not h5py.h5a.exists(dataset, b"units"):
        return None
    value = h5py.Dataset(dataset).attrs["units"]
    if isinstance(value, str | bytes):
        return _text(value) or None
    if isinstance(value, h5py.Empty):
        return None
    texts = dict.fromkeys(_text(one) for one in np.atleast_1d(value).flat)
    return ", ".join(texts) or None


def _text(value: object) -> str:
    """Return a text of an attribute, which programs write in UTF-8 and in Latin-1."""
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
            f"{place} is of a type that NumPy has not, and so h5py cannot read: {words(cause)}"
        ) from cause
    if h5py.check_string_dtype(dtype) is not None:
        return np.dtype(object)
    if dtype.kind in "biufc":
        return np.dtype(dtype.str)  # without h5py's marks of enums and the like
    raise LayoutError(f"{place} is of {_type_words(dtype)}, which is neither numbers nor text")


def _type_words(dtype: np.dtype[Any]) -> str:
    """Say what a type is that pixels cannot be of."""
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
