"""How a load will be done, told to people: what is read of which dataset, by which way, and why."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ..catalogue.index import FrameIndex, Part
from ..hdf5.remote.urls import is_url
from ..hdf5.stored import Stored
from ..markup import notebook, preformatted
from ..transforms.steps import Axis, Bin, FrameView
from . import limit_masks
from .limit_masks import Check
from .load import Load
from .recipe import Recipe
from .survey import PartSurvey, survey

__all__ = ["Explanation", "explanation", "masked_explanation"]

_MOST_SHOWN = 20  # sources of one dataset
_LARGE = 1 << 20  # bytes of a chunk that several threads would share
_FEWEST_FOLDED = 4  # datasets alike that are told in one line


class Explanation(str):
    """How a load will be done: a text, which a notebook shows line by line."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        head, _, lines = self.partition("\n")
        return notebook(head, preformatted(lines) if lines else "")


def explanation(load: Load, numbers: NDArray[np.int64] | None = None) -> str:
    """Return how frames, or all, will be loaded; no pixel is read.

    The scalars that a mask's limits compare with are read.
    """
    if numbers is None:
        numbers = np.arange(load.count)
    shape, attribute = load.shape_of(len(numbers)), load.attribute
    head = f"{load.attr}: {shape} {load.dtype}"
    if not load.is_single:
        size = np.prod(shape, dtype=np.int64) * load.dtype.itemsize
        head = f"{load.attr}: {len(numbers)} of {load.count} frames, {shape} {load.dtype}, "
        head += f"{size:,} bytes"
    if load.request.raw:
        head += ", as stored"
    lines = [head]
    if load.files.swmr:
        lines.append("  as an SWMR reader, as it was at the last refresh()")
    if not load.request.raw and attribute.flags is not None:
        lines.append(f"  bad by the protocol's flags: {', '.join(attribute.flags) or 'none'}")
    if surveys := _look(load, numbers):
        units = [_unit_changes(load, number) for number in range(len(load.conversions))]
        lines += _parts(load.index, load.recipes, surveys, units, is_single=load.is_single)
    for layer in load.layers:
        lines.append("  and good by another mask:")
        lines += _parts(layer.index, layer.recipes, _look(layer, numbers))
    for check in load.checks:
        lines.append(f"  {check.attr} as stored, for the limits of {load.attr}:")
        seen = limit_masks.look(load.files, check, numbers)
        lines += _parts(check.index, check.recipes, seen, _conditions(check, seen))
    if not load.request.raw:
        counting = {limit for check in load.checks for limit in check.limits}
        lines += [
            f"  {limit} does not count: no file has what it compares"
            for limit in attribute.limits
            if limit not in counting
        ]
    return "\n".join([*lines, *_kept(load)])


def masked_explanation(
    load: Load, mask: Load, numbers: NDArray[np.int64] | None, value: object
) -> str:
    """Return how the mask will be loaded by which pixels become another value."""
    told = explanation(mask, numbers).replace("\n", "\n  ")
    told = f"  then {value} where a pixel is bad by\n  {told}"
    if all(np.can_cast(part.stored.dtype, load.dtype) for part in load.index.parts):
        return told
    return (
        f"{told}\n  where a bad pixel does not fit {load.dtype}, frames are read as stored instead"
    )


def _kept(load: Load) -> list[str]:
    """Tell what is kept of earlier reads of the same load."""
    few, cache = load.few, load.cache
    if few is None or not few.ways:
        return []
    told = f"  kept: where {few.ways} of {len(load.index.parts)} datasets lie, {few.nbytes:,} bytes"
    if cache is not None and len(cache):
        told += f"; {len(cache)} decoded chunks of the store, {cache.held:,} bytes"
    return [told]


def _look(load: Load, numbers: NDArray[np.int64]) -> list[PartSurvey]:
    """Tell what will be read of each part, and by which way."""
    if load.is_text:
        return [PartSurvey(part.count, "it is text") for part in load.index.parts]
    return survey(load.reading(numbers), numbers) if load.recipes else []


def _conditions(check: Check, surveys: Sequence[PartSurvey]) -> list[list[str]]:
    """Tell of each part where its pixels are good, and which limits do not count."""
    wanted = [k for k, seen in enumerate(surveys) if seen.frames]
    rules = limit_masks.conditions(check, wanted)
    told = []
    for k in range(len(surveys)):
        count, idle = rules.get(k, ([], []))
        good = " and ".join(
            f"{limit}" + (f" = {bound}" if isinstance(limit.bound, str) else "")
            for limit, bound in count
        )
        told.append([*([f"good where {good}"] if good else []), *idle])
    return told


def _parts(
    index: FrameIndex,
    recipes: Sequence[Recipe],
    surveys: Sequence[PartSurvey],
    more: Sequence[Sequence[str]] = (),
    *,
    is_single: bool = False,
) -> list[str]:
    lines: list[str] = []
    wanted = [number for number in range(len(index.parts)) if surveys[number].frames]
    told = {}
    for number in wanted:
        then = _passes(recipes[number], index.parts[number].stored.dtype) if recipes else []
        also = list(more[number]) if more else []
        is_compared = bool(recipes) and recipes[number].ranges is not None
        told[number] = [*also, *then] if is_compared else [*then, *also]
    for _, alike in groupby(wanted, lambda n: _likeness(index.parts[n], surveys[n], told[n])):
        numbers = list(alike)
        shown = numbers if len(numbers) < _FEWEST_FOLDED else numbers[:1]
        for number in shown:
            lines += _part(index, number, surveys[number], told[number], is_single)
        if folded := numbers[len(shown) :]:
            lines += _more_alike(index, folded, surveys)
    idle = sum(not seen.frames for seen in surveys)
    if idle:
        lines.append(f"  {idle} datasets of which no frame is wanted: not read")
    return lines


def _part(
    index: FrameIndex, number: int, seen: PartSurvey, told: Sequence[str], is_single: bool
) -> list[str]:
    part = index.parts[number]
    first, last = index.offsets[number], index.offsets[number + 1] - 1
    frames = "" if is_single else f"frames {first} to {last}: "
    lines = [f"  {frames}{_described(part.stored)}"]
    lines += [f"    by {hop}" for hop in part.stored.place.hops]
    if part.is_static and not is_single:
        lines.append(f"    one frame, which stands for all {part.count}")
    lines += [f"    {text}" for text in _way(seen, part.stored)]
    return [*lines, *(f"    then {text}" for text in told)]


def _likeness(part: Part, seen: PartSurvey, told: Sequence[str]) -> tuple[object, ...]:
    """Return what is equal of parts that differ in their file, their frames and their bytes."""
    stored = part.stored
    kind = (stored.dtype, stored.shape[part.has_frame_axis :], stored.storage, stored.filters)
    ways = tuple(re.sub(r"[\d,]+ ", "", text) for text in _way(seen, stored)[:1])
    sources = tuple((one.dtype, why) for one, why in seen.sources[:_MOST_SHOWN])
    hops = len(stored.place.hops)
    return (*kind, part.has_frame_axis, ways, sources, seen.detour, hops, tuple(told))


def _more_alike(
    index: FrameIndex, numbers: Sequence[int], surveys: Sequence[PartSurvey]
) -> list[str]:
    """Tell of parts that are like the one before in one line, and what they take together."""
    first, last = index.offsets[numbers[0]], index.offsets[numbers[-1] + 1] - 1
    seen = [surveys[number] for number in numbers]
    place = index.parts[numbers[-1]].stored.place
    lines = [f"  frames {first} to {last}: {len(numbers)} datasets more like it, to {place}"]
    if all(one.obstacle is None for one in seen):
        read, stored = sum(one.bytes_read for one in seen), sum(one.bytes_stored for one in seen)
        lines.append(f"    together {read:,} of {stored:,} stored bytes")
    return lines


def _described(stored: Stored) -> str:
    told = f"{stored.place}, {stored.dtype} {stored.shape}, {stored.storage}"
    if stored.assembly is not None:
        return told
    return f"{told}, {'+'.join(stored.filters) or 'no filter'}"


def _way(seen: PartSurvey, stored: Stored) -> list[str]:
    if seen.obstacle is not None:
        columns = stored.assembly if stored.storage == "columns" else None
        made = _made_of([(one.stored, None) for one in columns.pieces]) if columns else []
        slow = "; from its server, one request after another" if _is_away(stored) else ""
        return [*made, f"read by h5py: {seen.obstacle}{slow}"]
    if seen.sources:
        return [*_made_of(seen.sources), *_beside(seen, seen.sources[0][0])]
    return _beside(seen, stored)


def _made_of(sources: Sequence[tuple[Stored, str | None]]) -> list[str]:
    """Tell the first datasets that one is put together of, and all that are read through h5py."""
    told = [f"put together of {len(sources)} datasets:"]
    hops: tuple[str, ...] = ()
    for number, (stored, obstacle) in enumerate(sources):
        if number >= _MOST_SHOWN and obstacle is None:
            continue
        told.append(f"  {_described(stored)}")
        if stored.place.hops != hops:
            told += [f"    by {hop}" for hop in stored.place.hops]
        hops = stored.place.hops
        if obstacle is not None:
            told.append(f"    read by h5py: {obstacle}")
    left = len(sources) - len([one for one in told[1:] if one[2] != " "])
    if left:
        told.append(f"  and {left} more")
    return told


def _beside(seen: PartSurvey, stored: Stored) -> list[str]:
    if all(obstacle is not None for _, obstacle in seen.sources) and seen.sources:
        return []
    decoder = f", decoded by our {'+'.join(stored.filters)}" if stored.filters else ""
    what = "chunks" if stored.storage == "chunked" else "pieces"
    # Of bitshuffled chunks the head is read that the wanted rows need, which only reading tells.
    most = "at most " if "bitshuffle" in stored.filters else ""
    way = "by requests for ranges, many at a time" if _is_away(stored) else "beside libhdf5"
    told = [
        f"read {way}: {seen.chunks:,} of {seen.chunks_stored:,} {what}, "
        + (
            f"{most}{seen.bytes_read:,} of {seen.bytes_stored:,} stored bytes{decoder}"
            if seen.is_listed
            else f"each found by HDF5, for so few take less time than a list of all{decoder}"
        )
    ]
    chunk_bytes = math.prod(stored.chunks or ()) * stored.dtype.itemsize
    if stored.filters and stored.filters != ("bitshuffle",) and chunk_bytes >= _LARGE:
        told.append(f"one thread for a chunk: {'+'.join(stored.filters)} cannot be split")
    if seen.detour is not None:
        told.append(f"block by block: {seen.detour}")
    elif not seen.is_one_pass:
        told.append("block by block: the next steps take more than one pass")
    return told


def _is_away(stored: Stored) -> bool:
    """Tell whether a dataset is in a file on a server."""
    return is_url(stored.place.filename)


def _unit_changes(load: Load, number: int) -> list[str]:
    conversion, recipe = load.conversions[number], load.recipes[number]
    told = [str(conversion)] if conversion is not None else []
    if load.dtype != recipe.dtype:
        told.append(f"cast to {load.dtype} ({recipe.casting})")
    return told


def _passes(recipe: Recipe, dtype: np.dtype[np.generic]) -> list[str]:
    told = []
    if recipe.bad_bits is not None:
        told.append(f"good where no bit of {recipe.bad_bits:#x} is set")
    if recipe.via is not None:
        told.append(f"cast to {recipe.via} ({recipe.casting})")
    for step in recipe.steps:
        if isinstance(step, FrameView):
            told.append(f"take frame[{_index(step.ss)}, {_index(step.fs)}]")
        elif isinstance(step, Bin):
            told.append(f"{step.mode} of bins of {step.n}")
        else:
            told.append(f"pixels picked one by one, of shape {tuple(step.shape)}")
    if recipe.dtype != dtype and recipe.bad_bits is None and recipe.ranges is None:
        told.append(f"cast to {recipe.dtype} ({recipe.casting})")
    return told


def _index(axis: Axis) -> str:
    """Write an axis as NumPy would index it."""
    taken = axis.slice
    start = "" if not taken.start else taken.start
    stop = "" if taken.stop is None else taken.stop
    return f"{start}:{stop}" if axis.step == 1 else f"{start}:{stop}:{axis.step}"
