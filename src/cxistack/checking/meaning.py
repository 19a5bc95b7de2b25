"""Checks of what values mean: a mask says which pixels are good, and a unit is one that is known.

Files that had flags saved as a plain mask, or a misspelt unit, load without an error.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..catalogue.catalogue import Catalogue
from ..catalogue.index import Part
from ..catalogue.locate import Found
from ..errors import CXIError
from ..hdf5.stored import Stored, describe
from ..loading.prepare import prepare_stored
from ..protocol.attribute import Attribute
from ..protocol.protocol import cxi_unit
from ..protocol.units import refuse_unknown
from ..transforms.steps import FrameView
from .findings import Finding
from .request import CheckRequest

__all__ = ["means"]

_BATCH_BYTES = 16 << 20


def means(catalogue: Catalogue, request: CheckRequest) -> Iterator[Finding]:
    """Find plain masks with other values than two, and quantities in units that nobody knows."""
    for attr in request.attributes:
        wanted = catalogue.protocol.attribute(attr)
        has_unit = cxi_unit(attr) is not None
        seen: set[object] = set()  # links may lead from many files to one dataset
        for one in catalogue.found(attr).values():
            for stored in one.datasets if one.error is None else ():
                if stored.address in seen:
                    continue
                seen.add(stored.address)
                why = None
                if wanted.is_mask:
                    why = _why_no_mask(catalogue, one, stored, wanted, request.num_threads)
                elif has_unit and wanted.is_number and stored.is_in_file:
                    why = _why_no_unit(catalogue, stored)
                if why is not None:
                    place = stored.place
                    yield Finding("agrees", attr, place.filename, why, place.path)


def _why_no_unit(catalogue: Catalogue, stored: Stored) -> str | None:
    unit = describe(catalogue.files, stored.place, has_units=True).units
    try:
        refuse_unknown(unit or "m")
    except ValueError as error:
        return f"the unit that it states is not known: {error}"
    return None


def _why_no_mask(
    catalogue: Catalogue, found: Found, stored: Stored, wanted: Attribute, num_threads: int | None
) -> str | None:
    """Return what speaks against a plain mask: 1, or the largest value of its type, is good."""
    convention = wanted.at(found.path).convention
    if convention not in (None, "good") or stored.dtype.kind not in "iuf" or stored.ndim < 2:
        return None
    most = np.iinfo(stored.dtype).max if stored.dtype.kind in "iu" else 1
    has_rows = stored.ndim > 2
    count = stored.shape[0] if has_rows else 1
    view = FrameView.full((stored.shape[-2], stored.shape[-1]))
    load = prepare_stored(catalogue.files, Part(found.file, stored, count, has_rows), view)
    step = max(1, _BATCH_BYTES // max(1, stored.nbytes // max(1, count)))
    for first in range(0, count, step):
        try:
            numbers = np.arange(first, min(count, first + step))
            values = load.read(numbers, num_threads=num_threads)
        except (CXIError, OSError):  # told of by the check that all decodes
            return None
        strange = np.argwhere((values != 0) & (values != 1) & (values != most))
        if len(strange):
            frame, *pixel = strange[0].tolist()
            where = [first + frame, *pixel] if has_rows else pixel
            return (
                f"it is {values[tuple(strange[0])]} at {tuple(where)}, and a mask is 1 for a good "
                "pixel and 0 for a bad one: if these are flags, give the protocol their convention"
            )
    return None
