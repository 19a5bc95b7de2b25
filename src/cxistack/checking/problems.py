"""What in the files does not fit the protocol, as far as it shows without reading pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..catalogue.catalogue import Catalogue
from ..catalogue.locate import Found
from ..catalogue.together import data_frames, misfit
from ..errors import CastError, CXIError, LayoutError
from ..loading.prepare import prepare_single
from ..loading.recipe import check_text, make
from ..protocol.attribute import Trait
from .findings import Problem

__all__ = ["misfits"]


def misfits(catalogue: Catalogue) -> list[Problem]:
    """Return what does not fit, as far as it shows without reading pixels."""
    names = catalogue.files.names
    unopened = catalogue.unopened()
    problems = [Problem("", "", names[number], str(error)) for number, error in unopened.items()]
    for attr, found in catalogue.found_all().items():
        faulty = {n: one.error for n, one in found.items() if one.error is not None}
        problems += [Problem("", attr, names[n], str(error)) for n, error in faulty.items()]
        problems += _of_wrong_type(catalogue, attr, {n: found[n] for n in found if n not in faulty})
        # Whether files agree can only be told when each can be read.
        if not found or faulty or unopened:
            continue
        problems += _of_another_shape(catalogue, attr, found)
        if not catalogue.is_indexed(attr):
            problems += _of_frames_that_are_not_there(catalogue, attr)
            continue
        try:
            index = catalogue.index(attr)
            _ = index.frame_shape  # raises where frames differ in shape
        except (CXIError, OSError) as error:
            problems.append(Problem("", attr, names[min(found)], str(error)))
            continue
        if index.mismatch is not None:
            problems.append(Problem("", attr, names[min(found)], index.mismatch))
    return problems


def _of_wrong_type(catalogue: Catalogue, attr: str, found: Mapping[int, Found]) -> list[Problem]:
    """Return the datasets of an attribute that are of no type that it may have."""
    wanted = catalogue.protocol.attribute(attr)
    problems = []
    fine: set[tuple[object, ...]] = set()  # what is like these is right, too
    for number, one in found.items():
        try:
            if wanted.is_text:
                check_text(wanted, one.datasets)
            for stored in () if wanted.is_text else one.datasets:
                alike = one.path, stored.dtype, stored.units
                if alike not in fine:
                    make(wanted, one.path, stored, (), None, "checked")
                    fine.add(alike)
        except CastError:
            pass  # it loads as soon as somebody says dtype=
        except LayoutError as error:
            problems.append(Problem("", attr, catalogue.files.names[number], str(error)))
    return problems


def _of_another_shape(catalogue: Catalogue, attr: str, found: Mapping[int, Found]) -> list[Problem]:
    """Return the datasets of an attribute that are not of the pixels that `data` has."""
    wanted = catalogue.protocol.attribute(attr)
    if wanted.is_data or not wanted.has_pixels:
        return []
    problems = []
    for number, one in found.items():
        data = data_frames(catalogue, number)
        for stored in () if data is None else one.datasets:
            assert data is not None
            why = misfit(wanted, stored.shape, replace(data, count=None))
            if why is None:
                continue
            grid, mine = data.shape[-2:], stored.shape[-2:]
            if wanted.kind == "stack" and grid != mine:
                why = (
                    f"{attr!r} has frames of {mine} pixels, and 'data' has frames of {grid}: it "
                    "can be loaded, but its pixels are not those of 'data'"
                )
            name = catalogue.files.names[number]
            problems.append(Problem("", attr, name, f"{stored.place}: {why}"))
            break  # one is enough of a file
    return problems


def _of_frames_that_are_not_there(catalogue: Catalogue, attr: str) -> list[Problem]:
    """Return a problem where a list of frames, which is read, names some that `data` has not."""
    wanted, data = catalogue.protocol.attribute(attr), data_frames(catalogue)
    if Trait.FRAME_NUMBERS not in wanted.traits or data is None:
        return []
    found = catalogue.single(attr)
    try:
        numbers = np.asarray(prepare_single(catalogue.files, wanted, found).read())
    except (CXIError, OSError):  # told when it is decoded
        return []
    count = data.count or 0
    outside = numbers[(numbers >= count) | (numbers < 0)]
    if not outside.size:
        return []
    why = f"{attr!r} names frame {outside[0]}, and there are {count} frames of 'data'"
    place, name = found.datasets[0].place, catalogue.files.names[found.file]
    return [Problem("", attr, name, f"{place}: {why}")]
