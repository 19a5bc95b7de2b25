from typing import Any

from numpy import dtype
from numpy.typing import NDArray

def kept_bytes() -> int: ...
def empty(shape: tuple[int, ...], dtype: dtype[Any]) -> NDArray[Any]: ...
