"""Carrier: reads the attributes of a run one after the other, and writes them to a new file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue.together import DataFrames, misfit
from ..errors import FileChangedError, LayoutError
from ..hdf5.patience import read_again
from ..kernels.threads import count_threads
from ..loading.load import Load
from ..protocol.attribute import Attribute, Trait
from ..protocol.masks import FLAGS
from ..saving.compression import frame_chunks
from ..saving.memory import memory_told
from ..saving.request import SaveRequest
from ..saving.virtual import VirtualDataset
from ..store.store import CXIStore
from ..transforms.fold import fold
from ..transforms.steps import Bin, Pick
from .request import LEAVE_OUT, ConvertRequest
from .virtual import virtual_of

__all__ = ["Carrier"]


_BATCH_BYTES = 96 << 20  # of one batch; two are in memory
_PITCH = Trait.SLOW_PITCH | Trait.FAST_PITCH


@dataclass
class Carrier:
    """One conversion; `changed`, `whole` and `left_out` are those of a ``Conversion``."""

    request: ConvertRequest
    run: CXIStore  # with values in the units of the new file
    target: CXIStore
    frames: NDArray[np.int64] | None  # of `data`, that are written; None where the run has none
    new_units: Collection[str]  # attributes in a unit of which the run's own protocol says nothing
    changed: dict[str, str] = field(default_factory=dict)
    whole: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    virtual: dict[str, VirtualDataset] = field(default_factory=dict)
    _loads: dict[str, Load] = field(default_factory=dict)

    @property
    def is_chosen(self) -> bool:
        """Whether a user chose frames."""
        return self.request.idxs is not None

    def _first_with(self, attribute: Attribute) -> int | None:
        """Return the file that a scalar comes from where none is named."""
        found = self.run._catalogue.found(attribute.name)
        return min(found) if found and attribute.kind == "scalar" else None

    def _load(self, attribute: Attribute) -> Load:
        """Return the load of all that the run has of an attribute, prepared once."""
        attr, request = attribute.name, self.request
        if attr not in self._loads:
            is_data = Trait.DATA in attribute.traits
            self._loads[attr] = self.run._prepare(
                attr,
                source=request.sources.get(attr, self._first_with(attribute)),
                transform=request.transform if attribute.has_pixels else None,
                dtype=request.dtype if is_data else None,
                casting=request.casting if is_data else "checked",
                raw=self._keeps_flags(attribute),
            )
        return self._loads[attr]

    def _read(
        self,
        attribute: Attribute,
        numbers: NDArray[np.int64] | None,
        out: NDArray[Any] | None = None,
    ) -> Any:
        """Read frames by their numbers; all when None."""
        threads = self.request.num_threads

        def look_again() -> None:
            old = self._loads.pop(attribute.name)
            self.run.update_indices()
            new = self._load(attribute)
            if (new.shape, new.dtype) != (old.shape, old.dtype):
                raise FileChangedError(
                    f"{attribute.name!r} of shape {old.shape} as {old.dtype} became {new.shape} as "
                    f"{new.dtype} meanwhile: convert the files when nobody writes to them"
                )

        return read_again(
            lambda: self._load(attribute).read(numbers, out, num_threads=threads), look_again
        )

    def numbers(self, attribute: Attribute) -> NDArray[np.int64]:
        """Return which frames of an attribute are written."""
        load = self._load(attribute)
        if self.frames is None or load.index.mismatch is not None:
            return np.arange(load.count)
        return self.frames

    def value(self, attribute: Attribute) -> Any:
        """Return the values of an attribute that are written, all at once."""
        load = self._load(attribute)
        if load.is_single:
            return self._read(attribute, None)
        if load.is_static:
            return self._read(attribute, np.zeros(1, np.int64))[0]
        return self._read(attribute, self.numbers(attribute))

    def _keeps_flags(self, attribute: Attribute) -> bool:
        """Tell whether a mask's bits are copied, as they mean the same in the new file."""
        attr, catalogue = attribute.name, self.run._catalogue
        found = catalogue.found(attr).values()
        if not attribute.is_mask or not found or attr in self.target:
            return False
        steps = fold(self.request.transform, self.run.read_shape())
        new = self.target.protocol.attribute(attr)
        conventions = {attribute.at(one.path).convention for one in found}
        conventions.add(new.at(self.target.find_dataset(attr)).convention)
        return (
            len(conventions) == 1
            and not conventions.isdisjoint(FLAGS)
            and all(stored.dtype.kind in "iu" for one in found for stored in one.datasets)
            and attribute.flags == new.flags
            and not catalogue.limits(attr)
            and attribute.limits == new.limits
            and not any(isinstance(step, Bin) for step in steps)
        )

    def refuse_empty(self, attribute: Attribute) -> None:
        """Raise where a user's word leaves nothing of an attribute; says which."""
        attr, request = attribute.name, self.request
        if self.is_chosen and self.frames is not None and not len(self.frames):
            raise LayoutError(
                f"nothing to convert: idxs= (--frames) choose none of the {self.run.frame_count} "
                "frames of 'data'"
            )
        if attribute.has_pixels and request.transform is not None:
            load = self._load(attribute)
            if 0 in load.frame_shape[-2:] and 0 not in load.index.frame_shape[-2:]:
                raise LayoutError(
                    f"nothing to convert: of frames of {attr!r}, which have shape "
                    f"{load.index.frame_shape}, transform={request.transform!r} (--crop, "
                    "--downscale, --bin) leaves no pixel"
                )
        if Trait.FRAME_NUMBERS in attribute.traits and self.is_chosen and self.frames is not None:
            good = self.value(attribute)
            if len(good) and not np.isin(good, self.frames).any():
                raise LayoutError(
                    f"nothing good to convert: idxs= (--frames) choose none of the frames that "
                    f"{attr!r} names, so that the new file's {attr!r} would be empty. Choose "
                    f"others, or {LEAVE_OUT}"
                )

    def check(self, attribute: Attribute) -> None:
        """Raise if an attribute cannot be loaded, or its frames cannot be written with `data`."""
        attr, load = attribute.name, self._load(attribute)
        self._refuse_unfit(attribute)
        if self.request.virtual and attribute.kind == "stack":
            self._map(attribute)
        mismatch = load.index.mismatch
        if mismatch is None or load.is_single:
            return
        if self.is_chosen:
            raise LayoutError(
                f"frames of {attr!r} cannot be chosen by the numbers of those of 'data': "
                f"{mismatch}. Convert all frames, or {LEAVE_OUT}"
            )
        if "data" in self.request.attributes:
            raise LayoutError(
                f"in one file, the frames of {attr!r} would be taken to go with those of 'data', "
                f"and they do not: {mismatch}. Convert the files one by one, or {LEAVE_OUT}"
            )
        self.whole[attr] = f"its frames do not go with those of 'data': {mismatch}"

    def _map(self, attribute: Attribute) -> None:
        """Decide whether a stack is virtual: `data` must be, and of others those that can be."""
        attr, load = attribute.name, self._load(attribute)
        if attr in self.target:
            raise LayoutError(f"{self.target.filenames()[0]} has {attr!r} already: name a new file")
        # The flags of CXI have 32 bits; others are copied to such.
        is_copied = attribute.is_mask and not (load.request.raw and load.dtype == np.uint32)
        if is_copied or not self.is_streamed(attribute):
            return
        try:
            self.virtual[attr] = virtual_of(load, self.numbers(attribute), self.target.paths()[0])
        except LayoutError as error:
            if attribute.is_data:
                raise LayoutError(
                    f"{attr!r} cannot be left in its files (virtual=, --virtual): {error}. "
                    "Convert it without that"
                ) from error

    def _refuse_unfit(self, attribute: Attribute) -> None:
        """Raise where what is written has not the shape that goes with the new file's `data`."""
        attr, load = attribute.name, self._load(attribute)
        if self.frames is None or "data" not in self.request.attributes:
            return
        if load.index.mismatch is None and self._why_left_out(attribute) is None:
            data = self._load(self.run.protocol.attribute("data"))
            frames = DataFrames(len(self.frames), data.frame_shape)
            count = len(self.numbers(attribute))
            is_one = load.is_single or load.is_static
            shape = load.frame_shape if is_one else (count, *load.frame_shape)
            why = misfit(self.target.protocol.attribute(attr), shape, frames)
            if why is not None:
                raise LayoutError(f"{self.run.filenames()[0]}: {why}. Mend it, or {LEAVE_OUT}")

    def _why_left_out(self, attribute: Attribute) -> str | None:
        """Return why the new file cannot have an attribute."""
        load = self._load(attribute)
        if Trait.PIXEL_PLACE in attribute.traits and self.request.transform is not None:
            return "it is a position in pixels of the old frames"
        if Trait.PIXEL_VECTORS in attribute.traits and self._pitches() != (1, 1):
            return "its vectors are between pixels of the old frames"
        if load.is_static and not load.count:
            return "the run has no frames that it could stand for"
        return None

    def is_streamed(self, attribute: Attribute) -> bool:
        """Tell whether an attribute has as many frames or rows as there are in the files."""
        load = self._load(attribute)
        is_copied = load.is_single or load.is_static or load.is_text or attribute.traits & _PITCH
        kind = self.target.protocol.attribute(attribute.name).kind
        return attribute.kind == kind and not is_copied

    def goes_with_data(self, attribute: Attribute) -> bool:
        """Tell whether an attribute is written, and has a frame for each that is of `data`."""
        is_there = self._why_left_out(attribute) is None
        return is_there and self._load(attribute).index.mismatch is None

    def load_of(self, attr: str) -> Load:
        """Return the load of all that the run has of an attribute."""
        return self._load(self.run.protocol.attribute(attr))

    def carry(self, attribute: Attribute, reader: ThreadPoolExecutor) -> Iterator[int]:
        """Write an attribute; yield the number of frames after each batch."""
        why = self._why_left_out(attribute)
        if why is not None:
            self.left_out[attribute.name] = why
            return
        self._tell_of_flags(attribute)
        self._tell_of_types(attribute)
        if attribute.name in self.virtual:
            virtual, raw = self.virtual[attribute.name], self._load(attribute).request.raw
            new = self.target.protocol.attribute(attribute.name)
            none = np.empty((0, *virtual.shape[1:]), virtual.dtype)
            self.target._session.save_virtual(SaveRequest(new, none, raw=raw), virtual)
        elif self.is_streamed(attribute):
            yield from self._stream(attribute, reader)
        else:
            self._copy(attribute)
        self._state_unit(attribute)

    def _stream(self, attribute: Attribute, reader: ThreadPoolExecutor) -> Iterator[int]:
        """Write frames batch by batch; yield the number of frames of each batch."""
        load = self._load(attribute)
        wanted = self.numbers(attribute)
        storage = self._storage(attribute, load.shape)
        count = min(self._batch(load, attribute, storage), max(1, len(wanted)))
        # One is read into while the other is written from.
        shape = (count, *load.frame_shape)
        target, attr = self.target, attribute.name
        with memory_told(
            lambda: f"{target.filenames()[0]}:{target.find_dataset(attr)}", attr, shape, load.dtype
        ):
            buffers = [np.empty(shape, load.dtype) for _ in range(2)]

        def read(first: int) -> NDArray[Any]:
            frames = wanted[first : first + count]
            out = buffers[first // count % 2][: len(frames)]
            return np.asarray(self._read(attribute, frames, out))

        coming = reader.submit(read, 0)
        with self.target.writer(attribute.name, **storage) as writer:
            for first in range(count, max(1, len(wanted)) + count, count):
                loaded = coming.result()
                if first < len(wanted):
                    coming = reader.submit(read, first)
                writer.append(loaded)
                yield len(loaded)

    def _storage(self, attribute: Attribute, shape: tuple[int, ...]) -> dict[str, Any]:
        """Return how an attribute is stored; the chunks of `data` are for stacks of its rank."""
        if not attribute.has_pixels:
            return {}
        chunks = self.request.chunks
        fits = chunks is not None and attribute.kind == "stack" and len(chunks) == len(shape)
        return {
            "compression": self.request.compression,
            "chunks": chunks if fits or Trait.DATA in attribute.traits else None,
            "num_threads": self.request.num_threads,
            "raw": self._load(attribute).request.raw,
        }

    def _batch(self, load: Load, attribute: Attribute, storage: Mapping[str, Any]) -> int:
        """Return the number of frames of a batch, which fill whole chunks."""
        frame = int(np.prod(load.frame_shape, dtype=np.int64)) * load.dtype.itemsize
        count = max(1, _BATCH_BYTES // max(1, frame))
        if attribute.kind != "stack":
            return count
        chunks = storage["chunks"]
        depth: int = chunks[0] if chunks else frame_chunks(load.shape, load.dtype)[0]
        # And the same number of chunks for each thread, or some would wait for others.
        depth *= count_threads(self.request.num_threads)
        return max(depth, count // depth * depth)

    def _copy(self, attribute: Attribute) -> None:
        """Write an attribute that is in memory at once."""
        value = self.value(attribute)
        if Trait.FRAME_NUMBERS in attribute.traits and self.is_chosen and self.frames is not None:
            value = np.flatnonzero(np.isin(self.frames, value))
            self._tell(attribute, "numbers of the frames in the new file")
        if attribute.traits & _PITCH:
            slow, fast = self._pitches()
            factor = abs(slow if Trait.SLOW_PITCH in attribute.traits else fast)
            if factor != 1:
                value = value * factor
                self._tell(attribute, f"{factor} times as large, as the new pixels are")
        storage = self._storage(attribute, np.shape(value))
        self.target.save_attribute(attribute.name, value, **storage)

    def _pitches(self) -> tuple[int, int]:
        """Return how many old pixels apart the new ones are, along the slow and the fast axis."""
        slow = fast = 1
        for step in fold(self.request.transform, self.run.read_shape()):
            if isinstance(step, Pick):
                raise ValueError(
                    "the transform picks pixels that are not evenly apart, so that new frames have "
                    f"no pixel size: {LEAVE_OUT}"
                )
            if isinstance(step, Bin):
                slow, fast = slow * step.n, fast * step.n
            else:
                slow, fast = slow * step.ss.step, fast * step.fs.step
        return slow, fast

    def _state_unit(self, attribute: Attribute) -> None:
        """Have a dataset state its unit where the target's protocol does not state it."""
        attr = attribute.name
        if attribute.unit is None or self.target.protocol.attribute(attr).unit is not None:
            return
        with self.target.transaction() as transaction, transaction.writing() as h5:
            h5[self.target.find_dataset(attr)].attrs["units"] = attribute.unit

    def _tell(self, attribute: Attribute, text: str) -> None:
        told = self.changed.get(attribute.name)
        self.changed[attribute.name] = f"{told}; {text}" if told else text

    def _tell_of_flags(self, attribute: Attribute) -> None:
        """Tell of a mask whose flags become good and bad."""
        convention = attribute.at(self.run.find_dataset(attribute.name)).convention
        if convention in FLAGS and not self._load(attribute).request.raw:
            self._tell(attribute, "which pixels are good; the reasons for bad ones are not copied")

    def _tell_of_types(self, attribute: Attribute) -> None:
        """Tell of values in another unit or of another type than in the files."""
        load = self._load(attribute)
        if attribute.name in self.new_units:
            for one in dict.fromkeys(load.conversions):
                if one is not None:
                    self._tell(attribute, f"from {one.stated} to {one.wanted}")
        is_asked_for = Trait.DATA in attribute.traits and self.request.dtype is not None
        is_binned = any(isinstance(step, Bin) for one in load.recipes[:1] for step in one.steps)
        if is_asked_for or is_binned or attribute.is_mask:
            return
        stored = [part.stored.dtype.newbyteorder("=") for part in load.index.parts]
        others = [str(one) for one in dict.fromkeys(stored) if one != load.dtype]
        if others and load.recipes and not load.conversions:
            self._tell(attribute, f"as {load.dtype}, where the files have {', '.join(others)}")
