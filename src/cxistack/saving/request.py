"""What a user says of a save, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..transforms.base import Transform

__all__ = ["Growth", "SaveMode", "WholeFrames", "whole_frames"]


SaveMode = Literal["overwrite", "append", "insert"]
Growth = Literal["rows", "frames", "static", "none"]


@dataclass(frozen=True)
class WholeFrames:
    """What a user says of the whole frames into which the pixels of a region go back.

    Attributes
    ----------
    transform : Transform
        What made the region of whole frames.
    frame_shape : tuple of int, optional
        Shape of whole frames; that of the frames that are there when None.
    fill_value : scalar, optional
        What is outside of the region where there is nothing yet. When None: 0 for integers and
        intensities, NaN for other floats. A mask is bad there in any case.
    """

    transform: Transform
    frame_shape: tuple[int, int] | None = None
    fill_value: Any = None


def whole_frames(
    transform: Transform | None, frame_shape: tuple[int, int] | None, fill_value: Any
) -> WholeFrames | None:
    """Gather what is said of whole frames; nothing where no transform is given."""
    if transform is None:
        if frame_shape is not None or fill_value is not None:
            raise ValueError("frame_shape= and fill_value= go with transform=: give that as well")
        return None
    return WholeFrames(transform, frame_shape, fill_value)
