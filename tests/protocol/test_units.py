"""How many of one unit make another: known numbers, the field's spellings, and what is refused."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import constants

from cxistack import CastError
from cxistack.protocol.units import conversion

HC, EV = constants.h * constants.c, constants.e


@pytest.mark.parametrize(
    ("stated", "wanted", "one"),
    [
        *[(word, "m", constants.angstrom) for word in ("angstrom", "Angstrom", "ANGSTROMS")],
        *[(word, "m", constants.angstrom) for word in ("Å", "A", "ångström", "ang")],
        *[(word, "m", 1e-6) for word in ("um", "µm", "μm", "micron", "microns", "micrometer")],
        *[("mm", "m", 1e-3), ("cm", "m", 1e-2), ("nm", "m", 1e-9), ("pm", "m", 1e-12)],
        *[("inch", "m", constants.inch), ("millimeter", "m", 1e-3)],
        *[
            ("eV", "J", EV),
            ("keV", "J", 1e3 * EV),
            ("kev", "J", 1e3 * EV),
            ("MeV", "J", 1e6 * EV),
        ],
        *[("ms", "s", 1e-3), ("us", "s", 1e-6), ("minute", "s", 60)],
        *[
            ("rad", "deg", 180 / np.pi),
            ("deg", "rad", np.pi / 180),
            ("mrad", "deg", 0.18 / np.pi),
        ],
        *[("1/angstrom", "1/m", 1e10), ("A^-1", "1/m", 1e10), ("nm-1", "m^-1", 1e9)],
        *[("mA", "A", 1e-3), ("mm/s", "m/s", 1e-3), ("mm per second", "m s^-1", 1e-3)],
    ],
)
def test_one_is_so_many(stated, wanted, one):
    assert conversion(stated, wanted).apply(1.0) == pytest.approx(one, rel=2e-16)


@pytest.mark.parametrize(
    ("stated", "wanted"),
    [("m", "m"), ("metre", "m"), ("meters", "m"), ("Joule", "J"), ("degrees", "deg"),
     ("°", "deg"), ("px", "pixel"), ("sec", "s"), ("m^-1", "1/m"), ("", ""), ("N m", "J")],
)  # fmt: skip
def test_the_same_in_other_words_changes_nothing(stated, wanted):
    assert conversion(stated, wanted) is None


def test_a_scale_of_another_zero_is_refused():
    for stated, wanted in (("degC", "K"), ("degF", "degC"), ("K", "degC")):
        with pytest.raises(ValueError, match="cannot become"):
            conversion(stated, wanted)
    assert conversion("mK", "K").apply(300.0) == 0.3


def test_an_a_is_an_ampere_where_a_current_is_wanted():
    assert conversion("A", "mA").apply(2.0) == 2000
    with pytest.raises(ValueError, match="cannot become"):
        conversion("Å", "mA")


@pytest.mark.parametrize(
    ("stated", "wanted", "value", "expected"),
    [
        ("eV", "m", 12398.419843320026, 1e-10),
        ("keV", "m", 12.398419843320026, 1e-10),
        ("J", "m", HC / 1e-10, 1e-10),
        ("eV", "angstrom", 12398.419843320026, 1.0),
        ("m", "J", 1e-10, HC / 1e-10),
        ("angstrom", "eV", 1.0, 12398.419843320026),
        ("A", "keV", 1.0, 12.398419843320026),
    ],
)
def test_a_photons_energy_is_its_wavelength(stated, wanted, value, expected):
    found = conversion(stated, wanted)
    assert found.apply(value) == pytest.approx(expected, rel=4e-16)
    assert found.undo(expected) == pytest.approx(value, rel=4e-16)


@pytest.mark.parametrize(
    "stated",
    ["parsnip", "m/", "10 um", "1e-6 m", "arb. units", "9**9**9", "degC", "dB", "m", "s", "px",
     "count", "mm^2", "x" * 10_000, "import os", "Å\0", "m m m"],
)  # fmt: skip
def test_what_is_no_unit_or_of_something_else_is_refused(stated):
    with pytest.raises(ValueError, match=r"no unit|cannot become"):
        conversion(stated, "kg")


@given(st.text(max_size=70) | st.text("AmÅ°/*^-+1 .perkeV", max_size=20))
def test_any_text_is_a_unit_or_refused(text):
    with suppress(ValueError):
        found = conversion(text, "m")
        assert found is None or np.isfinite(found.apply(1.0))


@given(st.integers(-(10**9), 10**9), st.sampled_from(["cm", "mm", "um", "nm", "angstrom"]))
def test_decimal_units_are_rounded_once(count, unit):
    powers = {"cm": 2, "mm": 3, "um": 6, "nm": 9, "angstrom": 10}
    assert conversion(unit, "m").apply(count) == float(f"{count}e-{powers[unit]}")
    assert conversion(unit, "m").undo(float(f"{count}e-{powers[unit]}")) == count


def test_a_finite_value_that_would_be_infinite_raises():
    with pytest.raises(CastError, match=r"0\.0 in eV has no finite value in m"):
        conversion("eV", "m").apply([1.0, 0.0])
    with pytest.raises(CastError, match="1 such"):
        conversion("m", "angstrom").apply([1e300, np.inf, np.nan])
    assert conversion("eV", "m").apply(0.0, checked=False) == np.inf
