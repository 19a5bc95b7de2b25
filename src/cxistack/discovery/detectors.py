"""The detectors of a run whose modules lie in files of their own, beside files of other devices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import CXIError, ProtocolError
from ..hdf5.files import Files
from ..hdf5.links import LinkPolicy, resolve
from ..hdf5.messages import DAMAGE
from ..hdf5.tour import Tour, children, tour
from .candidates import Candidate, candidates

__all__ = ["Detector", "chosen", "detectors_in", "left_out"]


# Of the European XFEL's sources, /INSTRUMENT/<detector>/<DET or CORR>/<module>, with frames.
_SOURCES = ("DET", "CORR")
_MODULE = re.compile(r"(\D*?)(\d+)(\D.*|)")
_FRAMES = ("image/data", "data/adc")
_MOST_TOURS = 8  # files of other devices that are walked through to say what is in them


@dataclass
class Detector:
    """A detector with a file for each module, or several.

    Attributes
    ----------
    name : str
        Its name in the files.
    source : str
        "DET" for its own data, "CORR" for corrected ones.
    head, tail : str
        What stands before and behind a module's number.
    modules : dict of int to str
        The number of each module as it is written.
    files : list of int
        The numbers of the files that have any of them.
    """

    name: str
    source: str
    head: str
    tail: str
    modules: dict[int, str] = field(default_factory=dict)
    files: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        numbers = sorted(self.modules)
        those = f"modules {numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else "one module"
        what = {"DET": "as it was taken", "CORR": "corrected"}[self.source]
        return f"{self.name}/{self.source} ({those}, {what})"

    def is_called(self, name: str) -> bool:
        """Tell whether it is what a user calls `name`."""
        return name in (self.name, f"{self.name}/{self.source}")

    def within(self, path: str) -> str | None:
        """Return a path of one of its modules as the pattern for all; None of any other path."""
        start = f"/INSTRUMENT/{self.name}/{self.source}/{self.head}"
        found = re.match(rf"{re.escape(start)}(\d+){re.escape(self.tail)}/", path)
        if found is None or int(found[1]) not in self.modules:
            return None
        numbers = sorted(self.modules)
        field = "{module}" if not numbers[0] else f"{{module:{numbers[0]}-{numbers[-1]}}}"
        return f"{start}{field}{self.tail}/{path[found.end() :]}"

    def frames(self, seen: Tour) -> list[Candidate]:
        """Return the candidates for frames that are of its modules, the best first."""
        return [
            one for one in candidates(seen) if any(self.within(path) for path in one.seen.paths)
        ]


def detectors_in(files: Files, links: LinkPolicy) -> list[Detector]:
    """Return the detectors of which any file has a module, in the order in which they are met."""
    found: dict[tuple[str, str, str, str], Detector] = {}
    for number, filename in enumerate(files.paths):
        try:
            modules = _modules_in(files, filename, links)
        except (CXIError, *DAMAGE):  # told of where the file is looked into
            continue
        for key, module in modules:
            one = found.setdefault(key, Detector(*key))
            one.modules.setdefault(int(module), module)
            if number not in one.files:
                one.files.append(number)
    return list(found.values())


def _modules_in(
    files: Files, filename: str, links: LinkPolicy
) -> list[tuple[tuple[str, str, str, str], str]]:
    def inside(path: str) -> list[str]:
        group = resolve(files, filename, path, links)
        return children(files, group) if group is not None and not group.is_dataset else []

    modules: list[tuple[tuple[str, str, str, str], str]] = []
    known: set[tuple[str, str]] = set()
    for name in inside("/INSTRUMENT"):
        for source in _SOURCES:
            path = f"/INSTRUMENT/{name}/{source}"
            for member in inside(path):
                parts = _MODULE.fullmatch(member)
                if parts is None:
                    continue
                ends = [
                    resolve(files, filename, f"{path}/{member}/{end}", links) for end in _FRAMES
                ]
                frames = {(end.filename, end.path) for end in ends if end and end.is_dataset}
                if frames - known:  # an older name of a source may be a link to it
                    head, module, tail = parts.groups()
                    modules.append(((name, source, head, tail), module))
                known |= frames
    return modules


def chosen(detectors: Sequence[Detector], wanted: str | None) -> Detector | None:
    """Return the detector that is told, or the only one; None where there is none.

    Raises
    ------
    ProtocolError
        There are several and none is told, or none is called so. Lists them.
    """
    fits = [one for one in detectors if wanted is None or one.is_called(wanted)]
    if len(fits) == 1 or not detectors:
        return fits[0] if fits else None
    listed = ", ".join(map(str, fits or detectors))
    if fits:
        raise ProtocolError(
            f"the files are of several detectors: {listed}; say which one by detector= "
            f'(--detector), such as "{fits[0].name}/{fits[0].source}"'
        )
    raise ProtocolError(f"none of the detectors is called {wanted!r}; they are {listed}")


def left_out(files: Files, detector: Detector, links: LinkPolicy) -> list[str]:
    """Say what is in the files that have no module of a detector."""
    others = [number for number in range(len(files.paths)) if number not in detector.files]
    said: dict[str, list[str]] = {}
    for number in others[:_MOST_TOURS]:
        frames = [one for one in candidates(tour(files, files.paths[number], links)) if one.count]
        images = [one for one in frames if len(one.shape) > 2]
        name = files.names[number]
        for one in images[:4]:
            told = f"{one.path}, frames of {one.frame} in {one.dtype}"
            said.setdefault(f"{told}: not a module of {detector.name}", []).append(name)
        if len(images) > 4:
            said.setdefault(f"{len(images) - 4} more stacks of images", []).append(name)
        if not images:
            said.setdefault(f"it has no module of {detector.name}, nor images", []).append(name)
    notes = [
        f"left out: {names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: {what}"
        for what, names in said.items()
    ]
    if others[_MOST_TOURS:]:
        more = len(others) - _MOST_TOURS
        notes.append(f"left out: {more} more files without a module of {detector.name}")
    return notes
