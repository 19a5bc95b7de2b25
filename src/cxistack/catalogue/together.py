"""What goes with the frames of `data`, and of which shape it is then.

A mask is of the pixels of `data`, a whitefield is one frame of it, and translations have a row for
each. Nothing but shapes and counts says so: what has others is of another detector, is turned, or
belongs to other frames, and would be taken for what it is not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import CXIError
from ..protocol.attribute import Attribute, Trait
from .catalogue import Catalogue
from .index import own_frames

__all__ = ["DataFrames", "data_frames", "data_of", "misfit"]


@dataclass(frozen=True)
class DataFrames:
    """The frames of `data` in one file, or of a run.

    Attributes
    ----------
    count : int or None
        How many; None where it does not matter, as those of other files count.
    shape : tuple of int
        Shape of one.
    """

    count: int | None
    shape: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> DataFrames:
        """Return the frames of a dataset; one of two axes is one frame."""
        return cls(1, shape) if len(shape) == 2 else cls(shape[0], shape[1:])

    def __str__(self) -> str:
        if self.count is None:
            return f"frames of shape {self.shape}"
        return f"{self.count} frames of shape {self.shape}"


def data_of(catalogue: Catalogue) -> Attribute | None:
    """Return the protocol's `data`, if it has frames that others go with."""
    protocol = catalogue.protocol
    return next((one for one in map(protocol.attribute, protocol) if one.is_data), None)


def data_frames(catalogue: Catalogue, number: int | None = None) -> DataFrames | None:
    """Return the frames of `data` in a file, or in the whole run; None where none can be known."""
    if not catalogue.has_data():
        return None
    try:
        if number is None:
            index = catalogue.index("data")
            return DataFrames(index.total, index.frame_shape)
        found = catalogue.found("data").get(number)
        if found is None or found.error is not None:
            whole = data_frames(catalogue)
            return None if whole is None else replace(whole, count=None)
        parts = own_frames(catalogue.protocol.attribute("data"), found)
    except (CXIError, OSError):  # told of `data` itself
        return None
    shapes = {part.frame_shape for part in parts}
    return DataFrames(sum(part.count for part in parts), shapes.pop()) if len(shapes) == 1 else None


def misfit(wanted: Attribute, shape: tuple[int, ...], data: DataFrames) -> str | None:
    """Return what is wrong with an array of `shape` that is to go with `data`; None: it fits."""
    frame, grid = data.shape, data.shape[-2:]
    of_each = (data.count, *frame)
    fits: list[tuple[object, ...]]
    match wanted.kind:
        case _ if wanted.is_data or Trait.OWN_GRID in wanted.traits:
            return None
        case "stack":
            fits = [grid, frame, of_each]
            is_right = shape in fits or (data.count is None and shape[1:] == frame)
        case "frame" if Trait.COUNTS in wanted.traits:
            fits = [grid, frame]
            is_right = shape in fits
        case "frame":
            fits = [(..., *grid)]
            is_right = shape[-2:] == grid
        case "sequence" if wanted.has_a_frame_each(len(shape)):
            fits = [of_each[:1] + shape[1:]]
            is_right = data.count is None or shape[:1] == of_each[:1]
        case _:
            return None
    if is_right:
        return None
    expected = " or ".join(dict.fromkeys(map(_shown, fits)))
    return (
        f"{wanted.name!r} of shape {shape} does not go with 'data', which has {data}: it must be "
        f"of shape {expected}"
    )


def _shown(shape: tuple[object, ...]) -> str:
    words = ["..." if n is ... else "frames" if n is None else str(n) for n in shape]
    return f"({', '.join(words)}{',' * (len(words) == 1)})"
