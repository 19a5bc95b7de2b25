"""The frames that pictures show: loaded from a run, with their mask, and what is said of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import AttributeMissingError, CastError, CXIError, LayoutError
from ..hdf5.messages import shown
from ..protocol.protocol import CXIProtocol
from ..transforms.base import Transform
from . import picture

__all__ = [
    "Look",
    "Run",
    "frame_shown",
    "grey_line",
    "label_of",
    "run_name",
    "size_of",
    "title_of",
]


class Run(Protocol):
    """What pictures ask of a store; :class:`cxistack.CXIStore` is one."""

    protocol: CXIProtocol

    @property
    def found(self) -> list[str]:
        """Names of the attributes that are there."""

    @property
    def load_attribute(self) -> Callable[..., Any]:
        """Load an attribute."""

    @property
    def describe(self) -> Callable[..., tuple[tuple[int, ...], np.dtype[Any]]]:
        """Return the shape and dtype of an attribute."""

    def _unit(self, attr: str) -> str | None:
        """Return the unit that values come in, if anything states one."""

    def is_indexed(self, attr: str) -> bool:
        """Tell whether an attribute has a frame axis."""

    def filenames(self) -> list[str]:
        """Return the names of the files."""

    def __contains__(self, attr: object) -> bool: ...


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)


class Look(NamedTuple):
    """How frames are shown: the type that they load as, with their mask, in which colours.

    `tell` takes a sentence about what is not shown as it was asked for.
    """

    dtype: DTypeLike | None = None
    has_mask: bool = True
    contrast: picture.Contrast = picture.Contrast()
    tell: Callable[[str], None] = _warn


def frame_shown(
    run: Run, attr: str, number: int, transform: Transform | None, look: Look
) -> np.ma.MaskedArray[Any, Any]:
    """Load one frame, masked where a pixel has no value or its mask calls it bad."""
    values = _values(run, attr, number, transform, look.dtype)
    good = picture.has_value(values)
    if look.has_mask and attr != "mask" and "mask" in run:
        good &= _good(run, number, transform, values.shape, look.tell)
    return np.ma.MaskedArray(values, ~good)


def _values(
    run: Run, attr: str, number: int, transform: Transform | None, dtype: DTypeLike | None
) -> NDArray[Any]:
    """Load one frame as the first type that keeps its values: float counts must show too."""
    kind = run.protocol.get_kind(attr, "")
    if kind in ("scalar", "sequence"):
        raise LayoutError(
            f"{attr!r} is a {kind}; a picture needs a stack or a frame: see cxistack info"
        )
    if attr not in run:
        raise AttributeMissingError(
            f"{attr!r} is not there; the files have {', '.join(run.found) or 'nothing known'}"
        )
    indexed = run.is_indexed(attr)
    choices = (dtype,) if dtype is not None else (None, "int64", "float64")
    for choice in choices:
        try:
            values = run.load_attribute(
                attr,
                [number] if indexed else None,
                verbose=False,
                transform=transform,
                dtype=choice,
            )
        except CastError:
            if choice == choices[-1]:
                raise
        else:
            break
    values = np.asarray(values[0] if indexed else values)
    if 0 in values.shape:
        raise LayoutError(f"the picture would be empty: it has {size_of(values.shape)} pixels")
    return values


def _good(
    run: Run,
    number: int,
    transform: Transform | None,
    shape: tuple[int, ...],
    tell: Callable[[str], None],
) -> NDArray[np.bool_]:
    """Load a frame's mask; a mask that does not fit hides nothing, and that is said."""
    try:
        mask = run.load_attribute("mask", [number], verbose=False, transform=transform)[0]
        return np.broadcast_to(mask, shape)
    except (CXIError, ValueError) as error:
        tell(f"the mask is not used: {error}")
        return np.broadcast_to(np.True_, shape)


def label_of(run: Run, attr: str, dtype: np.dtype[Any]) -> str:
    """Return what stands beside the colours: the attribute and its unit, or that it is counted."""
    attribute = run.protocol.attribute(attr)
    if attribute.is_mask:
        return f"{attr} (1 is good)"
    unit = run._unit(attr)
    if unit is not None:
        return f"{attr} ({shown(unit)})"
    return "counts" if attribute.is_data and dtype.kind in "iu" else attr


def title_of(run: Run, attr: str, number: int, frame: NDArray[Any]) -> str:
    """Return what is shown: which frame of how many, of which run, its shape and type."""
    which = attr
    if run.is_indexed(attr):
        total = run.describe(attr, dtype=frame.dtype)[0][0]
        which += f", frame {number % total} of {total}" if total else f", frame {number}"
    return f"{run_name(run)}: {which}, {size_of(frame.shape)} {frame.dtype}"


def run_name(run: Run) -> str:
    """Return the name of a run's first file, and how many more there are."""
    names = run.filenames()
    return shown(Path(names[0]).name) + (f" and {len(names) - 1} more" if names[1:] else "")


def grey_line(bad: int) -> str:
    """Return a line of a title that says how many pixels are grey; empty where none is."""
    return f"\n{bad:,} pixels without a good value, in grey" if bad else ""


def size_of(shape: tuple[int, ...]) -> str:
    """Return a shape as people write it."""
    return " × ".join(map(str, shape))
