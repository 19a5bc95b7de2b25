"""STData: the container of a run's attributes; loads, transforms, replaces and saves them.

What computes new attributes from loaded ones (percentile masks, whitefields) is to live beside it
in ``processing.py``; the container only holds, moves and selects.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..catalogue.frames import FrameSelection, frame_numbers
from ..errors import AttributeMissingError, LayoutError
from ..protocol.fields import INTENSITIES
from ..protocol.units import conversion
from ..saving.frame_counts import is_by_frame
from ..saving.request import SaveMode
from ..saving.units import cxi_unit
from ..store.store import CXIStore
from ..transforms.base import Transform
from ..transforms.fold import fold

__all__ = ["STData"]


_FIELDS = ("input_file", "transform", "output_file", "frames", "num_threads")
_PIXELS = ("stack", "frame")


class STData:
    """What was loaded of a run: the protocol's attributes by name, and where to save them.

    Parameters
    ----------
    input_file : CXIStore
        Where attributes are loaded from; its protocol says which there are.
    transform : Transform, optional
        What is done to frames and stacks when they are loaded.
    output_file : CXIStore, optional
        Where attributes are saved.
    **attributes
        Values of the protocol's attributes, `frames` (the numbers of the frames loaded) and
        `num_threads` (how many threads load; every core when None).

    Notes
    -----
    A container is a mapping (``st["data"]``) and an object (``st.data``); what has no value is
    None. Methods return a new container. With `data` there are always `good_frames`, all of them,
    and `mask`, all good, unless they were loaded or given.

    Examples
    --------
    >>> st = STData(CXIStore(example_run), transform=Crop([0, 2, 0, 3])).load("data", idxs=[1])
    >>> st.data
    array([[[200, 201, 202],
            [220, 221, 222]]], dtype=uint16)
    >>> st.good_frames, st.mask.all()
    (array([0]), np.True_)
    >>> st.replace(data=None).contents()
    ['input_file', 'transform', 'frames']
    """

    def __init__(
        self,
        input_file: CXIStore,
        transform: Transform | None = None,
        output_file: CXIStore | None = None,
        **attributes: Any,
    ) -> None:
        values = {"input_file": input_file, "transform": transform, "output_file": output_file}
        object.__setattr__(self, "_values", values)
        object.__setattr__(self, "_as_loaded", {})
        for attr, value in attributes.items():
            self[attr] = value

    # ---------------------------------------------------------------- a mapping and an object

    _values: dict[str, Any]
    # What was loaded of scalars and sequences: its unit is known of, unlike what a user gives.
    _as_loaded: dict[str, Any]

    def keys(self) -> list[str]:
        """Return the names that may have a value: the container's own and the protocol's."""
        return [*_FIELDS, *self._values["input_file"].protocol]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, attr: object) -> bool:
        return attr in _FIELDS or attr in self._values["input_file"].protocol

    def __len__(self) -> int:
        return len(self.keys())

    def __getitem__(self, attr: str) -> Any:
        if attr not in self:
            raise AttributeMissingError(
                f"{attr!r} is not an attribute of this container: it knows {', '.join(self)}"
            )
        value = self._values.get(attr)
        if value is None and attr in ("good_frames", "mask"):
            data = self._values.get("data")
            if data is not None:
                # Computed when asked for: an all-good mask takes no memory and always fits.
                return (
                    np.arange(len(data))
                    if attr == "good_frames"
                    else np.broadcast_to(np.True_, np.shape(data))
                )
        return value

    def __setitem__(self, attr: str, value: Any) -> None:
        if attr not in self:
            raise AttributeMissingError(
                f"{attr!r} is not an attribute of this container: it knows {', '.join(self)}"
            )
        self._values[attr] = value

    def __getattr__(self, attr: str) -> Any:
        # Only called for what is no ordinary attribute; "_values" is absent while unpickling.
        if attr.startswith("_") or attr not in self:
            raise AttributeError(f"{type(self).__name__} has no attribute {attr!r}")
        return self[attr]

    def __setattr__(self, attr: str, value: Any) -> None:
        if attr not in self:
            raise AttributeError(f"{type(self).__name__} has no attribute {attr!r} to set")
        self._values[attr] = value

    def __getstate__(self) -> dict[str, Any]:
        return {"values": self._values, "loaded": self._as_loaded}

    def __setstate__(self, state: dict[str, Any]) -> None:
        object.__setattr__(self, "_values", state["values"])
        object.__setattr__(self, "_as_loaded", state["loaded"])

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def values(self) -> list[Any]:
        """Return the values, in the order of :meth:`keys`; None for what has none."""
        return [self[attr] for attr in self]

    def items(self) -> list[tuple[str, Any]]:
        """Return (name, value) pairs, in the order of :meth:`keys`."""
        return [(attr, self[attr]) for attr in self]

    def get(self, attr: str, value: Any = None) -> Any:
        """Return the value of `attr`, or `value` for a name that the container does not know."""
        return self[attr] if attr in self else value  # noqa: SIM401 (this is get)

    def contents(self) -> list[str]:
        """Return the names of what has a value."""
        return [attr for attr in self if self[attr] is not None]

    def __repr__(self) -> str:
        lines = [f"STData of {len(self.input_file.filenames())} files, transform={self.transform}"]
        for attr in self.contents():
            if attr not in ("input_file", "transform"):
                value = self[attr]
                shown = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else value
                lines.append(f"  {attr}: {shown}" if attr != "output_file" else f"  {attr}")
        return "\n".join(lines)

    @property
    def shape(self) -> tuple[int, ...]:
        """(frames, ss, fs) of what is loaded; 0 for what nothing loaded tells."""
        if self._values.get("data") is not None:
            return np.shape(self._values["data"])
        shape: tuple[int, ...] = (0, 0, 0)
        for kind in ("sequence", "frame", "stack"):
            for attr in self._loaded(kind):
                value = self[attr]
                if kind == "stack":
                    shape = np.shape(value)
                elif kind == "frame":
                    shape = (shape[0], *np.shape(value)[-2:])
                elif attr == "good_frames":
                    continue
                else:
                    shape = (len(value), *shape[1:])
        return shape

    def _loaded(self, *kinds: str) -> list[str]:
        protocol = self.input_file.protocol
        return [
            attr
            for attr in protocol
            if self._values.get(attr) is not None and protocol.get_kind(attr) in kinds
        ]

    # ---------------------------------------------------------------- new containers

    def replace(self, **attributes: Any) -> Self:
        """Return a new container with some attributes replaced."""
        new = type(self)(**{**self._values, **attributes})
        new._as_loaded.update(self._as_loaded)
        return new

    def clear(self, attributes: str | Iterable[str] | None = None) -> Self:
        """Return a new container without the arrays named; without any array when None."""
        names = self._names(attributes, self.contents())
        return self.replace(**{attr: None for attr in names if isinstance(self[attr], np.ndarray)})

    def update_output_file(self, output_file: CXIStore) -> Self:
        """Return a new container that saves to `output_file`."""
        return self.replace(output_file=output_file)

    def update_transform(self, transform: Transform | None) -> Self:
        """Return a new container with another transform.

        Frames and stacks that were loaded without one are transformed; those that were loaded with
        another cannot be, and are dropped: load them again.
        """
        pixels: dict[str, Any] = dict.fromkeys(self._loaded(*_PIXELS))
        if self.transform is None and transform is not None:
            pixels = {attr: _transformed(attr, self[attr], transform) for attr in pixels}
        elif self.transform is None:
            pixels = {}
        return self.replace(transform=transform, **pixels)

    def mask_frames(self, frames: FrameSelection = None) -> Self:
        """Return a new container with other `good_frames`.

        Parameters
        ----------
        frames : sequence of int or boolean mask, optional
            Numbers of the good frames among those loaded. When None, all that are not empty.
        """
        data = self._data()
        if frames is None:
            good = np.array([bool(np.any(frame > 0)) for frame in data], dtype=bool)
            return self.replace(good_frames=np.flatnonzero(good))
        return self.replace(good_frames=frame_numbers(frames, len(data), "data"))

    def integrate_data(self, axis: int = 0) -> Self:
        """Return a new container with the good pixels of `data` summed over a detector axis.

        Parameters
        ----------
        axis : {0, 1}
            The slow or the fast axis; it is kept, with length 1. All other frames and stacks are
            dropped: they do not fit any more.
        """
        if axis not in (0, 1):
            raise ValueError(f"axis must be 0 (slow) or 1 (fast), not {axis!r}")
        data = self._data()
        sums = np.sum(data, axis=axis - 2, keepdims=True, where=self.mask)
        return self.replace(**{**dict.fromkeys(self._loaded(*_PIXELS)), "data": sums})

    def _data(self) -> NDArray[Any]:
        data = self._values.get("data")
        if data is None:
            raise ValueError("no data in the container: load it first")
        return np.asarray(data)

    def _names(self, names: str | Iterable[str] | None, default: list[str]) -> list[str]:
        if names is None:
            return default
        chosen = [names] if isinstance(names, str) else list(names)
        for name in chosen:
            _ = self[name]  # raises for what is not known
        return chosen

    # ---------------------------------------------------------------- files

    def load(
        self,
        attributes: str | Iterable[str] | None = None,
        idxs: FrameSelection = None,
        processes: int | None = None,
        verbose: bool = True,
    ) -> Self:
        """Return a new container with attributes loaded from the input files.

        Parameters
        ----------
        attributes : str or list of str, optional
            What is loaded; everything that the files have when None.
        idxs : None, int, slice, sequence or array of int, or boolean mask
            Which frames; see :meth:`CXIStore.load_attribute`.
        processes : int, optional
            How many threads work; `num_threads` of the container when None.
        verbose : bool
            Show progress bars.

        Raises
        ------
        AttributeMissingError, LayoutError, ...
            As :meth:`CXIStore.load_attribute`; nothing is left out without a word.
        """
        store: CXIStore = self.input_file
        with ExitStack() as stack:
            if not store:  # as it was handed over: opened for this load only
                stack.enter_context(store)
            else:
                store.update_indices()
            names = self._names(attributes, store.found)
            count = store.frame_count
            frames = frame_numbers(idxs if count else None, count, "data")
            loaded: dict[str, Any] = {"frames": frames}
            for attr in names:
                indexed = store.is_indexed(attr)
                pixels = store.protocol.get_kind(attr) in _PIXELS
                loaded[attr] = store.load_attribute(
                    attr,
                    idxs if indexed else None,
                    processes=processes if processes is not None else self.num_threads,
                    transform=self.transform if pixels else None,
                    verbose=verbose,
                )
        if "good_frames" in loaded and count:
            # In the file they number its frames; here those that were loaded.
            loaded["good_frames"] = np.flatnonzero(np.isin(frames, loaded["good_frames"]))
        new = self.replace(**loaded)
        for attr in names:
            if store.protocol.get_kind(attr) not in _PIXELS:
                new._as_loaded[attr] = loaded[attr]
        return new

    def save(
        self,
        attributes: str | Iterable[str] | None = None,
        apply_transform: bool = False,
        mode: SaveMode = "append",
        idxs: FrameSelection = None,
        compression: str | Mapping[str, Any] | None = None,
        *,
        fill_value: Any = None,
    ) -> None:
        """Save attributes to the output file, all in one commit: all of them appear, or none.

        Of stacks and sequences the good frames are saved.

        What is saved must have as many frames as the file has of `data` then: numbers alone tell
        which go together. What goes with added frames of `data` comes with them, or after them by
        saves of its own; until then it is not loaded by frame numbers.
        `good_frames` are refused where their numbers would be those of other frames in the file.

        Scalars and sequences are in the unit that the input's protocol states for them. Where it
        states none, what was loaded is in the unit that its dataset states, or in CXI's where that
        states none either; what was given otherwise is in the output's. They are converted to the
        unit that the output's protocol, or else the dataset that is there, states. What was given
        in the place of what was loaded in another unit than the output's is refused.

        Parameters
        ----------
        attributes : str or list of str, optional
            What is saved. When None, all that was loaded or given, without `good_frames`: the
            frames that are saved are the good ones.
        apply_transform : bool
            Put frames and stacks back to their places in whole frames. Of frames that are in the
            output file all other pixels stay as they are; of new ones they are `fill_value`.
        mode : {"append", "overwrite", "insert"}
            What becomes of frames that are in the file; see :meth:`CXIStore.save_attribute`.
        idxs : sequence of int, optional
            Where each frame goes, with "insert".
        compression : str or mapping, optional
            How arrays are compressed; see :meth:`CXIStore.save_attribute`.
        fill_value : scalar, optional
            With `apply_transform`, what is outside of the region where there is nothing yet. When
            None, 0 for integers, `data` and whitefields, NaN for other floats. A mask is bad there
            in any case.

        Raises
        ------
        ValueError
            There is no output file.
        LayoutError
            There would be more or fewer frames of an attribute than of `data`; a unit cannot become
            that of the output, or datasets state different ones; what else cannot be saved so.
        NotImplementedError
            The transform bins: the pixels of a bin cannot be put back.
        """
        output: CXIStore | None = self.output_file
        if output is None:
            raise ValueError("no output file in the container: see update_output_file()")
        given = [attr for attr, value in self._values.items() if value is not None]
        names = self._names(attributes, [attr for attr in given if attr != "good_frames"])
        if fill_value is not None and not apply_transform:
            raise ValueError("fill_value= goes with apply_transform=True")
        shape = self._whole_shape() if apply_transform and self.transform is not None else None
        with ExitStack() as stack:
            if not output:
                stack.enter_context(output)
            else:
                output.update_indices()  # others may have saved to it
            transaction = stack.enter_context(output.transaction())
            is_named = attributes is not None
            values = self._to_save(names, output, mode, transaction.changed, is_named=is_named)
            self._refuse_other_numbers(values, output, mode)
            units = {attr: self._unit(attr, output) for attr in values}
            if not transaction.changed:  # by whom it was begun: else counts are not known
                output.refuse_unequal_frames(values, mode, idxs)
            for attr, value in values.items():
                by_region: dict[str, Any] = {}
                if shape is not None and output.protocol.get_kind(attr) in _PIXELS:
                    by_region = {
                        "transform": self.transform,
                        "frame_shape": shape,
                        "fill_value": fill_value,
                    }
                output.save_attribute(
                    attr, value, mode, idxs, compression=compression, unit=units[attr], **by_region
                )

    def _to_save(
        self,
        names: Iterable[str],
        output: CXIStore,
        mode: SaveMode,
        changed: Collection[str],
        *,
        is_named: bool,
    ) -> dict[str, NDArray[Any]]:
        """Return the values that are saved, of stacks and sequences the good frames."""
        protocol = self.input_file.protocol
        has_data = output.frame_count > 0
        values = {}
        for attr in names:
            has_place = attr in output.protocol and attr in protocol
            if self[attr] is None or not has_place:
                if is_named:
                    raise ValueError(f"{attr!r} has no value, or the output has no place for it")
                continue
            value = np.asarray(self[attr])
            if is_by_frame(protocol, attr, value):
                data = self._values.get("data")
                if data is not None and len(data) != len(value):
                    raise LayoutError(
                        f"the container has {len(data)} frames of 'data' and {len(value)} of "
                        f"{attr!r}: nothing tells which go together; load them with the same idxs"
                    )
                value = _good(attr, value, self.good_frames)
            stands_for_all = attr != "data" and protocol.get_kind(attr) == "stack"
            is_first = not (has_data or attr in output or attr in changed)
            if stands_for_all and _is_broadcast(value) and (mode == "overwrite" or is_first):
                value = value[0]
            values[attr] = value
        return values

    def _refuse_other_numbers(
        self, values: Mapping[str, NDArray[Any]], output: CXIStore, mode: SaveMode
    ) -> None:
        """Refuse `good_frames` that would number other frames in the file than in the container."""
        if "good_frames" not in values:
            return
        protocol = output.protocol
        saved = [len(value) for attr, value in values.items() if is_by_frame(protocol, attr, value)]
        good, frames = values["good_frames"], self.frames
        if saved:
            is_first = mode == "overwrite" or not output.frame_count
            if is_first and np.array_equal(good, np.arange(saved[0])):
                return
            raise LayoutError(
                "of the frames only the good ones are saved, which have other numbers in the file: "
                "leave 'good_frames' out, or save its numbers by save_attribute()"
            )
        if frames is not None and not np.array_equal(frames, np.arange(len(frames))):
            raise LayoutError(
                "'good_frames' number the frames that were loaded, which are not the run's first: "
                "save frames[good_frames] by save_attribute() where the run's numbers are meant"
            )

    def _unit(self, attr: str, output: CXIStore) -> str | None:
        """Return the unit that a value is in; None: the one in which the output keeps it."""
        source: CXIStore = self.input_file
        protocol = source.protocol
        if protocol.datatypes[attr] in ("bool", "str") or protocol.get_kind(attr) in _PIXELS:
            return None
        unit = protocol.get_unit(attr)
        if unit is not None or attr not in self._as_loaded:
            return unit
        with ExitStack() as stack:
            if not source:
                stack.enter_context(source)
            unit = source.stated_unit(attr)
        kept = output.protocol.get_unit(attr)
        if self._values.get(attr) is not self._as_loaded[attr]:
            if unit and kept and _differ(unit, kept):
                raise LayoutError(
                    f"{attr!r} was loaded in {unit!r} and then replaced, and the output keeps it "
                    f"in {kept!r}: nobody knows in which of the two it is now. Save it by "
                    f"output_file.save_attribute({attr!r}, ..., unit=...)"
                )
            return None
        return unit or (cxi_unit(attr) if kept is not None or attr in output else None)

    def _whole_shape(self) -> tuple[int, int]:
        store: CXIStore = self.input_file
        with ExitStack() as stack:
            if not store:
                stack.enter_context(store)
            return store.read_shape()


def _transformed(attr: str, value: Any, transform: Transform) -> NDArray[Any]:
    array = np.asarray(value)
    for step in fold(transform, array.shape[-2:], sums=attr in INTENSITIES):
        array = step.apply(array)
    return array


def _good(attr: str, value: NDArray[Any], good: Any) -> NDArray[Any]:
    if good is None:
        return value
    if _is_broadcast(value):
        return np.broadcast_to(value[0], (len(good), *value.shape[1:]))
    if len(value) and len(good) and int(np.max(good)) >= len(value):
        raise LayoutError(
            f"good_frames go up to {np.max(good)}, and {attr!r} has {len(value)} frames"
        )
    return value if np.array_equal(good, np.arange(len(value))) else value[good]


def _is_broadcast(value: Any) -> bool:
    """Tell whether an array is one frame, repeated without taking memory."""
    return (
        isinstance(value, np.ndarray)
        and value.ndim > 2
        and len(value) > 0
        and value.strides[0] == 0
        and not value.flags.writeable  # as frame[None] is, a frame of its own
    )


def _differ(unit: str, other: str) -> bool:
    try:
        return conversion(unit, other) is not None
    except ValueError:  # nobody knows one of them
        return True
