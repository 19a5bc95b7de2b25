"""A store's frames in batches that are read ahead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..catalogue.frames import FrameSelection
from ..kernels import Casting
from ..kernels.threads import count_threads
from ..loading.load import Load
from ..loading.masked import check_masked
from ..streaming.shares import share_of
from ..streaming.stream import FrameStream, Lane, Words
from ..transforms.transforms import TransformLike
from .contents import Contents

__all__ = ["Streams"]


class Streams(Contents):
    """What a run's files hold, read in batches."""

    def stream(
        self,
        attr: str | Sequence[str] = "data",
        batch: int | None = None,
        idxs: FrameSelection = None,
        *,
        transform: TransformLike = None,
        dtype: DTypeLike | Mapping[str, DTypeLike] | None = None,
        casting: Casting = "checked",
        masked: Literal["nan"] | complex | None = None,
        prefetch: int = 2,
        buffers: Sequence[Any] | None = None,
        shard: tuple[int, int] | None = None,
        num_threads: int | None = None,
    ) -> FrameStream:
        """Return an iterator of batches of frames, which a thread reads ahead.

        Memory holds `prefetch` + 2 batches, and 64 MiB, whatever is done with them.

        Parameters
        ----------
        attr : str or list of str
            A stack or a sequence, or several: their frames then come together.
        batch : int, optional
            Frames of a batch; the last has what is left. As many as take 16 MiB when None.
        idxs : None, int, slice, sequence or array of int, or boolean mask
            Which frames, in which order; see :meth:`load_attribute`.
        transform : Transform or list of them, optional
            What is done to the frames of stacks.
        dtype : dtype or dict of them by attribute, optional
            Type of the frames. One dtype is for all stacks but masks.
        casting : {"checked", "unsafe"}
            Whether a value that would change raises.
        masked : "nan" or number, optional
            What pixels become that the mask says are bad, in all stacks but masks.
        prefetch : int
            How many batches are read before they are asked for. Without a thread when 0: each is
            read when it is asked for.
        buffers : sequence, optional
            Where batches go, in turn: two or more writable arrays of (batch, ...), or what gives
            such by DLPack (a tensor in the CPU's memory); dicts of them for several attributes.
            Of m buffers, m - 2 are read ahead.
        shard : (int, int), optional
            (k, n): only the k-th of n equal shares of the frames, which end where files or chunks
            do; k counts from 0.
        num_threads : int, optional
            How many threads decode; every core when None.

        Returns
        -------
        FrameStream
            Gives batches, pairs of ``frames, idxs``. A batch is valid until the next two are asked
            for; ``batch.copy()`` is one's own. `frames` is an array, or a dict of them where
            `attr` is a list.

        Raises
        ------
        AttributeMissingError, LayoutError, CastError, FrameIndexError
            As :meth:`load_attribute`; at once for what all frames have in common.
        StorageError, CastError, FileChangedError
            By the batch that cannot be read. The stream ends there.
        ValueError
            The attribute has no frame axis, a buffer does not fit, or `shard` is none.

        Examples
        --------
        >>> store = CXIStore(example_run)
        >>> total = np.zeros((16, 20))
        >>> for frames, idxs in store.stream("data", batch=4, dtype="float32"):
        ...     total += frames.sum(axis=0)
        >>> total[0, :3]
        array([2100., 2106., 2112.])
        """
        self._check_open()
        names = [attr] if isinstance(attr, str) else list(attr)
        if not names:
            raise ValueError("attr names no attribute")
        types = dtype if isinstance(dtype, Mapping) else dict.fromkeys(names, dtype)
        lanes, loads = [], []
        for name in names:
            wanted = self.protocol.attribute(name)
            is_pixels = wanted.has_pixels and not wanted.is_mask
            words: dict[str, Any] = {"casting": casting}
            if wanted.has_pixels:
                words["transform"] = transform
            if is_pixels or isinstance(dtype, Mapping):
                words["dtype"] = types.get(name)
            load = self._by_frame(name, words)
            loads.append(load)
            lanes.append(self._lane(load, words, masked if is_pixels else None, num_threads))
        numbers = np.arange(loads[0].count) if idxs is None else loads[0].numbers(idxs)
        assert numbers is not None
        _check_counts(loads)
        if shard is not None:
            numbers = share_of(loads[0].index, numbers, shard)
        what = (*names, str(transform), str(None if shard is None else tuple(shard)))
        return FrameStream(
            lanes, numbers, Words(batch, prefetch, buffers, isinstance(attr, str), what)
        )

    def _by_frame(self, attr: str, words: Mapping[str, Any]) -> Load:
        """Return the load of an attribute that has a frame axis."""
        load = self._prepare(attr, **words)
        if load.is_single or not self.is_indexed(attr):
            raise ValueError(
                f"{attr!r} has no frame axis: load it once, with load_attribute({attr!r})"
            )
        load.numbers(np.empty(0, np.int64))  # raises where its frames are not those of `data`
        return load

    def _lane(
        self, load: Load, words: Mapping[str, Any], masked: Any, num_threads: int | None
    ) -> Lane:
        attr, threads = load.attr, count_threads(num_threads)
        whole = {"ss_idxs": slice(None), "fs_idxs": slice(None), "transform": None}

        def read(numbers: NDArray[np.int64], out: NDArray[Any] | None) -> Any:
            return self._read(
                attr, numbers, out, masked=masked, num_threads=threads, **{**whole, **words}
            )

        is_one = load.is_static and load.count > 0
        if masked is not None:
            check_masked(load, masked)
        return Lane(
            attr,
            load.frame_shape,
            load.dtype,
            read,
            once=read(np.zeros(1, np.int64), None)[0] if is_one and masked is None else None,
            batch=max((part.chunk_frames for part in load.index.parts[:1]), default=1),
            makes_its_own=load.is_text,
        )


def _check_counts(loads: Sequence[Load]) -> None:
    """Raise where attributes have not as many frames."""
    for load in loads[1:]:
        if load.count != loads[0].count:
            raise ValueError(
                f"{loads[0].attr!r} and {load.attr!r} have {loads[0].count} and {load.count} "
                "frames: a stream takes those that go together"
            )
