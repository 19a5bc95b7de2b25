from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels._encode import EncodePipeline
from ..kernels.job import Job

class EncodeJob(Job):
    def __init__(
        self,
        data: NDArray[Any],
        firsts: NDArray[np.int64],
        counts: NDArray[np.int64],
        chunk: tuple[int, ...],
        pipeline: EncodePipeline,
        stored: np.dtype[Any],
        fill: NDArray[Any],
        threads: int,
    ) -> None: ...
    @property
    def chunks(self) -> int: ...
    @property
    def failure(self) -> str | None: ...
    def drain(self, write: Callable[[int, memoryview], object]) -> bool: ...
