"""Which pixels of whole frames a save is of, and what the others of new frames are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from ..catalogue.catalogue import Catalogue
from ..errors import CastError, LayoutError
from ..protocol.attribute import Attribute
from ..transforms.fold import fold
from ..transforms.steps import Bin, FrameView, Pick
from .request import SaveRequest
from .target import dataset_there

__all__ = ["Region", "region_of"]


@dataclass(frozen=True)
class Region:
    """Which pixels of whole frames are saved, and what the others of new frames are.

    Attributes
    ----------
    step : FrameView, Pick or None
        Where the pixels belong; None for all of a frame.
    frame_shape : tuple of int
        Shape of whole frames.
    fill : numpy scalar
        What is outside of the region where there is nothing yet, of the type of what is saved.
    """

    step: FrameView | Pick | None
    frame_shape: tuple[int, int]
    fill: Any

    def of(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Return the region of whole frames."""
        return frames if self.step is None else self.step.apply(frames)

    def paint(self, frames: NDArray[Any], values: NDArray[Any]) -> None:
        """Put values into the region of whole frames."""
        match self.step:
            case None:
                frames[...] = values
            case FrameView() as view:
                view.of(frames)[...] = values
            case pick:
                frames[..., pick.ss_idxs, pick.fs_idxs] = values

    def whole(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return whole new frames."""
        frames = np.full((*values.shape[:-2], *self.frame_shape), self.fill, values.dtype)
        self.paint(frames, values)
        return frames


def region_of(
    catalogue: Catalogue, wanted: Attribute, array: NDArray[Any], request: SaveRequest
) -> Region | None:
    """Return where the pixels of an array go; None where it has all pixels of its frames.

    Raises
    ------
    CXIError, NotImplementedError, ValueError
        The pixels cannot go back into whole frames.
    """
    transform = request.transform
    if transform is None:
        return None
    shape = request.frame_shape or _frame_shape(catalogue, wanted)
    steps = fold(transform, shape)
    if any(isinstance(step, Bin) for step in steps):
        raise NotImplementedError(
            f"{wanted.name!r} cannot go back into whole frames: {transform!r} bins, and the pixels "
            "of a bin are lost; save it as it is, without the transform"
        )
    if not len(array) and (request.mode == "overwrite" or wanted.kind == "frame"):
        _refuse_to_empty(catalogue, wanted, array.ndim)
    step = steps[0] if steps else None
    assert not isinstance(step, Bin)
    region = shape if step is None else tuple(step.shape)
    if array.shape[-2:] != region:
        raise LayoutError(
            f"{wanted.name!r} has frames of shape {array.shape[-2:]}, and {transform!r} makes "
            f"frames of shape {region} of whole ones of shape {shape}"
        )
    return Region(step, shape, _fill(wanted, array.dtype, request.fill_value))


def _refuse_to_empty(catalogue: Catalogue, wanted: Attribute, ndim: int) -> None:
    """Refuse to put no frames in the place of a single one, whose other pixels would be lost."""
    stored = dataset_there(catalogue, wanted.name)
    if stored is not None and stored.ndim < ndim:
        raise LayoutError(
            f"{stored.place} has shape {stored.shape}, one frame, and no frames of "
            f"{wanted.name!r} are to take its place: save at least one"
        )


def _frame_shape(catalogue: Catalogue, wanted: Attribute) -> tuple[int, int]:
    stored = dataset_there(catalogue, wanted.name)
    if stored is None or stored.ndim < 2:
        raise ValueError(
            f"{catalogue.files.names[0]} has no frames of {wanted.name!r} yet that show the shape "
            "of whole frames: give frame_shape="
        )
    slow, fast = stored.shape[-2:]
    return slow, fast


def _fill(wanted: Attribute, dtype: np.dtype[Any], value: Any) -> Any:
    """Return what new pixels outside of a region are, in the type of what is saved."""
    if wanted.is_mask:
        return dtype.type(0)  # bad: nobody has looked at these pixels
    if value is None:
        value = np.nan if dtype.kind in "fc" and not wanted.sums_bins else 0
    if dtype.kind not in "biuf":
        return dtype.type(value)
    try:
        return kernels.cast(np.asarray(value), dtype)[()]
    except (CastError, TypeError) as error:
        raise CastError(
            f"fill_value={value!r} does not fit {wanted.name!r} of {dtype}: {error}"
        ) from error
