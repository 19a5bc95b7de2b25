from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

_Casting: TypeAlias = Literal["checked", "unsafe"]
_Index: TypeAlias = Sequence[int] | NDArray[np.integer[Any]]

class View(Protocol):
    @property
    def ss(self) -> Iterable[int]: ...
    @property
    def fs(self) -> Iterable[int]: ...

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
def within(
    src: NDArray[Any],
    ranges: Iterable[tuple[Any, Any, bool]],
    *,
    index: _Index | None = None,
    at: _Index | None = None,
    out: NDArray[np.bool] | None = None,
    both: bool = False,
    num_threads: int | None = None,
) -> NDArray[np.bool]: ...
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
