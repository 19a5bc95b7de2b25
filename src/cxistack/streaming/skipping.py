"""Leaving out files that cannot be read, where a user asks for that; and telling of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..catalogue.catalogue import Catalogue
from ..catalogue.index import FrameIndex
from ..errors import CastError, CXIError
from ..hdf5.stored import leaves
from ..loading.load import Load

__all__ = ["Leaving", "OnError", "Skips", "bad_file", "check_on_error", "is_of_file"]

OnError = Literal["raise", "skip"]


def check_on_error(on_error: str) -> bool:
    """Return whether bad files are skipped, or raise :class:`ValueError` for another word."""
    if on_error not in ("raise", "skip"):
        raise ValueError(f'on_error must be "raise" or "skip", not {on_error!r}')
    return on_error == "skip"


def bad_file(error: Exception, index: FrameIndex) -> int | None:
    """Return the number of the store's file that an error of a read is about; None: of no file.

    A value that does not fit its type is no fault of a file's. Of a dataset that is put together
    of others, the file is the one that the store names.
    """
    if isinstance(error, CastError) or not isinstance(error, CXIError | OSError):
        return None
    said = f"{error} {getattr(error, 'filename', None) or ''}"
    found: dict[str, int] = {}
    for part in index.parts:
        for stored in (part.stored, *leaves(part.stored)):
            found.setdefault(stored.place.filename, part.file)
    # The longest: the name of one file may begin with that of another.
    named = max((path for path in found if path in said), key=len, default=None)
    return None if named is None else found[named]


def is_of_file(index: FrameIndex, numbers: NDArray[np.int64], file: int) -> NDArray[np.bool_]:
    """Tell which of the frames `numbers` come from a file."""
    parts = np.searchsorted(index.offsets, numbers, side="right") - 1
    files = np.array([part.file for part in index.parts], np.int64)
    mine: NDArray[np.bool_] = files[parts] == file
    return mine


class Skips:
    """The files that are left out, and what is wrong with them.

    Parameters
    ----------
    attr : str
        The attribute that is read.
    problem : callable
        Makes a :class:`Problem` of the attribute, a file's name, and a sentence.

    Attributes
    ----------
    problems : list of Problem
        One for each file that is left out.
    """

    def __init__(self, attr: str, problem: Callable[[str, str, str], Any]) -> None:
        self._attr, self._problem = attr, problem
        self._paths: set[str] = set()
        self.problems: list[Any] = []

    def __contains__(self, path: object) -> bool:
        return path in self._paths

    def leave_out(self, path: str, name: str, error: Exception) -> None:
        """Leave out the file at `path`, which the store calls `name`."""
        if path not in self._paths:
            self._paths.add(path)
            self.problems.append(self._problem(self._attr, name, f"{error}; it is left out"))

    def readable(self, catalogue: Catalogue) -> Catalogue:
        """Return a catalogue without files that do not open, or whose datasets cannot be used."""
        files, left = catalogue.files, []
        found = catalogue.found(self._attr)
        for number in catalogue.numbers:
            error: Exception | None = catalogue.unopened().get(number)
            if error is None and number in found:
                error = found[number].error
            if error is not None:
                self.leave_out(files.paths[number], files.names[number], error)
            if files.paths[number] not in self:
                left.append(number)
        if len(left) == len(catalogue.numbers):
            return catalogue
        return catalogue.renewed(files, left, lambda path, found: found)

    def left_of(self, load: Load, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which of `numbers` are of no file that is left out."""
        for number in {part.file for part in load.index.parts}:
            if load.files.paths[number] in self._paths:
                numbers = numbers[~is_of_file(load.index, numbers, number)]
        return numbers


class Leaving:
    """What is read of one load, but for the files that are left out.

    Parameters
    ----------
    skips : Skips
        The files.
    load : Load
        What is read.
    """

    def __init__(self, skips: Skips, load: Load) -> None:
        self._skips, self._load = skips, load

    @property
    def problems(self) -> list[Any]:
        """The files that were left out, and why."""
        return list(self._skips.problems)

    def left_of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which of `numbers` are of no file that is left out."""
        return self._skips.left_of(self._load, numbers)

    def leaves_out(self, error: BaseException) -> bool:
        """Leave out the file that an error of a read is about; return whether there is one.

        An error that comes again when its file is left out is not about that file's frames alone.
        """
        files, number = self._load.files, None
        if isinstance(error, Exception):
            number = bad_file(error, self._load.index)
        if number is None or files.paths[number] in self._skips:
            return False
        self._skips.leave_out(files.paths[number], files.names[number], error)  # type: ignore[arg-type]
        return True
