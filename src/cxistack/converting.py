"""Converting a run: every attribute of a store into one new file, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .kernels.threads import count_threads
from .loading import steps_of
from .masks import FLAGS
from .progress import progress_bar
from .protocol import CXIProtocol
from .read.frames import FrameSelection, frame_numbers
from .read.recipe import Casting
from .store import CXIStore
from .transform import Transform
from .view import Bin, Pick
from .write.compression import frame_chunks

__all__ = ["Conversion", "convert"]

_BATCH_BYTES = 96 << 20  # of one batch; two are in memory
_PLACES = ("beam_center_x", "beam_center_y", "corner_position")
_PITCHES = {"y_pixel_size": 0, "x_pixel_size": 1}  # of the slow and the fast axis


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Attributes
    ----------
    frames : int
        How many frames of `data` were written.
    written : tuple of str
        The attributes that are in the new file.
    changed : mapping of str to str
        Those whose values were changed to go with the frames' new pixels, and how.
    left_out : mapping of str to str
        Those that the run has and the new file does not, and why.
    """

    frames: int
    written: tuple[str, ...]
    changed: Mapping[str, str]
    left_out: Mapping[str, str]


def convert(
    source: CXIStore,
    target: CXIStore,
    attributes: Iterable[str] | None = None,
    idxs: FrameSelection = None,
    *,
    transform: Transform | None = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "checked",
    compression: str | Mapping[str, Any] | None = None,
    chunks: Sequence[int] | None = None,
    num_threads: int | None = None,
    verbose: bool = True,
) -> Conversion:
    """Write the attributes of a run to another store's file, all in one commit.

    Frames go batch by batch; the next batch is read while one is encoded and written. Beside the
    arrays that are no stacks, memory holds two batches of 96 MiB, or of a frame for each thread
    where that is larger.

    Parameters
    ----------
    source, target : CXIStore
        The run, and where it goes (a store open for writing).
    attributes : iterable of str, optional
        What is written; when None, all that the run has and the target's protocol knows.
    idxs : None, int, slice, sequence or array of int, or boolean mask
        Which frames, as in :meth:`CXIStore.load_attribute`.
    transform : Transform, optional
        What is done to frames and stacks. Pixel sizes become those of the new pixels.
    dtype : dtype, optional
        Type of `data`; other attributes keep theirs.
    casting : {"checked", "unsafe"}
        Whether a value of `data` that does not fit `dtype` is refused.
    compression, chunks, num_threads
        Of stacks; as in :meth:`CXIStore.save_attribute`.
    verbose : bool
        Show a progress bar.

    Returns
    -------
    Conversion
        What was written, what was changed with the pixels, what was left out, and why.

    Raises
    ------
    CXIError
        An attribute cannot be read or written; the target is then what it was.

    Examples
    --------
    >>> run = CXIStore(example_run)
    >>> done = convert(run, CXIStore("new.cxi", "w"), transform=Crop([0, 4, 0, 4]), verbose=False)
    >>> done.frames, CXIStore("new.cxi")["data"].shape
    (6, (6, 4, 4))
    """
    names = _names(source, target, attributes)
    source = _in_units_of(source, target)
    frames: NDArray[np.int64] | None = None
    if "data" in source:
        frames = frame_numbers(idxs, source.frame_count, "data")
    elif idxs is not None:
        raise ValueError("idxs number the frames of data, and the run has none")
    job = _Job(source, target, frames, transform, compression, chunks, num_threads)
    total = sum(len(job.frames(attr)) for attr in names if job.is_streamed(attr))
    bar = progress_bar(total, "Converting") if verbose else nullcontext()
    with target.transaction(), bar as shown, ThreadPoolExecutor(1) as reader:
        for attr in names:
            given: dict[str, Any] = {"dtype": dtype, "casting": casting} if attr == "data" else {}
            job.tell_of_flags(attr)
            if not job.is_streamed(attr):
                job.copy(attr, given)
                continue
            for count in job.stream(attr, given, reader):
                if shown is not None:
                    shown.update(count)
    written = tuple(name for name in names if name not in job.left_out)
    left_out = job.left_out | _unknown(source, target)
    return Conversion(0 if frames is None else len(frames), written, job.changed, left_out)


def _names(source: CXIStore, target: CXIStore, attributes: Iterable[str] | None) -> list[str]:
    if attributes is None:
        return [attr for attr in source.found if attr in target.protocol]
    names = [attributes] if isinstance(attributes, str) else list(attributes)
    for attr in names:
        source.describe(attr)  # raises for what the run does not have
        if attr not in target.protocol:
            raise ValueError(f"the target's protocol has no place for {attr!r}")
    return names


def _in_units_of(source: CXIStore, target: CXIStore) -> CXIStore:
    """Return the run with its values in the target's units; CXI's own where it says none."""
    known, protocol = CXIProtocol.import_named("cxi"), source.protocol
    units = dict(protocol.units)
    for attr, paths in protocol.load_paths.items():
        unit = target.protocol.get_unit(attr) or known.get_unit(attr)
        if unit is None or protocol.datatypes[attr] in ("bool", "str"):
            continue
        if units.setdefault(attr, (unit,) * len(paths))[0] != unit:
            raise ValueError(
                f"{attr!r} comes in {units[attr][0]!r} by the run's protocol, and is written in "
                f"{unit!r}: give both the same unit"
            )
    if units == protocol.units:
        return source
    return CXIStore(source.paths(), protocol=protocol.replace(units=units), links=source.links)


def _unknown(source: CXIStore, target: CXIStore) -> dict[str, str]:
    why = "the new file's protocol has no place for it"
    return {attr: why for attr in source.found if attr not in target.protocol}


class _Job:
    """One conversion: what its attributes are read with and written with."""

    def __init__(
        self,
        source: CXIStore,
        target: CXIStore,
        frames: NDArray[np.int64] | None,
        transform: Transform | None,
        compression: str | Mapping[str, Any] | None,
        chunks: Sequence[int] | None,
        num_threads: int | None,
    ) -> None:
        self._source = source
        self._target = target
        self._frames = frames
        self._transform = transform
        self._storage: dict[str, Any] = {
            "compression": compression,
            "chunks": chunks,
            "num_threads": num_threads,
        }
        self._threads = num_threads
        self.changed: dict[str, str] = {}
        self.left_out: dict[str, str] = {}

    def frames(self, attr: str) -> NDArray[np.int64]:
        """Return which frames of an attribute are written: its own all where there is no data."""
        if self._frames is not None:
            return self._frames
        return np.arange(self._source.describe(attr)[0][0])

    def is_streamed(self, attr: str) -> bool:
        """Tell whether an attribute is a stack of as many frames as there are in the files."""
        return (
            self._source.protocol.get_kind(attr) == "stack"
            and self._source.is_indexed(attr)
            and not self._source.is_static(attr)
        )

    def tell_of_flags(self, attr: str) -> None:
        """Say of a mask of flags that only which pixels are good comes through."""
        path = self._source.find_dataset(attr)
        if self._source.protocol.get_convention(attr, path) in FLAGS:
            self.changed[attr] = "where it is good; reasons for bad pixels, if any, are not copied"

    def stream(self, attr: str, given: dict[str, Any], reader: ThreadPoolExecutor) -> Iterator[int]:
        """Write a stack batch by batch; yield how many frames each of them is."""
        shape, dtype = self._source.describe(attr, transform=self._transform, **given)
        wanted = self.frames(attr)
        count = min(self._batch(shape, dtype), max(1, len(wanted)))
        # One is read into while the other is written from.
        buffers = [np.empty((count, *shape[1:]), dtype) for _ in range(2)]

        def read(first: int) -> NDArray[Any]:
            frames = wanted[first : first + count]
            out = buffers[first // count % 2][: len(frames)]
            return np.asarray(self._load(attr, frames, {**given, "out": out}))

        coming = reader.submit(read, 0)
        with self._target.writer(attr, **self._storage) as writer:
            for first in range(count, max(1, len(wanted)) + count, count):
                loaded = coming.result()
                if first < len(wanted):
                    coming = reader.submit(read, first)
                writer.append(loaded)
                yield len(loaded)

    def _batch(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
        """Return of how many frames a batch is, which fill whole chunks."""
        frame = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        count = max(1, _BATCH_BYTES // max(1, frame))
        chunks = self._storage["chunks"]
        depth: int = chunks[0] if chunks else frame_chunks(shape, dtype)[0]
        # And the same number of chunks for each thread, or some would wait for others.
        depth *= count_threads(self._threads)
        return max(depth, count // depth * depth)

    def copy(self, attr: str, given: dict[str, Any]) -> None:
        """Write an attribute that is in memory at once."""
        if attr in _PLACES and self._transform is not None:
            self.left_out[attr] = "it is a place among the old pixels"
            return
        kind = self._source.protocol.get_kind(attr)
        by_frame = self._source.is_indexed(attr) and kind != "stack"
        value = self._load(attr, self._frames if by_frame else None, given)
        if kind == "stack":
            if not len(value):
                self.left_out[attr] = "there are no frames that it could stand for"
                return
            value = value[0]  # one frame stands for all
        if attr == "good_frames" and self._frames is not None:
            value = np.flatnonzero(np.isin(self._frames, value))
            self.changed[attr] = "numbers of the frames in the new file"
        if attr in _PITCHES or attr == "basis_vectors":
            value = self._pixels(attr, value)
            if value is None:
                return
        options: dict[str, Any] = self._storage if kind in ("stack", "frame") else {}
        self._target.save_attribute(attr, value, "overwrite", **options)

    def _pixels(self, attr: str, value: Any) -> Any:
        """Return a pixel size that goes with the new frames, or None: it is left out."""
        pitches = self._pitches()
        if attr == "basis_vectors":
            if pitches == (1, 1):
                return value
            self.left_out[attr] = "it does not describe the new pixels"
            return None
        factor = abs(pitches[_PITCHES[attr]])
        if factor != 1:
            self.changed[attr] = f"{factor} times as large, as the new pixels are"
        return value * factor

    def _pitches(self) -> tuple[int, int]:
        """Return how many of the old pixels a new one is apart from the next, along both axes."""
        if self._transform is None:
            return 1, 1
        slow = fast = 1
        for step in steps_of("data", self._transform, self._source.read_shape()):
            if isinstance(step, Pick):
                raise ValueError(
                    "this transform picks pixels that are not evenly apart: the new frames have "
                    "no pixel size; leave it out with attributes="
                )
            if isinstance(step, Bin):
                slow, fast = slow * step.n, fast * step.n
            else:
                slow, fast = slow * step.ss.step, fast * step.fs.step
        return slow, fast

    def _load(self, attr: str, idxs: NDArray[np.int64] | None, given: dict[str, Any]) -> Any:
        pixels = self._source.protocol.get_kind(attr) in ("stack", "frame")
        return self._source.load_attribute(
            attr,
            idxs,
            transform=self._transform if pixels else None,
            num_threads=self._threads,
            verbose=False,
            **given,
        )
