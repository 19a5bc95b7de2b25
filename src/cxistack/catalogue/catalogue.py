"""What the files of a run have of each attribute, found when it is first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..errors import AttributeMissingError, LayoutError
from ..hdf5.files import Files
from ..hdf5.links import LinkPolicy
from ..hdf5.stored import Stored
from ..protocol.attribute import Attribute
from ..protocol.limits import LARGEST, Limit
from ..protocol.protocol import CXIProtocol
from ..protocol.units import UnitConversion, conversion_to_first
from .index import FrameIndex, align, check_rank, own_frames, refuse_twice
from .locate import Found, bring_together, locate
from .modules import Trains

__all__ = ["Catalogue", "conversion_of"]


class Catalogue:
    """Finds attributes in files, and remembers what it found.

    Parameters
    ----------
    files : Files
        The run's files.
    numbers : sequence of int
        Which of them to look into (a file yet to be written is left out).
    protocol : CXIProtocol
        What is looked for, and where.
    policy : {"follow", "tree"}
        How far links may lead.
    """

    def __init__(
        self, files: Files, numbers: Sequence[int], protocol: CXIProtocol, policy: LinkPolicy
    ) -> None:
        self.files = files
        self.numbers = tuple(numbers)
        self.protocol = protocol
        self.policy: LinkPolicy = policy
        self._found: dict[str, dict[int, Found]] = {}
        self._index: dict[str, FrameIndex] = {}
        self._opened: dict[int, OSError | None] = {}
        self._trains = Trains(files, policy)

    def opens(self, number: int) -> bool:
        """Open a file, or remember why it cannot be opened."""
        if number not in self._opened:
            self._opened[number] = None
            try:
                with self.files.reading(self.files.paths[number]):
                    pass
            except OSError as error:
                self._opened[number] = error
        return self._opened[number] is None

    def unopened(self) -> dict[int, OSError]:
        """Return the files that cannot be opened, by their numbers, and why."""
        errors = {number: self._opened[number] for number in self.numbers if not self.opens(number)}
        return {number: error for number, error in errors.items() if error is not None}

    def opened(self, number: int) -> None:
        """Raise what keeps a file that is looked at from being opened, if anything still does."""
        if self._opened.get(number) is not None:
            self._opened.clear()
            self._found.clear()
            self._index.clear()
        if number in self.numbers and not self.opens(number):
            error = self._opened[number]
            assert error is not None
            raise error

    def found(self, attr: str) -> dict[int, Found]:
        """Return what each file has of the attribute, by the file's number."""
        if attr not in self._found:
            self._look_for([self.protocol.attribute(attr).name])
        return self._found[attr]

    def found_all(self) -> dict[str, dict[int, Found]]:
        """Return what :meth:`found` does of every attribute; each file is opened once."""
        self._look_for([attr for attr in self.protocol if attr not in self._found])
        return {attr: self._found[attr] for attr in self.protocol}

    def _look_for(self, attrs: Sequence[str]) -> None:
        found: dict[str, dict[int, Found]] = {attr: {} for attr in attrs}
        for number in self.numbers:
            if attrs and self.opens(number):
                for attr in attrs:
                    wanted = self.protocol.attribute(attr)
                    has_units = bool(wanted.units)
                    one = locate(self.files, number, wanted.paths, self.policy, has_units)
                    if one is not None:
                        found[attr][number] = one
        for attr in attrs:
            wanted = self.protocol.attribute(attr)
            whole = bring_together(self.files, found[attr], wanted.kind, self._trains, self.policy)
            whole = {n: _of_right_rank(wanted, one) for n, one in whole.items()}
            if wanted.units:
                whole = {n: _of_known_units(wanted, one) for n, one in whole.items()}
            self._found[attr] = whole

    def limits(self, attr: str) -> tuple[Limit, ...]:
        """Return the limits of a mask that count: the files have what they compare."""
        limits = self.protocol.attribute(attr).limits
        return tuple(limit for limit in limits if self._counts(limit))

    def _counts(self, limit: Limit) -> bool:
        stacks = self.found(limit.attr).values()
        if limit.bound == LARGEST:
            return any(stored.dtype.kind in "iu" for one in stacks for stored in one.datasets)
        return bool(stacks) and (isinstance(limit.bound, float) or bool(self.found(limit.bound)))

    def has(self, attr: str) -> bool:
        """Tell whether an attribute can be loaded: it is in a file, or a mask that limits make."""
        return bool(self.found(attr) or self.limits(attr))

    def is_indexed(self, attr: str) -> bool:
        """Tell whether the attribute has a frame axis that frame numbers index."""
        wanted = self.protocol.attribute(attr)
        return wanted.kind in ("sequence", "stack") and all(
            not found.datasets or any(wanted.is_indexed(stored.ndim) for stored in found.datasets)
            for found in self.found(attr).values()
        )

    def usable(self, attr: str) -> dict[int, Found]:
        """Return what :meth:`found` does, or raise where any of it cannot be used."""
        found = self.found(attr)
        for error in filter(None, self._opened.values()):
            raise error
        if not found:
            raise AttributeMissingError(
                f"{attr!r} is in none of the files {_listed(self.files.names)}; looked at "
                f"{', '.join(self.protocol.attribute(attr).paths)}; give the store a protocol that "
                "names its path"
            )
        for one in found.values():
            if one.error is not None:
                raise one.error
        return found

    def single(self, attr: str, source: int | None = None) -> Found:
        """Return where a scalar, a frame or a never-indexed sequence comes from.

        That is the first file that has it, or the one numbered `source`.
        """
        found = self.usable(attr)
        if source is None:
            return found[min(found)]
        if source not in found:
            raise AttributeMissingError(
                f"{attr!r} is not in {self.files.names[source]}; it is in "
                f"{_listed([self.files.names[n] for n in found])}"
            )
        return found[source]

    def index(self, attr: str) -> FrameIndex:
        """Return where the frames of a stack or sequence lie, numbered as those of `data` are."""
        if attr not in self._index:
            wanted = self.protocol.attribute(attr)
            own = {n: own_frames(wanted, one) for n, one in self.usable(attr).items()}
            if wanted.is_data:
                refuse_twice([part for n in sorted(own) for part in own[n]], self.files.names)
            frames: dict[int, int] = {}
            if not wanted.is_data and self.has_data():
                data = self.index("data")
                for part in data.parts:
                    frames[part.file] = frames.get(part.file, 0) + part.count
            self._index[attr] = align(attr, own, frames, self.files.names)
        return self._index[attr]

    def has_data(self) -> bool:
        """Tell whether there are `data` frames that other attributes' frames go with."""
        return (
            "data" in self.protocol
            and self.protocol.attribute("data").is_data
            and bool(self.found("data"))
        )


def conversion_of(wanted: Attribute, path: str, stored: Stored) -> UnitConversion | None:
    """Return what makes of a dataset's values those of the attribute; None where it is nothing.

    Raises
    ------
    LayoutError
        The unit that the dataset states, or that its load path has, cannot become the wanted.
    """
    if not wanted.units:
        return None
    unit = stored.units if stored.units is not None else wanted.at(path).unit
    try:
        return conversion_to_first(unit or "", wanted.units)
    except ValueError as error:
        whose = "states the unit" if stored.units is not None else "is by the protocol in"
        raise LayoutError(
            f"{stored.place} {whose} {unit!r}, and {wanted.name!r} comes in {wanted.unit!r}: "
            f"{error}"
        ) from None


def _of_known_units(wanted: Attribute, found: Found) -> Found:
    try:
        for stored in found.datasets:
            conversion_of(wanted, found.path, stored)
    except LayoutError as error:
        return found if found.error is not None else replace(found, error=error)
    return found


def _of_right_rank(wanted: Attribute, found: Found) -> Found:
    try:
        check_rank(wanted, found)
    except LayoutError as error:
        return Found(found.file, found.path, found.datasets, error)
    return found


def _listed(names: Sequence[str]) -> str:
    if len(names) <= 4:
        return ", ".join(names)
    return f"{names[0]}, {names[1]}, ..., {names[-1]} ({len(names)} files)"
