"""The sources of a virtual dataset by name: which files and datasets its mappings mean.

libhdf5 reads a missing source as the fill value, and ends a dataset of numbered sources where one
is missing, without a word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import LinkError
from .files import Files
from .links import LinkPolicy, Place, candidates, resolve, resolve_file
from .virtual_mappings import UNLIMITED

__all__ = ["MOST_NESTED", "block_axis", "is_numbered", "refuse_gap", "source_names", "source_place"]


# Virtual datasets over virtual datasets. HDF5 sets no limit; Python's stack does.
MOST_NESTED = 300


def source_names(source: Any, shape: tuple[int, ...]) -> list[tuple[str, str]]:
    """Return (file, dataset) of one mapping; printf-style names give a pair for each block."""
    if not is_numbered(source):
        return [(_named(source.file_name), _named(source.dset_name))]
    start, stride, count, _ = source.vspace.get_regular_hyperslab()
    axis = block_axis(source)
    number = count[axis]
    if number == UNLIMITED:
        number = max(0, -(-(shape[axis] - start[axis]) // stride[axis]))
    return [(_named(source.file_name, b), _named(source.dset_name, b)) for b in range(number)]


def block_axis(source: Any) -> int:
    """Return the axis along which the blocks of numbered sources follow one another.

    That is the one with more than one of them.
    """
    _, _, count, _ = source.vspace.get_regular_hyperslab()
    return next((k for k, number in enumerate(count) if number != 1), 0)


def is_numbered(source: Any) -> bool:
    """Tell whether a mapping's names have the number of the block in them."""
    return any("b" in _codes(name) for name in (source.file_name, source.dset_name))


def _codes(name: str) -> list[str]:
    return re.findall("%(.)", name)


def _named(name: str, block: int = 0) -> str:
    return re.sub("%([%b])", lambda code: "%" if code[1] == "%" else str(block), name)


def source_place(
    files: Files, place: Place, file_name: str, dataset_name: str, policy: LinkPolicy
) -> Place:
    """Follow one source name of the virtual dataset at `place` to the dataset it means."""
    filename = _source_file(files, place, file_name, policy)
    found = resolve(files, filename, dataset_name, policy)
    if found is None or not found.is_dataset:
        what = "is not there" if found is None else "is a group, not a dataset"
        raise LinkError(f"{place} (virtual): its source {filename}:{dataset_name} {what}")
    return found


def _source_file(files: Files, place: Place, name: str, policy: LinkPolicy) -> str:
    if name == ".":
        return place.filename
    start = f"{place} (virtual)"
    return resolve_file(files, name, place.filename, policy, start, "HDF5_VDS_PREFIX")


def refuse_gap(
    files: Files, place: Place, source: Any, blocks: int, policy: LinkPolicy = "follow"
) -> None:
    """Raise where sources are there that libhdf5 does not show, for one before them is missing.

    It looks for numbered sources without end, and takes the first that is missing for the end.
    """
    if not is_numbered(source):
        return
    _, _, count, _ = source.vspace.get_regular_hyperslab()
    if count[block_axis(source)] != UNLIMITED:
        return
    in_file = "b" in _codes(source.file_name)
    later = list(
        _numbered_files(place, source.file_name)
        if in_file
        else _numbered_datasets(files, place, source, policy)
    )
    beyond = sorted((number, name) for number, name in later if number >= blocks)
    if beyond:
        missing = _named(source.file_name if in_file else source.dset_name, blocks)
        raise LinkError(
            f"{place} (virtual): HDF5 ends it after {blocks} sources, for {missing!r} is missing "
            f"or has no {_named(source.dset_name, blocks)!r}; but {beyond[-1][1]} is there"
        )


def _numbered_files(place: Place, pattern: str) -> Iterator[tuple[int, str]]:
    for candidate in candidates(pattern, place.filename, "HDF5_VDS_PREFIX"):
        folder, name = os.path.split(candidate)
        if "b" in _codes(folder) or not Path(folder).is_dir():
            continue
        for number, found in _matches(name, [file.name for file in Path(folder).iterdir()]):
            yield number, str(Path(folder) / found)


def _numbered_datasets(
    files: Files, place: Place, source: Any, policy: LinkPolicy
) -> Iterator[tuple[int, str]]:
    parts = source.dset_name.split("/")
    depth = next(k for k, part in enumerate(parts) if "b" in _codes(part))
    group = _named("/".join(parts[:depth])) or "/"
    filename = _source_file(files, place, _named(source.file_name), policy)
    found = resolve(files, filename, group, policy)
    if found is None or found.is_dataset:
        return
    with files.reading(found.filename) as h5:
        names = list(h5[found.path])
    for number, name in _matches(parts[depth], names):
        yield number, f"{found.filename}:{found.path.rstrip('/')}/{name}"


def _matches(pattern: str, names: list[str]) -> Iterator[tuple[int, str]]:
    """Return the names that a pattern means, and the number that each one has in it."""
    literal = re.sub("%([%b])", lambda code: "%" if code[1] == "%" else "\0", pattern).split("\0")
    first, *rest = map(re.escape, literal)
    wanted = re.compile(f"{first}(?P<number>0|[1-9][0-9]*){'(?P=number)'.join(rest)}")
    for name in names:
        found = wanted.fullmatch(name)
        if found is not None:
            yield int(found["number"]), name
