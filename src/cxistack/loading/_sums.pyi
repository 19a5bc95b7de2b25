from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels._decode import Pipeline
from ._read_chunks import ChunkJob

class StoredChunks(ChunkJob):
    def __init__(
        self,
        tasks: NDArray[np.void],
        descriptors: NDArray[np.int32],
        pipeline: Pipeline,
        part_blocks: int,
        memory: NDArray[np.uint8],
    ) -> None: ...

class SumChunks(ChunkJob):
    def __init__(
        self,
        chunks: StoredChunks,
        stored: np.dtype[Any],
        pixel: np.dtype[Any],
        moments: Sequence[tuple[dict[str, NDArray[Any]], int]],
        mask: NDArray[np.bool_] | None,
        following: StoredChunks | None,
    ) -> None: ...
