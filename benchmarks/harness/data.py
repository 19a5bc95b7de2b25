"""The frames that are measured, and the files they lie in."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi

__all__ = [
    "CODECS",
    "DETECTOR",
    "PATH",
    "Subject",
    "detector_frames",
    "disk_workspace",
    "pipeline_of",
    "synchronise",
    "workspace",
]

DETECTOR = (2167, 2070)  # rows and columns of most suites' frames
PATH = "entry/data/data"  # the default protocol's first
CODECS: Mapping[str, Mapping[str, Any]] = {
    "bitshuffle+LZ4": dict(hdf5plugin.Bitshuffle(cname="lz4")),
    "deflate+shuffle": {"compression": "gzip", "compression_opts": 4, "shuffle": True},
    "zstd": dict(hdf5plugin.Zstd()),
    "LZ4": dict(hdf5plugin.LZ4()),
    "none": {},
}


def detector_frames(count: int, shape: tuple[int, int], dtype: str = "uint16") -> NDArray[Any]:
    """Return frames of Poisson counts: a faint background and a bright centre."""
    ss, fs = (np.linspace(-1, 1, size) for size in shape)
    rate = 1.5 + 2000 * np.exp(-(ss[:, None] ** 2 + fs**2) / 0.02)
    frames = np.empty((count, *shape), dtype)

    def draw(number: int) -> None:
        frames[number] = np.random.default_rng([7, number]).poisson(rate)

    with ThreadPoolExecutor() as pool:
        list(pool.map(draw, range(count)))
    return frames


@contextmanager
def workspace(where: Path | None, need: int) -> Iterator[Path]:
    """Make a folder for files of `need` bytes, in memory where there is room, and remove it."""
    shared = Path("/dev/shm")
    if where is None and shared.is_dir() and os.access(shared, os.W_OK):
        where = shared if shutil.disk_usage(shared).free > 2 * need else None
    with tempfile.TemporaryDirectory(prefix="cxistack-bench-", dir=where) as folder:
        yield Path(folder)


@contextmanager
def disk_workspace(where: Path | None, need: int) -> Iterator[Path]:
    """Make a folder for files that are synchronised, among temporary files, and remove it."""
    with workspace(where or Path(tempfile.gettempdir()), need) as folder:
        yield folder


def synchronise(path: Path) -> None:
    """Wait until a file is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def pipeline_of(dataset: Any) -> list[tuple[int, tuple[int, ...]]]:
    """Return the numbers and values of a dataset's filters."""
    plist = dataset.id.get_create_plist()
    found = [plist.get_filter(number) for number in range(plist.get_nfilters())]
    return [(code, values) for code, _, values, _ in found]


class Subject:
    """A file of frames, open in h5py and in cxistack; it is gone when the block ends.

    Parameters
    ----------
    folder : Path
        Where the file is written.
    codec : str
        One of `CODECS`.
    data : ndarray
        The frames.
    chunk : tuple of int, optional
        Shape of a chunk; a frame when None.
    """

    def __init__(
        self, folder: Path, codec: str, data: NDArray[Any], chunk: tuple[int, ...] | None = None
    ) -> None:
        self.codec, self.data = codec, data
        self.chunk = chunk or (1, *data.shape[1:])
        self.path = folder / f"{codec}-{'x'.join(map(str, self.chunk))}.h5"

    def __enter__(self) -> Subject:
        with h5py.File(self.path, "w") as h5:
            h5.create_dataset(PATH, data=self.data, chunks=self.chunk, **CODECS[self.codec])
        self.h5 = h5py.File(self.path)
        self.dataset = self.h5[PATH]
        self.store = cxi.CXIStore(self.path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.store.close()
        self.h5.close()
        self.path.unlink()

    @cached_property
    def table(self) -> list[tuple[int, int]]:
        """Address and size of each stored chunk, in the order of the grid."""
        found: list[tuple[tuple[int, ...], int, int]] = []
        self.dataset.id.chunk_iter(lambda info: found.append((info[0], info[2], info[3])))
        return [(address, size) for _, address, size in sorted(found)]

    @cached_property
    def stored(self) -> list[bytes]:
        """The stored chunks."""
        with self.path.open("rb", buffering=0) as file:
            return [os.pread(file.fileno(), size, address) for address, size in self.table]

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a decoded chunk."""
        return int(np.prod(self.chunk)) * self.data.itemsize
