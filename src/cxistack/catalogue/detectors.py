"""Which detector of a file the frames of `data` come from: all that is read of one is read of it.

A load path may have a detector in braces, as ``/entry_1/instrument_1/{detector_1}/mask``: it stands
for the detector whose frames `data` are, whatever its name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import LayoutError
from ..hdf5.files import Files
from ..hdf5.links import LinkPolicy, Place, resolve
from ..hdf5.stored import describe, leaves
from ..hdf5.tour import groups_of_class
from ..hdf5.virtual_sources import with_sources
from ..protocol.fields import DETECTOR
from ..protocol.protocol import CXIProtocol

__all__ = ["Chosen", "Detectors"]

_FIELD = re.compile(rf"(?P<parent>.*)/{DETECTOR}/(?P<rest>.*)")
_NAME = re.compile(r"detector(_[0-9]+)?")


@dataclass(frozen=True)
class Chosen:
    """What a user names where a file has several of them.

    Attributes
    ----------
    detector : str or None
        Name of a detector's group.
    channel : str or None
        Name of one of its channels, with or without the ``_channel`` that NeXus adds.
    """

    detector: str | None = None
    channel: str | None = None


class Detectors:
    """The detectors of the files of a run, found when they are first asked for."""

    def __init__(
        self, files: Files, policy: LinkPolicy, protocol: CXIProtocol, chosen: Chosen
    ) -> None:
        self._files, self._policy, self._chosen = files, policy, chosen
        self._data = (
            tuple(place.path for place in protocol.attribute("data").places)
            if "data" in protocol
            else ()
        )
        self._names: dict[tuple[int, str], list[str]] = {}
        self._choice: dict[tuple[int, str], str | None] = {}

    def path(self, number: int, path: str) -> str:
        """Return a load path with the detector of a file in the place of the one in braces.

        Raises
        ------
        LayoutError
            Several detectors would do, and none was named; or the one that was named is not there.
        """
        match = _FIELD.fullmatch(path)
        if match is None:
            return path
        parent, rest = match["parent"], match["rest"]
        key = number, parent
        if key not in self._choice:
            self._choice[key] = self._choose(number, parent)
        name = self._choice[key]
        if name is None:  # of several, the only one that has it
            having = [
                one for one in self._in(number, parent) if self._has(number, parent, one, rest)
            ]
            if len(having) > 1:
                raise self._several(number, parent, having)
            name = having[0] if having else match["detector"]
        return f"{parent}/{name}/{rest}"

    def is_of_another(self, number: int, place: Place) -> bool:
        """Tell whether a dataset is of another detector than the one that a user named."""
        named = self._chosen.detector
        if named is None:
            return False
        parents = {match["parent"] for path in self._data if (match := _FIELD.fullmatch(path))}
        owners = {self._owner(number, parent, place) for parent in parents} - {None}
        return bool(owners) and named not in owners

    def _choose(self, number: int, parent: str) -> str | None:
        """Return the detector of a file; None where nothing tells, as no frames are there."""
        names = self._in(number, parent)
        named = self._chosen.detector
        if named is not None:
            if names and named not in names:
                raise LayoutError(
                    f"{self._files.names[number]} has no detector {named!r} in {parent}, which has "
                    f"{', '.join(names)}"
                )
            return named
        if len(names) < 2:
            return next(iter(names), None)
        for path in self._data:
            match = _FIELD.fullmatch(path)
            if match is None and "{" not in path:
                place = resolve(self._files, self._files.paths[number], path, self._policy)
                owner = None if place is None else self._owner(number, parent, place)
                if owner is not None:
                    return owner
        rests = [
            match["rest"]
            for path in self._data
            if (match := _FIELD.fullmatch(path)) and match["parent"] == parent
        ]
        having = [
            name for name in names if any(self._has(number, parent, name, rest) for rest in rests)
        ]
        if len(having) > 1:
            raise self._several(number, parent, having)
        return next(iter(having), None)

    def _in(self, number: int, parent: str) -> list[str]:
        """Return the names of the detectors in an instrument's group."""
        if (number, parent) not in self._names:
            group = resolve(self._files, self._files.paths[number], parent, self._policy)
            self._names[number, parent] = (
                groups_of_class(self._files, group, "NXdetector", _NAME)
                if group is not None and not group.is_dataset
                else []
            )
        return self._names[number, parent]

    def _has(self, number: int, parent: str, name: str, rest: str) -> bool:
        path = f"{parent}/{name}/{rest}"
        return resolve(self._files, self._files.paths[number], path, self._policy) is not None

    def _owner(self, number: int, parent: str, place: Place) -> str | None:
        """Return the detector in whose group a dataset lies, or the one that it is virtual over."""
        filename = self._files.paths[number]
        places = [place]
        if place.is_dataset:
            stored = with_sources(self._files, describe(self._files, place), self._policy)
            places += [leaf.place for leaf in leaves(stored)]
            for name in self._in(number, parent):
                own = resolve(self._files, filename, f"{parent}/{name}/data", self._policy)
                if own is None or not own.is_dataset:
                    continue
                if describe(self._files, own).address == stored.address:
                    return name
        for one in places:
            for name in self._in(number, parent):
                if one.filename == place.filename and one.path.startswith(f"{parent}/{name}/"):
                    return name
        return None

    def _several(self, number: int, parent: str, names: list[str]) -> LayoutError:
        return LayoutError(
            f"{self._files.names[number]} has {len(names)} detectors in {parent}, and nothing "
            f"tells which is meant: name one with detector=, of {', '.join(names)}"
        )
