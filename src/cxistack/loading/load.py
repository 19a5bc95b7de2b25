"""What a load is: from a user's words, checked, to what is read of which part and how. Reads none.

Doing it is `loading.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..catalogue.catalogue import Catalogue, conversion_of
from ..catalogue.frames import FrameSelection, frame_numbers
from ..catalogue.index import FrameIndex, Part
from ..catalogue.locate import Found
from ..errors import LayoutError
from ..kernels import Casting
from ..protocol.fields import INTENSITIES
from ..protocol.limits import Limit
from ..protocol.units import UnitConversion
from ..transforms.base import Transform
from ..transforms.fold import fold, view_of_indices
from ..transforms.steps import Bin, Step
from . import recipe
from .recipe import Recipe
from .request import ALL_PIXELS, Pixels

__all__ = [
    "Check",
    "Load",
    "portion",
    "prepare",
    "prepare_checks",
    "prepare_single",
    "prepare_singles",
]


@dataclass(frozen=True)
class Check:
    """The limits on the values of one stack.

    Attributes
    ----------
    attr : str
        The stack.
    limits : tuple of Limit
        What its pixels must fulfil.
    index : FrameIndex
        Where its frames lie, numbered as the mask's.
    recipes : tuple of Recipe
        How each part becomes a mask, but for the numbers that its pixels are compared with.
    """

    attr: str
    limits: tuple[Limit, ...]
    index: FrameIndex
    recipes: tuple[Recipe, ...]


def prepare_checks(
    catalogue: Catalogue,
    mask: str,
    limits: Sequence[Limit],
    index: FrameIndex,
    steps: tuple[Step, ...],
    casting: Casting,
) -> tuple[Check, ...]:
    """Decide how limits are checked for the frames of `index`, which are the mask's.

    Raises
    ------
    LayoutError
        The frames of a stack and those of the mask are not as many, or not of one shape.
    """
    checks = []
    for attr in dict.fromkeys(limit.attr for limit in limits):
        found = catalogue.usable(attr)
        own = catalogue.index(attr)
        names = f"{mask!r} and {attr!r}, which its limits are about,"
        for one in (index, own):
            if one.mismatch is not None:
                raise LayoutError(f"{names} do not go together: {one.mismatch}")
        if own.total != index.total:
            raise LayoutError(f"{names} have {index.total} and {own.total} frames")
        if own.frame_shape != index.frame_shape:
            raise LayoutError(
                f"{names} have frames of shapes {index.frame_shape} and {own.frame_shape}, in "
                f"{index.parts[0].stored.place} and {own.parts[0].stored.place}"
            )
        assert found
        checks.append(
            Check(
                attr=attr,
                limits=tuple(limit for limit in limits if limit.attr == attr),
                index=own,
                recipes=tuple(
                    recipe.compared(catalogue.protocol, attr, part.stored, steps, casting)
                    for part in own.parts
                ),
            )
        )
    return tuple(checks)


@dataclass(frozen=True)
class Load:
    """A load that has been checked and decided, and not begun.

    Attributes
    ----------
    attr : str
        What is loaded.
    index : FrameIndex
        Where its frames lie.
    recipes : tuple of Recipe
        What happens to the pixels of each part of the index.
    numbers : ndarray of int64 or None
        The frames, in the order asked for; all when None.
    count : int
        How many they are.
    squeeze : bool
        Whether the result drops the frame axis (scalars and frames).
    shape : tuple of int
        Shape of the result.
    grid : tuple of int
        Shape of the result's frames as the recipes' steps leave them, with two axes last.
    dtype : numpy.dtype
        Type of the result.
    is_raw : bool
        Whether it is a mask's values as they are stored.
    checks : tuple of Check
        What values of other stacks a mask's good pixels have. Without recipes, the mask is made of
        these alone, and `index` is that of the first.
    conversions : tuple of UnitConversion or None
        What happens to the values of each part when they are read, as float64; none where no value
        changes its unit.
    """

    attr: str
    index: FrameIndex
    recipes: tuple[Recipe, ...]
    numbers: NDArray[np.int64] | None
    count: int
    squeeze: bool
    shape: tuple[int, ...]
    grid: tuple[int, ...]
    dtype: np.dtype[Any]
    is_raw: bool = False
    checks: tuple[Check, ...] = ()
    conversions: tuple[UnitConversion | None, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether strings are loaded."""
        return self.dtype.kind == "O"

    @property
    def is_static(self) -> bool:
        """Whether one 2-D dataset stands for every frame."""
        return (
            self.attr != "data"
            and not self.squeeze
            and not self.checks
            and not any(part.has_frame_axis for part in self.index.parts)
            and len({part.stored.address for part in self.index.parts}) == 1
        )


def prepare(
    catalogue: Catalogue,
    attr: str,
    idxs: FrameSelection = None,
    *,
    ss_idxs: Any = slice(None),
    fs_idxs: Any = slice(None),
    transform: Transform | None = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "checked",
    source: int | None = None,
    raw: bool = False,
) -> Load:
    """Decide a load; reads no pixel.

    Raises
    ------
    AttributeMissingError, LayoutError, LinkError, StorageError
        The attribute is not there or does not fit; see :class:`Catalogue`.
    FrameIndexError
        `idxs`, `ss_idxs` or `fs_idxs` are out of bounds.
    CastError
        The stored type has no default in the protocol's family, and no `dtype` is given.
    """
    pixels = Pixels(ss_idxs, fs_idxs, transform, dtype, casting, raw)
    if raw and catalogue.protocol.datatypes.get(attr, "bool") != "bool":
        raise ValueError(f"raw= gives the stored bits of a mask, and {attr!r} is none")
    limits = () if raw or attr not in catalogue.protocol else catalogue.limits(attr)
    is_made = bool(limits) and not catalogue.found(attr)
    found = {} if is_made else catalogue.usable(attr)
    if not catalogue.is_indexed(attr):
        return _prepared_single(catalogue, attr, catalogue.single(attr, source), pixels)
    if source is not None:
        raise ValueError(
            f"source= picks the file of a scalar or a frame; {attr!r} is over all files: pick its "
            "frames with idxs="
        )
    index = catalogue.index(limits[0].attr if is_made else attr)
    if index.mismatch is not None and idxs is not None:
        raise LayoutError(
            f"{attr!r} cannot be indexed by frame: {index.mismatch}; it loads whole, without idxs="
        )
    # All frames are not listed before they are read: there may be very many.
    numbers = None if idxs is None else frame_numbers(idxs, index.total, repr(attr))
    return _prepared(catalogue, attr, found, index, numbers, pixels, limits, squeeze=False)


def prepare_single(
    catalogue: Catalogue, attr: str, found: Found, transform: Transform | None = None
) -> Load:
    """Decide the load of a scalar, a frame or a never-indexed sequence from one file."""
    return _prepared_single(catalogue, attr, found, replace(ALL_PIXELS, transform=transform))


def prepare_singles(
    catalogue: Catalogue, attr: str, found: Sequence[Found], transform: Transform | None = None
) -> Load:
    """Decide one load of what several files have in one shape: (files, ...).

    To open a load for each of many files takes longer than to read it.
    """
    index = FrameIndex.of([Part(one.file, one.datasets[0], 1, False) for one in found])
    by_file = {one.file: one for one in found}
    pixels = replace(ALL_PIXELS, transform=transform)
    return _prepared(catalogue, attr, by_file, index, None, pixels, squeeze=False)


def portion(load: Load, numbers: NDArray[np.int64]) -> Load:
    """Return a load of all frames as one of some of them, by their numbers in its index."""
    return replace(load, numbers=numbers, count=len(numbers), shape=(len(numbers), *load.shape[1:]))


def _prepared_single(catalogue: Catalogue, attr: str, found: Found, pixels: Pixels) -> Load:
    index = FrameIndex.of([Part(found.file, found.datasets[0], 1, False)])
    return _prepared(catalogue, attr, {found.file: found}, index, None, pixels, squeeze=True)


def _prepared(
    catalogue: Catalogue,
    attr: str,
    found: Mapping[int, Found],
    index: FrameIndex,
    numbers: NDArray[np.int64] | None,
    pixels: Pixels,
    limits: tuple[Limit, ...] = (),
    *,
    squeeze: bool,
) -> Load:
    protocol = catalogue.protocol
    shape = result_shape = index.frame_shape
    steps: tuple[Step, ...] = ()
    if protocol.get_kind(attr) in ("frame", "stack"):
        steps, result_shape = _steps(attr, shape, pixels)
    stored = [part.stored for part in index.parts]
    conversions = _conversions(catalogue, attr, found, index, steps)
    read_as = np.float64 if conversions else pixels.dtype
    if limits and not found:
        recipes: tuple[Recipe, ...] = ()
        common = np.dtype(np.bool_ if pixels.dtype is None else pixels.dtype)
    elif protocol.datatypes[attr] == "str":
        recipe.check_text(attr, stored)
        recipes = ()
        common = np.dtype(object)
    else:
        recipes = tuple(
            recipe.as_stored(protocol, attr, p.stored, steps, pixels.dtype, pixels.casting)
            if pixels.raw
            else recipe.make(
                protocol, attr, found[p.file].path, p.stored, steps, read_as, pixels.casting
            )
            for p in index.parts
        )
        common = recipe.common_dtype(recipes, stored)
        recipes = tuple(replace(one, dtype=common) for one in recipes)
    if conversions and pixels.dtype is not None:
        common = np.dtype(pixels.dtype)
    count = index.total if numbers is None else len(numbers)
    whole = result_shape if squeeze else (count, *result_shape)
    grid = (*shape[:-2], *steps[-1].shape) if steps else shape
    checks = prepare_checks(catalogue, attr, limits, index, steps, pixels.casting)
    return Load(
        attr,
        index,
        recipes,
        numbers,
        count,
        squeeze,
        whole,
        grid,
        common,
        is_raw=pixels.raw,
        checks=checks,
        conversions=conversions,
    )


def _conversions(
    catalogue: Catalogue,
    attr: str,
    found: Mapping[int, Found],
    index: FrameIndex,
    steps: tuple[Step, ...],
) -> tuple[UnitConversion | None, ...]:
    """Return how each part's values come in the attribute's unit; nothing where all do."""
    wanted = catalogue.protocol.attribute(attr)
    if not wanted.units:
        return ()
    conversions = tuple(
        conversion_of(wanted, found[part.file].path, part.stored) for part in index.parts
    )
    if not any(conversions):
        return ()
    for part in index.parts:
        if part.stored.dtype.kind == "c":
            recipe.family_dtype(catalogue.protocol, attr, part.stored)  # raises: they are not real
    if any(isinstance(step, Bin) for step in steps) and any(c and c.photon for c in conversions):
        raise ValueError(
            f"{attr!r} comes from photon energies (or the other way round), whose bins are not "
            "those of what is stored: load it without bins"
        )
    return conversions


def _steps(
    attr: str, shape: tuple[int, ...], pixels: Pixels
) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """Return the steps, and the shape of the result's frames."""
    indices = (pixels.ss_idxs, pixels.fs_idxs)
    is_whole = all(isinstance(idxs, slice) and idxs == slice(None) for idxs in indices)
    if pixels.transform is not None:
        if not is_whole:
            raise ValueError("transform= and ss_idxs=, fs_idxs= both say which pixels: give one")
        steps = fold(pixels.transform, shape[-2:], sums=attr in INTENSITIES)
        last = tuple(steps[-1].shape) if steps else shape[-2:]
        return steps, (*shape[:-2], *last)
    if is_whole:
        return (), shape
    steps, last = view_of_indices(*indices, shape[-2:])
    return steps, (*shape[:-2], *last)
