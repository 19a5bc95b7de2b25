"""Carrying one attribute after the other from a run to a new file: how each of them goes over."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import FileChangedError, LayoutError
from ..kernels import Casting
from ..kernels.threads import count_threads
from ..loading.load import Load
from ..protocol.masks import FLAGS
from ..saving.compression import frame_chunks
from ..store.store import CXIStore
from ..transforms.base import Transform
from ..transforms.fold import fold
from ..transforms.steps import Bin, Pick

__all__ = ["LEAVE_OUT", "Carrier", "HowData"]


LEAVE_OUT = "name the attributes that you want without it (attributes=, --attributes)"

_BATCH_BYTES = 96 << 20  # of one batch; two are in memory
_PLACES = ("beam_center_x", "beam_center_y", "corner_position")
_PITCHES = {"y_pixel_size": 0, "x_pixel_size": 1}  # of the slow and the fast axis


@dataclass(frozen=True)
class HowData:
    """What a user says of the type of `data`; other attributes keep theirs."""

    dtype: DTypeLike | None = None
    casting: Casting = "checked"


@dataclass
class Carrier:
    """One conversion: what its attributes are read with and written with.

    Attributes
    ----------
    source, target : CXIStore
        The run, and where it goes.
    frames : ndarray of int64 or None
        The frames of `data` that are written; None where the run has none.
    is_chosen, has_data : bool
        Whether a user chose these, and whether `data` itself is written.
    transform, data
        What is done to frames, and the type of `data`.
    compression, chunks, num_threads
        How stacks are stored, and how many threads work.
    sources : mapping of str to int or str
        Of scalars and frames, the file that counts, where it is not the first.
    new_units : collection of str
        Attributes that come in a unit of which the run's own protocol says nothing.
    changed, whole, left_out : dict of str to str
        What there is to tell, by attribute; see :class:`~cxistack.converting.convert.Conversion`.
    """

    source: CXIStore
    target: CXIStore
    frames: NDArray[np.int64] | None
    is_chosen: bool
    has_data: bool
    transform: Transform | None
    data: HowData
    compression: str | Mapping[str, Any] | None
    chunks: Sequence[int] | None
    num_threads: int | None
    sources: Mapping[str, int | str]
    new_units: Collection[str]
    changed: dict[str, str] = field(default_factory=dict)
    whole: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    _loads: dict[str, Load] = field(default_factory=dict)

    def check(self, attr: str) -> None:
        """Raise what keeps an attribute from being carried over, as far as it shows unread.

        Raises
        ------
        CXIError
            It cannot be loaded, or its frames do not go with those that were chosen.
        """
        load = self._load(attr)
        mismatch = load.index.mismatch
        if mismatch is None or load.is_single:
            return
        count = 0 if self.frames is None else len(self.frames)
        if self.is_chosen:
            raise LayoutError(
                f"{attr!r} has no frames to be chosen with those of 'data': {mismatch}. Convert "
                f"all frames, or {LEAVE_OUT}"
            )
        if self.has_data and (load.is_static or load.count == count):
            raise LayoutError(
                f"{attr!r} would pass in one file for what goes with 'data' frame by frame: "
                f"{mismatch}. Convert the files apart, or {LEAVE_OUT}"
            )
        self.whole[attr] = f"its frames do not go with those of 'data': {mismatch}"

    def count(self, attr: str) -> int:
        """Return how many frames there are to be told of while they are written."""
        return len(self._numbers(attr)) if self.is_streamed(attr) else 0

    def carry(self, attr: str, reader: ThreadPoolExecutor) -> Iterator[int]:
        """Write an attribute; yield how many frames have been, each time that some have."""
        why = self._why_left_out(attr)
        if why is not None:
            self.left_out[attr] = why
            return
        self._tell_of_flags(attr)
        self._tell_of_types(attr)
        if self.is_streamed(attr):
            yield from self._stream(attr, reader)
        else:
            self._copy(attr)
        self._state_unit(attr)

    def _why_left_out(self, attr: str) -> str | None:
        """Return why the new file cannot have an attribute."""
        load = self._load(attr)
        if attr in _PLACES and self.transform is not None:
            return "it is a place among the old pixels"
        if attr == "basis_vectors" and self._pitches() != (1, 1):
            return "it does not describe the new pixels"
        if self.source.protocol.get_kind(attr) == "stack" and load.is_static and not load.count:
            return "there are no frames that it could stand for"
        return None

    def is_streamed(self, attr: str) -> bool:
        """Tell whether an attribute has as many frames or rows as there are in the files."""
        load = self._load(attr)
        kind = self.source.protocol.get_kind(attr)
        is_whole = attr in _PITCHES or kind != self.target.protocol.get_kind(attr)
        return not (load.is_single or load.is_static or load.is_text or is_whole)

    def _load(self, attr: str) -> Load:
        """Return the load of all that the run has of an attribute, prepared once."""
        if attr not in self._loads:
            kind = self.source.protocol.get_kind(attr)
            self._loads[attr] = self.source._prepare(
                attr,
                transform=self.transform if kind in ("stack", "frame") else None,
                dtype=self.data.dtype if attr == "data" else None,
                casting=self.data.casting if attr == "data" else "checked",
                source=self.sources.get(attr),
                raw=self._keeps_flags(attr),
            )
        return self._loads[attr]

    def _keeps_flags(self, attr: str) -> bool:
        """Tell whether the bits of a mask mean the same in the new file, and go there as they are.

        Other protocols' flags, limits and bins say more of a pixel than its bits.
        """
        catalogue, run, target = self.source._catalogue, self.source.protocol, self.target.protocol
        found = catalogue.found(attr).values()
        if run.datatypes[attr] != "bool" or not found or attr in self.target:
            return False
        grid = self.source.read_shape()
        if self.transform is not None and any(
            isinstance(step, Bin) for step in fold(self.transform, grid)
        ):
            return False
        conventions = {run.get_convention(attr, one.path) for one in found}
        conventions.add(target.get_convention(attr, self.target.find_dataset(attr)))
        return (
            len(conventions) == 1
            and not conventions.isdisjoint(FLAGS)
            and all(stored.dtype.kind in "iu" for one in found for stored in one.datasets)
            and run.flags.get(attr) == target.flags.get(attr)
            and not catalogue.limits(attr)
            and run.limits.get(attr, ()) == target.limits.get(attr, ())
        )

    def _numbers(self, attr: str) -> NDArray[np.int64]:
        """Return which frames of an attribute are written."""
        load = self._load(attr)
        if self.frames is None or load.index.mismatch is not None:
            return np.arange(load.count)
        return self.frames

    def _run(
        self, attr: str, numbers: NDArray[np.int64] | None, out: NDArray[Any] | None = None
    ) -> Any:
        try:
            return self._run_once(attr, numbers, out)
        except FileChangedError:  # no trouble once, and an error twice
            old = self._loads.pop(attr)
            self.source.update_indices()
            new = self._load(attr)
            if (new.index.total, new.shape, new.dtype) != (old.index.total, old.shape, old.dtype):
                raise
            return self._run_once(attr, numbers, out)

    def _run_once(
        self, attr: str, numbers: NDArray[np.int64] | None, out: NDArray[Any] | None
    ) -> Any:
        return self._load(attr).read(numbers, out, num_threads=self.num_threads)

    def _tell(self, attr: str, text: str) -> None:
        self.changed[attr] = "; ".join(filter(None, (self.changed.get(attr), text)))

    def _tell_of_flags(self, attr: str) -> None:
        """Say of a mask of flags that only which pixels are good comes through."""
        path = self.source.find_dataset(attr)
        convention = self.source.protocol.get_convention(attr, path)
        if convention in FLAGS and not self._load(attr).request.raw:
            self._tell(attr, "where it is good; reasons for bad pixels, if any, are not copied")

    def _tell_of_types(self, attr: str) -> None:
        """Say of values that are of another type than in the files, or in another unit."""
        load = self._load(attr)
        if attr in self.new_units:
            for one in dict.fromkeys(load.conversions):
                if one is not None:
                    self._tell(attr, f"from {one.stated} to {one.wanted}")
        is_asked_for = attr == "data" and self.data.dtype is not None
        is_binned = any(isinstance(step, Bin) for one in load.recipes[:1] for step in one.steps)
        if is_asked_for or is_binned or self.source.protocol.datatypes[attr] == "bool":
            return
        stored = [part.stored.dtype.newbyteorder("=") for part in load.index.parts]
        others = [str(one) for one in dict.fromkeys(stored) if one != load.dtype]
        if others and load.recipes and not load.conversions:
            self._tell(attr, f"as {load.dtype}, where the files have {', '.join(others)}")

    def _state_unit(self, attr: str) -> None:
        """Let a dataset state its unit of which the target's protocol says nothing."""
        unit = self.source.protocol.get_unit(attr)
        if unit is None or self.target.protocol.get_unit(attr) is not None:
            return
        with self.target.transaction() as transaction, transaction.writing() as h5:
            h5[self.target.find_dataset(attr)].attrs["units"] = unit

    def _stream(self, attr: str, reader: ThreadPoolExecutor) -> Iterator[int]:
        """Write frames batch by batch; yield how many each of them is."""
        load = self._load(attr)
        wanted = self._numbers(attr)
        storage = self._storage(attr, load.shape)
        count = min(self._batch(load, storage), max(1, len(wanted)))
        # One is read into while the other is written from.
        buffers = [np.empty((count, *load.shape[1:]), load.dtype) for _ in range(2)]

        def read(first: int) -> NDArray[Any]:
            frames = wanted[first : first + count]
            out = buffers[first // count % 2][: len(frames)]
            return np.asarray(self._run(attr, frames, out))

        coming = reader.submit(read, 0)
        with self.target.writer(attr, **storage) as writer:
            for first in range(count, max(1, len(wanted)) + count, count):
                loaded = coming.result()
                if first < len(wanted):
                    coming = reader.submit(read, first)
                writer.append(loaded)
                yield len(loaded)

    def _storage(self, attr: str, shape: tuple[int, ...]) -> dict[str, Any]:
        """Return how an attribute is stored: what was said of stacks goes for what it fits."""
        kind = self.source.protocol.get_kind(attr)
        if kind not in ("stack", "frame"):
            return {}
        fits = self.chunks is not None and kind == "stack" and len(self.chunks) == len(shape)
        return {
            "compression": self.compression,
            "chunks": self.chunks if fits or attr == "data" else None,
            "num_threads": self.num_threads,
            "raw": self._load(attr).request.raw,
        }

    def _batch(self, load: Load, storage: Mapping[str, Any]) -> int:
        """Return of how many frames a batch is, which fill whole chunks."""
        frame = int(np.prod(load.shape[1:], dtype=np.int64)) * load.dtype.itemsize
        count = max(1, _BATCH_BYTES // max(1, frame))
        if self.source.protocol.get_kind(load.attr) != "stack":
            return count
        chunks = storage["chunks"]
        depth: int = chunks[0] if chunks else frame_chunks(load.shape, load.dtype)[0]
        # And the same number of chunks for each thread, or some would wait for others.
        depth *= count_threads(self.num_threads)
        return max(depth, count // depth * depth)

    def _copy(self, attr: str) -> None:
        """Write an attribute that is in memory at once."""
        value = self.value(attr)
        if attr == "good_frames" and self.is_chosen and self.frames is not None:
            value = np.flatnonzero(np.isin(self.frames, value))
            self._tell(attr, "numbers of the frames in the new file")
        if attr in _PITCHES:
            value = self._pixels(attr, value)
        self.target.save_attribute(attr, value, **self._storage(attr, np.shape(value)))

    def value(self, attr: str) -> Any:
        """Return the values of an attribute that go over, those of the frames that do."""
        load = self._load(attr)
        if load.is_single:
            return self._run(attr, None)
        if self.source.protocol.get_kind(attr) == "stack":  # one frame stands for all
            return self._run(attr, np.zeros(1, np.int64))[0]
        return self._run(attr, self._numbers(attr))

    def _pixels(self, attr: str, value: Any) -> Any:
        """Return the size of the new pixels."""
        factor = abs(self._pitches()[_PITCHES[attr]])
        if factor == 1:
            return value
        self._tell(attr, f"{factor} times as large, as the new pixels are")
        return value * factor

    def _pitches(self) -> tuple[int, int]:
        """Return how many of the old pixels a new one is apart from the next, along both axes."""
        if self.transform is None:
            return 1, 1
        slow = fast = 1
        for step in fold(self.transform, self.source.read_shape()):
            if isinstance(step, Pick):
                raise ValueError(
                    "this transform picks pixels that are not evenly apart: the new frames have "
                    "no pixel size; leave it out (attributes=, --attributes)"
                )
            if isinstance(step, Bin):
                slow, fast = slow * step.n, fast * step.n
            else:
                slow, fast = slow * step.ss.step, fast * step.fs.step
        return slow, fast
