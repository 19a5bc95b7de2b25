from typing import Any

import numpy as np
from numpy.typing import NDArray

def above(
    frames: NDArray[Any],
    threshold: float,
    *,
    mask: NDArray[Any] | None = None,
    num_threads: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]: ...
