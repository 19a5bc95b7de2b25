"""Pixels that go back into whole frames: from a user's words to where each belongs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import kernels
from .catalogue import Catalogue
from .errors import CastError, LayoutError
from .folding import fold
from .protocol import CXIProtocol
from .transform import Transform
from .view import Bin
from .write.region import Region
from .write.writer import SaveMode

__all__ = ["WholeFrames", "region_of", "whole_frames"]

# What counts photons, or is an average of counts: no light where nothing is known.
_INTENSITIES = ("data", "whitefield", "whitefields")


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


def region_of(
    catalogue: Catalogue, attr: str, array: NDArray[Any], whole: WholeFrames, mode: SaveMode
) -> Region:
    """Return where the pixels of a region go; refuse what cannot go back."""
    protocol = catalogue.protocol
    if protocol.get_kind(attr) not in ("frame", "stack"):
        raise ValueError(f"{attr!r} is a {protocol.get_kind(attr)}: it has no pixels to put back")
    shape = whole.frame_shape or _frame_shape(catalogue, attr)
    steps = fold(whole.transform, shape)
    if any(isinstance(step, Bin) for step in steps):
        raise NotImplementedError(
            f"{attr!r} cannot go back into whole frames: {whole.transform!r} bins, and the pixels "
            "of a bin are lost; save it as it is, without the transform"
        )
    if not len(array) and (mode == "overwrite" or protocol.get_kind(attr) == "frame"):
        _refuse_nothing(catalogue, attr, array.ndim)
    step = steps[0] if steps else None
    assert not isinstance(step, Bin)
    region = shape if step is None else tuple(step.shape)
    if array.shape[-2:] != region:
        raise LayoutError(
            f"{attr!r} has frames of shape {array.shape[-2:]}, and {whole.transform!r} makes "
            f"frames of shape {region} of whole ones of shape {shape}"
        )
    return Region(step, shape, _fill(protocol, attr, array.dtype, whole.fill_value))


def _refuse_nothing(catalogue: Catalogue, attr: str, ndim: int) -> None:
    """Refuse to put no frames in the place of a single one, whose other pixels would be lost."""
    found = catalogue.found(attr).get(0)
    for stored in () if found is None else found.datasets:
        if stored.ndim < ndim:
            raise LayoutError(
                f"{stored.place} has shape {stored.shape}, one frame, and no frames of {attr!r} "
                "are to take its place: there is nothing to put back"
            )


def _frame_shape(catalogue: Catalogue, attr: str) -> tuple[int, int]:
    found = catalogue.found(attr).get(0)
    if found is None or not found.datasets or len(found.datasets[0].shape) < 2:
        raise ValueError(
            f"{catalogue.files.names[0]} has no {attr!r} yet whose frames show their whole shape: "
            "give frame_shape="
        )
    slow, fast = found.datasets[0].shape[-2:]
    return slow, fast


def _fill(protocol: CXIProtocol, attr: str, dtype: np.dtype[Any], value: Any) -> Any:
    """Return what new pixels outside of a region are, in the type of what is saved."""
    if protocol.datatypes[attr] == "bool":
        return dtype.type(0)  # bad, or False: nobody has looked at these pixels
    if value is None:
        value = np.nan if dtype.kind in "fc" and attr not in _INTENSITIES else 0
    if dtype.kind not in "biuf":
        return dtype.type(value)
    try:
        return kernels.cast(np.asarray(value), dtype)[()]
    except (CastError, TypeError) as error:
        raise CastError(
            f"fill_value={value!r} does not fit {attr!r} of {dtype}: {error}"
        ) from error
