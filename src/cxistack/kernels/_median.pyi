from typing import Any

from numpy.typing import NDArray

def median3x3(
    frames: NDArray[Any],
    *,
    mask: NDArray[Any] | None = None,
    out: NDArray[Any] | None = None,
    num_threads: int | None = None,
) -> NDArray[Any]: ...
