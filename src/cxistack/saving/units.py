"""The unit that values are saved in: no number may come to mean something else.

A protocol that states a unit for an attribute says what its values are in. Where it states none,
they are in the unit that their dataset states; where that states none either, in CXI's.
"""

from __future__ import annotations

import functools
from typing import Any

from numpy.typing import NDArray

from ..catalogue.catalogue import Catalogue
from ..errors import LayoutError
from ..hdf5.stored import describe
from ..protocol.protocol import CXIProtocol
from ..protocol.units import conversion_to_first

__all__ = ["cxi_unit", "in_saved_unit", "stated_unit"]


def in_saved_unit(
    catalogue: Catalogue,
    attr: str,
    values: NDArray[Any],
    unit: str | None,
    made_in: str | None,
) -> tuple[NDArray[Any], str | None]:
    """Return values in the unit that they are saved in, and the unit that a new dataset states.

    Parameters
    ----------
    catalogue : Catalogue
        What the file has.
    attr : str
        The attribute.
    values : ndarray
        The values.
    unit : str or None
        The unit that they are in; None: the one that they are saved in.
    made_in : str or None
        The unit of the dataset where it is new in this transaction.

    Raises
    ------
    LayoutError
        The one unit cannot become the other, or nobody knows the unit of what is there.
    """
    protocol = catalogue.protocol
    own = protocol.get_unit(attr)
    if unit is None:
        return values, own
    if values.dtype.kind not in "iufc":
        raise ValueError(f"unit= is of numbers; {attr!r} is of {values.dtype}")
    wanted = own or made_in or _unit_there(catalogue, attr, unit)
    if wanted is None:
        return values, unit
    try:
        found = conversion_to_first(unit, protocol.units[attr] if own else (wanted,))
        if found is not None and values.dtype.kind == "c":
            raise ValueError("complex numbers have no unit to convert")
    except ValueError as error:
        raise LayoutError(
            f"{attr!r} is in {unit!r}, and is kept in {wanted!r} in "
            f"{catalogue.files.names[0]}: {error}"
        ) from None
    return values if found is None else found.apply(values), wanted


def stated_unit(catalogue: Catalogue, attr: str) -> str | None:
    """Return the unit that the datasets of an attribute state, or None: none.

    Raises
    ------
    LayoutError
        They state different ones.
    """
    found = catalogue.found(attr)
    files = sorted(found) if catalogue.is_indexed(attr) else sorted(found)[:1]
    units = {
        describe(catalogue.files, stored.place, has_units=True).units: stored.place
        for number in files
        for stored in found[number].datasets
    }
    if len(units) > 1:
        told = "; ".join(f"{place} {unit or 'none'}" for unit, place in units.items())
        raise LayoutError(
            f"the datasets of {attr!r} state different units ({told}), and were loaded as they are:"
            " load them by a protocol that states the unit that they are to come in"
        )
    return next(iter(units), None)


def cxi_unit(attr: str) -> str | None:
    """Return the unit that CXI gives an attribute whose dataset states none, if CXI has one."""
    return _cxi().get_unit(attr)


@functools.cache
def _cxi() -> CXIProtocol:
    return CXIProtocol.import_named("cxi")


def _unit_there(catalogue: Catalogue, attr: str, unit: str) -> str | None:
    """Return the unit of what is there, or None: nothing is there."""
    found = catalogue.found(attr).get(0)
    if found is None or not found.datasets:
        return None
    place = found.datasets[0].place
    there = describe(catalogue.files, place, has_units=True).units or cxi_unit(attr)
    if there is None:
        raise LayoutError(
            f"{place} states no unit, and {attr!r} of {unit!r} is to be saved to it: give the "
            "store a protocol that states its unit"
        )
    return there
