"""What loads frames beside cxistack: h5py, hidefix, bslz4_to_sparse, pyrost; each at its best."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

from .data import PATH, Subject
from .libraries import on_threads
from .pyrost_peer import PeerUnavailableError, pyrost_store
from .results import OURS
from .timing import Pool, Way

__all__ = [
    "Peers",
    "Request",
    "bslz4",
    "h5py_ways",
    "hidefix",
    "lend_peers",
    "ours",
    "peer_module",
    "pyrost",
]


@dataclass(frozen=True)
class Peers:
    """The peers that are installed; None stands for one that is not."""

    hidefix: ModuleType | None
    bslz4: ModuleType | None
    pyrost: Any | None


@dataclass(frozen=True)
class Request:
    """What is asked of a dataset: frames, pixels (a region, then a stride or bins), a type."""

    frames: NDArray[np.intp] | None = None
    ss: slice = field(default_factory=lambda: slice(None))
    fs: slice = field(default_factory=lambda: slice(None))
    stride: int = 1
    bin: int = 1
    dtype: Any = None

    def __call__(self, frame: NDArray[Any]) -> NDArray[Any]:
        """Return what is asked of the region of a frame or stack."""
        if self.bin > 1:
            rows, columns = (size // self.bin for size in frame.shape[-2:])
            whole = frame[..., : rows * self.bin, : columns * self.bin]
            squares = whole.reshape(*frame.shape[:-2], rows, self.bin, columns, self.bin)
            return squares.sum(axis=(-3, -1), dtype=np.uint64)  # type: ignore[no-any-return]
        return frame[..., :: self.stride, :: self.stride]

    def empty(self, data: NDArray[Any], pool: Pool) -> NDArray[Any]:
        """Return the array that the result of this, of frames `data`, goes to."""
        count = len(data) if self.frames is None else len(self.frames)
        frame = self(np.broadcast_to(data.dtype.type(0), data.shape[1:])[self.ss, self.fs])
        return pool.array((count, *frame.shape), self.dtype or frame.dtype)

    def pixels(self) -> dict[str, Any]:
        """Return our arguments that say which pixels."""
        if self.bin > 1:
            return {"transform": cxi.Downscale(self.bin, mode="sum")}
        return {
            "ss_idxs": slice(self.ss.start, self.ss.stop, self.stride),
            "fs_idxs": slice(self.fs.start, self.fs.stop, self.stride),
        }


def ours(
    subject: Subject, request: Request, out: NDArray[Any] | None, threads: int, name: str = OURS
) -> Way:
    """Return a load by cxistack, into `out` or a new array."""
    arguments = {**request.pixels(), "out": out, "num_threads": threads, "verbose": False}
    if out is None:
        arguments["dtype"] = request.dtype
    load = subject.store.load_attribute
    return Way(name, lambda: load("data", request.frames, **arguments))


def h5py_ways(subject: Subject, request: Request, out: NDArray[Any], *names: str) -> Iterator[Way]:
    """Return h5py's ways of these names to do what is asked; all but ``[...]`` fill `out`."""
    dataset, ss, fs = subject.dataset, request.ss, request.fs
    count = len(dataset)
    numbers = np.arange(count) if request.frames is None else request.frames

    def read_direct() -> NDArray[Any]:
        dataset.read_direct(out, np.s_[:, ss, fs])
        return out

    def at_once() -> NDArray[Any]:
        values = request(dataset[:, ss, fs])
        return np.asarray(values, request.dtype)

    def by_frame() -> NDArray[Any]:
        for k, number in enumerate(numbers):
            out[k] = np.asarray(request(dataset[number, ss, fs]), request.dtype)
        return out

    def by_frame_cast() -> NDArray[Any]:  # into the result, without an array in between
        for k, number in enumerate(numbers):
            out[k] = request(dataset[number, ss, fs])
        return out

    def by_frame_strided() -> NDArray[Any]:
        step = request.stride
        rows, columns = slice(ss.start, ss.stop, step), slice(fs.start, fs.stop, step)
        for k, number in enumerate(numbers):
            out[k] = dataset[number, rows, columns]
        return out

    def index_list() -> NDArray[Any]:
        order = np.argsort(numbers)  # h5py wants them in increasing order
        out[order] = dataset[numbers[order]]
        return out

    known: dict[str, Callable[[], NDArray[Any]]] = {
        "read_direct": read_direct,
        "[...]": at_once,
        "by frame": by_frame,
        "by frame, cast": by_frame_cast,
        "by frame, its strides": by_frame_strided,
        "index list": index_list,
    }
    for name in names:
        cast = " + astype" * (request.dtype is not None and name in ("[...]", "by frame"))
        yield Way(f"h5py {name}{cast}", known[name])


def hidefix(peers: Peers, subject: Subject) -> Iterator[Way]:
    """Return hidefix's way to load it whole, where it knows the filters."""
    if peers.hidefix is None or subject.codec not in ("none", "deflate+shuffle"):
        return
    dataset = peers.hidefix.Index(str(subject.path)).dataset(PATH)
    yield Way("hidefix", lambda: dataset[(slice(None),) * 3])


def bslz4(peers: Peers, subject: Subject, out: NDArray[Any], threads: int) -> Iterator[Way]:
    """Return bslz4_to_sparse's dense decode: of chunks in memory, and with reading them."""
    if peers.bslz4 is None or subject.codec != "bitshuffle+LZ4" or out.dtype != subject.data.dtype:
        return
    decompress, chunks = peers.bslz4.decompress, subject.stored
    flat = out.reshape(len(out), -1)

    def decode(begin: int, end: int) -> None:
        decompress(chunks[begin:end], out.dtype, out=flat[begin:end])

    def read_and_decode(begin: int, end: int) -> None:
        with subject.path.open("rb", buffering=0) as file:
            for k in range(begin, end):
                address, size = subject.table[k]
                chunk = os.pread(file.fileno(), size, address)
                decompress([chunk], out.dtype, out=flat[k : k + 1])

    def on(count: int, work: Callable[[int, int], None]) -> Callable[[], NDArray[Any]]:
        edges = np.linspace(0, len(out), count + 1).astype(int).tolist()

        def run() -> NDArray[Any]:
            on_threads(lambda k, _: work(edges[k], edges[k + 1]), count)
            return out

        return run

    for count in sorted({1, threads}):
        yield Way(f"bslz4_to_sparse, {_threads(count)}", on(count, decode))
        yield Way(f"bslz4_to_sparse and pread, {_threads(count)}", on(count, read_and_decode))


def pyrost(peers: Peers, subject: Subject, request: Request, threads: int) -> Iterator[Way]:
    """Return pyrost's load_attribute, in one process and in as many as we have threads."""
    if peers.pyrost is None:
        return
    frames = np.arange(len(subject.data)) if request.frames is None else request.frames
    make = peers.pyrost

    def load(processes: int) -> NDArray[Any]:
        with make(str(subject.path)) as store:
            values = store.load_attribute(
                "data", frames, processes, request.ss, request.fs, verbose=False
            )
        return np.asarray(values)

    for count in sorted({1, threads}):
        name = f"pyrost, {count} process{'es' * (count > 1)}"
        yield Way(name, functools.partial(load, count))


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


@contextmanager
def lend_peers(threads: int) -> Iterator[Peers]:
    """Lend the peers there are, with a word on each that is not."""
    os.environ["RAYON_NUM_THREADS"] = str(threads)  # hidefix: before it is loaded
    with ExitStack() as stack:
        try:
            store = stack.enter_context(pyrost_store())
        except PeerUnavailableError as error:
            print(f"without pyrost: {error}", file=sys.stderr)
            store = None
        hidefix = peer_module("hidefix", "Index")
        yield Peers(hidefix, peer_module("bslz4_to_sparse", "decompress"), store)


def peer_module(name: str, has: str) -> ModuleType | None:
    """Return a peer's module, or None, with a word, where it is not installed or lacks that."""
    try:
        found = importlib.import_module(name)
    except ImportError as error:
        print(f"without {name}: {error}", file=sys.stderr)
        return None
    if not hasattr(found, has):
        print(f"without {name}: this release has no {has}", file=sys.stderr)
        return None
    return found
