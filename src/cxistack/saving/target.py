"""Where a save goes: the dataset that the first file has of an attribute, or the free name."""

from __future__ import annotations

from ..catalogue.catalogue import Catalogue
from ..catalogue.modules import is_pattern
from ..errors import LayoutError
from ..hdf5.links import Place
from ..hdf5.stored import Stored
from ..protocol.fields import columns_of

__all__ = ["dataset_there", "place_of"]


def dataset_there(catalogue: Catalogue, attr: str) -> Stored | None:
    """Return the dataset, or the first of several, that the first file has of an attribute."""
    found = catalogue.found(attr).get(0)
    return found.datasets[0] if found is not None and found.datasets else None


def place_of(catalogue: Catalogue, attr: str, path: str) -> Place:
    """Return where the object lies that the path leads to in the first file.

    Raises
    ------
    CXIError
        The path leads to several datasets, into another file, or nowhere.
    """
    name = catalogue.files.names[0]
    if is_pattern(path):
        raise LayoutError(
            f"{attr!r} lies in a dataset for each module, {path}, and a save needs one dataset: "
            "open the store with a protocol that gives it a single path"
        )
    if columns := columns_of(path):
        raise LayoutError(
            f"{attr!r} lies in {len(columns)} datasets, a column in each, {path}, and a save needs "
            "one dataset: open the store with a protocol that gives it a single path"
        )
    found = catalogue.found(attr).get(0)
    if found is None:
        return Place(catalogue.files.paths[0], path, (), True)
    if found.error is not None and not found.datasets:
        raise found.error
    if len(found.datasets) != 1:
        raise LayoutError(
            f"{name}:{path} is a group of {len(found.datasets)} datasets, and a save needs one "
            "dataset"
        )
    if found.also or not found.datasets[0].is_in_file:
        parts = ", ".join(str(one.place.path) for one in (*found.datasets, *found.also))
        raise LayoutError(
            f"{attr!r} of {name} is what several datasets say together ({parts}), and a save needs "
            "one dataset: open the store with a protocol that names the one to change"
        )
    place = found.datasets[0].place
    if place.filename != catalogue.files.paths[0]:
        raise LayoutError(
            f"{attr!r} of {name} lies in another file, {place} ({'; '.join(place.hops)}): open "
            "that file to change it"
        )
    return place
