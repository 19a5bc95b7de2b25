"""Which dataset of a file is which attribute, beside the frames: by name, place and shape. Pure."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, field

from ..hdf5.links import Place
from ..hdf5.names import natural_key
from ..hdf5.tour import Seen, Tour
from .candidates import Candidate
from .words import WORDS, Word, plain, rank_of

__all__ = ["Choice", "choose", "choose_frames"]


_NUMBERS = {"float": "biuf", "uint": "biu", "bool": "biu"}


@dataclass
class Choice:
    """A dataset, or a group, for an attribute."""

    attr: str
    path: str
    kind: str
    datatype: str
    seen: Seen
    convention: str | None = None  # of a mask
    unit: str | None = None  # of values that state none themselves
    reasons: list[str] = field(default_factory=list)  # why it was taken
    meaning: list[str] = field(default_factory=list)  # how its values are understood, and why
    others: list[str] = field(default_factory=list)  # what else there was, and why not


def choose_frames(candidates: list[Candidate]) -> Choice | None:
    """Return the best candidate for the frames, and what is said of the rest."""
    if not candidates:
        return None
    best, *rest = candidates
    shape = f"it has {best.count} frames of {best.frame} in {best.dtype}"
    return Choice(
        "data",
        best.path,
        "stack",
        best.family,
        best.seen,
        reasons=[*best.reasons, shape],
        others=[f"{one.path} {one.shape}: {_why_not(one, best)}" for one in rest[:8]],
    )


def _why_not(one: Candidate, best: Candidate) -> str:
    if one.rank == best.rank:
        return f"as likely ({one.reasons[0]}); {best.path} has larger frames or the lower number"
    if one.rank[:1] == best.rank[:1] and len(one.shape) == 2 < len(best.shape):
        return f"{one.reasons[0]}, but it is a single image"
    return one.reasons[0]


def choose(tour: Tour, frames: Candidate | None) -> dict[str, Choice]:
    """Return the datasets of a file that are attributes of the vocabulary, by attribute."""
    is_cxi = tour.at("/cxi_version") is not None
    found = {}
    for word in WORDS:
        fits, others = [], []
        for seen, path in ((one, path) for one in tour.datasets for path in one.paths):
            rank = rank_of(word, path)
            if rank is None or (frames is not None and seen is frames.seen):
                continue
            if (misfit := _misfit(word, seen, frames)) is None:
                fits.append((_order(word, tour, seen, path, rank, frames), seen, path))
            else:
                others.append(f"{seen.path}: {misfit}")
        if not fits:
            if (lost := _lost(word, tour)) is not None:
                found[word.attr] = lost
            continue
        (_, seen, path), *rest = sorted(fits, key=lambda fit: fit[0])
        choice = Choice(word.attr, seen.path, word.kind, word.datatype, seen)
        others += [
            f"{one.path} {one.shape}: it would do as well, but {seen.path} is nearer to the frames "
            "or better named"
            for _, one, _ in rest
            if one is not seen
        ]
        choice.others += dict.fromkeys(others)
        choice.reasons = [f"it is called {path.rpartition('/')[2]}", _shape_reason(word, seen)]
        if word.attribute.is_mask:
            _settle_convention(choice, path, is_cxi)
        elif word.unit:
            _settle_unit(choice, word, path, is_cxi)
        found[word.attr] = choice
    return found


def _lost(word: Word, tour: Tour) -> Choice | None:
    """Return an attribute whose link leads nowhere: it is proposed, and loading it says why."""
    named = [(rank, path) for path in tour.troubles if (rank := rank_of(word, path)) is not None]
    if not named:
        return None
    _, path = min(named)
    seen = Seen(path, Place(tour.filename, path, (), True))
    choice = Choice(word.attr, path, word.kind, word.datatype, seen)
    choice.reasons = [
        f"it is called {path.rpartition('/')[2]}, but cannot be read: loading it is an error"
    ]
    if word.attribute.is_mask:
        _settle_convention(choice, path, is_cxi=tour.at("/cxi_version") is not None)
    return choice


def _misfit(word: Word, seen: Seen, frames: Candidate | None) -> str | None:
    """Return why a dataset of the right name cannot be the attribute, or None."""
    assert seen.shape is not None
    assert seen.dtype is not None
    if seen.storage == "external":
        return "it keeps its values in external raw files, which are never read"
    if seen.dtype.kind not in _NUMBERS[word.datatype]:
        return f"its type is {seen.dtype}, not {word.datatype}"
    shape = seen.shape
    if word.kind == "scalar":
        if math.prod(shape) == 1 or (frames is not None and shape == (frames.count,)):
            return None
        return f"its shape {shape} is not that of one number, nor of one for each frame"
    if word.kind == "sequence":
        return _misfit_of_rows(word, shape, frames)
    if frames is None:
        return None if len(shape) >= 2 else f"its shape {shape} is not that of an image"
    wanted = [frames.frame]
    if word.kind == "stack":
        wanted.append((frames.count, *frames.frame))
    if shape in wanted or (word.of_any_number and shape[1:] == frames.frame):
        return None
    return f"its shape {shape} is not that of a frame, {frames.frame}"


def _misfit_of_rows(word: Word, shape: tuple[int, ...], frames: Candidate | None) -> str | None:
    if word.tails and not any(shape[-len(tail) :] == tail for tail in word.tails):
        return f"its shape {shape} is not that of rows of {' or '.join(map(str, word.tails))}"
    if not word.attribute.is_indexed(len(shape)):  # a list of frames, or vectors for all frames
        is_fit = word.tails or len(shape) == 1
        return None if is_fit else f"its shape {shape} is not that of a list"
    if not shape or len(shape) > 3:
        return f"its shape {shape} is not that of a row for each frame"
    if frames is not None and shape[0] != frames.count:
        return f"it has {shape[0]} rows and there are {frames.count} frames"
    return None


def _order(
    word: Word, tour: Tour, seen: Seen, path: str, rank: int, frames: Candidate | None
) -> tuple[object, ...]:
    """Return what the best dataset for an attribute has least of."""
    at_home = not word.homes or any(home in _whereabouts(tour, seen, path) for home in word.homes)
    near = max(_together(path, other) for other in frames.seen.paths) if frames else 0
    return (not at_home, rank, -near, path.count("/"), natural_key(path))


def _whereabouts(tour: Tour, seen: Seen, path: str) -> str:
    """Return in lower case the groups on the way to a dataset, and their classes."""
    names = [seen.parent, path.rpartition("/")[0] or "/"]
    groups = [group for group in map(tour.at, names) if group is not None]
    classes = [str(group.attributes.get("NX_class", "")) for group in groups]
    return " ".join([*names, *classes]).lower()


def _together(one: str, other: str) -> int:
    """Return how many groups two paths have in common."""
    groups = zip(one.split("/")[1:-1], other.split("/")[1:-1], strict=False)
    return len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], groups)))


def _shape_reason(word: Word, seen: Seen) -> str:
    if word.kind == "scalar":
        return "it is a number" + (math.prod(seen.shape or ()) != 1) * " for each frame"
    what = {"stack": "that of the frames", "frame": "that of a frame"}
    return f"its shape {seen.shape} is {what.get(word.kind, 'that of rows that go with frames')}"


def _settle_convention(choice: Choice, path: str, is_cxi: bool) -> None:
    name = plain(path.rpartition("/")[2])
    choice.convention = "cxi"
    if name.startswith("good"):
        choice.convention = "good"
        meaning = f"by its name {name} what is not 0 is a good pixel"
    elif choice.seen.dtype is not None and choice.seen.dtype.kind == "b":
        meaning = "it is of booleans: True is taken for a good pixel"
    elif name == "pixelmask":
        choice.convention = "nexus"
        meaning = "a pixel_mask is NeXus': any of the low 16 bits is bad"
    elif is_cxi or re.match(r"/entry_\d+/|/INSTRUMENT/", choice.path):
        meaning = "a mask of a CXI or European XFEL file is a bit field: 0 is good"
    else:
        meaning = (
            "nothing says what its values mean: 0 is taken for a good pixel; if that is wrong, set "
            "its convention to good"
        )
    choice.meaning.append(meaning)


def _settle_unit(choice: Choice, word: Word, path: str, is_cxi: bool) -> None:
    named = dict(word.named_units).get(plain(path.rpartition("/")[2]))
    stated = choice.seen.attributes.get("units")
    if isinstance(stated, str) and stated:
        choice.unit = word.unit
        choice.meaning.append(f"it is in {stated}, as it says itself")
    elif named is not None:
        choice.unit = named
        choice.meaning.append(f"it is in {named} by its name")
    elif is_cxi or re.match(r"/entry_\d+/", choice.path):
        choice.unit = word.unit
        choice.meaning.append(f"it states no unit: CXI has {word.unit}")
    else:
        choice.meaning.append("it states no unit: its numbers come as they are stored")
