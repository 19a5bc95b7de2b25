"""How many frames a file has of each attribute after a save: as many as of data, or it is refused.

Frame 5 of a mask goes with frame 5 of `data`, and nothing but the number says so. A mask without
the first frames would be taken for that of others. So attributes that go with the frames of `data`
must not get out of step with them. Only `data` may go ahead: the frames of a mask that are there
keep their numbers, and the next save of the mask must bring it in step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue.catalogue import Catalogue
from ..catalogue.frames import FrameSelection
from ..catalogue.index import own_frames
from ..errors import FrameIndexError, LayoutError
from ..protocol.attribute import Attribute
from ..protocol.fields import RANKS
from .request import SaveMode
from .target import dataset_there

__all__ = ["counts_frames", "refuse_unequal", "rows_of_first_file"]


def refuse_unequal(
    catalogue: Catalogue,
    saved: Mapping[str, NDArray[Any]],
    mode: SaveMode,
    idxs: FrameSelection,
) -> None:
    """Raise :class:`LayoutError` if saving some attributes would give frames the numbers of others.

    `mode` and `idxs` are those of :meth:`CXIStore.save_attribute`. Attributes that are not saved
    with the frames of `data` may follow by saves of their own.
    """
    protocol = catalogue.protocol
    data = next((one for one in map(protocol.attribute, protocol) if one.is_data), None)
    if data is None:
        return
    there: dict[str, int | None] = {}
    after: dict[str, int | None] = {}
    for attr, values in saved.items():
        wanted = protocol.attribute(attr)
        if counts_frames(wanted, values):
            there[attr] = _frames_there(catalogue, wanted)
            after[attr] = _after(there[attr], _count(wanted, values), mode, idxs)
    before = _frames_there(catalogue, data) or 0
    frames = after.get(data.name, before)
    if not frames:
        return
    for attr, count in after.items():
        if count is not None and count != frames:
            is_first = mode != "overwrite" and data.name not in saved
            hint = f"save those of {data.name!r} first, or " if is_first else ""
            raise LayoutError(
                f"{catalogue.files.names[0]} would have {frames} frames of {data.name!r} and "
                f"{count} of {attr!r}, of which it has {before} and {there[attr]} now: {hint}save "
                f"{attr!r} of all frames that are there, with mode='overwrite', or leave it out"
            )


def _count(wanted: Attribute, values: NDArray[Any]) -> int:
    """Return of how many frames values are; a single image of data is one."""
    return 1 if wanted.is_data and values.ndim == 2 else len(values)


def _after(there: int | None, count: int, mode: SaveMode, idxs: FrameSelection) -> int | None:
    """Return how many frames there are after a save; None: one stands for all."""
    if mode == "overwrite":
        return count
    if there is None:
        return None
    if mode == "append":
        return there + count
    return max(there, int(_row_numbers(idxs, count, there).max(initial=-1)) + 1)


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
        low, high = RANKS[wanted.kind]
        axes = f"{low} or more" if high is None else f"{low} to {high}"
        raise LayoutError(
            f"{wanted.name!r} is a {wanted.kind}, which has {axes} axes, and an array of shape "
            f"{array.shape} is to be saved: give it the axes that are missing, or leave out those "
            "that are too many"
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
