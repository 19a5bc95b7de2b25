"""Whether the files of a run agree on what it has one of: its scalars and whole frames."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..catalogue.catalogue import Catalogue
from ..catalogue.locate import Found
from ..errors import CXIError
from ..hdf5.files import Files
from ..hdf5.stored import stored_bytes
from ..loading.prepare import prepare_single, prepare_singles
from ..transforms.base import Transform
from .findings import Problem

__all__ = ["Disagreement", "differences", "disagreements"]


_TOGETHER = 32  # files, which stay open while one attribute after the other is read
_SMALLEST = 1 << 15  # bytes of a value that is compared as it is stored
_SMALL = 1 << 20  # bytes of a value of which the first file's is kept while all files are read


@dataclass(frozen=True)
class Disagreement:
    """Two files that have different values of an attribute.

    Attributes
    ----------
    attr : str
        The attribute.
    first, other : int
        The first file that has it, and one of which the value differs.
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
    """Return those attributes that are not in all files the same, one pair of files each.

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
    found: dict[str, Disagreement] = {}
    for together in _groups(catalogue, several):
        for attr, one in _compared(catalogue, together, transform, found):
            if isinstance(one, Exception):
                raise one
            found[attr] = one
    return sorted(found.values(), key=lambda one: attrs.index(one.attr))


def differences(catalogue: Catalogue) -> list[Problem]:
    """Return the files whose scalars and frames differ from the first's; reads them all."""
    names = catalogue.files.names
    attrs = [
        attr
        for attr, found in catalogue.found_all().items()
        if len(found) > 1
        and not any(one.error for one in found.values())
        and not catalogue.is_indexed(attr)
    ]
    problems = []
    for together in _groups(catalogue, attrs):
        for attr, one in _compared(catalogue, together):
            if isinstance(one, Exception):
                problems.append(Problem("", attr, names[min(catalogue.found(attr))], str(one)))
                continue
            first, other = names[one.first], names[one.other]
            said = (
                f"{other} has {_shown(one.values[1])} and {first}, which is loaded, has "
                f"{_shown(one.values[0])}"
            )
            problems.append(Problem("", attr, other, said))
    return sorted(problems, key=lambda one: attrs.index(one.attribute))


def _same(first: object, other: object) -> bool:
    """Tell whether two values are equal, NaN to NaN too."""
    a, b = np.asarray(first), np.asarray(other)
    if a.dtype.kind in "fc" and b.dtype.kind in "fc":
        return np.array_equal(a, b, equal_nan=True)
    return np.array_equal(a, b)


def _shown(value: object) -> str:
    array = np.asarray(value)
    return str(value) if array.size < 4 else f"other values of shape {array.shape}"


def _groups(catalogue: Catalogue, attrs: Sequence[str]) -> Iterator[list[str]]:
    """Return which attributes are read together: all that are small, each other by itself."""

    def most_bytes(attr: str) -> int:
        return max(_nbytes(one) for one in catalogue.found(attr).values())

    small = [attr for attr in attrs if most_bytes(attr) <= _SMALL]
    yield small
    yield from ([attr] for attr in attrs if attr not in small)


def _nbytes(found: Found) -> int:
    return found.datasets[0].nbytes


def _compared(
    catalogue: Catalogue,
    attrs: Sequence[str],
    transform: Transform | None = None,
    settled: Container[str] = (),
) -> Iterator[tuple[str, Disagreement | CXIError | OSError]]:
    """Compare some attributes with the first file's: yield each file that differs.

    What raises is yielded, and ends the comparison of its attribute; so does the caller by adding
    the attribute to `settled`.
    """
    firsts: dict[str, tuple[Found, Any]] = {}
    failed: set[str] = set()
    numbers = catalogue.numbers
    for start in (
        0,
        *range(1, len(numbers), _TOGETHER),
    ):  # by itself, the first that others are like
        stop = start + (_TOGETHER if start else 1)
        for attr in attrs:
            found = catalogue.found(attr)
            here = [found[n] for n in numbers[start:stop] if n in found]
            values = _values(catalogue, attr, here, firsts, transform)
            while attr not in settled and attr not in failed:
                try:
                    one, value = next(values)
                except StopIteration:
                    break
                except (CXIError, OSError) as error:
                    failed.add(attr)
                    yield attr, error
                    break
                first, known = firsts.setdefault(attr, (one, value))
                if first is not one and not _same(known, value):
                    yield attr, Disagreement(attr, first.file, one.file, (known, value))


def _values(
    catalogue: Catalogue,
    attr: str,
    found: Sequence[Found],
    firsts: Mapping[str, tuple[Found, Any]],
    transform: Transform | None,
) -> Iterator[tuple[Found, Any]]:
    """Read what files have, those together that are stored alike; not again what was first."""
    files, wanted = catalogue.files, catalogue.protocol.attribute(attr)
    use = transform if wanted.kind == "frame" else None
    left = list(found)
    if attr in firsts:  # links may lead from many files to one
        first, _ = firsts[attr]
        left = [one for one in left if not _is_one(one, first)]
        known = _as_stored(files, first)
        if known is not None:  # what is stored alike is alike: nothing else is done to get it
            left = [one for one in left if _as_stored(files, one) != known]
    for _, group in itertools.groupby(left, key=_type_of):
        alike = list(group)
        step = 1 if wanted.is_text else max(1, _SMALL // max(1, _nbytes(alike[0])))
        for k in range(0, len(alike), step):
            some = alike[k : k + step]
            if step > 1:
                # Where one of them cannot be read, those before it are compared all the same.
                with suppress(CXIError, OSError):
                    values = prepare_singles(files, wanted, some, use).read()
                    yield from zip(some, values, strict=True)
                    continue
            for one in some:
                yield one, prepare_single(files, wanted, one, use).read()


def _as_stored(files: Files, found: Found) -> tuple[object, ...] | None:
    """Return all that a small value comes from; None where that is not simple."""
    (stored, *_) = found.datasets
    values = stored_bytes(files, stored) if stored.nbytes <= _SMALLEST else None
    if values is None:
        return None
    return found.path, stored.units, stored.shape, stored.dtype, values


def _type_of(found: Found) -> tuple[object, ...]:
    stored = found.datasets[0]
    return stored.shape, stored.dtype


def _is_one(one: Found, other: Found) -> bool:
    return (one.path, one.datasets[0].address) == (other.path, other.datasets[0].address)
