"""Units of values: from the one that a dataset states to the one that its attribute comes in.

The units themselves, and how many of one make another, are those of the library pint, which is
imported when two units differ: that takes half a second.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import CastError

__all__ = [
    "UnitConversion",
    "apply_by_row",
    "conversion",
    "conversion_to_first",
    "refuse_unknown",
]


# What the field writes and pint does not know, or takes for something else. By casefold().
_SPELLINGS = {
    **dict.fromkeys(("angstrom", "angstroms", "ångström", "ångstrom", "ang", "å"), "angstrom"),
    **dict.fromkeys(("meter", "meters", "metre", "metres"), "m"),
    **dict.fromkeys(("joule", "joules"), "J"),
    **dict.fromkeys(("second", "seconds", "sec"), "s"),
    **dict.fromkeys(("degree", "degrees", "°"), "deg"),
    **dict.fromkeys(("pixels", "pix", "px"), "pixel"),
    **dict.fromkeys(("microns", "micron", "micrometer", "micrometre"), "um"),
    "ev": "eV",
    "kev": "keV",
}
_COMMON = frozenset(
    ("m", "cm", "mm", "um", "nm", "angstrom", "J", "eV", "keV", "s", "deg", "pixel")
)
_PHOTONS = {
    "wavelength": {"[length]": 1},
    "energy": {"[mass]": 1, "[length]": 2, "[time]": -2},
}
# One unit or a product of few: what files state is not ours, and is not worked out as a formula.
_TERM = re.compile(r"\s*(1\s*/|[*/·.]|\bper\b|)\s*([^\W\d]+|°)\s*(?:(?:\^|\*\*)?([+-]?[1-9]))?\s*")
_LONGEST = 64


@dataclass(frozen=True)
class UnitConversion:
    """How values in one unit become values in another."""

    stated: str
    wanted: str
    scale: Fraction  # what values are multiplied with; exact
    # What the values of a photon become. What is scaled is then 1 / value: E = h c / wavelength.
    photon: str | None = None

    def __str__(self) -> str:
        if not self.photon:
            return f"x {float(self.scale):.10g}: {self.stated} to {self.wanted}"
        other = "energy" if self.photon == "wavelength" else "wavelength"
        return f"{other} in {self.stated} to {self.photon} in {self.wanted}"

    def apply(self, values: ArrayLike, *, checked: bool = True) -> NDArray[np.float64]:
        """Return values in the wanted unit, as float64.

        Raises
        ------
        CastError
            A finite value becomes infinite, and `checked`.
        """
        return self._scaled(values, self.scale, checked)

    def undo(self, values: ArrayLike, *, checked: bool = True) -> NDArray[np.float64]:
        """Return values that are in the wanted unit in the stated one, as float64.

        Of the numbers that :meth:`apply` makes the same of, one of few digits is taken where there
        is one: 7 cm are 0.07 m, and 0.07 m are 7 cm.
        """
        result = self._scaled(values, self.scale if self.photon else 1 / self.scale, checked)
        short = _of_15_digits(result)
        is_as_good = self._scaled(short, self.scale, checked=False) == np.asarray(values)
        return np.where(is_as_good, short, result)

    def _scaled(self, values: ArrayLike, scale: Fraction, checked: bool) -> NDArray[np.float64]:
        given = np.asarray(values, np.float64)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore", under="ignore"):
            if self.photon:
                result = np.asarray(np.divide(float(scale), given))
            elif scale.numerator == 1 and Fraction(float(scale.denominator)) == scale.denominator:
                # 55 um are 55 / 1e6 m to the last bit; 55 * 1e-6 is another number.
                result = np.asarray(np.divide(given, float(scale.denominator)))
            else:
                result = np.asarray(np.multiply(given, float(scale)))
        lost = np.isfinite(given) & ~np.isfinite(result)
        if checked and lost.any():
            raise CastError(
                f"the value {given[lost][0]} in {self.stated} has no finite value in {self.wanted}"
                f" ({np.count_nonzero(lost)} such values)"
            )
        return result


def _of_15_digits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):
        power = 14 - np.floor(np.log10(np.abs(values)))
        digits = np.rint(values * 10.0**power)
        return np.where(power < 0, digits * 10.0**-power, digits / 10.0**power)


@functools.lru_cache(maxsize=256)
def conversion(stated: str, wanted: str) -> UnitConversion | None:
    """Return how values in one unit become values in another, or None where nothing changes.

    Parameters
    ----------
    stated, wanted : str
        Units such as ``angstrom``, ``um``, ``keV``, ``1/m``, ``deg``. ``A`` is an angstrom, unless
        a current is wanted.

    Raises
    ------
    ValueError
        There is no such unit, or the one cannot become the other.

    Examples
    --------
    >>> conversion("angstrom", "m").apply(1.5)
    array(1.5e-10)
    >>> print(conversion("keV", "m"))
    energy in keV to wavelength in m
    >>> conversion("metre", "m") is None
    True
    """
    if stated == wanted:
        return None
    from_terms, to_terms = _terms(stated), _terms(wanted)
    if from_terms == to_terms:
        return None
    # One registry throughout: another thread may make a second, and their units do not mix.
    registry = _registry()
    target = _unit(registry, wanted, to_terms)
    if "[current]" not in target.dimensionality:
        from_terms = tuple(("angstrom" if name == "A" else name, n) for name, n in from_terms)
    source = _unit(registry, stated, from_terms)
    measured = _measures(source), _measures(target)
    photon = measured[1] if set(measured) == set(_PHOTONS) else None
    try:
        scale = _scale(registry, source, target, bool(photon))
    except ValueError:
        raise ValueError(f"{stated!r} cannot become {wanted!r}") from None
    return None if scale == 1 and not photon else UnitConversion(stated, wanted, scale, photon)


def conversion_to_first(stated: str, units: Sequence[str]) -> UnitConversion | None:
    """Return how values in `stated` come in the first of an attribute's units.

    An energy becomes a photon's wavelength, or the other way round, only of an attribute whose
    paths have units of both: that of a ``distance`` in eV is an error.

    Raises
    ------
    ValueError
        There is no such unit, or it cannot become the first.
    """
    wanted = units[0]
    found = conversion(stated, wanted)
    if found is not None and found.photon:
        others = (conversion(unit, wanted) for unit in units)
        if not any(other is not None and other.photon for other in others):
            raise ValueError(f"{stated!r} cannot become {wanted!r}")
    return found


@functools.lru_cache(maxsize=256)
def refuse_unknown(unit: str) -> None:
    """Raise :class:`ValueError` for a unit that nobody knows; names the nearest that is known."""
    terms = _terms(unit)
    if not {name for name, _ in terms} <= _COMMON:  # of which pint, slow to import, is not asked
        _unit(_registry(), unit, terms)


def apply_by_row(
    values: NDArray[np.float64],
    conversions: Sequence[UnitConversion | None],
    parts: NDArray[np.integer[Any]],
    *,
    checked: bool = True,
) -> None:
    """Convert rows in place, row ``k`` by ``conversions[parts[k]]``; None leaves it as it is."""
    different = list(dict.fromkeys(conversions))
    which = np.array([different.index(one) for one in conversions])[parts]
    for number, one in enumerate(different):
        rows = which == number
        if one is not None and rows.any():
            values[rows] = one.apply(values[rows], checked=checked)


def _scale(registry: Any, source: Any, target: Any, is_photon: bool) -> Fraction:
    import pint

    one = registry.Quantity(Fraction(1), source)
    try:
        if is_photon:
            product = registry.Quantity(Fraction(1), "planck_constant * speed_of_light")
            return Fraction((product / one).to(target).magnitude)
        if (one * 0).to(target).magnitude == 0:  # else they count from different zeros
            return Fraction(one.to(target).magnitude)
    except (pint.PintError, TypeError):  # other dimensions, or logarithms, which have no fractions
        pass
    raise ValueError


def _measures(unit: Any) -> str:
    """Return "wavelength" of a length, "energy", or nothing of a unit of something else."""
    powers = dict(unit.dimensionality)
    return next((name for name, of in _PHOTONS.items() if powers == of), "")


@functools.cache
def _registry() -> Any:
    import pint

    # Fractions: a thousandth is a thousandth, and values are rounded once.
    return pint.UnitRegistry(non_int_type=Fraction)


def _names(registry: Any) -> list[str]:
    """Return what units may be called, with the field's spellings and the usual prefixes."""
    prefixed = (
        f"{prefix}{unit}"
        for prefix in ("pico", "nano", "micro", "milli", "centi", "kilo", "mega")
        for unit in ("meter", "metre", "second", "electron_volt", "radian")
    )
    return [*_SPELLINGS, *prefixed, *map(str, registry)]


def _terms(text: str) -> tuple[tuple[str, int], ...]:
    """Return the units of a product and their powers, each by one spelling."""
    terms = []
    position, is_first = 0, True
    while position < len(text.rstrip()):
        term = _TERM.match(text, position) if len(text) <= _LONGEST else None
        if term is None or (is_first and term[1] not in ("", "/") and term[1][0] != "1"):
            raise ValueError(f"{text!r} is no unit")
        sign = -1 if term[1].endswith(("/", "per")) else 1
        terms.append((_SPELLINGS.get(term[2].casefold(), term[2]), sign * int(term[3] or 1)))
        position, is_first = term.end(), False
    return tuple(terms)


def _unit(registry: Any, text: str, terms: tuple[tuple[str, int], ...]) -> Any:
    """Return pint's unit of a product."""
    import pint

    unit = registry.Unit("")
    for name, power in terms:
        try:
            unit *= registry.Unit(name) ** power
        except (pint.PintError, ValueError, TypeError, AttributeError, AssertionError):
            import difflib

            near = difflib.get_close_matches(name, _names(registry), 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{text!r} is no unit that is known{hint}") from None
    return unit
