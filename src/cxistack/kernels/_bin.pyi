from typing import Any, Literal

from numpy.typing import DTypeLike, NDArray

def bin(
    stack: NDArray[Any],
    n: int | tuple[int, int],
    mode: Literal["sum", "mean"] = "sum",
    *,
    dtype: DTypeLike | None = None,
    out: NDArray[Any] | None = None,
    casting: Literal["checked", "unsafe"] = "checked",
    num_threads: int | None = None,
) -> NDArray[Any]: ...
