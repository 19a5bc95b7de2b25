"""Checks of what values mean: a mask says which pixels are good, and a unit is one that is known.

Files that had flags saved as a plain mask, or a misspelt unit, load without an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue.catalogue import Catalogue
from ..hdf5.stored import Stored, describe
from ..protocol.attribute import Attribute
from ..protocol.protocol import cxi_unit
from ..protocol.units import refuse_unknown
from .findings import Finding
from .request import CheckRequest

__all__ = ["PlainMask", "means"]


def means(catalogue: Catalogue, request: CheckRequest) -> Iterator[Finding]:
    """Find quantities in units that nobody knows."""
    for attr in request.attributes:
        if cxi_unit(attr) is None or not catalogue.protocol.attribute(attr).is_number:
            continue
        seen: set[object] = set()  # links may lead from many files to one dataset
        for one in catalogue.found(attr).values():
            for stored in one.datasets if one.error is None else ():
                if stored.address in seen or not stored.is_in_file:
                    continue
                seen.add(stored.address)
                why = _why_no_unit(catalogue, stored)
                if why is not None:
                    place = stored.place
                    yield Finding("agrees", attr, place.filename, why, place.path)


def _why_no_unit(catalogue: Catalogue, stored: Stored) -> str | None:
    unit = describe(catalogue.files, stored.place, has_units=True).units
    try:
        refuse_unknown(unit or "m")
    except ValueError as error:
        return f"the unit that it states is not known: {error}"
    return None


class PlainMask:
    """The values of a plain mask, which are looked at as they are decoded.

    Parameters
    ----------
    attr : str
        The attribute.
    stored : Stored
        The dataset.
    """

    def __init__(self, attr: str, stored: Stored) -> None:
        self._attr, self._stored = attr, stored
        self._most = np.iinfo(stored.dtype).max if stored.dtype.kind in "iu" else 1
        self._strange: tuple[object, tuple[int, ...]] | None = None
        self._seen: set[int] = set()  # of 0, 1 and the largest value of the type

    @classmethod
    def of(cls, wanted: Attribute, path: str, stored: Stored) -> PlainMask | None:
        """Return a mask of numbers that has no flags; None for all else."""
        is_plain = wanted.is_mask and wanted.at(path).convention in (None, "good")
        if not is_plain or stored.dtype.kind not in "iuf" or stored.ndim < 2:
            return None
        return cls(wanted.name, stored)

    def look(self, values: NDArray[Any], start: Sequence[int]) -> None:
        """Look at pixels of the dataset, of which the first is at `start`."""
        rest = np.ones(values.shape, bool)
        for value in (0, 1, self._most):
            is_so = values == value
            if is_so.any():
                self._seen.add(value)
            rest &= ~is_so
        if self._strange is None and rest.any():
            place = np.unravel_index(int(np.argmax(rest)), rest.shape)
            where = tuple(int(n) + first for n, first in zip(place, start, strict=True))
            self._strange = values[place], where

    def findings(self) -> Iterator[Finding]:
        """Find what speaks against it: 1, or the largest value of its type, is good."""
        good = "a mask is 1 for a good pixel and 0 for a bad one"
        is_warning = False  # a save refuses what these are
        if self._strange is not None:
            value, where = self._strange
            why = f"it is {value} at {where}, and {good}: if these are flags, give the protocol "
            why += "their convention"
        elif self._most > 1 and self._most in self._seen:
            told = " and ".join(str(value) for value in sorted(self._seen))
            why = f"its values are {told}, and {good}; {self._most} is read as good, too"
        elif self._seen == {0}:
            why, is_warning = f"all of it is 0, so that every pixel is bad: {good}", True
        else:
            return
        place = self._stored.place
        yield Finding("agrees", self._attr, place.filename, why, place.path, is_warning=is_warning)
