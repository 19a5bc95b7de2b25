"""A store's frames in batches that are read ahead."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..catalogue.frames import FrameSelection
from ..checking.findings import Problem
from ..errors import CXIError
from ..hdf5.patience import read_again
from ..kernels import Casting
from ..kernels.threads import count_threads
from ..kernels.threshold import least_above
from ..loading.load import Load
from ..loading.masked import check_masked
from ..loading.sparse import read_above
from ..loading.sums import add_frames
from ..streaming.batch import Hits
from ..streaming.cluster import reduce_on
from ..streaming.per_frame import reduced
from ..streaming.reduce import Limits
from ..streaming.shares import share_of
from ..streaming.skipping import Leaving, OnError, Skips
from ..streaming.stream import FrameStream, Lane, Words
from ..transforms.transforms import TransformLike, transform_of
from .contents import Contents
from .sources import Frames, SharedFrames

__all__ = ["Streams"]


class Streams(Contents):
    """What a run's files hold, read in batches.

    Attributes
    ----------
    left_out : list of Problem
        The files that the last :meth:`reduce` with ``on_error="skip"`` left out, and why.
    """

    left_out: Sequence[Problem] = ()

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
        sparse: float | None = None,
        num_threads: int | None = None,
        on_error: OnError = "raise",
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
            Of m buffers, m - 2 are read ahead. They share no memory. Text, and one frame that
            stands for all, do not go there.
        shard : (int, int), optional
            (k, n): only the k-th of n equal shares of the frames, which end where files or chunks
            do; k counts from 0.
        sparse : float, optional
            Give the pixels above this threshold instead of frames, as :class:`Hits`: (idx, pixel,
            value). Of bitshuffled frames they are found while blocks are decoded. `masked` pixels
            are left out, if what they become is not above the threshold.
        num_threads : int, optional
            How many threads decode; every core when None.
        on_error : {"raise", "skip"}
            With "skip", the frames of a file that cannot be read are left out from there on, and
            those of one that cannot be opened are not numbered; ``problems`` of the stream tells of
            each.

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
        StorageError, CastError
            By the batch that cannot be read. The stream ends there.
        FileChangedError
            By the batch whose frames have other numbers now, as a file before them has grown, came
            or went. Frames that are appended at the end of a run do no harm.
        ValueError
            The attribute has no frame axis, a buffer does not fit, or `shard` or `sparse` is none.

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
        run, skips = self._readable(names[0], on_error)
        lanes, loads = [], []
        for name in names:
            wanted = self.protocol.attribute(name)
            is_pixels = wanted.has_pixels and not wanted.is_mask
            words: dict[str, Any] = {"casting": casting}
            if wanted.has_pixels:
                words["transform"] = transform
            if is_pixels or isinstance(dtype, Mapping):
                words["dtype"] = types.get(name)
            load = run._by_frame(name, words)
            loads.append(load)
            value = None if masked is None or not is_pixels else check_masked(load, masked)
            if sparse is None or not is_pixels:
                lanes.append(run._lane(load, words, value, num_threads))
            else:
                lanes.append(run._hits(load, words, value, sparse, num_threads))
        numbers = _chosen(loads[0], idxs)
        _check_counts(loads)
        if shard is not None:
            numbers = share_of(loads[0].index, numbers, shard)
        what = (*names, str(transform), str(None if shard is None else tuple(shard)))
        leaving = None if skips is None else Leaving(skips, loads[0])
        is_single = isinstance(attr, str)
        how = Words(batch, prefetch, buffers, is_single, what, leaving)
        return FrameStream(lanes, numbers, how)

    def reduce(
        self,
        attr: str,
        how: Any,
        idxs: FrameSelection = None,
        *,
        transform: TransformLike = None,
        dtype: DTypeLike | None = None,
        mask: bool | NDArray[np.bool_] | None = None,
        axis: int | tuple[int, int] = 0,
        fill: Any = None,
        memory: int | None = None,
        num_threads: int | None = None,
        verbose: bool = True,
        on_error: OnError = "raise",
        client: Any = None,
    ) -> Any:
        """Reduce the frames of a stack, of any number, in bounded memory.

        Parameters
        ----------
        attr : str
            A stack or a sequence.
        how : str, (str, value), object, or list of them
            * "sum", "mean", "var", "std", "min", "max"
            * "over:VALUE", "saturated:VALUE": how many values are above, and at or above, a value
            * "median", "percentile:Q"; ("percentile", [Q, ...]) for several, first in the result
            * ("histogram", edges): how many values lie in each bin, over all pixels
            * an object of one's own, with ``init(shape, dtype)``, ``step(state, frames, idxs)``,
              ``merge(a, b)`` and ``finish(state)``; see :class:`Reduction`

            A list is done by one pass, but for medians and percentiles, which are exact and made
            of as many rows at a time as memory holds: then each pass reads what it needs.
        idxs : None, int, slice, sequence or array of int, or boolean mask
            Which frames; see :meth:`load_attribute`.
        transform : Transform or list of them, optional
            What is done to frames first.
        dtype : dtype, optional
            Type that the frames are loaded as.
        mask : bool or ndarray of bool, optional
            True: bad pixels by the run's `mask` count as absent. Or an array, True where a pixel is
            good: of a frame's shape as the transform leaves it, or of one for each frame.
        axis : {0, (1, 2)}
            What is reduced: the frames, or the pixels of each frame.
        fill : number, optional
            What a pixel becomes that has no good value; it is an error when None.
        memory : int, optional
            Bytes of frames that medians and percentiles may hold; half of what the system can spare
            when None. Results do not depend on it.
        num_threads : int, optional
            How many threads work; every core when None.
        verbose : bool
            Show a progress bar.
        on_error : {"raise", "skip"}
            With "skip", a file that cannot be read is left out: all of it, for which the work
            begins anew. A RuntimeWarning tells of it at the end, and so does `left_out` of the
            store. Frames of a file that cannot be opened are not numbered.
        client : dask.distributed.Client, optional
            Let the workers of a Dask cluster do it, which reach the files by the same paths: a task
            for each share of the frames, of 16 GiB at most and of whole chunks, or for each band of
            rows. `num_threads` are those of a task, 1 when None; `memory` is that of a task. When a
            worker dies, its tasks run again.

        Returns
        -------
        ndarray, or dict of them by what a list `how` names
            A pair with several values goes by (word, value, value, ...). Of a frame's shape, as
            NumPy's function of the name gives it over axis 0 (the variance is that of all frames,
            ``ddof=0``). Sums of integers are int64 or uint64 and exact;
            means, variances and deviations are float64. Sums of floats are compensated: NumPy's
            differ from them in the last bits. With `client` all is the same, bit for bit, but for
            sums and means of floats, and deviations of floats and of integers of 32 bits and more:
            their last bits depend on how many shares there are.

        Raises
        ------
        ValueError
            There is no such word, or its value means nothing; a pixel has no good value and there
            is no `fill`; extremes of integers cannot be `fill`; there are no frames, or these are
            text.
        OverflowError
            A sum does not fit 64 bits.
        AttributeMissingError, LayoutError, StorageError, ...
            As :meth:`load_attribute`.

        Examples
        --------
        >>> found = CXIStore(example_run).reduce("data", ["mean", "max"], verbose=False)
        >>> found["mean"][0, :3], found["max"][0, :3]
        (array([350., 351., 352.]), array([600, 601, 602], dtype=uint16))
        """
        self._check_open()
        limits = Limits(fill, memory, num_threads)
        run, skips = self._readable(attr, on_error)
        words = {"transform": transform, "dtype": dtype}
        frames = run._frames(attr, idxs, words, mask, num_threads, verbose)

        def result_of(some: Frames) -> Any:
            if client is None:
                return reduced(some.source(), how, axis, limits)
            if np.ndim(np.asarray(mask)) > len(some.load.frame_shape):
                raise ValueError(
                    "mask= has a frame for each, which would all go through the scheduler: with "
                    "client= take one mask for all frames, or the run's own (mask=True)"
                )
            shared = SharedFrames(run, some.load, words, mask, num_threads or 1, verbose)
            return reduce_on(client, shared, (some.load.index, some.numbers), how, axis, limits)

        if skips is None:
            return result_of(frames)
        leaving = Leaving(skips, frames.load)
        while True:
            try:
                result = result_of(frames)
                break
            except (CXIError, OSError) as error:
                if not leaving.leaves_out(error):
                    raise
                frames = frames.without(leaving)
        self.left_out = leaving.problems
        if self.left_out:
            warnings.warn(
                f"{len(self.left_out)} of {len(self._files.names)} files are left out, the first "
                f"for this: {self.left_out[0]}",
                RuntimeWarning,
                stacklevel=2,
            )
        return result

    def _readable(self, attr: str, on_error: OnError) -> tuple[Streams, Skips | None]:
        """Return a store of the files that can be opened, and what leaves out others; or itself."""
        skips = self._skips(attr, on_error)
        if skips is None:
            return self, None
        catalogue, files = skips.readable(self._catalogue), self._files
        if len(catalogue.numbers) == len(files.paths):
            return self, skips
        return self._part([files.paths[number] for number in catalogue.numbers]), skips

    @abstractmethod
    def _part(self, paths: Sequence[str]) -> Streams:
        """Return a store of some of the files, that reads them as this does."""

    def _frames(
        self,
        attr: str,
        idxs: FrameSelection,
        words: Mapping[str, Any],
        mask: Any,
        num_threads: int | None,
        verbose: bool,
    ) -> Frames:
        """Return what is reduced."""
        has_pixels = self.protocol.attribute(attr).has_pixels
        made, dtype = transform_of(words["transform"]) if has_pixels else None, words["dtype"]
        asked = {"dtype": dtype} | ({"transform": made} if has_pixels else {})
        load = self._by_frame(attr, asked)
        numbers = _chosen(load, idxs)
        how: dict[str, Any] = {"num_threads": num_threads}
        begun = {attr: load}
        if mask is True and has_pixels:
            begun["mask"] = self._prepare("mask", transform=made)

        def stream(names: list[str], some: NDArray[np.int64], buffers: list[Any]) -> FrameStream:
            types = {attr: dtype}
            now = self.stream(
                names, None, some, transform=made, dtype=types, buffers=buffers, **how
            )
            load.refuse_moved(self._prepare(attr, **asked))
            return now

        def read(name: str, some: NDArray[np.int64], view: Any) -> NDArray[Any]:
            own: dict[str, Any] = {"transform": view} if has_pixels else {}
            own |= {"dtype": dtype} if name == attr else {}
            found: NDArray[Any] = self._read(name, some, begun=begun[name], **own, **how)
            return found

        def add(sums: Any, some: NDArray[np.int64], good: Any, tick: Any) -> bool:
            return add_frames(load, some, sums, good, tick=tick, **how)

        masks = begun.get("mask", load)
        return Frames(load, masks, made, numbers, mask, stream, read, add, verbose)

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
            how = {"masked": masked, "begun": load, "num_threads": threads}
            return self._read(attr, numbers, out, **how, **{**whole, **words})

        is_one = load.is_static and load.count > 0
        return Lane(
            attr,
            load.frame_shape,
            load.dtype,
            read,
            once=read(np.zeros(1, np.int64), None)[0] if is_one and masked is None else None,
            batch=load.chunk_frames,
            makes_its_own=load.is_text,
        )

    def _hits(
        self,
        load: Load,
        words: Mapping[str, Any],
        masked: Any,
        threshold: float,
        num_threads: int | None,
    ) -> Lane:
        """Return a lane of the pixels above a threshold."""
        attr, threads = load.attr, count_threads(num_threads)
        least_above(threshold, load.dtype)  # raises for what is no threshold
        if masked is not None and masked > threshold:
            raise ValueError(
                f"masked={masked} is above the threshold, {threshold}: bad pixels would be found"
            )

        def read(numbers: NDArray[np.int64], out: NDArray[Any] | None) -> Hits:
            def once() -> Hits:
                self._check_open()
                now, good = self._prepare(attr, **words), None
                load.refuse_moved(now)
                if masked is not None:
                    how = {"num_threads": threads, "transform": words["transform"]}
                    good = self._read("mask", numbers, **how)
                    if good.ndim > len(load.frame_shape) and not good.strides[0]:
                        good = good[0]  # one for all
                found = read_above(now, threshold, numbers, mask=good, num_threads=threads)
                return Hits(numbers[found[0]], *found[1:])

            return read_again(once, self.update_indices)

        return Lane(
            attr, load.frame_shape, load.dtype, read, batch=load.chunk_frames, makes_its_own=True
        )


def _chosen(load: Load, idxs: FrameSelection) -> NDArray[np.int64]:
    """Return the numbers of the frames that a user's index means, all when None."""
    numbers = load.numbers(idxs)
    return np.arange(load.count) if numbers is None else numbers


def _check_counts(loads: Sequence[Load]) -> None:
    """Raise where attributes have not as many frames."""
    for load in loads[1:]:
        if load.count != loads[0].count:
            raise ValueError(
                f"{loads[0].attr!r} and {load.attr!r} have {loads[0].count} and {load.count} "
                "frames: a stream takes those that go together"
            )
