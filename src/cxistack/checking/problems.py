"""What in the files does not fit the protocol, as far as it shows without reading values."""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.catalogue import Catalogue
from ..catalogue.index import FrameIndex
from ..catalogue.locate import Found
from ..errors import CastError, CXIError, LayoutError
from ..loading.recipe import check_text, make
from .findings import Problem

__all__ = ["misfits"]


def misfits(catalogue: Catalogue) -> list[Problem]:
    """Return what does not fit, as far as it shows without reading values."""
    names = catalogue.files.names
    unopened = catalogue.unopened()
    problems = [Problem("", "", names[number], str(error)) for number, error in unopened.items()]
    for attr, found in catalogue.found_all().items():
        faulty = {n: one.error for n, one in found.items() if one.error is not None}
        problems += [Problem("", attr, names[n], str(error)) for n, error in faulty.items()]
        problems += _of_wrong_type(catalogue, attr, {n: found[n] for n in found if n not in faulty})
        # Whether files agree can only be told when each can be read.
        if not found or faulty or unopened or not catalogue.is_indexed(attr):
            continue
        try:
            index = catalogue.index(attr)
            _ = index.frame_shape  # raises where frames differ in shape
        except (CXIError, OSError) as error:
            problems.append(Problem("", attr, names[min(found)], str(error)))
            continue
        if index.mismatch is not None:
            problems.append(Problem("", attr, names[min(found)], index.mismatch))
        problems += _of_another_grid(catalogue, attr, index)
    return problems


def _of_wrong_type(catalogue: Catalogue, attr: str, found: Mapping[int, Found]) -> list[Problem]:
    """Return the datasets of an attribute that are of no type that it may have."""
    wanted = catalogue.protocol.attribute(attr)
    problems = []
    for number, one in found.items():
        try:
            if wanted.is_text:
                check_text(wanted, one.datasets)
            for stored in () if wanted.is_text else one.datasets:
                make(wanted, one.path, stored, (), None, "checked")
        except CastError:
            pass  # it loads as soon as somebody says dtype=
        except LayoutError as error:
            problems.append(Problem("", attr, catalogue.files.names[number], str(error)))
    return problems


def _of_another_grid(catalogue: Catalogue, attr: str, index: FrameIndex) -> list[Problem]:
    """Return a problem where a stack's frames are not of the pixels that `data` has."""
    wanted = catalogue.protocol.attribute(attr)
    if wanted.is_data or wanted.kind != "stack" or not catalogue.has_data():
        return []
    try:
        data = catalogue.index("data")
        grid, mine = data.frame_shape[-2:], index.frame_shape[-2:]
    except (CXIError, OSError):  # told of `data` itself
        return []
    if grid == mine:
        return []
    place = index.parts[0].stored.place
    said = (
        f"{place}: {attr!r} has frames of {mine} pixels, and 'data' has frames of {grid}: it can "
        "be loaded, but its pixels are not those of 'data'"
    )
    return [Problem("", attr, catalogue.files.names[index.parts[0].file], said)]
