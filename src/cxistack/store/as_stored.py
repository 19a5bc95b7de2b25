"""How what is loaded lies in its files: in which datasets, in chunks of which shape and unit."""

from __future__ import annotations

from typing import NamedTuple

from ..catalogue.catalogue import Catalogue
from ..catalogue.index import Part
from ..errors import LayoutError
from ..loading.load import Load
from ..protocol.attribute import Attribute
from ..saving.units import stated_unit

__all__ = ["SourceDataset", "chunks_of", "sources_of", "unit_of"]


class SourceDataset(NamedTuple):
    """A dataset, and the frames that it has of an array.

    Attributes
    ----------
    filename, path : str
        Where it is.
    frames : range or None
        The numbers of its frames in the array; None of an array without a frame axis.
    """

    filename: str
    path: str
    frames: range | None


def sources_of(load: Load) -> tuple[SourceDataset, ...]:
    """Return the datasets that values come from, in the order of their frames."""
    places = [part.stored.place for part in load.index.parts]
    if load.is_single:
        return tuple(SourceDataset(place.filename, place.path, None) for place in places)
    offsets = load.index.offsets.tolist()
    return tuple(
        SourceDataset(place.filename, place.path, range(first, last))
        for place, first, last in zip(places, offsets, offsets[1:], strict=False)
    )


def chunks_of(load: Load) -> tuple[int, ...] | None:
    """Return the shape of a chunk along the axes of what is loaded; None where there is no one."""
    found = {_chunk(load, part) for part in load.index.parts if part.count}
    return found.pop() if len(found) == 1 else None


def _chunk(load: Load, part: Part) -> tuple[int, ...] | None:
    stored = part.stored
    if load.is_text or (not load.is_single and part.is_static):
        return None
    if stored.assembly is None and stored.chunks is None:
        return None
    chunk = (part.chunk_frames, *part.frame_shape)  # of what is put together, whole frames
    if stored.chunks is not None:
        chunk = stored.chunks if part.has_frame_axis else (1, *stored.chunks)
    if any(recipe.steps for recipe in load.recipes[:1]):
        chunk = (chunk[0], *load.frame_shape)
    shape = load.shape if not load.is_single else (1, *load.shape)
    cut = tuple(min(n, length) for n, length in zip(chunk, shape, strict=True))
    return cut[1:] if load.is_single else cut


def unit_of(attribute: Attribute, catalogue: Catalogue) -> str | None:
    """Return the protocol's unit, or else what the datasets state; None where they disagree.

    Of a stack the first file's is asked, for there may be very many.
    """
    if not attribute.is_number or attribute.unit is not None:
        return attribute.unit
    try:
        return stated_unit(catalogue, attribute.name, of_first=attribute.kind == "stack")
    except LayoutError:
        return None
