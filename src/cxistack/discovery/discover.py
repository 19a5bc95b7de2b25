"""A protocol for files that nobody described, and the reason for each of its choices."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..catalogue.catalogue import Catalogue
from ..catalogue.locate import locate
from ..checking.findings import Problem
from ..checking.problems import misfits
from ..errors import LinkError, ProtocolError
from ..hdf5.files import Files
from ..hdf5.links import LinkPolicy
from ..hdf5.messages import shown
from ..hdf5.names import Given, Names
from ..hdf5.opening import files_of
from ..hdf5.tour import Tour, tour
from ..protocol.fields import BY_PATH
from ..protocol.protocol import CXIProtocol, register_discoverer
from .builtin import Fit, best_fit, keeps_type, leads_to, path_in
from .candidates import Candidate, candidates, lost_frames
from .choices import Choice, choose, choose_frames
from .detectors import Detector, chosen, detectors_in, left_out

__all__ = ["Discovery", "discover"]


_MOST_TOURS = 64  # files that are walked through: the first, and those unlike it


@dataclass(frozen=True)
class Discovery:
    """A proposed protocol and what speaks for it.

    Attributes
    ----------
    protocol : CXIProtocol
        The proposal.
    filenames : tuple of str
        The files that it was made for.
    base : str or None
        The built-in protocol that it builds on, if one fits.
    reasons : Mapping of str to tuple of str
        Why each attribute is where the protocol says, as sentences.
    others : Mapping of str to tuple of str
        What else could have been an attribute, and why it was not taken.
    notes : tuple of str
        What else there is to know: links that lead nowhere, files without frames.
    problems : tuple of Problem
        What in the files does not fit the proposal; each is an error when it is asked for.
    """

    protocol: CXIProtocol
    filenames: tuple[str, ...]
    base: str | None
    reasons: Mapping[str, tuple[str, ...]]
    others: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        names = self.filenames
        title = names[0] if len(names) == 1 else f"{len(names)} files, {names[0]} ... {names[-1]}"
        lines = [f"A protocol for {title}"]
        lines.append(
            f"  built on the built-in protocol {self.base!r}"
            if self.base is not None
            else "  no built-in protocol fits"
        )
        for attr, reasons in self.reasons.items():
            known = self.protocol.attribute(attr)
            lines += ["", f"{attr} ({known.datatype} {known.kind})"]
            lines += [f"  {text}" for text in reasons]
            lines += [f"  not {text}" for text in self.others.get(attr, ())]
        for title, texts in (("Notes", self.notes), ("Problems", self.problems)):
            if texts:
                lines += ["", f"{title}:", *(f"  {text}" for text in texts)]
        return shown("\n".join(lines))


def discover(
    names: Names, *, links: LinkPolicy = "follow", detector: str | None = None
) -> Discovery:
    """Propose a protocol for files of an unknown layout; reads no pixel.

    Parameters
    ----------
    names : str, path, or sequence of them
        The files of a run: a file, a list, or a glob. The first is walked through, and each other
        in which the frames are not where they are in those before.
    links : {"follow", "tree"}
        Links to other files are followed wherever they lead, or only in the given files' folders.
    detector : str, optional
        Which detector, where the files are of several with a file for each module. Files of other
        devices may lie beside those of the modules; they are left out, and the notes say so.

    Returns
    -------
    Discovery
        The protocol, and why: print it.

    Raises
    ------
    ProtocolError
        Nothing in the files can be recognised, which says what is in them; or they are of several
        detectors, which are listed.
    OSError
        A file cannot be opened, or the files with the frames are not there.

    Examples
    --------
    >>> found = discover(example_run)
    >>> list(found.reasons)
    ['data']
    >>> found.reasons["data"][1]
    '/entry_1/instrument_1/detector_1/data is where CXI has frames'
    """
    files = files_of(Given(names))
    making: _Making | None = None
    tours: list[Tour] = []
    try:
        modules = chosen(detectors_in(files, links), detector)
        if modules is None and detector is not None:
            raise ProtocolError(
                f"detector={detector!r} is for runs with a file for each module of a detector, and "
                "these files have none: leave it out"
            )
        for number, path in enumerate(files.paths):
            if modules is not None and number not in modules.files:
                continue
            is_known = making is not None and _has_frames(files, number, making, links)
            if is_known or len(tours) == _MOST_TOURS:
                continue
            tours.append(tour(files, path, links))
            if making is None:
                making = _Making.begin(tours[-1], modules, is_told=detector is not None)
            else:
                making.add(tours[-1])
        if making is None or not making.reasons:
            raise ProtocolError(_nothing_found(tours))
        if modules is not None:
            making.notes += left_out(files, modules, links)
        protocol = making.protocol()
        found = Catalogue(files, range(len(files.names)), protocol, links)
        return Discovery(
            protocol=protocol,
            filenames=files.names,
            base=making.fit.name if making.fit is not None else None,
            reasons={
                attr: tuple(making.reasons[attr]) for attr in protocol if attr in making.reasons
            },
            others={attr: tuple(texts) for attr, texts in making.others.items() if texts},
            notes=tuple(making.notes),
            problems=tuple(misfits(found)),
        )
    finally:
        files.release()


register_discoverer(lambda names, **words: discover(names, **words).protocol)


def _has_frames(files: Files, number: int, making: _Making, links: LinkPolicy) -> bool:
    protocol = making.protocol()
    paths = protocol.attribute("data").paths if "data" in protocol else ()
    return locate(files, number, paths, links) is not None


class _Making:
    """A proposal while file after file is looked at."""

    def __init__(self, fit: Fit | None, modules: Detector | None = None) -> None:
        self.fit = fit
        self.modules = modules
        self.family: str | None = None  # of the frames' type
        self.added: dict[str, list[Choice]] = {}
        self.reasons: dict[str, list[str]] = {}
        self.others: dict[str, list[str]] = {}
        self.notes: list[str] = []

    @classmethod
    def begin(cls, tour: Tour, modules: Detector | None, *, is_told: bool) -> _Making:
        """Look at the first file, and for a built-in protocol that fits it."""
        frames = candidates(tour) if modules is None else modules.frames(tour)
        fit = best_fit(tour, frames[0] if frames else None)
        if modules is not None and fit is not None and is_told:
            fit = Fit(fit.name, _narrowed(fit.protocol, tour, modules))
        making = cls(fit, modules)
        making.add(tour, frames)
        return making

    def add(self, tour: Tour, frames: list[Candidate] | None = None) -> None:
        """Look at a file that has its frames elsewhere than those before, or has none."""
        if frames is None:
            frames = candidates(tour) if self.modules is None else self.modules.frames(tour)
        lost = lost_frames(tour, frames[0] if frames else None)
        if lost is not None:
            raise LinkError(lost)
        data = choose_frames(frames)
        choices = choose(tour, frames[0] if frames else None)
        base = self.fit.protocol if self.fit is not None else None
        if data is not None:
            choices = {"data": data, **choices}
            self.family = self.family or data.datatype
            if base is not None and "data" in base and not keeps_type(base, self.family):
                data.reasons.append(
                    f"it is {self.family} here, which is kept, and the built-in protocol has "
                    f"{base.attribute('data').datatype}"
                )
        for attr in [*(base or ()), *(attr for attr in choices if attr not in (base or ()))]:
            path = path_in(tour, base, attr) if base is not None else None
            choice = choices.get(attr)
            if path is not None:
                self._keep(tour, attr, path, choice)
            elif choice is not None:
                self._append(choice)
        for path, why in tour.troubles.items():
            self.notes.append(f"{tour.filename}:{path} {_shortened(why)}")
        if data is None:
            self.notes.append(f"{tour.filename} has no dataset that could be frames")

    def _keep(self, tour: Tour, attr: str, path: str, choice: Choice | None) -> None:
        """Take what the built-in protocol finds, and say what would have been chosen without."""
        assert self.fit is not None
        reasons = self.reasons.setdefault(attr, [])
        text = f"{path}: the built-in protocol {self.fit.name!r} looks for it there"
        if text in reasons:
            return
        reasons.append(text)
        if choice is None:
            return
        if leads_to(tour, path) is choice.seen:
            reasons += [*choice.reasons, *_meaning(self.fit.protocol, attr, path, choice)]
            self.others.setdefault(attr, []).extend(choice.others)
        else:
            why = f"{choice.path}: {choice.reasons[0]}, but the built-in protocol has {path}"
            self.others.setdefault(attr, []).append(why)

    def _append(self, choice: Choice) -> None:
        known = self.added.setdefault(choice.attr, [])
        if self.modules is not None and choice.kind != "scalar":
            patterns = map(self.modules.within, choice.seen.paths)
            choice.path = next(filter(None, patterns), choice.path)
        if any(other.path == choice.path for other in known):
            return
        known.append(choice)
        first, *rest = [*choice.reasons, *choice.meaning]
        self.reasons.setdefault(choice.attr, []).extend([f"{choice.path}: {first}", *rest])
        self.others.setdefault(choice.attr, []).extend(choice.others)

    def protocol(self) -> CXIProtocol:
        """Return the protocol as far as the files were looked at."""
        base = self.fit.protocol if self.fit is not None else CXIProtocol({}, {})
        fields: dict[str, dict[str, Any]] = {
            one.name: dict(getattr(base, one.name)) for one in dataclasses.fields(base)
        }
        for attr, choices in self.added.items():
            first = choices[0]
            fields["datatypes"].setdefault(attr, first.datatype)
            fields["kinds"].setdefault(attr, first.kind)
            stated = {
                "conventions": [choice.convention for choice in choices],
                "units": [choice.unit for choice in choices],
            }
            for name in BY_PATH:
                before = fields[name].get(attr)
                if before:  # a built-in protocol's: each new path needs its own
                    fields[name][attr] = (*before, *(one or before[0] for one in stated[name]))
                elif attr not in base and None not in stated[name]:
                    fields[name][attr] = tuple(stated[name])
            paths = [choice.path for choice in choices]
            fields["load_paths"][attr] = (*fields["load_paths"].get(attr, ()), *paths)
        is_kept = self.family is None or ("data" in base and keeps_type(base, self.family))
        if not is_kept:
            fields["datatypes"]["data"] = self.family
        return CXIProtocol(**fields)


def _meaning(base: CXIProtocol, attr: str, path: str, choice: Choice) -> Iterator[str]:
    """Say how a built-in protocol understands the values that it finds."""
    place, stated = base.attribute(attr).at(path), choice.seen.attributes.get("units")
    if place.convention is not None:
        yield f"the built-in protocol takes its values by the convention {place.convention!r}"
    if place.unit is not None and not stated:
        yield f"it states no unit: the built-in protocol has {place.unit}"
    elif stated:
        yield f"it is in {stated}, as it says itself"


def _narrowed(protocol: CXIProtocol, tour: Tour, modules: Detector) -> CXIProtocol:
    """Return a built-in protocol for one of several detectors: with its name in place of ``*``."""
    paths: dict[str, tuple[str, ...]] = {}
    options: dict[str, dict[str, Any]] = {name: {} for name in BY_PATH}
    for attr in protocol:
        kept = {
            number: path.replace("/*/", f"/{modules.name}/", 1)
            for number, path in enumerate(protocol.load_paths[attr])
            if f"/{modules.source}/" in path and leads_to(tour, path) is not None
        }
        if kept:
            paths[attr] = tuple(kept.values())
            for name, chosen_ones in options.items():
                if attr in getattr(protocol, name):
                    chosen_ones[attr] = tuple(getattr(protocol, name)[attr][n] for n in kept)
    types = {attr: protocol.datatypes[attr] for attr in paths}
    return CXIProtocol(types, paths, protocol.kinds, **options)


def _shortened(why: str) -> str:
    return why if len(why) < 200 else f"{why[:200]} ..."


def _nothing_found(tours: Sequence[Tour]) -> str:
    """Say what is in files in which nothing was recognised."""
    texts = []
    for one in tours[:3]:
        sized = sorted(one.datasets, key=lambda seen: -math.prod(seen.shape or ()))
        listed = ", ".join(f"{seen.path} {seen.shape} {seen.dtype}" for seen in sized[:8])
        more = f", ... and {len(sized) - 8} smaller" if len(sized) > 8 else ""
        troubles = "".join(f"; {path}: {why}" for path, why in list(one.troubles.items())[:3])
        texts.append(
            f"{one.filename} has {len(one.groups)} groups and {len(sized)} datasets"
            + (f": {listed}{more}" if sized else "")
            + troubles
        )
    return f"nothing that can be recognised as frames or their metadata: {'; '.join(texts)}"
