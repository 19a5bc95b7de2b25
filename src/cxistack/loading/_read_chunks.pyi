from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels._decode import Pipeline
from ..kernels.job import Job
from .ranges import Range
from .tasks import Cell

# What is read of a chunk of which the first part is wanted: that part times so much, and bytes.
HEAD: tuple[float, int]

class ChunkJob(Job):
    def __init__(
        self,
        tasks: NDArray[np.void],
        sources: NDArray[np.int64],
        places: NDArray[np.int64],
        descriptors: NDArray[np.int32],
        cells: Sequence[Cell],
        pipeline: Pipeline | None,
        fill: NDArray[np.uint8],
        frame_bytes: int,
        stored: np.dtype[Any],
        out: NDArray[Any],
        checked: bool,
        ranges: Sequence[Range] | None,
        both: bool,
    ) -> None: ...
    def read_memory(self, memory: NDArray[np.uint8]) -> None: ...
    @property
    def bytes_read(self) -> int: ...
    @property
    def failure(self) -> tuple[int, str] | None: ...
