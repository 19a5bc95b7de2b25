"""What a protocol finds in files; of what it does not find, how far each path leads, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..catalogue.catalogue import Catalogue
from ..catalogue.locate import Found, locate
from ..catalogue.modules import is_pattern
from ..checking.findings import Problem
from ..checking.problems import misfits
from ..errors import CXIError
from ..hdf5.files import Files
from ..hdf5.links import LinkPolicy, Place, resolve
from ..hdf5.names import Given, Names
from ..hdf5.opening import files_of
from ..hdf5.tour import Tour, children, tour
from ..protocol.attribute import Attribute
from ..protocol.fields import columns_of
from ..protocol.protocol import CXIProtocol
from .words import plain

__all__ = ["Match", "Miss", "match"]


_MOST_LISTED = 8


@dataclass(frozen=True)
class Miss:
    """A load path that leads nowhere: at which group it ends, and what is there instead."""

    path: str
    why: str
    hints: tuple[str, ...]


@dataclass(frozen=True)
class Match:
    """What there is of one attribute of a protocol."""

    attribute: Attribute
    files: int  # that were looked into
    places: Mapping[str, int]  # where it was found, with shape and type, and in how many files
    missed_in: str = ""  # the first file that does not have it
    misses: tuple[Miss, ...] = ()  # where each of its paths ends in that file
    elsewhere: tuple[str, ...] = ()  # datasets of its names at other paths of that file


def match(
    protocol: CXIProtocol, names: Names, *, links: LinkPolicy = "follow"
) -> tuple[list[Match], list[Problem]]:
    """Look for all attributes of a protocol in files; reads no pixel.

    Returns
    -------
    matches : list of Match
        One for each attribute, in the protocol's order.
    problems : list of Problem
        What was found and cannot be loaded, and why.

    Raises
    ------
    OSError
        None of the files can be opened.
    """
    files = files_of(Given(names))
    try:
        catalogue = Catalogue(files, range(len(files.names)), protocol, links)
        readable = [number for number in catalogue.numbers if catalogue.opens(number)]
        if not readable:
            with files.reading(files.paths[0]):  # raises what is wrong with it
                pass
        tours: dict[str, Tour] = {}
        matches = []
        for attr, found in catalogue.found_all().items():
            wanted = protocol.attribute(attr)
            paths = wanted.paths
            # Modules in many files are found together, for the first of these.
            parts = {
                number: part.path
                for number in readable
                if number not in found and (part := locate(files, number, paths, links)) is not None
            }
            places: Counter[str] = Counter()
            for here in found.values():
                others = [number for number, path in parts.items() if path == here.path]
                places[_place(here)] += 1 + len(others)
            one = Match(wanted, len(readable), places)
            lacking = next(
                (number for number in readable if number not in found and number not in parts), None
            )
            if lacking is not None:
                name = files.paths[lacking]
                if name not in tours:
                    tours[name] = tour(files, name, links)
                one = replace(
                    one,
                    missed_in=files.names[lacking],
                    misses=tuple(_miss(files, name, path, links) for path in paths),
                    elsewhere=tuple(_elsewhere(tours[name], paths)),
                )
            matches.append(one)
        return matches, misfits(catalogue)
    finally:
        files.release()


def _place(found: Found) -> str:
    if found.error is not None and not found.datasets:
        return f"{found.path} (see the problems)"
    if len(found.datasets) == 1:
        (stored,) = found.datasets
        return f"{found.path} {stored.shape} {'str' if stored.is_text else stored.dtype}"
    first = found.datasets[0]
    rows = sum(stored.shape[0] for stored in found.datasets if stored.shape)
    shape = (rows, *first.shape[1:])
    return f"{found.path} {shape} {first.dtype} in {len(found.datasets)} datasets"


def _miss(files: Files, filename: str, path: str, links: LinkPolicy) -> Miss:
    """Follow a path as far as it leads."""
    if is_pattern(path) or columns_of(path):
        return Miss(path, "no dataset of the file matches it", ())
    here = Place(filename, "/", (), False)
    pieces = [piece for piece in path.split("/") if piece]
    for number, piece in enumerate(pieces):
        try:
            place = resolve(files, filename, "/" + "/".join(pieces[: number + 1]), links)
        except (CXIError, OSError) as error:
            return Miss(path, str(error), ())
        if place is None:
            where = "/" + "/".join(pieces[:number])
            if here.is_dataset:
                return Miss(path, f"{where} is a dataset, where the path needs a group", ())
            return Miss(path, f"{where} has no {piece}", tuple(_near(files, here, piece)))
        here = place
    return Miss(path, "is neither a dataset nor a group", ())


def _near(files: Files, group: Place, name: str) -> Iterator[str]:
    """Return what a group has instead of `name`: other spellings of it first."""
    import difflib

    there = children(files, group)
    alike = [other for other in there if plain(other) == plain(name)]
    alike += [
        other for other in difflib.get_close_matches(name, there, 3, 0.75) if other not in alike
    ]
    if alike:
        yield f"it has {', '.join(alike)}: is that meant?"
    elif there:
        more = f", ... ({len(there)})" if len(there) > _MOST_LISTED else ""
        yield f"it has {', '.join(there[:_MOST_LISTED])}{more}"
    else:
        yield "it is empty"


def _last_names(paths: Sequence[str]) -> set[str]:
    return {plain(path.rpartition("/")[2]) for path in paths}


def _elsewhere(seen: Tour, paths: Sequence[str]) -> Iterator[str]:
    """Return the datasets whose names are those of an attribute's paths."""
    names = _last_names(paths)
    found = [one for one in seen.datasets if not names.isdisjoint(_last_names(one.paths))]
    for one in found[:_MOST_LISTED]:
        yield f"there is {one.path} {one.shape} {one.dtype}"
