"""What a built-in protocol would find in files beside what the default protocol does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..errors import CXIError
from ..hdf5.links import resolve
from ..hdf5.messages import DAMAGE
from ..protocol.protocol import CXIProtocol
from .catalogue import Catalogue
from .locate import Found
from .modules import is_pattern

__all__ = ["Addition", "addition", "speaks_for"]

# What only files of a program have, whose files are else like those of another protocol.
_MARKS = {"cheetah": ("/LCLS", "/cheetah", "/data/peaks")}


class Addition(NamedTuple):
    """What another protocol would add.

    Attributes
    ----------
    protocol : str
        Name of the built-in protocol.
    attributes : tuple of str
        What it finds and the default protocol does not, of the default protocol's attributes.
    """

    protocol: str
    attributes: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f'protocol="{self.protocol}" (--protocol {self.protocol}) would also find '
            f"{', '.join(self.attributes)}"
        )


def speaks_for(name: str, has: Callable[[str], Any]) -> bool:
    """Tell whether a file with the paths that it `has` may be of the programs of a protocol.

    Cheetah's files are like other CXI files, but for what their masks mean.
    """
    return name not in _MARKS or any(has(mark) for mark in _MARKS[name])


def addition(catalogue: Catalogue) -> Addition | None:
    """Return what a built-in protocol would find more than the default one; None for others.

    The first and the last file are looked into, no more: this is a hint, and costs little.
    """
    default = CXIProtocol.import_default()
    numbers = [number for number in catalogue.numbers if catalogue.opens(number)]
    if catalogue.protocol != default or not numbers:
        return None
    looked_at = tuple(dict.fromkeys((numbers[0], numbers[-1])))
    missed = [attr for attr in default if not catalogue.found(attr)]
    additions = []
    for name in CXIProtocol.names() if missed else ():
        other = CXIProtocol.import_named(name)
        if name == "default" or not _may_be(catalogue, looked_at[0], name):
            continue
        there = Catalogue(catalogue.files, looked_at, other, catalogue.policy, catalogue.chosen)
        found = {attr: _found(there, attr) for attr in ("data", *missed)}
        added = tuple(attr for attr in missed if found[attr])
        if added and _is_of_same_data(catalogue, found["data"]):
            additions.append(Addition(name, added))
    return max(
        additions, key=lambda one: (len(one.attributes), one.protocol in _MARKS), default=None
    )


def _found(there: Catalogue, attr: str) -> list[Found]:
    """Return what files have of an attribute by another protocol, as far as it can be used."""
    found = there.found(attr).values() if attr in there.protocol else ()
    # Modules lie in files that are not looked into.
    return [one for one in found if one.error is None or is_pattern(one.path)]


def _may_be(catalogue: Catalogue, number: int, name: str) -> bool:
    def has(path: str) -> bool:
        try:
            place = resolve(catalogue.files, catalogue.files.paths[number], path, catalogue.policy)
        except (CXIError, *DAMAGE):
            return False
        return place is not None

    return speaks_for(name, has)


def _is_of_same_data(catalogue: Catalogue, theirs: Sequence[Found]) -> bool:
    """Tell whether another protocol has the same frames, where the default one has any."""
    mine = catalogue.found("data")
    return not mine or all(
        one.file in mine
        and [stored.address for stored in mine[one.file].datasets]
        == [stored.address for stored in one.datasets]
        for one in theirs
    )
