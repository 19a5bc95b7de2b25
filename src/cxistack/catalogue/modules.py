"""Detectors whose modules lie in a file each: their datasets found by a pattern, and stacked.

``/INSTRUMENT/*/DET/{module}CH0:xtdf/image/data`` is such a pattern (of the European XFEL): in it
``{module}`` stands for a number and ``*`` for any characters but a slash. Modules count from 0, or
as ``{module:1-8}`` says. Frames belong together by the `trainId` and `pulseId` beside the data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import LayoutError
from ..hdf5.files import Files
from ..hdf5.links import LinkPolicy, Place, resolve
from ..hdf5.stored import Assembly, Piece, Stored, describe, nested
from ..hdf5.tour import children
from ..hdf5.virtual_sources import with_sources
from ..transforms.steps import Axis

__all__ = ["Trains", "is_pattern", "matcher", "modules_in", "stack_frames", "stacked"]


_FIELD = re.compile(r"\{module(?::([0-9]+)-([0-9]+))?\}")
_IDS = ("trainId", "pulseId")


def is_pattern(path: str) -> bool:
    """Tell whether a load path has `{module}` in it; any other path is meant to the letter.

    Examples
    --------
    >>> is_pattern("/INSTRUMENT/*/DET/{module}CH0:xtdf/image/data"), is_pattern("/a/*/{b}")
    (True, False)
    """
    return _FIELD.search(path) is not None


def matcher(pattern: str) -> re.Pattern[str]:
    """Return what matches the paths, or the names, that a pattern means; its groups are modules."""
    return _compiled(pattern, "[^/]*", "([0-9]+)")


def _compiled(pattern: str, any_name: str, module: str) -> re.Pattern[str]:
    """Return a pattern as a regular expression, with these in place of ``*`` and ``{module}``."""
    pieces = re.split(r"(\*|\{module[^}]*\})", pattern)
    return re.compile(
        "".join(
            any_name if piece == "*" else module if is_pattern(piece) else re.escape(piece)
            for piece in pieces
        )
    )


def modules_in(
    files: Files, filename: str, pattern: str, policy: LinkPolicy = "follow"
) -> dict[int, Place]:
    """Return the datasets of one file that a pattern means, by the module's number.

    Raises
    ------
    LayoutError
        A module is there twice.
    """
    found: dict[int, Place] = {}
    for module, path in _matches(files, filename, pattern, policy):
        place = resolve(files, filename, path, policy)
        if place is None or not place.is_dataset:
            continue
        known = found.setdefault(module, place)
        if (known.filename, known.path) != (place.filename, place.path):
            raise LayoutError(
                f"{filename} has module {module} of {pattern} twice: {known.path} and "
                f"{place.path}. Name one of them in the protocol's load path"
            )
    return found


def _matches(
    files: Files, filename: str, pattern: str, policy: LinkPolicy
) -> Iterator[tuple[int, str]]:
    """Return the paths of a file that a pattern means, as far as groups go, and their modules."""
    open_ends: list[tuple[int | None, str]] = [(None, "")]
    for part in filter(None, pattern.split("/")):
        if not is_pattern(part) and "*" not in part:
            open_ends = [(module, f"{path}/{part}") for module, path in open_ends]
            continue
        wanted = matcher(part)
        longer: list[tuple[int | None, str]] = []
        for module, path in open_ends:
            group = resolve(files, filename, path or "/", policy)
            if group is None or group.is_dataset:
                continue
            for name in children(files, group):
                match = wanted.fullmatch(name)
                numbers = {int(number) for number in match.groups()} if match else set()
                if match is None or len(numbers | {module} - {None}) > 1:
                    continue
                longer.append((numbers.pop() if numbers else module, f"{path}/{name}"))
        open_ends = longer
    yield from ((module, path) for module, path in open_ends if module is not None)


class Trains:
    """The trains and pulses of frames; remembered as a check sum for each dataset."""

    def __init__(self, files: Files, policy: LinkPolicy) -> None:
        self._files, self._policy = files, policy
        self._known: dict[Place, tuple[int, bytes]] = {}

    def ids(self, stored: Stored) -> NDArray[np.int64]:
        """Return the train and pulse of each row, of shape (rows, 2 or 1).

        Raises
        ------
        LayoutError
            There is no `trainId` beside the data, or not one for each row.
        """
        columns = []
        place = stored.place
        for name in _IDS:
            path = f"{place.path.rpartition('/')[0]}/{name}"
            found = resolve(self._files, place.filename, path, self._policy)
            if found is None and name != "trainId":
                continue
            if found is None:
                raise LayoutError(
                    f"{place} has no trainId beside it, by which the frames of modules are matched"
                )
            with self._files.reading(found.filename) as h5:
                values = h5[found.path][()]
            if np.size(values) != len(values) or len(values) != stored.shape[0]:
                raise LayoutError(
                    f"{found} has shape {np.shape(values)}; {place} has {stored.shape[0]} frames"
                )
            columns.append(np.ravel(values).astype(np.int64))
        return np.stack(columns, axis=-1)

    def check_sum(self, stored: Stored) -> tuple[int, bytes]:
        """Return the number of rows, and a check sum of their trains and pulses."""
        if stored.place not in self._known:
            from hashlib import blake2b

            ids = self.ids(stored)
            self._known[stored.place] = len(ids), blake2b(ids.tobytes()).digest()
        return self._known[stored.place]

    def compare(self, modules: Mapping[int, Sequence[Stored]]) -> None:
        """Raise unless all modules have the same frames.

        Raises
        ------
        LayoutError
            They do not; names the file and the first train that differs.
        """
        first, *others = modules
        sums = [self.check_sum(stored) for stored in modules[first] if stored.shape[0]]
        for module in others:
            if [self.check_sum(stored) for stored in modules[module] if stored.shape[0]] != sums:
                self._compare_one(first, modules[first], module, modules[module])

    def _compare_one(
        self, first: int, here: Sequence[Stored], module: int, there: Sequence[Stored]
    ) -> None:
        mine = np.concatenate([self.ids(stored) for stored in here])
        theirs = np.concatenate([self.ids(stored) for stored in there])
        both = min(len(mine), len(theirs))
        differ = np.flatnonzero((mine[:both] != theirs[:both]).any(axis=1))
        if not len(differ) and len(mine) == len(theirs):
            return
        row = int(differ[0]) if len(differ) else both
        inside = row
        for stored in there:
            if inside < stored.shape[0]:
                break
            inside -= stored.shape[0]
        raise LayoutError(
            f"modules have different frames, from frame {row} on: {_ids_of(theirs, row)} in "
            f"module {module} ({stored.place}), {_ids_of(mine, row)} in module {first}. Leave out "
            "the files of a module that lost trains, or read modules one by one with a load path "
            "that has the number in place of {module}"
        )


def _ids_of(ids: NDArray[np.int64], row: int) -> str:
    if row >= len(ids):
        return f"no more than {len(ids)} frames"
    words = [f"{name} {value}" for name, value in zip(_IDS, ids[row], strict=False)]
    return ", ".join(words)


def stacked(
    files: Files,
    pattern: str,
    found: Mapping[int, Mapping[int, Place]],
    kind: str,
    trains: Trains,
    policy: LinkPolicy = "follow",
) -> tuple[Stored, ...]:
    """Return the datasets of modules as one: (frames, modules, ...) of a stack.

    A sequence is that of the first module: the others have the same trains and pulses. A frame is
    stacked to (modules, ...).

    Parameters
    ----------
    files : Files
        The run's files.
    pattern : str
        The load path.
    found : mapping of int to mapping of int to Place
        What each file has, by the file's number and the module's.
    kind : str
        The attribute's kind.
    trains : Trains
        What compares the modules' frames.

    Raises
    ------
    LayoutError
        A module is missing, modules differ in shape, type or frames, or the attribute is a scalar.
    """
    modules: dict[int, list[Stored]] = {number: [] for number in _expected(pattern, found)}
    for places in found.values():
        for module, place in places.items():
            modules[module].append(with_sources(files, describe(files, place), policy))
    _refuse_several(pattern, found)
    datasets = [stored for module in modules.values() for stored in module]
    first = datasets[0]
    rows = 0 if kind == "frame" else 1
    if kind == "stack" and first.ndim < 3:
        raise LayoutError(
            f"{first.place} has shape {first.shape}: in a stack of modules, each module has frames "
            "along its first axis"
        )
    for stored in datasets:
        if stored.shape[rows:] != first.shape[rows:] or stored.dtype != first.dtype:
            raise LayoutError(
                f"modules differ: {first.place} is {first.dtype} {first.shape}, {stored.place} is "
                f"{stored.dtype} {stored.shape}"
            )
    if kind == "sequence":
        trains.compare(modules)
        return tuple(next(iter(modules.values())))
    if kind == "stack":
        trains.compare(modules)
        return (_stack(pattern, list(modules.values())),)
    if kind == "frame" and all(len(module) == 1 for module in modules.values()):
        return (stack_frames(pattern, [module[0] for module in modules.values()]),)
    raise LayoutError(
        f"{first.place} is one of several datasets of its module that {pattern} means; a frame "
        "has one for each module"
        if kind == "frame"
        else f"{pattern} means a dataset for each module, and a {kind} is but one: name its path"
    )


def _refuse_several(pattern: str, found: Mapping[int, Mapping[int, Place]]) -> None:
    """Raise where what ``*`` stands for differs: two detectors' modules are not one's."""
    wanted = _compiled(pattern, "([^/]*)", "[0-9]+")
    meant: dict[tuple[str, ...], Place] = {}
    for places in found.values():
        for place in places.values():
            match = wanted.fullmatch(place.path)
            if match is not None:
                meant.setdefault(match.groups(), place)
    if len(meant) > 1:
        one, other = list(meant.values())[:2]
        raise LayoutError(
            f"{pattern} means {len(meant)} detectors: {one} and {other}; name the files of one, or "
            "put its name in place of * in a protocol (protocol discover --detector writes one)"
        )


def _expected(pattern: str, found: Mapping[int, Mapping[int, Place]]) -> range:
    """Return the numbers of all modules; raise where one is missing or not expected."""
    there = {module: place for places in found.values() for module, place in places.items()}
    field = _FIELD.search(pattern)
    assert field is not None
    first, last = (0, max(there)) if field[1] is None else (int(field[1]), int(field[2]))
    for module in range(first, last + 1):
        if module not in there:
            raise LayoutError(
                f"module {module} of {pattern} is in none of the files, which have {len(there)} of "
                f"{first} to {last}. Give its files, too{_likely_name(module, there)}"
            )
    for module, place in there.items():
        if not first <= module <= last:
            raise LayoutError(f"{place} is module {module}, not one of {first} to {last}")
    return range(first, last + 1)


def _likely_name(module: int, there: Mapping[int, Place]) -> str:
    """Return what a missing module's file is called, where others' names have their numbers."""
    names = {number: re.split("([0-9]+)", place.filename) for number, place in there.items()}
    nearest = min(there, key=lambda number: abs(number - module))
    name = list(names[nearest])
    for k in reversed(range(1, len(name), 2)):
        if all(len(one) > k and int(one[k]) == number for number, one in names.items()):
            name[k] = f"{module:0{len(name[k])}}"
            return f" (such as {''.join(name)})"
    return ""


def _stack(pattern: str, modules: Sequence[Sequence[Stored]]) -> Stored:
    first = modules[0][0]
    shape = (sum(stored.shape[0] for stored in modules[0]), len(modules), *first.shape[1:])
    inner = tuple(Axis(0, 1, length) for length in first.shape[1:])
    pieces: list[Piece] = []
    for number, datasets in enumerate(modules):
        begin = 0
        for stored in datasets:
            frames = Axis(begin, 1, stored.shape[0])
            if frames.count:
                target = (frames, Axis(number, 1, 1), *inner)
                pieces += _flat(Piece(stored, target, (Axis(0, 1, frames.count), *inner)))
            begin += frames.count
    return _assembled(pattern, first, shape, pieces)


def stack_frames(pattern: str, modules: Sequence[Stored | None]) -> Stored:
    """Return one dataset of frames of several: (modules, ss, fs); 0 where there is none."""
    first = next(stored for stored in modules if stored is not None)
    inner = tuple(Axis(0, 1, length) for length in first.shape)
    pieces = [
        piece
        for number, stored in enumerate(modules)
        if stored is not None
        for piece in _flat(Piece(stored, (Axis(number, 1, 1), *inner), inner))
    ]
    return _assembled(pattern, first, (len(modules), *first.shape), pieces)


def _flat(piece: Piece) -> Iterator[Piece]:
    """Return a piece, or the pieces of one whose source is a virtual dataset of them."""
    inner = piece.stored.assembly
    if inner is not None and inner.is_complete:
        yield from nested(piece, inner)
    else:
        yield piece


def _assembled(
    pattern: str, first: Stored, shape: tuple[int, ...], pieces: Sequence[Piece]
) -> Stored:
    """Return a dataset that is in no file; it has the name of the first one's."""
    place = replace(first.place, path=pattern, hops=())
    assembly = Assembly.of(pieces, shape, np.zeros((), first.dtype))
    return first.assembled(place, "modules", shape, assembly)
