"""What a store tells people: the table of what is there, differences, how a load will be done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..catalogue.catalogue import Catalogue
from ..catalogue.index import FrameIndex
from ..hdf5.stored import Stored
from ..protocol.limits import Limit
from ..transforms.steps import Bin, FrameView
from . import limit_masks
from .load import Check, Load
from .read import _numbers, _reader, _ways
from .recipe import Recipe
from .survey import PartSurvey, survey

__all__ = ["explanation", "look", "look_at_limits"]


def look(catalogue: Catalogue, load: Load) -> list[PartSurvey]:
    """Tell what a prepared load will read of each part, and by which way; reads no pixel."""
    if load.is_text:
        return [PartSurvey(part.count, "it is text") for part in load.index.parts]
    if not load.recipes:
        return []
    numbers, ways = _ways(catalogue, load)
    return survey(load.index, load.recipes, ways, numbers)


def look_at_limits(
    catalogue: Catalogue, load: Load
) -> Iterator[tuple[Check, list[PartSurvey], list[list[str]]]]:
    """Tell of each stack that a mask's limits are about what is read of it, and part by part what.

    The scalars that pixels are compared with are read; no pixel is.
    """
    read = _reader(catalogue)
    for check in load.checks:
        surveys = limit_masks.look(catalogue, check, _numbers(load))
        told = []
        wanted = [k for k, seen in enumerate(surveys) if seen.frames]
        rules = limit_masks.conditions(catalogue, check, wanted, read)
        for k in range(len(surveys)):
            count, idle = rules.get(k, ([], []))
            good = " and ".join(
                f"{limit}" + (f" = {bound}" if isinstance(limit.bound, str) else "")
                for limit, bound in count
            )
            told.append([*([f"good where {good}"] if good else []), *idle])
        yield check, surveys, told


_MOST_SHOWN = 20  # sources of one dataset


def explanation(catalogue: Catalogue, load: Load) -> str:
    """Return how a prepared load will be done, for people to read."""
    surveys = look(catalogue, load)
    if load.squeeze:
        head = f"{load.attr}: {load.shape} {load.dtype}"
    else:
        head = f"{load.attr}: {load.count} of {load.index.total} frames, {load.shape} "
        head += f"{load.dtype}, {np.prod(load.shape, dtype=np.int64) * load.dtype.itemsize:,} bytes"
    lines = [f"{head}, as stored" if load.is_raw else head]
    if not load.is_raw and (flags := catalogue.protocol.flags.get(load.attr)) is not None:
        lines.append(f"  bad by the protocol's flags: {', '.join(flags) or 'none'}")
    if surveys:
        units = [_told_of_units(load, number) for number in range(len(load.conversions))]
        lines += _parts(load.index, load.recipes, surveys, units, squeeze=load.squeeze)
    if not load.is_raw and (limits := catalogue.protocol.get_limits(load.attr)):
        lines += _limits(catalogue, load, limits)
    return "\n".join(lines)


def _limits(catalogue: Catalogue, load: Load, limits: Sequence[Limit]) -> list[str]:
    lines = []
    for check, surveys, told in look_at_limits(catalogue, load):
        lines.append(f"  {check.attr} as stored, for the limits of {load.attr}:")
        lines += _parts(check.index, check.recipes, surveys, told)
    counting = catalogue.limits(load.attr)
    lines += [
        f"  {limit} does not count: no file has what it compares"
        for limit in limits
        if limit not in counting
    ]
    return lines


def _parts(
    index: FrameIndex,
    recipes: Sequence[Recipe],
    surveys: Sequence[PartSurvey],
    more: Sequence[Sequence[str]] = (),
    *,
    squeeze: bool = False,
) -> list[str]:
    lines = []
    for number, part in enumerate(index.parts):
        if not surveys[number].frames:
            continue
        stored = part.stored
        first, last = index.offsets[number], index.offsets[number + 1] - 1
        frames = "" if squeeze else f"frames {first} to {last}: "
        lines.append(f"  {frames}{_described(stored)}")
        lines += [f"    by {hop}" for hop in stored.place.hops]
        if not part.has_frame_axis and not squeeze:
            lines.append(f"    one frame, which stands for all {part.count}")
        lines += [f"    {text}" for text in _way(surveys[number], stored)]
        told = _told(recipes[number], stored.dtype) if recipes else []
        also = more[number] if more else []
        is_compared = bool(recipes) and recipes[number].ranges is not None
        told = [*also, *told] if is_compared else [*told, *also]
        lines += [f"    then {text}" for text in told]
    idle = sum(not seen.frames for seen in surveys)
    if idle:
        lines.append(f"  {idle} datasets of which no frame is wanted: not read")
    return lines


def _described(stored: Stored) -> str:
    told = f"{stored.place}, {stored.dtype} {stored.shape}, {stored.storage}"
    if stored.assembly is not None:
        return told
    return f"{told}, {'+'.join(stored.filters) or 'no filter'}"


def _way(seen: PartSurvey, stored: Stored) -> list[str]:
    if seen.obstacle is not None:
        return [f"read by h5py: {seen.obstacle}"]
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
    told = [
        f"read beside libhdf5: {seen.chunks:,} of {seen.chunks_stored:,} {what}, "
        + (
            f"{most}{seen.bytes_read:,} of {seen.bytes_stored:,} stored bytes{decoder}"
            if seen.is_listed
            else f"each found by HDF5, for so few take less time than a list of all{decoder}"
        )
    ]
    if seen.detour is not None:
        told.append(f"block by block: {seen.detour}")
    elif not seen.is_one_pass:
        told.append("block by block: the next steps take more than one pass")
    return told


def _told_of_units(load: Load, number: int) -> list[str]:
    conversion, recipe = load.conversions[number], load.recipes[number]
    told = [str(conversion)] if conversion is not None else []
    if load.dtype != recipe.dtype:
        told.append(f"cast to {load.dtype} ({recipe.casting})")
    return told


def _told(recipe: Recipe, dtype: np.dtype[np.generic]) -> list[str]:
    told = []
    if recipe.bad_bits is not None:
        told.append(f"good where no bit of {recipe.bad_bits:#x} is set")
    if recipe.via is not None:
        told.append(f"cast to {recipe.via} ({recipe.casting})")
    for step in recipe.steps:
        if isinstance(step, FrameView):
            ss, fs = step.ss, step.fs
            told.append(
                f"view ss {ss.start}+{ss.count}x{ss.step}, fs {fs.start}+{fs.count}x{fs.step}"
            )
        elif isinstance(step, Bin):
            told.append(f"{step.mode} of bins of {step.n}")
        else:
            told.append(f"pixels picked one by one, of shape {tuple(step.shape)}")
    if recipe.dtype != dtype and recipe.bad_bits is None and recipe.ranges is None:
        told.append(f"cast to {recipe.dtype} ({recipe.casting})")
    return told
