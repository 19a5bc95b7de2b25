"""From a user's words to a prepared load: what is read of which part, and how. Reads no pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..catalogue.catalogue import Catalogue, conversion_of
from ..catalogue.index import FrameIndex, Part
from ..catalogue.locate import Found
from ..errors import LayoutError
from ..hdf5.files import Files
from ..hdf5.links import Place
from ..hdf5.stored import Stored
from ..protocol.attribute import Attribute
from ..protocol.limits import LARGEST, Limit
from ..protocol.units import UnitConversion
from ..transforms.base import Transform
from ..transforms.fold import fold, view_of_indices
from ..transforms.steps import Bin, FrameView, Step
from . import recipe
from .limit_masks import Check
from .load import Load
from .recipe import Recipe
from .request import LoadRequest

__all__ = ["prepare", "prepare_single", "prepare_singles", "prepare_stored", "viewed"]


def prepare(catalogue: Catalogue, request: LoadRequest) -> Load:
    """Decide a load.

    Raises
    ------
    AttributeMissingError, LayoutError, LinkError, StorageError
        The attribute is not there or does not fit; see :class:`Catalogue`.
    FrameIndexError
        `ss_idxs` or `fs_idxs` are out of bounds.
    CastError
        The stored type has no default in the protocol's family, and no `dtype` is given.
    ValueError
        `source` is given for what is over all files.
    """
    wanted = request.attribute
    attr = wanted.name
    limits = () if request.raw else catalogue.limits(attr)
    is_made = bool(limits) and not catalogue.found(attr)
    if is_made:
        catalogue.refuse_unused_mask(attr)
    found = {} if is_made else catalogue.usable(attr)
    is_single = wanted.kind == "scalar" and request.source is not None
    if is_single or not catalogue.is_indexed(attr):
        one = catalogue.single(attr, request.source)
        return _single(catalogue.files, request, one)
    if request.source is not None:
        raise ValueError(
            f"source= picks the file of a scalar or a frame; {attr!r} is over all files: pick its "
            "frames with idxs="
        )
    index = catalogue.index(limits[0].attr if is_made else attr)
    load = _prepared(catalogue.files, request, found, index)
    if found and wanted.is_mask:
        plain = replace(request, dtype=None)
        layers = catalogue.layers(attr)
        load = replace(
            load, layers=tuple(_prepared(catalogue.files, plain, *one) for one in layers)
        )
    if not limits:
        return load
    return replace(load, checks=_checks(catalogue, request, limits, index))


def viewed(load: Load, request: LoadRequest) -> Load | None:
    """Return the load of some pixels, from that of whole frames, in little time for many files.

    None where the two differ by more than the pixels.
    """
    if load.checks or load.layers or load.conversions or not load.recipes or load.is_text:
        return None
    steps, frame_shape = _steps(request, load.index.frame_shape)
    if any(isinstance(step, Bin) for step in steps):
        return None
    kinds = {id(one): one for one in load.recipes}
    made = {key: replace(one, steps=steps) for key, one in kinds.items()}
    shape = load.index.frame_shape
    return replace(
        load,
        request=request,
        recipes=tuple(made[id(one)] for one in load.recipes),
        grid=_grid(steps, shape),
        frame_shape=frame_shape,
    )


def prepare_single(
    files: Files, wanted: Attribute, found: Found, transform: Transform | None = None
) -> Load:
    """Decide the load of a scalar, a frame or a never-indexed sequence from one file."""
    return _single(files, LoadRequest(wanted, transform=transform), found)


def prepare_singles(
    files: Files, wanted: Attribute, found: Sequence[Found], transform: Transform | None = None
) -> Load:
    """Decide one load of what several files have in one shape: (files, ...).

    To open a load for each of many files takes longer than to read it.
    """
    index = FrameIndex.of([Part(one.file, one.datasets[0], 1, False) for one in found])
    by_file = {one.file: one for one in found}
    return _prepared(files, LoadRequest(wanted, transform=transform), by_file, index)


def prepare_stored(files: Files, part: Part, view: FrameView | None) -> Load:
    """Decide the load of a dataset's rows as they are stored, whatever they mean.

    A view is of the last two axes; rows without one have no pixels.
    """
    stored = part.stored
    kind = "sequence" if view is None else "stack"
    wanted = Attribute(str(stored.place), "str" if stored.is_text else "number", kind, ())
    index = FrameIndex.of([part])
    dtype = stored.dtype.newbyteorder("=")
    shape = index.frame_shape if view is None else (*index.frame_shape[:-2], *view.shape)
    made = Recipe(None, None, () if view is None else (view,), dtype, "unsafe")
    recipes = () if stored.is_text else (made,)
    return Load(LoadRequest(wanted, casting="unsafe"), files, index, recipes, shape, shape, dtype)


def _single(files: Files, request: LoadRequest, found: Found) -> Load:
    index = FrameIndex.of([Part(found.file, found.datasets[0], 1, False)])
    return replace(_prepared(files, request, {found.file: found}, index), is_single=True)


def _prepared(
    files: Files, request: LoadRequest, found: Mapping[int, Found], index: FrameIndex
) -> Load:
    """Decide what becomes of the pixels of each part; of those of no part, limits make a mask."""
    wanted = request.attribute
    shape = frame_shape = index.frame_shape
    steps: tuple[Step, ...] = ()
    if wanted.has_pixels:
        steps, frame_shape = _steps(request, shape)
    paths = [found[part.file].path for part in index.parts] if found else []
    conversions = _conversions(wanted, paths, index, steps)
    recipes: tuple[Recipe, ...] = ()
    if not found:
        dtype = np.dtype(np.bool_ if request.dtype is None else request.dtype)
    elif wanted.is_text:
        recipe.check_text(wanted, [part.stored for part in index.parts])
        dtype = np.dtype(object)
    else:
        read_as = replace(request, dtype=np.float64) if conversions else request
        if read_as.dtype is None and not any(isinstance(step, Bin) for step in steps):
            read_as = replace(
                request, dtype=recipe.promoted(wanted, [part.stored for part in index.parts])
            )
        recipes = _recipes(read_as, paths, index, steps)
        dtype = recipes[0].dtype
        if conversions and request.dtype is not None:
            dtype = np.dtype(request.dtype)
    return Load(
        request=request,
        files=files,
        index=index,
        recipes=recipes,
        grid=_grid(steps, shape),
        frame_shape=frame_shape,
        dtype=dtype,
        conversions=conversions,
    )


def _recipes(
    request: LoadRequest, paths: Sequence[str], index: FrameIndex, steps: tuple[Step, ...]
) -> tuple[Recipe, ...]:
    """Decide the recipe of each part, one for all that are alike; all give one type."""
    stored = [part.stored for part in index.parts]
    kinds = [(path, one.dtype) for path, one in zip(paths, stored, strict=True)]
    made: dict[object, Recipe] = {}
    for kind, path, one in zip(kinds, paths, stored, strict=True):
        if kind not in made:
            made[kind] = _recipe(request, path, one, steps)
    dtype = recipe.common_dtype([made[kind] for kind in kinds], stored)
    made = {kind: replace(one, dtype=dtype) for kind, one in made.items()}
    return tuple(made[kind] for kind in kinds)


def _recipe(request: LoadRequest, path: str, stored: Stored, steps: tuple[Step, ...]) -> Recipe:
    wanted, dtype, casting = request.attribute, request.dtype, request.casting
    if request.raw:
        return recipe.as_stored(wanted, stored, steps, dtype, casting)
    return recipe.make(wanted, path, stored, steps, dtype, casting)


def _conversions(
    wanted: Attribute, paths: Sequence[str], index: FrameIndex, steps: tuple[Step, ...]
) -> tuple[UnitConversion | None, ...]:
    """Return how each part's values come in the attribute's unit; nothing where all do."""
    conversions = tuple(
        conversion_of(wanted, path, part.stored)
        for path, part in zip(paths, index.parts, strict=False)
    )
    if not any(conversions):
        return ()
    for part in index.parts:
        if part.stored.dtype.kind == "c":
            recipe.family_dtype(wanted, part.stored)  # raises: no unit is converted of complex ones
    if any(isinstance(step, Bin) for step in steps) and any(c and c.photon for c in conversions):
        raise ValueError(
            f"{wanted.name!r} comes from photon energies (or the other way round), whose bins are "
            "not those of what is stored: load it without bins"
        )
    return conversions


def _steps(
    request: LoadRequest, shape: tuple[int, ...]
) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """Return what is done to the last two axes, and the shape of the result's frames."""
    if request.transform is not None:
        steps = fold(request.transform, shape[-2:], sums=request.attribute.sums_bins)
        last = tuple(steps[-1].shape) if steps else shape[-2:]
    elif request.has_all_pixels:
        return (), shape
    else:
        steps, last = view_of_indices(request.ss_idxs, request.fs_idxs, shape[-2:])
    return steps, (*shape[:-2], *last)


def _grid(steps: tuple[Step, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a frame as steps leave it, with two axes last."""
    return (*shape[:-2], *steps[-1].shape) if steps else shape


def _checks(
    catalogue: Catalogue, request: LoadRequest, limits: Sequence[Limit], index: FrameIndex
) -> tuple[Check, ...]:
    """Decide how limits are checked for the frames of `index`, which are the mask's.

    Raises
    ------
    LayoutError
        The frames of a stack and those of the mask are not as many, or not of one shape.
    """
    steps, _ = _steps(request, index.frame_shape)
    checks = []
    for attr in dict.fromkeys(limit.attr for limit in limits):
        catalogue.usable(attr)  # raises where any of it is not
        wanted, own = catalogue.protocol.attribute(attr), catalogue.index(attr)
        names = f"{request.attribute.name!r} and {attr!r}, which its limits are about,"
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
        mine = tuple(limit for limit in limits if limit.attr == attr)
        recipes = tuple(
            recipe.compared(wanted, part.stored, steps, request.casting) for part in own.parts
        )
        names_of_bounds = [limit.bound for limit in mine if isinstance(limit.bound, str)]
        scalars = {
            name: _Scalars.of_files(catalogue, name) for name in names_of_bounds if name != LARGEST
        }
        checks.append(Check(attr, mine, own, recipes, scalars))
    return tuple(checks)


@dataclass(frozen=True)
class _Scalars:
    """A scalar in the files that have it: those of one type and shape by one load.

    Of several types each is read as itself: none may hold what all of them say.
    """

    loads: tuple[Load, ...]
    where: Mapping[int, tuple[int, int]]  # of each file: which load, and the number in it

    @classmethod
    def of_files(cls, catalogue: Catalogue, name: str) -> _Scalars:
        """Gather what the files have of a scalar."""
        wanted = catalogue.protocol.attribute(name)
        kinds: dict[object, list[Found]] = {}
        for one in catalogue.usable(name).values():
            stored = one.datasets[0]
            kinds.setdefault((stored.shape, stored.dtype), []).append(one)
        return cls(
            tuple(prepare_singles(catalogue.files, wanted, found) for found in kinds.values()),
            {
                one.file: (k, number)
                for k, found in enumerate(kinds.values())
                for number, one in enumerate(found)
            },
        )

    def of(self, files: Sequence[int]) -> list[tuple[Place, Any]]:
        """Return what each file has, or the first where it has none, and where that lies."""
        first = min(self.where)
        where = [self.where.get(file, self.where[first]) for file in files]
        values: dict[tuple[int, int], Any] = {}
        for k, load in enumerate(self.loads):
            numbers = sorted({number for which, number in where if which == k})
            if numbers:
                read = load.read(np.array(numbers, np.int64))
                values |= {(k, n): value for n, value in zip(numbers, read, strict=True)}
        return [
            (self.loads[k].index.parts[number].stored.place, values[k, number])
            for k, number in where
        ]
