"""What a container saves: which frames of each attribute, in which unit, with which numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..catalogue.frames import FrameSelection
from ..errors import FrameIndexError, LayoutError
from ..processing.stacks import ComputedStack, blocks, picked, stack_of
from ..protocol.attribute import Attribute, Trait
from ..protocol.protocol import cxi_unit
from ..protocol.units import conversion
from ..saving.frame_counts import counts_frames
from ..saving.memory import memory_told
from ..saving.request import SaveMode
from ..store.store import CXIStore

__all__ = ["Outgoing", "opened"]

Saved = NDArray[Any] | ComputedStack


@dataclass(frozen=True)
class Outgoing:
    """Attributes of a container on their way from its input to its output file.

    `values` are all that the container has. A scalar or a sequence that is still the object in
    `as_loaded` has the unit of the file; another one was given. `changed` are the attributes that
    the transaction has saved already.
    """

    source: CXIStore
    output: CXIStore
    values: Mapping[str, Any]
    as_loaded: Mapping[str, Any]
    mode: SaveMode
    changed: Collection[str]

    def stacks(self, names: Collection[str], *, is_named: bool) -> dict[str, Saved]:
        """Return what is saved: arrays and computed stacks, of which the good frames.

        What has no value, or no place in the output, is left out; where a user named it, that
        raises ValueError.
        """
        arrays = {}
        for attr in names:
            has_place = attr in self.output.protocol and attr in self.source.protocol
            if attr in self.values and has_place:
                arrays[attr] = self._chosen(self.source.protocol.attribute(attr))
            elif is_named and has_place:
                raise ValueError(f"the container has no value of {attr!r}: load it or give one")
            elif is_named:
                raise ValueError(
                    f"{attr!r} is not in the protocol of the input or of the output file: it has "
                    "no place to be saved to"
                )
        self._refuse_other_numbers(arrays)
        return arrays

    def _chosen(self, attribute: Attribute) -> Saved:
        attr, value = attribute.name, _saved(self.values[attribute.name])

        def place() -> str:
            return f"{self.output.filenames()[0]}:{self.output.find_dataset(attr)}"

        with memory_told(place, attr, value.shape, value.dtype):
            return self._array(attribute)

    def _array(self, attribute: Attribute) -> Saved:
        attr = attribute.name
        array = _saved(self.values[attr])
        if counts_frames(attribute, cast("NDArray[Any]", array)):
            data = self.values.get("data")
            if data is not None and len(data) != len(array):
                raise LayoutError(
                    f"the container has {len(data)} frames of 'data' and {len(array)} of {attr!r}: "
                    "load both with the same idxs"
                )
            array = _good(attr, array, self.values.get("good_frames"))
        if isinstance(array, ComputedStack):
            return array
        if attribute.kind == "stack" and not attribute.is_data and _is_repeated(array):
            # One frame is saved for all, if the output has no others that it would stand for, too.
            has_others = self.output.frame_count or attr in self.output or attr in self.changed
            if self.mode == "overwrite" or not has_others:
                return np.asarray(array[0])
        return array

    def _refuse_other_numbers(self, arrays: Mapping[str, Saved]) -> None:
        """Refuse frame numbers that would name other frames in the file than in the container."""
        attributes = [self.output.protocol.attribute(attr) for attr in arrays]
        saved = [
            len(arrays[one.name])
            for one in attributes
            if one.has_a_frame_each(arrays[one.name].ndim)
        ]
        is_first = self.mode == "overwrite" or not self.output.frame_count
        frames = self.values.get("frames")
        for one in attributes:
            if Trait.FRAME_NUMBERS not in one.traits:
                continue
            if saved and not (is_first and _are_all(arrays[one.name], saved[0])):
                raise LayoutError(
                    "only the good frames are saved, and the output file numbers them anew: leave "
                    f"{one.name!r} out, or save the file's own numbers by "
                    "output_file.save_attribute()"
                )
            if not saved and frames is not None and not _are_all(frames, len(frames)):
                raise LayoutError(
                    f"{one.name!r} counts the frames that were loaded, and these are not the first "
                    f"of the run: save frames[{one.name}] by output_file.save_attribute() if the "
                    "output file has the frames of the run"
                )

    def has_pixels(self, attr: str) -> bool:
        """Tell whether a transform acts on an attribute."""
        return self.output.protocol.attribute(attr).has_pixels

    def save_in_blocks(
        self, attr: str, stack: ComputedStack, idxs: FrameSelection, **options: Any
    ) -> None:
        """Save a computed stack, a block of its frames after the other, in the open transaction."""
        if "transform" not in options and self.mode != "insert":
            frame = stack.shape[1:]
            with self.output.writer(attr, frame, stack.dtype, self.mode, **options) as writer:
                for some in blocks(len(stack), stack.block):
                    writer.append(stack[some])
            return
        mode = self.mode
        if mode == "overwrite" and attr in self.output:
            raise NotImplementedError(
                f"{attr!r} is computed in blocks, and cannot overwrite a part of the frames that "
                f"are there: save it without apply_transform, or make it an array before, "
                f"st.replace({attr}=np.asarray(st.{attr}))"
            )
        places = np.asarray(idxs) if mode == "insert" else None
        if places is not None and places.shape != (len(stack),):
            raise FrameIndexError(f"idxs have shape {places.shape}, for {len(stack)} frames")
        for some in blocks(len(stack), stack.block):
            to = None if places is None else places[some]
            self.output.save_attribute(attr, stack[some], mode, to, **options)
            mode = "append" if mode == "overwrite" else mode

    def unit(self, attr: str) -> str | None:
        """Return the unit that a value is in; None: the one in which the output keeps it."""
        attribute = self.source.protocol.attribute(attr)
        if attribute.has_pixels or not attribute.is_number:
            return None
        if attribute.unit is not None or attr not in self.as_loaded:
            return attribute.unit
        with opened(self.source) as source:
            unit = source.stated_unit(attr)
        kept = self.output.protocol.attribute(attr).unit
        if self.values[attr] is self.as_loaded[attr]:
            return unit or (cxi_unit(attr) if kept is not None or attr in self.output else None)
        if unit and kept and _differ(unit, kept):
            raise LayoutError(
                f"{attr!r} was loaded in {unit!r} and then replaced, and the output keeps it in "
                f"{kept!r}: the unit of the new value is not known. Save it by "
                f"output_file.save_attribute({attr!r}, ..., unit=...)"
            )
        return None


def opened(store: CXIStore) -> AbstractContextManager[CXIStore]:
    """Return what has a store open for a block: one that was closed is closed again after it."""
    return nullcontext(store) if store else store


def _are_all(numbers: Any, count: int) -> bool:
    return np.array_equal(numbers, np.arange(count))


def _saved(value: Any) -> Saved:
    saved: Saved = stack_of(value)
    return saved


def _good(attr: str, array: Saved, good: Any) -> Saved:
    """Return the good frames of an array; all of them where it is not known which are good."""
    if good is None or _are_all(good, len(array)):
        return array
    if _is_repeated(array):
        return np.broadcast_to(array[0], (len(good), *array.shape[1:]))
    if len(array) and len(good) and int(np.max(good)) >= len(array):
        raise LayoutError(
            f"good_frames name frame {np.max(good)}, and there are {len(array)} frames of {attr!r}"
        )
    if isinstance(array, ComputedStack):
        return picked(array, np.asarray(good))
    chosen: NDArray[Any] = array[good]
    return chosen


def _is_repeated(array: Saved) -> bool:
    """Tell whether an array is one frame, repeated without taking memory."""
    return (
        isinstance(array, np.ndarray)
        and array.ndim > 2
        and len(array) > 0
        and array.strides[0] == 0
        and not array.flags.writeable  # an array of one frame, such as frame[None], is writeable
    )


def _differ(unit: str, other: str) -> bool:
    try:
        return conversion(unit, other) is not None
    except ValueError:  # one of them is no unit that is known
        return True
