"""Energy and wavelength: each is kept in a dataset of its own, and both must say the same.

Where a file has a wavelength only, a protocol may make the energy of it, or the other way round.
Only loads do so. A save writes an energy to a path of energies, and leaves wavelengths alone.

A file may be saved to although its energy and wavelength contradict each other already: no save of
ours made it so, and the next one may mend it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue.catalogue import Catalogue
from ..errors import CXIError, LayoutError
from ..loading.prepare import prepare_single
from ..protocol.attribute import Attribute
from ..protocol.protocol import CXIProtocol
from ..protocol.units import conversion

__all__ = ["Said", "has_other", "kept", "refuse_contradictions", "saved_path"]


# Two values that differ by no more than this part of themselves say the same. A number of four
# digits is off by as much; h c as 12398 eV angstrom (3.4e-5) and float32 (6e-8) are off by less.
# Given up: in an edge scan, whose steps are 1e-4 and more, the energy of one step and the
# wavelength of the next pass for the same. Programs that write both write them of one step.
_AGREE = 5e-4


@dataclass(frozen=True)
class Said:
    """What a save, or a file, says of an energy or a wavelength."""

    path: str  # that it is saved at
    values: NDArray[Any]  # in the attribute's unit


def has_other(protocol: CXIProtocol, attr: str) -> bool:
    """Tell whether an attribute is an energy that a wavelength says as well, or the other way."""
    wanted = protocol.attribute(attr)
    return wanted.kind == "scalar" and bool(_elsewhere(protocol, wanted))


def kept(catalogue: Catalogue, attr: str) -> Catalogue:
    """Return a catalogue of the first file that looks for an attribute only at its own paths."""
    protocol = catalogue.protocol
    wanted = protocol.attribute(attr)
    if not _borrowed(wanted):
        return catalogue
    own = _own(wanted)
    reduced = protocol.replace(
        load_paths={**protocol.load_paths, attr: list(own)},
        units={**protocol.units, attr: list(own.values())},
    )
    return _of_first_file(catalogue, reduced)


def saved_path(catalogue: Catalogue, attr: str) -> str:
    """Return the path that an attribute is saved at in the first file."""
    catalogue = kept(catalogue, attr)
    found = catalogue.found(attr).get(0)
    return catalogue.protocol.attribute(attr).paths[0] if found is None else found.path


def refuse_contradictions(
    catalogue: Catalogue, said: Mapping[str, Said], run: str | None = None
) -> None:
    """Raise :class:`LayoutError` if an energy and a wavelength would contradict each other.

    Values that are being saved, by attribute, count instead of those that the file has. `run` names
    the file from which they are converted, if they are.
    """
    protocol = catalogue.protocol
    for attr, one in said.items():
        wanted = protocol.attribute(attr)
        other = _other(catalogue, wanted, said)
        if other is None or _agree(one, other) or _is_as_before(catalogue, wanted, said):
            continue
        keepers = [
            name
            for name in protocol
            if name != attr and other.path in _own(protocol.attribute(name))
        ]
        file, place = catalogue.files.names[0], other.path
        if other.path not in [each.path for each in said.values()]:
            hint = "change that as well, with a protocol that has an attribute for it"
            if keepers:
                hint = f"save {' and '.join(map(repr, [attr, *keepers]))} in one transaction()"
        elif run is None:
            hint = "both are saved here: see which is right, or leave one out"
        else:
            file, place = run, " and ".join(map(repr, keepers))
            hint = "see which is right, and leave the other out (attributes=, --attributes)"
        raise LayoutError(
            f"{attr!r} of {_shown(one.values)} {wanted.unit} contradicts {place} of {file}, by "
            f"which it is {_shown(other.values)} {wanted.unit}: {hint}"
        )


def _other(catalogue: Catalogue, wanted: Attribute, said: Mapping[str, Said]) -> Said | None:
    """Return what the file says of an attribute by another quantity, if anything."""
    protocol = catalogue.protocol
    for path, unit in _elsewhere(protocol, wanted).items():
        for name, one in said.items():
            if name != wanted.name and one.path == path:
                return _in_unit(one, protocol.attribute(name).unit, wanted.unit)
        there = _there(catalogue, wanted, {path: unit})
        if there is not None:
            return _in_unit(there, unit, wanted.unit)
    return None


def _there(catalogue: Catalogue, wanted: Attribute, paths: Mapping[str, str]) -> Said | None:
    """Return what the file says at the first of some paths that it has, if that can be read."""
    attr = wanted.name
    lone = CXIProtocol(
        {attr: "float"},
        {attr: list(paths)},
        {attr: wanted.kind},
        units={attr: list(paths.values())},
    )
    there = _of_first_file(catalogue, lone)
    found = there.found(attr).get(0)
    if found is not None:
        # What cannot be read says nothing; it raises when it is asked for.
        with suppress(CXIError, OSError):
            value = prepare_single(there.files, lone.attribute(attr), there.single(attr)).read()
            return Said(found.path, np.asarray(value))
    return None


def _is_as_before(catalogue: Catalogue, wanted: Attribute, said: Mapping[str, Said]) -> bool:
    """Tell whether the file contradicts itself as it is, and not both are said anew now."""
    before = _there(catalogue, wanted, _own(wanted))
    other = _other(catalogue, wanted, {})
    if before is None or other is None or _agree(before, other):
        return False
    anew = _other(catalogue, wanted, said)
    return np.array_equal(said[wanted.name].values, before.values) or (
        anew is not None and np.array_equal(anew.values, other.values)
    )


def _of_first_file(catalogue: Catalogue, protocol: CXIProtocol) -> Catalogue:
    numbers = [number for number in catalogue.numbers if number == 0]
    return Catalogue(catalogue.files, numbers, protocol, catalogue.policy, catalogue.chosen)


def _own(wanted: Attribute) -> dict[str, str]:
    """Return the paths at which an attribute itself is kept, and their units."""
    borrowed = _borrowed(wanted)
    return {one.path: one.unit for one in wanted.places if one.unit and one.path not in borrowed}


def _borrowed(wanted: Attribute) -> dict[str, str]:
    """Return the paths of another quantity that an attribute is made of, and their units."""
    return {
        one.path: one.unit
        for one in wanted.places
        if one.unit and wanted.unit and _is_other(one.unit, wanted.unit)
    }


def _elsewhere(protocol: CXIProtocol, wanted: Attribute) -> dict[str, str]:
    """Return all paths of the other quantity, and their units."""
    paths, mine = _borrowed(wanted), _own(wanted)
    for other in map(protocol.attribute, protocol):
        # To look at units is to import pint, which takes its time.
        if other.name == wanted.name or mine.keys().isdisjoint(other.paths):
            continue
        if not mine.keys().isdisjoint(_borrowed(other)):
            paths |= _own(other)
    return paths


def _is_other(unit: str, wanted: str) -> bool:
    with suppress(ValueError):
        found = conversion(unit, wanted)
        return found is not None and found.photon is not None
    return False


def _in_unit(said: Said, unit: str | None, wanted: str | None) -> Said:
    found = conversion(unit, wanted) if unit and wanted else None
    return said if found is None else replace(said, values=found.apply(said.values, checked=False))


def _agree(one: Said, other: Said) -> bool:
    """Tell whether both say the same; of different numbers of values, whether the ranges meet.

    Zeros and values that are not finite stand where nobody knew, and agree with all.
    """
    values, others = (
        np.where(np.isfinite(said.values) & (said.values > 0), said.values, np.nan).ravel()
        for said in (one, other)
    )
    if values.size == others.size:
        return not (np.abs(values - others) > _AGREE * np.fmax(values, others)).any()
    values, others = values[~np.isnan(values)], others[~np.isnan(others)]
    if not (values.size and others.size):
        return True
    more = 1 + _AGREE
    return bool(values.min() <= more * others.max() and others.min() <= more * values.max())


def _shown(values: NDArray[Any]) -> str:
    flat: Iterable[float] = values.ravel()[:3]
    return ", ".join(f"{value:.7g}" for value in flat) + (", ..." if values.size > 3 else "")
