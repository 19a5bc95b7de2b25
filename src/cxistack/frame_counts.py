"""How many frames a file has of each attribute after a save: as many as of data, or it is refused.

Frames are told by their numbers alone. Those of a mask that lacks the first would be taken for
others, so that what goes with the frames of data must not get out of step with them. Only `data`
may go ahead: what is there of the frames before keeps its numbers, no load takes it for more, and
what is saved of it later must bring it in step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from .catalogue import Catalogue
from .errors import LayoutError
from .read.frames import FrameSelection
from .read.index import own_frames
from .saving import is_by_frame, row_numbers
from .write.writer import SaveMode

__all__ = ["refuse_unequal"]


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
    kind = catalogue.protocol.get_kind(attr)
    found = catalogue.found(attr).get(0)
    if kind not in ("stack", "sequence") or attr == "good_frames":
        return None
    if found is None:
        return 0
    if found.error is not None or not catalogue.is_indexed(attr):
        return None
    parts = own_frames(attr, kind, found)
    if attr != "data" and not all(part.has_frame_axis for part in parts):
        return None
    return sum(part.count for part in parts)
