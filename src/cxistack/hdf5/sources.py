"""Which datasets a virtual one is made of, where it is whole frames of others in a row.

Each is then read as itself: HDF5's own reading of virtual datasets is slow, and opens every source
at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import h5py

from .files import Files
from .layout import Source, Stored, describe
from .links import LinkPolicy
from .virtual import MOST_NESTED, UNLIMITED, source_names, source_place

__all__ = ["with_sources"]


def with_sources(
    files: Files, stored: Stored, policy: LinkPolicy = "follow", depth: int = 0
) -> Stored:
    """Return a virtual dataset with its sources, or as it is where they are no whole frames."""
    if stored.storage != "virtual" or stored.ndim < 3 or depth > MOST_NESTED:
        return stored
    place = stored.place
    with files.reading(place.filename) as h5:
        mappings = h5[place.path].virtual_sources()
    spans: list[tuple[int, Source]] = []
    for mapping in mappings:
        names = source_names(mapping, stored.shape)
        runs = list(_runs(mapping.vspace, stored.shape, len(names)))
        if len(runs) != len(names):
            return stored
        for (file_name, dataset_name), (begin, count) in zip(names, runs, strict=True):
            other = describe(
                files, source_place(files, place, file_name, dataset_name, policy), policy
            )
            row = _first_row(mapping.src_space, other.shape, count)
            if row is None or other.shape[1:] != stored.shape[1:] or other.dtype != stored.dtype:
                return stored
            other = with_sources(files, other, policy, depth + 1)
            if other.sources:
                return stored  # virtual over virtual: left to HDF5
            hops = (*place.hops, f"virtual dataset {place}", *other.place.hops)
            other = replace(other, place=replace(other.place, hops=hops))
            spans.append((begin, Source(other, row, count)))
    spans.sort(key=lambda span: span[0])
    end = 0
    for begin, source in spans:
        if begin != end:
            return stored  # a gap, which is fill, or frames that two sources show
        end += source.count
    if end != stored.shape[0]:
        return stored
    return replace(stored, sources=tuple(source for _, source in spans))


def _runs(space: Any, shape: tuple[int, ...], blocks: int) -> Iterator[tuple[int, int]]:
    """Return (first frame, frames) of each block of a selection of whole frames; else nothing."""
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        yield 0, shape[0]
        return
    if not _is_whole_frames(space, shape):
        return
    start, stride, count, block = (values[0] for values in space.get_regular_hyperslab())
    if block == UNLIMITED:
        yield start, shape[0] - start
    elif blocks > 1 or count == UNLIMITED:
        for number in range(blocks):
            yield start + number * stride, block
    elif count == 1 or stride == block:
        yield start, count * block


def _first_row(space: Any, shape: tuple[int, ...], count: int) -> int | None:
    """Return the first row that a mapping takes from its source, or None: no rows in a row."""
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        return 0 if shape[0] == count else None
    if not _is_whole_frames(space, shape):
        return None
    start, stride, number, block = (values[0] for values in space.get_regular_hyperslab())
    if UNLIMITED in (number, block) or not (number == 1 or stride == block):
        return start if block == UNLIMITED and start + count <= shape[0] else None
    return start if number * block == count and start + count <= shape[0] else None


def _is_whole_frames(space: Any, shape: tuple[int, ...]) -> bool:
    """Tell whether a selection takes all of every axis but the first."""
    if space.get_select_type() != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        return False
    slabs = list(zip(*space.get_regular_hyperslab(), strict=True))[1:]
    return len(slabs) == len(shape) - 1 and all(
        start == 0 and count * block == length and (count == 1 or stride == block)
        for (start, stride, count, block), length in zip(slabs, shape[1:], strict=True)
    )
