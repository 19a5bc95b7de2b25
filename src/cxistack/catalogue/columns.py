"""Datasets of one axis that are the columns of one attribute: ``(/entry/x, /entry/y)``.

So are positions kept that several motors write, each a dataset of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import LayoutError
from ..hdf5.files import Files
from ..hdf5.links import LinkPolicy, Place, resolve
from ..hdf5.stored import Assembly, Piece, Stored, describe
from ..hdf5.virtual_sources import with_sources
from ..transforms.steps import Axis

__all__ = ["columns_in"]


def columns_in(
    files: Files, filename: str, paths: Sequence[str], policy: LinkPolicy, has_units: bool
) -> Stored | None:
    """Return the columns at `paths` as one dataset (rows, columns); None where none is there.

    Raises
    ------
    LayoutError
        One is missing, or they do not go together: names two of them, and how they differ.
    """
    places = {path: resolve(files, filename, path, policy) for path in paths}
    there = [place for place in places.values() if place is not None and place.is_dataset]
    if not there:
        return None
    if len(there) < len(places):
        lost = next(path for path, one in places.items() if one is None or not one.is_dataset)
        raise LayoutError(
            f"{filename} has {there[0].path} and no dataset {lost}: the protocol makes one "
            f"attribute of the {len(paths)} columns {', '.join(paths)}"
        )
    columns = [with_sources(files, describe(files, one, has_units), policy) for one in there]
    first = columns[0]
    for one in columns:
        if one.ndim != 1 or one.is_text:
            raise LayoutError(
                f"{one.place} is {'text' if one.is_text else one.dtype} of shape {one.shape}: a "
                "column is numbers along one axis"
            )
        if one.shape != first.shape:
            raise LayoutError(
                f"columns differ in length: {first.place} has {first.shape[0]} rows, and "
                f"{one.place} has {one.shape[0]}"
            )
        if one.units != first.units:
            raise LayoutError(
                f"columns differ in unit: {first.place} is in {first.units!r}, and {one.place} in "
                f"{one.units!r}"
            )
    return _stacked(columns, f"({', '.join(paths)})", filename)


def _stacked(columns: Sequence[Stored], path: str, filename: str) -> Stored:
    """Return a dataset that is in no file; it is known by the first column's address."""
    rows = Axis(0, 1, columns[0].shape[0])
    shape = (rows.count, len(columns))
    pieces = [Piece(one, (rows, Axis(number, 1, 1)), (rows,)) for number, one in enumerate(columns)]
    dtype = np.result_type(*(one.dtype for one in columns))
    assembly = Assembly.of(pieces, shape, np.zeros((), dtype))
    return columns[0].assembled(Place(filename, path, (), True), "columns", shape, assembly)
