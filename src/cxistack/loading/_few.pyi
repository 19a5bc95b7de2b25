from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..hdf5.files import Files, Stamp
from ..kernels.job import Job
from .tasks import Cell

class ChunkCache:
    def __init__(self, limit: int) -> None: ...
    def __len__(self) -> int: ...
    @property
    def limit(self) -> int: ...
    @property
    def held(self) -> int: ...

class Rows(Job):
    def __init__(
        self,
        kind: tuple[list[Cell], list[int], int, int, bool],
        how: tuple[Any, NDArray[np.uint8], int, np.dtype[Any], np.dtype[Any], bool],
    ) -> None: ...

class Kind:
    def __init__(
        self,
        make: Callable[[tuple[int, ...]], Rows],
        frames: int,
        frame_bytes: int,
        chunk_bytes: int,
        tasks: int,
        splits: bool,
    ) -> None: ...

class Way:
    def __init__(
        self,
        kind: Kind,
        path: str,
        stamp: Stamp,
        address: tuple[str, int],
        first: int,
        step: int,
        table: tuple[Any, Any, Any] | None,
        rows: tuple[int, int, bool],
    ) -> None: ...

class FewFrames:
    def __init__(
        self,
        offsets: NDArray[np.int64],
        find: Callable[[int], Way | None],
        is_written: Callable[[str], bool],
        files: Files,
        frame: tuple[tuple[int, ...], np.dtype[Any]],
        cache: ChunkCache | None,
    ) -> None: ...
    @property
    def cache(self) -> ChunkCache | None: ...
    @property
    def most(self) -> int: ...
    @property
    def ways(self) -> int: ...
    def frame(self, number: int) -> NDArray[Any] | None: ...
    def read(self, numbers: NDArray[np.int64], out: NDArray[Any]) -> bool: ...
    def read_one(self, number: int, out: NDArray[Any]) -> bool: ...
