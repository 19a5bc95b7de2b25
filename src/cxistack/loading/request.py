"""What a user says of a load, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import DTypeLike

from ..kernels import Casting
from ..transforms.base import Transform

__all__ = []


@dataclass(frozen=True)
class Pixels:
    """What a user says of the pixels of a load."""

    ss_idxs: Any
    fs_idxs: Any
    transform: Transform | None
    dtype: DTypeLike | None
    casting: Casting
    raw: bool


ALL_PIXELS = Pixels(slice(None), slice(None), None, None, "checked", raw=False)
