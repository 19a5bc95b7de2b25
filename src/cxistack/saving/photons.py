"""Energy and wavelength: each is kept in a dataset of its own, and both must say the same.

A protocol may make the one of the other where a file has only that. What is loaded so is not saved
so: to write an energy into a file's wavelength would change what nobody named.

A file whose energy and wavelength contradict each other as it is may be saved to: no save made it
so, and one may be about to mend it.
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
from ..protocol.protocol import CXIProtocol
from ..protocol.units import conversion

__all__ = ["Said", "has_other", "kept", "refuse_contradictions", "saved_path"]


# Of the value: h c as 12398 eV angstrom is off by 3.4e-5, an edge scan's steps are 1e-4 and more.
_AGREE = 5e-5
# A number of so many digits stands for all that are rounded to it; of fewer, as if it had so many.
_FEW_DIGITS = (4, 3)
_SINGLE = 2e-7  # of the value: to how much a float32 is the number that was written


@dataclass(frozen=True)
class Said:
    """What a save says of an attribute.

    Attributes
    ----------
    path : str
        The path that it is saved at.
    values : ndarray
        The values, in the attribute's unit.
    rounded : ndarray
        By which part of itself each value may be off as it was written with few digits.
    """

    path: str
    values: NDArray[Any]
    rounded: NDArray[np.float64]

    @classmethod
    def of(cls, path: str, values: NDArray[Any]) -> Said:
        """Return what is said by values as they were written."""
        return cls(path, values, _rounding(values))


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


def saved_path(catalogue: Catalogue, attr: str) -> str:
    """Return the path that an attribute is saved at in the first file."""
    catalogue = kept(catalogue, attr)
    found = catalogue.found(attr).get(0)
    return catalogue.protocol.load_paths[attr][0] if found is None else found.path


def refuse_contradictions(
    catalogue: Catalogue, said: Mapping[str, Said], run: str | None = None
) -> None:
    """Raise :class:`LayoutError` if an energy and a wavelength would contradict each other.

    Parameters
    ----------
    catalogue : Catalogue
        What the files have; what is `said` anew counts instead.
    said : mapping of str to Said
        What is saved together, by attribute.
    run : str, optional
        The file of which it comes, where that is told of.
    """
    for attr, one in said.items():
        other = _other(catalogue, attr, said)
        if other is None or _agree(one, other) or _is_as_before(catalogue, attr, said):
            continue
        unit = catalogue.protocol.get_unit(attr)
        whose = _keepers(catalogue.protocol, attr, other.path)
        names = " and ".join(repr(name) for name in [attr, *whose])
        file, place = catalogue.files.names[0], other.path
        if other.path not in [each.path for each in said.values()]:
            hint = "change that as well, by a protocol that has an attribute for it"
            if whose:
                hint = f"save {names} in one transaction()"
        elif run is None:
            hint = "both are saved here: see which is right, or leave one out"
        else:
            file, place = run, " and ".join(map(repr, whose))
            hint = "see which is right, and leave the other out (attributes=, --attributes)"
        raise LayoutError(
            f"{attr!r} of {_shown(one.values)} {unit} contradicts {place} of {file}, by which it "
            f"is {_shown(other.values)} {unit}: {hint}"
        )


def _other(catalogue: Catalogue, attr: str, said: Mapping[str, Said]) -> Said | None:
    """Return what the file says of an attribute by another quantity, if anything."""
    protocol = catalogue.protocol
    wanted = protocol.get_unit(attr)
    for path, unit in _elsewhere(protocol, attr).items():
        for name, one in said.items():
            if name != attr and one.path == path:
                return _in_unit(one, protocol.get_unit(name), wanted)
        there = _there(catalogue, attr, {path: unit})
        if there is not None:
            return _in_unit(there, unit, wanted)
    return None


def _there(catalogue: Catalogue, attr: str, paths: Mapping[str, str]) -> Said | None:
    """Return what the file says at the first of some paths that it has, if that can be read."""
    lone = CXIProtocol(
        {attr: "float"},
        {attr: list(paths)},
        {attr: catalogue.protocol.get_kind(attr)},
        units={attr: list(paths.values())},
    )
    there = _of_first_file(catalogue, lone)
    found = there.found(attr).get(0)
    if found is not None:
        # What cannot be read says nothing; it raises when it is asked for.
        with suppress(CXIError, OSError):
            value = prepare_single(there.files, lone.attribute(attr), there.single(attr)).read()
            return Said.of(found.path, np.asarray(value))
    return None


def _is_as_before(catalogue: Catalogue, attr: str, said: Mapping[str, Said]) -> bool:
    """Tell whether the file contradicts itself as it is, and not both are said anew now."""
    before = _there(catalogue, attr, _own(catalogue.protocol, attr))
    other = _other(catalogue, attr, {})
    if before is None or other is None or _agree(before, other):
        return False
    anew = _other(catalogue, attr, said)
    return np.array_equal(said[attr].values, before.values) or (
        anew is not None and np.array_equal(anew.values, other.values)
    )


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


def _in_unit(said: Said, unit: str | None, wanted: str | None) -> Said:
    found = conversion(unit, wanted) if unit and wanted else None
    return said if found is None else replace(said, values=found.apply(said.values, checked=False))


def _agree(one: Said, other: Said) -> bool:
    """Tell whether both say the same; of different numbers of values, whether they may."""
    as_one = one.values.size != other.values.size
    (low, high), (other_low, other_high) = _range(one, as_one), _range(other, as_one)
    return not ((low > other_high) | (other_low > high)).any()


def _range(said: Said, as_one: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the least and the most that each value, or any, may be; NaN where none is known."""
    values = np.where(_tells(said.values), said.values, np.nan).ravel()
    part = (said.rounded + _AGREE / 2).ravel()
    low, high = values * (1 - part), values * (1 + part)
    if not as_one:
        return low, high
    return (
        np.fmin.reduce(low, keepdims=True, initial=np.nan),
        np.fmax.reduce(high, keepdims=True, initial=np.nan),
    )


def _rounding(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return by which part of itself each value may be off that was written with few digits."""
    part = np.zeros(values.shape)
    with np.errstate(all="ignore"):
        magnitude = np.floor(np.log10(np.abs(values, dtype=np.float64)))
        for digits in _FEW_DIGITS:
            step = 10.0 ** (magnitude - digits + 1)
            is_so_short = np.abs(values - np.rint(values / step) * step) <= _SINGLE * values
            part = np.where(is_so_short, step / values / 2, part)
    return part


def _tells(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which values say something: zeros stand where nobody knew."""
    return np.asarray(np.isfinite(values) & (values > 0))


def _shown(values: NDArray[Any]) -> str:
    flat: Iterable[float] = values.ravel()[:3]
    return ", ".join(f"{value:.7g}" for value in flat) + (", ..." if values.size > 3 else "")
