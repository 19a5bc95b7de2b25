"""Reader: frames of an open h5py dataset, without a protocol, by the way that loads go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..catalogue.frames import FrameSelection, frame_numbers
from ..errors import AttributeMissingError, FrameIndexError, LayoutError, LinkError, ProtocolError
from ..hdf5.dataset_names import DatasetName, dataset_name
from ..hdf5.given import is_open, is_same, named
from ..hdf5.patience import read_again
from ..kernels import Casting, cast
from ..loading.explain import explanation
from ..loading.load import Load
from ..protocol.protocol import CXIProtocol
from ..transforms.transforms import TransformLike, transform_of
from .named import named_store, read_part
from .store import CXIStore

__all__ = ["Reader", "read"]

_NAME = "dataset"
_KINDS = ("scalar", "sequence", "frame", "stack")


class Reader:
    """Reads frames of a dataset on threads, into arrays of the caller's.

    A dataset of three axes or more is a stack: its first axis counts frames. One of two axes is a
    frame. What our engine does not read (see :meth:`explain`) comes through h5py, and is the same.

    Parameters
    ----------
    dataset : h5py.Dataset, str or path
        One that is open, which may be virtual, and whose file may be open for writing; or the name
        of one, ``FILE::/PATH``. Of a named one the file is open only while it is read.
    transform : Transform or list of them, optional
        What is done to the last two axes.
    dtype : dtype, optional
        Type of the result; that of the dataset, in the machine's byte order, when None.
    casting : {"checked", "unsafe"}
        "checked" raises where a value would change; "unsafe" casts as NumPy does.
    chunk_cache : int
        Bytes of decoded chunks that are kept where a call took only some of their frames or pixels.

    Raises
    ------
    TypeError, ValueError
        `dataset` is none, is closed, or is the name of a file alone, or of a part of a dataset.
    FileNotFoundError, AttributeMissingError, LayoutError
        There is none of this name, or none that is read.

    Examples
    --------
    >>> import h5py
    >>> with h5py.File(example_run) as file:
    ...     reader = Reader(file["entry_1/instrument_1/detector_1/data"])
    ...     frame = np.empty((16, 20), reader.dtype)
    ...     reader.read(4, out=frame)[0, :3], reader.read([5, 0, 0]).shape
    (array([500, 501, 502], dtype=uint16), (3, 16, 20))
    """

    def __init__(
        self,
        dataset: Any,
        *,
        transform: TransformLike = None,
        dtype: DTypeLike | None = None,
        casting: Casting = "checked",
        chunk_cache: int = 64 << 20,
    ) -> None:
        self._words: dict[str, Any] = {
            "transform": transform_of(transform),
            "dtype": dtype,
            "casting": casting,
        }
        self._why: str | None = None
        self._load: Load | None = None  # that was looked at last
        self._load_shape: tuple[int, ...] = ()
        self._store: CXIStore | None = None
        self._dataset: Any = None  # of one that is open
        if isinstance(dataset, str | os.PathLike):
            name = _name(dataset)
            if name.index is not None:
                raise ValueError(
                    f"{os.fspath(dataset)!r} names a part of a dataset: name it all, and index the "
                    "Reader; or use read()"
                )
            self._store = named_store(_NAME, name, chunk_cache=chunk_cache)
            return
        self._dataset, where = dataset, named(dataset)
        if isinstance(where, str):
            self._why = where
            return
        filename, path = where
        kind = _KINDS[min(3, dataset.ndim)]
        try:
            protocol = CXIProtocol({_NAME: "number"}, {_NAME: [path]}, {_NAME: kind})
            self._store = CXIStore(filename, "r", protocol, chunk_cache=chunk_cache)
        except (FileNotFoundError, ProtocolError) as error:
            self._why = f"{error}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all that is read."""
        load = self._present()
        if load is not None:
            return load.shape
        few: tuple[int, ...] = self._plain(slice(0)).shape
        return (len(self._dataset), *few[1:]) if self._dataset.ndim > 2 else self._plain(None).shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of what is read."""
        load = self._present()
        return np.asarray(self._plain(slice(0))).dtype if load is None else load.dtype

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __getitem__(self, idxs: Any) -> Any:
        """Read frames; what follows the first index picks pixels of what was read."""
        first, *rest = idxs if isinstance(idxs, tuple) else (idxs,)
        if first is Ellipsis or first is None:
            raise FrameIndexError("the first index is that of frames; write reader[:, ...]")
        frames = self.read(first)
        is_one = _is_one(first)
        return frames[(*rest,) if is_one else (slice(None), *rest)] if rest else frames

    def __iter__(self) -> Iterator[Any]:
        """Return the frames one after the other; they are read ahead, in batches."""
        load = self._present()
        batch = load.batch if load is not None and not load.is_single else 1
        for first in range(0, len(self), batch):
            yield from self.read(slice(first, first + batch))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a dataset cannot become an array without a copy")
        return np.asarray(self.read(), dtype)

    def read(
        self,
        idxs: FrameSelection = None,
        *,
        out: NDArray[Any] | None = None,
        num_threads: int | None = None,
    ) -> Any:
        """Return frames of the dataset, as ``dataset[idxs]`` has them.

        Parameters
        ----------
        idxs : None, int, slice, sequence or array of int, or boolean mask
            Of the first axis; in any order, repeated or negative. An int drops the axis. All when
            None.
        out : ndarray, optional
            Where they go, of their shape and :attr:`dtype` and any strides; it is returned. A
            result of no axes is not put out.
        num_threads : int, optional
            How many threads work; every core when None.

        Raises
        ------
        FrameIndexError
            An index is out of bounds.
        CastError
            A value does not fit `dtype`.
        ValueError
            `out` does not fit, or the dataset is closed.
        StorageError, FileChangedError
            It cannot be read, or somebody goes on writing to it.
        """
        if type(idxs) is int:
            load = self._present()
            if load is not None and not load.is_single:
                frame = load.frame(idxs, out)
                if frame is not None:
                    self._let_go()
                    return frame
        try:
            return read_again(lambda: self._read(idxs, out, num_threads), self._look)
        except FileNotFoundError:  # it has lost its name, and is open all the same
            self._look()
            return self._read(idxs, out, num_threads)
        finally:
            self._let_go()

    def explain(self, idxs: FrameSelection = None) -> str:
        """Tell how frames would be read: from which chunks, through which filters, or by h5py."""
        load = self._present()
        if load is None:
            return f"{_NAME}: {self._dataset.name}, read by h5py: {self._why}"
        return explanation(load, load.numbers(idxs))

    def _let_go(self) -> None:
        """Close our own handles: the file is the user's to close, and to open again."""
        if self._store is not None and self._store._files.has_handles:
            self._store._files.release()

    def _look(self) -> None:
        if self._store is not None:
            self._store.update_indices()

    def _present(self) -> Load | None:
        """Return the load of the dataset as it is now; None where h5py is to read it."""
        store = self._store
        if self._dataset is None:
            assert store is not None
            return store._prepare(_NAME, **self._words)
        if not is_open(self._dataset):
            raise ValueError("the dataset is closed: open its file again")
        if store is None:
            return None
        if self._load is not None and self._dataset.shape != self._load_shape:
            self._look()  # frames came to it
        try:
            load = store._prepare(_NAME, **self._words)
        except (AttributeMissingError, FileNotFoundError, LayoutError, LinkError) as error:
            self._why = f"{error}"
            return None
        if load is not self._load:
            found = store._catalogue.found(_NAME)[0].datasets[0]
            self._why = None
            if not is_same(store._files, found.place.filename, found.place.path, self._dataset):
                self._why = "another file has taken the name of the one that is open"
            elif found.shape != self._dataset.shape:
                self._why = "what the file has is not what is open"
            self._load, self._load_shape = load, self._dataset.shape
            store._files.held_by(found.place.filename, self._dataset)
        return load if self._why is None else None

    def _read(self, idxs: FrameSelection, out: NDArray[Any] | None, num_threads: int | None) -> Any:
        load = self._present()
        if load is None:
            return _put(self._plain(idxs), out)
        if load.is_single:
            if idxs is None:
                return load.read(None, out, num_threads=num_threads)
            return _put(load.read(num_threads=num_threads)[_as_index(idxs)], out)
        is_one = _is_one(idxs)
        place = out[None] if isinstance(out, np.ndarray) and is_one else out
        values = load.read(load.numbers(idxs), place, num_threads=num_threads)
        return out if out is not None else values[0] if is_one else values

    def _plain(self, idxs: FrameSelection) -> Any:
        """Read by h5py, which takes no list of frames that does not ascend."""
        dataset = self._dataset
        if dataset.ndim < 3:
            values = dataset[()]
        elif idxs is None or (isinstance(idxs, slice) and (idxs.step or 1) > 0):
            values = dataset[slice(None) if idxs is None else idxs]
        else:
            numbers = frame_numbers(idxs, len(dataset), repr(_NAME))
            wanted, places = np.unique(numbers, return_inverse=True)
            frames = [dataset[number][None] for number in wanted.tolist()]
            values = np.concatenate([dataset[:0], *frames])[places]
            values = values[0] if _is_one(idxs) else values
        transform, dtype = self._words["transform"], self._words["dtype"]
        if transform is not None:
            values = transform.forward(values)
        if dtype is not None and np.dtype(dtype) != values.dtype:
            values = cast(values, np.dtype(dtype), casting=self._words["casting"])
        return (
            values
            if dataset.ndim > 2 or idxs is None or not dataset.ndim
            else (values[_as_index(idxs)])
        )


def _put(values: Any, out: NDArray[Any] | None) -> Any:
    if out is None:
        return values
    shape, dtype = np.shape(values), values.dtype
    if not isinstance(out, np.ndarray) or (out.shape, out.dtype) != (shape, dtype):
        raise ValueError(f"out must be an array of shape {shape} and dtype {dtype}")
    out[...] = values
    return out


def _name(text: str | os.PathLike[str]) -> DatasetName:
    """Return the dataset that a text names."""
    name = dataset_name(text)
    if name is None:
        raise ValueError(
            f"{os.fspath(text)!r} names a file: name a dataset, FILE::/PATH, or use CXIStore"
        )
    return name


def _is_one(idxs: Any) -> bool:
    """Tell whether an index is an int, which drops the axis."""
    return idxs is not None and not isinstance(idxs, slice) and np.ndim(idxs) == 0


def _as_index(idxs: Any) -> Any:
    """Return what indexes the rows of an array as NumPy does, whatever kind of sequence it is."""
    return idxs if isinstance(idxs, slice | int | np.ndarray) else np.asarray(idxs)


def read(
    dataset: Any,
    idxs: FrameSelection = None,
    *,
    transform: TransformLike = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "checked",
    out: NDArray[Any] | None = None,
    num_threads: int | None = None,
) -> Any:
    """Read frames of a dataset on threads, as ``dataset[idxs]`` has them.

    It is open by h5py or named by ``FILE::/PATH``, as for :class:`Reader`, whose arguments and
    errors are the same; make one for many calls on one dataset. A name may also say which part is
    read, as NumPy indexes it: ``FILE::/PATH[INDEX]``, or, as silx has it,
    ``FILE::/PATH?slice=INDEX`` and ``FILE?path=/PATH&slice=INDEX``.

    Examples
    --------
    >>> import h5py
    >>> with h5py.File(example_run) as file:
    ...     data = file["entry_1/instrument_1/detector_1/data"]
    ...     read(data, [3, 1], transform=Crop([0, 1, 0, 2])).tolist()
    [[[400, 401]], [[200, 201]]]
    >>> read(f"{example_run}::/entry_1/instrument_1/detector_1/data[0, 1, :3]")
    array([120, 121, 122], dtype=uint16)
    """
    name = _name(dataset) if isinstance(dataset, str | os.PathLike) else None
    if name is not None and name.index is not None:
        if idxs is not None:
            raise ValueError("the index of the name and idxs= both say which frames: give one")
        words = {"transform": transform_of(transform), "dtype": dtype, "casting": casting}
        return _put(read_part(name, num_threads, **words), out)
    reader = Reader(dataset, transform=transform, dtype=dtype, casting=casting, chunk_cache=0)
    return reader.read(idxs, out=out, num_threads=num_threads)
