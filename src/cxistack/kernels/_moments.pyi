from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

def accumulate(
    frames: NDArray[Any],
    states: dict[str, NDArray[Any]],
    *,
    dtype: DTypeLike,
    before: int = 0,
    mask: NDArray[np.bool] | None = None,
    num_threads: int | None = None,
) -> int | None: ...
