"""The datasets that together say which pixels of a NeXus detector are bad.

The mask is the bitwise OR of ``pixel_mask`` and every ``pixel_mask_N``, in the detector's group and
in those of its channels (NXmx and NXdetector_channel, https://manual.nexusformat.org).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import LayoutError
from ..hdf5.files import Files
from ..hdf5.links import LinkPolicy, Place, resolve, resolve_in
from ..hdf5.stored import Stored, describe
from ..hdf5.tour import children, groups_of_class, texts_in
from ..hdf5.virtual_sources import with_sources
from .modules import stack_frames

__all__ = ["channels_along", "mask_parts"]

_MASK = re.compile(r"pixel_mask(_[0-9]+)?")
_CHANNEL = "_channel"
_BY_NAME = re.compile(rf".*{_CHANNEL}", re.DOTALL)


def mask_parts(
    files: Files,
    detector: Place,
    policy: LinkPolicy,
    channel: str | None,
    along: Sequence[str],
) -> list[Stored]:
    """Return all that says which pixels of a detector are bad, each for whole frames.

    Parameters
    ----------
    files : Files
        Lends the file.
    detector : Place
        The detector's group.
    policy : {"follow", "tree"}
        How far links may lead.
    channel : str or None
        The channel that the frames are of, where a user names one.
    along : sequence of str
        The channels that the first axis of a frame of data counts, if any: masks are stacked so.

    Raises
    ------
    LayoutError
        Several channels have masks, and nothing tells which is meant; or there is no such channel.
    """
    own = _masks_in(files, detector, policy)
    names = groups_of_class(files, detector, "NXdetector_channel", _BY_NAME)
    masks = {
        name: _masks_in(files, place, policy)
        for name in names
        if (place := resolve_in(files, detector, name, policy))
    }
    if channel is not None:
        named = [name for name in names if channel in (name, name.removesuffix(_CHANNEL))]
        if not named:
            raise LayoutError(
                f"{detector} has no channel {channel!r}; it has {', '.join(names) or 'none'}"
            )
        return own + masks[named[0]]
    having = [name for name in names if masks[name]]
    if along and having:
        by_name = {name.removesuffix(_CHANNEL): masks[name] for name in names}
        each = [by_name.get(name.removesuffix(_CHANNEL), []) for name in along]
        if any(each):
            return own + _stacked(detector, each)
    if len(having) > 1 or (having and len(names) > 1):
        raise LayoutError(
            f"{detector} has {len(names)} channels, and nothing tells which of them the frames are "
            f"of: name one with channel=, of {', '.join(names)}"
        )
    return own + [mask for name in having for mask in masks[name]]


def channels_along(
    files: Files, data: Place, policy: LinkPolicy, frame_shape: tuple[int, ...]
) -> list[str]:
    """Return the channels that the first axis of a frame counts, which a dataset beside it names.

    DECTRIS writes ``/entry/data/channel`` for ``/entry/data/data`` of (frames, channels, ss, fs).
    """
    path = f"{data.path.rpartition('/')[0]}/channel"
    place = resolve(files, data.filename, path, policy) if len(frame_shape) > 2 else None
    names = [] if place is None or not place.is_dataset else texts_in(files, place)
    return names if names and len(names) == frame_shape[0] else []


def _masks_in(files: Files, group: Place, policy: LinkPolicy) -> list[Stored]:
    names = [name for name in children(files, group) if _MASK.fullmatch(name)]
    places = [resolve_in(files, group, name, policy) for name in names]
    there = [place for place in places if place is not None and place.is_dataset]
    return [with_sources(files, describe(files, place), policy) for place in there]


def _stacked(detector: Place, masks: Sequence[Sequence[Stored]]) -> list[Stored]:
    """Return masks over all channels: the first of each, the second of each, and so on."""
    return [
        stack_frames(
            f"{detector.path}/*{_CHANNEL}/pixel_mask",
            [mask[k] if k < len(mask) else None for mask in masks],
        )
        for k in range(max(map(len, masks)))
    ]
