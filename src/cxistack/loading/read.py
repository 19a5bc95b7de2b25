"""Doing a load that `loads.py` decided, by read/; and telling beforehand what will be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue.catalogue import Catalogue
from ..catalogue.locate import Found
from ..errors import CastError
from ..hdf5.addresses import Bytes
from ..kernels import cast
from ..kernels.threads import count_threads
from ..progress import progress_bar
from ..protocol.units import apply_by_row
from . import blockwise, engine, limit_masks
from .load import Load, prepare_single, prepare_singles
from .route import routes

__all__ = ["run"]


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
        limit_masks.run(
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


def _reader(catalogue: Catalogue) -> limit_masks.ReadScalars:
    """Return what reads a scalar from several files."""

    def scalars(attr: str, found: Sequence[Found]) -> Sequence[Any]:
        # Of several types each is read as itself: none may hold what all of them say.
        kinds = {(one.datasets[0].shape, one.datasets[0].dtype) for one in found}
        if len(found) > 1 and len(kinds) == 1:
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


def _ways(catalogue: Catalogue, load: Load) -> tuple[NDArray[np.int64], list[Bytes]]:
    numbers = _numbers(load)
    kind = catalogue.protocol.get_kind(load.attr)
    return numbers, routes(catalogue.files, load.index, numbers, kind, load.dtype)


def _numbers(load: Load) -> NDArray[np.int64]:
    return np.arange(load.count) if load.numbers is None else load.numbers


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
    pieces = [blockwise.read_text(catalogue.files, part.stored) for part in load.index.parts]
    if load.squeeze:
        return pieces[0] if np.ndim(pieces[0]) or isinstance(pieces[0], str) else pieces[0][()]
    result = np.concatenate([np.atleast_1d(piece) for piece in pieces])
    if load.numbers is not None:
        result = result[load.numbers]
    if out is not None:
        _checked_out(out, load)[...] = result
        return out
    return result
