"""Frames of a run as PyTorch's data sets: in any order, or in batches that follow one another.

Importing this imports torch; importing cxistack does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..catalogue.frames import FrameSelection, frame_numbers
from ..kernels import Casting
from ..kernels.threads import count_threads
from ..transforms.transforms import TransformLike, transform_of
from .missing import missing

try:
    import torch
    from torch.utils.data import Dataset, IterableDataset, default_collate, get_worker_info
except ModuleNotFoundError as error:
    raise missing("torch", "data sets for PyTorch") from error

__all__ = ["FrameBatch", "FrameDataset", "IterableFrameDataset", "collate"]


class Run(Protocol):
    """What is asked of a store."""

    protocol: Any

    def describe(self, attr: str, **words: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return shape and type of what is loaded."""

    def stream(self, attr: str | list[str], batch: int | None = None, **words: Any) -> Any:
        """Return batches of frames."""


class FrameBatch(list[Any]):
    """The items of a batch, which lie in one tensor for each attribute already.

    Attributes
    ----------
    whole : Tensor, dict of them by attribute, or pair of that and of frame numbers
        What :func:`collate` returns.
    """

    def __init__(self, items: Sequence[Any], whole: Any) -> None:
        super().__init__(items)
        self.whole = whole


def collate(batch: Sequence[Any]) -> Any:
    """Return a batch of a :class:`FrameDataset` as it was read, without a copy.

    What other data sets give goes through torch's ``default_collate``.

    Parameters
    ----------
    batch : FrameBatch or sequence
        What a loader has fetched.

    Examples
    --------
    >>> from torch.utils.data import DataLoader
    >>> from cxistack.adapters.torch import FrameDataset, collate
    >>> frames = FrameDataset(CXIStore(example_run), "data", dtype="float32")
    >>> [len(batch) for batch in DataLoader(frames, batch_size=4, collate_fn=collate)]
    [4, 2]
    """
    return batch.whole if isinstance(batch, FrameBatch) else default_collate(batch)


class _Attributes:
    """Attributes whose frames go together, how they are loaded, and as which tensors."""

    def __init__(
        self,
        run: Run,
        attr: str | Sequence[str],
        words: Mapping[str, Any],
        numbered: bool,
        num_threads: int | None,
    ) -> None:
        self.run, self.is_single, self.numbered = run, isinstance(attr, str), numbered
        self.names = [attr] if isinstance(attr, str) else list(attr)
        dtype = words["dtype"]
        types = (
            {name: numpy_type(one) for name, one in dtype.items()}
            if isinstance(dtype, Mapping)
            else numpy_type(dtype)
        )
        transform = transform_of(words["transform"])
        self.words = {**words, "dtype": types, "transform": transform}
        self.num_threads = num_threads
        self.stream(1)  # raises for what cannot be streamed
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.types: dict[str, Any] = {}
        for name in self.names:
            attribute = run.protocol.attribute(name)
            how: dict[str, Any] = {"casting": words["casting"]}
            if attribute.has_pixels:
                how["transform"] = transform
            if isinstance(types, dict):
                how["dtype"] = types.get(name)
            elif attribute.has_pixels and not attribute.is_mask:
                how["dtype"] = types
            shape, stored = run.describe(name, **how)
            self.count, self.shapes[name] = shape[0], shape[1:]
            self.types[name] = None if stored.kind == "O" else torch_type(name, stored)

    def stream(self, batch: int, **words: Any) -> Any:
        """Return batches; in a worker of a loader, on its part of the cores."""
        threads, info = self.num_threads, get_worker_info()
        if threads is None and info is not None:
            threads = max(1, count_threads(None) // info.num_workers)
        return self.run.stream(self.names, batch, num_threads=threads, **self.words, **words)

    def tensors(self, count: int) -> dict[str, Any]:
        """Return tensors for frames; in a worker in memory that the loader's process sees."""
        return {
            name: _empty((count, *self.shapes[name]), dtype)
            for name, dtype in self.types.items()
            if dtype is not None
        }

    def read(self, numbers: NDArray[np.int64]) -> tuple[dict[str, Any], Any]:
        """Return frames as tensors, and their numbers."""
        tensors = self.tensors(len(numbers))
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        words: dict[str, Any] = {"idxs": numbers, "buffers": [arrays, arrays], "prefetch": 0}
        with closing(self.stream(len(numbers), **words)) as stream:
            frames, idxs = next(stream)
        for name, array in frames.items():
            if name not in tensors:
                tensors[name] = array.tolist()
            elif not array.flags.writeable:  # one that stands for all
                tensors[name] = torch.from_numpy(np.array(array[0])).expand(array.shape)
        return tensors, torch.from_numpy(idxs)

    def whole(self, tensors: dict[str, Any], numbers: Any) -> Any:
        """Return a batch as the user asked for it."""
        frames = tensors[self.names[0]] if self.is_single else tensors
        return (frames, numbers) if self.numbered else frames


class FrameDataset(Dataset):
    """Frames of a run by their numbers: what a ``DataLoader`` with a sampler takes.

    A batch is read at once (``__getitems__``), into one tensor for each attribute. Give the loader
    ``collate_fn=cxistack.adapters.torch.collate``, and that tensor is the batch; in a worker it
    lies in memory that the loader's process sees. torch's own collation copies it once more.

    It is pickled as words, and each worker opens files of its own, however it is started. Without
    workers frames are decoded on all cores, too, and nothing has to be sent.

    Parameters
    ----------
    store : CXIStore
        The run.
    attr : str or list of str
        A stack or a sequence, or several, whose frames then come together, as a dict.
    idxs : None, int, slice, sequence or array of int, or boolean mask
        Which frames; the k-th of them is the k-th item.
    transform : Transform or list of them, optional
        What is done to the frames of stacks.
    dtype : numpy or torch dtype, or dict of them by attribute, optional
        Type of the frames. One dtype is for all stacks but masks. Without, they come as they are
        stored. Of uint16, uint32 and uint64 torch has tensors, and can neither add nor compare
        them: ask for "float32" or "int32", to which frames are cast while they are decoded.
    casting : {"checked", "unsafe"}
        Whether a value that would change raises.
    masked : "nan" or number, optional
        What pixels become that the mask says are bad, in all stacks but masks.
    numbered : bool
        Give pairs of a frame and its number in the store.
    num_threads : int, optional
        How many threads decode. When None, every core, which the workers of a loader share.

    Raises
    ------
    AttributeMissingError, LayoutError, CastError, FrameIndexError
        As :meth:`CXIStore.load_attribute`.
    ValueError
        An attribute has no frame axis, or not as many frames.
    TypeError
        torch has no such type.

    Notes
    -----
    A frame that stands for all, as a mask mostly is, comes expanded to all frames of a batch: it
    takes the memory of one. Text comes as lists of str.

    Examples
    --------
    >>> from cxistack.adapters.torch import FrameDataset
    >>> frames = FrameDataset(CXIStore(example_run), "data", transform=Crop([0, 2, 0, 3]))
    >>> len(frames), frames[-1]
    (6, tensor([[600, 601, 602],
            [620, 621, 622]], dtype=torch.uint16))
    """

    def __init__(
        self,
        store: Run,
        attr: str | Sequence[str],
        idxs: FrameSelection = None,
        *,
        transform: TransformLike = None,
        dtype: Any = None,
        casting: Casting = "checked",
        masked: Any = None,
        numbered: bool = False,
        num_threads: int | None = None,
    ) -> None:
        words = {"transform": transform, "dtype": dtype, "casting": casting, "masked": masked}
        self._attributes = _Attributes(store, attr, words, numbered, num_threads)
        count = self._attributes.count
        name = repr(self._attributes.names[0])
        self._numbers = np.arange(count) if idxs is None else frame_numbers(idxs, count, name)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Any:
        """Return one frame."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> FrameBatch:
        """Return the frames of a batch, in the order asked for."""
        if not len(indices):
            return FrameBatch([], None)
        own = self._attributes
        tensors, numbers = own.read(self._numbers[np.asarray(indices, np.int64)])
        items: list[Any] = []
        for k, number in enumerate(numbers.tolist()):
            one = {name: tensor[k] for name, tensor in tensors.items()}
            items.append(own.whole(one, number))
        return FrameBatch(items, own.whole(tensors, numbers))


class IterableFrameDataset(IterableDataset):
    """Batches of frames in their order: what a ``DataLoader`` with ``batch_size=None`` takes.

    Each worker of a loader, of each process of a job, reads a share of its own: files and chunks
    are read once. In the loader's own process (``num_workers=0``) a thread reads ahead.

    Shares end where files or chunks do, and may differ by a few batches. Where all processes have
    to take equally many steps, as in distributed training, take :class:`FrameDataset` and torch's
    ``DistributedSampler``.

    Parameters
    ----------
    store : CXIStore
        The run.
    attr : str or list of str
        As for :class:`FrameDataset`.
    batch : int
        Frames of a batch; the last of a share has what is left.
    idxs : None, int, slice, sequence or array of int, or boolean mask
        Which frames, in which order.
    shard : (int, int)
        (rank, world): which process of how many this is.
    buffers : sequence of tensors, or of dicts of them by attribute, optional
        Where batches go, in turn: two or more of (batch, ...), pinned ones for instance. Of m
        buffers, m - 2 are read ahead, and a batch is valid until the next two are asked for. In the
        loader's own process only. Without, each batch is a tensor of its own.
    transform, dtype, casting, masked, numbered, num_threads
        As for :class:`FrameDataset`. `numbered` gives pairs of a batch and of its frames' numbers.

    Raises
    ------
    AttributeMissingError, LayoutError, CastError, FrameIndexError, ValueError, TypeError
        As :class:`FrameDataset`.

    Examples
    --------
    >>> from torch.utils.data import DataLoader
    >>> from cxistack.adapters.torch import IterableFrameDataset
    >>> batches = IterableFrameDataset(CXIStore(example_run), "data", 4, numbered=True)
    >>> for frames, numbers in DataLoader(batches, batch_size=None):
    ...     print(tuple(frames.shape), numbers.tolist())
    (4, 16, 20) [0, 1, 2, 3]
    (2, 16, 20) [4, 5]
    """

    def __init__(
        self,
        store: Run,
        attr: str | Sequence[str],
        batch: int,
        idxs: FrameSelection = None,
        *,
        shard: tuple[int, int] = (0, 1),
        buffers: Sequence[Any] | None = None,
        transform: TransformLike = None,
        dtype: Any = None,
        casting: Casting = "checked",
        masked: Any = None,
        numbered: bool = False,
        num_threads: int | None = None,
    ) -> None:
        words = {"transform": transform, "dtype": dtype, "casting": casting, "masked": masked}
        self._attributes = _Attributes(store, attr, words, numbered, num_threads)
        self._batch, self._idxs, self._shard, self._buffers = batch, idxs, shard, buffers
        self._stream: Any = None
        self._begin: Mapping[str, Any] | None = None
        self._opened().close()  # raises for what does not fit

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stream": None}

    def _opened(self) -> Any:
        """Return the batches of this worker's share."""
        (k, n), info = self._shard, get_worker_info()
        words: dict[str, Any] = {}
        if info is not None:
            if self._buffers is not None:
                raise ValueError(
                    "buffers= lie in the process that gave them, which a loader's workers do not "
                    "see: take num_workers=0, or no buffers"
                )
            k, n = k * info.num_workers + info.id, n * info.num_workers
            words = {"prefetch": 0}  # a worker reads ahead of the loader already
        elif self._buffers is not None:
            words = {"buffers": [self._arrays(one) for one in self._buffers]}
        return self._attributes.stream(self._batch, idxs=self._idxs, shard=(k, n), **words)

    def _arrays(self, buffer: Any) -> dict[str, Any]:
        """Return a buffer's tensors as arrays of their memory."""
        own = self._attributes
        tensors = buffer if isinstance(buffer, Mapping) else {own.names[0]: buffer}
        return {name: tensor.numpy() for name, tensor in tensors.items()}

    def __iter__(self) -> Iterator[Any]:
        """Return the batches of this worker's share, or what is left of it (load_state_dict)."""
        self._stream, begin, self._begin = self._opened(), self._begin, None
        if begin:
            self._stream.load_state_dict(begin)
        return self._batches(self._stream)

    def _batches(self, stream: Any) -> Iterator[Any]:
        own = self._attributes
        with closing(stream):
            for frames, idxs in stream:
                tensors = own.tensors(len(idxs)) if self._buffers is None else {}
                for name, array in frames.items():
                    if own.types[name] is None:
                        tensors[name] = array.tolist()
                    elif not array.flags.writeable:  # one that stands for all
                        tensors[name] = torch.from_numpy(np.array(array[0])).expand(array.shape)
                    elif self._buffers is not None:
                        tensors[name] = torch.from_numpy(array)
                    else:
                        tensors[name].copy_(torch.from_numpy(array))
                yield own.whole(tensors, torch.from_numpy(idxs))

    def state_dict(self) -> dict[str, Any]:
        """Return after which batch the last iteration is, in plain values.

        A loader without workers, and torchdata's ``StatefulDataLoader`` with any, go on there.
        """
        if self._stream is not None:
            state: dict[str, Any] = self._stream.state_dict()
            return state
        return dict(self._begin or {})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration begin where another one was; those after it are whole."""
        self._begin, self._stream = dict(state), None


def numpy_type(dtype: Any) -> Any:
    """Return a dtype of torch's as NumPy's; others as they are.

    Raises
    ------
    TypeError
        NumPy has no such type.
    """
    if not isinstance(dtype, torch.dtype):
        return dtype
    try:
        return torch.empty(0, dtype=dtype).numpy().dtype
    except TypeError:
        raise TypeError(
            f"dtype={dtype}: frames are read as NumPy's types, and it has none like that; read "
            "float32, and cast the tensor"
        ) from None


def torch_type(name: str, dtype: np.dtype[Any]) -> Any:
    """Return the type of tensors of an attribute that is loaded as `dtype`.

    Raises
    ------
    TypeError
        torch has no such type.
    """
    try:
        return torch.from_numpy(np.empty(0, dtype)).dtype
    except TypeError:
        raise TypeError(
            f"{name!r} is {dtype}, of which torch has no tensors: say dtype=, as 'float64'"
        ) from None


def _empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """Return a tensor; in a worker one in shared memory, as torch's own collation makes it."""
    small = torch.empty(0, dtype=dtype)
    size = math.prod(shape) * small.element_size()
    if get_worker_info() is None or not size:
        # NumPy asks for huge pages, of which the first touch costs a third.
        return torch.from_numpy(np.empty(shape, small.numpy().dtype))
    return small.set_(torch.UntypedStorage._new_shared(size)).view(shape)
