"""What happens to the pixels of a load: mask flags, types and views, decided before any is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..errors import CastError, LayoutError
from ..hdf5.stored import Stored
from ..kernels import Casting
from ..protocol import masks
from ..protocol.attribute import Attribute
from ..transforms.steps import Bin, FrameView, Step
from .ranges import Range

__all__ = [
    "Recipe",
    "as_stored",
    "bad_bits",
    "check_text",
    "common_dtype",
    "compared",
    "family_dtype",
    "make",
    "promoted",
]


@dataclass(frozen=True)
class Recipe:
    """How stored pixels become those of the result.

    Attributes
    ----------
    bad_bits : int or None
        Pixels are flags: good where none of these bits is set. None: they are values.
    via : numpy.dtype or None
        Type that the stored pixels are cast to before anything else.
    steps : tuple of Step
        What is done to the last two axes.
    dtype : numpy.dtype
        Type of the result.
    casting : {"checked", "unsafe"}
        Whether a cast that would change a value raises.
    ranges : tuple of Range or None
        Pixels are good where they lie in all of these. None: they are what they are.
    is_narrowing : bool
        With `ranges`: only what is good in the result already can be. The same for all parts.
    """

    bad_bits: int | None
    via: np.dtype[Any] | None
    steps: tuple[Step, ...]
    dtype: np.dtype[Any]
    casting: Casting
    ranges: tuple[Range, ...] | None = None
    is_narrowing: bool = False

    @property
    def is_one_pass(self) -> bool:
        """Whether one kernel call does it: values, and at most one view."""
        return (
            self.bad_bits is None
            and self.via is None
            and (not self.steps or (len(self.steps) == 1 and isinstance(self.steps[0], FrameView)))
        )

    def view(self, frame_shape: tuple[int, ...]) -> FrameView:
        """Return which pixels of a frame are wanted, where one pass does it."""
        if not self.steps:
            return FrameView.full((frame_shape[-2], frame_shape[-1]))
        step = self.steps[0]
        assert isinstance(step, FrameView)
        return step


def make(
    wanted: Attribute,
    path: str,
    stored: Stored,
    steps: Sequence[Step],
    dtype: DTypeLike | None,
    casting: Casting,
) -> Recipe:
    """Decide the recipe for a dataset that was found at load path `path`.

    Raises
    ------
    CastError
        The stored type has no default in the protocol's family (float to integers).
    LayoutError
        Text where numbers are expected, or flags that are no integers.
    """
    _check(wanted, stored)
    flags = bad_bits(wanted, path, stored)
    binned = any(isinstance(step, Bin) for step in steps)
    via = _pixel_dtype(wanted, stored, dtype, binned)
    result = via
    for step in steps:
        if isinstance(step, Bin):
            result = step.result_dtype(result)
    # A mask is truth before it is anything else; other pixels change their type in the last pass,
    # but for bins, which would hide a value that does not fit.
    is_apart = wanted.is_mask or binned
    return Recipe(
        bad_bits=flags,
        via=via if is_apart and flags is None and via != stored.dtype else None,
        steps=tuple(steps),
        dtype=np.dtype(dtype) if dtype is not None else result.newbyteorder("="),
        casting=casting,
    )


def as_stored(
    wanted: Attribute,
    stored: Stored,
    steps: Sequence[Step],
    dtype: DTypeLike | None = None,
    casting: Casting = "checked",
) -> Recipe:
    """Return the recipe that leaves the pixels what they are in the file, but for their place.

    Raises
    ------
    LayoutError
        Text, or complex numbers.
    ValueError
        A step mixes pixels.
    """
    _check(wanted, stored)
    _refuse_complex(wanted, stored)
    if any(isinstance(step, Bin) for step in steps):
        raise ValueError(
            f"the bits of {wanted.name!r} cannot be binned: leave out raw=True, or the bins"
        )
    result = np.dtype(dtype) if dtype is not None else stored.dtype.newbyteorder("=")
    return Recipe(None, None, tuple(steps), result, casting)


def compared(wanted: Attribute, stored: Stored, steps: Sequence[Step], casting: Casting) -> Recipe:
    """Return the recipe that makes a mask of pixels as they are stored: good where in all ranges.

    The ranges are not said yet.

    Raises
    ------
    LayoutError
        Text, or complex numbers.
    """
    _check(wanted, stored)
    _refuse_complex(wanted, stored)
    return Recipe(None, None, tuple(steps), np.dtype(np.bool_), casting, ranges=())


def _check(wanted: Attribute, stored: Stored) -> None:
    if stored.is_text or wanted.is_text:
        raise LayoutError(
            f"{stored.place} holds {'text' if stored.is_text else stored.dtype}, and "
            f"{wanted.name!r} is of type {wanted.datatype} in the protocol"
        )


def _refuse_complex(wanted: Attribute, stored: Stored, hint: str = "") -> None:
    if stored.dtype.kind == "c":
        raise LayoutError(f"{stored.place} holds complex numbers; {wanted.name!r} is real{hint}")


def check_text(wanted: Attribute, stored: Sequence[Stored]) -> None:
    """Raise :class:`LayoutError` where something else than text is stored."""
    for one in stored:
        if not one.is_text:
            raise LayoutError(
                f"{one.place} holds {one.dtype}, and {wanted.name!r} is of type str in the protocol"
            )


def _pixel_dtype(
    wanted: Attribute, stored: Stored, dtype: DTypeLike | None, binned: bool
) -> np.dtype[Any]:
    """Return the type that each pixel must fit, before any bins."""
    if dtype is None or wanted.is_mask:
        return family_dtype(wanted, stored)
    if binned and np.dtype(dtype).kind == "u" and stored.dtype.kind == "i":
        return np.dtype(f"u{stored.dtype.itemsize}")
    return stored.dtype


def family_dtype(wanted: Attribute, stored: Stored) -> np.dtype[Any]:
    """Return the type that the protocol gives the dataset's values."""
    _refuse_complex(wanted, stored, f", unless you say dtype={stored.dtype.name!r}")
    try:
        return wanted.dtype_of(stored.dtype)
    except CastError as error:
        raise CastError(f"{stored.place}: {error}") from error


def bad_bits(wanted: Attribute, path: str, stored: Stored) -> int | None:
    """Return the bits that mark a bad pixel, or None where the pixels are truth values."""
    convention = wanted.at(path).convention
    if convention is None or masks.is_truth(convention, stored.dtype):
        return None
    if stored.dtype.kind not in "iub":
        raise LayoutError(
            f"{stored.place} is of type {stored.dtype}; a mask of convention {convention!r} is a "
            "bit field of integers"
        )
    return masks.bad_bits(convention, wanted.flags)


def promoted(wanted: Attribute, stored: Sequence[Stored]) -> np.dtype[Any] | None:
    """Return the type to which NumPy promotes integers of several types.

    None where the attribute's family says what comes back: all are of one type, or become floats.

    Raises
    ------
    CastError
        No integer type holds the values of all; names two of the datasets.
    """
    types = {one.dtype.newbyteorder("="): one for one in stored}
    if len(types) < 2 or wanted.datatype not in ("int", "uint", "number"):
        return None
    if any(dtype.kind not in "iu" for dtype in types):
        return None
    together = np.result_type(*types)
    if together.kind not in "iu":
        one, other = list(types.values())[:2]
        raise CastError(
            f"{one.place} is {one.dtype} and {other.place} is {other.dtype}, and no integer type "
            "holds the values of both: load the files apart"
        )
    return together


def common_dtype(recipes: Sequence[Recipe], stored: Sequence[Stored]) -> np.dtype[Any]:
    """Return the one type that holds the values of all parts without changing any.

    Raises
    ------
    CastError
        There is none; names two of the datasets.
    """
    common = recipes[0].dtype
    for recipe, other in zip(recipes[1:], stored[1:], strict=True):
        if recipe.dtype == common:
            continue  # also of a byte order that is not the machine's, which NumPy would turn
        together = np.result_type(common, recipe.dtype)
        if together.kind != common.kind and {together.kind, common.kind} != {"i", "u"}:
            raise CastError(
                f"{stored[0].place} gives {common} and {other.place} gives {recipe.dtype}, and no "
                f"type holds both exactly: say dtype={together.name!r}"
            )
        common = together
    return common
