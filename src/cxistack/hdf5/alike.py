"""Datasets that are stored as one before them: known by a few questions, not described anew."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import h5py

from .handle import Handle
from .links import Place
from .stored import Stored, describe_open, stated_units

__all__ = ["Alike"]


@dataclass(frozen=True)
class _Model:
    """What a dataset must have to be stored as `stored` is; nothing here keeps a file open."""

    stored: Stored
    type: Any
    properties: Any

    @classmethod
    def of(cls, dataset: Any, stored: Stored) -> _Model | None:
        """Return the model that a dataset is; None where others may have more to be asked."""
        if stored.dtype.kind not in "biufc" or stored.storage not in (
            "contiguous",
            "chunked",
            "compact",
        ):
            return None
        return cls(stored, dataset.get_type().copy(), dataset.get_create_plist())

    def fits(self, dataset: Any) -> bool:
        """Tell whether a dataset is stored so; where it may be, or not, it is not."""
        if dataset.shape != self.stored.shape or not dataset.get_type().equal(self.type):
            return False
        if self.stored.storage == "contiguous" and dataset.get_offset() is not None:
            return True  # what has an offset in its file is contiguous, without filters
        return bool(dataset.get_create_plist().equal(self.properties))


class Alike:
    """Describes datasets, each that is like the last one in little time."""

    def __init__(self) -> None:
        self._model: _Model | None = None

    def describe(self, handle: Handle, place: Place, address: int, has_units: bool) -> Stored:
        """Return what :func:`cxistack.hdf5.stored.describe` does of a dataset at an address.

        Raises
        ------
        LayoutError
            As there.
        """
        dataset = h5py.h5d.open(handle.id, os.fsencode(place.path))
        model = self._model
        if model is None or not model.fits(dataset):
            stored = describe_open(dataset, place, handle.stamp, has_units)
            self._model = _Model.of(dataset, stored)
            return stored
        # Not by replace(), which takes longer than all of the questions.
        stored = object.__new__(Stored)
        stored.__dict__.update(
            model.stored.__dict__,
            place=place,
            address=(place.filename, address),
            stamp=handle.stamp,
            units=stated_units(dataset) if has_units else None,
        )
        return stored
