"""A save for which there is no memory says of what it was, where it was to go, and how large."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import DTypeLike

__all__ = ["memory_told"]


class _NoMemoryError(MemoryError):
    """One that says for what."""


@contextmanager
def memory_told(
    place: Callable[[], object], attr: str, shape: tuple[int, ...], dtype: DTypeLike
) -> Iterator[None]:
    """Say of what there was too much, where the block gets no memory; `place` tells where it goes.

    What a part of the block has told of is left as it is.
    """
    try:
        yield
    except _NoMemoryError:
        raise
    except MemoryError as cause:
        size = np.dtype(dtype).itemsize * math.prod(shape)
        why = f" ({cause})" if str(cause) else ""
        raise _NoMemoryError(
            f"{place()}: {attr!r} of shape {shape} as {np.dtype(dtype)} takes {size} bytes, and "
            f"this machine does not give the memory to save it{why}; save fewer frames at a time, "
            "by writer() or mode='append'"
        ) from cause
