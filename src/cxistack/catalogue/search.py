"""Looks for attributes in one file after another: what is like the files before costs little.

It finds what :func:`locate` does. Where more must be asked than whether a path is there and how the
dataset at it is stored (links, groups, patterns, damage), it is :func:`locate` that looks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from ..errors import CXIError
from ..hdf5.alike import Alike
from ..hdf5.files import Files
from ..hdf5.handle import Handle
from ..hdf5.links import Place
from ..hdf5.messages import DAMAGE, is_failed_read, named, shown
from ..hdf5.outline import Has, Outlines, plain_path
from ..hdf5.stored import Stored
from ..protocol.attribute import Attribute
from ..protocol.fields import columns_of
from .locate import Found

__all__ = ["Search"]


class _Choice:
    """Where files that are alike have an attribute."""

    def __init__(self, wanted: Attribute, path: str | None = None) -> None:
        self.wanted = wanted
        self.path = path  # as the protocol has it; None where each file must be looked into
        self.plain = plain_path(path or "")
        self.has_units = bool(wanted.units)
        self.alike = Alike()


class Search:
    """Looks for attributes in files.

    Parameters
    ----------
    files : Files
        Lends them.
    wanted : sequence of Attribute
        What is looked for.
    look : callable
        Looks for an attribute in the file of a number, whatever is there.
    is_plain : bool
        Whether a path that is there is taken, and not only that of a detector that a user names.
    """

    def __init__(
        self,
        files: Files,
        wanted: Sequence[Attribute],
        look: Callable[[int, Attribute], Found | None],
        is_plain: bool = True,
    ) -> None:
        self._files, self._look = files, look
        paths = [place.path for one in wanted for place in one.places]

        def decide(has: Has) -> list[_Choice]:
            if not is_plain:
                return [_Choice(one) for one in wanted]
            chosen = [_choice(one, has) for one in wanted]
            return [one for one in chosen if one is not None]

        self._outlines = Outlines((one for path in paths for one in _asked(path)), decide)

    def found(self, number: int) -> dict[str, Found]:
        """Return what a file has of those attributes that it has, by their names.

        Raises
        ------
        OSError
            The file cannot be opened.
        """
        filename = self._files.paths[number]
        found: dict[str, Found] = {}
        with self._files.lent(filename) as handle:
            choices, addresses, failure = self._outlines.of(handle.id)
            for choice in choices:
                place = Place(filename, choice.plain, (), True)
                try:
                    one = _described(handle, place, choice, addresses)
                except DAMAGE as error:
                    one, failure = None, error if is_failed_read(error) else failure
                if one is not None and choice.path is not None:
                    found[choice.wanted.name] = Found(number, choice.path, (one,))
                elif (other := self._look_after(failure, number, choice)) is not None:
                    found[choice.wanted.name] = other
        return found

    def _look_after(self, failure: Exception | None, number: int, choice: _Choice) -> Found | None:
        """Look for an attribute, whatever is there; a read that failed once is told of."""
        found = self._look(number, choice.wanted)
        if failure is None or (found is not None and found.error is not None):
            return found
        path = choice.wanted.paths[0] if found is None else found.path
        return Found(number, path, error=named(failure, self._files.paths[number], path))


def _described(
    handle: Handle, place: Place, choice: _Choice, addresses: Mapping[str, int]
) -> Stored | None:
    """Return the dataset that is likely there; None where it is something else, or wrong."""
    if choice.path is None:
        return None
    try:
        address = addresses[place.path]
        stored = choice.alike.describe(handle, place, address, choice.has_units)
    except CXIError:
        return None
    return None if stored.storage == "virtual" else stored


def _choice(wanted: Attribute, has: Has) -> _Choice | None:
    """Return where files have an attribute; None where they do not."""
    paths = [place.path for place in wanted.places]
    # Of a mask with several parts, which is looked for at all of its detectors first.
    if wanted.is_mask and any(_is_there(path, has) for path in paths if "{" in path):
        return _Choice(wanted)
    for path in paths:
        if not _is_there(path, has):
            continue
        is_simple = has(path) == "there" and plain_path(path) == shown(plain_path(path))
        return _Choice(wanted, path if is_simple else None)
    return None


def _is_there(path: str, has: Has) -> bool:
    return any(has(one) != "absent" for one in _asked(path))


def _asked(path: str) -> Sequence[str]:
    """Return the paths of which none is there where a file does not have a load path."""
    return columns_of(path) or (re.split(r"/[^/]*[{*]", path)[0],)
