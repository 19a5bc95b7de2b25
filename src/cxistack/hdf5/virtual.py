"""What a virtual dataset stands on: every mapped source must be there, large enough and alike.

libhdf5 reads a missing source as the fill value, and clips values that do not fit, without a word.
So each source is opened and looked at before anything is read through the virtual dataset.
"""

from __future__ import annotations

import math
import resource
from typing import Any

import h5py
import numpy as np

from ..errors import LayoutError, LinkError, StorageError
from .files import Files
from .links import LinkPolicy, Place, resolve, resolve_file

__all__ = ["MOST_NESTED", "UNLIMITED", "check_sources", "source_names", "source_place"]

UNLIMITED = h5py.h5s.UNLIMITED
MOST_NESTED = 16  # virtual datasets over virtual datasets: deeper than this is a circle


def check_sources(
    files: Files,
    place: Place,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    sources: list[Any],
    policy: LinkPolicy,
    depth: int = 0,
) -> None:
    """Raise unless every source of the virtual dataset at `place` can be read as it is mapped."""
    if depth > MOST_NESTED:
        raise LinkError(f"{place}: virtual datasets stand on one another in a circle")
    filenames = set()
    for source in sources:
        for file_name, dataset_name in source_names(source, shape):
            found = source_place(files, place, file_name, dataset_name, policy)
            filenames.add(found.filename)
            _check_one(files, place, dtype, source, found, policy, depth)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and len(filenames) + 64 > soft:
        raise StorageError(
            f"{place} is virtual over {len(filenames)} files and this process may open {soft}: "
            "HDF5 would give fill values for the rest. Raise the limit (ulimit -n) or name the "
            "source files themselves"
        )


def source_names(source: Any, shape: tuple[int, ...]) -> list[tuple[str, str]]:
    """Return (file, dataset) of one mapping; printf-style names give a pair for each block."""
    if "%b" not in source.file_name and "%b" not in source.dset_name:
        return [(source.file_name, source.dset_name)]
    start, stride, count, _ = source.vspace.get_regular_hyperslab()
    # The blocks follow one another along the axis with more than one of them.
    axis = next((k for k, number in enumerate(count) if number != 1), 0)
    number = count[axis]
    if number == UNLIMITED:
        number = -(-(shape[axis] - start[axis]) // stride[axis])
    return [
        (source.file_name.replace("%b", str(b)), source.dset_name.replace("%b", str(b)))
        for b in range(number)
    ]


def source_place(
    files: Files, place: Place, file_name: str, dataset_name: str, policy: LinkPolicy
) -> Place:
    """Follow one source name of the virtual dataset at `place` to the dataset it means."""
    start = f"{place} (virtual)"
    filename = (
        place.filename
        if file_name == "."
        else resolve_file(files, file_name, place.filename, policy, start)
    )
    found = resolve(files, filename, dataset_name, policy)
    if found is None or not found.is_dataset:
        what = "is not there" if found is None else "is a group, not a dataset"
        raise LinkError(f"{start}: its source {filename}:{dataset_name} {what}")
    return found


def _check_one(
    files: Files,
    place: Place,
    dtype: np.dtype[Any],
    source: Any,
    found: Place,
    policy: LinkPolicy,
    depth: int,
) -> None:
    with files.reading(found.filename) as h5:
        dataset = h5[found.path]
        shape, source_dtype = dataset.shape, dataset.dtype
        plist = dataset.id.get_create_plist()
        external = plist.get_layout() == h5py.h5d.CONTIGUOUS and plist.get_external_count() > 0
        nested = dataset.virtual_sources() if dataset.is_virtual else []
    if external:
        raise LayoutError(f"{place}: its source {found} keeps its values in external raw files")
    if not _is_large_enough(source, shape):
        raise LayoutError(
            f"{place} maps more of its source {found} than there is: that has shape {shape}"
        )
    if not np.can_cast(source_dtype, dtype, "safe"):
        raise LayoutError(
            f"{place} is virtual with type {dtype}, its source {found} has {source_dtype}: "
            "HDF5 would clip values that do not fit; name the source itself"
        )
    if nested:
        check_sources(files, found, shape, source_dtype, nested, policy, depth + 1)


def _is_large_enough(source: Any, shape: tuple[int, ...]) -> bool:
    """Tell whether a source of `shape` has all that the mapping takes from it."""
    space = source.src_space
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        # HDF5 keeps no extent with it, but as many elements as the mapping fills.
        return math.prod(shape) >= _mapped_elements(source.vspace)
    if space.get_select_type() == h5py.h5s.SEL_HYPERSLABS and space.is_regular_hyperslab():
        needed = [
            0 if UNLIMITED in (count, block) else start + (count - 1) * stride + block
            for start, stride, count, block in zip(*space.get_regular_hyperslab(), strict=True)
        ]
    else:
        needed = [last + 1 for last in space.get_select_bounds()[1]]
    return len(needed) == len(shape) and all(n <= s for n, s in zip(needed, shape, strict=True))


def _mapped_elements(space: Any) -> int:
    """Return how many elements one block of the virtual dataset's selection has."""
    if space.get_select_type() != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        return int(space.get_select_npoints())
    _, _, counts, blocks = space.get_regular_hyperslab()
    return math.prod(
        1 if UNLIMITED in (count, block) else count * block
        for count, block in zip(counts, blocks, strict=True)
    )
