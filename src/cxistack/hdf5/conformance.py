"""What of a file that says it is CXI is not CXI 1.6.

The rules are those of the CXI document that a program can decide: version, numbering of entries
and groups, links, axes, units, masks, processes, times and shapes. That a detector has a
corner_position, which the document wants always, is not asked: hardly a file has one.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import h5py
import numpy as np

from ..errors import CXIError
from .files import Files
from .links import resolve
from .names import natural_key

__all__ = ["Departure", "conformance"]

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
_TIMES = ("start_time", "end_time", "date", "calibration_date")
_PROCESS = ("program", "version", "command", "date")
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


@dataclass(frozen=True)
class Departure:
    """Something in a CXI file that is not as CXI 1.6 has it.

    Attributes
    ----------
    path : str
        Where in the file.
    rule : str
        One of "version", "entries", "number_of_entries", "numbers", "data", "links", "axes",
        "units", "mask", "process", "times", "shape" and "readable".
    sentence : str
        What is wrong.
    gravity : {"error", "warning"}
        An error is against the format; a warning is against its advice, or may mislead a reader.
    """

    path: str
    rule: str
    sentence: str
    gravity: Literal["error", "warning"]

    def __str__(self) -> str:
        return f"{self.path}: {self.gravity}: {self.sentence}"


@dataclass(frozen=True)
class _Node:
    """A group or a dataset by one of its names; a group is looked into by one name only."""

    path: str
    h5: Any
    is_linked: bool
    is_again: bool = False

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]


def conformance(files: Files, filename: str) -> list[Departure]:
    """List what of a file is not CXI 1.6; nothing of a file that does not say that it is CXI.

    Parameters
    ----------
    files : Files
        Lends the file.
    filename : str
        Its absolute path, one of ``files.paths``. Other files that it links to are not looked at.

    Returns
    -------
    list of Departure
        In the order of the file's names. A file claims to be CXI by a ``cxi_version`` or an
        ``entry_1``, but not by an ``entry_1`` that says it is of another layout (``definition``).

    Raises
    ------
    StorageError
        The file cannot be opened.
    """
    with files.reading(filename) as h5:
        try:
            if "cxi_version" not in h5 and ("entry_1" not in h5 or "entry_1/definition" in h5):
                return []
            found = list(_Look(files, filename, h5).departures())
        except (OSError, KeyError, RuntimeError, TypeError, ValueError) as cause:  # h5py's words
            found = [_error("/", "readable", f"HDF5 cannot make sense of the file: {cause}")]
    return list(dict.fromkeys(found))


def _error(path: str, rule: str, sentence: str) -> Departure:
    return Departure(path, rule, sentence, "error")


def _warning(path: str, rule: str, sentence: str) -> Departure:
    return Departure(path, rule, sentence, "warning")


class _Look:
    """One look at a file: what is in its entries, then what the rules say of it."""

    def __init__(self, files: Files, filename: str, h5: h5py.File) -> None:
        self._files = files
        self._filename = filename
        self._h5 = h5
        self._nodes: dict[str, _Node] = {}
        self._broken: list[Departure] = []
        names = sorted(h5, key=natural_key)
        self._entries = [name for name in names if re.fullmatch(r"entry_[0-9]+", name)]
        self._entered: set[Any] = set()
        for name in self._entries:
            self._collect(f"/{name}")

    def departures(self) -> Iterator[Departure]:
        """Apply all rules."""
        yield from _version(self._h5)
        yield from self._root()
        yield from self._broken
        for path in self._nodes:
            node = self._nodes[path]
            if isinstance(node.h5, h5py.Group) and not node.is_again:
                yield from self._group(node)
        for node in self._datasets():
            kind = _kind(node.folder)
            yield from self._axes(node, kind)
            yield from _units(node)
            yield from _shape(node, kind)
            if node.name == "mask" and kind in ("detector", "image"):
                yield from _mask(node)
            if node.name in _TIMES:
                yield from _time(node)

    def _collect(self, path: str) -> None:
        """Note what is at `path` and below it."""
        folder, _, name = path.rpartition("/")
        link = self._h5[folder or "/"].get(name, getlink=True)
        is_linked = not isinstance(link, h5py.HardLink)
        try:
            place = resolve(self._files, self._filename, path)
            if place is None or place.filename != self._filename:
                return
            h5 = self._h5[place.path]
        except (CXIError, OSError, KeyError, RuntimeError) as error:
            self._broken.append(_error(path, "links", f"it leads to nothing: {error}"))
            return
        address = h5py.h5o.get_info(h5.id).addr
        is_again = isinstance(h5, h5py.Group) and address in self._entered
        self._nodes[path] = _Node(path, h5, is_linked, is_again)
        if isinstance(h5, h5py.Group) and not is_again:
            self._entered.add(address)
            for child in sorted(h5, key=natural_key):
                self._collect(f"{path}/{child}")

    def _datasets(self) -> Iterator[_Node]:
        """Return each dataset once: by a name of its own if it has one, else by a link's."""
        seen = set()
        for node in sorted(self._nodes.values(), key=lambda node: node.is_linked):
            if isinstance(node.h5, h5py.Dataset):
                address = h5py.h5o.get_info(node.h5.id).addr
                if address not in seen:
                    seen.add(address)
                    yield node

    def _root(self) -> Iterator[Departure]:
        if not self._entries:
            yield _error("/", "entries", "a CXI file has at least one entry: there is no /entry_1")
        yield from _gaps("", self._entries)
        count = self._h5.get("number_of_entries")
        if count is None:
            yield _warning("/", "number_of_entries", "it has no number_of_entries")
        elif (value := _integer(count)) is None:
            yield _error("/number_of_entries", "number_of_entries", "it is not an integer")
        elif value != len(self._entries):
            sentence = f"it says {value}, and there are {len(self._entries)} entries"
            yield _error("/number_of_entries", "number_of_entries", sentence)

    def _group(self, node: _Node) -> Iterator[Departure]:
        kind = _kind(node.path)
        children = [child for child in node.h5 if f"{node.path}/{child}" in self._nodes]
        yield from _gaps(node.path, [name for name in children if not name.startswith("entry_")])
        if kind == "entry":
            yield from self._data(node, children)
        elif kind == "process":
            for field in _PROCESS:
                child = self._nodes.get(f"{node.path}/{field}")
                if child is None:
                    yield _warning(node.path, "process", f"it does not say its {field}")
                elif not _is_text(child.h5):
                    yield _error(child.path, "process", "it is not text")

    def _data(self, entry: _Node, children: list[str]) -> Iterator[Departure]:
        groups = [name for name in children if re.fullmatch(r"data_[0-9]+", name)]
        if not groups:
            yield _error(entry.path, "data", "an entry has at least one data_N: there is no data_1")
        if not groups or any(f"{entry.path}/{name}/data" in self._nodes for name in groups):
            return
        for path, node in self._nodes.items():
            if node.name == "data" and re.fullmatch(
                rf"{entry.path}/.*detector_[0-9]+", node.folder
            ):
                sentence = f"it is in no data_N of {entry.path}, where readers look for frames"
                yield _error(path, "data", sentence)

    def _axes(self, node: _Node, kind: str) -> Iterator[Departure]:
        dataset = node.h5
        implicit = _IMPLICIT.get((kind, node.name))
        names = _axis_names(dataset)
        if names is None:
            if implicit is not None and dataset.ndim > len(implicit):
                sentence = (
                    f"it has {dataset.ndim} dimensions and no attribute axes that says what they "
                    f"are beside {':'.join(implicit)}"
                )
                yield _warning(node.path, "axes", sentence)
            return
        if len(names) != dataset.ndim:
            sentence = f"axes names {len(names)} dimensions ({':'.join(names)}), of {dataset.ndim}"
            yield _error(node.path, "axes", sentence)
            return
        for axis, name in enumerate(names):
            if name in _IMPLIED or name in (implicit or ()):
                continue
            scale = self._nodes.get(f"{node.folder}/{name}")
            if scale is None or not isinstance(scale.h5, h5py.Dataset):
                sentence = f"axes names {name!r}, and beside it is no dataset of this name"
                yield _warning(node.path, "axes", sentence)
            elif scale.h5.ndim and scale.h5.shape[0] != dataset.shape[axis]:
                sentence = (
                    f"dimension {axis} is {dataset.shape[axis]} long, and {name}, which it is "
                    f"named after, {scale.h5.shape[0]}"
                )
                yield _error(node.path, "axes", sentence)


def _kind(path: str) -> str:
    """Return the class that the name of a group says: "detector" of ``detector_1``."""
    numbered = _NUMBERED.fullmatch(path.rpartition("/")[2])
    return numbered[1] if numbered else ""


def _version(h5: h5py.File) -> Iterator[Departure]:
    path = "/cxi_version"
    if "cxi_version" not in h5:
        yield _error("/", "version", "it has entries as CXI files have them, and no cxi_version")
        return
    value = _integer(h5["cxi_version"])
    if value is None:
        yield _error(path, "version", "it is not an integer: version 1.6 is 160")
    elif not 100 <= value < 1000:
        yield _error(path, "version", f"it is {value}, not the version times 100: 1.6 is 160")
    elif value != _VERSION:
        sentence = f"the file is of CXI {value / 100:.2f}, and is looked at as one of 1.60"
        yield _warning(path, "version", sentence)


def _integer(dataset: Any) -> int | None:
    """Return a single integer, also from an array of one; None for anything else."""
    is_single = isinstance(dataset, h5py.Dataset) and dataset.size == 1 and not dataset.external
    if is_single and dataset.dtype.kind in "iu":
        return int(np.asarray(dataset[()]).item())
    return None


def _gaps(path: str, names: list[str]) -> Iterator[Departure]:
    """Find numbers that do not go 1, 2, 3, ..."""
    numbers: dict[str, list[str]] = {}
    for name in names:
        if numbered := _NUMBERED.fullmatch(name):
            numbers.setdefault(numbered[1], []).append(numbered[2])
    for kind, given in numbers.items():
        wanted = [str(k + 1) for k in range(len(given))]
        if sorted(given, key=int) != wanted:
            rule = "entries" if kind == "entry" else "numbers"
            sentence = (
                f"numbers of {kind}_N begin at 1 and leave none out; there are "
                f"{', '.join(f'{kind}_{k}' for k in sorted(given, key=int))}"
            )
            yield _error(path or "/", rule, sentence)


def _axis_names(dataset: h5py.Dataset) -> list[str] | None:
    """Return the names in `axes`: a text, or an array of one text or of one a dimension."""
    axes = dataset.attrs.get("axes")
    if axes is None or isinstance(axes, h5py.Empty):
        return None
    return [name for text in np.atleast_1d(axes) for name in _text(text).split(":")]


def _units(node: _Node) -> Iterator[Departure]:
    given = node.h5.attrs.get("units")
    if given is None or isinstance(given, h5py.Empty):
        return
    unit = _text(given).strip()
    terms = [re.fullmatch(_TERM, term) for term in re.split(_BETWEEN, unit)]
    kinds = {_unit_kind(term[1]) if term else "" for term in terms} if unit else {"SI"}
    if "" in kinds:
        yield _error(node.path, "units", f"{unit!r} is no unit that is known")
    elif "other" in kinds:
        sentence = f"it is in {unit!r}, not in SI units, for which readers may take it"
        yield _warning(node.path, "units", sentence)


def _unit_kind(name: str) -> str:
    """Return "SI", "other", or nothing of what is no unit."""
    for spelling in (name, name.lower().removesuffix("s")):
        if re.fullmatch(_SI, spelling):
            return "SI"
        if re.fullmatch(rf"{_OTHERS}|(?:{_PREFIX})(?:{_SI}|{_OTHERS})", spelling):
            return "other"
    return ""


def _shape(node: _Node, kind: str) -> Iterator[Departure]:
    implicit = _IMPLICIT.get((kind, node.name), ())
    wanted = _LAST_AXIS.get(implicit[-1]) if implicit else None
    shape = node.h5.shape
    if wanted is not None and (not shape or shape[-1] != wanted):
        yield _error(
            node.path, "shape", f"its last dimension is to be {wanted} long; it is {shape}"
        )


def _mask(node: _Node) -> Iterator[Departure]:
    dtype = node.h5.dtype
    if dtype.kind not in "iu":
        sentence = f"a mask is a 32-bit integer in which 0 is good, not {dtype}"
        yield _error(node.path, "mask", sentence)
    elif dtype.itemsize != 4:
        yield _warning(node.path, "mask", f"a mask is a 32-bit integer; this one is {dtype}")


def _is_text(h5: Any) -> bool:
    return isinstance(h5, h5py.Dataset) and (
        h5.dtype.kind in "SU" or h5py.check_string_dtype(h5.dtype) is not None
    )


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _time(node: _Node) -> Iterator[Departure]:
    if not _is_text(node.h5) or node.h5.external:  # of raw files nothing is read, or told
        yield _error(node.path, "times", "a time is text in ISO 8601, kept in the file itself")
        return
    for value in np.atleast_1d(node.h5[()]):
        text = _text(value)
        try:
            has_zone = datetime.datetime.fromisoformat(text).tzinfo is not None
        except ValueError:
            yield _error(node.path, "times", f"{text!r} is no date and time in ISO 8601")
            return
        if not has_zone:
            yield _error(node.path, "times", f"{text!r} does not say its time zone")
            return
