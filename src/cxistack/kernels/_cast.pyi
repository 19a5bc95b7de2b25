from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

_Casting: TypeAlias = Literal["checked", "unsafe"]
_Index: TypeAlias = Sequence[int] | NDArray[np.integer[Any]]

class View(Protocol):
    @property
    def ss(self) -> tuple[int, int, int]: ...
    @property
    def fs(self) -> tuple[int, int, int]: ...

def cast(
    src: NDArray[Any],
    dtype: DTypeLike | None = None,
    *,
    out: NDArray[Any] | None = None,
    casting: _Casting = "checked",
    num_threads: int | None = None,
) -> NDArray[Any]: ...
def gather(
    stack: NDArray[Any],
    index: _Index,
    *,
    at: _Index | None = None,
    dtype: DTypeLike | None = None,
    out: NDArray[Any] | None = None,
    casting: _Casting = "checked",
    num_threads: int | None = None,
) -> NDArray[Any]: ...
def transform(
    stack: NDArray[Any],
    view: View,
    *,
    index: _Index | None = None,
    at: _Index | None = None,
    dtype: DTypeLike | None = None,
    out: NDArray[Any] | None = None,
    casting: _Casting = "checked",
    num_threads: int | None = None,
) -> NDArray[Any]: ...
def good_pixels(
    src: NDArray[Any],
    bad_bits: int,
    *,
    view: View | None = None,
    index: _Index | None = None,
    at: _Index | None = None,
    out: NDArray[np.bool] | None = None,
    num_threads: int | None = None,
) -> NDArray[np.bool]: ...
