from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from typing_extensions import Buffer

from ._decode import Pipeline

def chunk_above(
    chunk: Buffer,
    threshold: float,
    pipeline: Pipeline,
    dtype: DTypeLike,
    *,
    mask: NDArray[Any] | None = None,
    filter_mask: int = 0,
) -> tuple[NDArray[np.int64], NDArray[Any]]: ...
