from typing import Any, Literal

from numpy.typing import ArrayLike, DTypeLike, NDArray

def flat_field(
    frames: NDArray[Any],
    *,
    dark: ArrayLike | None = None,
    whitefield: ArrayLike | None = None,
    mask: NDArray[Any] | None = None,
    bad: float = ...,
    dead: Literal["raise", "bad"] = "raise",
    dtype: DTypeLike | None = None,
    out: NDArray[Any] | None = None,
    num_threads: int | None = None,
) -> NDArray[Any]: ...
