from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

def neighbours(
    frames: NDArray[Any],
    fractions: Sequence[float],
    *,
    mask: NDArray[np.bool] | None = None,
    num_threads: int | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.uint32] | int, NDArray[np.bool]]: ...
