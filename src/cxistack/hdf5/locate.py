"""What a file has of an attribute: the first of its load paths that is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import h5py

from ..errors import CXIError, LayoutError, StorageError
from .files import Files
from .layout import Stored, describe
from .links import LinkPolicy, Place, resolve
from .names import natural_key
from .sources import with_sources
from .virtual import source_names, source_place

__all__ = ["Found", "locate"]


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
    error : CXIError or None
        Why it cannot be used; raised when it is asked for.
    """

    file: int
    path: str
    datasets: tuple[Stored, ...] = ()
    error: Exception | None = None


def locate(
    files: Files, number: int, paths: Sequence[str], policy: LinkPolicy = "follow"
) -> Found | None:
    """Look for the first of `paths` that file `number` has; None where it has none of them."""
    filename = files.paths[number]
    for path in paths:
        try:
            place = resolve(files, filename, path, policy)
            if place is None:
                continue
            if place.is_dataset:
                stored = with_sources(files, describe(files, place), policy)
                return Found(number, path, (stored,))
            return Found(number, path, _members(files, place, policy))
        except (CXIError, OSError) as error:
            return Found(number, path, error=error)
        except (KeyError, OverflowError, RuntimeError, TypeError, ValueError) as cause:
            # What h5py raises, beside OSError, where a file's metadata is damaged.
            damage = StorageError(f"{filename}:{path} cannot be made sense of by HDF5: {cause}")
            damage.__cause__ = cause
            return Found(number, path, error=damage)
    return None


def _members(files: Files, group: Place, policy: LinkPolicy) -> tuple[Stored, ...]:
    """Return the datasets directly in a group, each once, in natural order of their names."""
    with files.reading(group.filename) as h5:
        names = sorted(h5[group.path], key=natural_key)
    members: dict[tuple[str, int], Stored] = {}
    for name in names:
        path = f"{group.path.rstrip('/')}/{name}"
        place = resolve(files, group.filename, path, policy)
        if place is not None and place.is_dataset:
            via = Place(place.filename, place.path, group.hops + place.hops, True)
            stored = with_sources(files, describe(files, via), policy)
            members.setdefault(stored.address, stored)
    if not members:
        raise LayoutError(f"{group} is a group without a dataset in it")
    datasets = tuple(members.values())
    for stored in datasets:
        if stored.storage == "virtual" and _stands_on(files, stored, datasets, policy):
            return (stored,)
    first = datasets[0]
    for stored in datasets[1:]:
        if stored.shape[1:] != first.shape[1:] or stored.dtype != first.dtype:
            raise LayoutError(
                f"{group} is a group of unequal datasets: {first.place.path} is {first.dtype} "
                f"{first.shape}, {stored.place.path} is {stored.dtype} {stored.shape}"
            )
    return datasets


def _stands_on(
    files: Files, virtual: Stored, datasets: Sequence[Stored], policy: LinkPolicy
) -> bool:
    """Tell whether the virtual dataset is made of others in the same group."""
    siblings = {stored.address for stored in datasets if stored is not virtual}
    if not siblings:
        return False
    place = virtual.place
    with files.reading(place.filename) as h5:
        sources = h5[place.path].virtual_sources()
    for source in sources:
        for file_name, dataset_name in source_names(source, virtual.shape):
            found = source_place(files, place, file_name, dataset_name, policy)
            with files.reading(found.filename) as h5:
                address = h5py.h5o.get_info(h5[found.path].id).addr
            if (found.filename, address) in siblings:
                return True
    return False
