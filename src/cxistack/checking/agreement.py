"""Whether the files of a run agree on what it has one of: its scalars and whole frames."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..catalogue.catalogue import Catalogue
from ..catalogue.locate import Found
from ..errors import CXIError
from ..loading.prepare import prepare_single, prepare_singles
from ..transforms.base import Transform
from .problems import Problem

__all__ = ["Disagreement", "differences", "disagreements", "same", "shown"]


_TOGETHER = 32  # files, which stay open while one attribute after the other is read
_SMALL = 1 << 20  # bytes of a value of which the first file's is kept while all files are read


@dataclass(frozen=True)
class Disagreement:
    """An attribute that two files have different values of.

    Attributes
    ----------
    attr : str
        The attribute.
    first, other : int
        The first file that has it, and the first of which the value differs.
    values : tuple of object
        Both values.
    """

    attr: str
    first: int
    other: int
    values: tuple[Any, Any]

    def told(self, names: Sequence[str]) -> str:
        """Return what differs, with the names of the files."""
        one, other = (np.asarray(value) for value in self.values)
        first, second = names[self.first], names[self.other]
        if one.shape != other.shape:
            return f"{self.attr!r} has shape {one.shape} in {first} and {other.shape} in {second}"
        where = ""
        if one.size >= 4:
            is_equal = one == other
            if one.dtype.kind == other.dtype.kind == "f":
                is_equal |= np.isnan(one) & np.isnan(other)
            place = np.unravel_index(int(np.argmin(is_equal)), one.shape)
            one, other = one[place], other[place]
            where = f" at {tuple(map(int, place))}"
        return f"{self.attr!r} is {one}{where} in {first} and {other} in {second}"


def disagreements(
    catalogue: Catalogue, attrs: Sequence[str], transform: Transform | None = None
) -> list[Disagreement]:
    """Return those attributes that are not in all files the same, at most one pair of files each.

    Each file is opened once for all that is small; of what is large, two values are in memory.

    Parameters
    ----------
    catalogue : Catalogue
        What the files have.
    attrs : sequence of str
        Scalars, frames and sequences that are not indexed.
    transform : Transform, optional
        What is done to frames before they are compared.

    Raises
    ------
    CXIError
        A value cannot be read.
    """
    several = [attr for attr in attrs if len(catalogue.usable(attr)) > 1]
    small = [attr for attr in several if _most_bytes(catalogue, attr) <= _SMALL]
    apart = [[attr] for attr in several if attr not in small]
    told: list[Disagreement] = []
    for together in (small, *apart):
        told += _compared(catalogue, together, transform)
    return sorted(told, key=lambda one: attrs.index(one.attr))


def same(first: object, other: object) -> bool:
    """Tell whether two values are equal, NaN to NaN too."""
    a, b = np.asarray(first), np.asarray(other)
    if a.dtype.kind in "fc" and b.dtype.kind in "fc":
        return np.array_equal(a, b, equal_nan=True)
    return np.array_equal(a, b)


def shown(value: object) -> str:
    """Return a value as a message shows it."""
    array = np.asarray(value)
    return str(value) if array.size < 4 else f"other values of shape {array.shape}"


def _most_bytes(catalogue: Catalogue, attr: str) -> int:
    return max(
        math.prod(one.datasets[0].shape) * one.datasets[0].dtype.itemsize
        for one in catalogue.found(attr).values()
    )


def _compared(
    catalogue: Catalogue, attrs: Sequence[str], transform: Transform | None
) -> Iterator[Disagreement]:
    """Compare some attributes, file by file, with the first file's."""
    firsts: dict[str, tuple[Found, Any]] = {}
    open_questions = list(attrs)
    numbers = catalogue.numbers
    for start in range(0, len(numbers), _TOGETHER):
        for attr in list(open_questions):
            found = catalogue.found(attr)
            here = [found[n] for n in numbers[start : start + _TOGETHER] if n in found]
            for one, value in _values(catalogue, attr, here, firsts, transform):
                first, known = firsts.setdefault(attr, (one, value))
                if first is not one and not same(known, value):
                    yield Disagreement(attr, first.file, one.file, (known, value))
                    open_questions.remove(attr)
                    break


def _values(
    catalogue: Catalogue,
    attr: str,
    found: Sequence[Found],
    firsts: dict[str, tuple[Found, Any]],
    transform: Transform | None,
) -> Iterator[tuple[Found, Any]]:
    """Read what files have, those together that are stored alike; not again what was first."""
    files, wanted = catalogue.files, catalogue.protocol.attribute(attr)
    use = transform if wanted.kind == "frame" else None
    left = list(found)
    if attr in firsts:  # links may lead from many files to one
        left = [one for one in left if not _is_one(one, firsts[attr][0])]
    for _, group in itertools.groupby(left, key=_type_of):
        alike = list(group)
        size = alike[0].datasets[0].dtype.itemsize * math.prod(alike[0].datasets[0].shape)
        step = max(1, _SMALL // max(1, size))
        if step == 1 or wanted.is_text:
            for one in alike:
                yield one, prepare_single(files, wanted, one, use).read()
            continue
        for k in range(0, len(alike), step):
            some = alike[k : k + step]
            load = prepare_singles(files, wanted, some, use)
            yield from zip(some, load.read(), strict=True)


def _type_of(found: Found) -> tuple[object, ...]:
    stored = found.datasets[0]
    return stored.shape, stored.dtype


def _is_one(one: Found, other: Found) -> bool:
    return (one.path, one.datasets[0].address) == (other.path, other.datasets[0].address)


def differences(catalogue: Catalogue) -> list[Problem]:
    """Return the files whose scalars and frames differ from the first's; reads them all."""
    problems = []
    for attr, found in catalogue.found_all().items():
        if len(found) < 2 or any(one.error for one in found.values()):
            continue
        if catalogue.is_indexed(attr):
            continue
        numbers = sorted(found)
        try:
            first = _value(catalogue, attr, found[numbers[0]])
            for number in numbers[1:]:
                other = _value(catalogue, attr, found[number])
                if not same(first, other):
                    names = catalogue.files.names
                    problems.append(
                        Problem(
                            attr,
                            names[number],
                            f"{names[number]} has {shown(other)} and {names[numbers[0]]}, which is"
                            f" loaded, has {shown(first)}",
                        )
                    )
        except (CXIError, OSError) as error:
            problems.append(Problem(attr, catalogue.files.names[numbers[0]], str(error)))
    return problems


def _value(catalogue: Catalogue, attr: str, found: Found) -> object:
    return prepare_single(catalogue.files, catalogue.protocol.attribute(attr), found).read()
