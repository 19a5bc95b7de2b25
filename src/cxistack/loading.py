"""Loading an attribute: from a user's words to an array. Checks the words, decides, calls read/."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import limiting
from .catalogue import Catalogue
from .errors import CastError, LayoutError
from .hdf5.locate import Found
from .hdf5.storage import Bytes
from .kernels import cast
from .kernels.threads import count_threads
from .limits import Limit
from .progress import progress_bar
from .read import engine, recipe
from .read.frames import FrameSelection, frame_numbers
from .read.index import FrameIndex, Part
from .read.recipe import Casting, Recipe
from .read.route import routes
from .read.survey import PartSurvey, survey
from .transform import Transform
from .units import Conversion, apply_by_row
from .view import Bin, Step, fold, view_of_indices

__all__ = [
    "Load",
    "look",
    "look_at_limits",
    "portion",
    "prepare",
    "prepare_single",
    "prepare_singles",
    "run",
    "steps_of",
]

_SUMMED = ("data", "whitefield", "whitefields")


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
    conversions : tuple of Conversion or None
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
    checks: tuple[limiting.Check, ...] = ()
    conversions: tuple[Conversion | None, ...] = ()

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
    pixels = _Pixels(ss_idxs, fs_idxs, transform, dtype, casting, raw)
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
    return _prepared_single(catalogue, attr, found, replace(_ALL_PIXELS, transform=transform))


def prepare_singles(
    catalogue: Catalogue, attr: str, found: Sequence[Found], transform: Transform | None = None
) -> Load:
    """Decide one load of what several files have in one shape: (files, ...).

    To open a load for each of many files takes longer than to read it.
    """
    index = FrameIndex.of([Part(one.file, one.datasets[0], 1, False) for one in found])
    by_file = {one.file: one for one in found}
    pixels = replace(_ALL_PIXELS, transform=transform)
    return _prepared(catalogue, attr, by_file, index, None, pixels, squeeze=False)


def portion(load: Load, numbers: NDArray[np.int64]) -> Load:
    """Return a load of all frames as one of some of them, by their numbers in its index."""
    return replace(load, numbers=numbers, count=len(numbers), shape=(len(numbers), *load.shape[1:]))


@dataclass(frozen=True)
class _Pixels:
    """What a user says of the pixels of a load."""

    ss_idxs: Any
    fs_idxs: Any
    transform: Transform | None
    dtype: DTypeLike | None
    casting: Casting
    raw: bool


_ALL_PIXELS = _Pixels(slice(None), slice(None), None, None, "checked", raw=False)


def _prepared_single(catalogue: Catalogue, attr: str, found: Found, pixels: _Pixels) -> Load:
    index = FrameIndex.of([Part(found.file, found.datasets[0], 1, False)])
    return _prepared(catalogue, attr, {found.file: found}, index, None, pixels, squeeze=True)


def _prepared(
    catalogue: Catalogue,
    attr: str,
    found: Mapping[int, Found],
    index: FrameIndex,
    numbers: NDArray[np.int64] | None,
    pixels: _Pixels,
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
    checks = limiting.prepare(catalogue, attr, limits, index, steps, pixels.casting)
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
) -> tuple[Conversion | None, ...]:
    """Return how each part's values come in the attribute's unit; nothing where all do."""
    if attr not in catalogue.protocol.units:
        return ()
    conversions = tuple(
        catalogue.conversion(attr, found[part.file].path, part.stored) for part in index.parts
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


def steps_of(attr: str, transform: Transform, shape: tuple[int, ...]) -> tuple[Step, ...]:
    """Return what `transform` does to an attribute's frames: a sum applies to intensities only.

    Of every other attribute (a mask, a phase) the bins are means.
    """
    steps = fold(transform, shape[-2:])
    if attr in _SUMMED:
        return steps
    return tuple(replace(step, mode="mean") if isinstance(step, Bin) else step for step in steps)


def _steps(
    attr: str, shape: tuple[int, ...], pixels: _Pixels
) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """Return the steps, and the shape of the result's frames."""
    indices = (pixels.ss_idxs, pixels.fs_idxs)
    is_whole = all(isinstance(idxs, slice) and idxs == slice(None) for idxs in indices)
    if pixels.transform is not None:
        if not is_whole:
            raise ValueError("transform= and ss_idxs=, fs_idxs= both say which pixels: give one")
        steps = steps_of(attr, pixels.transform, shape)
        last = tuple(steps[-1].shape) if steps else shape[-2:]
        return steps, (*shape[:-2], *last)
    if is_whole:
        return (), shape
    steps, last = view_of_indices(*indices, shape[-2:])
    return steps, (*shape[:-2], *last)


def run(
    catalogue: Catalogue,
    load: Load,
    *,
    out: NDArray[Any] | None = None,
    num_threads: int | None = None,
    verbose: bool = False,
) -> Any:
    """Do a load that was prepared, into `out` or a new array."""
    if load.is_text:
        return _text(catalogue, load, out)
    if load.is_static and out is None and load.count:
        once = replace(load, numbers=np.zeros(1, np.int64), count=1, shape=(1, *load.shape[1:]))
        return np.broadcast_to(run(catalogue, once, out=_empty(once)), load.shape)
    if load.conversions:
        return _converted(catalogue, load, out, num_threads, verbose)
    result = _empty(load) if out is None else _checked_out(out, load)
    frames = _as_frames(result, (load.count, *load.grid))
    _read(catalogue, load, frames, num_threads, verbose)
    if not np.may_share_memory(frames, result):
        result[...] = frames.reshape(result.shape)
    return result[()] if out is None and not result.ndim else result


def _converted(
    catalogue: Catalogue,
    load: Load,
    out: NDArray[Any] | None,
    num_threads: int | None,
    verbose: bool,
) -> Any:
    """Read values as they are stored, as float64, change their unit, then their type."""
    result = _empty(load) if out is None else _checked_out(out, load)
    as_stored = replace(load, conversions=(), dtype=np.dtype(np.float64))
    values = result if result.dtype == np.float64 else _empty(as_stored)
    run(catalogue, as_stored, out=values, num_threads=num_threads, verbose=verbose)
    checked = load.recipes[0].casting == "checked"
    numbers = np.arange(load.count) if load.numbers is None else load.numbers
    parts = np.searchsorted(load.index.offsets, numbers, side="right") - 1
    rows = values[None] if load.squeeze else values
    try:
        apply_by_row(rows, load.conversions, parts, checked=checked)
        if values is not result:
            casting = load.recipes[0].casting
            result[...] = cast(values, load.dtype.newbyteorder("="), casting=casting)
    except CastError as error:
        place = load.index.parts[int(parts[0])].stored.place if len(parts) else "nowhere"
        more = " and others" if len(set(parts.tolist())) > 1 else ""
        raise CastError(f"{load.attr!r} of {place}{more}: {error}", error.offence) from error
    return result[()] if out is None and not result.ndim else result


def _read(
    catalogue: Catalogue,
    load: Load,
    out: NDArray[Any],
    num_threads: int | None,
    verbose: bool,
) -> None:
    threads = count_threads(num_threads)
    is_shown = verbose and not load.squeeze and len(load.grid) >= 2
    shown = progress_bar(load.count, f"Loading {load.attr}") if is_shown else nullcontext()
    with shown as bar:
        tick: Callable[[int], object] = bar.update if bar is not None else lambda frames: None
        if not load.checks:
            _read_own(catalogue, load, out, threads, tick)
            return
        told = _told(catalogue, replace(load, checks=()), out, threads) if load.recipes else None
        limiting.run(
            catalogue, load.checks, _numbers(load), told, out, _reader(catalogue), threads, tick
        )


def _told(catalogue: Catalogue, load: Load, out: NDArray[Any], threads: int) -> NDArray[Any]:
    """Return what a mask's own dataset says: in `out`, or where one frame stands for all, that."""
    if not load.is_static or not load.count:
        _read_own(catalogue, load, out, threads, lambda frames: None)
        return out
    frame = np.empty((1, *load.grid), load.dtype.newbyteorder("="))
    once = replace(load, numbers=np.zeros(1, np.int64), count=1)
    _read_own(catalogue, once, frame, threads, lambda frames: None)
    return np.broadcast_to(frame, out.shape)


def _reader(catalogue: Catalogue) -> limiting.ReadScalars:
    """Return what reads a scalar from several files."""

    def scalars(attr: str, found: Sequence[Found]) -> Sequence[Any]:
        if len(found) > 1 and len({one.datasets[0].shape for one in found}) == 1:
            return list(run(catalogue, prepare_singles(catalogue, attr, found)))
        return [run(catalogue, prepare_single(catalogue, attr, one)) for one in found]

    return scalars


def _read_own(
    catalogue: Catalogue,
    load: Load,
    out: NDArray[Any],
    threads: int,
    tick: Callable[[int], object],
) -> None:
    numbers, ways = _ways(catalogue, load)
    engine.read_frames(catalogue.files, load.index, load.recipes, ways, numbers, out, threads, tick)


def look(catalogue: Catalogue, load: Load) -> list[PartSurvey]:
    """Tell what a prepared load will read of each part, and by which way; reads no pixel."""
    if load.is_text:
        return [PartSurvey(part.count, "it is text") for part in load.index.parts]
    if not load.recipes:
        return []
    numbers, ways = _ways(catalogue, load)
    return survey(load.index, load.recipes, ways, numbers)


def _ways(catalogue: Catalogue, load: Load) -> tuple[NDArray[np.int64], list[Bytes]]:
    numbers = _numbers(load)
    kind = catalogue.protocol.get_kind(load.attr)
    return numbers, routes(catalogue.files, load.index, numbers, kind, load.dtype)


def _numbers(load: Load) -> NDArray[np.int64]:
    return np.arange(load.count) if load.numbers is None else load.numbers


def look_at_limits(
    catalogue: Catalogue, load: Load
) -> Iterator[tuple[limiting.Check, list[PartSurvey], list[list[str]]]]:
    """Tell of each stack that a mask's limits are about what is read of it, and part by part what.

    The scalars that pixels are compared with are read; no pixel is.
    """
    read = _reader(catalogue)
    for check in load.checks:
        surveys = limiting.look(catalogue, check, _numbers(load))
        told = []
        wanted = [k for k, seen in enumerate(surveys) if seen.frames]
        rules = limiting.conditions(catalogue, check, wanted, read)
        for k in range(len(surveys)):
            count, idle = rules.get(k, ([], []))
            good = " and ".join(
                f"{limit}" + (f" = {bound}" if isinstance(limit.bound, str) else "")
                for limit, bound in count
            )
            told.append([*([f"good where {good}"] if good else []), *idle])
        yield check, surveys, told


def _as_frames(result: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return `result` in another shape, or where that takes a copy, an array to be copied to it."""
    if result.dtype.isnative:
        frames = result.view()
        try:
            frames.shape = shape
        except AttributeError:  # its strides do not allow it
            pass
        else:
            return frames
    return np.empty(shape, result.dtype.newbyteorder("="))


def _empty(load: Load) -> NDArray[Any]:
    try:
        return np.empty(load.shape, load.dtype)
    except (MemoryError, ValueError) as cause:
        size = load.dtype.itemsize
        for length in load.shape:
            size *= length
        raise MemoryError(
            f"{load.attr!r} of shape {load.shape} as {load.dtype} takes {size} bytes, which this "
            "machine does not give; load fewer frames, a region (transform=), or a smaller dtype="
        ) from cause


def _checked_out(out: NDArray[Any], load: Load) -> NDArray[Any]:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, not {type(out).__name__}")
    if out.shape != load.shape:
        raise ValueError(f"out has shape {out.shape}; {load.attr!r} needs {load.shape}")
    if out.dtype != load.dtype:
        raise ValueError(f"out has dtype {out.dtype}; {load.attr!r} comes as {load.dtype}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    return out


def _text(catalogue: Catalogue, load: Load, out: NDArray[Any] | None) -> Any:
    """Read strings, whole datasets at a time: they are few."""
    pieces = [engine.read_text(catalogue.files, part.stored) for part in load.index.parts]
    if load.squeeze:
        return pieces[0] if np.ndim(pieces[0]) or isinstance(pieces[0], str) else pieces[0][()]
    result = np.concatenate([np.atleast_1d(piece) for piece in pieces])
    if load.numbers is not None:
        result = result[load.numbers]
    if out is not None:
        _checked_out(out, load)[...] = result
        return out
    return result
