"""Which dataset of a file is the detector's frames: the candidates, what speaks for each. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..hdf5.links import missing_files
from ..hdf5.names import natural_key
from ..hdf5.tour import Seen, Tour
from .words import FRAME_NAMES, attribute_of, plain

__all__ = ["Candidate", "candidates", "lost_frames"]


# How far each kind of evidence is trusted.
_DEFAULT, _SIGNAL, _DETECTOR, _STRUCTURE, _MARKED, _NAMED = 6, 5, 4, 3, 2, 1

_CXI = re.compile(r"/entry(_\d+)?/(instrument(_\d+)?/detector|data|image)(_\d+)?/data")
_EUXFEL = re.compile(r"/INSTRUMENT/.+/(image/data|DET/JNGFR\d+:.+/data/adc)")
_SERIES = re.compile(r"(data|images?|frames?|block|part|)_?(\d+)", re.IGNORECASE)
_LEAST_GRID = {2: 16, 3: 8}  # pixels along each axis of what nothing but its shape speaks for


@dataclass
class Candidate:
    """A dataset, or a group of numbered ones, that may be the frames."""

    seen: Seen
    shape: tuple[int, ...]  # of a group, that of its datasets one after another
    dtype: np.dtype[np.generic]
    evidence: list[tuple[int, str]] = field(default_factory=list)  # how far trusted, and what

    @property
    def path(self) -> str:
        """Where it is."""
        return self.seen.path

    @property
    def family(self) -> str:
        """Its type in a protocol."""
        return {"i": "int", "u": "uint", "f": "float"}[self.dtype.kind]

    @property
    def level(self) -> int:
        """How far the best piece of evidence is trusted; 0: only its shape speaks for it."""
        return max((level for level, _ in self.evidence), default=0)

    @property
    def frame(self) -> tuple[int, ...]:
        """Shape of a frame."""
        return self.shape if len(self.shape) == 2 else self.shape[1:]

    @property
    def count(self) -> int:
        """How many frames there are."""
        return 1 if len(self.shape) == 2 else self.shape[0]

    @property
    def reasons(self) -> list[str]:
        """What speaks for it, the most trusted first."""
        ordered = sorted(self.evidence, key=lambda one: -one[0])
        return [text for _, text in ordered] or ["nothing but its shape speaks for it"]

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """By what candidates are ordered: the largest is the best."""
        return self.level > 0, len(self.shape) > 2, self.level


def candidates(tour: Tour) -> list[Candidate]:
    """Return the datasets that may be the frames, the best first.

    Whatever a file says of itself counts before names, and names before shapes; stacks before
    single images. Of equals, that with the larger frames comes first, and of numbered ones (two
    detectors, two entries) that with the smallest number.
    """
    found = {
        id(seen): Candidate(seen, seen.shape, seen.dtype)
        for seen in tour.datasets
        if seen.shape is not None and seen.dtype is not None and _may_be(seen)
    }
    for source in (_signals, _structures, _marks, _names):
        for seen, level, text in source(tour):
            if id(seen) in found:
                found[id(seen)].evidence.append((level, text))
    for series, members in _series(tour, found):
        for member in members:
            del found[id(member)]
        found[id(series.seen)] = series
    worthy = [one for one in found.values() if one.level or _is_grid(one.shape)]
    largest: dict[str, int] = {}
    for one in worthy:
        kind = _unnumbered(one.path)
        largest[kind] = max(largest.get(kind, 0), math.prod(one.frame))

    def order(one: Candidate) -> tuple[object, ...]:
        kind = _unnumbered(one.path)
        worse = tuple(-part for part in one.rank)
        return (*worse, one.count == 0, -largest[kind], kind, natural_key(one.path))

    return sorted(worthy, key=order)


def _named_by(tour: Tour, group: Seen | None, attribute: str) -> Seen | None:
    name = group.attributes.get(attribute) if group is not None else None
    if group is None or not isinstance(name, str):
        return None
    return tour.at(name if name.startswith("/") else f"{group.path.rstrip('/')}/{name}")


def _unnumbered(path: str) -> str:
    return re.sub(r"\d+", "#", path)


def _may_be(seen: Seen) -> bool:
    assert seen.shape is not None
    assert seen.dtype is not None
    return (
        seen.dtype.kind in "iuf"
        and len(seen.shape) >= 2
        and min(seen.shape[-2:]) >= 2
        and seen.storage != "external"
        and attribute_of(seen.path) is None
    )


def _is_grid(shape: tuple[int, ...]) -> bool:
    return min(shape[-2:]) >= _LEAST_GRID[min(len(shape), 3)]


Evidence = Iterator[tuple[Seen, int, str]]


def _signals(tour: Tour) -> Evidence:
    """Follow the attributes `default` from the root, and `signal` of every NXdata group."""
    default = tour.at("/")
    for _ in range(8):
        default = _named_by(tour, default, "default") or default
    for group in tour.groups:
        seen = _named_by(tour, group, "signal")
        if seen is not None and group is default:
            yield seen, _DEFAULT, f"{group.path} is the file's default plot, and this is its signal"
        elif seen is not None:
            yield seen, _SIGNAL, f"{group.path} names it as its signal"
    for seen in tour.datasets:
        if str(seen.attributes.get("signal")) == "1":
            yield seen, _SIGNAL, "its attribute signal is 1"


def _structures(tour: Tour) -> Evidence:
    for seen in tour.datasets:
        for path in seen.paths:
            parent = tour.at(path.rpartition("/")[0] or "/")
            kind = parent.attributes.get("NX_class") if parent is not None else None
            if kind == "NXdetector" and path.endswith("/data"):
                yield seen, _DETECTOR, f"{path} is the data of an NXdetector"
            elif kind == "NXdata" and path.endswith("/data"):
                yield seen, _STRUCTURE, f"{path} is the data of an NXdata group"
            match = _CXI.fullmatch(path)
            if match is not None:
                level = _DETECTOR if "detector" in path else _STRUCTURE
                yield seen, level, f"{path} is where CXI has frames"
            elif _EUXFEL.fullmatch(path):
                yield seen, _DETECTOR, f"{path} is where European XFEL has frames"


def _marks(tour: Tour) -> Evidence:
    for seen in tour.datasets:
        if seen.attributes.get("interpretation") == "image":
            yield seen, _MARKED, "its interpretation is image"
        axes = seen.attributes.get("axes")
        text = axes if isinstance(axes, str) else ":".join(map(str, axes or ()))
        if text.endswith(":y:x"):
            yield seen, _MARKED, f"its axes are {text}"


def _names(tour: Tour) -> Evidence:
    for seen in tour.datasets:
        for path in seen.paths:
            name = path.rpartition("/")[2]
            if plain(name) in FRAME_NAMES:
                yield seen, _NAMED, f"it is called {name}"
                break


def _series(tour: Tour, found: dict[int, Candidate]) -> Iterator[tuple[Candidate, list[Seen]]]:
    """Return groups of numbered datasets (data_000001, ...) as one, with the datasets."""
    groups: dict[str, list[tuple[str, Candidate]]] = {}
    for one in found.values():
        for path in one.seen.paths:
            parent, _, name = path.rpartition("/")
            groups.setdefault(parent or "/", []).append((name, one))
    for parent, inside in groups.items():
        group = tour.at(parent)
        members = [one for name, one in inside if _SERIES.fullmatch(name) and len(one.shape) > 2]
        names = [name for name, one in inside if one in members]
        whole = [one for _, one in inside if one not in members and one.seen.storage == "virtual"]
        if group is None or parent == "/" or not members or whole:
            continue
        first = members[0]
        alike = all(one.frame == first.frame and one.dtype == first.dtype for one in members)
        if not alike or any(id(one.seen) not in found for one in members):
            continue
        if len(members) == 1 and not re.fullmatch(r"data_\d{3,}", names[0]):
            continue
        shape = (sum(one.shape[0] for one in members), *first.frame)
        text = f"{parent} holds {len(members)} numbered datasets: {names[0]}"
        text += f" ... {names[-1]}" if len(names) > 1 else ""
        kind = _STRUCTURE if group.attributes.get("NX_class") == "NXdata" else _MARKED
        series = Candidate(group, shape, first.dtype, [(kind, text)])
        yield series, [one.seen for one in members]


def lost_frames(tour: Tour, best: Candidate | None) -> str | None:
    """Tell of links called like frames that lead nowhere; None where others are as likely.

    A detector's master file without its data files has maps of pixels, which are no frames.
    """
    lost = {
        path: why
        for path, why in tour.troubles.items()
        if _SERIES.fullmatch(name := path.rpartition("/")[2]) or plain(name) in FRAME_NAMES
    }
    groups = {path.rpartition("/")[0] for path in lost}
    if best is not None and (best.level >= _SIGNAL or groups & {best.path, best.seen.parent}):
        return None
    files = missing_files(lost.values())
    if not files:
        return None
    return (
        f"{tour.filename} has its frames in files that are not there: {files} (linked from "
        f"{next(iter(lost))} on); copy them beside it"
    )
