"""What a file has of an attribute: the first of its load paths that is there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import CXIError, LayoutError, LinkError
from ..hdf5.files import Files
from ..hdf5.links import LinkPolicy, Place, missing_files, resolve, resolve_in
from ..hdf5.messages import DAMAGE, named
from ..hdf5.stored import Stored, describe
from ..hdf5.tour import children, text_attribute
from ..hdf5.virtual_sources import is_over, with_sources
from ..protocol.fields import columns_of
from .columns import columns_in
from .detectors import Detectors
from .modules import Trains, is_pattern, modules_in, stacked

_NUMBERED = re.compile(r"(.*?)[0-9]+")

__all__ = ["Found", "bring_together", "locate"]


@dataclass(frozen=True)
class Found:
    """What one file has of one attribute.

    Attributes
    ----------
    file : int
        The file's number in the store.
    path : str
        The load path that is there, as the protocol writes it.
    datasets : tuple of Stored
        The dataset, or those of the group at that path in natural order.
    error : Exception or None
        Why it cannot be used; raised when it is asked for.
    also : tuple of Stored
        Of a mask, other datasets that say which pixels are bad: a pixel is good where it is so by
        all.
    modules : mapping of int to Place
        Where each module is, if the path is a pattern over modules. Such a file has no `datasets`
        until those of all files are brought together.
    """

    file: int
    path: str
    datasets: tuple[Stored, ...] = ()
    error: Exception | None = None
    also: tuple[Stored, ...] = ()
    modules: Mapping[int, Place] = field(default_factory=dict)


def locate(
    files: Files,
    number: int,
    paths: Sequence[str],
    policy: LinkPolicy = "follow",
    has_units: bool = False,
    detectors: Detectors | None = None,
) -> Found | None:
    """Look for the first of `paths` that file `number` has; None where it has none of them.

    With `has_units`, the units that datasets state are looked for, too. Where `detectors` are
    given, a detector in braces is that whose frames `data` are.
    """
    filename = files.paths[number]
    for path in paths:
        try:
            if detectors is not None:
                path = detectors.path(number, path)
            if is_pattern(path):
                modules = modules_in(files, filename, path, policy)
                if modules:
                    return Found(number, path, modules=modules)
                continue
            if columns := columns_of(path):
                stacked_ones = columns_in(files, filename, columns, policy, has_units)
                if stacked_ones is not None:
                    return Found(number, path, (stacked_ones,))
                continue
            place = resolve(files, filename, path, policy)
            if place is None or (detectors is not None and detectors.is_of_another(number, place)):
                continue
            if place.is_dataset:
                seen = describe(files, place, has_units)
                stored = with_sources(files, seen, policy)
                return Found(number, path, (stored,))
            return Found(number, path, _members(files, place, policy, has_units))
        except (CXIError, *DAMAGE) as error:
            return Found(number, path, error=named(error, filename, path))
    return None


def bring_together(
    files: Files, found: Mapping[int, Found], kind: str, trains: Trains, policy: LinkPolicy
) -> dict[int, Found]:
    """Return what files have of an attribute with modules in several files made one.

    What is made belongs to the first file with one of the modules.
    """
    whole = {number: one for number, one in found.items() if not one.modules}
    patterns: dict[str, dict[int, Found]] = {}
    for number, one in found.items():
        if one.modules:
            patterns.setdefault(one.path, {})[number] = one
    for path, parts in patterns.items():
        first = min(parts)
        failed = [one for one in found.values() if one.error is not None and one.path == path]
        if failed:  # a module that is missing may lie in the file that failed
            whole[first] = replace(failed[0], file=first)
            continue
        modules = {number: one.modules for number, one in sorted(parts.items())}
        try:
            datasets = stacked(files, path, modules, kind, trains, policy)
            whole[first] = Found(first, path, datasets)
        except (CXIError, OSError) as error:
            whole[first] = Found(first, path, error=error)
        except DAMAGE as cause:
            whole[first] = Found(first, path, error=named(cause, files.paths[first], path))
    return dict(sorted(whole.items()))


def _members(files: Files, group: Place, policy: LinkPolicy, has_units: bool) -> tuple[Stored, ...]:
    """Return the datasets directly in a group, each once, in natural order of their names."""
    names = children(files, group)
    members: dict[tuple[str, int], Stored] = {}
    names_of: dict[tuple[str, int], str] = {}
    lost: list[LinkError] = []
    for name in names:
        try:
            place = resolve_in(files, group, name, policy)
        except LinkError as error:
            lost.append(error)
            continue
        if place is not None and place.is_dataset:
            stored = with_sources(files, describe(files, place, has_units), policy)
            members.setdefault(stored.address, stored)
            names_of.setdefault(stored.address, name)
    if lost:
        missing = missing_files(lost[1:])
        more = f", and {len(lost) - 1} more lead nowhere" if lost[1:] else ""
        more += f": the files {missing}" if missing else ""
        raise LinkError(
            f"{lost[0]} (one of {len(names)} in the group {group.path}{more}; in place of this "
            "file, the files that are there can be named)"
        ) from lost[0]
    if not members:
        inside = f"it holds {', '.join(names[:4])}" if names else "it is empty"
        raise LayoutError(f"{group} is a group without a dataset in it: {inside}")
    for stored in members.values():
        if stored.storage == "virtual" and is_over(
            files, stored, members.keys() - {stored.address}, policy
        ):
            return (stored,)
    datasets = _frames_among(files, group, {names_of[key]: one for key, one in members.items()})
    first = datasets[0]
    for stored in datasets[1:]:
        if stored.shape[1:] != first.shape[1:] or stored.dtype != first.dtype:
            raise LayoutError(
                f"{group} is a group of unequal datasets: {_type_of(first)}, {_type_of(stored)}; "
                "name the one that is meant in a protocol"
            )
    return datasets


def _frames_among(files: Files, group: Place, members: Mapping[str, Stored]) -> tuple[Stored, ...]:
    """Return the datasets of a group that its `signal` or their numbers name; all without these.

    An NXdata group may hold axes and other datasets beside ``data_000001``, ``data_000002``, ....
    """
    signal = text_attribute(files, group, "signal")
    if signal is not None and signal in members:
        chosen = [signal]
    else:
        stems = {name: match[1] for name in members if (match := _NUMBERED.fullmatch(name))}
        wanted = {stem for stem in stems.values() if signal and stem.rstrip("_") == signal}
        chosen = [name for name, stem in stems.items() if stem in (wanted or {*stems.values()})]
    left = [name for name in members if name not in chosen]
    if not chosen or not left:
        return tuple(members.values())
    first, *others = (members[name] for name in chosen)
    told = f"the numbers of the datasets in {group.path}, which leave out {', '.join(left)}"
    if signal in members:
        told = f"the signal of {group.path}, which leaves out {', '.join(left)}"
    place = replace(first.place, hops=(*first.place.hops, told))
    return (replace(first, place=place), *others)


def _type_of(stored: Stored) -> str:
    return f"{stored.place.path} is {'text' if stored.is_text else stored.dtype} {stored.shape}"
