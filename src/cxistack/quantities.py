"""Energy and wavelength: each is kept in a dataset of its own, and both must say the same.

A protocol may make the one of the other where a file has only that. What is loaded so is not saved
so: to write an energy into a file's wavelength would change what nobody named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import loading, loads
from .catalogue import Catalogue
from .errors import CXIError, LayoutError
from .protocol import CXIProtocol
from .units import conversion

__all__ = ["Said", "has_other", "kept", "refuse_contradictions"]

# Of the value: h c as 12398 eV angstrom is off by 3.4e-5, an edge scan's steps are 1e-4 and more.
_AGREE = 5e-5


@dataclass(frozen=True)
class Said:
    """What a save says of an attribute.

    Attributes
    ----------
    path : str
        The path that it is saved at.
    values : ndarray
        The values, in the attribute's unit.
    """

    path: str
    values: NDArray[Any]


def has_other(protocol: CXIProtocol, attr: str) -> bool:
    """Tell whether an attribute is a number that another quantity says as well."""
    return protocol.get_kind(attr) == "scalar" and bool(_elsewhere(protocol, attr))


def kept(catalogue: Catalogue, attr: str) -> Catalogue:
    """Return a catalogue of the first file that finds an attribute only where itself is kept."""
    protocol = catalogue.protocol
    if not _borrowed(protocol, attr):
        return catalogue
    own = _own(protocol, attr)
    reduced = protocol.replace(
        load_paths={**protocol.load_paths, attr: list(own)},
        units={**protocol.units, attr: list(own.values())},
    )
    return _of_first_file(catalogue, reduced)


def refuse_contradictions(catalogue: Catalogue, said: Mapping[str, Said]) -> None:
    """Raise :class:`LayoutError` if an energy and a wavelength would contradict each other.

    Parameters
    ----------
    catalogue : Catalogue
        What the files have; what is `said` anew counts instead.
    said : mapping of str to Said
        What is saved together, by attribute.
    """
    for attr, one in said.items():
        other = _other(catalogue, attr, said)
        if other is None or _agree(one.values, other.values):
            continue
        unit = catalogue.protocol.get_unit(attr)
        whose = _keepers(catalogue.protocol, attr, other.path)
        names = " and ".join(repr(name) for name in [attr, *whose])
        if other.path in [each.path for each in said.values()]:
            hint = "both are saved here: see which is right, or leave one out"
        elif whose:
            hint = f"save {names} in one transaction()"
        else:
            hint = "change that as well, by a protocol that has an attribute for it"
        raise LayoutError(
            f"{attr!r} of {_shown(one.values)} {unit} contradicts {other.path} of "
            f"{catalogue.files.names[0]}, by which it is {_shown(other.values)} {unit}: {hint}"
        )


def _other(catalogue: Catalogue, attr: str, said: Mapping[str, Said]) -> Said | None:
    """Return what the file says of an attribute by another quantity, if anything."""
    protocol = catalogue.protocol
    wanted = protocol.get_unit(attr)
    for path, unit in _elsewhere(protocol, attr).items():
        for name, one in said.items():
            if name != attr and one.path == path:
                return Said(path, _in_unit(one.values, protocol.get_unit(name), wanted))
        lone = CXIProtocol(
            {attr: "float"}, {attr: [path]}, {attr: protocol.get_kind(attr)}, units={attr: unit}
        )
        there = _of_first_file(catalogue, lone)
        found = there.found(attr).get(0)
        if found is not None:
            # What cannot be read says nothing; it raises when it is asked for.
            with suppress(CXIError, OSError):
                value = loading.run(there, loads.prepare_single(there, attr, there.single(attr)))
                return Said(path, _in_unit(value, unit, wanted))
    return None


def _of_first_file(catalogue: Catalogue, protocol: CXIProtocol) -> Catalogue:
    numbers = [number for number in catalogue.numbers if number == 0]
    return Catalogue(catalogue.files, numbers, protocol, catalogue.policy)


def _own(protocol: CXIProtocol, attr: str) -> dict[str, str]:
    """Return the paths at which an attribute itself is kept, and their units."""
    borrowed = _borrowed(protocol, attr)
    pairs = zip(protocol.load_paths[attr], protocol.units.get(attr, ()), strict=False)
    return {path: unit for path, unit in pairs if path not in borrowed}


def _borrowed(protocol: CXIProtocol, attr: str) -> dict[str, str]:
    """Return the paths of another quantity that an attribute is made of, and their units."""
    units = protocol.units.get(attr, ())
    pairs = zip(protocol.load_paths.get(attr, ()), units, strict=False)
    return {path: unit for path, unit in pairs if _is_other(unit, units[0])}


def _elsewhere(protocol: CXIProtocol, attr: str) -> dict[str, str]:
    """Return all paths of the other quantity, and their units."""
    paths = _borrowed(protocol, attr)
    mine = _own(protocol, attr)
    for name in protocol.units:
        # To look at units is to import pint, which takes its time.
        shared = [path for path in protocol.load_paths[name] if path in mine]
        if name != attr and shared and any(path in _borrowed(protocol, name) for path in shared):
            paths |= _own(protocol, name)
    return paths


def _keepers(protocol: CXIProtocol, attr: str, path: str) -> list[str]:
    """Return the other attributes that are kept at a path."""
    return [name for name in protocol.units if name != attr and path in _own(protocol, name)]


def _is_other(unit: str, wanted: str) -> bool:
    with suppress(ValueError):
        found = conversion(unit, wanted)
        return found is not None and found.photon is not None
    return False


def _in_unit(values: Any, unit: str | None, wanted: str | None) -> NDArray[Any]:
    found = conversion(unit, wanted) if unit and wanted else None
    return np.asarray(values) if found is None else found.apply(values, checked=False)


def _agree(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Tell whether both say the same; of different numbers of values, whether they may."""
    if one.size == other.size:
        one, other = one.ravel(), other.ravel()
        both = _tells(one) & _tells(other)
        return bool(np.allclose(one[both], other[both], rtol=_AGREE, atol=0))
    one, other = one[_tells(one)], other[_tells(other)]
    if not one.size or not other.size:
        return True
    more = 1 + _AGREE
    return bool(one.min() <= other.max() * more and other.min() <= one.max() * more)


def _tells(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which values say something: zeros stand where nobody knew."""
    return np.asarray(np.isfinite(values) & (values > 0))


def _shown(values: NDArray[Any]) -> str:
    flat: Iterable[float] = values.ravel()[:3]
    return ", ".join(f"{value:.7g}" for value in flat) + (", ..." if values.size > 3 else "")
