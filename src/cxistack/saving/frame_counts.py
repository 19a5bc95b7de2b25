"""How many frames a file has of each attribute after a save: as many as of data, or it is refused.

Frame 5 of a mask goes with frame 5 of `data`, and nothing but the number says so. A mask without
the first frames would be taken for that of others. So attributes that go with the frames of `data`
must not get out of step with them. Only `data` may go ahead: the frames of a mask that are there
keep their numbers, and the next save of the mask must bring it in step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue.catalogue import Catalogue
from ..catalogue.frames import FrameSelection
from ..catalogue.index import own_frames
from ..catalogue.together import DataFrames, data_frames, data_of, misfit
from ..errors import FrameIndexError, LayoutError
from ..protocol.attribute import Attribute, Trait
from .change import Change
from .target import dataset_there

__all__ = [
    "Saved",
    "counts_frames",
    "refuse_unfit",
    "rows_of_first_file",
    "shape_after",
]


@dataclass(frozen=True)
class Saved:
    """What a file has of an attribute after a save.

    Attributes
    ----------
    shape : tuple of int
        Shape of the dataset.
    largest : int or None
        Of a list of frames, the last that it names.
    """

    shape: tuple[int, ...]
    largest: int | None = None

    @classmethod
    def by(cls, change: Change, there: Saved | None) -> Saved:
        """Return what there is after a change of what is `there` now, if anything."""
        is_list = Trait.FRAME_NUMBERS in change.attribute.traits and change.data.size
        largest = int(change.data.max()) if is_list else None
        if there is not None and there.largest is not None and change.mode != "overwrite":
            largest = max(there.largest, -1 if largest is None else largest)
        return cls(shape_after(change, None if there is None else there.shape), largest)


def shape_after(change: Change, there: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape of a dataset after a change; it has the shape `there` now, if any."""
    shape = change.data.shape
    if change.region is not None:
        shape = (*shape[:-2], *change.region.frame_shape)
    if there is None or change.mode == "overwrite" or change.growth == "none":
        return shape
    if change.growth == "static" or (change.growth == "frames" and len(there) < len(shape)):
        return there  # one frame stands for all, and goes on doing so
    if len(there) > len(shape):
        return there  # to which frames of fewer axes cannot be added
    length = there[0] if len(there) == len(shape) else 1
    if change.rows is None:
        return (length + shape[0], *shape[1:])
    return (max(length, int(change.rows.max(initial=-1)) + 1), *shape[1:])


def refuse_unfit(catalogue: Catalogue, after: Mapping[str, Saved], *, is_begun: bool) -> None:
    """Raise :class:`LayoutError` if what is saved would not go with the frames of `data`.

    `after` tells what is saved, by attribute. Frames of `data` alone may be saved before what goes
    with them. Where a group of saves `is_begun`, the next may bring counts in step.
    """
    data = data_of(catalogue)
    checked = [one for one in map(catalogue.protocol.attribute, after) if one.kind != "scalar"]
    if data is None or checked in ([], [data]):
        return
    before = data_frames(catalogue, 0)
    now = DataFrames.of(after[data.name].shape) if data.name in after else before
    if now is None:
        return
    name = catalogue.files.names[0]
    for wanted in checked:
        attr, saved = wanted.name, after[wanted.name]
        if saved.largest is not None and not is_begun:
            _refuse_beyond(catalogue, attr, saved.largest, (before, now))
        frames = replace(now, count=None) if is_begun else now
        why = misfit(wanted, saved.shape, frames)
        if why is None:
            continue
        if misfit(wanted, saved.shape, replace(now, count=None)) is None:
            there = (0 if before is None else before.count, _frames_there(catalogue, wanted))
            raise _unequal(name, (data.name, attr), (now.count, saved.shape[0]), there)
        raise LayoutError(f"{name}: {why}")


def _refuse_beyond(
    catalogue: Catalogue, attr: str, number: int, frames: tuple[DataFrames | None, DataFrames]
) -> None:
    """Refuse the number of a frame that the run does not have; of `data` before and after."""
    run = data_frames(catalogue)
    before, now = (0 if one is None else one.count or 0 for one in frames)
    total = now + (0 if run is None else (run.count or 0) - before)
    if number >= total:
        raise LayoutError(
            f"{attr!r} names frame {number}, and there are {total} frames of 'data'; the first is "
            "number 0"
        )


def _unequal(
    name: str,
    attrs: tuple[str, str],
    after: tuple[int | None, int],
    before: tuple[int | None, int | None],
) -> LayoutError:
    """Return the error that tells of how many frames there would be, and are: of data and attr."""
    data, attr = attrs
    is_first = after[0] == before[0] and after[1] > (after[0] or 0)
    hint = f"save those of {data!r} first, or " if is_first else ""
    return LayoutError(
        f"{name} would have {after[0]} frames of {data!r} and {after[1]} of {attr!r}, of which it "
        f"has {before[0]} and {before[1]} now: {hint}save {attr!r} of all frames that are there, "
        "with mode='overwrite', or leave it out"
    )


def _frames_there(catalogue: Catalogue, wanted: Attribute) -> int | None:
    """Return how many frames the first file has; None of what has no frame for each of data's."""
    found = catalogue.found(wanted.name).get(0)
    if not wanted.is_indexed(ndim=3):
        return None
    if found is None:
        return 0
    if found.error is not None or not catalogue.is_indexed(wanted.name):
        return None
    parts = own_frames(wanted, found)
    if not wanted.is_data and not all(part.has_frame_axis for part in parts):
        return None
    return sum(part.count for part in parts)


def counts_frames(wanted: Attribute, array: NDArray[Any]) -> bool:
    """Tell whether the first axis of what is saved counts frames.

    Raises
    ------
    LayoutError
        It has another number of axes than the attribute's kind has.
    """
    if not wanted.fits(array.ndim):
        raise LayoutError(
            f"{wanted.name!r} is a {wanted.kind}, which has {wanted.axes} axes, and an array of "
            f"shape {array.shape} is to be saved: give it the axes that are missing, or leave out "
            "those that are too many"
        )
    return wanted.has_a_frame_each(array.ndim)


def rows_of_first_file(
    catalogue: Catalogue, attr: str, idxs: FrameSelection, count: int, is_changed: bool
) -> NDArray[np.int64]:
    """Return where the frames of an insertion go in the first file.

    Refuse idxs that mean one frame where the run is loaded, and another in its first file. Where
    the attribute `is_changed`, it is not known how many frames there are.
    """
    found, there = catalogue.found(attr), _rows_there(catalogue, attr)
    rows = _row_numbers(idxs, count, None if is_changed else there)
    if len(found) < 2 or 0 not in found:
        return rows
    counts_from_end = isinstance(idxs, slice) or (np.asarray(idxs) < 0).any()
    if counts_from_end or (rows >= there).any():
        raise FrameIndexError(
            f"saves go to {catalogue.files.names[0]}, which has the first {there} frames of "
            f"{attr!r}, and idxs ({idxs!r}) may mean others of the run: number frames of that file "
            "from the start, or open a store of the file that is meant alone"
        )
    return rows


def _rows_there(catalogue: Catalogue, attr: str) -> int:
    """Return the length of the first axis of the first file's dataset; 0 where it has none."""
    stored = dataset_there(catalogue, attr)
    return stored.shape[0] if stored is not None and stored.shape else 0


def _row_numbers(idxs: FrameSelection, count: int, length: int | None) -> NDArray[np.int64]:
    """Return where the frames of an insertion go; numbers past the end make it longer.

    Where it is not known how many frames there are (`length` is None), none can count from the end.
    """
    if idxs is None:
        raise FrameIndexError('mode="insert" needs idxs: where each frame of the data goes')
    if length is None and (isinstance(idxs, slice) or (np.asarray(idxs) < 0).any()):
        raise FrameIndexError(
            "this transaction has changed how many frames there are: idxs that count from the end "
            f"({idxs!r}) have no meaning yet; number the frames from the start"
        )
    if isinstance(idxs, slice):
        assert length is not None
        array = np.arange(*idxs.indices(max(length, idxs.stop or 0)))
    else:
        array = np.atleast_1d(np.asarray(idxs))
    if array.dtype == np.bool_:
        if len(array) < (length or 0):
            raise FrameIndexError(
                f"idxs are a boolean mask of {len(array)} frames, and {length} are there"
            )
        array = np.flatnonzero(array)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise FrameIndexError(f"idxs must be a list of frame numbers, not {idxs!r}")
    if len(array) != count:
        raise FrameIndexError(f"{len(array)} idxs are given for {count} frames")
    rows = array.astype(np.int64)
    rows[rows < 0] += length or 0
    if (rows < 0).any():
        raise FrameIndexError(f"frame {array[rows < 0][0]} is out of bounds: {length} are there")
    if len(np.unique(rows)) != len(rows):
        raise FrameIndexError("idxs name a frame twice: give each frame one place")
    return rows
