"""Of which datasets a virtual one is made: each source is looked at before anything is read.

Where the pieces are rectangular each is then read as itself. HDF5's own reading of virtual datasets
is slow; and it reads a missing source as the fill value and clips values that do not fit, without a
word.
"""

from __future__ import annotations

import math
import resource
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import LayoutError, LinkError, StorageError
from .boxes import Box, may_overlap
from .files import Files
from .links import LinkPolicy, Place
from .remote.urls import is_url
from .stored import Assembly, Piece, Stored, address_of, describe, fill_value, nested
from .virtual_mappings import Slab, boxes, slabs
from .virtual_names import (
    MOST_NESTED,
    block_axis,
    is_numbered,
    refuse_gap,
    source_names,
    source_place,
)

__all__ = ["is_over", "with_sources"]


_UNFILLED = "it is virtual, and its sources overlap and have gaps"


def with_sources(
    files: Files,
    stored: Stored,
    policy: LinkPolicy = "follow",
    outer: tuple[tuple[str, int], ...] = (),
    seen: dict[tuple[str, int], Stored] | None = None,
) -> Stored:
    """Return a virtual dataset with its pieces, or with the reason why it is read by HDF5.

    `outer` are the addresses of the virtual datasets that it is a source of, and `seen` what is
    known of sources: many may have the same, and these again.

    Raises
    ------
    LinkError
        A source is missing, or virtual datasets are sources of one another, in a circle or in a
        chain of more than `MOST_NESTED`.
    LayoutError
        A source does not fit: it is smaller than what is mapped, of another type, or kept in
        external raw files.
    """
    if stored.storage != "virtual":
        return stored
    place = stored.place
    if stored.address in outer:
        raise LinkError(f"{place}: virtual datasets are sources of one another, in a circle")
    if len(outer) >= MOST_NESTED:
        raise LinkError(
            f"{place}: more than {MOST_NESTED} virtual datasets are sources of one another; name a "
            "source further down"
        )
    outer = (*outer, stored.address)
    seen = {} if seen is None else seen
    with files.reading(place.filename) as h5:
        dataset = h5[place.path]
        mappings = dataset.virtual_sources()
        fill = None if stored.is_text else fill_value(dataset.id.get_create_plist(), stored.dtype)
    if fill is None:
        fill = np.zeros((), stored.dtype)
    known: dict[tuple[str, str], Stored] = {}
    pieces: list[Piece] = []
    laid: list[Box] = []
    reasons: list[str] = []
    for mapping in mappings:
        names = source_names(mapping, stored.shape)
        refuse_gap(files, place, mapping, len(names), policy)
        for number, name in enumerate(names):
            if name not in known:
                known[name] = _source(files, stored, name, policy, outer, seen)
            source = known[name]
            try:
                _check(stored, mapping, source)
                for piece in _mapped(stored, mapping, number, source):
                    laid.append(piece.target)
                    pieces += _pieces(piece, fill)
            except _Irregular as reason:
                reasons.append(str(reason))
    if reasons or stored.ndim < 3:
        _check_descriptors(place, {source.place.filename for source in known.values()})
    if reasons:
        _refuse_unfilled(place, known.values(), fill)
    if reasons or stored.is_text or stored.ndim < 2 or 0 in stored.shape:
        _refuse_remote(place, reasons)
        return replace(stored, obstacle=f"it is virtual, and {reasons[0]}" if reasons else "")
    whole = all(one.assembly is None or one.assembly.is_complete for one in known.values())
    assembly = Assembly.of(pieces, stored.shape, fill, whole)
    # The gaps of a source, too, lie over what was mapped before it.
    if not whole and (assembly.overlaps or may_overlap(laid)):
        _refuse_unfilled(place, known.values(), fill)
        _refuse_remote(place, [_UNFILLED])
        return replace(stored, obstacle=_UNFILLED)
    return replace(stored, assembly=assembly)


def _refuse_remote(place: Place, reasons: Sequence[str]) -> None:
    """Raise where HDF5 itself would open the sources of a file on a server: it looks here."""
    if is_url(place.filename):
        why = f" ({reasons[0]})" if reasons else ""
        raise LayoutError(
            f"{place} is virtual, and only HDF5 can put it together{why}, which cannot open its "
            "sources on a server: name the sources themselves, or copy the files here"
        )


def is_over(
    files: Files, virtual: Stored, addresses: Collection[tuple[str, int]], policy: LinkPolicy
) -> bool:
    """Tell whether a virtual dataset has a source among the datasets with these addresses."""
    place = virtual.place
    with files.reading(place.filename) as h5:
        mappings = h5[place.path].virtual_sources() if addresses else ()
    for mapping in mappings:
        for name in source_names(mapping, virtual.shape):
            found = source_place(files, place, *name, policy)
            with files.reading(found.filename) as h5:
                address = address_of(h5[found.path].id, found.filename, found.path)
            if (found.filename, address) in addresses:
                return True
    return False


class _Irregular(Exception):
    """A mapping is not of a rectangle, or of one that cannot be read piece by piece."""


def _source(
    files: Files,
    stored: Stored,
    name: tuple[str, str],
    policy: LinkPolicy,
    outer: tuple[tuple[str, int], ...],
    seen: dict[tuple[str, int], Stored],
) -> Stored:
    """Describe one source, and the sources of a virtual one."""
    found = source_place(files, stored.place, *name, policy)
    hops = (*stored.place.hops, f"virtual dataset {stored.place}", *found.hops)
    found = Place(found.filename, found.path, hops, is_dataset=True)
    try:
        source = describe(files, found)
    except LayoutError as cause:
        raise LayoutError(f"{stored.place} has a source that cannot be read: {cause}") from cause
    if source.address not in seen:
        seen[source.address] = with_sources(files, source, policy, outer, seen)
    return replace(seen[source.address], place=found)


def _check(stored: Stored, mapping: Any, source: Stored) -> None:
    """Raise unless the source can be read as it is mapped."""
    if not _is_large_enough(mapping, source.shape):
        raise LayoutError(
            f"{stored.place} takes more of its source {source.place} than there is: the source has "
            f"shape {source.shape}"
        )
    if not np.can_cast(source.dtype, stored.dtype, "safe"):
        raise LayoutError(
            f"{stored.place} is virtual with type {stored.dtype}, its source {source.place} has "
            f"{source.dtype}: HDF5 would clip values that do not fit; name the source itself"
        )


def _is_large_enough(mapping: Any, shape: tuple[int, ...]) -> bool:
    """Tell whether a source of `shape` has all that the mapping takes from it."""
    space = mapping.src_space
    kind = space.get_select_type()
    if kind == h5py.h5s.SEL_ALL:
        # HDF5 keeps no extent with it, but as many elements as one block of the mapping fills.
        here = slabs(mapping.vspace, mapping.vspace.shape)
        if here is not None and is_numbered(mapping):
            here = _block(here, block_axis(mapping), 0)
        if here is None:
            return math.prod(shape) >= int(mapping.vspace.get_select_npoints())
        return math.prod(shape) >= math.prod(
            1 if slab.has_no_end else slab.blocks * slab.width for slab in here
        )
    if kind == h5py.h5s.SEL_NONE:
        return True
    there = slabs(space, shape)
    if there is not None:
        needed = [slab.reach() for slab in there]
    else:
        needed = [int(last) + 1 for last in space.get_select_bounds()[1]]
    return len(needed) == len(shape) and all(n <= s for n, s in zip(needed, shape, strict=True))


def _refuse_unfilled(place: Place, sources: Iterable[Stored], fill: NDArray[Any]) -> None:
    """Raise where HDF5 would not fill the gaps of a source: they come as memory happens to be."""
    for source in sources:
        one = source.assembly
        unfilled = source.obstacle == _UNFILLED if one is None else one.overlaps
        if unfilled and (one is None or not _same(one.fill, fill)):
            raise LayoutError(
                f"{place} has the source {source.place}, which is virtual, too: its own sources "
                "overlap and may leave gaps, which HDF5 does not fill from here. Name "
                f"{source.place} itself"
            )


def _mapped(stored: Stored, mapping: Any, number: int, source: Stored) -> Iterator[Piece]:
    """Return what the mapping's block `number` maps; raise _Irregular where it is no pieces."""
    if h5py.h5s.SEL_NONE in (mapping.vspace.get_select_type(), mapping.src_space.get_select_type()):
        return
    if source.dtype.newbyteorder("=") != stored.dtype.newbyteorder("="):
        raise _Irregular(f"{source.place} is {source.dtype}, which is another type")
    if len(source.shape) < 2:
        raise _Irregular(f"{source.place} of shape {source.shape} has no frames")
    here, there = slabs(mapping.vspace, stored.shape), slabs(mapping.src_space, source.shape)
    if here is None or there is None:
        raise _Irregular(f"what it takes of {source.place} is no regular selection")
    if is_numbered(mapping):
        here = _block(here, block_axis(mapping), number)
    found = boxes(here, there, stored.shape, source.shape)
    if found is None:
        raise _Irregular(f"what it takes of {source.place} is in no order that follows its axes")
    for target, taken in found:
        piece = Piece(source, target, taken)
        if len(target) > 2 and target[0].count > 1 and not piece.has_rows:
            raise _Irregular(f"its frames are not along the first axis of {source.place}")
        yield piece


def _pieces(piece: Piece, fill: NDArray[Any]) -> Iterator[Piece]:
    """Return the pieces of what is mapped; raise _Irregular where its source has none."""
    source = piece.stored
    if source.storage != "virtual":
        yield piece
    elif source.assembly is None:
        raise _Irregular(f"its source {source.place} is, too: {source.obstacle}")
    elif not source.assembly.is_complete and not _same(source.assembly.fill, fill):
        raise _Irregular(f"{source.place} has another fill value")
    else:
        yield from nested(piece, source.assembly)


def _block(target: Sequence[Slab], axis: int, number: int) -> tuple[Slab, ...]:
    """Return one block of a slab that has one for each numbered source."""
    slab = target[axis]
    one = Slab(slab.start + number * slab.stride, 1, 1, slab.width)
    return (*target[:axis], one, *target[axis + 1 :])


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Tell whether two pixels are the same, bit by bit, in whatever byte order they are stored."""
    return one.astype(one.dtype.newbyteorder("=")).tobytes() == (
        other.astype(other.dtype.newbyteorder("=")).tobytes()
    )


def _check_descriptors(place: Place, filenames: set[str]) -> None:
    """Raise where libhdf5 cannot open all sources: for the others it would give fill values."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and len(filenames) + 64 > soft:
        raise StorageError(
            f"{place} is virtual over {len(filenames)} files and this process may open {soft}: "
            "HDF5 would give fill values for the rest. Raise the limit (ulimit -n) or name the "
            "source files themselves"
        )
