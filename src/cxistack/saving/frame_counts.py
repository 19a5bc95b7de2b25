"""How many frames a file has of each attribute after a save: as many as of data, or it is refused.

Frames are told by their numbers alone. Those of a mask that lacks the first would be taken for
others, so that what goes with the frames of data must not get out of step with them. Only `data`
may go ahead: what is there of the frames before keeps its numbers, no load takes it for more, and
what is saved of it later must bring it in step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue.catalogue import Catalogue
from ..catalogue.frames import FrameSelection
from ..catalogue.index import own_frames
from ..errors import (
    FrameIndexError,
    LayoutError,
)
from ..protocol.fields import RANKS
from ..protocol.protocol import CXIProtocol
from .request import SaveMode

__all__ = ["is_by_frame", "refuse_unequal", "row_numbers"]


def refuse_unequal(
    catalogue: Catalogue,
    saved: Mapping[str, NDArray[Any]],
    mode: SaveMode,
    idxs: FrameSelection,
) -> None:
    """Raise :class:`LayoutError` if a save would give frames the numbers of others.

    What it leaves behind the frames of `data` may follow by saves of its own.

    Parameters
    ----------
    catalogue : Catalogue
        What the first file has.
    saved : mapping of str to ndarray
        What is saved together.
    mode : {"append", "overwrite", "insert"}
        What becomes of frames that are there.
    idxs : sequence of int, optional
        Where frames go, with "insert".
    """
    protocol = catalogue.protocol
    if "data" not in protocol or protocol.get_kind("data") != "stack":
        return
    after = {
        attr: _after(_there(catalogue, attr), _count(attr, values), mode, idxs)
        for attr, values in saved.items()
        if is_by_frame(protocol, attr, values)
    }
    before = _there(catalogue, "data") or 0
    frames = after.get("data", before)
    if not frames:
        return
    for attr, count in after.items():
        if count is not None and count != frames:
            there = _there(catalogue, attr)
            hint = (
                "" if mode == "overwrite" or "data" in saved else "save those of 'data' first, or "
            )
            raise LayoutError(
                f"{catalogue.files.names[0]} would have {frames} frames of 'data' and {count} of "
                f"{attr!r}, of which it has {before} and {there} now: {hint}save {attr!r} of all "
                "frames that are there, with mode='overwrite', or leave it out"
            )


def _count(attr: str, values: NDArray[Any]) -> int:
    """Return of how many frames values are; a single image of data is one."""
    return 1 if attr == "data" and values.ndim == 2 else len(values)


def _after(there: int | None, count: int, mode: SaveMode, idxs: FrameSelection) -> int | None:
    """Return how many frames there are after a save; None: one stands for all."""
    if mode == "overwrite":
        return count
    if there is None:
        return None
    if mode == "append":
        return there + count
    return max(there, int(row_numbers(idxs, count, there).max(initial=-1)) + 1)


def _there(catalogue: Catalogue, attr: str) -> int | None:
    """Return how many frames the first file has; None of what is not by frames."""
    wanted = catalogue.protocol.attribute(attr)
    found = catalogue.found(attr).get(0)
    if not wanted.is_indexed(ndim=3):
        return None
    if found is None:
        return 0
    if found.error is not None or not catalogue.is_indexed(attr):
        return None
    parts = own_frames(wanted, found)
    if not wanted.is_data and not all(part.has_frame_axis for part in parts):
        return None
    return sum(part.count for part in parts)


def is_by_frame(protocol: CXIProtocol, attr: str, array: NDArray[Any]) -> bool:
    """Check the rank of what is saved, and tell whether its first axis counts frames."""
    kind = protocol.get_kind(attr)
    low, high = RANKS[kind]
    if array.ndim < low or (high is not None and array.ndim > high):
        raise LayoutError(f"{attr!r} is a {kind}; an array of shape {array.shape} is none")
    if attr == "good_frames" or (attr == "basis_vectors" and array.ndim == 2):
        return False
    if kind == "stack" and attr != "data":
        return array.ndim > 2
    return kind in ("stack", "sequence")


def refuse_frames_of_others(
    catalogue: Catalogue, attr: str, idxs: FrameSelection, rows: NDArray[np.int64]
) -> None:
    """Refuse idxs that mean one frame where the run is loaded, and another in its first file."""
    found, there = catalogue.found(attr), _length(catalogue, attr)
    if len(found) < 2 or 0 not in found:
        return
    counts_from_end = isinstance(idxs, slice) or (np.asarray(idxs) < 0).any()
    if counts_from_end or (rows >= there).any():
        raise FrameIndexError(
            f"saves go to {catalogue.files.names[0]}, which has the first {there} frames of "
            f"{attr!r}, and idxs ({idxs!r}) may mean others of the run: number frames of that file "
            "from the start, or open a store of the file that is meant alone"
        )


def _length(catalogue: Catalogue, attr: str) -> int:
    found = catalogue.found(attr).get(0)
    if found is None or not found.datasets or not found.datasets[0].shape:
        return 0
    return found.datasets[0].shape[0]


def row_numbers(idxs: FrameSelection, count: int, length: int | None) -> NDArray[np.int64]:
    """Return where the frames of an insertion go; numbers past the end make it longer.

    Where it is not known how many frames there are (`length` is None), none can count from the end.
    """
    if idxs is None:
        raise FrameIndexError('mode="insert" needs idxs: where each frame of the data goes')
    if length is None and (isinstance(idxs, slice) or (np.asarray(idxs) < 0).any()):
        raise FrameIndexError(
            "this transaction has changed how many frames there are: idxs that count from the end "
            f"({idxs!r}) are not clear; number the frames from the start"
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
        raise FrameIndexError("idxs name a frame twice, and only one could be kept")
    return rows
