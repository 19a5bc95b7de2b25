"""Frames by what identifies them: trains, pulses, events, or any value that each frame has."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue.catalogue import Catalogue
from ..errors import AttributeMissingError, FrameIndexError, LayoutError
from ..loading.prepare import prepare
from ..loading.request import LoadRequest

__all__ = ["frames_by", "identifiers", "numbers_of"]


def frames_by(catalogue: Catalogue, wanted: dict[str, Any]) -> NDArray[np.int64]:
    """Return the frames that have all of the wanted identifiers; see :meth:`CXIStore.frames`."""
    if not wanted:
        raise ValueError("frames() takes identifiers, such as frames(trainId=10001)")
    found: NDArray[np.int64] | None = None
    for name, values in wanted.items():
        frames = numbers_of(identifiers(catalogue, name), values, name)
        found = frames if found is None else found[np.isin(found, frames)]
    assert found is not None
    if not len(found) and all(np.size(one) for one in wanted.values()):
        told = ", ".join(f"{name}={value!r:.40}" for name, value in wanted.items())
        raise FrameIndexError(f"no frame has all of {told}, each of which some frame has")
    return found


def identifiers(catalogue: Catalogue, name: str) -> NDArray[Any]:
    """Return an identifier of every frame: an attribute's values, or a dataset's beside the frames.

    Raises
    ------
    AttributeMissingError
        There is neither.
    LayoutError
        It has not one value for each frame.
    """
    protocol = catalogue.protocol
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    attr = next((one for one in (name, snake) if one in protocol and catalogue.has(one)), None)
    if attr is None:
        catalogue, attr = _with_beside(catalogue, name), name
    load = prepare(catalogue, LoadRequest(catalogue.protocol.attribute(attr)))
    if load.index.mismatch is not None:
        raise LayoutError(f"{name!r} identifies no frames: {load.index.mismatch}")
    frames = catalogue.index("data").total if catalogue.has_data() else load.count
    if load.is_single or load.count != frames or math.prod(load.shape[1:]) != 1:
        raise LayoutError(
            f"{name!r} has shape {load.shape}, and is no identifier of {frames} frames: one has a "
            "value for each"
        )
    return np.asarray(load.read()).reshape(frames)


def _with_beside(catalogue: Catalogue, name: str) -> Catalogue:
    """Return a catalogue that also has datasets of a name that lie beside the frames, or above."""
    protocol, paths = catalogue.protocol, dict.fromkeys(_beside(catalogue, name))
    for datatype in ("number", "str") if paths else ():
        known = protocol.add_attribute(name, datatype, list(paths), "sequence")
        more = Catalogue(
            catalogue.files, catalogue.numbers, known, catalogue.policy, catalogue.chosen
        )
        found = more.found(name).values()
        if any(stored.is_text == (datatype == "str") for one in found for stored in one.datasets):
            return more
    looked = f"; looked at {', '.join(paths)}" if paths else ""
    raise AttributeMissingError(
        f"no frame has {name!r}: it is no attribute that the files have, and no dataset beside "
        f"their frames{looked}"
    )


def _beside(catalogue: Catalogue, name: str) -> Iterable[str]:
    """Return where a dataset may be that goes with the frames: beside them first, then above."""
    if catalogue.has_data():
        for one in catalogue.found("data").values():
            group = one.path
            while group.strip("/"):
                group = group.rpartition("/")[0]
                yield f"{group}/{name}"
        yield f"/entry_1/{name}"  # of CXI, wherever the protocol has the frames


def numbers_of(ids: NDArray[Any], wanted: Any, name: str) -> NDArray[np.int64]:
    """Return the numbers of the frames whose identifier is wanted.

    Raises
    ------
    FrameIndexError
        No frame has one of the values, or any of a range of them; names them.

    Examples
    --------
    >>> numbers_of(np.array([7, 7, 9, 10]), [9, 7], "trainId")
    array([2, 0, 1])
    >>> numbers_of(np.array([7, 7, 9, 10]), slice(8, None), "trainId")
    array([2, 3])
    """
    if ids.dtype.kind == "O":
        ids = ids.astype(str)
    if isinstance(wanted, slice | range):
        return _in_range(ids, wanted, name)
    asked = np.asarray(wanted).ravel()
    values, fits = _as_ids(asked, ids.dtype)
    order = np.argsort(ids, kind="stable")
    first = np.searchsorted(ids, values, "left", sorter=order)
    counts = np.searchsorted(ids, values, "right", sorter=order) - first
    absent = asked[(counts == 0) | ~fits]
    if len(absent):
        shown = ", ".join(repr(one) for one in absent[:4].tolist())
        more = f" and {len(absent) - 4} more" if len(absent) > 4 else ""
        raise FrameIndexError(f"no frame has {name} {shown}{more}; {_told(ids, name)}")
    # Of each value in turn the frames that have it, which are neighbours in the order.
    places = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    numbers: NDArray[np.int64] = order[places].astype(np.int64)
    return numbers


def _as_ids(asked: NDArray[Any], dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return what is asked for as identifiers are, and which of it can be one at all."""
    if dtype.kind == "U":
        texts = [one.decode() if isinstance(one, bytes) else str(one) for one in asked.tolist()]
        return np.array(texts, dtype=str), np.ones(len(texts), bool)
    if asked.dtype.kind not in "biuf" and asked.size:
        return np.zeros(len(asked), dtype), np.zeros(len(asked), bool)
    with np.errstate(invalid="ignore"):
        values = asked.astype(dtype)
    return values, (values == asked) & ((values < 0) == (asked < 0))


def _in_range(ids: NDArray[Any], wanted: slice | range, name: str) -> NDArray[np.int64]:
    """Return the frames whose identifiers lie in a range: from the start, to before the stop."""
    if ids.dtype.kind == "U":
        raise ValueError(f"{name} is text, of which there are no ranges: give a list of values")
    if isinstance(wanted, slice) and wanted.step is not None:
        raise ValueError(f"a slice of {name} has no step: give a range or a list of values")
    if isinstance(wanted, range) and wanted.step < 0:
        wanted = wanted[::-1]
    inside = np.ones(len(ids), bool)
    if wanted.start is not None:
        inside &= ids >= wanted.start
    if wanted.stop is not None:
        inside &= ids < wanted.stop
    if isinstance(wanted, range) and wanted.step != 1:
        inside[inside] = (ids[inside] - np.array(wanted.start).astype(ids.dtype)) % wanted.step == 0
    if not inside.any():
        raise FrameIndexError(f"no frame has {name} in {wanted!r}; {_told(ids, name)}")
    return np.flatnonzero(inside)


def _told(ids: NDArray[Any], name: str) -> str:
    if not len(ids):
        return "there is none"
    least, most = min(ids.tolist()), max(ids.tolist())
    return f"{len(ids)} frames have {name} {least!r} to {most!r}"
