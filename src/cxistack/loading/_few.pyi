from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StorageError
from ..hdf5.files import Files, Stamp
from ..hdf5.links import Place
from ._read_chunks import ChunkJob
from .tasks import Cell

class ChunkCache:
    def __init__(self, limit: int) -> None: ...
    def __len__(self) -> int: ...
    @property
    def limit(self) -> int: ...
    @property
    def held(self) -> int: ...

How = tuple[Any, NDArray[np.uint8], int, np.dtype[Any], np.dtype[Any], bool]

class Plan(ChunkJob):
    def __init__(self, cells: list[Cell], how: How, stream: bool) -> None: ...

class PlannedJob(ChunkJob):
    def __init__(
        self,
        plan: Plan,
        tasks: NDArray[np.void],
        sources: NDArray[np.int64],
        places: NDArray[np.int64],
        descriptors: NDArray[np.int32],
        out: NDArray[Any],
    ) -> None: ...

class Kind:
    cells: Callable[[tuple[int, ...] | None], list[Cell]]
    how: How
    splits: bool
    tasks: int
    frames: int
    def __init__(
        self,
        cells: Callable[[tuple[int, ...] | None], list[Cell]],
        begins: list[int],
        grid: tuple[int, int],
        how: How,
    ) -> None: ...
    def plan_of(
        self, steps: tuple[int, ...], nbytes: int, parts: int
    ) -> tuple[Plan, NDArray[np.intp] | None]: ...

class Way:
    kind: Kind
    path: str
    stamp: Stamp
    address: tuple[str, int]
    offset: int
    def __init__(
        self,
        kind: Kind,
        place: Place,
        stamp: Stamp,
        address: tuple[str, int],
        first: int,
        step: int,
        table: tuple[Any, Any, Any] | None,
        rows: tuple[int, int, bool],
    ) -> None: ...
    def is_as_it_was(self, descriptor: int = -1) -> bool: ...
    def failure(
        self, numbers: Sequence[int], size: int, address: int, why: str
    ) -> StorageError: ...

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
    def runs(self, numbers: NDArray[np.int64]) -> list[tuple[Way, int, int]] | None: ...
    @property
    def ways(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def frame(self, number: int) -> NDArray[Any] | None: ...
    def read(self, numbers: NDArray[np.int64], out: NDArray[Any]) -> bool: ...
    def read_one(self, number: int, out: NDArray[Any]) -> bool: ...

def tasks_of(
    kind: Kind,
    runs: list[tuple[Way, int, int]],
    numbers: NDArray[np.int64],
    tasks: NDArray[np.void],
) -> tuple[int, NDArray[np.int64]]: ...
