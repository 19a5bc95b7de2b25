"""What the files of a run have of each attribute, found when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..errors import AttributeMissingError, CXIError, LayoutError
from ..hdf5.ahead import touched_ahead
from ..hdf5.files import Files
from ..hdf5.links import LinkPolicy, resolve
from ..hdf5.messages import DAMAGE, named
from ..hdf5.stored import Stored
from ..hdf5.tour import tour
from ..protocol.attribute import Attribute
from ..protocol.limits import LARGEST, Limit
from ..protocol.protocol import CXIProtocol
from ..protocol.units import UnitConversion, conversion_to_first
from .detectors import Chosen, Detectors
from .index import FrameIndex, align, check_rank, own_frames, refuse_twice
from .locate import Found, bring_together, locate
from .mask_parts import channels_along, mask_parts
from .modules import Trains
from .search import Search

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
    chosen : Chosen
        The detector and the channel that a user names.
    """

    def __init__(
        self,
        files: Files,
        numbers: Sequence[int],
        protocol: CXIProtocol,
        policy: LinkPolicy,
        chosen: Chosen = Chosen(),  # noqa: B008 (frozen)
    ) -> None:
        self.files = files
        self.numbers = tuple(numbers)
        self.protocol = protocol
        self.policy: LinkPolicy = policy
        self._found: dict[str, dict[int, Found]] = {}
        # What was found in each file alone, and what is carried over from an earlier look, by path.
        self._alone: dict[str, dict[int, Found]] = {}
        self._carried: dict[str, dict[str, Found | None]] = {}
        self._index: dict[str, FrameIndex] = {}
        self._opened: dict[int, OSError | None] = {}
        self.chosen = chosen
        self._without_mask: set[str] = set()
        self._trains = Trains(files, policy)
        self._detectors = Detectors(files, policy, protocol, chosen)

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
        search = self._search(attrs)
        numbers = [number for number in self.numbers if attrs and not self._carry(number, found)]
        for k in touched_ahead([self.files.paths[number] for number in numbers]):
            for attr, one in self._found_by(search, numbers[k]).items():
                found[attr][numbers[k]] = one
        for attr in attrs:
            if self._carried:
                found[attr] = dict(sorted(found[attr].items()))
            self._alone[attr] = found[attr]
            wanted = self.protocol.attribute(attr)
            whole = bring_together(self.files, found[attr], wanted.kind, self._trains, self.policy)
            whole = {n: _of_right_rank(wanted, one) for n, one in whole.items()}
            if wanted.units:
                whole = {n: _of_known_units(wanted, one) for n, one in whole.items()}
            self._found[attr] = whole

    def _carry(self, number: int, found: dict[str, dict[int, Found]]) -> bool:
        """Put in what is carried over of a file; False where any of it must be looked for."""
        carried = self._carried.get(self.files.paths[number], {})
        if not carried.keys() >= found.keys():
            return False
        self._opened[number] = None
        for attr, ours in found.items():
            one = carried[attr]
            if one is not None:
                ours[number] = one if one.file == number else replace(one, file=number)
        return True

    def renewed(
        self,
        files: Files,
        numbers: Sequence[int],
        keep: Callable[[str, Sequence[Found]], Sequence[Found] | None],
    ) -> Catalogue:
        """Return what :class:`Catalogue` would be made of files, without a look at those kept.

        Parameters
        ----------
        files : Files
            The files of the new one.
        numbers : sequence of int
            Which of them to look into.
        keep : callable
            Given a path and what was found in that file, returns that as it is now, in the same
            order; None: the file is to be looked at anew.
        """
        new = Catalogue(files, numbers, self.protocol, self.policy, self.chosen)
        there = {files.paths[number] for number in numbers}
        for number in self.numbers:
            path = self.files.paths[number]
            if path not in there or self._opened.get(number) is not None:
                continue
            found = dict(self._carried.get(path, {}))
            if number in self._opened:
                found |= {attr: ours.get(number) for attr, ours in self._alone.items()}
            kept = keep(path, [one for one in found.values() if one is not None])
            if kept is not None:
                rest = iter(kept)
                new._carried[path] = {
                    attr: None if one is None else next(rest) for attr, one in found.items()
                }
        return new

    def _search(self, attrs: Sequence[str]) -> Search:
        wanted = [self.protocol.attribute(attr) for attr in attrs]
        return Search(self.files, wanted, self._look, self.chosen.detector is None)

    def _found_by(self, search: Search, number: int) -> Mapping[str, Found]:
        """Return what a file has of what is looked for; nothing of one that does not open."""
        if self._opened.get(number) is not None:
            return {}
        try:
            found = search.found(number)
        except OSError as error:
            self._opened[number] = error
            return {}
        self._opened[number] = None
        return found

    def _look(self, number: int, wanted: Attribute) -> Found | None:
        """Look for an attribute in a file, whatever is there."""
        parts = self._mask_of_parts(number, wanted)
        if parts is not None:
            return parts
        paths = [place.path for place in wanted.places]
        has_units = bool(wanted.units)
        return locate(self.files, number, paths, self.policy, has_units, self._detectors)

    def _mask_of_parts(self, number: int, wanted: Attribute) -> Found | None:
        """Return a NeXus mask, which several datasets of a detector may say together."""
        for place in wanted.places if wanted.is_mask else ():
            if place.convention != "nexus" or not place.path.endswith("}/pixel_mask"):
                continue
            path = place.plain
            try:
                path = self._detectors.path(number, place.path)
                group = path.rpartition("/")[0]
                detector = resolve(self.files, self.files.paths[number], group, self.policy)
                if detector is None or detector.is_dataset:
                    continue
                along = self._channels_along(number)
                parts = mask_parts(self.files, detector, self.policy, self.chosen.channel, along)
            except (CXIError, *DAMAGE) as error:
                return Found(number, path, error=named(error, self.files.paths[number], path))
            if parts:
                return Found(number, path, (parts[0],), also=tuple(parts[1:]))
        return None

    def _channels_along(self, number: int) -> list[str]:
        """Return the channels that an axis of the frames of `data` of a file counts, if any."""
        data = self.found("data").get(number) if "data" in self.protocol else None
        if data is None or data.error is not None or not data.datasets:
            return []
        place = data.datasets[0].place
        return channels_along(self.files, place, self.policy, self._frame_shape())

    def _frame_shape(self) -> tuple[int, ...]:
        """Return the shape of a frame of `data`, as far as it is known."""
        if not self.has_data():
            return ()
        try:
            return self.index("data").frame_shape
        except (CXIError, OSError):  # told of `data` itself
            return ()

    def layers(self, attr: str) -> Iterator[tuple[dict[int, Found], FrameIndex]]:
        """Return what else says which pixels of a mask are bad, each for all files."""
        found, wanted = self.usable(attr), self.protocol.attribute(attr)
        for k in range(max((len(one.also) for one in found.values()), default=0)):
            layer = {
                number: replace(one, datasets=(one.also[k : k + 1] or one.datasets), also=())
                for number, one in found.items()
            }
            yield layer, self._aligned(wanted, layer)

    def refuse_unused_mask(self, attr: str) -> None:
        """Raise where limits alone would make a mask, and a file has one that nobody reads.

        Raises
        ------
        LayoutError
            A dataset is called a mask, and has the shape of one; names it.
        """
        grid = self._frame_shape()[-2:]
        used = {path for name in self.protocol for path in self.protocol.attribute(name).paths}
        for number in self.found("data") if attr not in self._without_mask else ():
            for seen in tour(self.files, self.files.paths[number], self.policy).datasets:
                is_mask = any("mask" in path.rpartition("/")[2].lower() for path in seen.paths)
                if is_mask and (seen.shape or ())[-2:] == grid and used.isdisjoint(seen.paths):
                    raise LayoutError(
                        f"{self.files.names[number]} has {seen.path} of shape {seen.shape}, which "
                        f"may be its mask, and the protocol reads none: give the store a protocol "
                        f"that names it as {attr!r}, or that gives {attr!r} no limits"
                    )
        self._without_mask.add(attr)

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
        wanted, found = self.protocol.attribute(attr), self.found(attr).values()
        if wanted.kind == "scalar":
            return self._has_a_value_each(wanted)
        return wanted.kind in ("sequence", "stack") and all(
            not one.datasets or any(wanted.is_indexed(stored.ndim) for stored in one.datasets)
            for one in found
        )

    def _has_a_value_each(self, wanted: Attribute) -> bool:
        """Tell whether a scalar has one value for each frame of `data` of its file."""
        found = self.found(wanted.name)
        if not wanted.is_number or wanted.is_point or not self.has_data():
            return False
        shapes = {n: [stored.shape for stored in one.datasets] for n, one in found.items()}
        if not any(shape and shape[0] > 1 for one in shapes.values() for shape in one):
            return False  # as a rule: the frames of data need not be counted
        frames = self.frame_counts()
        return all(one == [(frames.get(number, 0),)] for number, one in shapes.items())

    def frame_counts(self) -> dict[int, int]:
        """Return how many frames of `data` each file has that has any."""
        frames: dict[int, int] = {}
        if self.has_data() and all(one.error is None for one in self.found("data").values()):
            for part in self.index("data").parts:
                frames[part.file] = frames.get(part.file, 0) + part.count
        return frames

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
            self._index[attr] = self._aligned(wanted, self.usable(attr))
        return self._index[attr]

    def _aligned(self, wanted: Attribute, found: Mapping[int, Found]) -> FrameIndex:
        frames: dict[int, int] = {}
        frame_ndim = 2
        if not wanted.is_data and self.has_data():
            parts = self.index("data").parts
            frame_ndim = len(parts[0].frame_shape) if parts else 2
            frames = self.frame_counts()
        own = {n: own_frames(wanted, one, frame_ndim) for n, one in found.items()}
        if wanted.is_data:
            refuse_twice([part for n in sorted(own) for part in own[n]], self.files.names)
        return align(wanted, own, frames, self.files.names)

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
