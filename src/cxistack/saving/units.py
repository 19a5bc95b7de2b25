"""The unit that values are saved in: no number may come to mean something else.

A protocol that states a unit for an attribute says what its values are in. Where it states none,
they are in the unit that their dataset states; where that states none either, in CXI's.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ..catalogue.catalogue import Catalogue
from ..errors import LayoutError
from ..hdf5.stored import describe
from ..protocol.attribute import Attribute
from ..protocol.protocol import cxi_unit
from ..protocol.units import conversion_to_first, refuse_unknown
from .request import SaveRequest
from .target import dataset_there

__all__ = ["in_saved_unit", "stated_unit"]


def in_saved_unit(
    catalogue: Catalogue, wanted: Attribute, request: SaveRequest, made_in: str | None
) -> tuple[NDArray[Any], str | None]:
    """Return values in the unit that they are saved in, and the unit that a new dataset states.

    A dataset that is new in this transaction was `made_in` a unit; the catalogue tells of others.

    Raises
    ------
    LayoutError
        The one unit cannot become the other, or nobody knows the unit of what is there.
    """
    values, unit = request.values, request.unit
    try:
        for one in (unit, wanted.unit):
            if one is not None:
                refuse_unknown(one)
    except ValueError as error:
        raise LayoutError(f"the unit of {wanted.name!r}: {error}") from None
    if unit is None:
        return values, wanted.unit
    target = wanted.unit or made_in or _unit_there(catalogue, wanted.name, unit)
    if target is None:
        return values, unit
    try:
        found = conversion_to_first(unit, wanted.units or (target,))
        if found is not None and values.dtype.kind == "c":
            raise ValueError("complex numbers have no unit to convert")
    except ValueError as error:
        raise LayoutError(
            f"{wanted.name!r} is in {unit!r}, and is kept in {target!r} in "
            f"{catalogue.files.names[0]}: {error}"
        ) from None
    return values if found is None else found.apply(values), target


def stated_unit(catalogue: Catalogue, attr: str, *, of_first: bool = False) -> str | None:
    """Return the unit that the datasets of an attribute state, or None: none.

    Datasets that are put together of modules lie in no file of their own, and state none. With
    `of_first`, only the first file that has the attribute is looked at.

    Raises
    ------
    LayoutError
        The datasets state different units.
    """
    found = catalogue.found(attr)
    by_frame = catalogue.is_indexed(attr) and not of_first
    datasets = [
        stored
        for number in (sorted(found) if by_frame else sorted(found)[:1])
        for stored in found[number].datasets
    ]
    units: dict[str | None, str] = {}
    for stored in datasets[:1] if of_first else datasets:
        is_whole = stored.is_in_file
        unit = describe(catalogue.files, stored.place, True).units if is_whole else None
        units.setdefault(unit, str(stored.place))
    if len(units) > 1:
        listed = "; ".join(f"{place} {unit or 'none'}" for unit, place in units.items())
        raise LayoutError(
            f"the datasets of {attr!r} state different units ({listed}), and were loaded as they "
            "are: load them by a protocol that states the unit in which they are to come"
        )
    return next(iter(units), None)


def _unit_there(catalogue: Catalogue, attr: str, unit: str) -> str | None:
    """Return the unit of what is there, or None: nothing is there."""
    stored = dataset_there(catalogue, attr)
    if stored is None:
        return None
    there = describe(catalogue.files, stored.place, has_units=True).units or cxi_unit(attr)
    if there is None:
        raise LayoutError(
            f"{stored.place} states no unit, and {attr!r} of {unit!r} is to be saved to it: give "
            "the store a protocol that states its unit"
        )
    return there
