from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels._decode import Pipeline
from ._read_chunks import ChunkJob

class AboveChunks(ChunkJob):
    def __init__(
        self,
        tasks: NDArray[np.void],
        places: NDArray[np.int64],
        descriptors: NDArray[np.int32],
        pipeline: Pipeline,
        fill: NDArray[np.uint8],
        stored: np.dtype[Any],
        least: np.generic,
        mask: NDArray[np.bool_] | None,
    ) -> None: ...
    @property
    def has_memory(self) -> bool: ...
    def found(
        self, order: NDArray[np.int64], places: NDArray[np.int64], num_threads: int | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]: ...
