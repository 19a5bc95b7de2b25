"""FrameStream: batches of frames, read ahead of who works on them, in bounded memory."""

from __future__ import annotations

import math
import operator
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import CXIError
from .batch import Batch
from .ring import HELD, Ring
from .skipping import Leaving

__all__ = ["FrameStream", "Lane", "Words"]

_BATCH_BYTES = 16 << 20  # of a batch whose length nobody says
_PIECE_BYTES = 64 << 20  # that are read before it is asked whether anybody still wants them


@dataclass(frozen=True)
class Lane:
    """One attribute of a stream.

    Attributes
    ----------
    attr : str
        Its name.
    shape : tuple of int
        Shape of a frame.
    dtype : numpy.dtype
        Type of its values.
    read : callable
        Takes frame numbers and an array to read them into; returns the frames: these, or what it
        made of its own where there is no array.
    once : ndarray or None
        The frame that stands for all, which is not read again.
    batch : int
        How many frames are best read together.
    makes_its_own : bool
        Whether `read` takes no array.
    """

    attr: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[NDArray[np.int64], NDArray[Any] | None], Any]
    once: NDArray[Any] | None = None
    batch: int = 1
    makes_its_own: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of a frame that is read for each batch."""
        return 0 if self.once is not None else self.dtype.itemsize * math.prod(self.shape)


@dataclass(frozen=True)
class Words:
    """How a stream is cut and read ahead.

    Attributes
    ----------
    batch : int or None
        Frames of a batch.
    prefetch : int
        Batches that are read before they are asked for.
    buffers : sequence or None
        Where batches go.
    is_single : bool
        Whether batches are arrays, and not dicts of them.
    what : tuple
        What the stream is of, for who resumes it.
    leaving : Leaving or None
        Leaves out files that cannot be read.
    """

    batch: int | None = None
    prefetch: int = 2
    buffers: Sequence[Any] | None = None
    is_single: bool = True
    what: tuple[Any, ...] = ()
    leaving: Leaving | None = None


class FrameStream(Iterator[Batch]):
    """An iterator of batches, which a thread reads ahead; what :meth:`CXIStore.stream` returns.

    A batch is valid until the next two are asked for; its memory is then used again.
    ``batch.copy()`` is one's own. It ends with its last name, a ``with`` block, or :meth:`close`.

    Attributes
    ----------
    batch : int
        Frames of a batch; the last has what is left.
    total : int
        Frames of the stream.
    done : int
        Frames that were given.
    """

    def __init__(self, lanes: Sequence[Lane], numbers: NDArray[np.int64], words: Words) -> None:
        self._lanes, self._numbers, self._words = tuple(lanes), numbers, words
        self.total, self.done = len(numbers), 0
        self.prefetch = _whole(words.prefetch, "prefetch", 0)
        self._given = _given(words, self._lanes)
        if self._given is not None:
            self.prefetch = min(self.prefetch, len(self._given) - HELD)
        self.batch = self._batch_frames()
        self._ring: Ring[Batch] | None = None

    def _batch_frames(self) -> int:
        if self._given is not None:
            room = min((len(one) for slot in self._given for one in slot.values()), default=1)
            if self._words.batch is None:
                return _whole(room, "the frames of a buffer", 1)
            if self._words.batch > room:
                raise ValueError(
                    f"a batch of {self._words.batch} frames does not fit into the buffers, which "
                    f"hold {room}"
                )
        if self._words.batch is not None:
            return _whole(self._words.batch, "batch", 1)
        chunk = max((lane.batch for lane in self._lanes), default=1)
        size = sum(lane.nbytes for lane in self._lanes)
        fits = max(1, _BATCH_BYTES // max(1, size))
        return fits if fits < chunk else fits - fits % chunk

    def __len__(self) -> int:
        return -(-(self.total - self.done) // self.batch)

    def __repr__(self) -> str:
        names = ", ".join(lane.attr for lane in self._lanes)
        return f"<stream of {names}: {self.done} of {self.total} frames, {self.batch} a batch>"

    def __next__(self) -> Batch:
        try:
            ring = self._ring
            if ring is None or not ring.is_of_this_process:
                ring = self._start()
            batch, is_empty = None, True
            while is_empty:  # all of it may have been left out
                batch = ring.take()
                self.done += min(self.batch, self.total - self.done)
                is_empty = not len(batch.idxs)
        except BaseException:
            self.close()
            raise
        assert batch is not None
        return batch

    @property
    def problems(self) -> list[Any]:
        """With ``on_error="skip"``, the files that were left out so far, and why."""
        return [] if self._words.leaving is None else self._words.leaving.problems

    def _start(self) -> Ring[Batch]:
        """Begin to read at the next frame that was not given."""
        numbers = self._numbers[self.done :]
        maker = _Maker(self._lanes, self._given, numbers, self.batch, self._words)
        # The thread knows the ring, and not the stream: who forgets the stream ends it.
        count, itself = -(-len(numbers) // self.batch), weakref.ref(self)
        ring = Ring(count, self.prefetch, maker.make, lambda: itself() is not None)
        self._ring = ring
        weakref.finalize(self, ring.stop)
        ring.start()
        return ring

    def close(self) -> None:
        """End the stream: nothing more is read, and no thread is left."""
        if self._ring is not None:
            self._ring.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ---------------------------------------------------------------- going on another day

    def state_dict(self) -> dict[str, Any]:
        """Return where the stream is, in plain values: for :meth:`load_state_dict` of its like."""
        return {"done": self.done, "total": self.total, "what": list(self._words.what)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another stream was, at the batch after the last that it gave.

        Raises
        ------
        ValueError
            That was a stream of something else.
        """
        own = self.state_dict()
        if (state.get("total"), list(state.get("what", ()))) != (own["total"], own["what"]):
            raise ValueError(
                f"the state is that of another stream: of {state.get('total')} frames of "
                f"{state.get('what')}, and this one has {own['total']} of {own['what']}"
            )
        self.close()
        self._ring, self.done = None, int(state["done"])


class _Maker:
    """Reads batches into arrays of its own or the caller's, each made when it is first used."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        given: list[dict[str, NDArray[Any]]] | None,
        numbers: NDArray[np.int64],
        batch: int,
        words: Words,
    ) -> None:
        self._lanes, self._numbers, self._batch = lanes, numbers, batch
        self._is_single, self._leaving = words.is_single, words.leaving
        self._arrays: dict[int, dict[str, NDArray[Any]]] = dict(enumerate(given or ()))

    def make(self, number: int, place: int, check: Callable[[], None]) -> Batch:
        wanted = self._numbers[number * self._batch : (number + 1) * self._batch]
        while True:
            if self._leaving is not None:
                wanted = self._leaving.left_of(wanted)
            try:
                frames = {one.attr: self._frames(one, wanted, place, check) for one in self._lanes}
                break
            except (CXIError, OSError) as error:
                if self._leaving is None or not self._leaving.leaves_out(error):
                    raise
        found: Any = frames[self._lanes[0].attr] if self._is_single else frames
        return Batch(found, wanted.copy())

    def _frames(
        self, lane: Lane, wanted: NDArray[np.int64], place: int, check: Callable[[], None]
    ) -> Any:
        if lane.once is not None:
            return np.broadcast_to(lane.once, (len(wanted), *lane.shape))
        check()
        if lane.makes_its_own:
            return lane.read(wanted, None)
        arrays = self._arrays.setdefault(place, {})
        if lane.attr not in arrays:
            arrays[lane.attr] = np.empty((self._batch, *lane.shape), lane.dtype)
        frames = arrays[lane.attr][: len(wanted)]
        piece = max(1, _PIECE_BYTES // max(1, lane.nbytes) // lane.batch) * lane.batch
        for first in range(0, len(wanted), piece):
            check()
            lane.read(wanted[first : first + piece], frames[first : first + piece])
        return frames


def _whole(value: Any, name: str, least: int) -> int:
    """Return a number that a user gave, if it is a whole one that is not too small."""
    number = operator.index(value)
    if number < least:
        raise ValueError(f"{name} is {least} or more, not {number}")
    return number


def _given(words: Words, lanes: Sequence[Lane]) -> list[dict[str, NDArray[Any]]] | None:
    """Return the caller's buffers as arrays by attribute.

    Raises
    ------
    ValueError
        They are fewer than batches stay valid, read-only, or do not fit the frames.
    """
    if words.buffers is None:
        return None
    buffers = [one if isinstance(one, Mapping) else {lanes[0].attr: one} for one in words.buffers]
    if len(buffers) < HELD:
        raise ValueError(
            f"buffers= takes {HELD} arrays or more, for so many batches are valid at a time; these "
            f"are {len(buffers)}"
        )
    wanted = [lane for lane in lanes if lane.once is None and not lane.makes_its_own]
    return [{lane.attr: _buffer(one, lane) for lane in wanted} for one in buffers]


def _buffer(buffers: Mapping[str, Any], lane: Lane) -> NDArray[Any]:
    if lane.attr not in buffers:
        raise ValueError(f"a buffer has no array for {lane.attr!r}: give {{name: array}}")
    given = buffers[lane.attr]
    array = given if isinstance(given, np.ndarray) else np.from_dlpack(given)
    if array.dtype != lane.dtype or array.shape[1:] != lane.shape or not array.ndim:
        raise ValueError(
            f"a buffer for {lane.attr!r} is {array.dtype} {array.shape}, and its batches are "
            f"{lane.dtype} (frames, {', '.join(map(str, lane.shape))})"
        )
    if not array.flags.writeable:
        raise ValueError(f"a buffer for {lane.attr!r} is read-only")
    return array
