"""The rules of CXI 1.6 that a program can decide, each over what was seen of a file. Pure.

That a detector has a corner_position, which the document wants always, is not asked: hardly a file
has one.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from ..hdf5.tour import Seen, Tour
from .findings import Finding

__all__ = ["TIMES", "about_dataset", "about_file", "about_group", "times"]

TIMES = ("start_time", "end_time", "date", "calibration_date")
_VERSION = 160
# What may be numbered in a CXI file (CXI 1.6, appendix A).
_CLASSES = (
    *("attenuator", "beam", "data", "detector", "entry", "geometry", "image", "instrument", "log"),
    *("monochromator", "note", "process", "result", "sample", "source"),
)
_NUMBERED = re.compile(rf"({'|'.join(_CLASSES)})_([0-9]+)")
# The implicit axes of fields, by group and name; further dimensions are for `axes` to name.
_PIXELS = ("y", "x")
_IMPLICIT: dict[tuple[str, str], tuple[str, ...]] = {
    **{("data", name): _PIXELS for name in ("data", "errors")},
    **{
        ("detector", name): _PIXELS
        for name in ("data", "data_dark", "data_error", "data_white", "mask")
    },
    ("detector", "basis_vectors"): ("dimension", "coordinate"),
    ("detector", "corner_position"): ("coordinate",),
    ("geometry", "orientation"): ("dot_product",),
    ("geometry", "translation"): ("coordinate",),
}
_IMPLIED = frozenset(name for names in _IMPLICIT.values() for name in names)
_LAST_AXIS = {"coordinate": 3, "dot_product": 6}
# SI units, angles in degree, and what is only counted; by their signs and by their names.
_SI = (
    "m|s|kg|A|K|mol|cd|Hz|N|Pa|J|W|V|F|C|S|H|T|Wb|Gy|Sv|Bq|Ω|1|°|deg|degree|ohm|unitless|count|"
    "photon|pixel|adu|met(?:er|re)|second|kilogram|ampere|kelvin|mole|candela|hertz|newton|pascal|"
    "joule|watt|volt|farad|gray"
)
_OTHERS = "g|gram|Å|angstrom|eV|electronvolt|rad|radian|min|minute|h|hour|d|day|bar|micron"
_PREFIX = (
    "yocto|zepto|atto|femto|pico|nano|micro|milli|centi|deci|kilo|mega|giga|[yzafpnuµμmcdhkMGTP]"
)
_BETWEEN = r"\s*[/·.]\s*|\s*(?<!\*)\*(?!\*)\s*|\s+(?![\^*])"
_TERM = r"([^\W\d_]+|°|1)(?:\s*(?:\^|\*\*)?\s*[-+]?[0-9])?"


def _error(path: str, rule: str, sentence: str, *, is_warning: bool = False) -> Finding:
    return Finding("conforms", "", "", sentence, path, is_warning=is_warning, rule=rule)


_warning = partial(_error, is_warning=True)


def _class_of(path: str) -> str:
    """Return the class that the name of a group says: "detector" of ``detector_1``."""
    numbered = _NUMBERED.fullmatch(path.rpartition("/")[2])
    return numbered[1] if numbered else ""


def _integer(seen: Seen) -> int | None:
    """Return the single integer that a dataset holds; None where it holds anything else."""
    is_integer = seen.dtype is not None and seen.dtype.kind in "iu"
    return seen.value if is_integer and isinstance(seen.value, int) else None


def _implicit_axes(seen: Seen) -> tuple[str, ...]:
    return _IMPLICIT.get((_class_of(seen.parent), seen.name), ())


def about_file(tour: Tour, entries: Sequence[str]) -> Iterator[Finding]:
    """Find what is wrong with a file as a whole, of which these are the entries."""
    yield from _version(tour.at("/cxi_version"))
    yield from _entries(entries, tour.at("/number_of_entries"))
    for path, why in tour.troubles.items():
        yield _error(path, "links", f"it leads to nothing that can be read: {why}")


def about_group(tour: Tour, path: str) -> Iterator[Finding]:
    """Find what is wrong with a group: its numbers, an entry's data, what a process says."""
    names = tour.names_in(path)
    yield from _numbers(path, [name for name in names if not name.startswith("entry_")])
    kind = _class_of(path)
    if kind == "entry":
        yield from _shown_frames(tour, path, names)
    elif kind == "process":
        yield from _process(tour, path)


def about_dataset(tour: Tour, seen: Seen) -> Iterator[Finding]:
    """Find what is wrong with a dataset: its axes, its unit, its shape, a mask's type."""
    yield from _axes(tour, seen)
    yield from _units(seen)
    implicit = _implicit_axes(seen)
    wanted = _LAST_AXIS.get(implicit[-1]) if implicit else None
    if wanted is not None and (not seen.shape or seen.shape[-1] != wanted):
        sentence = f"its last dimension must be {wanted} long, and its shape is {seen.shape}"
        yield _error(seen.path, "shape", sentence)
    if seen.name == "mask" and _class_of(seen.parent) in ("detector", "image"):
        yield from _mask(seen)


def times(path: str, texts: Iterable[str] | None) -> Iterator[Finding]:
    """Find times that are not ISO 8601 with a zone; None: they are no text in the file itself."""
    if texts is None:
        yield _error(path, "times", "a time must be text in ISO 8601, stored in the file itself")
        return
    for text in texts:
        try:
            has_zone = datetime.datetime.fromisoformat(text).tzinfo is not None
        except ValueError:
            yield _error(path, "times", f"{text!r} is not a date and time in ISO 8601")
            return
        if not has_zone:
            yield _error(path, "times", f"{text!r} does not say its time zone")
            return


def _version(seen: Seen | None) -> Iterator[Finding]:
    path = "/cxi_version"
    if seen is None:
        yield _error("/", "version", "it has entries like a CXI file, and no cxi_version")
        return
    value = _integer(seen)
    if value is None:
        yield _error(path, "version", "it is not an integer: version 1.6 is 160")
    elif not 100 <= value < 1000:
        sentence = f"it is {value}, not the version times 100: version 1.6 is 160"
        yield _error(path, "version", sentence)
    elif value != _VERSION:
        sentence = f"the file is of CXI {value / 100:.2f}, and is checked against 1.60"
        yield _warning(path, "version", sentence)


def _entries(names: Sequence[str], count: Seen | None) -> Iterator[Finding]:
    if not names:
        yield _error("/", "entries", "a CXI file must have an /entry_1, and this one has no entry")
    yield from _numbers("/", names)
    if count is None:
        yield _warning("/", "number_of_entries", "it has no number_of_entries")
    elif (value := _integer(count)) is None:
        yield _error("/number_of_entries", "number_of_entries", "it is not an integer")
    elif value != len(names):
        sentence = f"it says {value}, and there are {len(names)} entries"
        yield _error("/number_of_entries", "number_of_entries", sentence)


def _numbers(path: str, names: Iterable[str]) -> Iterator[Finding]:
    """Find names of a group whose numbers do not go 1, 2, 3, ..."""
    given: dict[str, list[str]] = {}
    for name in names:
        if numbered := _NUMBERED.fullmatch(name):
            given.setdefault(numbered[1], []).append(numbered[2])
    for kind, found in given.items():
        found.sort(key=int)
        if found != [str(k + 1) for k in range(len(found))]:
            rule = "entries" if kind == "entry" else "numbers"
            there = ", ".join(f"{kind}_{k}" for k in found)
            sentence = f"the numbers of {kind}_N must be 1, 2, 3, ...; there are {there}"
            yield _error(path, rule, sentence)


def _shown_frames(tour: Tour, entry: str, names: Iterable[str]) -> Iterator[Finding]:
    """Find an entry without data_N, and frames of a detector that no data_N of it shows."""
    groups = [name for name in names if re.fullmatch(r"data_[0-9]+", name)]
    if not groups:
        yield _error(entry, "data", "an entry must have a data_1, and this one has no data_N")
    if not groups or any(tour.at(f"{entry}/{name}/data") is not None for name in groups):
        return
    pattern = re.compile(rf"{re.escape(entry)}/.*detector_[0-9]+/data")
    for path in (path for seen in tour.datasets for path in seen.paths if pattern.fullmatch(path)):
        sentence = f"it is in no data_N of {entry}, where readers look for frames"
        yield _error(path, "data", sentence)


def _process(tour: Tour, path: str) -> Iterator[Finding]:
    for field in ("program", "version", "command", "date"):
        child = tour.at(f"{path}/{field}")
        if child is None:
            yield _warning(path, "process", f"it does not say its {field}")
        elif not child.is_text:
            yield _error(f"{path}/{field}", "process", "it is not text")


def _axes(tour: Tour, seen: Seen) -> Iterator[Finding]:
    assert seen.shape is not None
    ndim, implicit = len(seen.shape), _implicit_axes(seen)
    stated = seen.attributes.get("axes")
    if stated is None:
        if implicit and ndim > len(implicit):
            sentence = (
                f"it has {ndim} dimensions, of which {':'.join(implicit)} are known, and no "
                "attribute axes that names the others"
            )
            yield _warning(seen.path, "axes", sentence)
        return
    # A text, or an array of one text or of one a dimension.
    texts = stated if isinstance(stated, list) else [stated]
    names = [name for text in texts for name in str(text).split(":")]
    if len(names) != ndim:
        sentence = f"axes names {len(names)} dimensions ({':'.join(names)}), and it has {ndim}"
        yield _error(seen.path, "axes", sentence)
        return
    for axis, name in enumerate(names):
        if name in _IMPLIED:
            continue
        scale = tour.at(f"{seen.path.rpartition('/')[0]}/{name}")
        if scale is None or scale.shape is None:
            sentence = f"axes names {name!r}, and there is no dataset of this name beside it"
            yield _warning(seen.path, "axes", sentence)
        elif scale.shape and scale.shape[0] != seen.shape[axis]:
            sentence = (
                f"dimension {axis} is {seen.shape[axis]} long, and {name}, by which axes names it, "
                f"is {scale.shape[0]} long"
            )
            yield _error(seen.path, "axes", sentence)


def _units(seen: Seen) -> Iterator[Finding]:
    stated = seen.attributes.get("units")
    if stated is None:
        return
    unit = str(stated).strip()
    terms = [re.fullmatch(_TERM, term) for term in re.split(_BETWEEN, unit)]
    kinds = {_unit_kind(term[1]) if term else "" for term in terms} if unit else {"SI"}
    if "" in kinds:
        yield _error(seen.path, "units", f"{unit!r} is not a known unit")
    elif "other" in kinds:
        sentence = f"it is in {unit!r}: readers may take its numbers for SI units"
        yield _warning(seen.path, "units", sentence)


def _unit_kind(name: str) -> str:
    """Return "SI", "other", or nothing of what is no unit."""
    for spelling in (name, name.lower().removesuffix("s")):
        if re.fullmatch(_SI, spelling):
            return "SI"
        if re.fullmatch(rf"{_OTHERS}|(?:{_PREFIX})(?:{_SI}|{_OTHERS})", spelling):
            return "other"
    return ""


def _mask(seen: Seen) -> Iterator[Finding]:
    assert seen.dtype is not None
    if seen.dtype.kind not in "iu":
        sentence = f"a mask must be a 32-bit integer in which 0 is good, not {seen.dtype}"
        yield _error(seen.path, "mask", sentence)
    elif seen.dtype.itemsize != 4:
        sentence = f"a mask should be a 32-bit integer; this one is {seen.dtype}"
        yield _warning(seen.path, "mask", sentence)
